"""Rubber band: select by a rectangle drawn from empty canvas."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen

from graphstudio.ui.canvas.gestures.base import Gesture, Pointer


class RubberBand(Gesture):
    """Selects what the rectangle touches: replaces, adds with Shift, toggles with Ctrl."""

    auto_scroll = True

    def __init__(self, view, start, hit) -> None:
        super().__init__(view, start, hit)
        self._before = self.project.selection
        self._rect = QRectF(start.scene, start.scene)

    def move(self, pointer: Pointer) -> None:
        if not self.began(pointer):
            return
        self._rect = QRectF(self.start.scene, pointer.scene).normalized()
        inside = self.scene.nodes_in(self._rect)
        if self.start.held(Qt.KeyboardModifier.ShiftModifier):
            chosen = self._before | inside
        elif self.start.held(Qt.KeyboardModifier.ControlModifier):
            chosen = self._before ^ inside
        else:
            chosen = inside
        self.project.select(chosen)

    def release(self, pointer: Pointer) -> bool:
        keep = Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.ControlModifier
        if not self.dragging and not self.start.modifiers & keep:
            self.view.clear_selection()
        return True

    def cancel(self) -> None:
        self.project.select(self._before)

    def bounds(self) -> QRectF:
        return self._rect if self.dragging else QRectF()

    def paint(self, painter: QPainter, scale: float) -> None:
        if not self.dragging:
            return
        style = self.view.style_
        fill = QColor(style.accent)
        fill.setAlphaF(0.12)
        painter.setPen(QPen(style.accent, 1.2 / scale))
        painter.setBrush(fill)
        painter.drawRect(self._rect)
