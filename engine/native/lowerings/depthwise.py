"""Convolutions that keep every channel to itself: a register of channels at a time.

A few neighbouring pixels of a row are held in registers while the taps run over them, so that a
tap's weights are loaded once for all of them, and pixels that several of them see are loaded once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from engine.native.emit import Function, Val, const, f32, zeros
from engine.native.loops import copied
from engine.native.lowerings.images import Frame, Geometry, frames_for, input_frame
from engine.native.products import load_columns, rectified, store_columns
from engine.native.writer import Writer, touching

if TYPE_CHECKING:
    from engine.native.lowerings.conv_general import Phase

Tap = tuple[int, int, int]
"""Rows and columns from the first pixel that a window sees, and the number of the weight."""


def forward(w: Writer, g: Geometry, x: Any, weight: Any, y: Any, bias: Any, relu: bool) -> None:
    """Each pixel's window, one row of the output after another."""
    frame = input_frame(g)
    frames, weights = frames_for(w, frame), _by_taps(w, g, weight)
    (kh, kw), (dh, dw), (sh, sw) = g.kernel, g.dilation, g.stride
    taps = [(i * dh, j * dw, i * kw + j) for i in range(kh) for j in range(kw)]
    c = g.channels

    def write(
        f: Function, thread: Val, count: Val, py: Val, pf: Val, px: Val, pw: Val, *pb: Val
    ) -> None:
        mine = f.at(pf, (thread, frame.size if frame.copied else 0))
        frame.clear(f, mine, w.lanes)
        first, last = f.share(g.images, thread, count)
        with f.loop(first, last, may_be_empty=True) as n:
            image = f.at(px, (n.index, g.height * g.width * c))
            source = frame.fill(f, mine, image, w.lanes)
            target = f.at(py, (n.index, g.out_height * g.out_width * c))
            with f.loop(0, g.out_height) as row:
                _pixels(
                    w,
                    f,
                    f.at(source, (row.index, sh * frame.row)),
                    pw,
                    f.at(target, (row.index, g.out_width * c)),
                    taps,
                    pixels=g.out_width,
                    channels=c,
                    row=frame.row,
                    step=sw,
                    out_step=1,
                    bias=pb[0] if pb else None,
                    relu=relu,
                )

    read = [x, weights] + ([] if bias is None else [bias])
    key = ("depthwise", g, bias is not None, relu)
    w.kernel(key, [y, frames, *read], write, touching([y, frames], read))


def input_gradient(
    w: Writer,
    g: Geometry,
    grad: Any,
    weight: Any,
    out: Any,
    frame: Frame,
    rows: Sequence[Phase],
    columns: Sequence[Phase],
) -> None:
    """The same over the padded gradient, by phases of the stride."""
    frames, weights = frames_for(w, frame), _by_taps(w, g, weight)
    (_, kw), (sh, sw), c = g.kernel, g.stride, g.channels

    def write(f: Function, thread: Val, count: Val, px: Val, pf: Val, pg: Val, pw: Val) -> None:
        mine = f.at(pf, (thread, frame.size if frame.copied else 0))
        frame.clear(f, mine, w.lanes)
        first, last = f.share(g.images, thread, count)
        with f.loop(first, last, may_be_empty=True) as n:
            image = f.at(pg, (n.index, g.out_height * g.out_width * c))
            source = frame.fill(f, mine, image, w.lanes)
            target = f.at(px, (n.index, g.height * g.width * c))
            for down in rows:
                for right in columns:
                    taps = [
                        (
                            down.offset - i * down.back + frame.top,
                            right.offset - j * right.back + frame.left,
                            (down.tap + i * down.step) * kw + right.tap + j * right.step,
                        )
                        for i in range(down.taps)
                        for j in range(right.taps)
                    ]
                    place = f.at(target, (down.start, g.width * c), (right.start, c))
                    with f.loop(0, down.count) as r:
                        _pixels(
                            w,
                            f,
                            f.at(source, (r.index, frame.row)),
                            pw,
                            f.at(place, (r.index, sh * g.width * c)),
                            taps,
                            pixels=right.count,
                            channels=c,
                            row=frame.row,
                            step=1,
                            out_step=sw,
                        )

    read = [grad, weights]
    key = ("depthwise-input-gradient", g)
    w.kernel(key, [out, frames, *read], write, touching([out, frames], read))


def weight_gradient(w: Writer, g: Geometry, x: Any, grad: Any, out: Any) -> None:
    """Sums over pixels, one register a tap; each thread's own first."""
    frame = input_frame(g)
    frames = frames_for(w, frame)
    (kh, kw), (dh, dw), (sh, sw), c = g.kernel, g.dilation, g.stride, g.channels
    parts = w.scratch(w.max_threads * g.taps * c)
    taps = [(i * dh, j * dw, i * kw + j) for i in range(kh) for j in range(kw)]
    most = max(1, w.cpu.registers - 4)

    def write(f: Function, thread: Val, count: Val, pp: Val, pf: Val, px: Val, pg: Val) -> None:
        mine = f.at(pf, (thread, frame.size if frame.copied else 0))
        frame.clear(f, mine, w.lanes)
        part = f.at(pp, (thread, g.taps * c))
        f.fill(part, g.taps * c, w.lanes)
        first, last = f.share(g.images, thread, count)
        with f.loop(first, last, may_be_empty=True) as n:
            source = frame.fill(f, mine, f.at(px, (n.index, g.height * g.width * c)), w.lanes)
            grads = f.at(pg, (n.index, g.out_height * g.out_width * c))
            for some in range(0, len(taps), most):
                _each_register(
                    f,
                    c,
                    w.lanes,
                    lambda k, valid, some=some: sums(  # type: ignore[misc]
                        f, source, grads, part, taps[some : some + most], k, valid
                    ),
                )

    def sums(
        f: Function, source: Val, grads: Val, part: Val, some: Sequence[Tap], k: Val, valid: int
    ) -> None:
        lanes = w.lanes
        places = [f.at(part, (number, c), (k, 1)) for _, _, number in some]
        start = [load_columns(f, place, lanes, valid) for place in places]
        with f.loop(0, g.out_height, carry=start) as r:
            with f.loop(0, g.out_width, carry=r.carried) as q:
                spot = f.at(grads, (r.index, g.out_width * c), (q.index, c), (k, 1))
                value = load_columns(f, spot, lanes, valid)
                corner = f.at(source, (r.index, sh * frame.row), (q.index, sw * c), (k, 1))
                q.next = [
                    f.fma(
                        load_columns(f, f.at(corner, (i, frame.row), (j, c)), lanes, valid),
                        value,
                        total,
                    )
                    for (i, j, _), total in zip(some, q.carried, strict=True)
                ]
            r.next = q.result
        for place, total in zip(places, r.result, strict=True):
            store_columns(f, total, place, lanes, valid)

    key = ("depthwise-weight-gradient", g)
    w.kernel(key, [parts, frames, x, grad], write, touching([parts, frames], [x, grad]))

    def turn(f: Function, thread: Val, count: Val, po: Val, pp: Val) -> None:
        b = f.b
        first, last = f.share(c, thread, count)
        with f.loop(first, last, may_be_empty=True) as k, f.loop(0, g.taps) as tap:
            spot = f.at(pp, (tap.index, c), (k.index, 1))
            with f.loop(0, count, carry=[f32(0.0)]) as t:
                value = b.load(f.at(spot, (t.index, g.taps * c)))
                t.next = [b.fadd(t.carried[0], value)]
            b.store(t.result[0], f.at(po, (k.index, g.taps), (tap.index, 1)))

    w.kernel(("depthwise-turn", g.taps, c), [out, parts], turn, touching([out], [parts]))


def _by_taps(w: Writer, g: Geometry, weight: Any) -> Any:
    """The weights (C, 1, kh, kw) as (taps, C)."""
    packed = w.scratch(g.taps * g.channels).reshape(g.taps, g.channels)
    turned = weight.transpose(0, 2, 3, 1).reshape(g.channels, g.taps).T
    copied(w, packed, turned)
    return packed


def _each_register(
    f: Function, channels: int, lanes: int, body: Callable[[Val, int], None]
) -> None:
    """``body(channel, valid)`` for every register of channels; the last may hold fewer."""
    whole = channels // lanes * lanes
    if whole:
        with f.loop(0, whole, lanes) as k:
            body(k.index, lanes)
    if whole < channels:
        body(const(whole), channels - whole)


def _pixels(
    w: Writer,
    f: Function,
    source: Val,
    weights: Val,
    target: Val,
    taps: Sequence[Tap],
    *,
    pixels: int,
    channels: int,
    row: int,
    step: int,
    out_step: int,
    bias: Val | None = None,
    relu: bool = False,
) -> None:
    """One row of pixels: ``target[q * out_step] = sum of source[q * step + tap] * weight[tap]``."""
    lanes = w.lanes
    together = 8 if w.cpu.registers > 16 else 4

    def tile(q: Val, count: int, k: Val, valid: int) -> None:
        start = zeros(lanes)
        if bias is not None:
            start = load_columns(f, f.at(bias, (k, 1)), lanes, valid)
        totals = [start] * count
        corner = f.at(source, (q, step * channels), (k, 1))
        rows = sorted({i for i, _, _ in taps})
        for i in rows:
            seen: dict[int, Val] = {}
            for _, j, number in (tap for tap in taps if tap[0] == i):
                weight = load_columns(f, f.at(weights, (number, channels), (k, 1)), lanes, valid)
                for at in range(count):
                    column = at * step + j
                    if column not in seen:
                        spot = f.at(corner, (i, row), (column, channels))
                        seen[column] = load_columns(f, spot, lanes, valid)
                    totals[at] = f.fma(seen[column], weight, totals[at])
        for at, total in enumerate(totals):
            value = rectified(f, total, zeros(lanes)) if relu else total
            spot = f.at(target, (q, out_step * channels), (at * out_step, channels), (k, 1))
            store_columns(f, value, spot, lanes, valid)

    def register(k: Val, valid: int) -> None:
        whole = pixels // together * together
        if whole:
            with f.loop(0, whole, together) as q:
                tile(q.index, together, k, valid)
        if whole < pixels:
            tile(const(whole), pixels - whole, k, valid)

    _each_register(f, channels, lanes, register)
