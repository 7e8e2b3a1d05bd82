"""Nodes and frames held by the pointer: shown elsewhere while the document stays as it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF

if TYPE_CHECKING:
    from graphstudio.ui.canvas.scene import GraphScene

_LABELLED = 60
"""Up to this many wires get their labels placed anew while they move."""


class Lift:
    """Shows nodes, their wires and frames at an offset from where the document has them.

    Wires between two lifted nodes keep their form, dots included, and are only moved; the others
    are laid anew.
    """

    def __init__(
        self, scene: GraphScene, node_ids: Iterable[str], frame_ids: Iterable[str] = ()
    ) -> None:
        self._scene = scene
        nodes = scene.graph.nodes
        self.origins = {n: nodes[n].position for n in node_ids}
        self._extent = scene.content_rect(self.origins)
        self.frames: dict[str, QRectF] = {f: scene.frames[f].body_rect() for f in frame_ids}
        touching = {k for n in self.origins for k in scene.wires_at(n)}
        wires = scene.graph.wires
        self._inner = {
            k
            for k in touching
            if wires[k].source in self.origins and wires[k].target in self.origins
        }
        self._outer = touching - self._inner

    def move(self, dx: float, dy: float) -> None:
        """Show everything at this offset."""
        scene = self._scene
        for node_id, (x, y) in self.origins.items():
            scene.nodes[node_id].place(x + dx, y + dy)
        scene.labels.cover(self._extent.translated(dx, dy))
        for key in self._inner:
            scene.wires[key].setPos(dx, dy)
        scene.reroute(self._outer, labels=len(self._outer) <= _LABELLED)
        for frame_id, rect in self.frames.items():
            scene.frames[frame_id].set_rect(rect.translated(dx, dy))

    def drop(self) -> None:
        """Show everything where the document has it."""
        scene = self._scene
        for node_id in self.origins.keys() & scene.nodes.keys():
            node = scene.graph.nodes.get(node_id)
            if node is not None:
                scene.nodes[node_id].place(*node.position)
        for key in self._inner & scene.wires.keys():
            scene.wires[key].setPos(QPointF())
        scene.reroute(self._outer & scene.wires.keys())
        for frame_id, rect in self.frames.items():
            if frame_id in scene.frames:
                scene.frames[frame_id].set_rect(rect)
        scene.content_changed.emit()

    def moved_nodes(self, dx: float, dy: float) -> dict[str, tuple[float, float]]:
        """Where the nodes are at an offset."""
        return {n: (x + dx, y + dy) for n, (x, y) in self.origins.items()}

    def moved_frames(self, dx: float, dy: float) -> dict[str, QRectF]:
        """Where the frames are at an offset."""
        return {f: rect.translated(dx, dy) for f, rect in self.frames.items()}
