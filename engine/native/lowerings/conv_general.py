"""Convolutions that the plain ones do not cover: lines, volumes, groups, spread windows' gradients.

A line is a map of height 1. Each thread takes whole images (or volumes), and in them one group
after another as a product of its own; where every channel of a map is a group, see ``depthwise``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.native.emit import Axis, Function, Val, const, multiply_tile
from engine.native.loops import copied
from engine.native.lowerings import conv, depthwise, lowering
from engine.native.lowerings.images import (
    Frame,
    dense_channels_last,
    geometry,
    in_channels_last,
    nested,
)
from engine.native.lowerings.turn import sum_and_turn
from engine.native.products import load_columns, product_rows, store_columns, tile_for
from engine.native.writer import Writer, touching
from engine.ops.windows import Window, to_channels_last

if TYPE_CHECKING:
    from engine.plan.program import NamedStep


def _as_map(array: Any) -> Any:
    """A line (N, C, L) as a map of height 1; a map as it is."""
    return array[:, :, None, :] if array.ndim == 3 else array


def _as_map_window(window: Window) -> Window:
    """A window over lines as one over maps of height 1."""
    if len(window.kernel) == 2:
        return window
    return Window(
        (1, *window.kernel), (1, *window.stride), ((0, 0), *window.padding), (1, *window.dilation)
    )


def _as_maps(steps: Sequence[NamedStep]) -> list[NamedStep]:
    """The convolution, and what may be done in its pass, over maps of height 1."""
    first = steps[0]
    window = _as_map_window(first.attrs["window"])
    made = [replace(first, attrs={**first.attrs, "window": window})]
    made += [s for s in steps[1:3] if s.name in ("add", "relu")]
    return [
        replace(s, inputs=tuple(map(_as_map, s.inputs)), outputs=tuple(map(_as_map, s.outputs)))
        if all(v.ndim == 3 for v in (*s.inputs, *s.outputs))
        else s
        for s in made
    ]


@dataclass(frozen=True)
class Grouped:
    """One convolution in groups, over any number of spatial axes; sizes in elements."""

    images: int
    size: tuple[int, ...]
    channels: int
    counts: tuple[int, ...]
    filters: int
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int

    @property
    def depth(self) -> int:
        """Input channels of a group."""
        return self.channels // self.groups

    @property
    def width(self) -> int:
        """Filters of a group."""
        return self.filters // self.groups

    @property
    def inner(self) -> int:
        """Terms of each sum."""
        return math.prod(self.kernel) * self.depth

    @property
    def is_depthwise_map(self) -> bool:
        return self.depth == self.width == 1 and len(self.size) == 2

    def tap_strides(self, last: int) -> list[int]:
        """How far the weights of neighbouring taps lie apart, ``last`` along the last axis."""
        return [math.prod(self.kernel[i + 1 :]) * last for i in range(len(self.kernel))]


def _grouped(x: Any, w_shape: Sequence[int], y_shape: Sequence[int], attrs: Any) -> Grouped | None:
    window = attrs["window"]
    if x.dtype != np.float32 or 0 in (*x.shape, *w_shape, *y_shape):
        return None
    return Grouped(
        x.shape[0],
        x.shape[2:],
        x.shape[1],
        tuple(y_shape[2:]),
        w_shape[0],
        window.kernel,
        window.stride,
        window.padding,
        window.dilation,
        attrs["groups"],
    )


@dataclass(frozen=True)
class Border:
    """A zero-bordered copy of one image, or the image itself where no border is needed."""

    inner: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    channels: int

    @property
    def copied(self) -> bool:
        return any(map(any, self.padding))

    @property
    def sizes(self) -> list[int]:
        return [n + a + b for n, (a, b) in zip(self.inner, self.padding, strict=True)]

    @property
    def size(self) -> int:
        return math.prod(self.sizes) * self.channels

    @property
    def strides(self) -> list[int]:
        """How far neighbouring pixels lie apart along each axis."""
        sizes = self.sizes
        return [math.prod(sizes[i + 1 :]) * self.channels for i in range(len(sizes))]

    def room(self, w: Writer) -> Any:
        """Working memory for one frame a thread."""
        return w.scratch(w.max_threads * self.size if self.copied else 1)

    def begin(self, f: Function, frames: Val, thread: Val, lanes: int) -> Val:
        """The thread's frame, cleared: once a kernel, as only the inside is written again."""
        if not self.copied:
            return frames
        mine = f.at(frames, (thread, self.size))
        f.fill(mine, self.size, lanes)
        return mine

    def fill(self, f: Function, mine: Val, image: Val, lanes: int) -> Val:
        """Copy an image inside; the pointer to read from."""
        if not self.copied:
            return image
        line = self.inner[-1] * self.channels
        corner = f.at(mine, *((a, s) for (a, _), s in zip(self.padding, self.strides, strict=True)))
        with nested(f, self.inner[:-1]) as places:
            number: Val = const(0)
            for place, n in zip(places, self.inner, strict=False):
                number = f.b.add(f.b.mul(number, const(n)), place)
            target = f.at(corner, *zip(places, self.strides, strict=False))
            f.copy(target, f.at(image, (number, line)), line, lanes)
        return mine


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
    x, weight = in_channels_last(w, x), in_channels_last(w, weight)
    bias, relu, done = conv.epilogue(steps, y)
    if p.is_depthwise_map:
        depthwise.forward(w, _as_geometry(x, weight, y, step), x, weight, y, bias, relu)
        return done
    packed = w.scratch(p.filters * p.inner).reshape(p.groups, p.inner, p.width)
    flat = to_channels_last(weight).reshape(p.groups, p.width, p.inner)
    turned = flat.transpose(0, 2, 1)
    copied(w, packed, turned)
    border = Border(p.size, p.padding, p.channels)
    frames = border.room(w)
    tile = tile_for(w.cpu, p.counts[-1], p.width)
    taps = zip(p.kernel, p.dilation, border.strides, p.tap_strides(p.depth * p.width), strict=True)
    axes = [Axis(k, d * s, t) for k, d, s, t in taps]
    axes.append(Axis(p.depth, 1, p.width))
    rows = [d * s for d, s in zip(p.stride, border.strides, strict=True)]
    out = Border(p.counts, ((0, 0),) * len(p.counts), p.filters)

    def write(
        f: Function, thread: Val, count: Val, py: Val, pf: Val, px: Val, pw: Val, *pb: Val
    ) -> None:
        mine = border.begin(f, pf, thread, w.lanes)
        first, last = f.share(p.images, thread, count)
        with f.loop(first, last, may_be_empty=True) as n:
            image = f.at(px, (n.index, math.prod(p.size) * p.channels))
            source = border.fill(f, mine, image, w.lanes)
            target = f.at(py, (n.index, out.size))
            with f.loop(0, p.groups) as group, nested(f, p.counts[:-1]) as places:
                product_rows(
                    f,
                    f.at(source, (group.index, p.depth), *zip(places, rows, strict=False)),
                    f.at(pw, (group.index, p.inner * p.width)),
                    f.at(target, (group.index, p.width), *zip(places, out.strides, strict=False)),
                    first=const(0),
                    last=const(p.counts[-1]),
                    total=p.counts[-1],
                    columns=p.width,
                    row_stride=rows[-1],
                    axes=axes,
                    out_stride=p.filters,
                    tile=tile,
                    lanes=w.lanes,
                    bias=f.at(pb[0], (group.index, p.width)) if pb else None,
                    relu=relu,
                )

    read = [x, packed] + ([] if bias is None else [bias])
    key = ("conv-grouped", p, tile, bias is not None, relu)
    w.kernel(key, [y, frames, *read], write, touching([y, frames], read))
    return done


def _as_geometry(x: Any, weight: Any, y: Any, step: NamedStep) -> Any:
    """The sizes as those of a convolution without groups."""
    return geometry(x, weight.shape, y.shape, {**step.attrs, "groups": 1})


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


def _phases(size: int, pad: int, kernel: int, stride: int, dilation: int) -> list[Phase]:
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


def _reach(axis: Sequence[Phase], size: int) -> tuple[int, int]:
    """Zeros that must stand before and after a gradient of ``size`` pixels, for all phases."""
    lows = [a.offset - (a.taps - 1) * a.back for a in axis if a.taps]
    highs = [a.count - 1 + a.offset for a in axis if a.taps]
    return max(0, -min(lows, default=0)), max(0, max(highs, default=0) - (size - 1))


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
    grad, weight = in_channels_last(w, grad), in_channels_last(w, weight)
    phases = [
        _phases(n, pad, k, s, d)
        for n, (pad, _), k, s, d in zip(
            p.size, p.padding, p.kernel, p.stride, p.dilation, strict=True
        )
    ]
    around = tuple(_reach(a, n) for a, n in zip(phases, p.counts, strict=True))
    border = Border(p.counts, around, p.filters)
    if p.is_depthwise_map:
        (height, width), ((top, _), (left, _)) = border.sizes, around
        down, right = p.counts
        frame = Frame(height, width, p.filters, top, left, down, right, border.copied)
        sizes = _as_geometry(out, weight, grad, step)
        depthwise.input_gradient(w, sizes, grad, weight, out, frame, *phases)
        return 1
    frames = border.room(w)
    tile = tile_for(w.cpu, phases[-1][0].count, p.depth)
    whole = Border(p.size, ((0, 0),) * len(p.size), p.channels)
    steps_ = [s * t for s, t in zip(p.stride, whole.strides, strict=True)]
    taps = p.tap_strides(p.depth)

    def write(f: Function, thread: Val, count: Val, px: Val, pf: Val, pg: Val, pw: Val) -> None:
        mine = border.begin(f, pf, thread, w.lanes)
        first, last = f.share(p.images, thread, count)
        with f.loop(first, last, may_be_empty=True) as n:
            image = f.at(pg, (n.index, math.prod(p.counts) * p.filters))
            source = border.fill(f, mine, image, w.lanes)
            target = f.at(px, (n.index, whole.size))
            for some in itertools.product(*phases):
                phase(f, source, pw, target, some)

    def phase(f: Function, source: Val, pw: Val, target: Val, some: Sequence[Phase]) -> None:
        place = f.at(target, *((a.start, s) for a, s in zip(some, whole.strides, strict=True)))
        if not all(a.taps for a in some):
            with nested(f, [a.count for a in some]) as places:
                spot = f.at(place, *zip(places, steps_, strict=True))
                f.fill(spot, p.channels, w.lanes)
            return
        axes = [
            Axis(a.taps, -a.back * s, a.step * t)
            for a, s, t in zip(some, border.strides, taps, strict=True)
        ]
        axes.append(Axis(p.width, 1, p.inner))
        begin = [
            (a.offset + before, s)
            for a, (before, _), s in zip(some, around, border.strides, strict=True)
        ]
        start = f.at(source, *begin)
        weights = f.at(pw, *((a.tap, t) for a, t in zip(some, taps, strict=True)))
        with f.loop(0, p.groups) as group, nested(f, [a.count for a in some[:-1]]) as places:
            product_rows(
                f,
                f.at(start, (group.index, p.width), *zip(places, border.strides, strict=False)),
                f.at(weights, (group.index, p.width * p.inner)),
                f.at(place, (group.index, p.depth), *zip(places, steps_, strict=False)),
                first=const(0),
                last=const(some[-1].count),
                total=some[-1].count,
                columns=p.depth,
                row_stride=p.filters,
                axes=axes,
                out_stride=steps_[-1],
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
    x, grad = in_channels_last(w, x), in_channels_last(w, grad)
    if p.is_depthwise_map:
        depthwise.weight_gradient(w, _as_geometry(x, out, grad, step), x, grad, out)
        return 1
    border = Border(p.size, p.padding, p.channels)
    frames = border.room(w)
    size = p.filters * p.inner
    parts = w.scratch(w.max_threads * size)
    tile = tile_for(w.cpu, p.depth, p.width)
    wide = tile.vectors * w.lanes
    given = Border(p.counts, ((0, 0),) * len(p.counts), p.filters)
    pixels = [
        Axis(n, s * t, g)
        for n, s, t, g in zip(p.counts, p.stride, border.strides, given.strides, strict=True)
    ]

    def accumulate(f: Function, source: Val, grads: Val, part: Val, rows: int, width: int) -> None:
        lanes = w.lanes
        vectors = -(-width // lanes)
        valid = [min(lanes, width - v * lanes) for v in range(vectors)]
        places = [
            (f.at(part, (r, p.width), (v * lanes, 1)), valid[v])
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
        apart = [d * s for d, s in zip(p.dilation, border.strides, strict=True)]
        with nested(f, p.kernel) as tap:
            place = f.at(source, *zip(tap, apart, strict=True))
            into = f.at(part, *zip(tap, p.tap_strides(p.depth * p.width), strict=True))
            full = p.depth // tile.rows * tile.rows
            with f.loop(0, full, tile.rows) as r:
                below = f.at(into, (r.index, p.width))
                accumulate(f, f.at(place, (r.index, 1)), grads, below, tile.rows, width)
            if full < p.depth:
                below = f.at(into, (full, p.width))
                accumulate(f, f.at(place, (full, 1)), grads, below, p.depth - full, width)

    def write(f: Function, thread: Val, count: Val, pp: Val, pf: Val, px: Val, pg: Val) -> None:
        mine = border.begin(f, pf, thread, w.lanes)
        part = f.at(pp, (thread, size))
        f.fill(part, size, w.lanes)
        first, last = f.share(p.images, thread, count)
        with f.loop(first, last, may_be_empty=True) as n:
            image = f.at(px, (n.index, math.prod(p.size) * p.channels))
            source = border.fill(f, mine, image, w.lanes)
            grads = f.at(pg, (n.index, given.size))
            with f.loop(0, p.groups) as group:
                inside = f.at(source, (group.index, p.depth))
                own = f.at(grads, (group.index, p.width))
                total = f.at(part, (group.index, p.inner * p.width))
                for column in range(0, p.width, wide):
                    width = min(wide, p.width - column)
                    taps(f, inside, f.at(own, (column, 1)), f.at(total, (column, 1)), width)

    key = ("conv-grouped-weight-gradient", p, tile)
    w.kernel(key, [parts, frames, x, grad], write, touching([parts, frames], [x, grad]))
    sum_and_turn(w, parts, out, p.groups, p.inner, p.width)
    return 1
