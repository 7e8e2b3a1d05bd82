"""What the recurrent layers share: walks over time, samples that have ended, incoming gradients.

Each thread carries its own samples through all time steps: no thread waits for another, and the
recurrent weights stay in each core's cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.native.emit import GRAIN, Axis, Function, Val, const, f32
from engine.native.loops import copied
from engine.native.lowerings import lowering
from engine.native.lowerings.gather import index_at, known
from engine.native.lowerings.matmul import panels
from engine.native.lowerings.rows import packed
from engine.native.products import Tile, product_rows, tile_for
from engine.native.writer import Writer

if TYPE_CHECKING:
    from engine.plan.program import NamedStep


@lowering("checked_lengths")
def lower_lengths(w: Writer, steps: Sequence[NamedStep]) -> int:
    """A copy; the check is that of the NumPy kernel, made before the program runs."""
    step = steps[0]
    lengths, out = step.inputs[0], step.outputs[0]
    if not known(w, lengths):
        return 0
    room = np.empty_like(lengths)
    w.before.append(step.primitive.prepare([lengths], [room], (), **step.attrs))
    copied(w, out, lengths)
    return 1


@dataclass(frozen=True)
class Turn:
    """How one step's rows are multiplied by a weight, for the samples of each thread.

    The rows of one step lie so far apart in a whole sequence that they fall into the same few
    places of a cache, and a tile touches many at once. So a step keeps what it multiplies, and
    what that gives, in memory of its own.
    """

    samples: int
    inner: int
    columns: int
    tile: Tile
    lanes: int

    @property
    def factor(self) -> int:
        """Floats from one sample's row to the next."""
        return self.inner + GRAIN

    @property
    def result(self) -> int:
        """Floats from one sample's sums to the next."""
        return self.columns + GRAIN

    def share(self, f: Function, thread: Val, count: Val) -> tuple[Val, Val]:
        """The samples of a thread: whole tiles."""
        return f.share(self.samples, thread, count, self.tile.rows)

    def multiply(
        self,
        f: Function,
        rows: Val,
        weight: Val,
        out: Val,
        mine: tuple[Val, Val],
        *,
        out_stride: int | None = None,
        bias: Val | None = None,
        accumulate: bool = False,
    ) -> None:
        """``out (+)= rows @ weight (+ bias)`` for the samples ``mine``."""
        product_rows(
            f,
            rows,
            weight,
            out,
            first=mine[0],
            last=mine[1],
            total=self.samples,
            columns=self.columns,
            row_stride=self.factor,
            axes=[Axis(self.inner, 1, self.tile.vectors * self.lanes)],
            out_stride=self.result if out_stride is None else out_stride,
            tile=self.tile,
            lanes=self.lanes,
            bias=bias,
            accumulate=accumulate,
            panel=self.inner,
        )


def turn_for(w: Writer, weight: Any, samples: int) -> tuple[Turn, Any]:
    """How ``rows @ weight`` is computed step by step, and the weight as it is read."""
    inner, columns = weight.shape
    tile = tile_for(w.cpu, -(-samples // w.max_threads), columns)
    turn = Turn(samples, inner, columns, tile, w.lanes)
    return turn, panels(w, weight, tile.vectors * w.lanes)


def forwards(f: Function, length: int, reverse: bool, step: Callable[[Val], None]) -> None:
    """``step(t)`` for all time steps in the order in which they are taken."""
    with f.loop(0, length) as number:
        step(_place(f, number.index, length, reverse))


def backwards(
    f: Function, length: int, reverse: bool, step: Callable[[Val, Val | None], None]
) -> None:
    """``step(t, before)`` from the last step taken to the first, which has none before it."""
    if length > 1:
        with f.loop(1, length) as turn:
            number = f.b.sub(const(length), turn.index)
            before = _place(f, f.b.sub(number, const(1)), length, reverse)
            step(_place(f, number, length, reverse), before)
    step(_place(f, const(0), length, reverse), None)


def _place(f: Function, number: Val, length: int, reverse: bool) -> Val:
    return f.b.sub(const(length - 1), number) if reverse else number


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
