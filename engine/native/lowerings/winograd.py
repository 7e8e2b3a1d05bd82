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

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from engine.native.emit import Axis, Function, Val, const
from engine.native.lowerings.images import Frame, Geometry, frames_for
from engine.native.lowerings.winograd_transforms import (
    POINTS,
    Filters,
    Tiling,
    take_back,
    tiling_for,
    transform_gradients,
    transform_inputs,
    transform_products,
    transformed_filters,
)
from engine.native.products import Tile, product_rows, tile_for
from engine.native.writer import Use, Writer

SMALLEST = 16
"""Channels and filters below which the transforms cost more than they save."""


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


def _frame(g: Geometry, tiling: Tiling) -> Frame:
    """The padded input, as large as the tiles reach."""
    (top, _), (left, _) = g.padding
    height, width = 2 * tiling.rows + 2, 2 * tiling.columns + 2
    copied = (height, width) != (g.height, g.width)
    return Frame(height, width, g.channels, top, left, g.height, g.width, copied)


def _tile(w: Writer, g: Geometry) -> Tile:
    return tile_for(w.cpu, tiling_for(g, w.max_threads).block, g.filters)


def filters_for(w: Writer, g: Geometry, weight: Any, *, of_gradient: bool = False) -> Filters:
    """The transformed filters as ``convolve`` reads them for ``g``."""
    wide = _tile(w, g).vectors * w.lanes
    return transformed_filters(w, weight, wide, of_gradient=of_gradient)


# The convolution ------------------------------------------------------------------------------


def convolve(
    w: Writer, g: Geometry, x: Any, filters: Filters, y: Any, bias: Any = None, relu: bool = False
) -> None:
    """``y = x * filters (+ bias)``; images channels last."""
    tiling = tiling_for(g, w.max_threads)
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
            transform_inputs(f, above, frame, tiling, target, v_plane, w.lanes)

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
            transform_products(f, source, m_plane, tiling, g, top, target, offsets, relu, w.lanes)

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


# The gradient of the filters ------------------------------------------------------------------


def weight_gradient(w: Writer, g: Geometry, x: Any, grad: Any, out: Any) -> None:
    """``out`` (O, C, 3, 3), channels last: summed in the domain of the products, then taken back.

    The transforms are those of ``convolve``, transposed. Each thread sums over its images; the
    sums of all threads are added at the end.
    """
    tiling = tiling_for(g, w.max_threads)
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
            transform_inputs(f, above, frame, tiling, target, v_plane, w.lanes)
            above = f.at(frame_out if even.copied else image_grad(n), (top, 2 * even.row))
            target = f.at(pd, (number, tiling.part * d_row))
            transform_gradients(f, above, even, tiling, target, d_plane, w.lanes)

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
    take_back(w, sums, out)
