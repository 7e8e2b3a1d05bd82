"""What every gesture has in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QPainter

from graphstudio.ui.canvas.hit import Hit

if TYPE_CHECKING:
    from graphstudio.ui.canvas.view import GraphView

DRAG_DISTANCE = 4
"""Device-independent pixels the pointer must travel before a press becomes a drag."""


@dataclass(frozen=True)
class Pointer:
    """Where the pointer is, and what is held down."""

    scene: QPointF
    view: QPoint
    modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier

    def held(self, modifier: Qt.KeyboardModifier) -> bool:
        return bool(self.modifiers & modifier)


class Gesture:
    """One thing the pointer is doing, from press to release.

    The view owns a stack of these. A gesture changes the document only in ``release``, and
    ``cancel`` leaves everything as it was before the press.
    """

    cursor: Qt.CursorShape | None = None
    auto_scroll = False
    """True if the view should scroll while the pointer is near its edge."""

    def __init__(self, view: GraphView, start: Pointer, hit: Hit) -> None:
        self.view = view
        self.scene = view.graph_scene
        self.project = view.project
        self.start = start
        self.hit = hit
        self.dragging = False

    def began(self, pointer: Pointer) -> bool:
        """True once the pointer has moved far enough to mean a drag."""
        if not self.dragging:
            delta = pointer.view - self.start.view
            self.dragging = delta.manhattanLength() >= DRAG_DISTANCE
        return self.dragging

    @property
    def aims(self) -> bool:
        """True while the pointer is on something to drop on; the view then keeps still."""
        return False

    def press(self, pointer: Pointer) -> bool:
        """A further press while the gesture lasts; True ends the gesture."""
        return False

    def move(self, pointer: Pointer) -> None:
        """The pointer moved, or a modifier changed."""

    def release(self, pointer: Pointer) -> bool:
        """The button went up; True ends the gesture."""
        return True

    def cancel(self) -> None:
        """Undo every preview."""

    def bounds(self) -> QRectF:
        """Scene rectangle of what ``paint`` draws."""
        return QRectF()

    def paint(self, painter: QPainter, scale: float) -> None:
        """Draw over the graph, in scene coordinates."""
