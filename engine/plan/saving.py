"""Results that wait for the backward pass, kept in 16 bits meanwhile.

Everything is computed in float32. Only what the forward pass leaves behind for the backward pass
is rounded: most of what a training step keeps in memory. The loss does not change; gradients are
those of the rounded results.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from engine.function import PRIMITIVES, Call, ViewPrimitive
from engine.plan.graph import StaticGraph
from engine.value import Value

LEAST = 1024
"""Elements below which rounding is not worth two more calls."""


def keep_in_half(graph: StaticGraph, num_forward: int, kept: Iterable[Value], form: str) -> None:
    """Change the graph so that the backward pass reads what was kept in 16 bits.

    Parameters
    ----------
    graph : StaticGraph
        With the calls of the backward pass recorded.
    num_forward : int
        How many of its calls are the forward pass.
    kept : values
        What is read after the last call: it stays as it is, so there is nothing to gain.
    form : str
        "float16" or "bfloat16".
    """
    forward, backward = graph.calls[:num_forward], graph.calls[num_forward:]
    made = {id(v): v for call in forward for v in call.outputs}
    stays = {id(_source(v)[0]) for v in kept}
    after: dict[int, list[Call]] = {}
    again: dict[int, Value] = {}
    result: list[Call] = []

    def record(name: str, value: Value, attrs: dict[str, object]) -> Call:
        found = graph.record(PRIMITIVES[name], (value,), dict(attrs))[0].producer
        assert found is not None
        graph.calls.pop()
        return found

    def restored(value: Value) -> Value:
        """The float32 numbers again, from the bits of what the value is a view of."""
        if id(value) in again:
            return again[id(value)]
        source, view = _source(value)
        if view is None:
            first = source.producer
            assert first is not None
            stored = record("to_half", source, {"format": form})
            after.setdefault(first.order, []).append(stored)
            call = record("from_half", stored.outputs[0], {"format": form})
            again[id(value)] = call.outputs[0]
        else:
            operand = restored(view.inputs[0])
            outputs = graph.record(view.primitive, (operand,), dict(view.attrs))
            call = graph.calls.pop()
            for old, new in zip(view.outputs, outputs, strict=True):
                again[id(old)] = new
        result.append(call)
        return again[id(value)]

    for call in backward:
        graph.scope = call.scope
        call.inputs = tuple(
            restored(v) if id(v) in made and _is_worth_it(v, stays) else v for v in call.inputs
        )
        result.append(call)
    graph.scope = ""
    graph.calls[:] = [c for call in forward for c in (call, *after.get(call.order, ()))] + result


def _source(value: Value) -> tuple[Value, Call | None]:
    """What the value is a view of in the end, and the call that makes the last view."""
    call = value.producer
    view = call if call is not None and isinstance(call.primitive, ViewPrimitive) else None
    while call is not None and isinstance(call.primitive, ViewPrimitive):
        value = call.inputs[0]
        call = value.producer
    return value, view


def _is_worth_it(value: Value, stays: set[int]) -> bool:
    source, _ = _source(value)
    computed = source.producer is not None
    return (
        computed and source.dtype == np.float32 and source.size >= LEAST and id(source) not in stays
    )
