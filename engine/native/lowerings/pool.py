"""Max and average pooling in one or two dimensions, channels last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir

from engine.native.emit import I16, Function, Val, const, f32
from engine.native.lowerings import lowering
from engine.native.lowerings.images import dense_channels_last, in_channels_last
from engine.native.writer import Use, Writer, element_strides, touching
from engine.ops.pool import window_shares
from engine.ops.windows import Window

if TYPE_CHECKING:
    from engine.plan.program import NamedStep


def as_map(array: Any) -> Any:
    """A line (N, C, L) as a map of height 1; a map as it is."""
    return array[:, :, None, :] if array.ndim == 3 else array


def as_map_window(window: Window) -> Window:
    """A window over lines as one over maps of height 1."""
    if len(window.kernel) == 2:
        return window
    return Window(
        (1, *window.kernel), (1, *window.stride), ((0, 0), *window.padding), (1, *window.dilation)
    )


@dataclass(frozen=True)
class Pooling:
    """One pooling, sizes in elements."""

    images: int
    channels: int
    height: int
    width: int
    out_height: int
    out_width: int
    window: Window

    @property
    def row(self) -> int:
        return self.width * self.channels

    @property
    def image(self) -> int:
        return self.height * self.row


def _pooling(large: Any, small: Any, window: Window) -> Pooling:
    n, c, h, width = large.shape
    out_height, out_width = small.shape[2:]
    return Pooling(n, c, h, width, out_height, out_width, window)


def _fits(step: NamedStep, *arrays: Any) -> bool:
    """One or two spatial axes, packed channels-last arrays."""
    window = step.attrs["window"]
    return (
        len(window.kernel) <= 2
        and all(d == 1 for d in window.dilation)
        and all(a.size and dense_channels_last(as_map(a)) for a in arrays)
        and step.inputs[0].dtype == np.float32
        and step.inputs[0].size > 0
    )


Tap = tuple[Callable[[Val], Val], Val]
"""Where the element of a channel lies, and its place in the window."""


def _taps(f: Function, p: Pooling, image: Val, r: Val, q: Val) -> list[Tap]:
    """The elements of a window, row by row.

    One that would lie in the padding is replaced by the nearest that does not, with that one's
    place: it changes neither which is greatest nor which comes first.
    """
    b, window = f.b, p.window
    (kh, kw), (sh, sw) = window.kernel, window.stride
    if not window.pads:
        corner = f.at(image, (r, sh * p.row), (q, sw * p.channels))

        def inside(i: int, j: int) -> Callable[[Val], Val]:
            return lambda k: f.at(corner, (i, p.row), (j, p.channels), (k, 1))

        return [(inside(i, j), ir.Constant(I16, i * kw + j)) for i in range(kh) for j in range(kw)]

    def along(number: Val, axis: int, size: int) -> list[tuple[Val, Val]]:
        start = b.sub(b.mul(number, const(window.stride[axis])), const(window.padding[axis][0]))
        found = []
        for i in range(window.kernel[axis]):
            at = b.add(start, const(i))
            at = b.select(b.icmp_signed("<", at, const(0)), const(0), at)
            at = b.select(b.icmp_signed(">", at, const(size - 1)), const(size - 1), at)
            found.append((at, b.sub(at, start)))
        return found

    columns = along(q, 1, p.width)
    taps: list[Tap] = []
    for at, i in along(r, 0, p.height):
        for spot, j in columns:
            start = f.at(image, (at, p.row), (spot, p.channels))
            place = b.trunc(b.add(b.mul(i, const(kw)), j), I16)
            taps.append((_shifted(f, start), place))
    return taps


def _shifted(f: Function, start: Val) -> Callable[[Val], Val]:
    return lambda k: f.at(start, (k, 1))


@lowering("max_pool")
def lower_max(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Greatest element and its place, the first of ties; a NaN wins and stays."""
    step = steps[0]
    if not _fits(step, *step.outputs):
        return 0
    x = in_channels_last(w, as_map(step.inputs[0]))
    y, place = (as_map(v) for v in step.outputs)
    p = _pooling(x, y, as_map_window(step.attrs["window"]))
    oh, ow, c = p.out_height, p.out_width, p.channels

    def write(f: Function, thread: Val, count: Val, px: Val, py: Val, pi: Val) -> None:
        b = f.b
        first, last = f.share(p.images * oh, thread, count)
        with f.loop(first, last, may_be_empty=True) as line:
            number, row = b.sdiv(line.index, const(oh)), b.srem(line.index, const(oh))
            image = f.at(px, (number, p.image))
            with f.loop(0, ow) as q:
                taps = _taps(f, p, image, row, q.index)
                target = f.at(py, (line.index, ow * c), (q.index, c))
                index = f.at(pi, (line.index, ow * c), (q.index, c))

                def channels(k: Val | int, lanes: int) -> None:
                    (spot, at), *others = taps
                    best = f.load(spot(k), lanes)
                    for tap, number in others:
                        value = f.load(tap(k), lanes)
                        # Unordered: true where the value is a NaN; a NaN held is kept below.
                        better = b.fcmp_unordered(">", value, best)
                        held = b.fcmp_unordered("uno", best, best)
                        better = b.and_(better, b.not_(held))
                        best = b.select(better, value, best)
                        at = b.select(better, number, at)
                    f.store(best, f.at(target, (k, 1)), lanes)
                    f.store(at, f.at(index, (k, 1)), lanes)

                f.each(c, w.lanes, channels)

    w.kernel(("max-pool", p), [x, y, place], write, touching([y, place], [x]))
    return 1


@lowering("max_pool_gradient")
def lower_max_gradient(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Each window's gradient to the place of its greatest element, and through a ReLU before."""
    step = steps[0]
    if not _fits(step, step.outputs[0], step.inputs[1]):
        return 0
    (g, place), out = (as_map(v) for v in step.inputs), as_map(step.outputs[0])
    p = _pooling(out, g, as_map_window(step.attrs["window"]))
    oh, ow, c = p.out_height, p.out_width, p.channels
    (kh, kw), (sh, sw) = p.window.kernel, p.window.stride
    gs = element_strides(g)
    apart = kh <= sh and kw <= sw and not p.window.pads
    active = _rectified(steps, step.outputs[0]) if apart else None

    def write(
        f: Function, thread: Val, count: Val, pg: Val, pi: Val, po: Val, *further: Val
    ) -> None:
        b = f.b
        first, last = f.share(p.images, thread, count)
        with f.loop(first, last, may_be_empty=True) as number:
            image = f.at(po, (number.index, p.image))
            gates = [f.at(v, (number.index, p.image)) for v in further]
            covered = apart and kh == sh and kw == sw and oh * sh == p.height and ow * sw == p.width
            if not covered:
                f.fill(image, p.image, w.lanes)
            with f.loop(0, oh) as r, f.loop(0, ow) as q:
                taps = _taps(f, p, image, r.index, q.index)
                over = [_taps(f, p, gate, r.index, q.index) for gate in gates]
                grad = f.at(pg, (number.index, gs[0]), (r.index, gs[2]), (q.index, gs[3]))
                index = f.at(pi, (number.index, oh * ow * c), (r.index, ow * c), (q.index, c))

                def channels(k: Val | int, lanes: int) -> None:
                    value = f.load(f.at(grad, (k, gs[1])), lanes)
                    at = f.load(f.at(index, (k, 1)), lanes)
                    for tap, (spot, _) in enumerate(taps):
                        # By its own number: one in the padding is nobody's place.
                        here = b.icmp_signed("==", at, ir.Constant(I16, tap))
                        part = b.select(here, value, f32(0.0))
                        for gate in over:
                            y = f.load(gate[tap][0](k), lanes)
                            open_ = b.fcmp_ordered(">", y, f32(0.0))
                            part = b.fmul(part, b.select(open_, f32(1.0), f32(0.0)))
                        if not apart:
                            part = b.fadd(f.load(spot(k), lanes), part)
                        f.store(part, spot(k), lanes)

                f.each(c, w.lanes if gs[1] == 1 or c == 1 else 1, channels)

    arrays = [g, place, out] + ([] if active is None else [active])
    w.kernel(
        ("max-pool-gradient", p, gs, active is not None),
        arrays,
        write,
        [Use(a, a is out, None) for a in arrays],
    )
    return 1 if active is None else 2


def _rectified(steps: Sequence[NamedStep], out: Any) -> Any:
    """The ReLU's output, if the next step takes the gradient through it in place; or None."""
    if len(steps) < 2 or steps[1].name != "relu_gradient":
        return None
    step = steps[1]
    g, y = step.inputs
    start = out.__array_interface__["data"][0]
    same = all(
        a.__array_interface__["data"][0] == start and a.strides == out.strides
        for a in (g, step.outputs[0])
    )
    fits = y.shape == out.shape and y.dtype == np.float32 and dense_channels_last(as_map(y))
    return as_map(y) if same and fits and y.__array_interface__["data"][0] != start else None


@lowering("average_pool", "average_pool_gradient")
def lower_average(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Mean of each window, or its gradient spread evenly."""
    step = steps[0]
    forward = step.name == "average_pool"
    if not _fits(step, step.outputs[0]):
        return 0
    given, made = in_channels_last(w, as_map(step.inputs[0])), as_map(step.outputs[0])
    large, small = (given, made) if forward else (made, given)
    window = step.attrs["window"]
    p = _pooling(large, small, as_map_window(window))
    oh, ow, c = p.out_height, p.out_width, p.channels
    (kh, kw), (sh, sw) = p.window.kernel, p.window.stride
    shares = w.scratch(oh * ow)
    spatial = (step.inputs if forward else step.outputs)[0].shape[2:]
    shares[:] = window_shares(
        spatial, window, step.attrs["count_include_pad"], np.dtype(np.float32)
    ).reshape(-1)

    def bounds(f: Function, start: Val, kernel: int, size: int) -> tuple[Val, Val]:
        """Where the part of a window that lies in the map begins, and where it ends."""
        b = f.b
        end = b.add(start, const(kernel))
        return (
            b.select(b.icmp_signed("<", start, const(0)), const(0), start),
            b.select(b.icmp_signed(">", end, const(size)), const(size), end),
        )

    def write(f: Function, thread: Val, count: Val, pl: Val, ps: Val, pn: Val) -> None:
        b = f.b
        (top, _), (left, _) = p.window.padding

        def each_tap(
            image: Val, y: Val, x: Val, k: Val | int, carry: list[Val], body: Callable[..., Any]
        ) -> list[Val]:
            if not p.window.pads:
                corner = f.at(image, (y, p.row), (x, c))
                for i in range(kh):
                    for j in range(kw):
                        carry = body(f.at(corner, (i, p.row), (j, c), (k, 1)), carry)
                return carry
            rows, columns = bounds(f, y, kh, p.height), bounds(f, x, kw, p.width)
            with f.loop(*rows, carry=carry, may_be_empty=True) as down:
                with f.loop(*columns, carry=down.carried, may_be_empty=True) as across:
                    spot = f.at(image, (down.index, p.row), (across.index, c), (k, 1))
                    across.next = body(spot, across.carried)
                down.next = across.result
            return down.result

        first, last = f.share(p.images, thread, count)
        with f.loop(first, last, may_be_empty=True) as number:
            image = f.at(pl, (number.index, p.image))
            little = f.at(ps, (number.index, oh * ow * c))
            if not forward:
                f.fill(image, p.image, w.lanes)
            with f.loop(0, oh) as r, f.loop(0, ow) as q:
                y = b.sub(b.mul(r.index, const(sh)), const(top))
                x = b.sub(b.mul(q.index, const(sw)), const(left))
                spot = f.at(little, (r.index, ow * c), (q.index, c))
                share = b.load(f.at(pn, (r.index, ow), (q.index, 1)))

                def channels(k: Val | int, lanes: int) -> None:
                    place = f.at(spot, (k, 1))
                    if forward:
                        zero = f.splat(f32(0.0), lanes) if lanes > 1 else f32(0.0)

                        def add(tap: Val, carry: list[Val]) -> list[Val]:
                            return [b.fadd(carry[0], f.load(tap, lanes))]

                        (total,) = each_tap(image, y, x, k, [zero], add)
                        f.store(b.fmul(total, share), place, lanes)
                    else:
                        part = b.fmul(f.load(place, lanes), share)

                        def spread(tap: Val, carry: list[Val]) -> list[Val]:
                            f.store(b.fadd(f.load(tap, lanes), part), tap, lanes)
                            return carry

                        each_tap(image, y, x, k, [], spread)

                f.each(c, w.lanes, channels)

    arrays = [large, small, shares]
    w.kernel(("average-pool", forward, p), arrays, write, touching([made], [given, shares]))
    return 1
