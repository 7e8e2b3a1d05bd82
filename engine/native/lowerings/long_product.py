"""Products of two tall matrices, ``a.T @ b``: the gradient of a weight over a long batch.

Both factors are read along their rows, a row apart for each term of the sum, which walks across
pages and collides in the caches. So each thread copies a piece of both into its own second-level
cache, in the order in which its tiles read them.
"""

from __future__ import annotations

from typing import Any

from engine.native.emit import GRAIN, Axis, Function, Val, const
from engine.native.products import (
    column_blocks,
    pieces_of,
    product_rows,
    tile_for,
)
from engine.native.writer import Use, Writer, element_strides

PIECE = 256
"""Terms of the sum copied at a time."""
FAR = 512
"""Floats from line to line at which lines fall into the same few places of a cache."""
LEAST = 64
"""Rows and columns of the result below which a copy is not used often enough."""
STRETCH = 8
"""Terms copied of one tile before the next: whole lines are written, and the lines read stay."""


def suits(a: Any, b: Any) -> bool:
    """True if copying pays: a long sum across both factors, their lines far apart, used often."""
    (rows, inner), columns = a.shape, b.shape[1]
    (a_along, a_step), (b_step, b_along) = element_strides(a), element_strides(b)
    return (
        a_along == b_along == 1
        and inner > PIECE
        and max(a_step, b_step) >= FAR
        and min(rows, columns) >= LEAST
    )


def long_product(w: Writer, a: Any, b: Any, out: Any) -> None:
    """Write ``out = a @ b``; ``out`` has contiguous rows."""
    rows, inner = a.shape
    columns = b.shape[1]
    a_step, b_step = element_strides(a)[1], element_strides(b)[0]
    out_stride = element_strides(out)[0]
    # Each thread takes its part of the longer side, so that what it copies is its own.
    by_columns = columns > rows
    tile = tile_for(w.cpu, rows if by_columns else -(-rows // w.max_threads), columns)
    wide = tile.vectors * w.lanes
    row_blocks, blocks = -(-rows // tile.rows), -(-columns // wide)
    length, pieces = pieces_of(inner, PIECE)
    # The gaps keep the panels off equal lines of the cache.
    a_panel = -(-length * tile.rows // GRAIN) * GRAIN + GRAIN
    b_panel = length * wide + GRAIN
    # Of the longer side each thread fills only its own panels; of the other, all, for itself.
    sizes = row_blocks * a_panel, blocks * b_panel
    each, together = sizes if by_columns else sizes[::-1]
    room = w.scratch(together + w.max_threads * each)

    def write(f: Function, thread: Val, count: Val, pa: Val, pb: Val, pc: Val, pr: Val) -> None:
        mine = f.at(pr, (together, 1), (thread, each))
        left, right = (mine, pr) if by_columns else (pr, mine)
        if by_columns:
            first, last = const(0), const(row_blocks)
            begin, end = f.share(blocks, thread, count)
        else:
            first, last = f.share(row_blocks, thread, count)
            begin, end = const(0), const(blocks)

        def piece(start: Val | int, terms: int, more: bool) -> None:
            source = f.at(pa, (start, a_step))
            copy_blocks(f, source, a_step, left, a_panel, tile.rows, rows, first, last, terms, w)
            source = f.at(pb, (start, b_step))
            copy_blocks(f, source, b_step, right, b_panel, wide, columns, begin, end, terms, w)

            def columns_of(_first: Val, _last: Val, column: Val | int, width: int) -> None:
                single = isinstance(column, int)
                number = column // wide if single else f.b.sdiv(column, const(wide))
                product_rows(
                    f,
                    left,
                    f.at(right, (number, b_panel)),
                    f.at(pc, (column, 1)),
                    first=f.b.mul(first, const(tile.rows)),
                    last=_limited(f, f.b.mul(last, const(tile.rows)), rows),
                    total=rows,
                    columns=width,
                    row_stride=1,
                    row_panel=(tile.rows, a_panel),
                    axes=[Axis(terms, tile.rows, wide)],
                    out_stride=out_stride,
                    tile=tile,
                    lanes=w.lanes,
                    accumulate=more,
                    panel=length,
                )

            column_blocks(f, begin, end, columns, wide, rows, columns_of)

        piece(0, length, False)
        if pieces > 1:
            with f.loop(1, pieces) as number:
                piece(f.b.mul(number.index, const(length)), length, True)
        if rest := inner - pieces * length:
            piece(pieces * length, rest, True)

    arrays = [a, b, out, room]
    key = ("long-product", a.shape, a_step, columns, b_step, out_stride, tile, by_columns)
    w.kernel(key, arrays, write, [Use(v, i >= 2, None) for i, v in enumerate(arrays)])


def _limited(f: Function, value: Val, limit: int) -> Val:
    return f.b.select(f.b.icmp_signed(">", value, const(limit)), const(limit), value)


def copy_blocks(
    f: Function,
    source: Val,
    step: int,
    target: Val,
    panel: int,
    width: int,
    total: int,
    first: Val,
    last: Val,
    terms: int,
    w: Writer,
) -> None:
    """Copy blocks ``first <= i < last`` of ``width`` from each of ``terms`` lines, ``step`` apart.

    Block ``i`` becomes a contiguous (terms, width) matrix at ``target + i * panel``; the last one
    holds only what is left of ``total``.
    """
    b, lanes = f.b, w.lanes

    def stretch(number: Val, have: int, k: Val | int, count: int) -> None:
        for i in range(count):
            line = f.at(source, (k, step), (i, step), (number, width))
            spot = f.at(target, (k, width), (i, width), (number, panel))
            at = 0
            while at < have:
                size = min(lanes, 1 << ((have - at).bit_length() - 1))
                f.store(f.load(f.at(line, (at, 1)), size), f.at(spot, (at, 1)), size)
                at += size

    whole, rest = total // width, total % width
    end = _limited(f, last, whole)

    def over_blocks(k: Val | int, count: int) -> None:
        with f.loop(first, end, may_be_empty=True) as number:
            stretch(number.index, width, k, count)
        if rest:
            mine = b.and_(
                b.icmp_signed(">", last, const(whole)), b.icmp_signed("<=", first, const(whole))
            )
            with b.if_then(mine):
                stretch(const(whole), rest, k, count)

    even = terms // STRETCH * STRETCH
    if even:
        with f.loop(0, even, STRETCH) as k:
            over_blocks(k.index, STRETCH)
    if even < terms:
        over_blocks(even, terms - even)
