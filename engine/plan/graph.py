"""The static graph: what a plan computes for one batch size, as a list of primitive calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.backend import Array, to_numpy
from engine.errors import DTypeError, PlanError, ShapeError
from engine.function import FUNCTIONS, Call, Primitive, apply, walk_back
from engine.random import KEY_DTYPE
from engine.tensor import Tensor
from engine.value import FLOATS, Spec, Value


class StaticValue(Value):
    """A value inside a static graph: its type is known, its data is not."""

    __slots__ = ("data", "graph", "index", "kind", "name", "producer", "requires_grad", "type")
    priority = 1

    def __init__(
        self,
        graph: StaticGraph,
        spec: Spec,
        kind: str,
        *,
        name: str = "",
        data: Array | None = None,
        producer: Call | None = None,
        index: int = 0,
        requires_grad: bool = False,
    ) -> None:
        self.graph, self.type, self.kind, self.name = graph, spec, kind, name
        self.data, self.producer, self.index = data, producer, index
        self.requires_grad = requires_grad

    @property
    def spec(self) -> Spec:
        return self.type

    @property
    def is_training(self) -> bool:
        return self.graph.training

    def run_primitive(
        self, primitive: Primitive, inputs: tuple[Value, ...], attrs: dict[str, Any]
    ) -> tuple[Value, ...]:
        return self.graph.record(primitive, inputs, attrs)

    def constant_like(self, array: Array) -> StaticValue:
        return self.graph.constant(array)

    def detach(self) -> Any:
        return apply("stop_gradient", self) if self.requires_grad else self

    def assign(self, value: Any) -> None:
        if self.kind != "state":
            raise PlanError(f"assign found a value of kind '{self.kind}'; expected a state.")
        if value.spec != self.spec:
            raise ShapeError(f"assign found {value.spec}; expected {self.spec}.")
        self.graph.effects[id(self)] = (self, value)

    def random_key(self) -> StaticValue:
        return self.graph.random_key()

    def __bool__(self) -> bool:
        raise PlanError(
            f"A plan's value {self.spec} was taken for true or false; what it holds is known when "
            "the plan runs. Choose with where, or describe two plans."
        )

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name or self.index} {self.spec}>"


class StaticGraph:
    """Calls in an order in which they can run, and the leaves that they read.

    Parameters
    ----------
    training : bool
        What operations do that differ between training and inference.
    keeps_calls : bool
        False for a graph of types alone: its values do not know where they come from.
    """

    def __init__(self, training: bool, keeps_calls: bool = True) -> None:
        self.training = training
        self.keeps_calls = keeps_calls
        self.scope = ""
        self.calls: list[Call] = []
        self.leaves: list[StaticValue] = []
        self.effects: dict[int, tuple[StaticValue, StaticValue]] = {}
        """States and what they hold after the run; later calls read the new value."""
        self.num_keys = 0
        self._constants: dict[tuple[Any, ...], StaticValue] = {}

    def leaf(self, kind: str, name: str, spec: Spec, *, requires_grad: bool = False) -> StaticValue:
        value = StaticValue(self, spec, kind, name=name, requires_grad=requires_grad)
        self.leaves.append(value)
        return value

    def constant(self, array: Array) -> StaticValue:
        host = np.array(to_numpy(array))
        small = host.size <= 16
        key = (host.dtype.str, host.shape, host.tobytes()) if small else ()
        if small and key in self._constants:
            return self._constants[key]
        value = StaticValue(self, Spec(host.shape, host.dtype), "constant", data=host)
        if small:
            self._constants[key] = value
        return value

    def random_key(self) -> StaticValue:
        """A leaf that the plan fills with a new key before each run."""
        self.num_keys += 1
        return self.leaf("key", str(self.num_keys - 1), Spec((2,), KEY_DTYPE))

    def record(
        self, primitive: Primitive, inputs: tuple[Value, ...], attrs: dict[str, Any]
    ) -> tuple[Value, ...]:
        """Append a call; its results as values."""
        operands = tuple(self._own(v) for v in inputs)
        types = primitive.infer_all([v.spec for v in operands], attrs)
        if not self.keeps_calls:
            return tuple(StaticValue(self, spec, "computed") for spec in types)
        needs = tuple(v.requires_grad for v in operands)
        passes = primitive.passes_gradient and any(needs)
        call = Call(primitive, operands, attrs, needs, (), scope=self.scope)
        outputs = tuple(
            StaticValue(
                self,
                spec,
                "computed",
                producer=call,
                index=i,
                requires_grad=passes and spec.dtype in FLOATS,
            )
            for i, spec in enumerate(types)
        )
        call.results = outputs
        self.calls.append(call)
        return outputs

    def _own(self, value: Value) -> StaticValue:
        if isinstance(value, Tensor):
            return self.constant(value.data)
        if not isinstance(value, StaticValue) or value.graph is not self:
            raise PlanError("A value of another plan was used; build each plan by itself.")
        if id(value) in self.effects:
            return self.effects[id(value)][1]
        return value

    def call_function(self, name: str, args: Sequence[Any], attrs: dict[str, Any]) -> Any:
        """Call function ``name`` on values of this graph."""
        return FUNCTIONS[name](*args, **attrs)

    def gradients(
        self, loss: StaticValue, wanted: Sequence[StaticValue]
    ) -> list[StaticValue | None]:
        """Record the backward walk from ``loss``; the gradient of each wanted leaf, or None."""
        if loss.dtype not in FLOATS:
            raise DTypeError(f"The loss has element type {loss.dtype.name}; expected a float.")
        if loss.size != 1:
            raise ShapeError(
                f"The loss has shape {loss.shape}; expected a scalar. Reduce it (mean)."
            )
        before, self.scope = self.scope, ""
        seed = self.constant(np.ones(loss.shape, loss.dtype))

        def visit(value: Value, grad: Any) -> Any:
            # Gradient calls belong to the node whose forward call they differentiate.
            assert value.producer is not None
            self.scope = value.producer.scope
            return grad

        found = walk_back([(loss, seed)], visit)
        self.scope = before
        return [found[id(leaf)][1] if id(leaf) in found else None for leaf in wanted]

    def needed(self, roots: Sequence[Value]) -> list[Call]:
        """The calls on which any of the roots depends, in order."""
        marked: set[int] = set()
        stack = [v.producer for v in roots if v.producer is not None]
        while stack:
            call = stack.pop()
            if call.order in marked:
                continue
            marked.add(call.order)
            stack.extend(v.producer for v in call.inputs if v.producer is not None)
        return [c for c in self.calls if c.order in marked]
