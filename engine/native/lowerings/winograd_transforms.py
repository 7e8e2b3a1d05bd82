"""Into and out of the domain of Winograd's F(2 x 2, 3 x 3): tiles, filters, products, gradients.

With a tile ``d`` of 4 x 4 inputs and filters ``g`` of 3 x 3, the 2 x 2 outputs are
``A' ((G g G') * (B' d B)) A``, the product taken element by element.

References
----------
Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.native.emit import GRAIN, Function, Val, const, f32, zeros
from engine.native.lowerings.images import Frame, Geometry
from engine.native.products import rectified, transpose_into
from engine.native.writer import Use, Writer

POINTS = 16
"""Products a tile: 4 x 4."""
LARGEST_BLOCK = 64
"""Tiles transformed at a time: enough that the filters are seldom read again, and few enough that
with up to about 100 channels all of it fits the second-level cache."""


@dataclass(frozen=True)
class Tiling:
    """Tiles of an image, and how many of them are worked on at a time."""

    rows: int
    columns: int
    rows_at_once: int
    images_at_once: int
    """More than one only if whole images are taken."""

    @property
    def part(self) -> int:
        """Tiles of one image that are worked on at a time."""
        return self.rows_at_once * self.columns

    @property
    def block(self) -> int:
        """Tiles that are worked on at a time."""
        return self.part * self.images_at_once

    def row(self, channels: int) -> int:
        """Floats from tile to tile: not a stride at which lines share one place in a cache."""
        return channels + GRAIN if channels % 512 == 0 else channels

    def plane(self, channels: int) -> int:
        """Floats from one of the 16 matrices to the next, likewise."""
        return -(-self.block * self.row(channels) // GRAIN) * GRAIN + GRAIN


def tiling_for(g: Geometry, max_threads: int) -> Tiling:
    """The tiles of an image of ``g``, and as many at once as are worth it."""
    rows, columns = -(-g.out_height // 2), -(-g.out_width // 2)
    fitting = [r for r in range(1, rows + 1) if rows % r == 0 and r * columns <= LARGEST_BLOCK]
    at_once = max(fitting, default=1)
    images = 1
    if at_once == rows:
        images = min(LARGEST_BLOCK // (rows * columns), -(-g.images // max_threads))
    return Tiling(rows, columns, at_once, max(1, images))


@dataclass(frozen=True)
class Filters:
    """The transformed filters as a product reads them: 16 matrices (inner, columns) in panels."""

    array: Any
    inner: int
    columns: int
    wide: int

    @property
    def size(self) -> int:
        """Floats of one matrix, the last panel filled up."""
        return -(-self.columns // self.wide) * self.wide * self.inner


def transformed_filters(w: Writer, weight: Any, wide: int, *, of_gradient: bool) -> Filters:
    """``G g G'`` of each of the filters (O, C, 3, 3), which lie channels last in memory.

    The products of a convolution sum over C; those of the gradient of its inputs, for which the
    filters are turned by half a turn, over O. Panels are ``wide``.
    """
    filters, channels = weight.shape[:2]
    if of_gradient:
        made = Filters(_room(w, filters, channels, wide), filters, channels, wide)
        _transform_filters(w, weight, made, flipped=True)
        return made
    rows = Filters(_room(w, filters, channels, channels), filters, channels, channels)
    _transform_filters(w, weight, rows, flipped=False)
    made = Filters(_room(w, channels, filters, wide), channels, filters, wide)
    blocks, rest = divmod(filters, wide)

    def write(f: Function, thread: Val, count: Val, ps: Val, pt: Val) -> None:
        first, last = f.share(POINTS, thread, count)
        with f.loop(first, last, may_be_empty=True) as p:
            source, target = f.at(ps, (p.index, rows.size)), f.at(pt, (p.index, made.size))

            def panel(number: Val | int, width: int) -> None:
                begin = f.at(source, (number, wide * channels))
                into = f.at(target, (number, wide * channels))
                transpose_into(f, begin, (1, channels), into, 0, channels, width, w.lanes, wide)

            if blocks:
                with f.loop(0, blocks) as number:
                    panel(number.index, wide)
            if rest:
                panel(blocks, rest)

    uses = [Use(rows.array, False, None), Use(made.array, True, None)]
    w.kernel(("winograd-turn", filters, channels, wide), [rows.array, made.array], write, uses)
    return made


def _room(w: Writer, inner: int, columns: int, wide: int) -> Any:
    return w.scratch(POINTS * Filters(None, inner, columns, wide).size)


def _transform_filters(w: Writer, weight: Any, made: Filters, *, flipped: bool) -> None:
    """To 16 matrices (O, C) in panels."""
    filters, channels = weight.shape[:2]
    half = f32(0.5)

    def along(f: Function, a: Val, m: Val, z: Val) -> list[Val]:
        b = f.b
        ends = b.fmul(b.fadd(a, z), half)
        middle = b.fmul(m, half)
        return [a, b.fadd(ends, middle), b.fsub(ends, middle), z]

    def write(f: Function, thread: Val, count: Val, pw: Val, pu: Val) -> None:
        first, last = f.share(filters, thread, count)
        with f.loop(first, last, may_be_empty=True) as o:

            def panel(number: Val | int, width: int) -> None:
                source = f.at(pw, (o.index, 9 * channels), (number, made.wide))
                target = f.at(pu, (number, filters * made.wide), (o.index, made.wide))

                def one(c: Val | int, lanes: int) -> None:
                    taps = [
                        [
                            f.load(f.at(source, (3 * i + j, channels), (c, 1)), lanes)
                            for j in range(3)
                        ]
                        for i in range(3)
                    ]
                    if flipped:
                        taps = [row[::-1] for row in taps[::-1]]
                    columns = [along(f, *(taps[i][j] for i in range(3))) for j in range(3)]
                    for i in range(4):
                        for j, value in enumerate(along(f, *(columns[k][i] for k in range(3)))):
                            f.store(value, f.at(target, (4 * i + j, made.size), (c, 1)), lanes)

                f.each(width, w.lanes, one)

            blocks, rest = divmod(channels, made.wide)
            if blocks:
                with f.loop(0, blocks) as number:
                    panel(number.index, made.wide)
            if rest:
                panel(blocks, rest)

    uses = [Use(weight, False, None), Use(made.array, True, None)]
    key = ("winograd-filters", weight.shape, made.wide, flipped)
    w.kernel(key, [weight, made.array], write, uses)


def transform_inputs(
    f: Function, source: Val, frame: Frame, tiling: Tiling, target: Val, plane: int, lanes: int
) -> None:
    """``B' d B`` of each tile in a block, to 16 matrices (tiles, channels)."""
    b, channels = f.b, frame.channels

    def along(d: Sequence[Val]) -> list[Val]:
        return [b.fsub(d[0], d[2]), b.fadd(d[1], d[2]), b.fsub(d[2], d[1]), b.fsub(d[1], d[3])]

    with f.loop(0, tiling.rows_at_once) as row:
        line = f.at(source, (row.index, 2 * frame.row))
        into = f.at(target, (row.index, tiling.columns * tiling.row(channels)))

        def one(c: Val | int, width: int) -> None:
            def column(place: Val) -> list[Val]:
                return along([f.load(f.at(place, (i, frame.row)), width) for i in range(4)])

            begin = f.at(line, (c, 1))
            held = [*column(begin), *column(f.at(begin, (1, channels)))]
            # Neighbours share two of their four columns, which stay in registers.
            with f.loop(0, tiling.columns, carry=held) as tile:
                place = f.at(begin, (tile.index, 2 * channels), (2, channels))
                fresh = [*column(place), *column(f.at(place, (1, channels)))]
                spot = f.at(into, (tile.index, tiling.row(channels)), (c, 1))
                for i in range(4):
                    row_ = [tile.carried[i], tile.carried[4 + i], fresh[i], fresh[4 + i]]
                    for j, value in enumerate(along(row_)):
                        f.store(value, f.at(spot, (4 * i + j, plane)), width)
                tile.next = fresh

        f.each(channels, lanes, one)


def transform_products(
    f: Function,
    source: Val,
    plane: int,
    tiling: Tiling,
    g: Geometry,
    top: Val | int,
    target: Val,
    offsets: Sequence[Val],
    relu: bool,
    lanes: int,
) -> None:
    """``A' m A`` of each tile in a block, with bias and ReLU, to where its outputs lie."""
    b, filters = f.b, g.filters

    def along(m: Sequence[Val]) -> list[Val]:
        both, less = b.fadd(m[1], m[2]), b.fsub(m[1], m[2])
        return [b.fadd(m[0], both), b.fsub(less, m[3])]

    with f.loop(0, tiling.rows_at_once) as row, f.loop(0, tiling.columns) as column:
        step = tiling.row(filters)
        spot = f.at(source, (row.index, tiling.columns * step), (column.index, step))
        line = row.index if isinstance(top, int) else b.add(top, row.index)
        y, x = b.mul(line, const(2)), b.mul(column.index, const(2))
        corner = f.at(target, (y, g.out_width * filters), (x, filters))
        inside_y = b.icmp_signed("<", y, const(g.out_height - 1)) if g.out_height % 2 else None
        inside_x = b.icmp_signed("<", x, const(g.out_width - 1)) if g.out_width % 2 else None

        def one(o: Val | int, width: int) -> None:
            columns = [
                along([f.load(f.at(spot, (4 * i + j, plane), (o, 1)), width) for i in range(4)])
                for j in range(4)
            ]
            shift = f.load(f.at(offsets[0], (o, 1)), width) if offsets else None
            nothing = zeros(width) if width > 1 else f32(0.0)
            for i in range(2):
                for j, value in enumerate(along([columns[k][i] for k in range(4)])):
                    value = value if shift is None else b.fadd(value, shift)
                    value = rectified(f, value, nothing) if relu else value
                    place = f.at(corner, (i, g.out_width * filters), (j, filters), (o, 1))
                    tests = [t for t, there in ((inside_y, i), (inside_x, j)) if there and t]
                    if not tests:
                        f.store(value, place, width)
                        continue
                    with b.if_then(tests[0] if len(tests) == 1 else b.and_(*tests)):
                        f.store(value, place, width)

        f.each(filters, lanes, one)


def transform_gradients(
    f: Function, source: Val, frame: Frame, tiling: Tiling, target: Val, plane: int, lanes: int
) -> None:
    """``A g A'`` of each 2 x 2 tile in a block, to 16 matrices (tiles, filters).

    The last of each four comes with the other sign, which ``take_back`` knows.
    """
    b, filters = f.b, frame.channels

    def along(first: Val, second: Val) -> list[Val]:
        return [first, b.fadd(first, second), b.fsub(first, second), second]

    with f.loop(0, tiling.rows_at_once) as row, f.loop(0, tiling.columns) as column:
        corner = f.at(source, (row.index, 2 * frame.row), (column.index, 2 * filters))
        step = tiling.row(filters)
        spot = f.at(target, (row.index, tiling.columns * step), (column.index, step))

        def one(o: Val | int, width: int) -> None:
            columns = [
                along(
                    *(
                        f.load(f.at(corner, (i, frame.row), (j, filters), (o, 1)), width)
                        for i in range(2)
                    )
                )
                for j in range(2)
            ]
            for i in range(4):
                for j, value in enumerate(along(columns[0][i], columns[1][i])):
                    f.store(value, f.at(spot, (4 * i + j, plane), (o, 1)), width)

        f.each(filters, lanes, one)


def take_back(w: Writer, sums: Any, out: Any) -> None:
    """``G' s G`` of the sum over threads, to (O, 3, 3, C) in memory."""
    filters, channels = out.shape[:2]
    size = POINTS * filters * channels
    half = f32(0.5)

    def write(f: Function, thread: Val, count: Val, ps: Val, po: Val) -> None:
        b = f.b

        def along(s: Sequence[Val]) -> list[Val]:
            both = b.fmul(b.fadd(s[1], s[2]), half)
            less = b.fmul(b.fsub(s[1], s[2]), half)
            return [b.fadd(s[0], both), less, b.fsub(both, s[3])]

        first, last = f.share(filters, thread, count)
        with f.loop(first, last, may_be_empty=True) as o:
            source = f.at(ps, (o.index, channels))
            target = f.at(po, (o.index, 9 * channels))

            def one(c: Val | int, width: int) -> None:
                start = [zeros(width) if width > 1 else f32(0.0)] * POINTS
                with f.loop(0, count, carry=start) as t:
                    spot = f.at(source, (t.index, size), (c, 1))
                    t.next = [
                        b.fadd(value, f.load(f.at(spot, (p, filters * channels)), width))
                        for p, value in enumerate(t.carried)
                    ]
                s = t.result
                columns = [along([s[4 * i + j] for i in range(4)]) for j in range(4)]
                for i in range(3):
                    for j, value in enumerate(along([columns[k][i] for k in range(4)])):
                        f.store(value, f.at(target, (3 * i + j, channels), (c, 1)), width)

            f.each(channels, w.lanes, one)

    uses = [Use(sums, False, None), Use(out, True, None)]
    w.kernel(("winograd-back", filters, channels), [sums, out], write, uses)
