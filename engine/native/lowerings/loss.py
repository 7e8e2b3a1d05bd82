"""Softmax cross-entropy with its gradient, accuracy, dropout: rows of a matrix, or flat arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir

from engine.native import mathfn
from engine.native.emit import F32, I32, Function, Val, const, f32
from engine.native.loops import nest, walk
from engine.native.lowerings import lowering
from engine.native.lowerings.elementwise import dropout_bits
from engine.native.writer import SMALL, Use, Writer, element_strides, whole
from engine.ops.loss import checked_labels

if TYPE_CHECKING:
    from engine.plan.program import NamedStep


def _matrix(logits: Any, ids: Any) -> bool:
    return (
        logits.ndim == 2
        and logits.dtype == np.float32
        and ids.dtype == np.int64
        and logits.flags.c_contiguous
        and logits.size > 0
        and (ids.size == 1 or element_strides(ids) == (1,))
    )


def _row_shift(f: Function, row: Val, classes: int) -> Val:
    """Greatest logit of a row."""
    b = f.b
    with f.loop(0, classes, carry=[f32(float("-inf"))]) as c:
        value = b.load(f.at(row, (c.index, 1)))
        larger = b.fcmp_unordered(">", value, c.carried[0])
        c.next = [b.select(larger, value, c.carried[0])]
    return c.result[0]


def _check(ids: Any, classes: int, ignore: int) -> None:
    checked_labels(ids, classes, ignore)


@lowering("cross_entropy")
def lower_cross_entropy(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Mean of log-sum-exp minus the label's logit; keeps the probabilities for the gradient.

    Labels are checked before the program runs.
    """
    step = steps[0]
    (logits, ids), (loss, p) = step.inputs, step.outputs
    smoothing, ignore = step.attrs["label_smoothing"], step.attrs["ignore_index"]
    if not _matrix(logits, ids) or not p.flags.c_contiguous or ignore >= 0:
        return 0
    n, classes = logits.shape
    rows = w.scratch(n)
    w.before.append(lambda: _check(ids, classes, ignore))

    def write(f: Function, thread: Val, count: Val, pz: Val, pi: Val, pp: Val, pr: Val) -> None:
        b = f.b
        first, last = f.share(n, thread, count)
        with f.loop(first, last, may_be_empty=True) as r:
            row, out = f.at(pz, (r.index, classes)), f.at(pp, (r.index, classes))
            shift = _row_shift(f, row, classes)
            with f.loop(0, classes, carry=[f32(0.0), f32(0.0)]) as c:
                z = b.fsub(b.load(f.at(row, (c.index, 1))), shift)
                e = mathfn.exp(f, z)
                b.store(e, f.at(out, (c.index, 1)))
                c.next = [b.fadd(c.carried[0], e), b.fadd(c.carried[1], z)]
            total, sum_z = c.result
            scale = b.fdiv(f32(1.0), total)
            label = b.load(f.at(pi, (r.index, 1)))
            valid = b.icmp_signed("!=", label, const(ignore))
            safe = b.select(valid, label, const(0))
            picked = b.fsub(b.load(f.at(row, (safe, 1))), shift)
            if smoothing:
                even = b.fmul(sum_z, f32(smoothing / classes))
                picked = b.fadd(b.fmul(picked, f32(1.0 - smoothing)), even)
            value = b.fsub(mathfn.log(f, total), picked)
            b.store(b.select(valid, value, f32(0.0)), f.at(pr, (r.index, 1)))
            with f.loop(0, classes) as c:
                spot = f.at(out, (c.index, 1))
                b.store(b.fmul(b.load(spot), scale), spot)

    w.kernel(
        ("cross-entropy", n, classes, smoothing, ignore),
        [logits, ids, p, rows],
        write,
        [
            Use(logits, False, None),
            Use(ids, False, None),
            Use(p, True, None),
            Use(rows, True, None),
        ],
    )
    double = ir.DoubleType()

    def mean(f: Function, thread: Val, count: Val, pr: Val, pi: Val, pl: Val) -> None:
        b = f.b
        with whole(thread, f):
            zero = ir.Constant(double, 0.0)
            with f.loop(0, n, carry=[zero, zero]) as r:
                label = b.load(f.at(pi, (r.index, 1)))
                one = b.uitofp(b.icmp_signed("!=", label, const(ignore)), double)
                value = b.fpext(b.load(f.at(pr, (r.index, 1))), double)
                r.next = [b.fadd(r.carried[0], value), b.fadd(r.carried[1], one)]
            total, valid = r.result
            many = b.fcmp_ordered(">", valid, ir.Constant(double, 1.0))
            valid = b.select(many, valid, ir.Constant(double, 1.0))
            b.store(b.fptrunc(b.fdiv(total, valid), F32), pl)

    w.kernel(
        ("mean-rows", n, ignore),
        [rows, ids, loss],
        mean,
        [Use(rows, False, None), Use(ids, False, None), Use(loss, True, None)],
    )
    return 1


@lowering("cross_entropy_gradient")
def lower_cross_entropy_gradient(w: Writer, steps: Sequence[NamedStep]) -> int:
    """``g * (probabilities - target) / count``."""
    step = steps[0]
    (p, ids, g), out = step.inputs, step.outputs[0]
    smoothing, ignore = step.attrs["label_smoothing"], step.attrs["ignore_index"]
    if not _matrix(p, ids) or not out.flags.c_contiguous or ignore >= 0:
        return 0
    n, classes = p.shape
    in_place = p.__array_interface__["data"] == out.__array_interface__["data"]
    arrays = [out, ids, g] if in_place else [out, ids, g, p]

    def write(
        f: Function, thread: Val, count: Val, po: Val, pi: Val, pg: Val, *source: Val
    ) -> None:
        b = f.b
        read = source[0] if source else po
        with f.loop(0, n, carry=[const(0)]) as r:
            label = b.load(f.at(pi, (r.index, 1)))
            valid = b.icmp_signed("!=", label, const(ignore))
            r.next = [b.add(r.carried[0], b.zext(valid, label.type))]
        many = b.icmp_signed(">", r.result[0], const(1))
        valid_count = b.select(many, r.result[0], const(1))
        scale = b.fdiv(b.load(pg), b.sitofp(valid_count, F32))
        first, last = f.share(n, thread, count)
        with f.loop(first, last, may_be_empty=True) as r:
            label = b.load(f.at(pi, (r.index, 1)))
            valid = b.icmp_signed("!=", label, const(ignore))
            factor = b.select(valid, scale, f32(0.0))
            with f.loop(0, classes) as c:
                value = b.load(f.at(read, (r.index, classes), (c.index, 1)))
                hit = b.icmp_signed("==", c.index, label)
                target = b.select(hit, f32(1.0 - smoothing), f32(0.0))
                if smoothing:
                    target = b.fadd(target, f32(smoothing / classes))
                spot = f.at(po, (r.index, classes), (c.index, 1))
                b.store(b.fmul(b.fsub(value, target), factor), spot)

    uses = [Use(out, True, None), Use(ids, False, None), Use(g, False, None)]
    if not in_place:
        uses.append(Use(p, False, None))
    w.kernel(
        ("cross-entropy-gradient", n, classes, smoothing, ignore, in_place), arrays, write, uses
    )
    return 1


@lowering("accuracy")
def lower_accuracy(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Share of rows whose greatest logit, the first of ties or the first NaN, is the label's."""
    step = steps[0]
    (logits, ids), out = step.inputs, step.outputs[0]
    if not _matrix(logits, ids) or logits.size > 16 * SMALL:
        return 0
    n, classes = logits.shape

    def write(f: Function, thread: Val, count: Val, pz: Val, pi: Val, po: Val) -> None:
        b = f.b
        with whole(thread, f):
            with f.loop(0, n, carry=[f32(0.0)]) as r:
                row = f.at(pz, (r.index, classes))
                start = [b.load(row), const(0)]
                with f.loop(1, classes, carry=start, may_be_empty=True) as c:
                    value = b.load(f.at(row, (c.index, 1)))
                    best, at = c.carried
                    held = b.fcmp_unordered("uno", best, best)
                    better = b.and_(b.fcmp_unordered(">", value, best), b.not_(held))
                    c.next = [b.select(better, value, best), b.select(better, c.index, at)]
                hit = b.icmp_signed("==", c.result[1], b.load(f.at(pi, (r.index, 1))))
                r.next = [b.fadd(r.carried[0], b.select(hit, f32(1.0), f32(0.0)))]
            b.store(b.fdiv(r.result[0], f32(n)), po)

    w.kernel(
        ("accuracy", n, classes),
        [logits, ids, out],
        write,
        [Use(logits, False, None), Use(ids, False, None), Use(out, True, None)],
    )
    return 1


@lowering("dropout")
def lower_dropout(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Scale or zero each element by its bits, counted in the order of its axes."""
    step = steps[0]
    (x, key), out = step.inputs, step.outputs[0]
    if x.dtype != np.float32 or tuple(step.attrs["mask_shape"]) != x.shape or not x.size:
        return 0
    threshold = min(round(step.attrs["rate"] * 2**32), 2**32 - 1)
    scale = f32(float(np.float32(1.0 / (1.0 - step.attrs["rate"]))))
    # A third operand that is never read gives the element's number in row-major order.
    numbers = np.lib.stride_tricks.as_strided(
        np.empty(1, np.float32),
        x.shape,
        [4 * int(np.prod(x.shape[i + 1 :], dtype=np.int64)) for i in range(x.ndim)],
    )
    plan = nest(x.shape, [out, x, numbers])
    in_place = x.__array_interface__["data"] == out.__array_interface__["data"]
    small = plan.size < SMALL

    ones = (1,) * 3
    lanes = w.lanes if tuple(p[-1] for p in plan.strides) == ones else 1

    def write(f: Function, thread: Val, count: Val, po: Val, pk: Val, *source: Val) -> None:
        b = f.b
        px = source[0] if source else po
        first, second = b.load(pk), b.load(f.at(pk, (1, 1)))

        def inner(positions: list[Val], width: int) -> None:
            place: Val = const(0)
            for position, stride in zip(positions, plan.strides[2], strict=True):
                place = b.add(place, b.mul(position, const(stride)))
            number = b.trunc(place, I32)
            if width > 1:
                steps = ir.Constant(ir.VectorType(I32, width), list(range(width)))
                number = b.add(number, steps)
            bits = dropout_bits(f, number, (first, second))
            kept = b.icmp_unsigned(">=", bits, ir.Constant(I32, threshold))
            value = f.load(f.at(px, *zip(positions, plan.strides[1], strict=True)), width)
            mask = b.select(kept, scale, f32(0.0))
            target = f.at(po, *zip(positions, plan.strides[0], strict=True))
            f.store(b.fmul(value, mask), target, width)

        walk(f, plan.sizes, thread, count, inner, lanes=lanes, alone=small)

    arrays = [out, key] if in_place else [out, key, x]
    uses = [Use(out, True, None), Use(key, False, None)]
    if not in_place:
        uses.append(Use(x, False, None))
    rate = step.attrs["rate"]
    w.kernel(("dropout", plan, threshold, rate, in_place, small), arrays, write, uses)
    return 1
