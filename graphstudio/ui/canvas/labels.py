"""Finds room for the labels on wires: beside no node, over no other label, or nowhere."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

from PySide6.QtCore import QRectF

from graphstudio.ui.canvas import curve

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""

_CELL = 256.0
_SPOTS = (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8)
_CLEAR = 3.0
"""Pixels kept free around a label."""
_END = 10.0
"""Wire that must show on both sides of a label."""


class Boxes:
    """Named boxes in a hash grid; answers which of them meet a box."""

    def __init__(self) -> None:
        self._boxes: dict[Hashable, Box] = {}
        self._cells: dict[tuple[int, int], set[Hashable]] = {}

    def __contains__(self, name: Hashable) -> bool:
        return name in self._boxes

    def put(self, name: Hashable, box: Box) -> None:
        if self._boxes.get(name) == box:
            return
        self.drop(name)
        self._boxes[name] = box
        for cell in _cells(box):
            self._cells.setdefault(cell, set()).add(name)

    def drop(self, name: Hashable) -> None:
        box = self._boxes.pop(name, None)
        if box is not None:
            for cell in _cells(box):
                self._cells[cell].discard(name)

    def clear(self) -> None:
        self._boxes.clear()
        self._cells.clear()

    def meeting(self, box: Box) -> Iterator[Hashable]:
        seen: set[Hashable] = set()
        for cell in _cells(box):
            for name in self._cells.get(cell, ()):
                if name not in seen:
                    seen.add(name)
                    if _meet(self._boxes[name], box):
                        yield name

    def free(self, box: Box) -> bool:
        return next(self.meeting(box), None) is None


def _cells(box: Box) -> Iterator[tuple[int, int]]:
    for ix in range(int(box[0] // _CELL), int(box[2] // _CELL) + 1):
        for iy in range(int(box[1] // _CELL), int(box[3] // _CELL) + 1):
            yield ix, iy


def _meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def box_of(rect: QRectF) -> Box:
    """A rectangle as plain numbers."""
    return (rect.left(), rect.top(), rect.right(), rect.bottom())


class LabelPlacer:
    """Keeps where nodes and labels lie, and gives each label its place."""

    def __init__(self) -> None:
        self.nodes = Boxes()
        self.labels = Boxes()
        self.hidden: set[Hashable] = set()
        """Wires whose label found no room; worth another try after nodes moved."""

    def clear(self) -> None:
        self.nodes.clear()
        self.labels.clear()
        self.hidden.clear()

    def forget(self, wire: Hashable) -> None:
        self.labels.drop(wire)
        self.hidden.discard(wire)

    def place(
        self, wire: Hashable, curves: Sequence[curve.Cubic], width: float, height: float
    ) -> QRectF | None:
        """Rectangle for a label of this size on the wire, or None if there is no room for it."""
        self.forget(wire)
        for a, _, _, b in sorted(curves, key=lambda c: -abs(c[3][0] - c[0][0])):
            if abs(b[0] - a[0]) + abs(b[1] - a[1]) < width + 2 * _END:
                continue
            found = self._on(next(c for c in curves if c[0] == a and c[3] == b), width, height)
            if found is not None:
                self.labels.put(wire, found)
                return QRectF(found[0], found[1], width, height)
        self.hidden.add(wire)
        return None

    def _on(self, c: curve.Cubic, width: float, height: float) -> Box | None:
        for t in _SPOTS:
            x, y = curve.point_at(c, t)
            box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
            near = (box[0] - _CLEAR, box[1] - _CLEAR, box[2] + _CLEAR, box[3] + _CLEAR)
            if self.nodes.free(near) and self.labels.free(near):
                return box
        return None
