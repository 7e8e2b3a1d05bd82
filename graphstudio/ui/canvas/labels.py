"""Finds room for the labels on wires: beside no node, over no other label, or nowhere."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Generic, TypeVar

from PySide6.QtCore import QRectF

from graphstudio.ui.canvas import curve

Name = TypeVar("Name", bound=Hashable)
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""

_CELL = 256.0
_SPOTS = (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8)
_CLEAR = 3.0
"""Pixels kept free around a label."""
_END = 10.0
"""Wire that must show on both sides of a label."""


class Boxes(Generic[Name]):
    """Named boxes in a hash grid; answers which of them meet a box."""

    def __init__(self) -> None:
        self._boxes: dict[Name, Box] = {}
        self._cells: dict[tuple[int, int], set[Name]] = {}

    def __contains__(self, name: Hashable) -> bool:
        return name in self._boxes

    def put(self, name: Name, box: Box) -> Box | None:
        """Put a box here; where it was until now, None if it is new or was here already."""
        if self._boxes.get(name) == box:
            return None
        old = self.drop(name)
        self._boxes[name] = box
        for cell in _cells(box):
            self._cells.setdefault(cell, set()).add(name)
        return old

    def drop(self, name: Name) -> Box | None:
        """Take a box out; where it was."""
        box = self._boxes.pop(name, None)
        if box is not None:
            for cell in _cells(box):
                names = self._cells[cell]
                names.discard(name)
                if not names:
                    del self._cells[cell]
        return box

    def clear(self) -> None:
        self._boxes.clear()
        self._cells.clear()

    @property
    def num_cells(self) -> int:
        """Cells of the grid in which something lies."""
        return len(self._cells)

    def meeting(self, box: Box) -> Iterator[Name]:
        seen: set[Name] = set()
        for cell in _cells(box):
            for name in self._cells.get(cell, ()):
                if name not in seen:
                    seen.add(name)
                    if _meet(self._boxes[name], box):
                        yield name

    def free(self, box: Box) -> bool:
        boxes, cells = self._boxes, self._cells
        return not any(
            _meet(boxes[name], box) for cell in _cells(box) for name in cells.get(cell, ())
        )


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
        self.labels: Boxes[Hashable] = Boxes()
        self._nodes: Boxes[Hashable] = Boxes()
        self._hidden: Boxes[tuple[Hashable, int]] = Boxes()
        """Each spot where a label that found no room might lie, as (wire, number).

        Only the spots: the wire itself may be as long as the canvas is wide.
        """
        self._num_spots: dict[Hashable, int] = {}
        self._hopeful: dict[Hashable, None] = {}

    def clear(self) -> None:
        self.labels.clear()
        self._nodes.clear()
        self._hidden.clear()
        self._num_spots.clear()
        self._hopeful.clear()

    @property
    def num_cells(self) -> int:
        """Cells that the grids hold, a measure of their memory."""
        return self.labels.num_cells + self._nodes.num_cells + self._hidden.num_cells

    def put_node(self, name: Hashable, box: Box) -> None:
        """A node lies here now."""
        self._vacate(self._nodes.put(name, box))

    def drop_node(self, name: Hashable) -> None:
        """A node is no more."""
        self._vacate(self._nodes.drop(name))

    def forget(self, wire: Hashable) -> None:
        """A wire has changed its course or its label, or is no more."""
        self._vacate(self.labels.drop(wire))
        self._drop_hidden(wire)
        self._hopeful.pop(wire, None)

    def hopeful(self) -> list[Hashable]:
        """Wires whose label found no room, and near which there is more now; told once."""
        if not self._hopeful:
            return []
        found = list(self._hopeful)
        self._hopeful.clear()
        return found

    def _vacate(self, box: Box | None) -> None:
        if box is not None:
            wires = (wire for wire, _ in self._hidden.meeting(box))
            self._hopeful.update(dict.fromkeys(wires))

    def _drop_hidden(self, wire: Hashable) -> None:
        for number in range(self._num_spots.pop(wire, 0)):
            self._hidden.drop((wire, number))

    def place(
        self, wire: Hashable, curves: Sequence[curve.Cubic], width: float, height: float
    ) -> QRectF | None:
        """Rectangle for a label of this size on the wire, or None if there is no room for it."""
        old = self.labels.drop(wire)
        self._drop_hidden(wire)
        needed = width + 2 * _END
        long = [c for c in curves if abs(c[3][0] - c[0][0]) + abs(c[3][1] - c[0][1]) >= needed]
        long.sort(key=lambda c: -abs(c[3][0] - c[0][0]))
        spots = (box for c in long for box in _spots_on(c, width, height))
        found = next((box for box in spots if self._is_free(_around(box))), None)
        if found != old:
            self._vacate(old)
        if found is not None:
            self.labels.put(wire, found)
            return QRectF(found[0], found[1], width, height)
        # a wire that is too short has no spots: it waits for nothing but a change of its own
        hidden = [_around(box) for c in long for box in _spots_on(c, width, height)]
        for number, box in enumerate(hidden):
            self._hidden.put((wire, number), box)
        self._num_spots[wire] = len(hidden)
        return None

    def _is_free(self, box: Box) -> bool:
        return self._nodes.free(box) and self.labels.free(box)


def _spots_on(c: curve.Cubic, width: float, height: float) -> Iterator[Box]:
    for t in _SPOTS:
        x, y = curve.point_at(c, t)
        yield (x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def _around(box: Box) -> Box:
    return (box[0] - _CLEAR, box[1] - _CLEAR, box[2] + _CLEAR, box[3] + _CLEAR)
