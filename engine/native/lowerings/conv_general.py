"""Convolutions that the plain ones do not cover: lines, groups, spread windows' gradients.

A line is a map of height 1. With groups each thread takes whole images, and in them one group
after another as a product of its own; where every channel is a group, see ``depthwise``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from engine.native.emit import Axis, Function, Val, const, multiply_tile
from engine.native.loops import elementwise
from engine.native.lowerings import conv, depthwise, lowering
from engine.native.lowerings.images import (
    Frame,
    Geometry,
    dense_channels_last,
    frames_for,
    geometry,
    in_channels_last,
    input_frame,
)
from engine.native.lowerings.pool import as_map, as_map_window
from engine.native.lowerings.turn import sum_and_turn
from engine.native.products import load_columns, product_rows, store_columns, tile_for
from engine.native.writer import Writer, touching

if TYPE_CHECKING:
    from engine.plan.program import NamedStep


def _as_maps(steps: Sequence[NamedStep]) -> list[NamedStep]:
    """The convolution, and what may be done in its pass, over maps of height 1."""
    first = steps[0]
    window = as_map_window(first.attrs["window"])
    made = [replace(first, attrs={**first.attrs, "window": window})]
    made += [s for s in steps[1:3] if s.name in ("add", "relu")]
    return [
        replace(s, inputs=tuple(map(as_map, s.inputs)), outputs=tuple(map(as_map, s.outputs)))
        if all(v.ndim == 3 for v in (*s.inputs, *s.outputs))
        else s
        for s in made
    ]


@dataclass(frozen=True)
class Grouped:
    """A convolution in groups: its sizes as if it had none, and what a group has of them."""

    sizes: Geometry
    groups: int

    @property
    def depth(self) -> int:
        return self.sizes.channels // self.groups

    @property
    def filters(self) -> int:
        return self.sizes.filters // self.groups

    @property
    def inner(self) -> int:
        return self.sizes.taps * self.depth


def _grouped(x: Any, w_shape: Sequence[int], y_shape: Sequence[int], attrs: Any) -> Grouped | None:
    sizes = geometry(x, w_shape, y_shape, {**attrs, "groups": 1})
    return None if sizes is None else Grouped(sizes, attrs["groups"])


@lowering("conv", otherwise=True)
def lower_forward(w: Writer, steps: Sequence[NamedStep]) -> int:
    """One product a group and row of the output, with the bias and the ReLU that follow."""
    step = steps[0]
    if len(step.attrs["window"].kernel) == 1:
        steps = _as_maps(steps)
        if done := conv.lower_forward(w, steps):
            return done
        step = steps[0]
    (x, weight), y = step.inputs, step.outputs[0]
    p = _grouped(x, weight.shape, y.shape, step.attrs)
    if p is None or not dense_channels_last(y):
        return 0
    g = p.sizes
    x, weight = in_channels_last(w, x), in_channels_last(w, weight)
    bias, relu, done = conv.epilogue(steps, y)
    if p.depth == p.filters == 1:
        depthwise.forward(w, g, x, weight, y, bias, relu)
        return done
    packed = w.scratch(g.filters * p.inner).reshape(p.groups, p.inner, p.filters)
    flat = weight.transpose(0, 2, 3, 1).reshape(p.groups, p.filters, p.inner)
    turned = flat.transpose(0, 2, 1)
    elementwise(w, ("copy",), packed.shape, [packed], [turned], lambda f, value: [value])
    frame = input_frame(g)
    frames = frames_for(w, frame)
    tile = tile_for(w.cpu, g.out_width, p.filters)
    (kh, kw), (dh, dw), (sh, sw) = g.kernel, g.dilation, g.stride
    step_row = p.depth * p.filters
    axes = [
        Axis(kh, dh * frame.row, kw * step_row),
        Axis(kw, dw * g.channels, step_row),
        Axis(p.depth, 1, p.filters),
    ]

    def write(
        f: Function, thread: Val, count: Val, py: Val, pf: Val, px: Val, pw: Val, *pb: Val
    ) -> None:
        mine = f.at(pf, (thread, frame.size if frame.copied else 0))
        frame.clear(f, mine, w.lanes)
        first, last = f.share(g.images, thread, count)
        with f.loop(first, last, may_be_empty=True) as n:
            image = f.at(px, (n.index, g.height * g.width * g.channels))
            source = frame.fill(f, mine, image, w.lanes)
            target = f.at(py, (n.index, g.out_height * g.out_width * g.filters))
            with f.loop(0, p.groups) as group, f.loop(0, g.out_height) as row:
                product_rows(
                    f,
                    f.at(source, (row.index, sh * frame.row), (group.index, p.depth)),
                    f.at(pw, (group.index, p.inner * p.filters)),
                    f.at(target, (row.index, g.out_width * g.filters), (group.index, p.filters)),
                    first=const(0),
                    last=const(g.out_width),
                    total=g.out_width,
                    columns=p.filters,
                    row_stride=sw * g.channels,
                    axes=axes,
                    out_stride=g.filters,
                    tile=tile,
                    lanes=w.lanes,
                    bias=f.at(pb[0], (group.index, p.filters)) if pb else None,
                    relu=relu,
                )

    read = [x, packed] + ([] if bias is None else [bias])
    key = ("conv-grouped", p, tile, bias is not None, relu)
    w.kernel(key, [y, frames, *read], write, touching([y, frames], read))
    return done


@dataclass(frozen=True)
class Phase:
    """The pixels ``start, start + stride, ...`` of an input along one axis.

    They are reached by taps at regular distances only: tap ``tap + i * step`` from the gradient's
    pixel ``number + offset - i * back``, for ``i`` below ``taps``.
    """

    start: int
    count: int
    tap: int
    step: int
    taps: int
    offset: int
    back: int


def phases(size: int, pad: int, kernel: int, stride: int, dilation: int) -> list[Phase]:
    """All phases of one axis."""
    found = []
    for start in range(min(stride, size)):
        taps = [k for k in range(kernel) if (start + pad - k * dilation) % stride == 0]
        step = taps[1] - taps[0] if len(taps) > 1 else 1
        offset = (start + pad - taps[0] * dilation) // stride if taps else 0
        back = step * dilation // stride
        count = -(-(size - start) // stride)
        found.append(Phase(start, count, taps[0] if taps else 0, step, len(taps), offset, back))
    return found


def reach(axis: Sequence[Phase], size: int) -> tuple[int, int]:
    """Zeros that must stand before and after a gradient of ``size`` pixels, for all phases."""
    lows = [a.offset - (a.taps - 1) * a.back for a in axis if a.taps]
    highs = [a.count - 1 + a.offset for a in axis if a.taps]
    return max(0, -min(lows, default=0)), max(0, max(highs, default=0) - (size - 1))


def gradient_frame(g: Geometry, rows: Sequence[Phase], columns: Sequence[Phase]) -> Frame:
    """The frame that holds an image's gradient with the zeros around it."""
    above, below = reach(rows, g.out_height)
    before, after = reach(columns, g.out_width)
    return Frame(
        g.out_height + above + below,
        g.out_width + before + after,
        g.filters,
        above,
        before,
        g.out_height,
        g.out_width,
        bool(above or below or before or after),
    )


@lowering("conv_input_gradient", otherwise=True)
def lower_input_gradient(w: Writer, steps: Sequence[NamedStep]) -> int:
    """A product of the padded gradient with the filters turned round, by phases of the stride."""
    step = steps[0]
    if len(step.attrs["window"].kernel) == 1:
        step = _as_maps(steps[:1])[0]
        if conv.lower_input_gradient(w, [step]):
            return 1
    (grad, weight), out = step.inputs, step.outputs[0]
    p = _grouped(out, weight.shape, grad.shape, step.attrs)
    if p is None or grad.dtype != out.dtype or not dense_channels_last(out):
        return 0
    g = p.sizes
    grad, weight = in_channels_last(w, grad), in_channels_last(w, weight)
    (kh, kw), (sh, sw), (dh, dw) = g.kernel, g.stride, g.dilation
    rows = phases(g.height, g.padding[0][0], kh, sh, dh)
    columns = phases(g.width, g.padding[1][0], kw, sw, dw)
    frame = gradient_frame(g, rows, columns)
    if p.depth == p.filters == 1:
        depthwise.input_gradient(w, g, grad, weight, out, frame, rows, columns)
        return 1
    frames = frames_for(w, frame)
    tile = tile_for(w.cpu, columns[0].count, p.depth)
    c, o = g.channels, g.filters
    w_row, w_col, w_out = kw * p.depth, p.depth, kh * kw * p.depth

    def write(f: Function, thread: Val, count: Val, px: Val, pf: Val, pg: Val, pw: Val) -> None:
        mine = f.at(pf, (thread, frame.size if frame.copied else 0))
        frame.clear(f, mine, w.lanes)
        first, last = f.share(g.images, thread, count)
        with f.loop(first, last, may_be_empty=True) as n:
            image = f.at(pg, (n.index, g.out_height * g.out_width * o))
            source = frame.fill(f, mine, image, w.lanes)
            target = f.at(px, (n.index, g.height * g.width * c))
            for down in rows:
                for right in columns:
                    phase(f, source, pw, target, down, right)

    def phase(f: Function, source: Val, pw: Val, target: Val, down: Phase, right: Phase) -> None:
        place = f.at(target, (down.start, g.width * c), (right.start, c))
        if not (down.taps and right.taps):
            with f.loop(0, down.count) as r, f.loop(0, right.count) as q:
                f.fill(f.at(place, (r.index, sh * g.width * c), (q.index, sw * c)), c, w.lanes)
            return
        axes = [
            Axis(down.taps, -down.back * frame.row, down.step * w_row),
            Axis(right.taps, -right.back * o, right.step * w_col),
            Axis(p.filters, 1, w_out),
        ]
        start = f.at(source, (down.offset + frame.top, frame.row), (right.offset + frame.left, o))
        weights = f.at(pw, (down.tap, w_row), (right.tap, w_col))
        with f.loop(0, p.groups) as group, f.loop(0, down.count) as r:
            product_rows(
                f,
                f.at(start, (r.index, frame.row), (group.index, p.filters)),
                f.at(weights, (group.index, p.filters * w_out)),
                f.at(place, (r.index, sh * g.width * c), (group.index, p.depth)),
                first=const(0),
                last=const(right.count),
                total=right.count,
                columns=p.depth,
                row_stride=o,
                axes=axes,
                out_stride=sw * c,
                tile=tile,
                lanes=w.lanes,
            )

    key = ("conv-grouped-input-gradient", p, tile)
    w.kernel(key, [out, frames, grad, weight], write, touching([out, frames], [grad, weight]))
    return 1


@lowering("conv_weight_gradient", otherwise=True)
def lower_weight_gradient(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Image by image into a sum of the thread's own, by groups; then summed and turned."""
    step = steps[0]
    if len(step.attrs["window"].kernel) == 1:
        step = _as_maps(steps[:1])[0]
        if conv.lower_weight_gradient(w, [step]):
            return 1
    (x, grad), out = step.inputs, step.outputs[0]
    p = _grouped(x, out.shape, grad.shape, step.attrs)
    if p is None or grad.dtype != x.dtype or not dense_channels_last(out):
        return 0
    g = p.sizes
    x, grad = in_channels_last(w, x), in_channels_last(w, grad)
    if p.depth == p.filters == 1:
        depthwise.weight_gradient(w, g, x, grad, out)
        return 1
    frame = input_frame(g)
    frames = frames_for(w, frame)
    size = g.filters * p.inner
    parts = w.scratch(w.max_threads * size)
    (kh, kw), (dh, dw), (sh, sw) = g.kernel, g.dilation, g.stride
    tile = tile_for(w.cpu, p.depth, p.filters)
    wide = tile.vectors * w.lanes
    pixels = [
        Axis(g.out_height, sh * frame.row, g.out_width * g.filters),
        Axis(g.out_width, sw * g.channels, g.filters),
    ]

    def accumulate(f: Function, source: Val, grads: Val, part: Val, rows: int, width: int) -> None:
        lanes = w.lanes
        vectors = -(-width // lanes)
        valid = [min(lanes, width - v * lanes) for v in range(vectors)]
        places = [
            (f.at(part, (r, p.filters), (v * lanes, 1)), valid[v])
            for r in range(rows)
            for v in range(vectors)
        ]
        acc = multiply_tile(
            f,
            source,
            grads,
            rows=rows,
            vectors=vectors,
            lanes=lanes,
            row_stride=1,
            axes=pixels,
            start=[load_columns(f, place, lanes, ok) for place, ok in places],
            load=lambda place, v: load_columns(f, place, lanes, valid[v]),
        )
        for value, (place, ok) in zip(acc, places, strict=True):
            store_columns(f, value, place, lanes, ok)

    def taps(f: Function, source: Val, grads: Val, part: Val, width: int) -> None:
        with f.loop(0, kh) as i, f.loop(0, kw) as j:
            place = f.at(source, (i.index, dh * frame.row), (j.index, dw * g.channels))
            into = f.at(
                part,
                (i.index, kw * p.depth * p.filters),
                (j.index, p.depth * p.filters),
            )
            full = p.depth // tile.rows * tile.rows
            with f.loop(0, full, tile.rows) as r:
                below = f.at(into, (r.index, p.filters))
                accumulate(f, f.at(place, (r.index, 1)), grads, below, tile.rows, width)
            if full < p.depth:
                below = f.at(into, (full, p.filters))
                accumulate(f, f.at(place, (full, 1)), grads, below, p.depth - full, width)

    def write(f: Function, thread: Val, count: Val, pp: Val, pf: Val, px: Val, pg: Val) -> None:
        mine = f.at(pf, (thread, frame.size if frame.copied else 0))
        frame.clear(f, mine, w.lanes)
        part = f.at(pp, (thread, size))
        f.fill(part, size, w.lanes)
        first, last = f.share(g.images, thread, count)
        with f.loop(first, last, may_be_empty=True) as n:
            image = f.at(px, (n.index, g.height * g.width * g.channels))
            source = frame.fill(f, mine, image, w.lanes)
            grads = f.at(pg, (n.index, g.out_height * g.out_width * g.filters))
            with f.loop(0, p.groups) as group:
                inside = f.at(source, (group.index, p.depth))
                own = f.at(grads, (group.index, p.filters))
                total = f.at(part, (group.index, p.inner * p.filters))
                for column in range(0, p.filters, wide):
                    width = min(wide, p.filters - column)
                    taps(f, inside, f.at(own, (column, 1)), f.at(total, (column, 1)), width)

    key = ("conv-grouped-weight-gradient", p, tile)
    w.kernel(key, [parts, frames, x, grad], write, touching([parts, frames], [x, grad]))
    sum_and_turn(w, parts, out, p.groups, p.inner, p.filters)
    return 1
