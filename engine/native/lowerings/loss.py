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
from engine.native.emit import F32, I32, I64, Fold, Function, Val, const, f32
from engine.native.loops import copied
from engine.native.lowerings import lowering
from engine.native.lowerings.gather import index_at, known
from engine.native.lowerings.lines import greater, joined
from engine.native.products import load_columns, store_columns, tail_mask
from engine.native.writer import Use, Writer, touching, whole
from engine.ops.loss import checked_labels

if TYPE_CHECKING:
    from engine.plan.program import NamedStep

DOUBLE = ir.DoubleType()
FEW = 8
"""Classes up to which as many rows as a register has lanes are taken side by side."""


def as_rows(array: Any) -> Any:
    """(N, C, ...) as (places, C), where it lies so in memory; else None."""
    last = np.moveaxis(array, 1, -1)
    return last.reshape(-1, array.shape[1]) if last.flags.c_contiguous else None


def in_rows(w: Writer, array: Any) -> Any:
    """(N, C, ...) as (places, C), copied if it must be."""
    rows = as_rows(array)
    return _copied(w, np.moveaxis(array, 1, -1), array.shape[1]) if rows is None else rows


def _copied(w: Writer, array: Any, columns: int) -> Any:
    room = w.scratch(-(-array.nbytes // 4)).view(array.dtype)[: array.size].reshape(array.shape)
    copied(w, room, array)
    return room.reshape(-1, columns)


def flat_ids(w: Writer, ids: Any) -> Any:
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


def _columns(f: Function, pointer: Val, classes: int, lanes: int) -> list[Val]:
    """One register for each class from as many packed rows as there are lanes."""
    flat = [f.load(f.at(pointer, (k * lanes, 1)), lanes) for k in range(classes)]
    places = [[i * classes + c for i in range(lanes)] for c in range(classes)]
    return [_picked(f, flat, at, lanes) for at in places]


def _store_columns(
    f: Function, columns: Sequence[Val], pointer: Val, classes: int, lanes: int
) -> None:
    """The reverse of ``_columns``."""
    for k in range(classes):
        flat = range(k * lanes, (k + 1) * lanes)
        places = [j % classes * lanes + j // classes for j in flat]
        f.store(_picked(f, columns, places, lanes), f.at(pointer, (k * lanes, 1)), lanes)


def _picked(f: Function, sources: Sequence[Val], places: Sequence[int], lanes: int) -> Val:
    """A register of the elements at ``places`` of all sources, one after another."""
    found = sources[0]
    for number, source in enumerate(sources):
        # What earlier sources gave stays where it is.
        mask = [
            lanes + at % lanes if at // lanes == number else i if at // lanes < number else 0
            for i, at in enumerate(places)
        ]
        found = f.b.shuffle_vector(found, source, ir.Constant(ir.VectorType(I32, lanes), mask))
    return found


def _labels(f: Function, ids: Val, r: Val, lanes: int) -> tuple[Val, Val]:
    """Labels of neighbouring rows: as they are, in 64 bits, and as numbers of classes, in 32."""
    value = f.load(f.at(ids, (r, 1)), lanes)
    width = value.type.element.width
    if width < 64:
        value = f.b.zext(value, I64) if width == 8 else f.b.sext(value, I64)
    return value, f.b.trunc(value, I32)


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
    rows, labels = in_rows(w, logits), flat_ids(w, ids)
    direct = as_rows(p)
    out = w.scratch(p.size).reshape(-1, classes) if direct is None else direct
    n, lanes = len(rows), w.lanes
    # A sum and a count for each thread.
    parts = w.scratch(4 * w.max_threads).view(np.float64)

    def side_by_side(
        f: Function, r: Val, pp: Val, pz: Val, pi: Val, carried: Sequence[Val]
    ) -> list[Val]:
        b = f.b
        logits = _columns(f, f.at(pz, (r, classes)), classes, lanes)
        peak = logits[0]
        for z in logits[1:]:
            peak = greater(f)(peak, z)
        label, number = _labels(f, pi, r, lanes)
        valid = b.icmp_signed("!=", label, const(ignore))
        picked = sum_z = total = f.splat(f32(0.0), lanes)
        powers = []
        for c, z in enumerate(logits):
            z = b.fsub(z, peak)
            powers.append(mathfn.exp(f, z))
            total, sum_z = b.fadd(total, powers[-1]), b.fadd(sum_z, z)
            picked = b.select(b.icmp_signed("==", number, ir.Constant(I32, c)), z, picked)
        if smoothing:
            even = b.fmul(sum_z, f32(smoothing / classes))
            picked = b.fadd(b.fmul(picked, f32(1.0 - smoothing)), even)
        scale = b.fdiv(f32(1.0), total)
        _store_columns(
            f, [b.fmul(e, scale) for e in powers], f.at(pp, (r, classes)), classes, lanes
        )
        value = b.select(valid, b.fsub(mathfn.log(f, total), picked), f32(0.0))
        one = b.select(valid, f32(1.0), f32(0.0))
        return [b.fadd(a, b.fpext(v, DOUBLE)) for a, v in zip(carried, (value, one), strict=True)]

    def write(f: Function, thread: Val, count: Val, pp: Val, pt: Val, pz: Val, pi: Val) -> None:
        b = f.b
        zero = ir.Constant(DOUBLE, 0.0)
        first, last = f.share(n, thread, count)
        begin, totals = first, [zero, zero]
        if classes <= FEW:
            begin = b.sub(last, b.srem(b.sub(last, first), const(lanes)))
            none = ir.Constant(ir.VectorType(DOUBLE, lanes), [0.0] * lanes)
            with f.loop(first, begin, lanes, carry=[none, none], may_be_empty=True) as r:
                r.next = side_by_side(f, r.index, pp, pz, pi, r.carried)
            totals = [joined(f, v, b.fadd) for v in r.result]
        with f.loop(begin, last, carry=totals, may_be_empty=True) as r:
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
        copy_back(w, out, p)
    _mean(w, parts, loss)
    return 1


def copy_back(w: Writer, rows: Any, out: Any) -> None:
    """Rows (places, C) into an array (N, C, ...) of any memory order."""
    seen = np.moveaxis(rows.reshape(np.moveaxis(out, 1, -1).shape), -1, 1)
    copied(w, out, seen)


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

    uses = [Use(out, True, "one thread"), Use(parts, False, None)]
    w.kernel(("mean-of-parts",), [out, parts], write, uses)


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
    rows, labels, direct = in_rows(w, p), flat_ids(w, ids), as_rows(made)
    out = w.scratch(p.size).reshape(-1, classes) if direct is None else direct
    in_place = rows.__array_interface__["data"] == out.__array_interface__["data"]
    n = len(rows)

    def side_by_side(f: Function, r: Val, po: Val, read: Val, pi: Val, scale: Val) -> None:
        b = f.b
        label, number = _labels(f, pi, r, lanes)
        valid = b.icmp_signed("!=", label, const(ignore))
        factors = b.select(valid, f.splat(scale, lanes), f32(0.0))
        for k in range(classes):
            flat = range(k * lanes, (k + 1) * lanes)
            rows_of = [j // classes for j in flat]
            own, factor = (_picked(f, [v], rows_of, lanes) for v in (number, factors))
            columns = ir.Constant(ir.VectorType(I32, lanes), [j % classes for j in flat])
            spot = (r, classes), (k * lanes, 1)
            target = b.select(b.icmp_signed("==", own, columns), f32(1.0 - smoothing), f32(0.0))
            if smoothing:
                target = b.fadd(target, f32(smoothing / classes))
            value = b.fsub(f.load(f.at(read, *spot), lanes), target)
            f.store(b.fmul(value, factor), f.at(po, *spot), lanes)

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
        begin = first
        if classes <= FEW:
            begin = b.sub(last, b.srem(b.sub(last, first), const(lanes)))
            with f.loop(first, begin, lanes, may_be_empty=True) as r:
                side_by_side(f, r.index, po, read, pi, scale)
        with f.loop(begin, last, may_be_empty=True) as r:
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
        copy_back(w, out, made)
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
    rows, labels = in_rows(w, logits), flat_ids(w, ids)
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
