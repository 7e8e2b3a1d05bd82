"""Sums over axes: each thread adds its part, in a fixed order, then the parts are added."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.native.emit import Function, Val, const, f32
from engine.native.lowerings import lowering
from engine.native.writer import Use, Writer, element_strides, whole

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
        return 0
    rows, columns = view
    if element_strides(out.reshape(-1))[-1] not in (0, 1) or out.size != columns:
        return 0
    sum_rows(w, x, out, rows, columns)
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


def add_rows(f: Function, x: Val, out: Val, first: Val, last: Val, columns: int) -> None:
    """``out[:columns] = sum of rows first..last``, in blocks whose sums are then added."""
    b = f.b
    block = 256
    with f.loop(0, columns) as c:
        b.store(f32(0.0), f.at(out, (c.index, 1)))
    lanes = 16
    full = columns // lanes * lanes

    def column_sums(column: Val, width: int) -> None:
        # One register of columns at a time, so that the rows stream by.
        with f.loop(first, last, block, may_be_empty=True) as chunk:
            over = b.add(chunk.index, const(block))
            end = b.select(b.icmp_signed(">", over, last), last, over)
            if width == 1:
                with f.loop(chunk.index, end, carry=[f32(0.0)]) as r:
                    value = b.load(f.at(x, (r.index, columns), (column, 1)))
                    r.next = [b.fadd(r.carried[0], value)]
                place = f.at(out, (column, 1))
                b.store(b.fadd(b.load(place), r.result[0]), place)
            else:
                start = f.splat(f32(0.0), width)
                with f.loop(chunk.index, end, carry=[start]) as r:
                    value = f.load_vector(f.at(x, (r.index, columns), (column, 1)), width)
                    r.next = [b.fadd(r.carried[0], value)]
                place = f.at(out, (column, 1))
                f.store_vector(b.fadd(f.load_vector(place, width), r.result[0]), place)

    if full:
        with f.loop(0, full, lanes) as c:
            column_sums(c.index, lanes)
    if full < columns:
        with f.loop(full, columns) as c:
            column_sums(c.index, 1)


def combine(w: Writer, parts: Any, out: Any, columns: int) -> None:
    """``out[c] = sum over threads of parts[t, c]``."""

    def write(f: Function, thread: Val, count: Val, pp: Val, po: Val) -> None:
        b = f.b
        with whole(thread, f), f.loop(0, columns) as c:
            with f.loop(0, count, carry=[f32(0.0)]) as t:
                value = b.load(f.at(pp, (t.index, columns), (c.index, 1)))
                t.next = [b.fadd(t.carried[0], value)]
            b.store(t.result[0], f.at(po, (c.index, 1)))

    w.kernel(
        ("combine", columns),
        [parts, out],
        write,
        [Use(parts, False, None), Use(out, True, None)],
    )
