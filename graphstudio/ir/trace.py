"""Walks back from a faulty node: who made the dimension, and whose size could be changed."""

from __future__ import annotations

from collections.abc import Mapping

from graphstudio.ir.evaluate import NodeState
from graphstudio.ir.topology import Topology


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


def producer(
    node_id: str, port: str, topology: Topology, states: Mapping[str, NodeState]
) -> str | None:
    """The node whose size parameter decides the number of features at a port, or None."""
    wire = topology.inputs[node_id].get(port)
    seen: set[str] = set()
    while wire is not None and wire.source not in seen:
        seen.add(wire.source)
        state = states[wire.source]
        node = state.spec.node
        if node is None or len(state.spec.inputs) != 1:
            return None
        if node.size_param is not None and not state.record.bypass:
            return wire.source
        if not _keeps_features(state):
            return None
        wire = topology.inputs[wire.source].get(state.spec.inputs[0].name)
    return None


def _keeps_shape(state: NodeState) -> bool:
    if not state.output_types or not state.input_types or state.input_types[0] is None:
        return False
    return state.output_types[0].shape == state.input_types[0].shape


def _keeps_features(state: NodeState) -> bool:
    """True for nodes that pass axis 1 on as it is: activations, normalisation, pooling."""
    if not state.output_types or not state.input_types or state.input_types[0] is None:
        return False
    node = state.spec.node
    before, after = state.input_types[0].shape, state.output_types[0].shape
    if node is not None and node.keeps_shape:
        return True
    return node is not None and node.category == "Pooling" and before[1] == after[1]
