"""Matrix products of float32 matrices in any memory order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.backend import address
from engine.native.emit import Axis, Function, Val, const
from engine.native.lowerings import long_product, lowering
from engine.native.products import (
    column_blocks,
    pieces_of,
    product_rows,
    tile_for,
    transpose_into,
)
from engine.native.writer import SMALL, Use, Writer, element_strides, overlap

if TYPE_CHECKING:
    from engine.plan.program import NamedStep


@lowering("matmul")
def lower(w: Writer, steps: Sequence[NamedStep]) -> int:
    """``a @ b`` of two matrices."""
    step = steps[0]
    a, b = step.inputs
    out = step.outputs[0]
    if out.dtype != np.float32 or 0 in (*a.shape, *b.shape):
        return 0
    if a.ndim != 2 or b.ndim != 2:
        return 0  # see ``items``
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
    bias, relu, gate, done = _epilogue(steps, out)
    product(w, a, b, out, bias=bias, relu=relu, gate=gate)
    return done


def _epilogue(steps: Sequence[NamedStep], y: Any) -> tuple[Any, bool, Any, int]:
    """The bias and the ReLU, or the ReLU's gradient, that follow the product in place.

    The last of the results says how many steps that makes.
    """
    bias, relu, done = None, False, 1
    start = address(y)

    def in_place(step: NamedStep) -> bool:
        return all(
            address(v) == start
            and v.size == y.size
            and v.flags.c_contiguous
            and v.dtype == np.float32
            for v in (step.inputs[0], step.outputs[0])
        )

    if not y.flags.c_contiguous:
        return None, False, None, 1
    if done < len(steps) and steps[done].name == "relu_gradient" and in_place(steps[done]):
        gate = steps[done].inputs[1]
        fits = gate.size == y.size and gate.dtype == np.float32 and gate.flags.c_contiguous
        if fits and not overlap(gate, y):
            return None, False, gate, 2
    if done < len(steps) and steps[done].name == "add" and in_place(steps[done]):
        other = steps[done].inputs[1]
        along_rows = other.ndim and other.shape[-1] == other.size == y.shape[1]
        fits = along_rows and other.dtype == np.float32 and other.flags.c_contiguous
        if fits and not overlap(other, y):  # a product added to itself is no bias
            bias, done = other, done + 1
    if done < len(steps) and steps[done].name == "relu" and in_place(steps[done]):
        relu, done = True, done + 1
    return bias, relu, None, done


LONGEST = 320
"""Terms of a sum taken at once: what a tile reads of both factors then stays in the caches."""


def product(
    w: Writer,
    a: Any,
    b: Any,
    out: Any,
    bias: Any = None,
    relu: bool = False,
    gate: Any = None,
) -> None:
    """Write ``out = a @ b (+ bias)``; ``out`` has contiguous rows.

    ``relu`` cuts off what is negative; ``gate``, packed as ``out`` is, multiplies by 0 where it is
    not positive.
    """
    rows, inner = a.shape
    columns = b.shape[1]
    if bias is None and not relu and gate is None and long_product.suits(a, b):
        long_product.long_product(w, a, b, out)
        return
    a_strides = element_strides(a)
    out_stride = element_strides(out)[0]
    # The threads' parts are whole tiles: a tile that divides them evenly keeps both busy.
    tile = tile_for(w.cpu, -(-rows // w.max_threads), columns)
    wide = tile.vectors * w.lanes
    by_columns = columns >= 2 * wide and -(-rows // tile.rows) < 2 * w.max_threads
    small = rows * columns * inner < 8 * SMALL
    blocks = -(-columns // wide)
    panel = inner if _in_panels(b, rows // tile.rows, wide) else 0
    b_row = wide if panel else element_strides(b)[0]
    if panel:
        b = panels(w, b, wide)
    length, pieces = pieces_of(inner, LONGEST)

    def write(f: Function, thread: Val, count: Val, *pointers: Val) -> None:
        pa, pb, pc, *more_pointers = pointers
        offsets = more_pointers if bias is not None else []
        gates = more_pointers if gate is not None else []

        def piece(start: Val | int, size: int, more: bool, last_one: bool) -> None:
            left, right = f.at(pa, (start, a_strides[1])), f.at(pb, (start, b_row))

            def rows_of(first: Val, last: Val, column: Val | int, width: int) -> None:
                product_rows(
                    f,
                    left,
                    f.at(right, (column, panel or 1)),
                    f.at(pc, (column, 1)),
                    first=first,
                    last=last,
                    total=rows,
                    columns=width,
                    row_stride=a_strides[0],
                    axes=[Axis(size, a_strides[1], b_row)],
                    out_stride=out_stride,
                    tile=tile,
                    lanes=w.lanes,
                    accumulate=more,
                    bias=f.at(offsets[0], (column, 1)) if offsets and not more else None,
                    relu=relu and last_one,
                    gate=f.at(gates[0], (column, 1)) if gates and last_one else None,
                    panel=panel,
                )

            if small:
                with f.b.if_then(f.b.icmp_signed("==", thread, const(0))):
                    rows_of(const(0), const(rows), 0, columns)
            elif by_columns:
                first, last = f.share(blocks, thread, count)
                column_blocks(f, first, last, columns, wide, rows, rows_of)
            else:
                rows_of(*f.share(rows, thread, count, tile.rows), 0, columns)

        rest = inner - pieces * length
        piece(0, length, False, pieces == 1 and not rest)
        middle = pieces if rest else pieces - 1
        if middle > 1:
            with f.loop(1, middle) as number:
                piece(f.b.mul(number.index, const(length)), length, True, False)
        if pieces > 1 and not rest:
            piece((pieces - 1) * length, length, True, True)
        if rest:
            piece(pieces * length, rest, True, True)

    arrays = [a, b, out, *(v for v in (bias, gate) if v is not None)]
    shape = (a.shape, a_strides, columns, b_row, out_stride)
    key: tuple[Any, ...] = ("matmul", *shape, tile, by_columns, small, panel)
    key += (bias is not None, relu, gate is not None)
    w.kernel(key, arrays, write, [Use(v, v is out, None) for v in arrays])


def _in_panels(b: Any, turns: int, wide: int) -> bool:
    """True if the second factor is copied into panels before it is read ``turns`` times."""
    inner, columns = b.shape
    row, column = element_strides(b)
    if columns == 1:
        return False
    return column != 1 or (row > wide and inner >= 64 and turns >= 4)


def panels(w: Writer, source: Any, wide: int) -> Any:
    """A copy of a matrix (inner, columns) cut into panels of ``wide`` columns, one after another.

    A panel is (inner, wide) and contiguous, so that a tile walks through it in one stretch; the
    last one is filled up with zeros.
    """
    inner, columns = source.shape
    strides = element_strides(source)
    blocks = -(-columns // wide)
    target = w.scratch(blocks * inner * wide)
    rest = columns - (blocks - 1) * wide

    def write(f: Function, thread: Val, count: Val, ps: Val, pt: Val) -> None:
        first, last = f.share(inner, thread, count, w.lanes)

        def one(number: Val | int, width: int) -> None:
            block = f.at(ps, (number, wide * strides[1]))
            into = f.at(pt, (number, inner * wide))
            if strides[0] == 1:
                transpose_into(f, block, strides, into, first, last, width, w.lanes, wide)
                return
            with f.loop(first, last, may_be_empty=True) as k:
                line = f.at(block, (k.index, strides[0]))
                spot = f.at(into, (k.index, wide))
                if strides[1] == 1:
                    f.copy(spot, line, width, w.lanes)
                    return
                with f.loop(0, width) as c:
                    f.b.store(f.b.load(f.at(line, (c.index, strides[1]))), f.at(spot, (c.index, 1)))

        whole = blocks if rest == wide else blocks - 1
        if whole:
            with f.loop(0, whole) as number:
                one(number.index, wide)
        if whole < blocks:
            one(whole, rest)

    key = ("panels", source.shape, strides, wide)
    w.kernel(key, [source, target], write, [Use(source, False, None), Use(target, True, None)])
    return target


def pack(w: Writer, source: Any, target: Any) -> None:
    """Copy a matrix into contiguous rows, in square blocks so that both sides use whole lines."""
    rows, columns = source.shape
    strides = element_strides(source)
    block = 16

    def write(f: Function, thread: Val, count: Val, ps: Val, pt: Val) -> None:
        first, last = f.share(rows, thread, count, block)
        b = f.b
        if strides[0] == 1:
            transpose_into(f, ps, strides, pt, first, last, columns, w.lanes)
            return
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
