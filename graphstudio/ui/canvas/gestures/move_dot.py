"""Move a reroute dot of a wire."""

from __future__ import annotations

import dataclasses

from PySide6.QtCore import QPointF, Qt

from graphstudio.ui.canvas.face import GRID
from graphstudio.ui.canvas.gestures.base import Gesture, Pointer
from graphstudio.ui.canvas.gestures.move import snapped


class MoveDot(Gesture):
    """The dot follows the pointer, on the grid or level with its neighbours; Ctrl moves it freely.

    A click without a drag selects the wire and the dot, which the arrow keys then move.
    """

    cursor = Qt.CursorShape.SizeAllCursor
    auto_scroll = True

    def __init__(self, view, start, hit) -> None:
        super().__init__(view, start, hit)
        self._item = self.scene.wires[hit.wire]
        self._before = self._item.wire
        self._place = QPointF(*self._before.route[hit.dot])

    def move(self, pointer: Pointer) -> None:
        if not self.began(pointer):
            return
        free = pointer.held(Qt.KeyboardModifier.ControlModifier)
        self._place = pointer.scene if free else self._aligned(pointer.scene)
        route = list(self._before.route)
        route[self.hit.dot] = self._place.toTuple()
        self._show(dataclasses.replace(self._before, route=tuple(route)))

    def _aligned(self, pos: QPointF) -> QPointF:
        """On the grid; as high as a neighbour of the dot if that is near, so that it lies level."""
        place = snapped(pos)
        curves, dot = self._item.curves, self.hit.dot
        for neighbour in (curves[dot][0], curves[dot + 1][3]):
            if abs(pos.y() - neighbour[1]) <= GRID / 2:
                place.setY(neighbour[1])
        return place

    def release(self, pointer: Pointer) -> bool:
        self._show(self._before)
        if not self.dragging:
            add = pointer.modifiers & (
                Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.ControlModifier
            )
            self.view.selecting.wire(self.hit.wire, add=bool(add), dot=self.hit.dot)
        elif self._place.toTuple() != self._before.route[self.hit.dot]:
            self.view.edits.move_dot(self.hit.wire, self.hit.dot, self._place)
        return True

    def cancel(self) -> None:
        self._show(self._before)

    def _show(self, wire) -> None:
        if self.scene.wires.get(self.hit.wire) is self._item:
            self._item.wire = wire
            self.scene.reroute([self.hit.wire])
            self.view.refresh_overview()
