"""Pan: the middle button, or Space with the left one."""

from __future__ import annotations

from PySide6.QtCore import Qt

from graphstudio.ui.canvas.gestures.base import Gesture, Pointer


class Pan(Gesture):
    """Moves the view with the pointer."""

    cursor = Qt.CursorShape.ClosedHandCursor

    def __init__(self, view, start, hit) -> None:
        super().__init__(view, start, hit)
        self._last = start.view

    def move(self, pointer: Pointer) -> None:
        delta = pointer.view - self._last
        self._last = pointer.view
        self.view.pan_by(delta.x(), delta.y())
