"""Connecting, disconnecting, and putting a node on a wire."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from graphstudio.document.changes import AddNode, AddWire, Change, RemoveWire, SetNode
from graphstudio.document.commands.base import Command, clean_position, ports_of, refused
from graphstudio.document.commands.nodes import add_node, entry_port
from graphstudio.document.limits import MAX_DOTS, too_many_dots
from graphstudio.document.model import Document, GraphRecord, Node, Wire
from graphstudio.nodes.types import Message

Key = tuple[str, str]
"""Target node id and its port: one wire an input."""
Point = tuple[float, float]


def connect(
    document: Document, graph: str, source: str, source_port: str, target: str, target_port: str
) -> Command:
    """Draw a wire; one that enters the same input already is replaced."""
    record = document.graph(graph)
    wire = Wire(source=source, source_port=source_port, target=target, target_port=target_port)
    name = Message("Connect")
    if source in record.nodes and target in record.nodes:
        name = Message(
            "Connect '{source}' to '{target}'",
            {"source": record.nodes[source].label, "target": record.nodes[target].label},
        )
    changes: list[Change] = []
    if (old := record.wires.get(wire.key)) is not None:
        if (old.source, old.source_port) == (source, source_port):
            return name, []
        changes.append(RemoveWire(graph, wire.key))
    return name, [*changes, AddWire(graph, wire)]


def disconnect(document: Document, graph: str, keys: Iterable[Key]) -> Command:
    """Remove wires; keys without a wire are passed over."""
    record = document.graph(graph)
    found = [k for k in dict.fromkeys(keys) if k in record.wires]
    name = (
        Message("Delete wire")
        if len(found) == 1
        else Message("Delete {count} wires", {"count": len(found)})
    )
    return name, [RemoveWire(graph, k) for k in found]


def set_route(
    document: Document, graph: str, key: Key, points: Iterable[tuple[float, float]]
) -> Command:
    """Lead a wire over other reroute dots."""
    name = Message("Reroute wire")
    wire = document.graph(graph).wires.get(key)
    route = tuple(clean_position(x, y) for x, y in points)
    if wire is None or wire.route == route:
        return name, []
    if len(route) > MAX_DOTS:
        return refused(name, too_many_dots(len(route)))
    moved = dataclasses.replace(wire, route=route)
    return name, [RemoveWire(graph, key), AddWire(graph, moved)]


def insert_on_wire(
    document: Document,
    graph: str,
    node: str,
    wire_key: Key,
    position: tuple[float, float],
    *,
    params: Mapping[str, Any] | None = None,
    routes: tuple[Iterable[Point], Iterable[Point]] | None = None,
) -> Command:
    """Put a node between the two ends of a wire.

    Parameters
    ----------
    node : str
        Id of a node of the graph, which then moves there, or a type id, of which one is added.
    routes : (points, points), optional
        Reroute dots of the wires into the node and out of it. By default those of the wire, split
        where it comes nearest to ``position``.
    """
    record = document.graph(graph)
    name = Message("Insert on wire")
    wire = record.wires.get(wire_key)
    if wire is None:
        return refused(name, Message("the wire is not there any more"))
    changes: list[Change]
    if node in record.nodes:
        inserted = record.nodes[node]
        place = clean_position(*position)
        changes = [SetNode(graph, node, {"position": place})] if inserted.position != place else []
    else:
        _, changes = add_node(document, graph, node, position, params=params)
        if not isinstance(changes[0], AddNode):
            return name, changes
        inserted = changes[0].node
    inputs, outputs = ports_of(inserted)
    if not inputs or not outputs or inserted.id in (wire.source, wire.target):
        return refused(
            name, Message("'{node}' cannot be put on this wire", {"node": inserted.label})
        )
    into, out = routes if routes is not None else split_route(record, wire, position)
    before = Wire(
        source=wire.source,
        source_port=wire.source_port,
        target=inserted.id,
        target_port=entry_port(record.nodes[wire.source], inputs).name,
        route=tuple(clean_position(x, y) for x, y in into),
    )
    after = Wire(
        source=inserted.id,
        source_port=outputs[0].name,
        target=wire.target,
        target_port=wire.target_port,
        route=tuple(clean_position(x, y) for x, y in out),
    )
    changes.append(RemoveWire(graph, wire.key))
    if before.key in record.wires:
        changes.append(RemoveWire(graph, before.key))
    changes += [AddWire(graph, before), AddWire(graph, after)]
    return _inserted_name(inserted), changes


def split_route(
    graph: GraphRecord, wire: Wire, place: Point
) -> tuple[tuple[Point, ...], tuple[Point, ...]]:
    """The reroute dots of a wire before and behind a place, in the order in which it runs."""
    ends = graph.nodes[wire.source].position, graph.nodes[wire.target].position
    legs = pairwise((ends[0], *wire.route, ends[1]))
    far = [_distance(place, a, b) for a, b in legs]
    at = far.index(min(far))
    return wire.route[:at], wire.route[at:]


def _distance(place: Point, a: Point, b: Point) -> float:
    """From a place to the stretch between two others."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    length = dx * dx + dy * dy
    t = ((place[0] - a[0]) * dx + (place[1] - a[1]) * dy) / length if length else 0.0
    t = min(max(t, 0.0), 1.0)
    return math.dist(place, (a[0] + t * dx, a[1] + t * dy))


def _inserted_name(node: Node) -> Message:
    return Message("Insert '{node}' on a wire", {"node": node.label})
