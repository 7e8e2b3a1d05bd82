"""Adding, deleting and moving nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from graphstudio.document.changes import AddNode, AddWire, Change, RemoveNode, RemoveWire, SetNode
from graphstudio.document.commands.base import (
    Command,
    Labels,
    clean_label,
    clean_position,
    fresh_id,
    ports_of,
    refused,
    titled,
    type_name,
)
from graphstudio.document.commands.project import forget_nodes
from graphstudio.document.model import Document, GraphRecord, Node, Wire
from graphstudio.nodes.spec import Port, find_type
from graphstudio.nodes.types import Message


def add_node(
    document: Document,
    graph: str,
    type_id: str,
    position: tuple[float, float],
    *,
    params: Mapping[str, Any] | None = None,
    label: str | None = None,
    connect_from: tuple[str, str] | None = None,
) -> Command:
    """Add a node, wired to a port of another if one is given.

    Parameters
    ----------
    connect_from : (str, str), optional
        Node id and port name. An output port feeds the new node; an input port is fed by it.
    """
    record = document.graph(graph)
    name = Message("Add {type}", {"type": type_name(type_id)})
    cls = find_type(type_id)
    if cls is None:
        return refused(name, Message("there is no node type '{type}'", {"type": type_id}))
    node = Node(
        id=fresh_id(document),
        type=cls.type_id,
        label=Labels(record).unique(clean_label(label or "") or cls.label),
        position=clean_position(*position),
        params=dict(params or {}),
    )
    changes: list[Change] = [AddNode(graph, node)]
    if connect_from is not None:
        changes += _connect_new(record, node, connect_from)
    return name, changes


def _connect_new(graph: GraphRecord, node: Node, end: tuple[str, str]) -> list[Change]:
    other = graph.nodes.get(end[0])
    if other is None:
        return []
    inputs, outputs = ports_of(node)
    other_inputs, other_outputs = ports_of(other)
    if any(p.name == end[1] for p in other_outputs):
        if not inputs:
            return []
        port = entry_port(other, inputs)
        wire = Wire(source=end[0], source_port=end[1], target=node.id, target_port=port.name)
        return [AddWire(graph.id, wire)]
    if any(p.name == end[1] for p in other_inputs) and outputs:
        wire = Wire(source=node.id, source_port=outputs[0].name, target=end[0], target_port=end[1])
        old: list[Change] = [RemoveWire(graph.id, wire.key)] if wire.key in graph.wires else []
        return [*old, AddWire(graph.id, wire)]
    return []


def entry_port(source: Node, inputs: tuple[Port, ...]) -> Port:
    """The input that a node would feed first: the target port for a Target, else the first."""
    cls = find_type(source.type)
    wanted = "target" if cls is not None and cls.role == "target" else inputs[0].name
    return next((p for p in inputs if p.name == wanted), inputs[0])


def remove_nodes(
    document: Document, graph: str, ids: Iterable[str], *, heal: bool = False
) -> Command:
    """Delete nodes with their wires.

    Parameters
    ----------
    heal : bool
        Join what fed a deleted node's first input to what it fed.
    """
    record = document.graph(graph)
    gone = [i for i in dict.fromkeys(ids) if i in record.nodes]
    name = titled("delete", record, gone)
    chosen = set(gone)
    cut = [w for w in record.wires.values() if w.source in chosen or w.target in chosen]
    changes: list[Change] = [RemoveWire(graph, w.key) for w in cut]
    changes += [RemoveNode(graph, i) for i in gone]
    if heal:
        origins = _Origins(record, chosen)
        for wire in cut:
            origin = None if wire.target in chosen else origins.of(wire)
            if origin is not None and wire.source in chosen:
                healed = Wire(
                    source=origin[0],
                    source_port=origin[1],
                    target=wire.target,
                    target_port=wire.target_port,
                )
                changes.append(AddWire(graph, healed))
    changes += forget_nodes(document, chosen)
    return name, changes


class _Origins:
    """Where numbers come from when nodes that are deleted are left out."""

    def __init__(self, graph: GraphRecord, gone: set[str]) -> None:
        self._graph, self._gone = graph, gone
        self._known: dict[str, tuple[str, str] | None] = {}

    def of(self, wire: Wire) -> tuple[str, str] | None:
        """Node and output port before a wire, back through the first inputs of deleted nodes."""
        passed: list[str] = []
        end: tuple[str, str] | None = (wire.source, wire.source_port)
        while end is not None and end[0] in self._gone:
            node = end[0]
            if node in self._known:
                end = self._known[node]
                break
            passed.append(node)
            inputs, _ = ports_of(self._graph.nodes[node])
            first = self._graph.wires.get((node, inputs[0].name)) if inputs else None
            end = (first.source, first.source_port) if first is not None else None
        self._known.update(dict.fromkeys(passed, end))
        return end


def move_nodes(
    document: Document, graph: str, positions: Mapping[str, tuple[float, float]]
) -> Command:
    """Put nodes at other places."""
    record = document.graph(graph)
    changes: list[Change] = []
    for node_id, position in positions.items():
        place = clean_position(*position)
        if node_id in record.nodes and record.nodes[node_id].position != place:
            changes.append(SetNode(graph, node_id, {"position": place}))
    return titled("move", record, positions), changes
