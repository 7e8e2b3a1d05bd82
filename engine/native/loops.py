"""Loop nests over strided arrays: merging axes, sharing among threads, fused elementwise bodies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from engine.native.emit import Function, Val, const
from engine.native.writer import GRAIN, SMALL, ArrayType, Use, Writer, element_strides, span


@dataclass(frozen=True)
class Nest:
    """Axes from slowest to fastest, with the stride of every operand along each."""

    sizes: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]
    """One tuple an operand, in elements."""

    @property
    def size(self) -> int:
        total = 1
        for n in self.sizes:
            total *= n
        return total


def nest(shape: Sequence[int], operands: Sequence[ArrayType]) -> Nest:
    """The fewest axes that walk all operands (broadcast to ``shape``) in the order of the first."""
    strides = [_broadcast_strides(a, shape) for a in operands]
    order = sorted(
        (axis for axis in range(len(shape)) if shape[axis] != 1),
        key=lambda axis: -strides[0][axis],
    )
    sizes: list[int] = []
    merged: list[list[int]] = []
    for axis in order:
        column = [s[axis] for s in strides]
        if sizes and all(m == c * shape[axis] for m, c in zip(merged[-1], column, strict=True)):
            sizes[-1] *= shape[axis]
            merged[-1] = column
        else:
            sizes.append(shape[axis])
            merged.append(column)
    if not sizes:
        sizes, merged = [1], [[0] * len(operands)]
    return Nest(tuple(sizes), tuple(zip(*merged, strict=True)))


def _broadcast_strides(array: ArrayType, shape: Sequence[int]) -> tuple[int, ...]:
    missing = len(shape) - array.ndim
    own = element_strides(array)
    return tuple(
        0 if axis < missing or array.shape[axis - missing] == 1 else own[axis - missing]
        for axis in range(len(shape))
    )


Body = Callable[..., Sequence[Val]]
"""``body(f, *loaded) -> values to store``."""


def elementwise(
    w: Writer,
    key: tuple[Any, ...],
    shape: Sequence[int],
    outputs: Sequence[ArrayType],
    inputs: Sequence[ArrayType],
    body: Body,
) -> None:
    """One pass over ``outputs`` (which share their memory order): load, compute, store."""
    plan = nest(shape, [*outputs, *inputs])
    if plan.size == 0:
        return
    # In-place steps name one stretch of memory twice; the kernel gets it once.
    arrays: list[ArrayType] = []
    pointer_of: list[int] = []
    for array in (*outputs, *inputs):
        start = span(array)[0]
        known = [i for i, other in enumerate(arrays) if span(other)[0] == start]
        if not known:
            arrays.append(array)
        pointer_of.append(known[0] if known else len(arrays) - 1)
    last_store = {pointer_of[i]: i for i in range(len(outputs))}
    small = plan.size < SMALL
    full = "one thread" if small else (plan.sizes, plan.strides[0])
    uses = []
    for i, array in enumerate((*outputs, *inputs)):
        split = full if small or plan.strides[i] == plan.strides[0] else None
        uses.append(Use(array, i < len(outputs), split))

    def write(f: Function, thread: Val, count: Val, *pointers: Val) -> None:
        def inner(positions: list[Val]) -> None:
            places = [
                f.at(pointers[pointer_of[i]], *zip(positions, plan.strides[i], strict=True))
                for i in range(len(plan.strides))
            ]
            loaded = [f.b.load(p) for p in places[len(outputs) :]]
            for i, value in enumerate(body(f, *loaded)):
                if last_store[pointer_of[i]] == i:
                    f.b.store(value, places[i])

        walk(f, plan.sizes, thread, count, inner, alone=small)

    w.kernel(("elementwise", key, plan, len(outputs), tuple(pointer_of)), arrays, write, uses)


def walk(
    f: Function,
    sizes: Sequence[int],
    thread: Val,
    count: Val,
    inner: Callable[[list[Val]], None],
    *,
    alone: bool = False,
) -> None:
    """Nested loops over ``sizes``, the slowest shared among the threads."""
    grain = GRAIN if len(sizes) == 1 else 1
    if alone:
        with f.b.if_then(f.b.icmp_signed("==", thread, const(0))):
            _nested(f, sizes, const(0), const(sizes[0]), inner, [])
        return
    first, last = f.share(sizes[0], thread, count, grain)
    _nested(f, sizes, first, last, inner, [])


def _nested(
    f: Function,
    sizes: Sequence[int],
    first: Val,
    last: Val,
    inner: Callable[[list[Val]], None],
    positions: list[Val],
) -> None:
    with f.loop(first, last, may_be_empty=not positions) as loop:
        if len(positions) + 1 == len(sizes):
            inner([*positions, loop.index])
        else:
            level = len(positions) + 1
            _nested(f, sizes, const(0), const(sizes[level]), inner, [*positions, loop.index])
