"""Freezes a checked graph: names for code and weights, bypassed nodes left out, order kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphstudio.document.model import Document, Wire
from graphstudio.ir.evaluate import NodeState
from graphstudio.ir.graph import Graph, IRNode, Source
from graphstudio.ir.names import base_name, unique_names
from graphstudio.ir.topology import Topology


def freeze(
    name: str,
    document: Document,
    order: Sequence[str],
    topology: Topology,
    states: Mapping[str, NodeState],
) -> Graph:
    """The nodes of ``order``, which have been checked without error, as an immutable graph."""
    kept = [n for n in order if not states[n].record.bypass]
    names = unique_names((n, _base_name(states[n])) for n in kept)
    nodes = tuple(_freeze_node(n, names[n], topology, states) for n in kept)
    return Graph(name, nodes, document.data, document.training)


def _base_name(state: NodeState) -> str:
    node = state.spec.node
    assert node is not None  # the graph has been checked
    return base_name(state.record.label, node.type_id, node.label)


def _freeze_node(
    node_id: str, name: str, topology: Topology, states: Mapping[str, NodeState]
) -> IRNode:
    state = states[node_id]
    node = state.spec.node
    assert node is not None  # the graph has been checked
    assert state.output_types is not None
    wires = topology.inputs[node_id]
    sources = tuple(
        _source(wires[p.name], topology, states) if p.name in wires else None
        for p in state.spec.inputs
    )
    return IRNode(
        node_id, name, state.record.label, node, sources, state.input_types, state.output_types
    )


def _source(wire: Wire, topology: Topology, states: Mapping[str, NodeState]) -> Source:
    """Where the wire's numbers come from, with bypassed nodes skipped."""
    state = states[wire.source]
    while state.record.bypass:
        wire = topology.inputs[wire.source][state.spec.inputs[0].name]
        state = states[wire.source]
    ports = [p.name for p in state.spec.outputs]
    return Source(wire.source, ports.index(wire.source_port))
