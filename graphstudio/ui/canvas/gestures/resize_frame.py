"""Resize a frame by its edges and corners."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF

from graphstudio.ui.canvas.gestures.base import Gesture, Pointer
from graphstudio.ui.canvas.gestures.move import snapped

_SMALLEST = 80.0


class ResizeFrame(Gesture):
    """The grabbed edges follow the pointer on the grid."""

    auto_scroll = True

    def __init__(self, view, start, hit) -> None:
        super().__init__(view, start, hit)
        self._before = self.scene.frames[hit.frame].body_rect()
        self._rect = QRectF(self._before)
        view.selecting.frame(hit.frame)

    def move(self, pointer: Pointer) -> None:
        if not self.began(pointer):
            return
        rect, edges = QRectF(self._before), self.hit.edges
        p = snapped(pointer.scene)
        if "l" in edges:
            rect.setLeft(min(p.x(), rect.right() - _SMALLEST))
        if "r" in edges:
            rect.setRight(max(p.x(), rect.left() + _SMALLEST))
        if "t" in edges:
            rect.setTop(min(p.y(), rect.bottom() - _SMALLEST))
        if "b" in edges:
            rect.setBottom(max(p.y(), rect.top() + _SMALLEST))
        self._rect = rect
        self._show(rect)

    def _show(self, rect: QRectF) -> None:
        item = self.scene.frames.get(self.hit.frame)
        if item is not None:
            item.set_rect(QRectF(QPointF(rect.topLeft()), rect.size()))
            self.view.refresh_overview()

    def release(self, pointer: Pointer) -> bool:
        self._show(self._before)
        if self._rect != self._before:
            self.view.edits.move({}, {self.hit.frame: self._rect})
        return True

    def cancel(self) -> None:
        self._show(self._before)
