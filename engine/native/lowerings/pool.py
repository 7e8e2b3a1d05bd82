"""Max and average pooling in one, two or three dimensions, channels last.

Lines and maps are volumes of depth 1.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir

from engine.backend import address
from engine.native.emit import I16, I64, Function, Val, const, f32, widened
from engine.native.lowerings import lowering
from engine.native.lowerings.images import dense_channels_last, in_channels_last, nested
from engine.native.lowerings.lines import exceeds
from engine.native.writer import Use, Writer, element_strides, touching
from engine.ops.pool import window_shares
from engine.ops.windows import Window

if TYPE_CHECKING:
    from engine.plan.program import NamedStep


LARGEST_UNROLLED = 64
"""Elements of a window up to which each has code of its own; larger ones are walked over.

Code of thousands of elements takes seconds to compile, and hardly runs faster.
"""


def _as_volume(array: Any) -> Any:
    """(N, C, D, H, W), with sizes of 1 in the place of what it lacks."""
    missing = (None,) * (5 - array.ndim)
    return array[(slice(None), slice(None), *missing)]


def _as_volume_window(window: Window) -> Window:
    missing = 3 - len(window.kernel)
    ones = (1,) * missing
    return Window(
        (*ones, *window.kernel),
        (*ones, *window.stride),
        (*((0, 0),) * missing, *window.padding),
        (*ones, *window.dilation),
    )


@dataclass(frozen=True)
class Pooling:
    """One pooling over volumes, sizes in elements."""

    images: int
    channels: int
    size: tuple[int, ...]
    counts: tuple[int, ...]
    window: Window

    @property
    def strides(self) -> tuple[int, int, int]:
        """How far neighbours lie apart in a volume, along each axis."""
        _, h, w = self.size
        return h * w * self.channels, w * self.channels, self.channels

    @property
    def out_strides(self) -> tuple[int, int, int]:
        _, h, w = self.counts
        return h * w * self.channels, w * self.channels, self.channels

    @property
    def unrolled(self) -> bool:
        return math.prod(self.window.kernel) <= LARGEST_UNROLLED

    @property
    def image(self) -> int:
        return math.prod(self.size) * self.channels

    @property
    def out_image(self) -> int:
        return math.prod(self.counts) * self.channels


def _pooling(large: Any, small: Any, window: Window) -> Pooling:
    n, c, *size = large.shape
    return Pooling(n, c, tuple(size), small.shape[2:], _as_volume_window(window))


def _fits(step: NamedStep, *arrays: Any) -> bool:
    """Up to three spatial axes, packed channels-last arrays."""
    window = step.attrs["window"]
    return (
        len(window.kernel) <= 3
        and all(d == 1 for d in window.dilation)
        and all(a.size and dense_channels_last(a) for a in arrays)
        and step.inputs[0].dtype == np.float32
        and step.inputs[0].size > 0
    )


Tap = tuple[Callable[[Val], Val], Val]
"""Where the element of a channel lies, and its place in the window."""


def _taps(f: Function, p: Pooling, image: Val, places: Sequence[Val]) -> list[Tap]:
    """The elements of a window, row by row.

    One that would lie in the padding is replaced by the nearest that does not, with that one's
    place: it changes neither which is greatest nor which comes first.
    """
    b, window = f.b, p.window
    taps = list(itertools.product(*map(range, window.kernel)))
    if not window.pads:
        moves = [s * stride for s, stride in zip(window.stride, p.strides, strict=True)]
        corner = f.at(image, *zip(places, moves, strict=True))

        def inside(tap: Sequence[int]) -> Callable[[Val], Val]:
            return lambda k: f.at(corner, *zip(tap, p.strides, strict=True), (k, 1))

        return [(inside(tap), ir.Constant(I16, number)) for number, tap in enumerate(taps)]

    def along(number: Val, axis: int) -> list[tuple[Val, Val]]:
        size = p.size[axis]
        start = b.sub(b.mul(number, const(window.stride[axis])), const(window.padding[axis][0]))
        found = []
        for i in range(window.kernel[axis]):
            at = b.add(start, const(i))
            at = b.select(b.icmp_signed("<", at, const(0)), const(0), at)
            at = b.select(b.icmp_signed(">", at, const(size - 1)), const(size - 1), at)
            found.append((at, b.sub(at, start)))
        return found

    axes = [along(place, axis) for axis, place in enumerate(places)]
    _, kh, kw = window.kernel
    made: list[Tap] = []
    for tap in taps:
        spots = [axes[axis][i] for axis, i in enumerate(tap)]
        start = f.at(image, *((at, s) for (at, _), s in zip(spots, p.strides, strict=True)))
        plane, row, column = (place for _, place in spots)
        number = b.add(b.mul(b.add(b.mul(plane, const(kh)), row), const(kw)), column)
        made.append((_shifted(f, start), b.trunc(number, I16)))
    return made


def _corner(f: Function, p: Pooling, places: Sequence[Val]) -> list[Val]:
    """Where a window begins in the volume; in the padding, a number below 0 or beyond the end."""
    b = f.b
    return [
        b.sub(b.mul(place, const(s)), const(before))
        for place, s, (before, _) in zip(places, p.window.stride, p.window.padding, strict=True)
    ]


def _within(f: Function, value: Val, low: Val, high: Val) -> Val:
    value = f.b.select(f.b.icmp_signed("<", value, low), low, value)
    return f.b.select(f.b.icmp_signed(">", value, high), high, value)


Body = Callable[[Val, "list[Val]", "list[Val]"], "list[Val]"]
"""What is done at an element of a window: where its first channel lies, its place in the volume
along each axis, and what is carried from one element to the next."""


def _over_window(
    f: Function, p: Pooling, image: Val, corner: Sequence[Val], carry: list[Val], body: Body
) -> list[Val]:
    """Walk over the elements of a window that lie in the volume; what is carried at the end."""

    def over(axis: int, spot: Val, places: list[Val], carry: list[Val]) -> list[Val]:
        if axis == len(corner):
            return body(spot, places, carry)
        first, size = corner[axis], const(p.size[axis])
        last = _within(f, f.b.add(first, const(p.window.kernel[axis])), const(0), size)
        first = _within(f, first, const(0), size)
        with f.loop(first, last, carry=carry, may_be_empty=True) as i:
            further = f.at(spot, (i.index, p.strides[axis]))
            i.next = over(axis + 1, further, [*places, i.index], i.carried)
        return i.result

    return over(0, image, [], carry)


def _number(f: Function, p: Pooling, corner: Sequence[Val], places: Sequence[Val]) -> Val:
    """The place of an element in its window, counted row by row."""
    b = f.b
    number = const(0)
    for at, start, size in zip(places, corner, p.window.kernel, strict=True):
        number = b.add(b.mul(number, const(size)), b.sub(at, start))
    return b.trunc(number, I16)


def _place(f: Function, p: Pooling, image: Val, corner: Sequence[Val], number: Val) -> Val:
    """Where the element with that number lies: the reverse of ``_number``."""
    b = f.b
    rest, terms = b.zext(number, I64), []
    for start, size, stride in reversed(list(zip(corner, p.window.kernel, p.strides, strict=True))):
        terms.append((b.add(start, b.srem(rest, const(size))), stride))
        rest = b.sdiv(rest, const(size))
    return f.at(image, *terms)


def _shifted(f: Function, start: Val) -> Callable[[Val], Val]:
    return lambda k: f.at(start, (k, 1))


@lowering("max_pool")
def lower_max(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Greatest element and its place, the first of ties; a NaN wins and stays."""
    step = steps[0]
    if not _fits(step, *step.outputs):
        return 0
    x = _as_volume(in_channels_last(w, step.inputs[0]))
    y, place = (_as_volume(v) for v in step.outputs)
    p = _pooling(x, y, step.attrs["window"])
    (od, oh, ow), c = p.counts, p.channels

    def write(f: Function, thread: Val, count: Val, px: Val, py: Val, pi: Val) -> None:
        b = f.b
        first, last = f.share(p.images * od * oh, thread, count)
        with f.loop(first, last, may_be_empty=True) as line:
            planes, row = b.sdiv(line.index, const(oh)), b.srem(line.index, const(oh))
            number, plane = b.sdiv(planes, const(od)), b.srem(planes, const(od))
            image = f.at(px, (number, p.image))
            with f.loop(0, ow) as q:
                places = [plane, row, q.index]
                corner = _corner(f, p, places)
                taps = _taps(f, p, image, places) if p.unrolled else []
                target = f.at(py, (line.index, ow * c), (q.index, c))
                index = f.at(pi, (line.index, ow * c), (q.index, c))

                def unrolled(k: Val | int, lanes: int) -> tuple[Val, Val]:
                    (spot, at), *others = taps
                    best = f.load(spot(k), lanes)
                    for tap, number in others:
                        value = f.load(tap(k), lanes)
                        better = exceeds(f, value, best)
                        best = b.select(better, value, best)
                        at = b.select(better, number, at)
                    return best, at

                def walked(k: Val | int, lanes: int) -> tuple[Val, Val]:
                    nearest = [
                        _within(f, at, const(0), const(n - 1))
                        for at, n in zip(corner, p.size, strict=True)
                    ]
                    start = f.at(image, *zip(nearest, p.strides, strict=True), (k, 1))
                    at = _number(f, p, corner, nearest)

                    def compare(spot: Val, places: list[Val], carry: list[Val]) -> list[Val]:
                        value = f.load(f.at(spot, (k, 1)), lanes)
                        better = exceeds(f, value, carry[0])
                        number = _number(f, p, corner, places)
                        return [
                            b.select(better, value, carry[0]),
                            b.select(better, number, carry[1]),
                        ]

                    first = [f.load(start, lanes), widened(b, at, lanes) if lanes > 1 else at]
                    best, at = _over_window(f, p, image, corner, first, compare)
                    return best, at

                def channels(k: Val | int, lanes: int) -> None:
                    best, at = unrolled(k, lanes) if p.unrolled else walked(k, lanes)
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
    (g, place), out = (_as_volume(v) for v in step.inputs), _as_volume(step.outputs[0])
    p = _pooling(out, g, step.attrs["window"])
    c, pairs = p.channels, list(zip(p.window.kernel, p.window.stride, strict=True))
    gs = element_strides(g)
    own = (gs[0], *gs[2:])
    apart = all(k <= s for k, s in pairs) and not p.window.pads
    active = _rectified(steps, step.outputs[0]) if apart else None

    def write(
        f: Function, thread: Val, count: Val, pg: Val, pi: Val, po: Val, *further: Val
    ) -> None:
        b = f.b
        first, last = f.share(p.images, thread, count)
        with f.loop(first, last, may_be_empty=True) as number:
            image = f.at(po, (number.index, p.image))
            gates = [f.at(v, (number.index, p.image)) for v in further]
            covered = (
                p.unrolled
                and apart
                and all(
                    k == s and n * s == size
                    for (k, s), n, size in zip(pairs, p.counts, p.size, strict=True)
                )
            )
            if not covered:
                f.fill(image, p.image, w.lanes)
            with nested(f, p.counts) as places:
                corner = _corner(f, p, places)
                taps = _taps(f, p, image, places) if p.unrolled else []
                over = [_taps(f, p, gate, places) for gate in gates] if p.unrolled else []
                grad = f.at(pg, *zip([number.index, *places], own, strict=True))
                index = f.at(
                    pi, (number.index, p.out_image), *zip(places, p.out_strides, strict=True)
                )

                def alone(k: Val | int, _lanes: int) -> None:
                    """One channel to the one place that it concerns."""
                    value, number = b.load(f.at(grad, (k, gs[1]))), b.load(f.at(index, (k, 1)))
                    for gate in gates:
                        y = b.load(f.at(_place(f, p, gate, corner, number), (k, 1)))
                        share = b.select(b.fcmp_ordered(">", y, f32(0.0)), f32(1.0), f32(0.0))
                        value = b.fmul(value, share)
                    spot = f.at(_place(f, p, image, corner, number), (k, 1))
                    b.store(b.fadd(b.load(spot), value), spot)

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

                if p.unrolled:
                    f.each(c, w.lanes if gs[1] == 1 or c == 1 else 1, channels)
                else:
                    f.each(c, 1, alone)

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
    start = address(out)
    same = all(address(a) == start and a.strides == out.strides for a in (g, step.outputs[0]))
    fits = y.shape == out.shape and y.dtype == np.float32 and dense_channels_last(y)
    return _as_volume(y) if same and fits and address(y) != start else None


@lowering("average_pool", "average_pool_gradient")
def lower_average(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Mean of each window, or its gradient spread evenly."""
    step = steps[0]
    forward = step.name == "average_pool"
    if not _fits(step, step.outputs[0]):
        return 0
    given, made = in_channels_last(w, step.inputs[0]), step.outputs[0]
    given, made = _as_volume(given), _as_volume(made)
    large, small = (given, made) if forward else (made, given)
    window = step.attrs["window"]
    p = _pooling(large, small, window)
    c = p.channels
    shares = w.kept(math.prod(p.counts))
    spatial = (step.inputs if forward else step.outputs)[0].shape[2:]
    counted = step.attrs["counted"]
    shares[:] = window_shares(spatial, window, counted, np.dtype(np.float32)).reshape(-1)

    def write(f: Function, thread: Val, count: Val, pl: Val, ps: Val, pn: Val) -> None:
        b = f.b

        def each_tap(
            image: Val,
            corner: Sequence[Val],
            k: Val | int,
            carry: list[Val],
            body: Callable[[Val, list[Val]], list[Val]],
        ) -> list[Val]:
            if p.window.pads or not p.unrolled:
                return _over_window(
                    f, p, image, corner, carry, lambda spot, _, kept: body(f.at(spot, (k, 1)), kept)
                )
            start = f.at(image, *zip(corner, p.strides, strict=True))
            for tap in itertools.product(*map(range, p.window.kernel)):
                carry = body(f.at(start, *zip(tap, p.strides, strict=True), (k, 1)), carry)
            return carry

        first, last = f.share(p.images, thread, count)
        with f.loop(first, last, may_be_empty=True) as number:
            image = f.at(pl, (number.index, p.image))
            little = f.at(ps, (number.index, p.out_image))
            if not forward:
                f.fill(image, p.image, w.lanes)
            with nested(f, p.counts) as places:
                corner = _corner(f, p, places)
                spot = f.at(little, *zip(places, p.out_strides, strict=True))
                counts = [s // c for s in p.out_strides]
                share = b.load(f.at(pn, *zip(places, counts, strict=True)))

                def channels(k: Val | int, lanes: int) -> None:
                    place = f.at(spot, (k, 1))
                    if forward:
                        zero = f.splat(f32(0.0), lanes) if lanes > 1 else f32(0.0)

                        def add(tap: Val, carry: list[Val]) -> list[Val]:
                            return [b.fadd(carry[0], f.load(tap, lanes))]

                        (total,) = each_tap(image, corner, k, [zero], add)
                        f.store(b.fmul(total, share), place, lanes)
                    else:
                        part = b.fmul(f.load(place, lanes), share)

                        def spread(tap: Val, carry: list[Val]) -> list[Val]:
                            f.store(b.fadd(f.load(tap, lanes), part), tap, lanes)
                            return carry

                        each_tap(image, corner, k, [], spread)

                f.each(c, w.lanes, channels)

    arrays = [large, small, shares]
    w.kernel(("average-pool", forward, p), arrays, write, touching([made], [given, shares]))
    return 1
