"""Checks one node: parameters, wires, data, shapes. What comes out depends on nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphstudio.document.model import Node, Wire
from graphstudio.ir.datacheck import DataView, input_problems
from graphstudio.ir.diagnostics import Diagnostic
from graphstudio.ir.result import NodeReport
from graphstudio.nodes.spec import NodeType, Port, build, find_type, params_of
from graphstudio.nodes.types import (
    CutWire,
    FeedFrom,
    Fix,
    Message,
    SetParam,
    ShapeError,
    TensorType,
)

Cause = tuple[str, str]
"""Id and label of a node at fault, because of which another cannot be checked."""

BLOCK_PREFIX = "block."
TARGET = "io.target"
NO_REPORT = NodeReport()


@dataclass(frozen=True)
class Spec:
    """A node's type made with its parameters, or why it cannot be made."""

    node: NodeType | None
    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = ()
    problems: tuple[Diagnostic, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()
    role: str = ""
    """The node's role; empty if it cannot be made."""
    trainable: bool = False
    """True for types that have weights."""


@dataclass(slots=True)
class NodeState:
    """What is known of a node after it has been evaluated. Replaced as a whole, never changed.

    Not frozen, because making a frozen one costs three times as much and an edit at the top of a
    large graph makes a thousand.
    """

    record: Node
    spec: Spec
    input_types: tuple[TensorType | None, ...] = ()
    output_types: tuple[TensorType, ...] | None = None
    cause: Cause | None = None
    """The node at fault: this one, or one before it. None if all is well."""
    diagnostics: tuple[Diagnostic, ...] = ()
    report: NodeReport = NO_REPORT


def make_spec(record: Node) -> Spec:
    """Find the node's type and make it with the record's parameters."""
    cls = find_type(record.type)
    if cls is None:
        return Spec(None, problems=(_unknown_type(record),))
    known = {p.name for p in params_of(cls)}
    warnings = tuple(
        Diagnostic(
            code="unknown-param",
            severity="warning",
            node=record.id,
            param=name,
            message=Message(
                "'{node}' has a parameter '{param}' that {type} does not know; it is kept but has "
                "no effect",
                {"node": record.label, "param": name, "type": Message(cls.label)},
            ),
        )
        for name in record.params
        if name not in known
    )
    node, problems = build(cls, record.params)
    if node is None:
        found = tuple(
            Diagnostic(
                code="param",
                severity="error",
                node=record.id,
                param=name or None,
                message=about(record, problem),
                fixes=_reset(cls, name),
            )
            for name, problem in problems
        )
        # ports of the default, so that existing wires are not called wrong as well
        plain = cls()
        return Spec(None, plain.input_ports(), plain.output_ports(), found, warnings)
    trainable = cls.parameters is not NodeType.parameters
    inputs, outputs = node.input_ports(), node.output_ports()
    return Spec(node, inputs, outputs, (), warnings, node.role, trainable)


def about(record: Node, problem: Message) -> Message:
    """A problem with the node's label in front."""
    return Message("'{node}': {problem}", {"node": record.label, "problem": problem})


def _unknown_type(record: Node) -> Diagnostic:
    if record.type.startswith(BLOCK_PREFIX):
        message = Message(
            "'{node}' is an instance of a block; blocks cannot be checked or trained yet",
            {"node": record.label},
        )
        hint = Message("Draw the nodes of the block in the main graph.")
    else:
        message = Message(
            "'{node}' has the type '{type}', which this version does not know",
            {"node": record.label, "type": record.type},
        )
        hint = Message("Open the project with a newer version, or replace the node.")
    return Diagnostic(
        code="unknown-type", severity="error", node=record.id, message=message, hint=hint
    )


def _reset(cls: type[NodeType], name: str) -> tuple[SetParam, ...]:
    spec = next((p for p in params_of(cls) if p.name == name), None)
    if spec is None:
        return ()
    title = Message(
        "Set '{param}' back to {value}", {"param": Message(spec.label), "value": spec.default}
    )
    return (SetParam(title, name, spec.default),)


def evaluate(
    record: Node,
    spec: Spec,
    wires: Mapping[str, Wire],
    states: Mapping[str, NodeState],
    data: DataView,
    *,
    connected: bool,
) -> NodeState:
    """Check one node whose sources have been checked.

    Parameters
    ----------
    wires : mapping
        Input port name to the wire that enters it.
    connected : bool
        False for a node without any wire: it is left out of the model, which is a warning.
    """
    if spec.problems:
        return NodeState(
            record,
            spec,
            cause=(record.id, record.label),
            diagnostics=(*spec.problems, *spec.warnings),
        )
    node = spec.node
    assert node is not None  # a spec without a node has problems
    if not connected:
        return _unconnected(record, spec, node)
    plain = _plain_inputs(spec, wires, states)
    if plain is not None:
        inputs, cause = plain
    else:
        inputs, problems, cause = _gather(record, spec, wires, states)
        if problems:
            return NodeState(
                record,
                spec,
                inputs,
                cause=(record.id, record.label),
                diagnostics=(*problems, *spec.warnings),
            )
    if cause is not None:
        blocked = Diagnostic(
            code="blocked",
            severity="blocked",
            node=record.id,
            message=Message(
                "'{node}' cannot be checked until '{cause}' is right",
                {"node": record.label, "cause": cause[1]},
            ),
        )
        return NodeState(record, spec, inputs, cause=cause, diagnostics=(blocked, *spec.warnings))
    return _infer(record, spec, node, inputs, data)


def _infer(
    record: Node,
    spec: Spec,
    node: NodeType,
    inputs: tuple[Any, ...],
    data: DataView,
) -> NodeState:
    try:
        outputs = node.infer(*inputs)
    except ShapeError as error:
        found = from_shape_error(record, spec, error)
        return NodeState(
            record,
            spec,
            inputs,
            cause=(record.id, record.label),
            diagnostics=(found, *spec.warnings),
        )
    output_types: tuple[TensorType, ...] = outputs if isinstance(outputs, tuple) else (outputs,)
    diagnostics = spec.warnings
    if len(output_types) == 1:
        by_port = {spec.outputs[0].name: output_types[0]}
    else:
        by_port = {p.name: t for p, t in zip(spec.outputs, output_types, strict=True)}
    if record.bypass:
        if node.role != "layer" or len(output_types) != 1 or output_types[0] != inputs[0]:
            refused = _bypass_refused(record, node, inputs, output_types)
            return NodeState(
                record,
                spec,
                inputs,
                cause=(record.id, record.label),
                diagnostics=(refused, *diagnostics),
            )
        return NodeState(record, spec, inputs, output_types, None, diagnostics, NodeReport(by_port))
    if spec.role == "input" or spec.role == "target":
        diagnostics = (*input_problems(record, node, output_types[0], data), *diagnostics)
    report = NodeReport(by_port, inputs, node)
    return NodeState(record, spec, inputs, output_types, None, diagnostics, report)


def from_shape_error(record: Node, spec: Spec, error: ShapeError) -> Diagnostic:
    """A shape rule's complaint as a diagnostic on the node."""
    port = error.port or (spec.inputs[0].name if spec.inputs else None)
    return Diagnostic(
        code=error.code,
        severity="error",
        node=record.id,
        port=port,
        message=about(record, error.message),
        hint=error.hint,
        fixes=error.fixes,
    )


def _bypass_refused(record: Node, node: NodeType, inputs: Any, outputs: Any) -> Diagnostic:
    if node.role == "layer" and inputs and len(outputs) == 1:
        message = Message(
            "'{node}' cannot be bypassed: it turns {input} into {output}, so what follows would "
            "get another shape",
            {"node": record.label, "input": inputs[0], "output": outputs[0]},
        )
    else:
        message = Message(
            "'{node}' cannot be bypassed: there is nothing that could pass through it",
            {"node": record.label},
        )
    return Diagnostic(
        code="bypass",
        severity="error",
        node=record.id,
        message=message,
        hint=Message("Switch its bypass off."),
    )


def _unconnected(record: Node, spec: Spec, node: NodeType) -> NodeState:
    lonely = Diagnostic(
        code="unconnected",
        severity="warning",
        node=record.id,
        message=Message(
            "'{node}' has no wires and is left out of the model", {"node": record.label}
        ),
    )
    diagnostics = (lonely, *spec.warnings)
    if spec.inputs:
        return NodeState(record, spec, (None,) * len(spec.inputs), None, None, diagnostics)
    output = node.infer()
    report = NodeReport({spec.outputs[0].name: output}, (), node)
    return NodeState(record, spec, (), (output,), None, diagnostics, report)


def _plain_inputs(
    spec: Spec, wires: Mapping[str, Wire], states: Mapping[str, NodeState]
) -> tuple[tuple[TensorType | None, ...], Cause | None] | None:
    """Input types of a layer and the first node at fault before it, if all its wires are right.

    ``_gather`` would find the same; this keeps an edit that reaches all of 1,000 nodes short.
    """
    ports = spec.inputs
    if spec.role != "layer" or len(wires) != len(ports):
        return None
    cause: Cause | None = None
    types: list[TensorType | None] = []
    for port in ports:
        wire = wires.get(port.name)
        if wire is None:
            return None
        source = states[wire.source]
        role = source.spec.role
        if role != "layer" and role != "input":
            return None
        if source.output_types is None:
            types.append(None)
            cause = cause or source.cause
            continue
        found = source.report.output_types.get(wire.source_port)
        if found is None:
            return None
        types.append(found)
    return tuple(types), cause


def _gather(
    record: Node, spec: Spec, wires: Mapping[str, Wire], states: Mapping[str, NodeState]
) -> tuple[tuple[TensorType | None, ...], list[Diagnostic], Cause | None]:
    """Types of all inputs, what is wrong with the wires, and the first node at fault before."""
    problems: list[Diagnostic] = []
    cause: Cause | None = None
    types: list[TensorType | None] = []
    for port in spec.inputs:
        wire = wires.get(port.name)
        if wire is None:
            types.append(None)
            if not port.optional:
                problems.append(_missing_input(record, port))
            continue
        source = states[wire.source]
        problem = role_problem(source, record, spec, port.name)
        if problem is not None:
            types.append(None)
            problems.append(_bad_wire(record, port.name, problem, "role"))
        elif source.output_types is None:
            types.append(None)
            cause = cause or source.cause
        else:
            types.append(source.report.output_types.get(wire.source_port))
            if types[-1] is None:
                problems.append(_no_output(record, port.name, source, wire))
    if len(wires) > len(types) - types.count(None):
        names = {p.name for p in spec.inputs}
        problems += [
            _bad_wire(
                record,
                name,
                Message("'{node}' has no input '{port}'", {"node": record.label, "port": name}),
                "unknown-port",
            )
            for name in sorted(wires)
            if name not in names
        ]
    return tuple(types), problems, cause


def _no_output(record: Node, port: str, source: NodeState, wire: Wire) -> Diagnostic:
    names = {"node": source.record.label, "port": wire.source_port}
    return _bad_wire(
        record, port, Message("'{node}' has no output '{port}'", names), "unknown-port"
    )


def _missing_input(record: Node, port: Port) -> Diagnostic:
    hint = Message("Draw a wire from another node's output to it.")
    fixes: tuple[Fix, ...] = ()
    if port.name == "target":  # of a loss or a metric: hardly anything else can feed it
        hint = Message("Add a Target node and draw a wire from it.")
        fixes = (FeedFrom(Message("Wire a Target"), port.name, TARGET),)
    return Diagnostic(
        code="missing-input",
        severity="error",
        node=record.id,
        port=port.name,
        message=Message(
            "nothing is wired to the input '{port}' of '{node}'",
            {"node": record.label, "port": Message(port.label)},
        ),
        hint=hint,
        fixes=fixes,
    )


def _bad_wire(record: Node, port: str, problem: Message, code: str) -> Diagnostic:
    return Diagnostic(
        code=code,
        severity="error",
        node=record.id,
        port=port,
        message=problem,
        fixes=(CutWire(Message("Remove the wire"), port),),
    )


def role_problem(source: NodeState, target: Node, spec: Spec, port: str) -> Message | None:
    """Why this kind of output cannot feed this kind of input, whatever the shapes, or None."""
    given = source.spec.role
    if spec.role == "layer" and (given == "layer" or given == "input"):
        return None
    giver, taker = source.spec.node, spec.node
    if giver is None or taker is None:
        return None
    names = {"source": source.record.label, "target": target.label}
    if giver.role in ("loss", "metric"):
        return Message(
            "'{source}' gives a number that is watched; it cannot feed '{target}'", names
        )
    if taker.role in ("loss", "metric"):
        if port == "target" and giver.role == "layer":
            return Message(
                "the target of '{target}' must come from a Target or an Input node, not from the "
                "layer '{source}'",
                names,
            )
        if port == "prediction" and giver.role != "layer":
            return Message(
                "the prediction of '{target}' must come from a layer, not directly from '{source}'",
                names,
            )
        return None
    if giver.role == "target":
        return Message(
            "'{source}' holds the right answers; it can feed losses and metrics, not the layer "
            "'{target}'",
            names,
        )
    return None
