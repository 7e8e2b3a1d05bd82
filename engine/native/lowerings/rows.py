"""What works along the last axis of packed rows: softmax, standardisation, sums of rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.native import mathfn
from engine.native.emit import Fold, Function, Val, f32
from engine.native.loops import elementwise
from engine.native.lowerings import lowering
from engine.native.writer import SMALL, Use, Writer

if TYPE_CHECKING:
    from engine.plan.program import NamedStep


def packed(*arrays: Any) -> bool:
    """True if all are float32, row-major and not empty."""
    return all(a.dtype == np.float32 and a.flags.c_contiguous and a.size for a in arrays)


def row_major(w: Writer, array: Any) -> Any:
    """The array, or a copy of it in rows."""
    if packed(array):
        return array
    copy = w.scratch(array.size).reshape(array.shape)
    elementwise(w, ("copy",), array.shape, [copy], [array], lambda f, value: [value])
    return copy


def each_row(
    w: Writer,
    key: tuple[Any, ...],
    rows: int,
    size: int,
    arrays: Sequence[Any],
    outputs: int,
    body: Callable[..., None],
) -> None:
    """``body(f, row, *pointers)`` for every row; the first ``outputs`` arrays are written."""
    # An input that an output has taken over comes as the same pointer.
    starts = [a.__array_interface__["data"][0] for a in arrays]
    pointer_of = [starts.index(s) for s in starts]
    own = sorted(set(pointer_of))
    alone = rows * size < SMALL

    def write(f: Function, thread: Val, count: Val, *pointers: Val) -> None:
        by_number = dict(zip(own, pointers, strict=True))

        def row(positions: list[Val], _width: int) -> None:
            body(f, positions[0], *(by_number[n] for n in pointer_of))

        f.walk([rows], thread, count, row, alone=alone, lines=True)

    split = "one thread" if alone else ("rows", rows)
    uses = [Use(arrays[n], n < outputs, split) for n in own]
    name = (key[0], "rows", *key[1:], rows, size, tuple(pointer_of), alone)
    w.kernel(name, [arrays[n] for n in own], write, uses)


def _larger(f: Function) -> Fold:
    return lambda a, value: f.b.select(f.b.fcmp_ordered(">", value, a), value, a)


def softmax_row(f: Function, size: int, lanes: int, target: Val, source: Val) -> None:
    """Greatest of the row, exponentials and their sum, division; in place too."""
    b = f.b

    def load(i: Val | int, width: int) -> list[Val]:
        return [f.load(f.at(source, (i, 1)), width)]

    # A NaN needs no care here: its exponential, the sum and so the whole row become NaN.
    (peak,) = f.along(size, lanes, [float("-inf")], load, [_larger(f)])

    def power(i: Val | int, width: int) -> list[Val]:
        e = mathfn.exp(f, b.fsub(load(i, width)[0], peak))
        f.store(e, f.at(target, (i, 1)), width)
        return [e]

    (total,) = f.along(size, lanes, [0.0], power, [b.fadd])
    scale = b.fdiv(f32(1.0), total)

    def divide(i: Val | int, width: int) -> None:
        spot = f.at(target, (i, 1))
        f.store(b.fmul(f.load(spot, width), scale), spot, width)

    f.each(size, lanes, divide)


@lowering("softmax")
def lower_softmax(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Each row by itself."""
    step = steps[0]
    x, out = step.inputs[0], step.outputs[0]
    if not packed(x, out) or step.attrs["axis"] % x.ndim != x.ndim - 1:
        return 0
    size = x.shape[-1]

    def body(f: Function, row: Val, po: Val, px: Val) -> None:
        softmax_row(f, size, w.lanes, f.at(po, (row, size)), f.at(px, (row, size)))

    each_row(w, ("softmax",), x.size // size, size, [out, x], 1, body)
    return 1


def softmax_gradient_row(
    f: Function, size: int, lanes: int, target: Val, gradient: Val, y: Val
) -> None:
    """``y * (g - sum(g * y))``."""
    b = f.b

    def load(p: Val, i: Val | int, width: int) -> Val:
        return f.load(f.at(p, (i, 1)), width)

    def term(i: Val | int, width: int) -> list[Val]:
        return [b.fmul(load(gradient, i, width), load(y, i, width))]

    (total,) = f.along(size, lanes, [0.0], term, [b.fadd])

    def back(i: Val | int, width: int) -> None:
        value = b.fmul(b.fsub(load(gradient, i, width), total), load(y, i, width))
        f.store(value, f.at(target, (i, 1)), width)

    f.each(size, lanes, back)


@lowering("softmax_gradient")
def lower_softmax_gradient(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Each row by itself."""
    step = steps[0]
    (g, y), out = step.inputs, step.outputs[0]
    if not packed(g, y, out) or step.attrs["axis"] % y.ndim != y.ndim - 1:
        return 0
    size = y.shape[-1]

    def body(f: Function, row: Val, po: Val, pg: Val, py: Val) -> None:
        softmax_gradient_row(f, size, w.lanes, *(f.at(p, (row, size)) for p in (po, pg, py)))

    each_row(w, ("softmax-gradient",), y.size // size, size, [out, g, y], 1, body)
    return 1


def standardize_row(
    f: Function, size: int, lanes: int, y: Val, inverse: Val, x: Val, epsilon: float
) -> None:
    """Mean, then the variance around it, then the row scaled; in place too."""
    b = f.b
    share = f32(1.0 / size)

    def load(i: Val | int, width: int) -> Val:
        return f.load(f.at(x, (i, 1)), width)

    (total,) = f.along(size, lanes, [0.0], lambda i, n: [load(i, n)], [b.fadd])
    mean = b.fmul(total, share)

    def square(i: Val | int, width: int) -> list[Val]:
        d = b.fsub(load(i, width), mean)
        return [b.fmul(d, d)]

    (spread,) = f.along(size, lanes, [0.0], square, [b.fadd])
    root = f.intrinsic("sqrt", b.fadd(b.fmul(spread, share), f32(epsilon)))
    scale = b.fdiv(f32(1.0), root)
    b.store(scale, inverse)

    def normal(i: Val | int, width: int) -> None:
        value = b.fmul(b.fsub(load(i, width), mean), scale)
        f.store(value, f.at(y, (i, 1)), width)

    f.each(size, lanes, normal)


@lowering("standardize")
def lower_standardize(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Each row by itself."""
    step = steps[0]
    x, (y, inverse) = step.inputs[0], step.outputs
    if not packed(y, inverse) or x.dtype != np.float32:
        return 0
    x = row_major(w, x)
    size, epsilon = x.shape[-1], step.attrs["epsilon"]

    def body(f: Function, row: Val, py: Val, pi: Val, px: Val) -> None:
        y, x_ = f.at(py, (row, size)), f.at(px, (row, size))
        standardize_row(f, size, w.lanes, y, f.at(pi, (row, 1)), x_, epsilon)

    each_row(w, ("standardize", epsilon), x.size // size, size, [y, inverse, x], 2, body)
    return 1


def standardize_gradient_row(
    f: Function, size: int, lanes: int, target: Val, gradient: Val, y: Val, inverse: Val
) -> None:
    """``(g - mean(g) - y * mean(g * y)) / deviation``; in place too."""
    b = f.b
    share = f32(1.0 / size)

    def load(p: Val, i: Val | int, width: int) -> Val:
        return f.load(f.at(p, (i, 1)), width)

    def terms(i: Val | int, width: int) -> list[Val]:
        d = load(gradient, i, width)
        return [d, b.fmul(d, load(y, i, width))]

    sums = f.along(size, lanes, [0.0, 0.0], terms, [b.fadd, b.fadd])
    mean, slope = (b.fmul(s, share) for s in sums)
    scale = b.load(inverse)

    def back(i: Val | int, width: int) -> None:
        rest = b.fadd(b.fmul(load(y, i, width), slope), mean)
        value = b.fmul(b.fsub(load(gradient, i, width), rest), scale)
        f.store(value, f.at(target, (i, 1)), width)

    f.each(size, lanes, back)


@lowering("standardize_gradient")
def lower_standardize_gradient(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Each row by itself."""
    step = steps[0]
    (g, y, inverse), dx = step.inputs, step.outputs[0]
    if not packed(y, inverse, dx) or g.dtype != np.float32:
        return 0
    g = row_major(w, g)
    size = y.shape[-1]

    def body(f: Function, row: Val, po: Val, pg: Val, py: Val, pi: Val) -> None:
        target, g_, y_ = (f.at(p, (row, size)) for p in (po, pg, py))
        standardize_gradient_row(f, size, w.lanes, target, g_, y_, f.at(pi, (row, 1)))

    arrays = [dx, g, y, inverse]
    each_row(w, ("standardize-gradient",), y.size // size, size, arrays, 1, body)
    return 1
