"""What the canvas does to the document: each method is one undo step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QMimeData, QPointF, QRectF, QTimer
from PySide6.QtGui import QGuiApplication

from graphstudio.document import commands
from graphstudio.document.changes import AddNode, AddWire, Change, PutFrame, RemoveWire
from graphstudio.document.commands.base import clean_position
from graphstudio.document.layout import Box, Edge, arrange
from graphstudio.document.model import Wire
from graphstudio.i18n import tr
from graphstudio.nodes.spec import find_type
from graphstudio.nodes.types import Message
from graphstudio.ui.canvas import curve
from graphstudio.ui.canvas.face import GRID
from graphstudio.ui.canvas.gestures.move import snapped
from graphstudio.ui.canvas.room import clear_of_source, room_behind
from graphstudio.ui.canvas.scene import GraphScene, WireKey
from graphstudio.ui.canvas.suggest import End, first_output, input_for, output_for

if TYPE_CHECKING:
    from graphstudio.ui.canvas.view import GraphView

GRAPH_MIME = "application/x-graphstudio-graph"
GAP = 80.0
"""Room between a node and the one that is added after it."""
_FRAME_PAD = 20.0
_BURST_MS = 700


class Edits:
    """Commands on the shown graph, with the selection that follows from them."""

    def __init__(self, view: GraphView) -> None:
        self._view = view
        self._project = view.project
        self._scene: GraphScene = view.graph_scene
        self._burst = 0
        self._burst_end = QTimer(view, singleShot=True, interval=_BURST_MS)
        self._burst_end.timeout.connect(self._end_burst)

    @property
    def _graph_id(self) -> str:
        return self._scene.graph.id

    @property
    def _doc(self):
        return self._project.document

    def _push(self, command: tuple[Message, Sequence[Change]], merge: str = "") -> bool:
        if not merge:
            self._end_burst()
        return bool(command[1]) and self._project.push(command, merge=merge)

    # -- adding ------------------------------------------------------------------------------

    def add(
        self,
        type_id: str,
        pos: tuple[float, float],
        *,
        connect_from: Sequence[End] = (),
        connect_to: End | None = None,
    ) -> str | None:
        """Add a node, wired if asked, and select it; its id, or None if it was refused."""
        params = self._project.checker.params_for(type_id)
        name, changes = commands.add_node(self._doc, self._graph_id, type_id, pos, params=params)
        changes = list(changes)
        node_id = added(changes)[0]
        cls = find_type(type_id)
        if cls is not None:
            changes += self._wires_into(node_id, cls, connect_from)
            if connect_to is not None:
                port = output_for(self._scene, connect_to, cls)
                if port is not None:
                    changes += self._wire((node_id, port), connect_to)
        if not self._push((name, changes)):
            return None
        self._view.recent.note(type_id)
        self._select([node_id])
        return node_id

    def _wires_into(self, node_id: str, cls, sources: Sequence[End]) -> list[Change]:
        changes: list[Change] = []
        ports = [p.name for p in cls().input_ports()]
        for source in sources:
            wanted = input_for(self._scene, source, cls)
            if wanted is None or not ports:
                continue
            port = wanted if wanted in ports else ports[0]
            ports.remove(port)
            changes += self._wire(source, (node_id, port))
        return changes

    def _wire(self, source: End, target: End) -> list[Change]:
        """A wire, in place of the one that the input has."""
        changes: list[Change] = []
        if target in self._scene.graph.wires:
            changes.append(RemoveWire(self._graph_id, target))
        wire = Wire(
            source=source[0], source_port=source[1], target=target[0], target_port=target[1]
        )
        changes.append(AddWire(self._graph_id, wire))
        return changes

    def insert_on_wire(self, what: str, key: WireKey, pos: tuple[float, float]) -> None:
        """Put a node (an id, or a type id for a new one) on a wire and make room behind it."""
        scene, graph = self._scene, self._graph_id
        fresh = what not in scene.graph.nodes
        face = self._view.adding.face_of(what) if fresh else scene.nodes[what].face
        body = clear_of_source(scene, key, face.body.translated(*pos))
        places, rects = room_behind(scene, key, body, what)
        name, changes = commands.insert_on_wire(
            self._doc,
            graph,
            what,
            key,
            body.topLeft().toTuple(),
            routes=self._routes_around(key, body, places.get(key[0])),
        )
        changes = [
            *changes,
            *commands.move_nodes(self._doc, graph, places)[1],
            *self._move_dots(places),
        ]
        for frame_id, rect in rects.items():
            changes += commands.move_frame(self._doc, graph, frame_id, rect)[1]
        if self._push((name, changes)):
            if fresh:
                self._view.recent.note(what)
            self._select(added(changes) or [what])

    def _routes_around(
        self, key: WireKey, body: QRectF, target: tuple[float, float] | None
    ) -> tuple[list[curve.Point], list[curve.Point]]:
        """Dots of the two wires that a wire becomes when a node with this body is put on it.

        Those that the node would cover go; those behind it keep to the wire's end, which may be on
        its way to another place.
        """
        item = self._scene.wires[key]
        route = item.wire.route
        if not route:
            return [], []
        center = body.center()
        far = [curve.nearest(curve.polyline(c), center.x(), center.y())[0] for c in item.curves]
        at = far.index(min(far))
        dx = dy = 0.0
        if target is not None:
            before = self._scene.graph.nodes[key[0]].position
            dx, dy = target[0] - before[0], target[1] - before[1]
        covered = body.adjusted(-GRID, -GRID, GRID, GRID)
        into = [dot for dot in route[:at] if not covered.contains(*dot)]
        out = [(x + dx, y + dy) for x, y in route[at:]]
        return into, [dot for dot in out if not covered.contains(*dot)]

    # -- wires -------------------------------------------------------------------------------

    def connect(
        self, pairs: Sequence[tuple[End, End]], *, instead_of: Sequence[WireKey] = ()
    ) -> None:
        """Draw wires (source, target), taking away those that they replace."""
        changes: list[Change] = []
        gone = [k for k in instead_of if k in self._scene.graph.wires]
        taken = {target for _, target in pairs}
        changes += [RemoveWire(self._graph_id, k) for k in gone if k not in taken]
        for source, target in pairs:
            old = self._scene.graph.wires.get(target)
            if old is not None and (old.source, old.source_port) == source:
                continue
            changes += self._wire(source, target)
        self._push((Message("Connect"), changes))

    def disconnect(self, keys: Sequence[WireKey]) -> None:
        keys = [k for k in keys if k in self._scene.graph.wires]
        if keys:
            self._push(commands.disconnect(self._doc, self._graph_id, keys))

    def connect_in_order(self, ids: Iterable[str]) -> None:
        """Wire nodes from left to right, each to the next where that is allowed."""
        nodes = self._scene.graph.nodes
        order = sorted(ids, key=lambda n: (nodes[n].position[0], nodes[n].position[1]))
        pairs: list[tuple[End, End]] = []
        for before, after in pairwise(order):
            source = first_output(self._scene, before)
            if source is None:
                continue
            free = [
                (after, p)
                for p in self._scene.nodes[after].face.inputs
                if (after, p) not in self._scene.graph.wires
                and self._project.checker.refusal(*source, after, p) is None
            ]
            if free:
                pairs.append((source, free[0]))
        if pairs:
            self.connect(pairs)
        else:
            self._view.status_message.emit(tr("None of these can be connected in this order."))

    def add_dot(self, key: WireKey, pos: QPointF) -> None:
        """Put a dot on a wire, where it comes nearest to this place."""
        curves = self._scene.wires[key].curves
        near = [curve.nearest(curve.polyline(c), pos.x(), pos.y()) for c in curves]
        at = min(range(len(near)), key=lambda i: near[i][0])
        route, _ = self._with_dot(key, at, near[at][1])
        self._push(commands.set_route(self._doc, self._graph_id, key, route))

    def add_dots(self, keys: Iterable[WireKey]) -> dict[WireKey, int]:
        """Put a dot in the middle of each of these wires, as one step; which of its dots it is."""
        name, changes, places = Message("Reroute wire"), [], {}
        for key in sorted(keys):
            curves = self._scene.wires[key].curves
            longest = max(range(len(curves)), key=lambda i: _extent(curves[i]))
            middle = curve.point_at(curves[longest], 0.5)
            route, places[key] = self._with_dot(key, longest, middle)
            name, more = commands.set_route(self._doc, self._graph_id, key, route)
            changes += more
        return places if self._push((name, changes)) else {}

    def _with_dot(self, key: WireKey, at: int, dot: curve.Point) -> tuple[list[curve.Point], int]:
        """The dots of a wire with one more on one of its curves, and which of them it is.

        A wire without dots that leads back runs around nodes on its own; to stay there it gets
        dots at both ends of its long stretch, too.
        """
        item = self._scene.wires[key]
        route = list(item.wire.route)
        if not route and len(item.curves) > 1:
            back = max(item.curves, key=_extent)
            route = [back[0], back[3]]
            at = 0 if dot[0] > back[0][0] else 2 if dot[0] < back[3][0] else 1
        route.insert(at, dot)
        return route, at

    def move_dot(self, key: WireKey, dot: int, pos: QPointF) -> None:
        route = list(self._scene.graph.wires[key].route)
        route[dot] = (pos.x(), pos.y())
        self._push(commands.set_route(self._doc, self._graph_id, key, route))

    def remove_dot(self, key: WireKey, dot: int) -> None:
        route = list(self._scene.graph.wires[key].route)
        del route[dot]
        self._push(commands.set_route(self._doc, self._graph_id, key, route))

    # -- copying -----------------------------------------------------------------------------

    def copy(self, ids: Iterable[str], frames: Iterable[str] = ()) -> bool:
        """Put nodes and frames on the clipboard; False if there are none."""
        ids, frames = sorted(ids), sorted(frames)
        if not ids and not frames:
            return False
        text = commands.copy(self._doc, self._graph_id, ids, frames=frames)
        data = QMimeData()
        data.setText(text)
        data.setData(GRAPH_MIME, QByteArray(text.encode()))
        QGuiApplication.clipboard().setMimeData(data)
        return True

    def paste(self, pos: tuple[float, float], *, keep_inputs: bool = False) -> None:
        data = QGuiApplication.clipboard().mimeData()
        if data is None or not (data.hasFormat(GRAPH_MIME) or data.hasText()):
            return
        raw = (
            bytes(data.data(GRAPH_MIME).data()).decode("utf-8", "replace")
            if data.hasFormat(GRAPH_MIME)
            else data.text()
        )
        try:
            command = commands.paste(self._doc, self._graph_id, raw, pos, keep_inputs=keep_inputs)
        except commands.ClipboardError:  # any text may be on the clipboard
            self._view.status_message.emit(tr("The clipboard holds no nodes."))
            return
        if self._push(command):
            self._select(added(command[1]))

    def duplicate(self, ids: Iterable[str]) -> None:
        ids = sorted(ids)
        if ids:
            command = commands.duplicate(self._doc, self._graph_id, ids, (2.0 * GRID, 2.0 * GRID))
            if self._push(command):
                self._select(added(command[1]))

    # -- removing ----------------------------------------------------------------------------

    def delete(
        self,
        ids: Iterable[str],
        *,
        wires: Iterable[WireKey] = (),
        frames: Iterable[str] = (),
        heal: bool = False,
    ) -> None:
        ids, changes = sorted(ids), []
        name = Message("Delete")
        graph = self._scene.graph
        if ids:
            name, node_changes = commands.remove_nodes(self._doc, self._graph_id, ids, heal=heal)
            changes += node_changes
        gone = set(ids)
        loose = [
            k
            for k in wires
            if k in graph.wires and k[0] not in gone and graph.wires[k].source not in gone
        ]
        changes += [RemoveWire(self._graph_id, k) for k in loose]
        changes += [PutFrame(self._graph_id, f, None) for f in frames if f in graph.frames]
        self._push((name, changes))

    # -- moving ------------------------------------------------------------------------------

    def move(
        self,
        positions: Mapping[str, tuple[float, float]],
        frames: Mapping[str, QRectF] | None = None,
    ) -> None:
        """Place nodes and frames, in one step."""
        self._push(self._move_command(positions, frames or {}))

    def _move_command(
        self, positions: Mapping[str, tuple[float, float]], frames: Mapping[str, QRectF]
    ) -> tuple[Message, list[Change]]:
        name, changes = Message("Move frame"), []
        if positions:
            name, moved = commands.move_nodes(self._doc, self._graph_id, dict(positions))
            changes += [*moved, *self._move_dots(positions)]
        for frame_id, rect in frames.items():
            changes += commands.move_frame(self._doc, self._graph_id, frame_id, _tuple(rect))[1]
        return name, changes

    def _move_dots(self, positions: Mapping[str, tuple[float, float]]) -> list[Change]:
        """Dots go along where both ends of their wire go the same way."""
        changes: list[Change] = []
        nodes, wires = self._scene.graph.nodes, self._scene.graph.wires
        ways = {
            # rounded as places are: the same shift of two nodes differs in its last bits
            n: clean_position(x - nodes[n].position[0], y - nodes[n].position[1])
            for n, (x, y) in positions.items()
        }
        for key in sorted({k for n in ways for k in self._scene.wires_at(n)}):
            wire = wires[key]
            way = ways.get(wire.source)
            if wire.route and way is not None and way == ways.get(wire.target):
                route = [(x + way[0], y + way[1]) for x, y in wire.route]
                changes += commands.set_route(self._doc, self._graph_id, key, route)[1]
        return changes

    def nudge(self, ids: Iterable[str], dx: float, dy: float) -> None:
        """Move by keys: a burst of them is one step."""
        nodes = self._scene.graph.nodes
        positions = {n: (nodes[n].position[0] + dx, nodes[n].position[1] + dy) for n in ids}
        if positions:
            command = self._move_command(positions, {})
            self._push(command, merge=f"nudge-{self._burst}")
            self._burst_end.start()

    def nudge_dots(
        self, keys: Iterable[WireKey], dx: float, dy: float, *, only: int | None = None
    ) -> None:
        """Move the dots of wires by keys, or ``only`` one of them: a burst is one step."""
        name, changes = Message("Reroute wire"), []
        for key in sorted(keys):
            route = [
                (x + dx, y + dy) if only in (None, i) else (x, y)
                for i, (x, y) in enumerate(self._scene.graph.wires[key].route)
            ]
            name, more = commands.set_route(self._doc, self._graph_id, key, route)
            changes += more
        self._push((name, changes), merge=f"nudge-{self._burst}")
        self._burst_end.start()

    def _end_burst(self) -> None:
        self._burst_end.stop()
        self._burst += 1

    def align(self, ids: Iterable[str], side: str) -> None:
        """Line up one edge (``left``, ``right``, ``up``, ``down``) of several nodes."""
        rects = {n: self._scene.nodes[n].body_rect() for n in ids}
        if len(rects) < 2:
            return
        match side:
            case "left":
                x = min(r.left() for r in rects.values())
                to = {n: (x, r.top()) for n, r in rects.items()}
            case "right":
                x = max(r.right() for r in rects.values())
                to = {n: (x - r.width(), r.top()) for n, r in rects.items()}
            case "up":
                y = min(r.top() for r in rects.values())
                to = {n: (r.left(), y) for n, r in rects.items()}
            case _:
                y = max(r.bottom() for r in rects.values())
                to = {n: (r.left(), y - r.height()) for n, r in rects.items()}
        _, changes = commands.move_nodes(self._doc, self._graph_id, to)
        self._push((Message("Align"), changes))

    def layout(self, ids: Iterable[str] | None = None) -> None:
        """Arrange these nodes, or all, from left to right. The others stay where they are."""
        chosen = set(self._scene.nodes if ids is None else ids)
        if not chosen:
            return
        boxes = []
        for n in sorted(chosen):
            rect = self._scene.nodes[n].body_rect()
            boxes.append(Box(n, rect.left(), rect.top(), rect.width(), rect.height()))
        edges = [
            Edge(
                w.source,
                w.target,
                self._scene.nodes[w.source].face.port(w.source_port, True).y(),
                self._scene.nodes[w.target].face.port(w.target_port, False).y(),
            )
            for w in self._scene.graph.wires.values()
            if w.source in chosen and w.target in chosen
        ]
        others = [
            (r.left(), r.top(), r.width(), r.height())
            for n, item in self._scene.nodes.items()
            if n not in chosen
            for r in (item.body_rect(),)
        ]
        inside = {f: set(self._scene.children_of(f)) for f in self._scene.frames}
        positions = arrange(boxes, edges, obstacles=others, grid=float(GRID))
        _, changes = commands.move_nodes(self._doc, self._graph_id, positions)
        for wire in self._scene.graph.wires.values():
            if wire.route and {wire.source, wire.target} <= chosen:  # dots of the old drawing
                changes += commands.set_route(self._doc, self._graph_id, wire.key, ())[1]
        for frame_id, children in inside.items():
            if children & chosen:
                rects = []
                for n in children:
                    rect = QRectF(self._scene.nodes[n].body_rect())
                    if n in positions:
                        rect.moveTo(*positions[n])
                    rects.append(rect)
                rect = _tuple(frame_rect(rects))
                changes += commands.move_frame(self._doc, self._graph_id, frame_id, rect)[1]
        self._push((Message("Arrange"), changes))

    # -- fields ------------------------------------------------------------------------------

    def rename(self, node_id: str, label: str) -> None:
        self._push(commands.rename(self._doc, self._graph_id, node_id, label))

    def rename_frame(self, frame_id: str, title: str) -> None:
        frame = self._scene.graph.frames.get(frame_id)
        if frame is not None:
            self._push(commands.set_frame(self._doc, self._graph_id, frame_id, title=title))

    def toggle_bypass(self, ids: Iterable[str]) -> None:
        """Bypass all, or none if all are bypassed. Says why where a node cannot be bypassed."""
        nodes = self._scene.graph.nodes
        ids = sorted(ids)
        able = [n for n in ids if len(self._scene.nodes[n].face.inputs) >= 1]
        able = [n for n in able if len(self._scene.nodes[n].face.outputs) == 1]
        able = [n for n in able if _role(nodes[n].type) == "layer"]
        if len(able) < len(ids):
            label = nodes[next(n for n in ids if n not in able)].label
            self._view.status_message.emit(
                tr("“{node}” cannot be bypassed: it does not pass an input on.", node=label)
            )
        if able:
            value = not all(nodes[n].bypass for n in able)
            self._push(commands.set_fields(self._doc, self._graph_id, able, bypass=value))

    def set_color(self, ids: Iterable[str], color: str) -> None:
        ids = sorted(ids)
        if ids:
            self._push(commands.set_fields(self._doc, self._graph_id, ids, color=color))

    def frame_around(self, ids: Iterable[str]) -> str | None:
        """Draw a frame around nodes; its id."""
        rects = [self._scene.nodes[n].body_rect() for n in ids]
        if not rects:
            return None
        command = commands.add_frame(
            self._doc, self._graph_id, _tuple(frame_rect(rects)), title=tr("Frame")
        )
        if not self._push(command):
            return None
        return next(c.frame_id for c in command[1] if isinstance(c, PutFrame))

    # -- helpers -----------------------------------------------------------------------------

    def _select(self, ids: Iterable[str]) -> None:
        self._view.selecting.only(ids)

    def _reach(self, starts: Iterable[str], *, forward: bool) -> set[str]:
        return reach(self._scene, starts, forward=forward)

    def after(self, ids: Iterable[str]) -> tuple[list[End], QPointF]:
        """Outputs of these nodes, and a free place to the right of them."""
        nodes = sorted(ids, key=lambda n: self._scene.nodes[n].pos().y())
        ends = [e for n in nodes if (e := first_output(self._scene, n)) is not None]
        rects = [self._scene.nodes[n].body_rect() for n in nodes]
        right = max(r.right() for r in rects) + GAP
        top = rects[0].top() if len(rects) == 1 else sum(r.top() for r in rects) / len(rects)
        pos = snapped(QPointF(right, top))
        size = rects[0].size()
        while any(
            item.body_rect().adjusted(-GRID, -GRID, GRID, GRID).intersects(QRectF(pos, size))
            for item in self._scene.nodes.values()
        ):
            pos.setY(pos.y() + GRID * 2)
        return ends, pos


def added(changes: Iterable[Change]) -> list[str]:
    """Ids of the nodes that these changes add."""
    return [c.node.id for c in changes if isinstance(c, AddNode)]


def reach(scene: GraphScene, starts: Iterable[str], *, forward: bool) -> set[str]:
    """These nodes and all downstream (or upstream) of them."""
    seen, stack = set(starts), list(starts)
    while stack:
        node = stack.pop()
        for key in scene.wires_at(node):
            wire = scene.graph.wires[key]
            here, there = (wire.source, wire.target) if forward else (wire.target, wire.source)
            if here == node and there not in seen:
                seen.add(there)
                stack.append(there)
    return seen


def frame_rect(rects: Sequence[QRectF]) -> QRectF:
    """Rectangle of a frame around these bodies, with room for its title."""
    rect = QRectF()
    for r in rects:
        rect = rect.united(r)
    return rect.adjusted(-_FRAME_PAD, -2 * _FRAME_PAD, _FRAME_PAD, _FRAME_PAD)


def _tuple(rect: QRectF) -> tuple[float, float, float, float]:
    return (rect.left(), rect.top(), rect.width(), rect.height())


def _extent(c: curve.Cubic) -> float:
    return abs(c[3][0] - c[0][0]) + abs(c[3][1] - c[0][1])


def _role(type_id: str) -> str:
    cls = find_type(type_id)
    return cls.role if cls is not None else ""
