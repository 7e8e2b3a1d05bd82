"""Convolution with 3 x 3 filters and stride 1 by Winograd's F(2 x 2, 3 x 3): 16 products, not 36.

Each tile of 2 x 2 outputs reads 4 x 4 inputs. Tiles and filters are taken to a domain in which
the convolution is a product by elements, so that over all channels it becomes 16 matrix products.
Of all such schemes this one stays closest to direct summation in float32: its matrices hold only
0, 1 and 1/2. Each thread takes whole images; what it transforms stays in its own cache.

References
----------
Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.native.emit import Axis, Function, Val, const, f32, zeros
from engine.native.lowerings.images import Frame, Geometry, frames_for
from engine.native.products import product_rows, rectified, tile_for, transpose_into
from engine.native.writer import GRAIN, Use, Writer

POINTS = 16
"""Products a tile: 4 x 4."""
SMALLEST = 16
"""Channels and filters below which the transforms cost more than they save."""
LARGEST_BLOCK = 64
"""Tiles transformed at a time: with their products they fit the second-level cache."""


def suits(g: Geometry) -> bool:
    """True if the scheme is faster than direct summation: enough channels, little waste."""
    tiles = -(-g.out_height // 2) * -(-g.out_width // 2)
    return (
        g.kernel == (3, 3)
        and g.stride == (1, 1)
        and g.dilation == (1, 1)
        and min(g.channels, g.filters) >= SMALLEST
        and tiles >= 9
        and g.out_height * g.out_width >= 0.65 * 4 * tiles
        and all(0 <= side <= 2 for pair in g.padding for side in pair)
    )


def turned(g: Geometry) -> Geometry:
    """The convolution that takes the gradient of the outputs to that of the inputs."""
    (top, bottom), (left, right) = g.padding
    return replace(
        g,
        height=g.out_height,
        width=g.out_width,
        channels=g.filters,
        out_height=g.height,
        out_width=g.width,
        filters=g.channels,
        padding=((2 - top, 2 - bottom), (2 - left, 2 - right)),
    )


@dataclass(frozen=True)
class Tiling:
    """Tiles of an image, and how many rows of them are worked on at a time."""

    rows: int
    columns: int
    rows_at_once: int

    @property
    def block(self) -> int:
        """Tiles worked on at a time."""
        return self.rows_at_once * self.columns

    def plane(self, channels: int) -> int:
        """Floats from one of the 16 matrices to the next: off the strides that caches confuse."""
        return -(-self.block * channels // GRAIN) * GRAIN + GRAIN


def _tiling(g: Geometry) -> Tiling:
    rows, columns = -(-g.out_height // 2), -(-g.out_width // 2)
    fitting = [r for r in range(1, rows + 1) if rows % r == 0 and r * columns <= LARGEST_BLOCK]
    return Tiling(rows, columns, max(fitting, default=1))


def _frame(g: Geometry, tiling: Tiling) -> Frame:
    """The padded input, as large as the tiles reach."""
    (top, _), (left, _) = g.padding
    height, width = 2 * tiling.rows + 2, 2 * tiling.columns + 2
    copied = (height, width) != (g.height, g.width)
    return Frame(height, width, g.channels, top, left, g.height, g.width, copied)


# The filters ----------------------------------------------------------------------------------


def transformed_filters(w: Writer, weight: Any) -> Any:
    """Filters (O, C, 3, 3), channels last in memory, as (16, C, O): what a product reads."""
    rows = filters_by_rows(w, weight)
    points, filters, channels = rows.shape
    columns = w.scratch(rows.size).reshape(points, channels, filters)
    size = filters * channels

    def write(f: Function, thread: Val, count: Val, ps: Val, pt: Val) -> None:
        first, last = f.share(points, thread, count)
        with f.loop(first, last, may_be_empty=True) as p:
            source, target = f.at(ps, (p.index, size)), f.at(pt, (p.index, size))
            transpose_into(f, source, (1, channels), target, 0, channels, filters, w.lanes)

    uses = [Use(rows, False, None), Use(columns, True, None)]
    w.kernel(("winograd-turn", filters, channels), [rows, columns], write, uses)
    return columns


def filters_by_rows(w: Writer, weight: Any, *, flipped: bool = False) -> Any:
    """Filters (O, C, 3, 3), channels last in memory, as (16, O, C): ``G g G'`` for each.

    ``flipped`` turns each filter by half a turn first.
    """
    filters, channels = weight.shape[:2]
    out = w.scratch(POINTS * filters * channels).reshape(POINTS, filters, channels)
    half = f32(0.5)

    def along(f: Function, a: Val, m: Val, z: Val) -> list[Val]:
        b = f.b
        ends = b.fmul(b.fadd(a, z), half)
        middle = b.fmul(m, half)
        return [a, b.fadd(ends, middle), b.fsub(ends, middle), z]

    def write(f: Function, thread: Val, count: Val, pw: Val, pu: Val) -> None:
        first, last = f.share(filters, thread, count)
        with f.loop(first, last, may_be_empty=True) as o:
            source = f.at(pw, (o.index, 9 * channels))
            target = f.at(pu, (o.index, channels))

            def one(c: Val | int, width: int) -> None:
                taps = [
                    [f.load(f.at(source, (3 * i + j, channels), (c, 1)), width) for j in range(3)]
                    for i in range(3)
                ]
                if flipped:
                    taps = [row[::-1] for row in taps[::-1]]
                columns = [along(f, *(taps[i][j] for i in range(3))) for j in range(3)]
                for i in range(4):
                    for j, value in enumerate(along(f, *(columns[k][i] for k in range(3)))):
                        place = f.at(target, (4 * i + j, filters * channels), (c, 1))
                        f.store(value, place, width)

            f.each(channels, w.lanes, one)

    uses = [Use(weight, False, None), Use(out, True, None)]
    w.kernel(("winograd-filters", weight.shape, flipped), [weight, out], write, uses)
    return out


# The convolution ------------------------------------------------------------------------------


def convolve(
    w: Writer, g: Geometry, x: Any, filters: Any, y: Any, bias: Any = None, relu: bool = False
) -> None:
    """``y = x * filters (+ bias)``; images channels last, ``filters`` (16, channels, filters)."""
    tiling = _tiling(g)
    frame = _frame(g, tiling)
    frames = frames_for(w, frame)
    c, o, block = g.channels, g.filters, tiling.block
    v_plane, m_plane = tiling.plane(c), tiling.plane(o)
    room = w.scratch(w.max_threads * POINTS * (v_plane + m_plane))
    tile = tile_for(w.cpu, block, o)
    arrays = [x, filters, y, frames, room, *([] if bias is None else [bias])]

    def write(
        f: Function,
        thread: Val,
        count: Val,
        px: Val,
        pu: Val,
        py: Val,
        pf: Val,
        pr: Val,
        *offsets: Val,
    ) -> None:
        mine = f.at(pf, (thread, frame.size if frame.copied else 0))
        pv = f.at(pr, (thread, POINTS * (v_plane + m_plane)))
        pm = f.at(pv, (POINTS, v_plane))
        frame.clear(f, mine, w.lanes)
        first, last = f.share(g.images, thread, count)
        with f.loop(first, last, may_be_empty=True) as n:
            image = f.at(px, (n.index, g.height * g.width * c))
            source = frame.fill(f, mine, image, w.lanes)
            target = f.at(py, (n.index, g.out_height * g.out_width * o))
            with f.loop(0, tiling.rows, tiling.rows_at_once) as top:
                above = f.at(source, (top.index, 2 * frame.row))
                _transform_inputs(f, above, frame, tiling, pv, v_plane, w.lanes)
                with f.loop(0, POINTS) as p:
                    product_rows(
                        f,
                        f.at(pv, (p.index, v_plane)),
                        f.at(pu, (p.index, c * o)),
                        f.at(pm, (p.index, m_plane)),
                        first=const(0),
                        last=const(block),
                        total=block,
                        columns=o,
                        row_stride=c,
                        axes=[Axis(c, 1, o)],
                        out_stride=o,
                        tile=tile,
                        lanes=w.lanes,
                    )
                _outputs(f, pm, m_plane, tiling, g, top.index, target, offsets, relu, w.lanes)

    uses = [Use(a, i in (2, 3, 4), None) for i, a in enumerate(arrays)]
    key = ("winograd", g, tiling, tile, bias is not None, relu)
    w.kernel(key, arrays, write, uses)


def _transform_inputs(
    f: Function, source: Val, frame: Frame, tiling: Tiling, target: Val, plane: int, lanes: int
) -> None:
    """``B' d B`` of each tile in a block, to 16 matrices (tiles, channels)."""
    b, channels = f.b, frame.channels

    def along(d: Sequence[Val]) -> list[Val]:
        return [b.fsub(d[0], d[2]), b.fadd(d[1], d[2]), b.fsub(d[2], d[1]), b.fsub(d[1], d[3])]

    with f.loop(0, tiling.rows_at_once) as row:
        line = f.at(source, (row.index, 2 * frame.row))
        into = f.at(target, (row.index, tiling.columns * channels))

        def one(c: Val | int, width: int) -> None:
            def column(place: Val) -> list[Val]:
                return along([f.load(f.at(place, (i, frame.row)), width) for i in range(4)])

            begin = f.at(line, (c, 1))
            held = [*column(begin), *column(f.at(begin, (1, channels)))]
            # Neighbours share two of their four columns, which stay in registers.
            with f.loop(0, tiling.columns, carry=held) as tile:
                place = f.at(begin, (tile.index, 2 * channels), (2, channels))
                fresh = [*column(place), *column(f.at(place, (1, channels)))]
                spot = f.at(into, (tile.index, channels), (c, 1))
                for i in range(4):
                    row_ = [tile.carried[i], tile.carried[4 + i], fresh[i], fresh[4 + i]]
                    for j, value in enumerate(along(row_)):
                        f.store(value, f.at(spot, (4 * i + j, plane)), width)
                tile.next = fresh

        f.each(channels, lanes, one)


def _outputs(
    f: Function,
    source: Val,
    plane: int,
    tiling: Tiling,
    g: Geometry,
    top: Val,
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
        spot = f.at(source, (row.index, tiling.columns * filters), (column.index, filters))
        y, x = b.mul(b.add(top, row.index), const(2)), b.mul(column.index, const(2))
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


# The gradient of the filters ------------------------------------------------------------------


def weight_gradient(w: Writer, g: Geometry, x: Any, grad: Any, out: Any) -> None:
    """``out`` (O, C, 3, 3), channels last: summed in the domain of the products, then taken back.

    The transforms are those of ``convolve``, transposed. Each thread sums over its images; the
    sums of all threads are added at the end.
    """
    tiling = _tiling(g)
    frame = _frame(g, tiling)
    frames = frames_for(w, frame)
    even = Frame(
        2 * tiling.rows,
        2 * tiling.columns,
        g.filters,
        0,
        0,
        g.out_height,
        g.out_width,
        bool(g.out_height % 2 or g.out_width % 2),
    )
    evens = frames_for(w, even)
    c, o, block = g.channels, g.filters, tiling.block
    v_plane, d_plane = tiling.plane(c), tiling.plane(o)
    room = w.scratch(w.max_threads * POINTS * (v_plane + d_plane))
    size = POINTS * o * c
    sums = w.scratch(w.max_threads * size)
    tile = tile_for(w.cpu, o, c)

    def write(
        f: Function,
        thread: Val,
        count: Val,
        px: Val,
        pg: Val,
        ps: Val,
        pf: Val,
        pe: Val,
        pr: Val,
    ) -> None:
        inputs = f.at(pf, (thread, frame.size if frame.copied else 0))
        grads = f.at(pe, (thread, even.size if even.copied else 0))
        pv = f.at(pr, (thread, POINTS * (v_plane + d_plane)))
        pd = f.at(pv, (POINTS, v_plane))
        total = f.at(ps, (thread, size))
        f.fill(total, size, w.lanes)
        frame.clear(f, inputs, w.lanes)
        even.clear(f, grads, w.lanes)
        first, last = f.share(g.images, thread, count)
        with f.loop(first, last, may_be_empty=True) as n:
            image = f.at(px, (n.index, g.height * g.width * c))
            source = frame.fill(f, inputs, image, w.lanes)
            image = f.at(pg, (n.index, g.out_height * g.out_width * o))
            source_grad = even.fill(f, grads, image, w.lanes)
            with f.loop(0, tiling.rows, tiling.rows_at_once) as top:
                above = f.at(source, (top.index, 2 * frame.row))
                _transform_inputs(f, above, frame, tiling, pv, v_plane, w.lanes)
                above = f.at(source_grad, (top.index, 2 * even.row))
                _transform_gradients(f, above, even, tiling, pd, d_plane, w.lanes)
                with f.loop(0, POINTS) as p:
                    product_rows(
                        f,
                        f.at(pd, (p.index, d_plane)),
                        f.at(pv, (p.index, v_plane)),
                        f.at(total, (p.index, o * c)),
                        first=const(0),
                        last=const(o),
                        total=o,
                        columns=c,
                        row_stride=1,
                        axes=[Axis(block, o, c)],
                        out_stride=c,
                        tile=tile,
                        lanes=w.lanes,
                        accumulate=True,
                    )

    arrays = [x, grad, sums, frames, evens, room]
    uses = [Use(a, i >= 2, None) for i, a in enumerate(arrays)]
    w.kernel(("winograd-weight-gradient", g, tiling, tile), arrays, write, uses)
    _taken_back(w, sums, out)


def _transform_gradients(
    f: Function, source: Val, frame: Frame, tiling: Tiling, target: Val, plane: int, lanes: int
) -> None:
    """``A g A'`` of each 2 x 2 tile in a block, to 16 matrices (tiles, filters).

    The last of each four comes with the other sign, which ``_taken_back`` knows.
    """
    b, filters = f.b, frame.channels

    def along(first: Val, second: Val) -> list[Val]:
        return [first, b.fadd(first, second), b.fsub(first, second), second]

    with f.loop(0, tiling.rows_at_once) as row, f.loop(0, tiling.columns) as column:
        corner = f.at(source, (row.index, 2 * frame.row), (column.index, 2 * filters))
        spot = f.at(target, (row.index, tiling.columns * filters), (column.index, filters))

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


def _taken_back(w: Writer, sums: Any, out: Any) -> None:
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
