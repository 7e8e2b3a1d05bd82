"""Loop nests over strided arrays: merging axes, sharing among threads, fused elementwise bodies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from engine.backend import address
from engine.native.emit import Function, Val
from engine.native.writer import SMALL, ArrayType, Use, Writer, element_strides


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
    starts: list[int] = []
    pointer_of: list[int] = []
    for array in (*outputs, *inputs):
        start = address(array)
        if start not in starts:
            arrays.append(array)
            starts.append(start)
        pointer_of.append(starts.index(start))
    last_store = {pointer_of[i]: i for i in range(len(outputs))}
    small = plan.size < SMALL
    full = "one thread" if small else (plan.sizes, plan.strides[0])
    uses = []
    for i, array in enumerate((*outputs, *inputs)):
        split = full if small or plan.strides[i] == plan.strides[0] else None
        uses.append(Use(array, i < len(outputs), split))

    lanes = w.lanes if in_vectors(plan, len(outputs)) else 1

    def write(f: Function, thread: Val, count: Val, *pointers: Val) -> None:
        sources = range(len(outputs), len(plan.strides))
        fixed = {i for i in sources if plan.strides[i][-1] == 0}
        held: dict[int, Val] = {}

        def place(i: int, positions: list[Val]) -> Val:
            terms = zip(positions, plan.strides[i], strict=False)
            return f.at(pointers[pointer_of[i]], *terms)

        def before(positions: list[Val]) -> None:
            # What the innermost axis does not move is loaded once a line.
            for i in fixed:
                held[i] = f.b.load(place(i, positions))

        def inner(positions: list[Val], width: int) -> None:
            loaded = [
                held[i] if i in fixed else f.load(place(i, positions), width) for i in sources
            ]
            for i, value in enumerate(body(f, *loaded)):
                if last_store[pointer_of[i]] == i:
                    f.store(value, place(i, positions), width)

        f.walk(plan.sizes, thread, count, inner, lanes=lanes, before=before, alone=small)

    key = ("elementwise", key, plan, len(outputs), tuple(pointer_of), small)
    w.kernel(key, arrays, write, uses)


def copied(w: Writer, target: ArrayType, source: ArrayType) -> None:
    """One pass that copies, from whatever order of memory into whatever other."""
    elementwise(w, ("copy",), target.shape, [target], [source], lambda f, value: [value])


def in_vectors(plan: Nest, outputs: int) -> bool:
    """True if the innermost axis can be taken a register at a time; the outputs come first."""
    return plan.sizes[-1] >= 4 and all(
        s[-1] == 1 or (s[-1] == 0 and i >= outputs) for i, s in enumerate(plan.strides)
    )
