"""Convolution in two dimensions, channels last: no gathered columns, one register tile.

Each thread takes whole images. A padded input is copied, image by image, into a zero-bordered
frame of the thread's own, which stays in its cache while the taps run over it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from engine.native.emit import Axis, Function, Val, const, f32, multiply_tile
from engine.native.lowerings import lowering, winograd
from engine.native.lowerings.images import (
    Frame,
    Geometry,
    as_pixels,
    dense_channels_last,
    frames_for,
    geometry,
    in_channels_last,
    input_frame,
)
from engine.native.lowerings.matmul import pack, product
from engine.native.lowerings.turn import sum_and_turn
from engine.native.products import load_columns, product_rows, store_columns, tile_for
from engine.native.writer import Use, Writer, element_strides, overlap

if TYPE_CHECKING:
    from engine.plan.program import NamedStep

FEW_PIXELS = 256
"""Pixels of an image below which a sum over one image is too short to be a product of its own."""


def _tap_axes(g: Geometry, row: int, weight_row: int) -> list[Axis]:
    """Sum over kernel rows, kernel columns and channels; the last two as one where they touch."""
    (kh, kw), (dh, dw), c = g.kernel, g.dilation, g.channels
    if dw == 1:
        return [Axis(kh, dh * row, kw * c * weight_row), Axis(kw * c, 1, weight_row)]
    return [
        Axis(kh, dh * row, kw * c * weight_row),
        Axis(kw, dw * c, c * weight_row),
        Axis(c, 1, weight_row),
    ]


@lowering("conv")
def lower_forward(w: Writer, steps: Sequence[NamedStep]) -> int:
    """The convolution, with the bias and the ReLU that follow in place."""
    step = steps[0]
    (x, weight), y = step.inputs, step.outputs[0]
    g = geometry(x, weight.shape, y.shape, step.attrs)
    if g is None or not (dense_channels_last(y) and dense_channels_last(weight)):
        return 0
    x = in_channels_last(w, x)
    bias, relu, done = epilogue(steps, y)
    if g.pointwise:
        product(w, as_pixels(x), as_pixels(weight).T, as_pixels(y), bias, relu)
        return done
    if winograd.suits(g):
        winograd.convolve(w, g, x, winograd.filters_for(w, g, weight), y, bias, relu)
        return done
    # (filters, kh, kw, C) turned so that the filters lie side by side: (kh, kw, C, filters).
    inner = g.taps * g.channels
    flat = weight.transpose(0, 2, 3, 1).reshape(g.filters, inner)
    packed = w.scratch(inner * g.filters).reshape(inner, g.filters)
    pack(w, flat.T, packed)
    frame = input_frame(g)
    frames = frames_for(w, frame)
    tile = tile_for(w.cpu, g.out_width, g.filters)
    arrays = [x, packed, y, frames] + ([bias] if bias is not None else [])

    def write(
        f: Function, thread: Val, count: Val, px: Val, pw: Val, py: Val, pf: Val, *pb: Val
    ) -> None:
        mine = f.at(pf, (thread, frame.size if frame.copied else 0))
        frame.clear(f, mine, w.lanes)
        first, last = f.share(g.images, thread, count)
        with f.loop(first, last, may_be_empty=True) as n:
            image = f.at(px, (n.index, g.height * g.width * g.channels))
            source = frame.fill(f, mine, image, w.lanes)
            target = f.at(py, (n.index, g.out_height * g.out_width * g.filters))
            with f.loop(0, g.out_height) as row:
                product_rows(
                    f,
                    f.at(source, (row.index, g.stride[0] * frame.row)),
                    pw,
                    f.at(target, (row.index, g.out_width * g.filters)),
                    first=const(0),
                    last=const(g.out_width),
                    total=g.out_width,
                    columns=g.filters,
                    row_stride=g.stride[1] * g.channels,
                    axes=_tap_axes(g, frame.row, g.filters),
                    out_stride=g.filters,
                    tile=tile,
                    lanes=w.lanes,
                    bias=pb[0] if pb else None,
                    relu=relu,
                )

    uses = [
        Use(x, False, None),
        Use(packed, False, None),
        Use(y, True, None),
        Use(frames, True, None),
    ]
    w.kernel(
        ("conv", g, tile, bias is not None, relu),
        arrays,
        write,
        uses + [Use(a, False, None) for a in arrays[4:]],
    )
    return done


def epilogue(steps: Sequence[NamedStep], y: Any) -> tuple[Any, bool, int]:
    """Bias and ReLU that directly follow in the same memory: (bias, relu, number of steps)."""
    done, bias, relu = 1, None, False

    def in_place(step: NamedStep) -> bool:
        out, first = step.outputs[0], step.inputs[0]
        return all(
            a.shape == y.shape
            and a.strides == y.strides
            and a.__array_interface__["data"] == y.__array_interface__["data"]
            for a in (out, first)
        )

    if done < len(steps) and steps[done].name == "add" and in_place(steps[done]):
        other = steps[done].inputs[1]
        fits = other.shape == (1, y.shape[1], 1, 1) and element_strides(other)[1] == 1
        if fits and not overlap(other, y):  # a result added to itself is no bias
            bias, done = other, done + 1
    if done < len(steps) and steps[done].name == "relu" and in_place(steps[done]):
        relu, done = True, done + 1
    return bias, relu, done


@lowering("conv_input_gradient")
def lower_input_gradient(w: Writer, steps: Sequence[NamedStep]) -> int:
    """A convolution of the padded gradient with the filters turned round, by stride phases."""
    step = steps[0]
    (grad, weight), out = step.inputs, step.outputs[0]
    g = geometry(out, weight.shape, grad.shape, step.attrs)
    if (
        g is None
        or g.dilation != (1, 1)
        or not (dense_channels_last(out) and dense_channels_last(weight))
    ):
        return 0
    if g.pointwise:
        product(w, as_pixels(in_channels_last(w, grad)), as_pixels(weight), as_pixels(out))
        return 1
    if winograd.suits(winograd.turned(g)):
        back = winograd.turned(g)
        filters = winograd.filters_for(w, back, weight, of_gradient=True)
        winograd.convolve(w, back, in_channels_last(w, grad), filters, out)
        return 1
    (kh, kw), (sh, sw) = g.kernel, g.stride
    (top, _), (left, _) = g.padding
    # Offsets of gradient rows that any input row reads, relative to (row // stride).
    reach_h = [
        (phase + top - k) // sh
        for phase in range(sh)
        for k in range(kh)
        if (phase + top - k) % sh == 0
    ]
    reach_w = [
        (phase + left - k) // sw
        for phase in range(sw)
        for k in range(kw)
        if (phase + left - k) % sw == 0
    ]
    if not reach_h or not reach_w:
        return 0
    grad = in_channels_last(w, grad)
    rows = -(-g.height // sh)
    cols = -(-g.width // sw)
    above, before = max(0, -min(reach_h)), max(0, -min(reach_w))
    below = max(0, rows - 1 + max(reach_h) - (g.out_height - 1))
    after = max(0, cols - 1 + max(reach_w) - (g.out_width - 1))
    frame = Frame(
        g.out_height + above + below,
        g.out_width + before + after,
        g.filters,
        above,
        before,
        g.out_height,
        g.out_width,
        bool(above or below or before or after),
    )
    frames = frames_for(w, frame)
    tile = tile_for(w.cpu, cols, g.channels)
    c, o = g.channels, g.filters
    w_row, w_col, w_out = kw * c, c, kh * kw * c

    def phase_axes(phase: int, pad: int, kernel: int, stride: int) -> tuple[int, int, int] | None:
        """(first tap, number of taps, first offset) of a phase."""
        taps = [k for k in range(kernel) if (phase + pad - k) % stride == 0]
        return (taps[0], len(taps), (phase + pad - taps[0]) // stride) if taps else None

    def write(f: Function, thread: Val, count: Val, pg: Val, pw: Val, px: Val, pf: Val) -> None:
        mine = f.at(pf, (thread, frame.size if frame.copied else 0))
        frame.clear(f, mine, w.lanes)
        first, last = f.share(g.images, thread, count)
        with f.loop(first, last, may_be_empty=True) as n:
            image = f.at(pg, (n.index, g.out_height * g.out_width * o))
            source = frame.fill(f, mine, image, w.lanes)
            target = f.at(px, (n.index, g.height * g.width * c))
            for ph in range(min(sh, g.height)):
                for pw_ in range(min(sw, g.width)):
                    _phase(f, source, pw, target, ph, pw_)

    def _phase(f: Function, source: Val, pw: Val, target: Val, ph: int, pw_: int) -> None:
        vertical = phase_axes(ph, top, kh, sh)
        horizontal = phase_axes(pw_, left, kw, sw)
        num_rows, num_cols = -(-(g.height - ph) // sh), -(-(g.width - pw_) // sw)
        place = f.at(target, (ph, g.width * c), (pw_, c))
        if vertical is None or horizontal is None:
            with f.loop(0, num_rows) as r, f.loop(0, num_cols) as q, f.loop(0, c) as i:
                f.b.store(
                    f32(0.0),
                    f.at(place, (r.index, sh * g.width * c), (q.index, sw * c), (i.index, 1)),
                )
            return
        (k0, nk, d0), (l0, nl, e0) = vertical, horizontal
        axes = [
            Axis(nk, -frame.row, sh * w_row),
            Axis(nl, -o, sw * w_col),
            Axis(o, 1, w_out),
        ]
        start = f.at(source, (d0 + above, frame.row), (e0 + before, o))
        weights = f.at(pw, (k0, w_row), (l0, w_col))
        with f.loop(0, num_rows) as r:
            product_rows(
                f,
                f.at(start, (r.index, frame.row)),
                weights,
                f.at(place, (r.index, sh * g.width * c)),
                first=const(0),
                last=const(num_cols),
                total=num_cols,
                columns=c,
                row_stride=o,
                axes=axes,
                out_stride=sw * c,
                tile=tile,
                lanes=w.lanes,
            )

    w.kernel(
        ("conv-input-gradient", g, tile),
        [grad, weight, out, frames],
        write,
        [
            Use(grad, False, None),
            Use(weight, False, None),
            Use(out, True, None),
            Use(frames, True, None),
        ],
    )
    return 1


@lowering("conv_weight_gradient")
def lower_weight_gradient(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Image by image into a sum of the thread's own, (taps, C, filters); then summed and turned."""
    step = steps[0]
    (x, grad), out = step.inputs, step.outputs[0]
    g = geometry(x, out.shape, grad.shape, step.attrs)
    # Spread windows are left to the general form, which walks over the taps: written out one by
    # one, as here where they are not contiguous, those of many channels compile for half a minute.
    if g is None or g.dilation[1] != 1 or not dense_channels_last(out):
        return 0
    x, grad = in_channels_last(w, x), in_channels_last(w, grad)
    if g.pointwise and g.out_height * g.out_width < FEW_PIXELS:
        product(w, as_pixels(grad).T, as_pixels(x), as_pixels(out))
        return 1
    if winograd.suits(g):
        winograd.weight_gradient(w, g, x, grad, out)
        return 1
    frame = input_frame(g)
    frames = frames_for(w, frame)
    inner = g.taps * g.channels
    size = inner * g.filters
    parts = w.scratch(w.max_threads * size)
    (kh, kw), (dh, _), (sh, sw) = g.kernel, g.dilation, g.stride
    # Offsets in the frame of all (tap, channel) pairs: they are the rows of the product.
    offsets = [
        i * dh * frame.row + j * g.channels + k
        for i in range(kh)
        for j in range(kw)
        for k in range(g.channels)
    ]
    tile = tile_for(w.cpu, inner, g.filters)
    wide = tile.vectors * w.lanes
    pixels = [
        Axis(g.out_height, sh * frame.row, g.out_width * g.filters),
        Axis(g.out_width, sw * g.channels, g.filters),
    ]

    def write(f: Function, thread: Val, count: Val, px: Val, pg: Val, pp: Val, pf: Val) -> None:
        mine = f.at(pf, (thread, frame.size if frame.copied else 0))
        frame.clear(f, mine, w.lanes)
        part = f.at(pp, (thread, size))
        f.fill(part, size, w.lanes)
        first, last = f.share(g.images, thread, count)
        with f.loop(first, last, may_be_empty=True) as n:
            source = frame.fill(
                f, mine, f.at(px, (n.index, g.height * g.width * g.channels)), w.lanes
            )
            grads = f.at(pg, (n.index, g.out_height * g.out_width * g.filters))
            column = 0
            while column < g.filters:
                width = min(wide, g.filters - column)
                _rows(f, source, f.at(grads, (column, 1)), f.at(part, (column, 1)), width)
                column += width

    def _rows(f: Function, source: Val, grads: Val, part: Val, width: int) -> None:
        if kw * g.channels < tile.rows:
            for start in range(0, inner, tile.rows):
                rows = offsets[start : start + tile.rows]
                _accumulate(f, source, grads, f.at(part, (start, g.filters)), rows, width)
            return
        run = kw * g.channels  # contiguous in the frame, one run a kernel row
        with f.loop(0, kh) as i:
            base = f.at(source, (i.index, dh * frame.row))
            into = f.at(part, (i.index, run * g.filters))
            full = run // tile.rows * tile.rows
            with f.loop(0, full, tile.rows) as r:
                _accumulate(
                    f,
                    f.at(base, (r.index, 1)),
                    grads,
                    f.at(into, (r.index, g.filters)),
                    list(range(tile.rows)),
                    width,
                )
            if full < run:
                _accumulate(
                    f,
                    f.at(base, (full, 1)),
                    grads,
                    f.at(into, (full, g.filters)),
                    list(range(run - full)),
                    width,
                )

    def _accumulate(
        f: Function, source: Val, grads: Val, part: Val, rows: list[int], width: int
    ) -> None:
        lanes = w.lanes
        vectors = -(-width // lanes)
        valid = [min(lanes, width - v * lanes) for v in range(vectors)]
        places = [
            (f.at(part, (r, g.filters), (v * lanes, 1)), valid[v])
            for r in range(len(rows))
            for v in range(vectors)
        ]
        start = [load_columns(f, place, lanes, ok) for place, ok in places]
        acc = multiply_tile(
            f,
            source,
            grads,
            rows=len(rows),
            vectors=vectors,
            lanes=lanes,
            row_stride=0,
            row_offsets=rows,
            axes=pixels,
            start=start,
            load=lambda place, v: load_columns(f, place, lanes, valid[v]),
        )
        for value, (place, ok) in zip(acc, places, strict=True):
            store_columns(f, value, place, lanes, ok)

    w.kernel(
        ("conv-weight-gradient", g, tile),
        [x, grad, parts, frames],
        write,
        [
            Use(x, False, None),
            Use(grad, False, None),
            Use(parts, True, None),
            Use(frames, True, None),
        ],
    )
    sum_and_turn(w, parts, out, 1, inner, g.filters)
    return 1
