"""Whether a wire could be drawn, and what would be wrong with it: for the gesture that draws it."""

from __future__ import annotations

from collections.abc import Mapping

from graphstudio.document.model import Wire
from graphstudio.ir.evaluate import NodeState, about, role_problem
from graphstudio.ir.topology import Topology
from graphstudio.nodes.types import Message, ShapeError, TensorType

States = Mapping[str, NodeState]
End = tuple[str, str]
"""Node id and port name."""

_SAME_NODE = Message("a node cannot feed itself")


def refusal(source: End, target: End, topology: Topology, states: States) -> Message | None:
    """Why the document or the kinds of the nodes forbid this wire, or None. Shapes may not fit."""
    giver, taker = states.get(source[0]), states.get(target[0])
    if giver is None or taker is None:
        return Message("one of the two nodes does not exist")
    if not _has(giver.spec.outputs, source[1]):
        return _no_port(giver, source[1])
    if not _has(taker.spec.inputs, target[1]):
        return _no_port(taker, target[1])
    if source[0] == target[0]:
        return _SAME_NODE
    if source[0] in topology.reach([target[0]], forward=True):
        return _cycle(giver, taker)
    return role_problem(giver, taker.record, taker.spec, target[1])


def legal_targets(source: End, topology: Topology, states: States) -> set[End]:
    """The input ports of all nodes that this output may feed; of the others ``refusal`` says why.

    It is asked of the whole graph as a wire is taken up, so nothing is said where nobody looks.
    """
    giver = states.get(source[0])
    if giver is None:
        return set()
    easy = giver.spec.role in ("layer", "input")
    found = set()
    before = topology.reach([source[0]], forward=False)
    for node_id, taker in states.items():
        if node_id in before:
            continue
        if easy and taker.spec.role == "layer":
            for port in taker.spec.inputs:
                found.add((node_id, port.name))
            continue
        for port in taker.spec.inputs:
            if role_problem(giver, taker.record, taker.spec, port.name) is None:
                found.add((node_id, port.name))
    return found


def legal_sources(target: End, topology: Topology, states: States) -> set[End]:
    """The output ports of all nodes that may feed this input; see ``legal_targets``."""
    taker = states.get(target[0])
    if taker is None:
        return set()
    easy = taker.spec.role == "layer"
    found = set()
    behind = topology.reach([target[0]], forward=True)
    for node_id, giver in states.items():
        if node_id in behind:
            continue
        kind_fits = easy and giver.spec.role == "layer"
        if kind_fits or role_problem(giver, taker.record, taker.spec, target[1]) is None:
            for port in giver.spec.outputs:
                found.add((node_id, port.name))
    return found


def concern(
    source: End,
    target: End,
    topology: Topology,
    states: States,
) -> Message | None:
    """What would be wrong with the shapes if this wire were drawn, or None as far as is known.

    The wire may be drawn all the same: the checker then offers to mend it.
    """
    giver, taker = states.get(source[0]), states.get(target[0])
    if giver is None or taker is None or giver.output_types is None or taker.spec.node is None:
        return None
    ports = [p.name for p in giver.spec.outputs]
    if source[1] not in ports:
        return None
    given = giver.output_types[ports.index(source[1])]
    wires: dict[str, Wire] = topology.inputs[target[0]]
    types: list[TensorType | None] = []
    for port in taker.spec.inputs:
        wire = wires.get(port.name)
        if port.name == target[1]:
            types.append(given)
        elif wire is not None and (known := _type_of(wire, states)) is not None:
            types.append(known)
        elif port.optional:
            types.append(None)
        else:
            return None  # another input is still open: nothing is known yet
    try:
        taker.spec.node.infer(*types)
    except ShapeError as error:
        message = about(taker.record, error.message)
        if error.hint is None:
            return message
        return Message("{problem}. {hint}", {"problem": message, "hint": error.hint})
    return None


def _type_of(wire: Wire, states: States) -> TensorType | None:
    state = states.get(wire.source)
    return state.report.output_types.get(wire.source_port) if state is not None else None


def _has(ports: tuple[object, ...], name: str) -> bool:
    return any(getattr(p, "name", None) == name for p in ports)


def _no_port(state: NodeState, port: str) -> Message:
    return Message("'{node}' has no port '{port}'", {"node": state.record.label, "port": port})


def _cycle(giver: NodeState, taker: NodeState) -> Message:
    return Message(
        "a wire from '{source}' to '{target}' would close a cycle: '{source}' already depends on "
        "'{target}'",
        {"source": giver.record.label, "target": taker.record.label},
    )
