"""The stack of gestures: which one has the pointer, what they draw, and scrolling at the edge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, QRect, QRectF, Qt, QTimer
from PySide6.QtGui import QCursor, QPainter

from graphstudio.ui.canvas.gestures.base import Gesture, Pointer
from graphstudio.ui.canvas.gestures.place import Place

if TYPE_CHECKING:
    from graphstudio.ui.canvas.view import GraphView

_EDGE = 20
"""Width of the strip along the border in which a drag scrolls the view."""
_PATIENCE = 20
"""Ticks that the pointer must rest there first: it may only be aiming at something near."""
_FASTEST = 14
"""Pixels a tick."""


class GestureStack:
    """Gestures of one view; the last one has the pointer (a pan may interrupt a wire)."""

    def __init__(self, view: GraphView) -> None:
        self._view = view
        self._stack: list[Gesture] = []
        self._place: Place | None = None
        self._painted = QRect()
        self.pointer: QPoint | None = None
        """Where the pointer is in the view; None while it is elsewhere."""
        self._waited = 0
        self._scrolling = QTimer(view, interval=16)
        self._scrolling.timeout.connect(self._auto_scroll)

    def __bool__(self) -> bool:
        return bool(self._stack)

    @property
    def top(self) -> Gesture:
        return self._stack[-1]

    @property
    def place(self) -> Place | None:
        """The ghost of a node that is being dragged in from outside."""
        return self._place

    @place.setter
    def place(self, place: Place | None) -> None:
        self._place = place
        self.refresh()

    @property
    def cursor(self) -> Qt.CursorShape | None:
        return self._stack[-1].cursor if self._stack else None

    def begin(self, gesture: Gesture) -> None:
        self._stack.append(gesture)
        if gesture.auto_scroll:
            self._scrolling.start()

    def end(self, gesture: Gesture) -> None:
        if gesture in self._stack:
            self._stack.remove(gesture)
        if not any(g.auto_scroll for g in self._stack):
            self._scrolling.stop()
        self.refresh()

    def cancel(self) -> bool:
        """Call off the topmost gesture; False if there is none."""
        if not self._stack:
            return False
        gesture = self._stack[-1]
        gesture.cancel()
        self.end(gesture)
        self._view.viewport().update()
        return True

    def move(self, pointer: Pointer) -> None:
        self._stack[-1].move(pointer)
        self.refresh()

    def move_again(self, modifiers: Qt.KeyboardModifier) -> None:
        """The view or the modifiers changed under a resting pointer."""
        if self._stack and self.pointer is not None:
            scene = self._view.mapToScene(self.pointer)
            self.move(Pointer(scene, self.pointer, modifiers))

    def refresh(self) -> None:
        """Repaint where gestures draw now, and where they drew before."""
        rect = QRectF()
        for gesture in self._all():
            rect = rect.united(gesture.bounds())
        now = QRect()
        if not rect.isNull():
            now = self._view.mapFromScene(rect).boundingRect().adjusted(-30, -40, 30, 30)
        dirty = now.united(self._painted)
        self._painted = now
        if not dirty.isEmpty():
            self._view.viewport().update(dirty)

    def paint(self, painter: QPainter) -> None:
        for gesture in self._all():
            painter.save()
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            gesture.paint(painter, self._view.zoom)
            painter.restore()

    def _all(self) -> list[Gesture]:
        return [*self._stack, *([self._place] if self._place is not None else [])]

    def _auto_scroll(self) -> None:
        if not self._stack or self.pointer is None or not self._stack[-1].dragging:
            return
        area, p = self._view.viewport().rect(), self.pointer
        dx = max(0, _EDGE - p.x()) - max(0, p.x() - (area.right() - _EDGE))
        dy = max(0, _EDGE - p.y()) - max(0, p.y() - (area.bottom() - _EDGE))
        aiming = not (dx or dy) or self._stack[-1].aims
        self._waited = 0 if aiming else self._waited + 1
        if self._waited > _PATIENCE:
            self._view.pan_by(_limited(dx), _limited(dy))
            self._view.viewport().update()
            self.move_again(self._view.held_modifiers)


def _limited(speed: int) -> int:
    return max(-_FASTEST, min(speed, _FASTEST))


def edge_cursor(edges: str) -> Qt.CursorShape:
    """Cursor over the edges of a frame, given as letters of ``ltrb``."""
    if edges in ("lt", "rb"):
        return Qt.CursorShape.SizeFDiagCursor
    if edges in ("lb", "tr"):
        return Qt.CursorShape.SizeBDiagCursor
    return Qt.CursorShape.SizeHorCursor if edges in ("l", "r") else Qt.CursorShape.SizeVerCursor


def set_cursor(view: GraphView, shape: Qt.CursorShape) -> None:
    """Give the canvas a cursor, unless it has it."""
    if view.viewport().cursor().shape() != shape:
        view.viewport().setCursor(QCursor(shape))
