"""One node of the catalogue, alone in a plan of the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.plan import Plan, PlanBuilder
from graphstudio.compiler.lower import NodeBuilder, planned
from graphstudio.nodes.spec import Case, NodeType, build, catalog
from graphstudio.nodes.types import TensorType


def cases(*, fed: bool = True) -> list[tuple[type[NodeType], Case]]:
    """Every node type with each of its cases; ``fed``: only those with inputs."""
    return [
        (cls, case) for cls in catalog().values() for case in cls.cases if case.inputs or not fed
    ]


def name_of(value: Any) -> str:
    """Name of a parametrised test."""
    return value.type_id if isinstance(value, type) else f"{value.inputs}{dict(value.params)}"


def make(cls: type[NodeType], case: Case) -> NodeType:
    """The node with the case's parameters."""
    node, problems = build(cls, case.params)
    assert node is not None, problems
    return node


def types_of(case: Case) -> tuple[TensorType, ...]:
    """Symbolic types of a case's inputs."""
    dtypes = case.dtypes or ("float32",) * len(case.inputs)
    return tuple(
        TensorType(("N", *shape[1:]), dtype, case.classes if dtype == "int64" else None)
        for shape, dtype in zip(case.inputs, dtypes, strict=True)
    )


def arrays_of(case: Case, seed: int = 0) -> dict[str, np.ndarray]:
    """Random arrays for a case's inputs: negative numbers too, no two alike, none near zero."""
    rng = np.random.default_rng(seed)
    found = {}
    for i, (shape, given) in enumerate(zip(case.inputs, types_of(case), strict=True)):
        if given.dtype == "int64":
            found[f"x{i}"] = rng.integers(0, case.classes, shape)
        else:
            size = int(np.prod(shape))
            grid = (rng.permutation(size) - size // 2 + 0.5) / size * 4  # no ties under max
            found[f"x{i}"] = grid.reshape(shape).astype(np.float32)
    return found


@dataclass
class Single:
    """A node lowered alone; its float inputs are scaled by parameters, to have gradients."""

    plan: Plan
    node: NodeType
    arrays: dict[str, np.ndarray]
    own: tuple[str, ...] = ()
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def single(cls: type[NodeType], case: Case, *, scaled: bool = False) -> Single:
    """Lower one node.

    Parameters
    ----------
    scaled : bool
        Multiply each float input by a parameter of one sample's shape, and make the mean square of
        the result (times fixed random numbers) the loss.
    """
    node, arrays = make(cls, case), arrays_of(case)
    b = PlanBuilder()
    local = NodeBuilder(b, "node")
    values = []
    for i, given in enumerate(types_of(case)):
        x = b.input(f"x{i}", given.shape, given.dtype)
        if scaled and given.dtype == "float32":
            scale = b.parameter(f"scale{i}", given.shape[1:], init="ones")
            x = b.call("multiply", x, scale)
        values.append(planned(x))
    y = node.lower(local, *values)
    b.output("y", y.value)
    if scaled:
        value = y.value
        if value.shape:
            rng = np.random.default_rng(1)
            weights = rng.uniform(0.5, 1.5, [case.inputs[0][0], *value.shape[1:]])
            arrays["weights"] = weights.astype(np.float32)
            given_weights = b.input("weights", value.shape)
            value = b.call("mse", b.call("multiply", value, given_weights), given_weights)
        b.loss("value", value)
    plan = b.build()
    own = tuple(local.parameters)
    return Single(plan, node, arrays, own, {n: plan.parameters[n].shape for n in own})
