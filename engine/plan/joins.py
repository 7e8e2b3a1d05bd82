"""What is turned in memory or joined with others, computed where it belongs: nothing is copied.

The gradients of an attention's queries, keys and values are an example: each is made head by head,
turned, and put beside the others. Made in one piece of memory each, they would be copied twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.backend import Array, reshaped
from engine.function import Call, ViewPrimitive
from engine.value import Shape, Value


@dataclass(eq=False)
class Join:
    """A concatenation, or a reshape alone; for each operand what makes it, and views in between."""

    call: Call
    roots: list[Value] = field(default_factory=list)
    chains: list[list[Call]] = field(default_factory=list)
    places: dict[int, tuple[int, tuple[int, ...]]] = field(default_factory=dict)
    """By ``id(root)``: where it begins, from the start of the result, and its strides, in bytes."""


def find_joins(calls: Sequence[Call], forced: Mapping[int, Array]) -> dict[int, Join]:
    """Concatenations and reshapes whose operands can be made in place, by ``id`` of the operands.

    Only those are taken in which an operand would be turned in memory. What is joined as it is made
    can often be made in one pass with what comes before it, which is worth more.
    """
    known = {call.order for call in calls}
    found: dict[int, Join] = {}
    for name in ("concatenate", "reshape"):
        for call in calls:
            if call.primitive.name != name or id(call.outputs[0]) in forced:
                continue
            join = Join(call)
            for value in call.inputs if name == "concatenate" else call.outputs:
                chain: list[Call] = []
                while (made := value.producer) is not None and _is_turn(made):
                    chain.append(made)
                    value = made.inputs[0]
                join.roots.append(value)
                join.chains.append(chain[::-1])
            if _can_land(join, known, forced, found) and _place(join):
                found.update((id(root), join) for root in join.roots)
    return found


def _is_turn(call: Call) -> bool:
    return isinstance(call.primitive, ViewPrimitive) and call.primitive.name in _BACK


def _can_land(
    join: Join, known: set[int], forced: Mapping[int, Array], taken: Mapping[int, Join]
) -> bool:
    if len({id(root) for root in join.roots}) < len(join.roots):
        return False
    for root in join.roots:
        made: Call | None = root.producer
        if made is None or made.order not in known or len(made.outputs) != 1 or not root.size:
            return False
        if not (made.primitive.elementwise or made.primitive.name == "matmul"):
            return False
        if id(root) in forced or id(root) in taken:
            return False
    return any(_copies(root, chain) for root, chain in zip(join.roots, join.chains, strict=True))


def _copies(root: Value, chain: Sequence[Call]) -> bool:
    """True if the views of a packed array are not views all the way."""
    seen = _packed(root.shape)
    for call in chain:
        view = call.primitive
        assert isinstance(view, ViewPrimitive)
        if view.name == "reshape":
            turned = reshaped(seen, call.attrs["shape"])
            if turned is None:
                return True
            seen = turned
        else:
            seen = view.views(seen, **call.attrs)[0]
    return False


def _place(join: Join) -> bool:
    """Find out where each root lies in the packed result; False if one has no strides for that."""
    result = join.call.outputs[0]
    axis, itemsize = join.call.attrs.get("axis", 0), result.dtype.itemsize
    whole = _packed(result.shape)
    start = 0
    for root, chain in zip(join.roots, join.chains, strict=True):
        last = chain[-1].outputs[0] if chain else root
        stop = start + last.shape[axis]
        seen: Any = whole[(slice(None),) * axis + (slice(start, stop),)]
        for call in reversed(chain):
            seen = _BACK[call.primitive.name](seen, call)
            if seen is None:
                return False
        if not _writable(root, seen):
            return False
        begin = start * whole.strides[axis] * itemsize
        join.places[id(root)] = begin, tuple(s * itemsize for s in seen.strides)
        start = stop
    return True


def _writable(root: Value, seen: Any) -> bool:
    """True if what makes the root writes such memory well: products do whole rows, or columns."""
    made: Call | None = root.producer
    assert made is not None
    sides = zip(seen.shape[-2:], seen.strides[-2:], strict=True)
    return made.primitive.name != "matmul" or any(n == 1 or step == 1 for n, step in sides)


def _packed(shape: Shape) -> Any:
    """A packed array of one-byte elements that stands for its strides: it has no memory."""
    strides = []
    step = 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return np.lib.stride_tricks.as_strided(np.empty(1, np.uint8), shape, strides[::-1])


def _before_transpose(seen: Any, call: Call) -> Any:
    axes = call.attrs["axes"]
    return seen.transpose(sorted(range(len(axes)), key=lambda i: axes[i]))


_BACK: dict[str, Callable[[Any, Call], Any]] = {
    "transpose": _before_transpose,
    "reshape": lambda seen, call: reshaped(seen, call.inputs[0].shape),
}
"""From the result of a view to its operand, or None where that has no strides."""
