"""Turns a fix that a diagnostic offers into changes of the document."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from graphstudio.document import commands
from graphstudio.document.changes import AddWire, Change, Refuse, RemoveWire
from graphstudio.document.model import Document, GraphRecord, Wire
from graphstudio.ir import trace
from graphstudio.ir.diagnostics import Diagnostic
from graphstudio.nodes.spec import find_type
from graphstudio.nodes.types import (
    CutWire,
    FeedFrom,
    Fix,
    InsertNode,
    Message,
    SetParam,
    SetProducerSize,
    SkipProducer,
)


def fix_changes(
    document: Document,
    graph_id: str,
    diagnostic: Diagnostic,
    fix: Fix,
    params_for: Callable[[str], Mapping[str, Any]] = lambda _type_id: {},
) -> tuple[Message, list[Change]]:
    """The command that carries out one fix of a diagnostic; its name is the fix's title.

    If the graph has changed so much since the check that the fix has nothing to act on, carrying
    it out is refused with a sentence.

    Parameters
    ----------
    params_for : callable, optional
        Parameters that suit the data, for a new node that begins with a field of it.
    """
    graph = document.graph(graph_id)
    node_id = diagnostic.node
    if node_id is None or node_id not in graph.nodes:
        return fix.title, [Refuse(Message("the node is not there any more"))]
    if isinstance(fix, FeedFrom):
        changes = _feed(document, graph, node_id, fix, params_for(fix.type_id))
    else:
        changes = _ACTIONS[type(fix)](document, graph, node_id, fix)
    return fix.title, changes or [Refuse(Message("there is nothing left to mend here"))]


SPACING = 240.0
"""Scene units from the left edge of a node to that of the next one in a row."""
ROW = 120.0
"""Scene units from the top of a node to that of one below it."""


def _insert(document: Document, graph: GraphRecord, node_id: str, fix: InsertNode) -> list[Change]:
    """Put the new node between the ends of the wire, moving what is behind if there is no room."""
    wire = graph.wires.get((node_id, fix.port))
    if wire is None:
        return []
    source, target = graph.nodes[wire.source].position, graph.nodes[node_id].position
    missing = source[0] + 2 * SPACING - target[0]
    moved: dict[str, tuple[float, float]] = {}
    if missing > 0 and target[0] >= source[0]:
        moved = {
            n: (graph.nodes[n].position[0] + missing, graph.nodes[n].position[1])
            for n in _ahead(graph, node_id)
        }
        target = moved[node_id]
    places = [moved.get(n.id, n.position) for n in graph.nodes.values()]
    middle = _free_place((source[0] + target[0]) / 2, (source[1] + target[1]) / 2, places)
    into, out = commands.split_route(graph, wire, middle)
    if moved:
        out = tuple((x + missing, y) for x, y in out)
    _, changes = commands.insert_on_wire(
        document, graph.id, fix.type_id, wire.key, middle, params=fix.params, routes=(into, out)
    )
    changes = changes + commands.move_nodes(document, graph.id, moved)[1]
    for led in graph.wires.values():
        if led.route and {led.source, led.target} <= moved.keys():
            route = [(x + missing, y) for x, y in led.route]
            changes += commands.set_route(document, graph.id, led.key, route)[1]
    for frame_id, rect in _frames_around(graph, moved, missing, source[0]).items():
        changes += commands.move_frame(document, graph.id, frame_id, rect)[1]
    return changes


def _ahead(graph: GraphRecord, start: str) -> set[str]:
    """A node and what follows to its right; a wire that leads back begins another row."""
    found, pending = {start}, [start]
    while pending:
        node = pending.pop()
        for wire in graph.wires.leaving.get(node, {}).values():
            to_the_right = graph.nodes[wire.target].position[0] >= graph.nodes[node].position[0]
            if to_the_right and wire.target not in found:
                found.add(wire.target)
                pending.append(wire.target)
    return found


def _frames_around(
    graph: GraphRecord, moved: dict[str, tuple[float, float]], dx: float, from_x: float
) -> dict[str, tuple[float, float, float, float]]:
    """New rectangles of the frames around nodes that are moved right: they move along or grow."""
    found = {}
    for frame in graph.frames.values():
        left, top, width, height = frame.rect
        inside = {
            node.id
            for node in graph.nodes.values()
            if 0 <= node.position[0] - left < width and 0 <= node.position[1] - top < height
        }
        if inside and inside <= moved.keys() and left > from_x:
            found[frame.id] = (left + dx, top, width, height)
        elif inside & moved.keys():
            found[frame.id] = (left, top, width + dx, height)
    return found


def _free_place(x: float, y: float, places: list[tuple[float, float]]) -> tuple[float, float]:
    """``(x, y)``, or the nearest place below it where no node lies."""
    near = [top for left, top in places if abs(left - x) < SPACING * 0.9]
    while any(abs(top - y) < ROW * 0.9 for top in near):
        y += ROW / 2
    return x, y


def _set_param(document: Document, graph: GraphRecord, node_id: str, fix: SetParam) -> list[Change]:
    return commands.set_param(document, graph.id, [node_id], fix.name, fix.value)[1]


def _set_producer(
    document: Document, graph: GraphRecord, node_id: str, fix: SetProducerSize
) -> list[Change]:
    producer = trace.producer(graph, node_id, fix.port)
    if producer is None:
        return []
    cls = find_type(graph.nodes[producer].type)
    if cls is None or cls.size_param is None:
        return []
    return commands.set_param(document, graph.id, [producer], cls.size_param, fix.size)[1]


def _skip(document: Document, graph: GraphRecord, node_id: str, fix: SkipProducer) -> list[Change]:
    wire = graph.wires.get((node_id, fix.port))
    cls = find_type(graph.nodes[wire.source].type) if wire is not None else None
    if wire is None or cls is None or not cls().input_ports():
        return []
    before = graph.wires.get((wire.source, cls().input_ports()[0].name))
    if before is None:
        return []
    direct = Wire(
        source=before.source,
        source_port=before.source_port,
        target=node_id,
        target_port=fix.port,
    )
    return [RemoveWire(graph.id, wire.key), AddWire(graph.id, direct)]


def _cut(document: Document, graph: GraphRecord, node_id: str, fix: CutWire) -> list[Change]:
    return commands.disconnect(document, graph.id, [(node_id, fix.port)])[1]


def _feed(
    document: Document,
    graph: GraphRecord,
    node_id: str,
    fix: FeedFrom,
    params: Mapping[str, Any],
) -> list[Change]:
    """Wire the nearest node of the type, or a new one below what feeds the node already."""
    if (node_id, fix.port) in graph.wires:
        return []
    here = graph.nodes[node_id].position
    known = [n for n in graph.nodes.values() if n.type == fix.type_id]
    if known:
        source = min(known, key=lambda n: (math.dist(n.position, here), n.id)).id
        cls = find_type(fix.type_id)
        port = cls().output_ports()[0].name if cls is not None else ""
        return commands.connect(document, graph.id, source, port, node_id, fix.port)[1]
    others = [w.source for w in graph.wires.values() if w.target == node_id]
    x = graph.nodes[others[0]].position[0] if others else here[0] - SPACING
    places = [n.position for n in graph.nodes.values()]
    place = _free_place(min(x, here[0] - SPACING), here[1] + ROW, places)
    _, changes = commands.add_node(
        document, graph.id, fix.type_id, place, params=params, connect_from=(node_id, fix.port)
    )
    return changes


_ACTIONS: dict[type, Callable[[Document, GraphRecord, str, Any], list[Change]]] = {
    InsertNode: _insert,
    SetParam: _set_param,
    SetProducerSize: _set_producer,
    SkipProducer: _skip,
    CutWire: _cut,
}
