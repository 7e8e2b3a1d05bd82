"""Matrix products of float32 matrices in any memory order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.native.emit import Axis, Function, Val, const
from engine.native.lowerings import lowering
from engine.native.products import Tile, product_rows, tile_for
from engine.native.writer import SMALL, Use, Writer, element_strides

if TYPE_CHECKING:
    from engine.plan.program import NamedStep


@lowering("matmul")
def lower(w: Writer, steps: Sequence[NamedStep]) -> int:
    """``a @ b`` of two matrices."""
    step = steps[0]
    a, b = step.inputs
    out = step.outputs[0]
    if a.ndim != 2 or b.ndim != 2 or out.dtype != np.float32 or 0 in (*a.shape, *b.shape):
        return 0
    if step.attrs["transpose_a"]:
        a = a.T
    if step.attrs["transpose_b"]:
        b = b.T
    if element_strides(out)[1] != 1 and out.shape[1] != 1:
        # The transposed product writes row by row: out.T = b.T @ a.T.
        a, b, out = b.T, a.T, out.T
        if element_strides(out)[1] != 1 and out.shape[1] != 1:
            return 0
    product(w, a, b, out)
    return 1


def product(w: Writer, a: Any, b: Any, out: Any) -> None:
    """Write ``out = a @ b``; ``out`` has contiguous rows."""
    rows, inner = a.shape
    columns = b.shape[1]
    b_strides = element_strides(b)
    if b_strides[1] != 1 and columns > 1:
        room = w.scratch(inner * columns).reshape(inner, columns)
        pack(w, b, room)
        b, b_strides = room, (columns, 1)
    a_strides = element_strides(a)
    out_stride = element_strides(out)[0]
    tile = tile_for(w.cpu, rows, columns)
    wide = tile.vectors * w.lanes
    by_columns = columns >= 2 * wide and -(-rows // tile.rows) < 2 * w.max_threads
    small = rows * columns * inner < 8 * SMALL
    blocks = -(-columns // wide)

    def write(f: Function, thread: Val, count: Val, pa: Val, pb: Val, pc: Val) -> None:
        common = {
            "total": rows,
            "row_stride": a_strides[0],
            "out_stride": out_stride,
            "tile": tile,
            "axes": [Axis(inner, a_strides[1], b_strides[0])],
            "lanes": w.lanes,
        }
        if small:
            with f.b.if_then(f.b.icmp_signed("==", thread, const(0))):
                product_rows(
                    f, pa, pb, pc, first=const(0), last=const(rows), columns=columns, **common
                )
        elif by_columns:
            first, last = f.share(blocks, thread, count)
            _column_blocks(f, pa, pb, pc, first, last, columns, wide, rows, tile, common)
        else:
            first, last = f.share(rows, thread, count, tile.rows)
            product_rows(f, pa, pb, pc, first=first, last=last, columns=columns, **common)

    key = ("matmul", a.shape, a_strides, b.shape, b_strides, out_stride, tile, by_columns, small)
    w.kernel(
        key,
        [a, b, out],
        write,
        [Use(a, False, None), Use(b, False, None), Use(out, True, None)],
    )


def _column_blocks(
    f: Function,
    pa: Val,
    pb: Val,
    pc: Val,
    first: Val,
    last: Val,
    columns: int,
    wide: int,
    rows: int,
    tile: Tile,
    common: dict[str, Any],
) -> None:
    """Column blocks ``first <= j < last`` of the product, the last one perhaps narrower."""
    b = f.b
    whole_blocks = columns // wide
    end = last
    if columns % wide:
        past = b.icmp_signed(">", last, const(whole_blocks))
        end = b.select(past, const(whole_blocks), last)
    with f.loop(first, end, may_be_empty=True) as j:
        product_rows(
            f,
            pa,
            f.at(pb, (j.index, wide)),
            f.at(pc, (j.index, wide)),
            first=const(0),
            last=const(rows),
            columns=wide,
            **common,
        )
    if columns % wide:
        mine = b.and_(
            b.icmp_signed(">", last, const(whole_blocks)),
            b.icmp_signed("<=", first, const(whole_blocks)),
        )
        with b.if_then(mine):
            offset = whole_blocks * wide
            product_rows(
                f,
                pa,
                f.at(pb, (offset, 1)),
                f.at(pc, (offset, 1)),
                first=const(0),
                last=const(rows),
                columns=columns - offset,
                **common,
            )


def pack(w: Writer, source: Any, target: Any) -> None:
    """Copy a matrix into contiguous rows, in square blocks so that both sides use whole lines."""
    rows, columns = source.shape
    strides = element_strides(source)
    block = 16

    def write(f: Function, thread: Val, count: Val, ps: Val, pt: Val) -> None:
        first, last = f.share(rows, thread, count, block)
        b = f.b
        with f.loop(first, last, block, may_be_empty=True) as i:
            over = b.add(i.index, const(block))
            end = b.select(b.icmp_signed(">", over, last), last, over)
            with f.loop(0, columns, block) as j:
                past = b.add(j.index, const(block))
                stop = b.select(b.icmp_signed(">", past, const(columns)), const(columns), past)
                with f.loop(i.index, end) as r, f.loop(j.index, stop) as c:
                    value = b.load(f.at(ps, (r.index, strides[0]), (c.index, strides[1])))
                    b.store(value, f.at(pt, (r.index, columns), (c.index, 1)))

    w.kernel(
        ("pack", source.shape, strides),
        [source, target],
        write,
        [Use(source, False, None), Use(target, True, None)],
    )
