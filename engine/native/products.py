"""Matrix products and convolutions from one register tile, for any strides and sizes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llvmlite import ir

from engine.native.emit import F32, I32, Axis, Function, Val, const, f32, multiply_tile, zeros
from engine.native.jit import Processor


@dataclass(frozen=True)
class Tile:
    """Rows and vectors of a register tile."""

    rows: int
    vectors: int


@functools.cache
def tile_for(cpu: Processor, rows: int, columns: int) -> Tile:
    """The tile that keeps the multipliers busiest for a product of ``rows`` by ``columns``.

    A turn of the sum costs one load a vector and one a row, and rows * vectors multiply-adds; the
    accumulators, the vectors and one broadcast must fit the registers.
    """
    needed = -(-columns // cpu.lanes)
    best, best_cost = Tile(1, 1), float("inf")
    for vectors in range(1, min(needed, 4) + 1):
        for r in range(1, min(rows, 16) + 1):
            if r * vectors + vectors + 1 > cpu.registers:
                break
            column_tiles = -(-needed // vectors)
            # Two multiply-adds and two loads a cycle, latency 4, and what a turn costs anyway.
            turn = max(r * vectors / 2, (r + vectors) / 2, 4.0) + 1.5
            rest = rows % r
            tail = max(rest * vectors / 2, (rest + vectors) / 2, 4.0) + 1.5 if rest else 0.0
            cost = (rows // r * turn + tail) * column_tiles
            if cost < best_cost - 1e-9:
                best, best_cost = Tile(r, vectors), cost
    return best


def tail_mask(f: Function, lanes: int, valid: int) -> Val:
    """Mask vector whose first ``valid`` lanes are on."""
    bits = [ir.Constant(ir.IntType(1), int(i < valid)) for i in range(lanes)]
    return ir.Constant(ir.VectorType(ir.IntType(1), lanes), bits)


def load_columns(f: Function, pointer: Val, lanes: int, valid: int) -> Val:
    """A vector of ``valid`` floats; lanes beyond hold 0 and are not read from memory."""
    if valid >= lanes:
        return f.load_vector(pointer, lanes)
    vector = ir.VectorType(F32, lanes)
    kind = vector.as_pointer()
    name = f"llvm.masked.load.v{lanes}f32.p0"
    fn = f.module.globals.get(name)
    if fn is None:
        mask = ir.VectorType(ir.IntType(1), lanes)
        fn = ir.Function(f.module, ir.FunctionType(vector, [kind, I32, mask, vector]), name)
    place = f.b.bitcast(pointer, kind)
    return f.b.call(fn, [place, ir.Constant(I32, 4), tail_mask(f, lanes, valid), zeros(lanes)])


def store_columns(f: Function, value: Val, pointer: Val, lanes: int, valid: int) -> None:
    """Store the first ``valid`` lanes."""
    if valid >= lanes:
        f.store_vector(value, pointer)
        return
    vector = ir.VectorType(F32, lanes)
    kind = vector.as_pointer()
    name = f"llvm.masked.store.v{lanes}f32.p0"
    fn = f.module.globals.get(name)
    if fn is None:
        mask = ir.VectorType(ir.IntType(1), lanes)
        signature = ir.FunctionType(ir.VoidType(), [vector, kind, I32, mask])
        fn = ir.Function(f.module, signature, name)
    place = f.b.bitcast(pointer, kind)
    f.b.call(fn, [value, place, ir.Constant(I32, 4), tail_mask(f, lanes, valid)])


def product_rows(
    f: Function,
    a: Val,
    b: Val,
    c: Val,
    *,
    first: Val,
    last: Val,
    total: int,
    columns: int,
    row_stride: int,
    axes: Sequence[Axis],
    out_stride: int,
    tile: Tile,
    lanes: int,
    accumulate: bool = False,
    bias: Val | None = None,
    relu: bool = False,
    gate: Val | None = None,
    panel: int = 0,
    row_panel: tuple[int, int] | None = None,
) -> None:
    """``c[r, :columns] (+)= sum a[r, k] b[k, :columns]`` for rows ``first <= r < last``.

    ``b`` and ``c`` are contiguous along the columns. ``first`` is a multiple of the tile's rows,
    and so is ``last`` unless it is ``total``. With ``panel``, the length of a whole sum, ``b`` lies
    in panels as wide as the tile (see ``matmul.panels``): what a tile reads is then one stretch of
    memory. ``row_panel`` (rows of a panel, floats from one to the next) says the same of ``a``.
    With ``gate``, laid out as ``c``, the result is multiplied by 0 where the gate is not positive.
    """
    b_ = f.b
    wide = tile.vectors * lanes
    full_columns = columns // wide * wide
    rest = columns - full_columns

    def block(row: Val, rows: int, column: Val | int, vectors: int, valid_last: int) -> None:
        if row_panel is None:
            pa = f.at(a, (row, row_stride))
        else:
            pa = f.at(a, (b_.sdiv(row, const(row_panel[0])), row_panel[1]))
        pb = f.at(b, (column, panel or 1))
        pc = f.at(c, (row, out_stride), (column, 1))
        valid = [lanes] * (vectors - 1) + [valid_last]
        start = None
        if accumulate:
            start = [
                load_columns(f, f.at(pc, (r, out_stride), (v * lanes, 1)), lanes, valid[v])
                for r in range(rows)
                for v in range(vectors)
            ]
        elif bias is not None:
            offsets = f.at(bias, (column, 1))
            once = [
                load_columns(f, f.at(offsets, (v * lanes, 1)), lanes, valid[v])
                for v in range(vectors)
            ]
            start = once * rows
        acc = multiply_tile(
            f,
            pa,
            pb,
            rows=rows,
            vectors=vectors,
            lanes=lanes,
            row_stride=row_stride,
            axes=axes,
            start=start,
            load=lambda place, v: load_columns(f, place, lanes, lanes if panel else valid[v]),
        )
        if relu:
            acc = [rectified(f, value, zeros(lanes)) for value in acc]
        if gate is not None:
            acc = [
                gated(
                    f,
                    value,
                    load_columns(
                        f,
                        f.at(
                            gate,
                            (row, out_stride),
                            (column, 1),
                            (i // vectors, out_stride),
                            (i % vectors * lanes, 1),
                        ),
                        lanes,
                        valid[i % vectors],
                    ),
                )
                for i, value in enumerate(acc)
            ]
        for r in range(rows):
            for v in range(vectors):
                store_columns(
                    f,
                    acc[r * vectors + v],
                    f.at(pc, (r, out_stride), (v * lanes, 1)),
                    lanes,
                    valid[v],
                )

    def all_rows(column: Val | int, vectors: int, valid_last: int) -> None:
        rest_rows = total % tile.rows
        whole = total - rest_rows
        end = last
        if rest_rows:
            past = b_.icmp_signed(">", last, const(whole))
            end = b_.select(past, const(whole), last)
        if whole:
            with f.loop(first, end, tile.rows, may_be_empty=True) as rows:
                block(rows.index, tile.rows, column, vectors, valid_last)
        if rest_rows:
            mine = b_.and_(
                b_.icmp_signed("==", last, const(total)), b_.icmp_signed("<", first, last)
            )
            with b_.if_then(mine):
                block(const(whole), rest_rows, column, vectors, valid_last)

    if full_columns:
        with f.loop(0, full_columns, wide) as cols:
            all_rows(cols.index, tile.vectors, lanes)
    if rest:
        vectors = -(-rest // lanes)
        all_rows(full_columns, vectors, rest - (vectors - 1) * lanes)


def column_blocks(
    f: Function,
    first: Val,
    last: Val,
    columns: int,
    wide: int,
    rows: int,
    rows_of: Callable[[Val, Val, Val | int, int], None],
) -> None:
    """Column blocks ``first <= j < last`` of the product, the last one perhaps narrower."""
    b = f.b
    whole_blocks = columns // wide
    end = last
    if columns % wide:
        past = b.icmp_signed(">", last, const(whole_blocks))
        end = b.select(past, const(whole_blocks), last)
    with f.loop(first, end, may_be_empty=True) as j:
        rows_of(const(0), const(rows), b.mul(j.index, const(wide)), wide)
    if columns % wide:
        mine = b.and_(
            b.icmp_signed(">", last, const(whole_blocks)),
            b.icmp_signed("<=", first, const(whole_blocks)),
        )
        with b.if_then(mine):
            offset = whole_blocks * wide
            rows_of(const(0), const(rows), offset, columns - offset)


def pieces_of(inner: int, longest: int) -> tuple[int, int]:
    """Length and number of the equal pieces into which a long sum is cut; the rest comes last."""
    if inner <= longest:
        return inner, 1
    length = -(-inner // -(-inner // longest))
    return length, inner // length


def gated(f: Function, value: Val, gate: Val) -> Val:
    """The gradient through a ReLU, whose result is the gate: times 1 where positive, else 0."""
    open_ = f.b.fcmp_ordered(">", gate, f32(0.0))
    return f.b.fmul(value, f.b.select(open_, f32(1.0), f32(0.0)))


def rectified(f: Function, value: Val, nothing: Val) -> Val:
    """0 where negative, a NaN stays; ``nothing`` is 0 in as many lanes as ``value`` has."""
    return f.b.select(f.b.fcmp_ordered("<", value, nothing), nothing, value)


def transpose_block(
    f: Function, source: Val, source_row: int, target: Val, target_row: int, lanes: int
) -> None:
    """``target[c, r] = source[r, c]`` for a square of ``lanes`` by ``lanes``, in registers."""
    rows = [f.load_vector(f.at(source, (r, source_row)), lanes) for r in range(lanes)]
    step = 1
    while step < lanes:
        # Swap the squares of ``step`` by ``step`` that lie off the diagonal.
        low = [j if not j & step else j - step + lanes for j in range(lanes)]
        high = [j + step if not j & step else j + lanes for j in range(lanes)]
        for r in range(lanes):
            if not r & step:
                a, b = rows[r], rows[r + step]
                rows[r], rows[r + step] = _shuffled(f, a, b, low), _shuffled(f, a, b, high)
        step *= 2
    for r, row in enumerate(rows):
        f.store_vector(row, f.at(target, (r, target_row)))


def _shuffled(f: Function, a: Val, b: Val, places: Sequence[int]) -> Val:
    mask = ir.Constant(ir.VectorType(I32, len(places)), list(places))
    return f.b.shuffle_vector(a, b, mask)


def transpose_into(
    f: Function,
    source: Val,
    strides: tuple[int, ...],
    target: Val,
    first: Val | int,
    last: Val | int,
    columns: int,
    lanes: int,
    target_row: int | None = None,
) -> None:
    """``target[r, c] = source[r, c]`` for rows ``first <= r < last`` (multiples of ``lanes`` except
    at the end), from a source that is contiguous along ``r``; the target's rows are packed, or
    ``target_row`` apart."""
    b, target_row = f.b, columns if target_row is None else target_row
    top = const(first) if isinstance(first, int) else first
    end = const(last) if isinstance(last, int) else last
    whole = columns // lanes * lanes
    length = b.sub(end, top)
    middle = b.add(top, b.sub(length, b.srem(length, const(lanes))))

    def single(r: Val, c: Val) -> None:
        value = b.load(f.at(source, (r, strides[0]), (c, strides[1])))
        b.store(value, f.at(target, (r, target_row), (c, 1)))

    with f.loop(top, middle, lanes, may_be_empty=True) as r:
        if whole:
            with f.loop(0, whole, lanes) as c:
                transpose_block(
                    f,
                    f.at(source, (r.index, 1), (c.index, strides[1])),
                    strides[1],
                    f.at(target, (r.index, target_row), (c.index, 1)),
                    target_row,
                    lanes,
                )
        if whole < columns:
            with f.loop(0, lanes) as i, f.loop(whole, columns) as c:
                single(b.add(r.index, i.index), c.index)
    with f.loop(middle, end, may_be_empty=True) as r, f.loop(0, columns) as c:
        single(r.index, c.index)
