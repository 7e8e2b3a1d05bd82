"""Softmax cross-entropy with its gradient, and accuracy: a warp for each row of logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir

from engine.cuda.emit import LANES, DeviceFunction
from engine.cuda.sums import DOUBLE, add_up
from engine.native import mathfn
from engine.native.emit import F32, Val, const, f32
from engine.native.lowerings.gather import index_at
from engine.native.lowerings.lines import greater
from engine.native.lowerings.loss import as_rows, copy_back, flat_ids, in_rows
from engine.native.writer import Writer

if TYPE_CHECKING:
    from engine.plan.program import NamedStep

LABELS = ("int64", "int32", "uint8")


def _taken(logits: Any, ids: Any) -> bool:
    return bool(logits.dtype == np.float32 and logits.size and ids.dtype.name in LABELS)


def lower_cross_entropy(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Mean of log-sum-exp minus the label's logit; keeps the probabilities for the gradient."""
    step = steps[0]
    (logits, ids), (loss, p) = step.inputs, step.outputs
    smoothing, ignore = step.attrs["label_smoothing"], step.attrs["ignore_index"]
    if not _taken(logits, ids):
        return 0
    classes = logits.shape[1]
    rows, labels, direct = in_rows(w, logits), flat_ids(w, ids), as_rows(p)
    out = w.scratch(p.size).reshape(-1, classes) if direct is None else direct
    n = len(rows)
    losses = w.scratch(n)

    def write(f: DeviceFunction, thread: Val, count: Val, *pointers: Val) -> None:
        b, (pp, pl, pz, pi) = f.b, pointers

        def row(positions: list[Val], _width: int) -> None:
            (r,) = positions
            source, made = f.at(pz, (r, classes)), f.at(pp, (r, classes))

            def logit(k: Val | int) -> Val:
                return b.load(f.at(source, (k, 1)))

            infinity = float("-inf")
            (peak,) = f.along(classes, LANES, [infinity], lambda k, _: [logit(k)], [greater(f)])

            def power(k: Val | int, _width: int) -> list[Val]:
                z = b.fsub(logit(k), peak)
                e = mathfn.exp(f, z)
                b.store(e, f.at(made, (k, 1)))
                return [e, z] if smoothing else [e]

            num_sums = 2 if smoothing else 1
            sums = f.along(classes, LANES, [0.0] * num_sums, power, [b.fadd] * num_sums)
            label = index_at(f, pi, (r, 1))
            valid = b.icmp_signed("!=", label, const(ignore))
            # Nothing outside the row is read, whatever the label is.
            known = b.select(b.icmp_unsigned("<", label, const(classes)), label, const(0))
            picked = b.fsub(logit(known), peak)
            if smoothing:
                even = b.fmul(sums[1], f32(smoothing / classes))
                picked = b.fadd(b.fmul(picked, f32(1.0 - smoothing)), even)
            value = b.fsub(mathfn.log(f, sums[0]), picked)
            b.store(b.select(valid, value, f32(0.0)), f.at(pl, (r, 1)))
            scale = b.fdiv(f32(1.0), sums[0])

            def divide(k: Val | int, _width: int) -> None:
                spot = f.at(made, (k, 1))
                b.store(b.fmul(b.load(spot), scale), spot)

            f.each(classes, LANES, divide)

        f.walk([n], thread, count, row, lines=True)

    key = ("cross-entropy", n, classes, smoothing, ignore)
    w.kernel(key, [out, losses, rows, labels], write, ())
    if direct is None:
        copy_back(w, out, p)

    def terms(f: DeviceFunction, i: Val, pl: Val, pi: Val) -> list[Val]:
        value = f.b.fpext(f.b.load(f.at(pl, (i, 1))), DOUBLE)
        return [value, _counts(f, pi, i, ignore)]

    def mean(f: DeviceFunction, po: Val, totals: list[Val]) -> None:
        total, counted = totals
        f.b.store(f.b.fptrunc(f.b.fdiv(total, _at_least_one(f, counted)), F32), po)

    add_up(w, ("mean-loss", ignore), n, [losses, labels], terms, loss, mean, 2)
    return 1


def _counts(f: DeviceFunction, labels: Val, i: Val, ignore: int) -> Val:
    """1 if a label counts, else 0."""
    valid = f.b.icmp_signed("!=", index_at(f, labels, (i, 1)), const(ignore))
    return f.b.uitofp(valid, DOUBLE)


def _at_least_one(f: DeviceFunction, counted: Val) -> Val:
    one = ir.Constant(DOUBLE, 1.0)
    return f.b.select(f.b.fcmp_ordered(">", counted, one), counted, one)


def lower_cross_entropy_gradient(w: Writer, steps: Sequence[NamedStep]) -> int:
    """``g * (probabilities - target) / count``."""
    step = steps[0]
    (p, ids, g), made = step.inputs, step.outputs[0]
    smoothing, ignore = step.attrs["label_smoothing"], step.attrs["ignore_index"]
    if not _taken(p, ids):
        return 0
    classes = p.shape[1]
    rows, labels, direct = in_rows(w, p), flat_ids(w, ids), as_rows(made)
    out = w.scratch(p.size).reshape(-1, classes) if direct is None else direct
    in_place = rows.__array_interface__["data"] == out.__array_interface__["data"]
    n = len(rows)
    counted = w.scratch(1)

    def terms(f: DeviceFunction, i: Val, pi: Val) -> list[Val]:
        return [_counts(f, pi, i, ignore)]

    def count_them(f: DeviceFunction, po: Val, totals: list[Val]) -> None:
        f.b.store(f.b.fptrunc(_at_least_one(f, totals[0]), F32), po)

    add_up(w, ("count-labels", ignore), n, [labels], terms, counted, count_them, 1)

    def write(f: DeviceFunction, thread: Val, count: Val, *pointers: Val) -> None:
        b, (po, pi, pg, pc, *source) = f.b, pointers
        read = source[0] if source else po

        def element(positions: list[Val], _width: int) -> None:
            r, k = positions
            label = index_at(f, pi, (r, 1))
            valid = b.icmp_signed("!=", label, const(ignore))
            factor = b.select(valid, b.fdiv(b.load(pg), b.load(pc)), f32(0.0))
            hit = b.icmp_signed("==", label, k)
            target = b.select(hit, f32(1.0 - smoothing), f32(0.0))
            if smoothing:
                target = b.fadd(target, f32(smoothing / classes))
            value = b.load(f.at(read, (r, classes), (k, 1)))
            b.store(b.fmul(b.fsub(value, target), factor), f.at(po, (r, classes), (k, 1)))

        f.walk([n, classes], thread, count, element)

    key = ("cross-entropy-gradient", n, classes, smoothing, ignore, in_place)
    w.kernel(key, [out, labels, g, counted, *([] if in_place else [rows])], write, ())
    if direct is None:
        copy_back(w, out, made)
    return 1


def lower_accuracy(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Share of rows whose greatest logit, the first of ties or the first NaN, is the label's.

    That is: no other one is greater, and none before it is as great.
    """
    step = steps[0]
    (logits, ids), out = step.inputs, step.outputs[0]
    if not _taken(logits, ids):
        return 0
    classes = logits.shape[1]
    rows, labels = in_rows(w, logits), flat_ids(w, ids)
    n = len(rows)
    hits = w.scratch(n)

    def write(f: DeviceFunction, thread: Val, count: Val, ph: Val, pz: Val, pi: Val) -> None:
        b = f.b

        def row(positions: list[Val], _width: int) -> None:
            (r,) = positions
            source, label = f.at(pz, (r, classes)), index_at(f, pi, (r, 1))
            # A label that is no class, such as an ignored one, is never hit.
            known = b.icmp_unsigned("<", label, const(classes))
            label = b.select(known, label, const(0))
            own = b.load(f.at(source, (label, 1)))
            own_nan = b.fcmp_unordered("uno", own, own)

            def beaten(k: Val | int, _width: int) -> list[Val]:
                z = b.load(f.at(source, (k, 1)))
                before = b.icmp_signed("<", k, label)
                level = b.and_(b.fcmp_ordered("==", z, own), before)
                above = b.or_(b.fcmp_unordered(">", z, own), level)
                nan_before = b.and_(b.fcmp_unordered("uno", z, z), before)
                return [b.select(b.select(own_nan, nan_before, above), f32(1.0), f32(0.0))]

            (better,) = f.along(classes, LANES, [0.0], beaten, [b.fadd])
            hit = b.and_(b.fcmp_ordered("==", better, f32(0.0)), known)
            b.store(b.select(hit, f32(1.0), f32(0.0)), f.at(ph, (r, 1)))

        f.walk([n], thread, count, row, lines=True)

    w.kernel(("accuracy", n, classes), [hits, rows, labels], write, ())

    def terms(f: DeviceFunction, i: Val, ph: Val) -> list[Val]:
        return [f.b.fpext(f.b.load(f.at(ph, (i, 1))), DOUBLE)]

    def share(f: DeviceFunction, po: Val, totals: list[Val]) -> None:
        f.b.store(f.b.fptrunc(f.b.fdiv(totals[0], ir.Constant(DOUBLE, float(n))), F32), po)

    add_up(w, ("share-of-hits",), n, [hits], terms, out, share, 1)
    return 1
