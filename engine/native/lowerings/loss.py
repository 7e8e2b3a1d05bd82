"""Softmax cross-entropy with its gradient, and accuracy, over rows of logits.

A row is one place's logits. Maps (N, C, ...) are rows where their channels lie fastest in memory,
and are copied into rows elsewhere. Labels are checked before the program runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir

from engine.native import mathfn
from engine.native.emit import F32, I32, I64, Function, Val, const, f32
from engine.native.loops import elementwise
from engine.native.lowerings import lowering
from engine.native.lowerings.gather import index_at, known
from engine.native.lowerings.lines import greater, joined
from engine.native.lowerings.rows import Fold
from engine.native.products import load_columns, store_columns, tail_mask
from engine.native.writer import Writer, touching, whole
from engine.ops.loss import checked_labels

if TYPE_CHECKING:
    from engine.plan.program import NamedStep

DOUBLE = ir.DoubleType()


def _as_rows(array: Any) -> Any:
    """(N, C, ...) as (places, C), where it lies so in memory; else None."""
    last = np.moveaxis(array, 1, -1)
    return last.reshape(-1, array.shape[1]) if last.flags.c_contiguous else None


def _in_rows(w: Writer, array: Any) -> Any:
    """(N, C, ...) as (places, C), copied if it must be."""
    rows = _as_rows(array)
    return _copied(w, np.moveaxis(array, 1, -1), array.shape[1]) if rows is None else rows


def _copied(w: Writer, array: Any, columns: int) -> Any:
    room = w.scratch(-(-array.nbytes // 4)).view(array.dtype)[: array.size].reshape(array.shape)
    elementwise(w, ("copy",), array.shape, [room], [array], lambda f, value: [value])
    return room.reshape(-1, columns)


def _flat_ids(w: Writer, ids: Any) -> Any:
    """Labels in the order of the rows."""
    return (ids if ids.flags.c_contiguous else _copied(w, ids, 1)).reshape(-1)


def _fold_row(
    f: Function,
    size: int,
    lanes: int,
    starts: Sequence[float],
    term: Callable[[Val, int], Sequence[Val]],
    folds: Sequence[Fold],
) -> list[Val]:
    """Fold over a row in registers, the last of which is filled up with what changes nothing.

    ``term(k, valid)`` gives one register for each result; a start must leave its fold unchanged.
    """
    full = size // lanes * lanes
    totals: list[Val] = [f.splat(f32(s), lanes) for s in starts]
    if full:
        with f.loop(0, full, lanes, carry=totals) as k:
            terms = term(k.index, lanes)
            k.next = [fold(a, t) for fold, a, t in zip(folds, k.carried, terms, strict=True)]
        totals = k.result
    if full < size:
        mask = tail_mask(f, lanes, size - full)
        rest = [
            f.b.select(mask, t, f32(s))
            for t, s in zip(term(const(full), size - full), starts, strict=True)
        ]
        totals = [fold(a, t) for fold, a, t in zip(folds, totals, rest, strict=True)]
    return [joined(f, total, fold) for total, fold in zip(totals, folds, strict=True)]


def _each_register(f: Function, size: int, lanes: int, body: Callable[[Val, int], None]) -> None:
    """``body(k, valid)`` for every register of a row."""
    full = size // lanes * lanes
    if full:
        with f.loop(0, full, lanes) as k:
            body(k.index, lanes)
    if full < size:
        body(const(full), size - full)


def _numbers(f: Function, start: Val, lanes: int) -> Val:
    """``start``, ``start + 1`` and so on, 32 bits each."""
    steps = ir.Constant(ir.VectorType(I32, lanes), list(range(lanes)))
    return f.b.add(f.b.trunc(start, I32), steps)


@lowering("cross_entropy")
def lower_cross_entropy(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Mean of log-sum-exp minus the label's logit; keeps the probabilities for the gradient."""
    step = steps[0]
    (logits, ids), (loss, p) = step.inputs, step.outputs
    smoothing, ignore = step.attrs["label_smoothing"], step.attrs["ignore_index"]
    if logits.dtype != np.float32 or not logits.size or not known(w, ids):
        return 0
    classes = logits.shape[1]
    w.before.append(lambda: _check(ids, classes, ignore))
    rows, labels = _in_rows(w, logits), _flat_ids(w, ids)
    direct = _as_rows(p)
    out = w.scratch(p.size).reshape(-1, classes) if direct is None else direct
    n, lanes = len(rows), w.lanes
    # A sum and a count for each thread.
    parts = w.scratch(4 * w.max_threads).view(np.float64)

    def write(f: Function, thread: Val, count: Val, pp: Val, pt: Val, pz: Val, pi: Val) -> None:
        b = f.b
        zero = ir.Constant(DOUBLE, 0.0)
        first, last = f.share(n, thread, count)
        with f.loop(first, last, carry=[zero, zero], may_be_empty=True) as r:
            row, made = f.at(pz, (r.index, classes)), f.at(pp, (r.index, classes))

            def logit(k: Val, valid: int) -> Val:
                return load_columns(f, f.at(row, (k, 1)), lanes, valid)

            (peak,) = _fold_row(
                f, classes, lanes, [float("-inf")], lambda k, v: [logit(k, v)], [greater(f)]
            )

            def power(k: Val, valid: int) -> list[Val]:
                z = b.fsub(logit(k, valid), peak)
                e = mathfn.exp(f, z)
                store_columns(f, e, f.at(made, (k, 1)), lanes, valid)
                return [e, z] if smoothing else [e]

            num_sums = 2 if smoothing else 1
            sums = _fold_row(f, classes, lanes, [0.0] * num_sums, power, [b.fadd] * num_sums)
            label = index_at(f, pi, (r.index, 1))
            valid = b.icmp_signed("!=", label, const(ignore))
            picked = b.fsub(b.load(f.at(row, (b.select(valid, label, const(0)), 1))), peak)
            if smoothing:
                even = b.fmul(sums[1], f32(smoothing / classes))
                picked = b.fadd(b.fmul(picked, f32(1.0 - smoothing)), even)
            value = b.fpext(b.fsub(mathfn.log(f, sums[0]), picked), DOUBLE)
            total, counted = r.carried
            one = ir.Constant(DOUBLE, 1.0)
            r.next = [
                b.select(valid, b.fadd(total, value), total),
                b.select(valid, b.fadd(counted, one), counted),
            ]
            scale = b.fdiv(f32(1.0), sums[0])

            def divide(k: Val, valid: int) -> None:
                spot = f.at(made, (k, 1))
                value = b.fmul(load_columns(f, spot, lanes, valid), scale)
                store_columns(f, value, spot, lanes, valid)

            _each_register(f, classes, lanes, divide)
        for i, value in enumerate(r.result):
            b.store(value, f.at(pt, (thread, 2), (i, 1)))

    key = ("cross-entropy", n, classes, smoothing, ignore)
    w.kernel(key, [out, parts, rows, labels], write, touching([out, parts], [rows, labels]))
    if direct is None:
        _copy_back(w, out, p)
    _mean(w, parts, loss)
    return 1


def _copy_back(w: Writer, rows: Any, out: Any) -> None:
    """Rows (places, C) into an array (N, C, ...) of any memory order."""
    seen = np.moveaxis(rows.reshape(np.moveaxis(out, 1, -1).shape), -1, 1)
    elementwise(w, ("copy",), out.shape, [out], [seen], lambda f, value: [value])


def _mean(w: Writer, parts: Any, out: Any) -> None:
    """All threads' sums over all their counts, 0 if there is nothing to count."""

    def write(f: Function, thread: Val, count: Val, po: Val, pt: Val) -> None:
        b = f.b
        with whole(thread, f):
            zero = ir.Constant(DOUBLE, 0.0)
            with f.loop(0, count, carry=[zero, zero]) as t:
                found = [b.load(f.at(pt, (t.index, 2), (i, 1))) for i in (0, 1)]
                t.next = [b.fadd(a, v) for a, v in zip(t.carried, found, strict=True)]
            total, counted = t.result
            one = ir.Constant(DOUBLE, 1.0)
            counted = b.select(b.fcmp_ordered(">", counted, one), counted, one)
            b.store(b.fptrunc(b.fdiv(total, counted), F32), po)

    w.kernel(("mean-of-parts",), [out, parts], write, touching([out], [parts]))


def _check(ids: Any, classes: int, ignore: int) -> None:
    checked_labels(ids, classes, ignore)


@lowering("cross_entropy_gradient")
def lower_cross_entropy_gradient(w: Writer, steps: Sequence[NamedStep]) -> int:
    """``g * (probabilities - target) / count``."""
    step = steps[0]
    (p, ids, g), made = step.inputs, step.outputs[0]
    smoothing, ignore = step.attrs["label_smoothing"], step.attrs["ignore_index"]
    if p.dtype != np.float32 or not p.size or not known(w, ids):
        return 0
    classes, lanes = p.shape[1], w.lanes
    rows, labels, direct = _in_rows(w, p), _flat_ids(w, ids), _as_rows(made)
    out = w.scratch(p.size).reshape(-1, classes) if direct is None else direct
    in_place = rows.__array_interface__["data"] == out.__array_interface__["data"]
    n = len(rows)

    def write(
        f: Function, thread: Val, count: Val, po: Val, pi: Val, pg: Val, *source: Val
    ) -> None:
        b = f.b
        read = source[0] if source else po
        with f.loop(0, n, carry=[const(0)]) as r:
            valid = b.icmp_signed("!=", index_at(f, pi, (r.index, 1)), const(ignore))
            r.next = [b.add(r.carried[0], b.zext(valid, I64))]
        many = b.icmp_signed(">", r.result[0], const(1))
        counted = b.sitofp(b.select(many, r.result[0], const(1)), F32)
        scale = b.fdiv(b.load(pg), counted)
        first, last = f.share(n, thread, count)
        with f.loop(first, last, may_be_empty=True) as r:
            label = index_at(f, pi, (r.index, 1))
            valid = b.icmp_signed("!=", label, const(ignore))
            factor = b.select(valid, scale, f32(0.0))
            number = b.trunc(label, I32)

            def back(k: Val, wide: int) -> None:
                spot = (r.index, classes), (k, 1)
                value = load_columns(f, f.at(read, *spot), lanes, wide)
                hit = b.icmp_signed("==", _numbers(f, k, lanes), f.splat(number, lanes))
                target = b.select(hit, f32(1.0 - smoothing), f32(0.0))
                if smoothing:
                    target = b.fadd(target, f32(smoothing / classes))
                value = b.fmul(b.fsub(value, target), factor)
                store_columns(f, value, f.at(po, *spot), lanes, wide)

            _each_register(f, classes, lanes, back)

    read = [labels, g] + ([] if in_place else [rows])
    key = ("cross-entropy-gradient", n, classes, smoothing, ignore, in_place)
    w.kernel(key, [out, *read], write, touching([out], read))
    if direct is None:
        _copy_back(w, out, made)
    return 1


@lowering("accuracy")
def lower_accuracy(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Share of rows whose greatest logit, the first of ties or the first NaN, is the label's.

    That is: no other one is greater, and none before it is as great.
    """
    step = steps[0]
    (logits, ids), out = step.inputs, step.outputs[0]
    if logits.dtype != np.float32 or not logits.size or ids.dtype.name not in ("int64", "int32"):
        return 0
    rows, labels = _in_rows(w, logits), _flat_ids(w, ids)
    (n, classes), lanes = rows.shape, w.lanes
    parts = w.scratch(4 * w.max_threads).view(np.float64)

    def write(f: Function, thread: Val, count: Val, pt: Val, pz: Val, pi: Val) -> None:
        b = f.b
        zero, one = ir.Constant(DOUBLE, 0.0), ir.Constant(DOUBLE, 1.0)
        first, last = f.share(n, thread, count)
        with f.loop(first, last, carry=[zero, zero], may_be_empty=True) as r:
            row = f.at(pz, (r.index, classes))
            label = index_at(f, pi, (r.index, 1))
            # A label that is no class, such as an ignored one, is never hit.
            known_class = b.icmp_unsigned("<", label, const(classes))
            label = b.select(known_class, label, const(0))
            own = b.load(f.at(row, (label, 1)))
            own_nan = b.fcmp_unordered("uno", own, own)
            number = f.splat(b.trunc(label, I32), lanes)

            def beaten(k: Val, valid: int) -> list[Val]:
                z = load_columns(f, f.at(row, (k, 1)), lanes, valid)
                before = b.icmp_signed("<", _numbers(f, k, lanes), number)
                level = b.and_(b.fcmp_ordered("==", z, own), before)
                above = b.or_(b.fcmp_unordered(">", z, own), level)
                nan_before = b.and_(b.fcmp_unordered("uno", z, z), before)
                return [b.select(b.select(own_nan, nan_before, above), f32(1.0), f32(0.0))]

            (better,) = _fold_row(f, classes, lanes, [0.0], beaten, [b.fadd])
            hit = b.and_(b.fcmp_ordered("==", better, f32(0.0)), known_class)
            total, counted = r.carried
            r.next = [b.select(hit, b.fadd(total, one), total), b.fadd(counted, one)]
        for i, value in enumerate(r.result):
            b.store(value, f.at(pt, (thread, 2), (i, 1)))

    key = ("accuracy", n, classes)
    w.kernel(key, [parts, rows, labels], write, touching([parts], [rows, labels]))
    _mean(w, parts, out)
    return 1
