"""Sums over axes: each thread adds its part, in a fixed order, then the parts are added."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir

from engine.native.emit import F32, GRAIN, Function, Val, const, f32
from engine.native.lowerings import lowering
from engine.native.lowerings.extreme import reduced
from engine.native.products import load_columns, store_columns
from engine.native.writer import SMALL, Use, Writer, element_strides, whole

if TYPE_CHECKING:
    from engine.plan.program import NamedStep


@lowering("sum")
def lower_sum(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Sum of a dense float32 array over a leading group of memory axes: ``(rows, columns)``."""
    step = steps[0]
    x, out = step.inputs[0], step.outputs[0]
    if x.dtype != np.float32 or x.size == 0:
        return 0
    view = rows_and_columns(x, step.attrs["axes"])
    if view is None:
        return _sum_blocks(w, step)
    rows, columns = view
    if not out.flags.c_contiguous:
        return _sum_blocks(w, step)
    sum_rows(w, x, out, rows, columns)
    return 1


def _sum_blocks(w: Writer, step: NamedStep) -> int:
    """Sum over axes between others: ``out[i, c] = sum over r of x[i, r, c]``, i shared."""
    x, out, axes = step.inputs[0], step.outputs[0], step.attrs["axes"]
    gone = {a % x.ndim for a in axes}
    strides = element_strides(x)
    order = sorted((a for a in range(x.ndim) if x.shape[a] != 1), key=lambda a: -strides[a])
    sizes = [1, 1, 1]
    expected, stage, regular = 1, 2, out.flags.c_contiguous
    for axis in reversed(order):
        regular &= strides[axis] == expected
        expected *= x.shape[axis]
        if (axis in gone) != (stage == 1):
            stage -= 1
        if stage < 0:
            regular = False
            break
        sizes[stage] *= x.shape[axis]
    kept = [a for a in order if a not in gone]
    outer, rows, columns = sizes
    if not regular or kept != sorted(kept):
        return reduced(w, step, axes, 0.0, lambda f: f.b.fadd)
    if columns == 1:
        return _sum_lines(w, x, out, outer, rows)

    def write(f: Function, thread: Val, count: Val, px: Val, po: Val) -> None:
        first, last = f.share(outer, thread, count)
        with f.loop(first, last, may_be_empty=True) as i:
            source = f.at(px, (i.index, rows * columns))
            add_rows(f, source, f.at(po, (i.index, columns)), const(0), const(rows), columns)

    w.kernel(
        ("sum-blocks", outer, rows, columns),
        [x, out],
        write,
        [Use(x, False, None), Use(out, True, None)],
    )
    return 1


def _sum_lines(w: Writer, x: Any, out: Any, outer: int, size: int) -> int:
    """``out[i] = sum of x[i, :]``."""

    def write(f: Function, thread: Val, count: Val, px: Val, po: Val) -> None:
        first, last = f.share(outer, thread, count)
        with f.loop(first, last, may_be_empty=True) as i:
            line = f.at(px, (i.index, size))

            def load(k: Val | int, width: int) -> list[Val]:
                return [f.load(f.at(line, (k, 1)), width)]

            (total,) = f.along(size, w.lanes, [0.0], load, [f.b.fadd])
            f.b.store(total, f.at(po, (i.index, 1)))

    w.kernel(
        ("sum-lines", outer, size), [x, out], write, [Use(x, False, None), Use(out, True, None)]
    )
    return 1


def rows_and_columns(x: Any, axes: Sequence[int]) -> tuple[int, int] | None:
    """``x`` as a dense matrix in memory whose rows are summed away, or None."""
    strides = element_strides(x)
    order = sorted((a for a in range(x.ndim) if x.shape[a] != 1), key=lambda a: -strides[a])
    expected = 1
    for axis in reversed(order):
        if strides[axis] != expected:
            return None
        expected *= x.shape[axis]
    gone = {a % x.ndim for a in axes}
    flags = [a in gone for a in order]
    if flags != sorted(flags, reverse=True):
        return None
    kept = [a for a in order if a not in gone]
    if kept != sorted(kept):
        return None
    rows = int(np.prod([x.shape[a] for a in order if a in gone], dtype=np.int64))
    columns = int(np.prod([x.shape[a] for a in kept], dtype=np.int64))
    return rows, columns


def sum_rows(w: Writer, x: Any, out: Any, rows: int, columns: int) -> None:
    """``out[c] = sum over rows of x[r, c]``; few rows at a time keep the error small."""
    if columns == 1:
        sum_all(w, x, out, rows)
        return
    parts = w.scratch(w.max_threads * columns)

    def partial(f: Function, thread: Val, count: Val, px: Val, pp: Val) -> None:
        first, last = f.share(rows, thread, count)
        mine = f.at(pp, (thread, columns))
        add_rows(f, px, mine, first, last, columns)

    w.kernel(
        ("sum-rows", rows, columns),
        [x, parts],
        partial,
        [Use(x, False, None), Use(parts, True, None)],
    )
    combine(w, parts, out, columns)


def sum_all(w: Writer, x: Any, out: Any, size: int) -> None:
    """``out = sum of x``, packed in memory: registers over short stretches, those in float64."""
    parts = w.scratch(2 * w.max_threads).view(np.float64)
    lanes, together = w.lanes, 4
    step = lanes * together
    block = 16 * step
    small = size < SMALL
    double = ir.DoubleType()

    def partial(f: Function, thread: Val, count: Val, pp: Val, px: Val) -> None:
        b = f.b

        def stretch(first: Val, last: Val, total: Val) -> Val:
            zero = f.splat(f32(0.0), lanes)
            with f.loop(first, last, step, carry=[zero] * together) as i:
                i.next = [
                    b.fadd(a, f.load(f.at(px, (i.index, 1), (n * lanes, 1)), lanes))
                    for n, a in enumerate(i.carried)
                ]
            a, c, d, e = i.result
            found = f.across(b.fadd(b.fadd(a, c), b.fadd(d, e)), b.fadd)
            return b.fadd(total, b.fpext(found, double))

        def run(first: Val, last: Val) -> None:
            length = b.sub(last, first)
            middle = b.add(first, b.sub(length, b.srem(length, const(step))))
            begin = [ir.Constant(double, 0.0)]
            with f.loop(first, middle, block, carry=begin, may_be_empty=True) as i:
                over = b.add(i.index, const(block))
                end = b.select(b.icmp_signed(">", over, middle), middle, over)
                i.next = [stretch(i.index, end, i.carried[0])]
            with f.loop(middle, last, carry=i.result, may_be_empty=True) as k:
                value = b.load(f.at(px, (k.index, 1)))
                k.next = [b.fadd(k.carried[0], b.fpext(value, double))]
            b.store(k.result[0], f.at(pp, (thread, 1)))

        if small:
            with whole(thread, f):
                run(const(0), const(size))
        else:
            run(*f.share(size, thread, count, GRAIN))

    split = "one thread" if small else None
    uses = [Use(parts, True, split), Use(x, False, split)]
    w.kernel(("sum-all", size), [parts, x], partial, uses)

    def join(f: Function, thread: Val, count: Val, po: Val, pp: Val) -> None:
        b = f.b
        with whole(thread, f):
            many = const(1) if small else count
            with f.loop(0, many, carry=[ir.Constant(double, 0.0)]) as t:
                t.next = [b.fadd(t.carried[0], b.load(f.at(pp, (t.index, 1))))]
            b.store(b.fptrunc(t.result[0], F32), po)

    uses = [Use(out, True, "one thread"), Use(parts, False, split)]
    w.kernel(("sum-of-parts", small), [out, parts], join, uses)


def add_rows(f: Function, x: Val, out: Val, first: Val, last: Val, columns: int) -> None:
    """``out[:columns] = sum of rows first..last``, in blocks whose sums are then added."""
    b = f.b
    block = 256
    with f.loop(0, columns) as c:
        b.store(f32(0.0), f.at(out, (c.index, 1)))
    lanes = 16
    full = columns // lanes * lanes

    def column_sums(column: Val, valid: int) -> None:
        # One register of columns at a time, so that the rows stream by.
        with f.loop(first, last, block, may_be_empty=True) as chunk:
            over = b.add(chunk.index, const(block))
            end = b.select(b.icmp_signed(">", over, last), last, over)
            with f.loop(chunk.index, end, carry=[f.splat(f32(0.0), lanes)]) as r:
                spot = f.at(x, (r.index, columns), (column, 1))
                r.next = [b.fadd(r.carried[0], load_columns(f, spot, lanes, valid))]
            place = f.at(out, (column, 1))
            total = b.fadd(load_columns(f, place, lanes, valid), r.result[0])
            store_columns(f, total, place, lanes, valid)

    if full:
        with f.loop(0, full, lanes) as c:
            column_sums(c.index, lanes)
    if full < columns:
        column_sums(const(full), columns - full)


def combine(w: Writer, parts: Any, out: Any, columns: int) -> None:
    """``out[c] = sum over threads of parts[t, c]``."""

    def write(f: Function, thread: Val, count: Val, pp: Val, po: Val) -> None:
        def join(c: Val | int, width: int) -> None:
            nothing = f32(0.0) if width == 1 else f.splat(f32(0.0), width)
            with f.loop(0, count, carry=[nothing]) as t:
                value = f.load(f.at(pp, (t.index, columns), (c, 1)), width)
                t.next = [f.b.fadd(t.carried[0], value)]
            f.store(t.result[0], f.at(po, (c, 1)), width)

        with whole(thread, f):
            f.each(columns, w.lanes, join)

    w.kernel(
        ("combine", columns),
        [parts, out],
        write,
        [Use(parts, False, None), Use(out, True, "one thread")],
    )
