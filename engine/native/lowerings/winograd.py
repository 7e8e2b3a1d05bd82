"""Convolution with 3 x 3 filters and stride 1 by Winograd's F(2 x 2, 3 x 3): 16 products, not 36.

Each tile of 2 x 2 outputs reads 4 x 4 inputs. Tiles and filters are taken to a domain in which
the convolution is a product by elements, so that over all channels it becomes 16 matrix products.
Of all such schemes this one stays closest to direct summation in float32: its matrices hold only
0, 1 and 1/2. Each thread takes whole images, several at a time where they are small, so that the
filters are read once for many tiles; what it transforms stays in its own cache.

References
----------
Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.native.emit import Axis, Function, Val, const, f32, zeros
from engine.native.lowerings.images import Frame, Geometry, frames_for
from engine.native.products import Tile, product_rows, rectified, tile_for, transpose_into
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


def _tiling(g: Geometry, max_threads: int) -> Tiling:
    rows, columns = -(-g.out_height // 2), -(-g.out_width // 2)
    fitting = [r for r in range(1, rows + 1) if rows % r == 0 and r * columns <= LARGEST_BLOCK]
    at_once = max(fitting, default=1)
    images = 1
    if at_once == rows:
        images = min(LARGEST_BLOCK // (rows * columns), -(-g.images // max_threads))
    return Tiling(rows, columns, at_once, max(1, images))


def _frame(g: Geometry, tiling: Tiling) -> Frame:
    """The padded input, as large as the tiles reach."""
    (top, _), (left, _) = g.padding
    height, width = 2 * tiling.rows + 2, 2 * tiling.columns + 2
    copied = (height, width) != (g.height, g.width)
    return Frame(height, width, g.channels, top, left, g.height, g.width, copied)


# The filters ----------------------------------------------------------------------------------


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


def transformed_filters(
    w: Writer, g: Geometry, weight: Any, *, of_gradient: bool = False
) -> Filters:
    """``G g G'`` of each of the filters (O, C, 3, 3), which lie channels last in memory.

    The products of a convolution ``g`` sum over C; those of the gradient of its inputs, for which
    the filters are turned by half a turn, over O.
    """
    filters, channels = weight.shape[:2]
    wide = _tile(w, g).vectors * w.lanes
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


def _tile(w: Writer, g: Geometry) -> Tile:
    return tile_for(w.cpu, _tiling(g, w.max_threads).block, g.filters)


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


# The convolution ------------------------------------------------------------------------------


def convolve(
    w: Writer, g: Geometry, x: Any, filters: Filters, y: Any, bias: Any = None, relu: bool = False
) -> None:
    """``y = x * filters (+ bias)``; images channels last."""
    tiling = _tiling(g, w.max_threads)
    frame = _frame(g, tiling)
    frames = frames_for(w, frame)
    c, o, block = g.channels, g.filters, tiling.block
    v_plane, m_plane = tiling.plane(c), tiling.plane(o)
    room = w.scratch(w.max_threads * POINTS * (v_plane + m_plane))
    tile = _tile(w, g)
    arrays = [x, filters.array, y, frames, room, *([] if bias is None else [bias])]

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

        def image(n: Val) -> Val:
            return f.at(px, (n, g.height * g.width * c))

        def fill(n: Val) -> None:
            frame.fill(f, mine, image(n), w.lanes)

        def inputs(n: Val, top: Val | int, number: Val | int) -> None:
            above = f.at(mine if frame.copied else image(n), (top, 2 * frame.row))
            target = f.at(pv, (number, tiling.part * tiling.row(c)))
            _transform_inputs(f, above, frame, tiling, target, v_plane, w.lanes)

        def multiply() -> None:
            with f.loop(0, POINTS) as p:
                product_rows(
                    f,
                    f.at(pv, (p.index, v_plane)),
                    f.at(pu, (p.index, filters.size)),
                    f.at(pm, (p.index, m_plane)),
                    first=const(0),
                    last=const(block),
                    total=block,
                    columns=o,
                    row_stride=tiling.row(c),
                    axes=[Axis(c, 1, filters.wide)],
                    out_stride=tiling.row(o),
                    tile=tile,
                    lanes=w.lanes,
                    panel=c,
                )

        def outputs(n: Val, top: Val | int, number: Val | int) -> None:
            source = f.at(pm, (number, tiling.part * tiling.row(o)))
            target = f.at(py, (n, g.out_height * g.out_width * o))
            _outputs(f, source, m_plane, tiling, g, top, target, offsets, relu, w.lanes)

        images = f.share(g.images, thread, count)
        _blocks(f, tiling, images, fill, inputs, multiply, outputs)

    uses = [Use(a, i in (2, 3, 4), None) for i, a in enumerate(arrays)]
    key = ("winograd", g, tiling, tile, bias is not None, relu)
    w.kernel(key, arrays, write, uses)


def _blocks(
    f: Function,
    tiling: Tiling,
    mine: tuple[Val, Val],
    fill: Callable[[Val], None],
    before: Callable[[Val, Val | int, Val | int], None],
    multiply: Callable[[], None],
    after: Callable[[Val, Val | int, Val | int], None] | None = None,
    missing: Callable[[Val], None] | None = None,
) -> None:
    """Walk over a thread's images block by block: ``before``, ``multiply``, ``after``.

    ``fill`` gets each image first. ``before`` and ``after`` get an image, its first row of tiles,
    and its number in the block; ``missing`` gets the numbers in the last block for which no image
    is left.
    """
    b = f.b
    first, last = mine
    if tiling.images_at_once == 1:
        with f.loop(first, last, may_be_empty=True) as n:
            fill(n.index)
            with f.loop(0, tiling.rows, tiling.rows_at_once) as top:
                before(n.index, top.index, 0)
                multiply()
                if after is not None:
                    after(n.index, top.index, 0)
        return
    with f.loop(first, last, tiling.images_at_once, may_be_empty=True) as n:
        left = b.sub(last, n.index)
        many = b.icmp_signed(">", left, const(tiling.images_at_once))
        count = b.select(many, const(tiling.images_at_once), left)
        with f.loop(0, count) as i:
            image = b.add(n.index, i.index)
            fill(image)
            before(image, 0, i.index)
        if missing is not None:
            with f.loop(count, tiling.images_at_once, may_be_empty=True) as i:
                missing(i.index)
        multiply()
        if after is not None:
            with f.loop(0, count) as i:
                after(b.add(n.index, i.index), 0, i.index)


def _transform_inputs(
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


def _outputs(
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


# The gradient of the filters ------------------------------------------------------------------


def weight_gradient(w: Writer, g: Geometry, x: Any, grad: Any, out: Any) -> None:
    """``out`` (O, C, 3, 3), channels last: summed in the domain of the products, then taken back.

    The transforms are those of ``convolve``, transposed. Each thread sums over its images; the
    sums of all threads are added at the end.
    """
    tiling = _tiling(g, w.max_threads)
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
    v_row, d_row = tiling.row(c), tiling.row(o)
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
        frame_in = f.at(pf, (thread, frame.size if frame.copied else 0))
        frame_out = f.at(pe, (thread, even.size if even.copied else 0))
        pv = f.at(pr, (thread, POINTS * (v_plane + d_plane)))
        pd = f.at(pv, (POINTS, v_plane))
        total = f.at(ps, (thread, size))
        f.fill(total, size, w.lanes)
        frame.clear(f, frame_in, w.lanes)
        even.clear(f, frame_out, w.lanes)

        def image(n: Val) -> Val:
            return f.at(px, (n, g.height * g.width * c))

        def image_grad(n: Val) -> Val:
            return f.at(pg, (n, g.out_height * g.out_width * o))

        def fill(n: Val) -> None:
            frame.fill(f, frame_in, image(n), w.lanes)
            even.fill(f, frame_out, image_grad(n), w.lanes)

        def both(n: Val, top: Val | int, number: Val | int) -> None:
            above = f.at(frame_in if frame.copied else image(n), (top, 2 * frame.row))
            target = f.at(pv, (number, tiling.part * v_row))
            _transform_inputs(f, above, frame, tiling, target, v_plane, w.lanes)
            above = f.at(frame_out if even.copied else image_grad(n), (top, 2 * even.row))
            target = f.at(pd, (number, tiling.part * d_row))
            _transform_gradients(f, above, even, tiling, target, d_plane, w.lanes)

        def nothing(number: Val) -> None:
            for target, row, plane in ((pv, v_row, v_plane), (pd, d_row, d_plane)):
                with f.loop(0, POINTS) as p:
                    part = tiling.part * row
                    f.fill(f.at(target, (p.index, plane), (number, part)), part, w.lanes)

        def multiply() -> None:
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
                    axes=[Axis(block, d_row, v_row)],
                    out_stride=c,
                    tile=tile,
                    lanes=w.lanes,
                    accumulate=True,
                )

        images = f.share(g.images, thread, count)
        _blocks(f, tiling, images, fill, both, multiply, missing=nothing)

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
