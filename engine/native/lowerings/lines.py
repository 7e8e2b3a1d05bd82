"""What works along one axis in any memory order: softmax, log-softmax, greatest, product, sums.

Where the other axes lie fastest in memory, a register takes a piece of several lines at once;
where the axis itself does, a register takes a piece of one line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir

from engine.backend import address
from engine.native import mathfn
from engine.native.emit import I32, Fold, Function, Val, const, f32
from engine.native.loops import nest
from engine.native.lowerings import lowering
from engine.native.writer import SMALL, Use, Writer, element_strides

if TYPE_CHECKING:
    from engine.plan.program import NamedStep


def greater(f: Function) -> Fold:
    """The greater of two; a NaN wins and stays."""
    return _extreme(f, ">")


def smaller(f: Function) -> Fold:
    """The smaller of two; a NaN wins and stays."""
    return _extreme(f, "<")


def _extreme(f: Function, comparison: str) -> Fold:
    def fold(a: Val, value: Val) -> Val:
        better = f.b.fcmp_unordered(comparison, value, a)
        held = f.b.fcmp_unordered("uno", a, a)
        return f.b.select(held, a, f.b.select(better, value, a))

    return fold


def exceeds(f: Function, value: Val, best: Val) -> Val:
    """True where a search for the greatest moves on: to a greater number or a NaN, from no NaN."""
    held = f.b.fcmp_unordered("uno", best, best)
    return f.b.and_(f.b.fcmp_unordered(">", value, best), f.b.not_(held))


def joined(f: Function, value: Val, fold: Fold) -> Val:
    """One number from the lanes of a register, halves joined with halves."""
    b, lanes = f.b, value.type.count
    step = lanes // 2
    while step:
        places = [(i + step) % lanes for i in range(lanes)]
        mask = ir.Constant(ir.VectorType(I32, lanes), places)
        value = fold(value, b.shuffle_vector(value, value, mask))
        step //= 2
    return b.extract_element(value, ir.Constant(I32, 0))


class Line:
    """One line of every operand along the axis, or ``width`` of them side by side."""

    def __init__(
        self,
        f: Function,
        size: int,
        starts: Sequence[Val],
        steps: Sequence[int],
        width: int,
        lanes: int,
    ) -> None:
        self.f, self.size, self._starts, self._steps = f, size, starts, steps
        self.width, self._lanes = width, lanes

    def at(self, operand: int, k: Val | int) -> Val:
        """Where element ``k`` of an operand lies."""
        return self.f.at(self._starts[operand], (k, self._steps[operand]))

    def load(self, operand: int, k: Val | int, n: int) -> Val:
        """Elements from ``k`` on; ``n`` as ``fold`` and ``each`` give it."""
        return self.f.load(self.at(operand, k), max(n, self.width))

    def store(self, value: Val, operand: int, k: Val | int, n: int) -> None:
        self.f.store(value, self.at(operand, k), max(n, self.width))

    def fold(
        self,
        starts: Sequence[float],
        term: Callable[[Val | int, int], Sequence[Val]],
        folds: Sequence[Fold],
    ) -> list[Val]:
        """Fold over the line: ``term(k, n)`` gives one value for each result."""
        f = self.f
        if self._lanes > 1:
            return f.along(self.size, self._lanes, starts, term, folds)
        carry: list[Val] = [f32(s) for s in starts]
        if self.width > 1:
            carry = [f.splat(s, self.width) for s in carry]
        with f.loop(0, self.size, carry=carry) as k:
            terms = term(k.index, 1)
            k.next = [fold(a, t) for fold, a, t in zip(folds, k.carried, terms, strict=True)]
        return k.result

    def each(self, body: Callable[[Val | int, int], None]) -> None:
        """``body(k, n)`` over the line."""
        self.f.each(self.size, self._lanes, body)


def each_line(
    w: Writer,
    key: tuple[Any, ...],
    axis: int,
    outputs: Sequence[Any],
    inputs: Sequence[Any],
    body: Callable[[Line], None],
    *,
    in_order: bool = False,
) -> None:
    """``body(line)`` for every line along ``axis``; operands are numbered outputs first.

    With ``in_order`` a line is taken element by element.
    """
    operands = [*outputs, *inputs]
    size = max(v.shape[axis] for v in operands)
    firsts = [np.moveaxis(v, axis, 0)[0] for v in operands]
    plan = nest(firsts[0].shape, firsts)
    steps = [0 if v.shape[axis] == 1 else element_strides(v)[axis] for v in operands]
    across = plan.sizes[-1] >= 4 and all(s[-1] == 1 for s in plan.strides)
    inside = not in_order and size >= 4 and all(s == 1 for s in steps)
    across = across and not (inside and size >= plan.sizes[-1])
    lanes = w.lanes if inside and not across else 1
    small = plan.size * size < SMALL
    # An input whose memory an output has taken over comes as the same pointer.
    begins = [address(v) for v in operands]
    pointer_of = [begins.index(s) for s in begins]
    own = sorted(set(pointer_of))

    def write(f: Function, thread: Val, count: Val, *pointers: Val) -> None:
        by_number = dict(zip(own, pointers, strict=True))

        def line(positions: list[Val], width: int) -> None:
            starts = [
                f.at(by_number[n], *zip(positions, s, strict=True))
                for n, s in zip(pointer_of, plan.strides, strict=True)
            ]
            body(Line(f, size, starts, steps, width, lanes))

        side_by_side = w.lanes if across else 1
        f.walk(plan.sizes, thread, count, line, lanes=side_by_side, alone=small, lines=lanes > 1)

    split = "one thread" if small else None
    uses = [Use(operands[n], n < len(outputs), split) for n in own]
    name = (key[0], "lines", *key[1:], plan, size, tuple(steps), across, lanes, tuple(pointer_of))
    w.kernel((*name, small), [operands[n] for n in own], write, uses)


def _floats(*arrays: Any) -> bool:
    return all(a.dtype == np.float32 and a.size for a in arrays)


@lowering("softmax", otherwise=True)
def lower_softmax(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Greatest of the line, exponentials and their sum, division."""
    step = steps[0]
    x, out = step.inputs[0], step.outputs[0]
    if not _floats(x, out):
        return 0

    def body(line: Line) -> None:
        f = line.f
        (peak,) = line.fold([float("-inf")], lambda k, n: [line.load(1, k, n)], [greater(f)])

        def power(k: Val | int, n: int) -> list[Val]:
            e = mathfn.exp(f, f.b.fsub(line.load(1, k, n), peak))
            line.store(e, 0, k, n)
            return [e]

        (total,) = line.fold([0.0], power, [f.b.fadd])
        scale = f.b.fdiv(f32(1.0), total)
        line.each(lambda k, n: line.store(f.b.fmul(line.load(0, k, n), scale), 0, k, n))

    each_line(w, ("softmax",), step.attrs["axis"] % x.ndim, [out], [x], body)
    return 1


@lowering("softmax_gradient", otherwise=True)
def lower_softmax_gradient(w: Writer, steps: Sequence[NamedStep]) -> int:
    """``y * (g - sum(g * y))``."""
    step = steps[0]
    (g, y), out = step.inputs, step.outputs[0]
    if not _floats(g, y, out):
        return 0

    def body(line: Line) -> None:
        b = line.f.b
        terms = lambda k, n: [b.fmul(line.load(1, k, n), line.load(2, k, n))]  # noqa: E731
        (total,) = line.fold([0.0], terms, [b.fadd])

        def back(k: Val | int, n: int) -> None:
            value = b.fmul(b.fsub(line.load(1, k, n), total), line.load(2, k, n))
            line.store(value, 0, k, n)

        line.each(back)

    each_line(w, ("softmax-gradient",), step.attrs["axis"] % y.ndim, [out], [g, y], body)
    return 1


@lowering("log_softmax")
def lower_log_softmax(w: Writer, steps: Sequence[NamedStep]) -> int:
    """The line less its greatest element and the logarithm of the sum of powers."""
    step = steps[0]
    x, out = step.inputs[0], step.outputs[0]
    if not _floats(x, out):
        return 0

    def body(line: Line) -> None:
        f = line.f
        (peak,) = line.fold([float("-inf")], lambda k, n: [line.load(1, k, n)], [greater(f)])

        def power(k: Val | int, n: int) -> list[Val]:
            return [mathfn.exp(f, f.b.fsub(line.load(1, k, n), peak))]

        (total,) = line.fold([0.0], power, [f.b.fadd])
        log = mathfn.log(f, total)

        def less(k: Val | int, n: int) -> None:
            line.store(f.b.fsub(f.b.fsub(line.load(1, k, n), peak), log), 0, k, n)

        line.each(less)

    each_line(w, ("log-softmax",), step.attrs["axis"] % x.ndim, [out], [x], body)
    return 1


@lowering("prod_of_others")
def lower_prod_of_others(w: Writer, steps: Sequence[NamedStep]) -> int:
    """What lies before each element, times what lies behind it."""
    step = steps[0]
    x, out = step.inputs[0], step.outputs[0]
    if not _floats(x, out):
        return 0

    def body(line: Line) -> None:
        f, b = line.f, line.f.b

        # The product so far is stored before it takes the element in.
        one = f32(1.0) if line.width == 1 else f.splat(f32(1.0), line.width)
        with f.loop(0, line.size, carry=[one]) as k:
            line.store(k.carried[0], 0, k.index, 1)
            k.next = [b.fmul(k.carried[0], line.load(1, k.index, 1))]
        with f.loop(0, line.size, carry=[one]) as turn:
            place = b.sub(const(line.size - 1), turn.index)
            line.store(b.fmul(line.load(0, place, 1), turn.carried[0]), 0, place, 1)
            turn.next = [b.fmul(turn.carried[0], line.load(1, place, 1))]

    axis = step.attrs["axis"] % x.ndim
    each_line(w, ("prod-of-others",), axis, [out], [x], body, in_order=True)
    return 1


@lowering("cumsum")
def lower_cumsum(w: Writer, steps: Sequence[NamedStep]) -> int:
    """The sum so far, in order, as NumPy adds it up."""
    step = steps[0]
    x, out = step.inputs[0], step.outputs[0]
    if not _floats(x, out):
        return 0
    from_end = step.attrs["from_end"]

    def body(line: Line) -> None:
        b = line.f.b
        nothing = f32(0.0) if line.width == 1 else line.f.splat(f32(0.0), line.width)
        with line.f.loop(0, line.size, carry=[nothing]) as k:
            place = b.sub(const(line.size - 1), k.index) if from_end else k.index
            total = b.fadd(k.carried[0], line.load(1, place, 1))
            line.store(total, 0, place, 1)
            k.next = [total]

    each_line(w, ("cumsum", from_end), step.attrs["axis"] % x.ndim, [out], [x], body, in_order=True)
    return 1
