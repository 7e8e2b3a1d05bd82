"""Which ports a drawn node has, also while its type is unknown or its parameters are wrong."""

from __future__ import annotations

from collections.abc import Iterable

from graphstudio.document.model import Node, Wire
from graphstudio.nodes.spec import NodeType, Port, build, find_type


def ports_of(
    node: Node, wires: Iterable[Wire] = ()
) -> tuple[type[NodeType] | None, NodeType | None, tuple[Port, ...], tuple[Port, ...]]:
    """Type, built node (None if it cannot be built), input ports and output ports.

    ``wires`` are those at the node: a port that only a wire knows (an unknown type, or a count of
    inputs that was lowered) is drawn too, so that no wire ends in the air.
    """
    cls = find_type(node.type)
    spec: NodeType | None = None
    inputs: list[Port] = []
    outputs: list[Port] = []
    if cls is not None:
        spec, _ = build(cls, node.params)
        shown = spec or _default(cls)
        if shown is not None:
            inputs, outputs = list(shown.input_ports()), list(shown.output_ports())
    known_in, known_out = {p.name for p in inputs}, {p.name for p in outputs}
    for wire in wires:
        if wire.target == node.id and wire.target_port not in known_in:
            known_in.add(wire.target_port)
            inputs.append(Port(wire.target_port, wire.target_port))
        if wire.source == node.id and wire.source_port not in known_out:
            known_out.add(wire.source_port)
            outputs.append(Port(wire.source_port, wire.source_port))
    return cls, spec, tuple(inputs), tuple(outputs)


def _default(cls: type[NodeType]) -> NodeType | None:
    try:
        return cls()
    except TypeError:  # a type with a parameter that has no default
        return None
