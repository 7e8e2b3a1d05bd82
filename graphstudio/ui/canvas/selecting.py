"""Selection on the canvas: nodes live in the project, wires and frames here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF

from graphstudio.ui.canvas.edits import reach
from graphstudio.ui.canvas.scene import WireKey

if TYPE_CHECKING:
    from graphstudio.ui.canvas.view import GraphView


class Selecting:
    """Ways to select, by pointer and by key."""

    def __init__(self, view: GraphView) -> None:
        self._view = view
        self._project = view.project
        self._scene = view.graph_scene
        self.wires: frozenset[WireKey] = frozenset()
        self.frames: frozenset[str] = frozenset()
        self.dot: int | None = None
        """Which dot of the one selected wire the keys move; None for all dots of all wires."""

    @property
    def nodes(self) -> frozenset[str]:
        return self._project.selection

    @property
    def with_framed(self) -> frozenset[str]:
        """Selected nodes, and those that lie in selected frames."""
        inside = {n for f in self.frames for n in self._scene.children_of(f)}
        return self._project.selection | inside

    def clear(self) -> None:
        self._project.select(())
        self._set_wires(frozenset())
        self._set_frames(frozenset())

    def only(self, node_ids) -> None:
        """Select these nodes and nothing else."""
        self._set_wires(frozenset())
        self._set_frames(frozenset())
        self._project.select(node_ids)

    def prune(self) -> None:
        """Forget wires and frames that are gone."""
        self.wires &= self._scene.wires.keys()
        self.frames &= self._scene.frames.keys()
        if self.dot is not None and self.dot >= len(self._route()):
            self._set_dot(None)

    def wire(self, key: WireKey, *, add: bool = False, dot: int | None = None) -> None:
        """Select a wire, and with it one of its dots if it is the only wire."""
        keys = self.wires ^ {key} if add else frozenset({key})
        if not add:
            self.clear()
        self._set_wires(keys)
        if keys == {key}:
            self._set_dot(dot)

    def frame(self, frame_id: str, *, add: bool = False) -> None:
        if frame_id in self.frames:
            return
        keep = self.frames if add else frozenset()
        if not add:
            self.clear()
        self._set_frames(keep | {frame_id})

    def invert(self) -> None:
        self._project.select(self._scene.nodes.keys() - self.nodes)

    def neighbours(self, *, forward: bool, far: bool = False) -> None:
        """Select what the selection feeds (or what feeds it); ``far``: all of it, added."""
        chosen = self.nodes
        if not chosen and len(self.wires) == 1 and not far:
            self._along_wire(forward=forward)
            return
        if far:
            self._project.select(reach(self._scene, chosen, forward=forward))
            return
        wires = self._scene.graph.wires
        found = set()
        for key in {k for n in chosen for k in self._scene.wires_at(n)}:
            here, there = wires[key].source, wires[key].target
            if not forward:
                here, there = there, here
            if here in chosen:
                found.add(there)
        if found:
            self._project.select(found)
            self._view.bring_in(self._scene.content_rect(found))

    def _along_wire(self, *, forward: bool) -> None:
        """To the next dot of the selected wire; behind the last one, to the node at its end."""
        (key,) = self.wires
        last = len(self._route()) - 1
        start = 0 if forward else last
        at = start if self.dot is None else self.dot + (1 if forward else -1)
        if 0 <= at <= last:
            self._set_dot(at)
            self._view.bring_in(QRectF(*self._route()[at], 0, 0))
            return
        wire = self._scene.graph.wires[key]
        end = wire.target if forward else wire.source
        self.only({end})
        self._view.bring_in(self._scene.nodes[end].body_rect())

    def _route(self) -> tuple[tuple[float, float], ...]:
        """The dots of the selected wire, if it is one and is still there."""
        found = [self._scene.graph.wires.get(key) for key in self.wires]
        return found[0].route if len(found) == 1 and found[0] is not None else ()

    def towards(self, dx: int, dy: int) -> None:
        """Select the nearest node in a direction from the selection, or from the middle."""
        scene = self._scene
        if self.nodes:
            start = scene.content_rect(self.nodes).center()
        else:
            start = self._view.visible_rect().center()
        best: tuple[float, str] | None = None
        for node_id, item in scene.nodes.items():
            if node_id in self.nodes:
                continue
            cost = _cost(item.body_rect(), start, dx, dy)
            if cost is not None and (best is None or cost < best[0]):
                best = (cost, node_id)
        if best is not None:
            self._project.select({best[1]})
            self._view.bring_in(scene.nodes[best[1]].body_rect())

    def wires_of_port(self, node_id: str, port: str, is_output: bool) -> frozenset[WireKey]:
        """Keys of the wires at a port."""
        wires = self._scene.graph.wires
        if not is_output:
            return frozenset({(node_id, port)} & wires.keys())
        return frozenset(
            k
            for k in self._scene.wires_at(node_id)
            if (wires[k].source, wires[k].source_port) == (node_id, port)
        )

    def _set_dot(self, dot: int | None) -> None:
        self.dot = dot
        for key in self.wires:
            item = self._scene.wires.get(key)
            if item is not None:
                item.chosen_dot = dot
                item.update()

    def _set_wires(self, keys: frozenset[WireKey]) -> None:
        self._set_dot(None)
        for key in self.wires ^ keys:
            item = self._scene.wires.get(key)
            if item is not None:
                item.selected = key in keys
                item.update()
        self.wires = keys
        self._view.refresh_overview()

    def _set_frames(self, ids: frozenset[str]) -> None:
        for frame_id in self.frames ^ ids:
            item = self._scene.frames.get(frame_id)
            if item is not None:
                item.selected = frame_id in ids
                item.update()
        self.frames = ids
        self._view.refresh_overview()


def _cost(rect: QRectF, start: QPointF, dx: int, dy: int) -> float | None:
    """How far a node lies in a direction, sideways counting double; None if it is not that way."""
    delta = rect.center() - start
    along = delta.x() * dx + delta.y() * dy
    across = abs(delta.x() * dy) + abs(delta.y() * dx)
    return along + 2 * across if along > 1 and across <= 2.5 * along else None
