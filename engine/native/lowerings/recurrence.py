"""What the recurrent layers share: walks over time, samples that have ended, incoming gradients.

Each thread carries its own samples through all time steps: no thread waits for another, and the
recurrent weights stay in each core's cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.native.emit import Axis, Function, Val, const, f32
from engine.native.loops import elementwise
from engine.native.lowerings import lowering
from engine.native.lowerings.gather import index_at, known
from engine.native.lowerings.rows import packed, row_major
from engine.native.products import Tile, product_rows
from engine.native.writer import Writer

if TYPE_CHECKING:
    from engine.plan.program import NamedStep

Step = Callable[[Val, "Val | None"], None]
"""``step(t, before)``: one time step, and the one taken before it, None at the first."""


@lowering("checked_lengths")
def lower_lengths(w: Writer, steps: Sequence[NamedStep]) -> int:
    """A copy; the check is that of the NumPy kernel, made before the program runs."""
    step = steps[0]
    lengths, out = step.inputs[0], step.outputs[0]
    if not known(w, lengths):
        return 0
    room = np.empty_like(lengths)
    w.before.append(step.primitive.prepare([lengths], [room], (), **step.attrs))
    elementwise(w, ("copy",), out.shape, [out], [lengths], lambda f, value: [value])
    return 1


def forwards(f: Function, length: int, reverse: bool, step: Step) -> None:
    """All time steps in the order in which they are taken."""
    place = _place(f, length, reverse)
    step(place(const(0)), None)
    if length > 1:
        with f.loop(1, length) as number:
            step(place(number.index), place(f.b.sub(number.index, const(1))))


def backwards(f: Function, length: int, reverse: bool, step: Step) -> None:
    """All time steps from the last one taken to the first."""
    place = _place(f, length, reverse)
    if length > 1:
        with f.loop(1, length) as turn:
            number = f.b.sub(const(length), turn.index)
            step(place(number), place(f.b.sub(number, const(1))))
    step(place(const(0)), None)


def _place(f: Function, length: int, reverse: bool) -> Callable[[Val], Val]:
    return lambda number: f.b.sub(const(length - 1), number) if reverse else number


def each_sample(
    f: Function,
    first: Val,
    last: Val,
    lengths: tuple[Val, int] | None,
    t: Val,
    alive: Callable[[Val], None],
    ended: Callable[[Val], None],
) -> None:
    """``alive(r)`` for the samples to which step ``t`` belongs, ``ended(r)`` for the others.

    ``lengths`` is where the number of steps of each sample lies, and its stride; None if there
    are none.
    """
    with f.loop(first, last, may_be_empty=True) as r:
        if lengths is None:
            alive(r.index)
            return
        counts = f.b.icmp_signed("<", t, index_at(f, lengths[0], (r.index, lengths[1])))
        with f.b.if_else(counts) as (then, otherwise):
            with then:
                alive(r.index)
            with otherwise:
                ended(r.index)


def given(w: Writer, gradients: Sequence[Any], shape: tuple[int, ...]) -> list[Any] | None:
    """Incoming gradients in rows, None for one that nothing gives.

    Such a one stands there as a single zero, to be broadcast; None for all if it is no zero.
    """
    found: list[Any] = []
    for value in gradients:
        if value.shape == shape:
            found.append(row_major(w, value))
        elif value.size == 1 and not value.any():
            found.append(None)
        else:
            return None
    return found


def times_weight(
    f: Function,
    h: Val,
    weight: Val,
    out: Val,
    *,
    first: Val,
    last: Val,
    total: int,
    inner: int,
    columns: int,
    row_stride: int,
    out_stride: int,
    tile: Tile,
    lanes: int,
    **start: Any,
) -> None:
    """``out = h @ weight`` for this thread's samples; ``start`` as of ``product_rows``."""
    product_rows(
        f,
        h,
        weight,
        out,
        first=first,
        last=last,
        total=total,
        columns=columns,
        row_stride=row_stride,
        axes=[Axis(inner, 1, columns)],
        out_stride=out_stride,
        tile=tile,
        lanes=lanes,
        **start,
    )


def fits(outputs: Sequence[Any], inputs: Sequence[Any], lengths: Any) -> bool:
    """True if everything is float32, the outputs in rows, and the lengths are read natively."""
    return (
        packed(*outputs)
        and all(a.dtype.name == "float32" and a.size for a in inputs)
        and lengths.dtype.name in ("int64", "int32", "uint8")
    )


def clear(f: Function, lanes: int, *lines: tuple[Val, int]) -> None:
    """Set lines of floats to 0."""
    for line, size in lines:
        f.fill(line, size, lanes)


def add_line(f: Function, target: Val, source: Val, size: int, lanes: int) -> None:
    """``target += source``, a line of floats."""

    def add(k: Val | int, m: int) -> None:
        spot = f.at(target, (k, 1))
        f.store(f.b.fadd(f.load(spot, m), f.load(f.at(source, (k, 1)), m)), spot, m)

    f.each(size, lanes, add)


def through_sigmoid(f: Function, g: Val, y: Val) -> Val:
    """Gradient behind a sigmoid to the one before it."""
    return f.b.fmul(g, f.b.fsub(y, f.b.fmul(y, y)))


def through_tanh(f: Function, g: Val, y: Val) -> Val:
    """Gradient behind a tanh to the one before it."""
    return f.b.fmul(g, f.b.fsub(f32(1.0), f.b.fmul(y, y)))
