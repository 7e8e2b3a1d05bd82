"""Walks back from a faulty node: who made the dimension, and whose size could be changed."""

from __future__ import annotations

from collections.abc import Mapping

from graphstudio.document.model import GraphRecord
from graphstudio.ir.evaluate import NodeState
from graphstudio.ir.topology import Topology
from graphstudio.nodes.spec import find_type


def chain(
    node_id: str, port: str | None, topology: Topology, states: Mapping[str, NodeState]
) -> tuple[str, ...]:
    """Ids of the nodes that made the shape at a port, from its origin to the faulty node.

    The origin is the nearest node before that changed the shape, or an input.
    """
    path = [node_id]
    wire = topology.inputs[node_id].get(port or "")
    while wire is not None and wire.source not in path:
        path.append(wire.source)
        state = states[wire.source]
        if not _keeps_shape(state):
            break
        wire = topology.inputs[wire.source].get(state.spec.inputs[0].name)
    return tuple(reversed(path)) if len(path) > 1 else ()


def producer(graph: GraphRecord, node_id: str, port: str) -> str | None:
    """The node whose size parameter decides the number of features at a port, or None."""
    wire = graph.wires.get((node_id, port))
    seen: set[str] = set()
    while wire is not None and wire.source in graph.nodes and wire.source not in seen:
        seen.add(wire.source)
        record = graph.nodes[wire.source]
        cls = find_type(record.type)
        if cls is None:
            return None
        if cls.size_param is not None and not record.bypass:
            return record.id
        ports = cls().input_ports()
        # activations, normalisation and pooling pass the features on as they are
        if len(ports) != 1 or not (cls.keeps_shape or cls.category == "Pooling" or record.bypass):
            return None
        wire = graph.wires.get((record.id, ports[0].name))
    return None


def _keeps_shape(state: NodeState) -> bool:
    if not state.output_types or not state.input_types or state.input_types[0] is None:
        return False
    return state.output_types[0].shape == state.input_types[0].shape
