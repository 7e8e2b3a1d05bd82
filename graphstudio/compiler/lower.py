"""Lowers a checked graph to a plan of the engine."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, cast

import engine
from engine.plan import Plan, PlanBuilder, PlanValue
from graphstudio.document.model import Phase
from graphstudio.ir.graph import Graph, IRNode
from graphstudio.nodes.optimizers import optimizers
from graphstudio.nodes.spec import Value, params_of
from graphstudio.nodes.types import DType, Message, TensorType


class CompileError(Exception):
    """A graph that passed the check cannot be compiled; ``node`` is the id of the node at fault."""

    def __init__(self, message: Message, node: str = "") -> None:
        self.message = message
        self.node = node
        super().__init__(str(message))


@dataclass(frozen=True)
class PlannedValue:
    """A value of the plan together with its type in the graph's words."""

    value: PlanValue
    type: TensorType


class NodeBuilder:
    """What a node's ``lower`` sees of the plan: names are local to the node."""

    def __init__(self, plan: PlanBuilder, name: str) -> None:
        self._plan = plan
        self._name = name
        self.parameters: list[str] = []
        """Full names of the trainable arrays that the node has asked for."""

    def parameter(
        self, name: str, shape: tuple[int, ...], *, init: str = "zeros", **options: Any
    ) -> PlannedValue:
        full = f"{self._name}.{name}"
        self.parameters.append(full)
        return planned(self._plan.parameter(full, shape, init=init, **options))

    def state(self, name: str, shape: tuple[int, ...], *, value: float = 0.0) -> PlannedValue:
        return planned(self._plan.state(f"{self._name}.{name}", shape, value=value))

    def call(self, op: str, *args: Value, **attrs: Any) -> Any:
        given = [a.value for a in args if isinstance(a, PlannedValue)]
        assert len(given) == len(args)  # values come from this builder
        result = self._plan.call(op, *given, **attrs)
        return tuple(map(planned, result)) if isinstance(result, tuple) else planned(result)


def planned(value: PlanValue) -> PlannedValue:
    """A plan's value with its type; batch symbols are the same in both."""
    return PlannedValue(value, TensorType(value.shape, cast(DType, value.dtype)))


def compile_graph(graph: Graph, *, seed: int | None = None, max_threads: int = 0) -> Plan:
    """A plan that computes and trains the graph.

    Batches are keyed by the data fields of the Input and Target nodes. Parameters are named
    ``<node>.<name>``; outputs, losses and metrics by their node.

    Parameters
    ----------
    seed : int, optional
        Of the initial weights and of dropout; the training specification's if left out.
    max_threads : int
        The engine takes as many threads as the model's work is worth, this many at most; 0 for
        the number of cores.

    Raises
    ------
    CompileError
        If a node cannot be lowered, which a checked graph does not do unless the node types and
        the engine disagree.
    """
    builder = PlanBuilder()
    phase = graph.training.phases[0]
    values: dict[tuple[str, int], PlannedValue] = {}
    fields: dict[str, PlannedValue] = {}
    frozen: list[str] = []
    for node in graph.nodes:
        if node.role in ("input", "target"):
            values[node.id, 0] = _feed(builder, node, fields)
            continue
        with builder.scope(node.name):
            local = NodeBuilder(builder, node.name)
            results = _lower(node, local, values)
        for index, result in enumerate(results):
            values[node.id, index] = result
        if node.id in phase.frozen:
            frozen += local.parameters
    for node in graph.predictions:
        builder.output(node.name, values[node.id, 0].value)
    _declare_scalars(builder, graph, phase, values)
    return builder.build(
        optimizer=make_optimizer(phase),
        seed=graph.training.seed if seed is None else seed,
        frozen=tuple(frozen),
        max_threads=max_threads,
    )


def make_optimizer(phase: Phase) -> engine.optim.Optimizer:
    """The engine's optimiser for a phase, every parameter given."""
    cls = optimizers()[phase.optimizer.kind]
    known = {p.name: p for p in params_of(cls)}
    given = {k: known[k].coerce(v) for k, v in phase.optimizer.params.items() if k in known}
    options = dataclasses.asdict(cls(**given))
    made: engine.optim.Optimizer = getattr(engine.optim, cls.engine_name)(**options)
    return made


def field_of(node: IRNode) -> str:
    """Name of the data field that an Input or Target node reads."""
    name: str = getattr(node.spec, "field")  # noqa: B009  # NodeType itself does not declare it
    return name


def _feed(builder: PlanBuilder, node: IRNode, fields: dict[str, PlannedValue]) -> PlannedValue:
    """The plan's input for a node; nodes that read one field share it."""
    name, declared = field_of(node), node.output_types[0]
    if name not in fields:
        fields[name] = PlannedValue(builder.input(name, declared.shape, declared.dtype), declared)
    shared = fields[name]
    if (shared.type.shape, shared.type.dtype) != (declared.shape, declared.dtype):
        raise CompileError(
            Message(
                "'{node}' reads the field '{field}' as {found}, another node reads it as {other}",
                {
                    "node": node.label,
                    "field": name,
                    "found": declared.shape,
                    "other": shared.type.shape,
                },
            ),
            node.id,
        )
    return PlannedValue(shared.value, declared)


def _lower(
    node: IRNode, local: NodeBuilder, values: dict[tuple[str, int], PlannedValue]
) -> tuple[PlannedValue, ...]:
    inputs = [None if s is None else values[s.node, s.port] for s in node.inputs]
    try:
        made = node.spec.lower(local, *inputs)
    except engine.EngineError as error:
        raise CompileError(
            Message(
                "'{node}' cannot be compiled: {error}", {"node": node.label, "error": str(error)}
            ),
            node.id,
        ) from error
    results: tuple[PlannedValue, ...] = made if isinstance(made, tuple) else (made,)
    for result, expected in zip(results, node.output_types, strict=True):
        if result.type.shape != expected.shape or result.type.dtype != expected.dtype:
            raise CompileError(
                Message(
                    "'{node}' was checked to give {expected}, but the engine gives {found}",
                    {"node": node.label, "expected": expected, "found": result.type},
                ),
                node.id,
            )
    return results


def _declare_scalars(
    builder: PlanBuilder,
    graph: Graph,
    phase: Phase,
    values: dict[tuple[str, int], PlannedValue],
) -> None:
    for node in graph.with_role("loss"):
        value = values[node.id, 0].value
        if not phase.losses:
            builder.loss(node.name, value)
        elif node.id in phase.losses:
            builder.loss(node.name, value, weight=float(phase.losses[node.id]))
        else:  # watched, but it drives nothing
            builder.metric(node.name, value)
    for node in graph.with_role("metric"):
        builder.metric(node.name, values[node.id, 0].value)
