"""Sums: of everything, over a warp's chunk and then over chunks, and of the rows of a matrix.

What a thread adds up, and in which order, depends on the sizes alone: the same bytes every time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir

from engine.cuda.emit import LANES, DeviceFunction
from engine.native.emit import F32, Val, const, f32
from engine.native.lowerings.reduce import rows_and_columns
from engine.native.writer import Writer

if TYPE_CHECKING:
    from engine.plan.program import NamedStep

DOUBLE = ir.DoubleType()
CHUNK = 1024
"""Terms of a long sum that one warp adds up."""
FEWEST_ROWS = 64
"""Rows that a thread adds up at least, if there are so many."""
MOST_PARTS = 4096
"""Parts at most into which rows are cut."""


def lower_sum(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Sum of an array over the axes that lie slowest in its memory, or over all."""
    step = steps[0]
    x, out = step.inputs[0], step.outputs[0]
    if x.dtype != np.float32 or not x.size or not out.flags.c_contiguous:
        return 0
    view = rows_and_columns(x, step.attrs["axes"])
    if view is None:
        return 0
    rows, columns = view
    if columns > 1:
        column_sums(w, ("sum",), rows, columns, [x], [], [out], lambda f, v: [v])
        return 1

    def terms(f: DeviceFunction, i: Val, px: Val) -> list[Val]:
        return [f.b.fpext(f.b.load(f.at(px, (i, 1))), DOUBLE)]

    def finish(f: DeviceFunction, po: Val, totals: list[Val]) -> None:
        f.b.store(f.b.fptrunc(totals[0], F32), po)

    add_up(w, ("sum-all",), rows, [x], terms, out, finish, 1)
    return 1


def column_sums(
    w: Writer,
    key: tuple[Any, ...],
    rows: int,
    columns: int,
    dense: Sequence[Any],
    per_column: Sequence[Any],
    outs: Sequence[Any],
    term: Callable[..., list[Val]],
) -> None:
    """``outs[j][c] = sum over rows of term(dense[r, c] ..., per_column[c] ...)[j]``.

    A thread adds up one column of a part of the rows, so that a warp reads along them.
    """
    size = max(min(rows, FEWEST_ROWS), -(-rows // MOST_PARTS))
    parts = -(-rows // size)
    targets = list(outs) if parts == 1 else [w.scratch(parts * columns) for _ in outs]
    groups = -(-columns // LANES)
    num_dense, num_outs = len(dense), len(outs)

    def write(f: DeviceFunction, thread: Val, count: Val, *pointers: Val) -> None:
        b = f.b
        sources, fixed = pointers[num_outs : num_outs + num_dense], pointers[num_outs + num_dense :]

        def piece(positions: list[Val], _width: int) -> None:
            part, group = positions
            first = b.mul(part, const(size))
            after = b.add(first, const(size))
            last = b.select(b.icmp_signed("<", after, const(rows)), after, const(rows))

            def own(lane: Val) -> list[Val]:
                column = b.add(b.mul(group, const(LANES)), lane)
                with b.if_then(b.icmp_signed("<", column, const(columns))):
                    held = [b.load(f.at(p, (column, 1))) for p in fixed]
                    with f.loop(first, last, carry=[f32(0.0)] * num_outs) as r:
                        spot = (r.index, columns), (column, 1)
                        terms = term(f, *(b.load(f.at(p, *spot)) for p in sources), *held)
                        r.next = [b.fadd(a, t) for a, t in zip(r.carried, terms, strict=True)]
                    for p, total in zip(pointers[:num_outs], r.result, strict=True):
                        b.store(total, f.at(p, (part, columns), (column, 1)))
                return []

            f.by_lane(own, [])

        f.walk([parts, groups], thread, count, piece, lines=True)

    w.kernel(("column-sums", key, rows, columns), [*targets, *dense, *per_column], write, ())
    if parts == 1:
        return

    def join(f: DeviceFunction, thread: Val, count: Val, *pointers: Val) -> None:
        b = f.b

        def column(positions: list[Val], _width: int) -> None:
            (c,) = positions

            def terms(k: Val | int, _width: int) -> list[Val]:
                return [b.load(f.at(p, (k, columns), (c, 1))) for p in pointers[num_outs:]]

            totals = f.along(parts, LANES, [0.0] * num_outs, terms, [b.fadd] * num_outs)
            for p, total in zip(pointers[:num_outs], totals, strict=True):
                b.store(total, f.at(p, (c, 1)))

        f.walk([columns], thread, count, column, lines=True)

    w.kernel(("join-columns", parts, columns, num_outs), [*outs, *targets], join, ())


def add_up(
    w: Writer,
    key: tuple[Any, ...],
    n: int,
    arrays: Sequence[Any],
    terms: Callable[..., list[Val]],
    out: Any,
    finish: Callable[..., None],
    num_sums: int,
) -> None:
    """``finish(f, out, totals)`` with float64 totals of ``terms(f, i, *arrays)`` over ``range(n)``.

    A warp adds up a chunk; if there are several, what they found is added up in the same way.
    """
    chunks = -(-n // CHUNK)
    target = out if chunks == 1 else w.scratch(2 * chunks * num_sums).view(np.float64)

    def write(f: DeviceFunction, thread: Val, count: Val, po: Val, *pointers: Val) -> None:
        b = f.b

        def line(positions: list[Val], _width: int) -> None:
            (chunk,) = positions
            first = b.mul(chunk, const(CHUNK))
            after = b.add(first, const(CHUNK))
            last = b.select(b.icmp_signed("<", after, const(n)), after, const(n))

            def own(lane: Val) -> list[Val]:
                zeros = [ir.Constant(DOUBLE, 0.0)] * num_sums
                begin = b.add(first, lane)
                with f.loop(begin, last, LANES, carry=zeros, may_be_empty=True) as i:
                    found = terms(f, i.index, *pointers)
                    i.next = [b.fadd(a, t) for a, t in zip(i.carried, found, strict=True)]
                return i.result

            totals = f.by_lane(own, [b.fadd] * num_sums)
            if chunks == 1:
                finish(f, po, totals)
                return
            for j, total in enumerate(totals):
                b.store(total, f.at(po, (chunk, num_sums), (j, 1)))

        f.walk([chunks], thread, count, line, lines=True)

    w.kernel((*key, n), [target, *arrays], write, ())
    if chunks > 1:

        def parts(f: DeviceFunction, i: Val, pt: Val) -> list[Val]:
            return [f.b.load(f.at(pt, (i, num_sums), (j, 1))) for j in range(num_sums)]

        add_up(w, (*key, n, "chunks"), chunks, [target], parts, out, finish, num_sums)
