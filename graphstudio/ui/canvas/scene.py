"""The scene: keeps items in step with the document, the check and the selection."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from PySide6.QtCore import QPointF, QRectF, Qt, QTimer, Signal
from PySide6.QtWidgets import QGraphicsItem, QGraphicsScene

from graphstudio.document.model import ChangeSet, GraphRecord, Node
from graphstudio.ir.diagnostics import Diagnostic
from graphstudio.ir.result import CheckResult
from graphstudio.nodes.types import format_shape
from graphstudio.ui.canvas import curve
from graphstudio.ui.canvas.bulk import collector_paused
from graphstudio.ui.canvas.face import NodeFace
from graphstudio.ui.canvas.items import FrameItem, LabelLayer, NodeItem, WireItem
from graphstudio.ui.canvas.labels import LabelPlacer, box_of
from graphstudio.ui.canvas.node_paint import Shells
from graphstudio.ui.canvas.style import CanvasStyle

WireKey = tuple[str, str]
_LABEL_BUDGET_S = 0.006
_STUB = 26.0
"""How far a wire that runs back sticks out of its ports."""
_APART = 9.0
"""Between two wires that run back to the same node."""
_MANY = 200
"""Items from which the whole scene is painted anew rather than each of them."""


class GraphScene(QGraphicsScene):
    """Items of one graph, by id. Reads the document, never writes it."""

    content_changed = Signal()
    """Something moved, came, went or changed its size or colour: overview lists are stale."""
    marks_changed = Signal()
    """A badge came or went, or a wire changed its state."""

    def __init__(
        self, graph: GraphRecord, style: CanvasStyle, result: CheckResult, parent=None
    ) -> None:
        super().__init__(parent)
        self.graph = graph
        self.style_ = style
        self.shells = Shells()
        self.labels = LabelLayer()
        self.addItem(self.labels)
        self.nodes: dict[str, NodeItem] = {}
        self.wires: dict[WireKey, WireItem] = {}
        self.frames: dict[str, FrameItem] = {}
        self.selection: frozenset[str] = frozenset()
        self.result = result
        self.show_labels = True
        self._wires_at: defaultdict[str, set[WireKey]] = defaultdict(set)
        self._problems = self._sorted_problems(result)
        self._displaced: set[str] = set()
        self._touched = False
        """True if what ``content_changed`` tells of has happened."""
        self._placer = LabelPlacer()
        self._unplaced: dict[WireKey, None] = {}
        self._label_timer = QTimer(self, singleShot=True, interval=0)
        self._label_timer.timeout.connect(self._place_more)
        self._content: QRectF | None = None
        self.content_changed.connect(self._forget_content)
        self.load(graph)

    # -- following the document ------------------------------------------------------------

    def load(self, graph: GraphRecord) -> None:
        """Show this graph from scratch."""
        for item in [*self.wires.values(), *self.nodes.values(), *self.frames.values()]:
            self.removeItem(item)
        self.nodes.clear()
        self.wires.clear()
        self.frames.clear()
        self._wires_at.clear()
        self._placer.clear()
        self._unplaced.clear()
        self.graph = graph
        self._problems = self._sorted_problems(self.result)
        for wire in graph.wires.values():
            self._wires_at[wire.source].add(wire.key)
            self._wires_at[wire.target].add(wire.key)
        with collector_paused():
            for frame_id in graph.frames:
                self._sync_frame(frame_id)
            for node_id in graph.nodes:
                self._sync_node(node_id)
                self._note_links(self.nodes[node_id])
            for key in graph.wires:
                self._sync_wire(key)
        self._touched = True
        self._tell()

    def apply(self, changes: ChangeSet) -> None:
        """Follow one transaction."""
        here = self.graph.id
        nodes = {n for g, n in changes.nodes if g == here}
        moved = {n for g, n in changes.moved if g == here}
        wires = {w for g, w in changes.wires if g == here}
        frames = {f for g, f in changes.frames if g == here}
        if not (nodes or moved or wires or frames):
            return
        ends: set[str] = set()
        for key in wires:
            for wire in (self.graph.wires.get(key), getattr(self.wires.get(key), "wire", None)):
                if wire is not None:
                    ends |= {wire.source, wire.target}
            self._relink(key)
        for key in wires - self.graph.wires.keys():
            self._remove_wire(key)
        for node_id in nodes | moved | (ends & self.graph.nodes.keys()):
            self._sync_node(node_id)
        for node_id in nodes | ends:
            if (item := self.nodes.get(node_id)) is not None:
                self._note_links(item)
        for key in wires & self.graph.wires.keys():
            self._sync_wire(key)
        self._reroute_at(self._displaced)
        for node_id in self._displaced:  # their labels have left, so that few are in the way
            self._note_place(self.nodes[node_id])
        self._displaced.clear()
        for frame_id in frames:
            self._sync_frame(frame_id)
            self._touched = True
        self._tell()

    def _tell(self) -> None:
        if self._touched:
            self._touched = False
            self.content_changed.emit()

    def _sorted_problems(self, result: CheckResult) -> Mapping[str, tuple[Diagnostic, ...]]:
        problems: defaultdict[str, list[Diagnostic]] = defaultdict(list)
        for d in result.diagnostics:
            if d.node is not None and d.graph == self.graph.id:
                problems[d.node].append(d)
        return {n: tuple(ds) for n, ds in problems.items()}

    def apply_result(self, result: CheckResult) -> None:
        """Show a new check: shapes, counts, badges. Touches only what differs."""
        old, before = self.result.nodes, self._problems
        self.result, self._problems = result, self._sorted_problems(result)
        new, after = result.nodes, self._problems
        changed = []
        for node_id, item in self.nodes.items():
            was, now = old.get(node_id), new.get(node_id)
            if (was is not now and was != now) or before.get(node_id) != after.get(node_id):
                item.face.set_report(now, after.get(node_id, ()), self.style_)
                changed.append(node_id)
        wires = set().union(*(self._wires_at.get(n, ()) for n in changed))
        stale = [self.nodes[n] for n in changed]
        stale += [self.wires[key] for key in wires if self._label_wire(key)]
        if len(stale) > _MANY:
            self.update()
        else:
            for item in stale:
                item.update()
        if changed:
            self.marks_changed.emit()

    def select(self, node_ids: frozenset[str]) -> None:
        for node_id in self.selection ^ node_ids:
            item = self.nodes.get(node_id)
            if item is not None:
                item.state.selected = node_id in node_ids
                item.setZValue(3.0 if item.state.selected else 2.0)
                item.update()
        self.selection = node_ids

    def restyle(self, style: CanvasStyle) -> None:
        """Draw everything anew: the theme or the language has changed."""
        self.style_ = style
        self.shells.clear()
        for item in self.nodes.values():
            item.style = style
            self._refresh_face(item)
        for frame in self.frames.values():
            frame.style = style
            frame.update()
        for key, wire in self.wires.items():
            wire.style = style
            wire.label = None
            self._label_wire(key)
        self._touched = True
        self._tell()
        self.update()

    # -- reading -----------------------------------------------------------------------------

    def problems_of(self, node_id: str) -> tuple[Diagnostic, ...]:
        return self._problems.get(node_id, ())

    def wires_at(self, node_id: str) -> frozenset[WireKey]:
        """Keys of the wires that begin or end at a node."""
        return frozenset(self._wires_at.get(node_id, ()))

    def content_rect(self, node_ids: Iterable[str] | None = None) -> QRectF:
        """Rectangle around these nodes, or around everything."""
        if node_ids is None:
            if self._content is None:
                every = [i.body_rect() for i in (*self.nodes.values(), *self.frames.values())]
                self._content = around(every)
            return QRectF(self._content)
        return around([self.nodes[n].body_rect() for n in node_ids])

    def nodes_in(self, rect: QRectF) -> frozenset[str]:
        """Nodes whose body meets a rectangle."""
        found = self.items(rect, Qt.ItemSelectionMode.IntersectsItemBoundingRect)
        return frozenset(
            i.node.id for i in found if isinstance(i, NodeItem) and i.body_rect().intersects(rect)
        )

    def children_of(self, frame_id: str) -> list[str]:
        """Nodes that lie wholly inside a frame."""
        inside = self.frames[frame_id].body_rect()
        return [n for n, item in self.nodes.items() if inside.contains(item.body_rect())]

    # -- labels --------------------------------------------------------------------------------

    def place_labels(self, budget_s: float = _LABEL_BUDGET_S) -> None:
        """Give labels without a place one, for at most this long; the rest follows when idle."""
        if not self.show_labels:
            return
        stop = time.perf_counter() + budget_s
        while True:
            self._unplaced.update(dict.fromkeys(self._placer.hopeful()))  # type: ignore[arg-type]
            if not self._unplaced:
                return
            key = next(iter(self._unplaced))
            del self._unplaced[key]
            self._place(key)
            if time.perf_counter() > stop:
                self._label_timer.start()
                return

    def set_show_labels(self, show: bool) -> None:
        self.show_labels = show
        for key, wire in self.wires.items():
            if show:
                self._unplaced[key] = None
            else:
                self._placer.forget(key)
                wire.set_label_rect(None)
        self.update()

    def _place_more(self) -> None:
        self.place_labels()

    def _place(self, key: WireKey) -> None:
        wire = self.wires.get(key)
        if wire is None or wire.label is None:
            return
        width, height = wire.label.width + 14, wire.label.height + 3
        rect = self._placer.place(key, wire.curves, width, height)
        if rect != wire.label_rect:
            wire.set_label_rect(rect)
            wire.update()

    # -- keeping items in step -------------------------------------------------------------------

    def _forget_content(self) -> None:
        self._content = None

    def _relink(self, key: WireKey) -> None:
        shown = self.wires.get(key)
        if shown is not None:
            self._wires_at[shown.wire.source].discard(key)
            self._wires_at[shown.wire.target].discard(key)
        wire = self.graph.wires.get(key)
        if wire is not None:
            self._wires_at[wire.source].add(key)
            self._wires_at[wire.target].add(key)

    def _face(self, node: Node) -> NodeFace:
        wires = [w for k in self._wires_at.get(node.id, ()) if (w := self.graph.wires.get(k))]
        return NodeFace(
            node,
            self.style_,
            wires=wires,
            report=self.result.nodes.get(node.id),
            problems=self._problems.get(node.id, ()),
        )

    def _sync_node(self, node_id: str) -> None:
        node, item = self.graph.nodes.get(node_id), self.nodes.get(node_id)
        if node is None:
            if item is not None:
                self._touched = True
                del self.nodes[node_id]
                self._wires_at.pop(node_id, None)
                self._placer.drop_node(node_id)
                self._drop(item)
            return
        if item is None:
            item = self.nodes[node_id] = NodeItem(node, self._face(node), self.style_, self.shells)
            self.addItem(item)
            self._touched = True
            self._note_place(item)
        else:
            old, item.node = item.node, node
            if old.position != node.position or item.pos() != QPointF(*node.position):
                item.place(*node.position)
                self._displaced.add(node_id)
            if old is not node and not _only_moved(old, node):
                self._refresh_face(item)

    def _note_links(self, item: NodeItem) -> None:
        node_id = item.node.id
        linked = set()
        for key in self._wires_at.get(node_id, ()):
            wire = self.graph.wires.get(key)
            if wire is None:
                continue
            if wire.source == node_id:
                linked.add((wire.source_port, True))
            if wire.target == node_id:
                linked.add((wire.target_port, False))
        face = item.face
        missing = any(
            name not in (face.outputs if output else face.inputs) for name, output in linked
        )
        if missing or not face.known:
            self._refresh_face(item)
        if linked != item.state.connected:
            item.state.connected = frozenset(linked)
            item.update()

    def _note_place(self, item: NodeItem) -> None:
        box = box_of(item.body_rect())
        self._placer.put_node(item.node.id, box)
        for key in list(self._placer.labels.meeting(box)):
            self._unplaced[key] = None  # type: ignore[index]

    def _refresh_face(self, item: NodeItem) -> None:
        before = item.face
        item.set_face(self._face(item.node))
        if before.color != item.face.color or before.bypass != item.face.bypass:
            self._touched = True
        if (before.width, before.height) != (item.face.width, item.face.height):
            self._touched = True
            self._note_place(item)
            self._reroute_at([item.node.id])

    def _sync_wire(self, key: WireKey) -> None:
        wire, item = self.graph.wires[key], self.wires.get(key)
        if item is None:
            item = self.wires[key] = WireItem(wire, self.style_, self.labels)
            self._route(item)
            self.addItem(item)
        elif item.wire is not wire:
            item.wire = wire
            item.label = None
            self._route(item)
        if self._label_wire(key):
            item.update()
        self._unplaced[key] = None

    def _remove_wire(self, key: WireKey) -> None:
        item = self.wires.pop(key, None)
        if item is not None:
            self._touched = True
            self._placer.forget(key)
            self._unplaced.pop(key, None)
            self._drop(item)

    def _sync_frame(self, frame_id: str) -> None:
        frame, item = self.graph.frames.get(frame_id), self.frames.get(frame_id)
        if frame is None:
            if item is not None:
                self._drop(self.frames.pop(frame_id))
        elif item is None:
            item = self.frames[frame_id] = FrameItem(frame, self.style_)
            self.addItem(item)
        else:
            item.set_frame(frame)

    def _route(self, item: WireItem) -> None:
        self._touched = True
        source, target = self.nodes.get(item.wire.source), self.nodes.get(item.wire.target)
        if source is None or target is None:
            return
        a = source.port_pos(item.wire.source_port, True)
        b = target.port_pos(item.wire.target_port, False)
        start, end = (a.x(), a.y()), (b.x(), b.y())
        if item.wire.route or end[0] >= start[0]:
            item.route(curve.cubics([start, *item.wire.route, end]))
        else:
            number = list(target.face.inputs).index(item.wire.target_port)
            level = _level(source.body_rect(), target.body_rect()) + _APART * number
            item.route(curve.around(start, end, level, _STUB + _APART * number))
        self.labels.cover(item.boundingRect())

    def reroute(self, keys: Iterable[WireKey], *, labels: bool = True) -> None:
        """Lay wires anew between the ports as they are now."""
        keys = list(keys)
        for key in keys:
            item = self.wires.get(key)
            if item is None:
                continue
            self._placer.forget(key)
            self._route(item)
            if labels:
                self._unplaced[key] = None

    def _reroute_at(self, node_ids: Iterable[str]) -> None:
        self.reroute({k for n in node_ids for k in self._wires_at.get(n, ())})

    def _label_wire(self, key: WireKey) -> bool:
        """Read the state and the label of a wire again; True if it must be painted anew."""
        item = self.wires[key]
        wire = item.wire
        type_ = self.result.wire_type(wire)
        problems = self._problems.get(wire.target)
        refused = problems is not None and any(
            d.severity == "error" and d.port == wire.target_port for d in problems
        )
        state = "error" if refused else "unknown" if type_ is None else ""
        words = format_shape(type_.shape) if type_ is not None else ""
        changed = state != item.state
        item.state = state
        if (item.label.full if item.label else "") != words:
            item.label = self.style_.line(words, "label") if words else None
            self._placer.forget(key)
            item.set_label_rect(None)
            self._unplaced[key] = None
            changed = True
        return changed

    def _drop(self, item: QGraphicsItem) -> None:
        self.removeItem(item)


def around(rects: Sequence[QRectF]) -> QRectF:
    """Smallest rectangle that holds all of these."""
    if not rects:
        return QRectF()
    left, top = min(r.left() for r in rects), min(r.top() for r in rects)
    right, bottom = max(r.right() for r in rects), max(r.bottom() for r in rects)
    return QRectF(left, top, right - left, bottom - top)


def _level(source: QRectF, target: QRectF) -> float:
    """Height at which a wire runs back: between the two nodes, or below both."""
    if target.top() > source.bottom():
        return (source.bottom() + target.top()) / 2
    if source.top() > target.bottom():
        return (target.bottom() + source.top()) / 2
    return max(source.bottom(), target.bottom()) + _STUB


def _only_moved(a: Node, b: Node) -> bool:
    return (a.label, a.params, a.color, a.bypass, a.type) == (
        b.label,
        b.params,
        b.color,
        b.bypass,
        b.type,
    )
