"""Max and average pooling in two dimensions, channels last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir

from engine.native.emit import I16, Function, Val, const, f32
from engine.native.lowerings import lowering
from engine.native.lowerings.images import dense_channels_last, in_channels_last
from engine.native.writer import Use, Writer

if TYPE_CHECKING:
    from engine.plan.program import NamedStep


def _simple(step: NamedStep, *arrays: Any) -> bool:
    """Two spatial axes, no padding, packed channels-last arrays."""
    window = step.attrs["window"]
    return (
        len(window.kernel) == 2
        and not window.pads
        and window.dilation == (1, 1)
        and all(a.ndim == 4 and a.size and dense_channels_last(a) for a in arrays)
        and arrays[0].dtype == np.float32
    )


@lowering("max_pool")
def lower_max(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Greatest element and its place, the first of ties; a NaN wins and stays."""
    step = steps[0]
    x, (y, place) = step.inputs[0], step.outputs
    if not _simple(step, y, place) or x.dtype != np.float32:
        return 0
    x = in_channels_last(w, x)
    n, c, h, width = x.shape
    oh, ow = y.shape[2:]
    (kh, kw), (sh, sw) = step.attrs["window"].kernel, step.attrs["window"].stride

    def write(f: Function, thread: Val, count: Val, px: Val, py: Val, pi: Val) -> None:
        b = f.b
        first, last = f.share(n * oh, thread, count)
        with f.loop(first, last, may_be_empty=True) as line:
            image, row = b.sdiv(line.index, const(oh)), b.srem(line.index, const(oh))
            source = f.at(px, (image, h * width * c), (row, sh * width * c))
            with f.loop(0, ow) as q:
                corner = f.at(source, (q.index, sw * c))
                target = f.at(py, (line.index, ow * c), (q.index, c))
                index = f.at(pi, (line.index, ow * c), (q.index, c))

                def channels(k: Val | int, lanes: int) -> None:
                    best = f.load(f.at(corner, (k, 1)), lanes)
                    at: Val = ir.Constant(I16, 0)
                    for tap in range(1, kh * kw):
                        i, j = divmod(tap, kw)
                        value = f.load(f.at(corner, (i, width * c), (j, c), (k, 1)), lanes)
                        # Unordered: true where the value is a NaN; a NaN held is kept below.
                        better = b.fcmp_unordered(">", value, best)
                        held = b.fcmp_unordered("uno", best, best)
                        better = b.and_(better, b.not_(held))
                        best = b.select(better, value, best)
                        at = b.select(better, ir.Constant(I16, tap), at)
                    f.store(best, f.at(target, (k, 1)), lanes)
                    f.store(at, f.at(index, (k, 1)), lanes)

                f.each(c, w.lanes, channels)

    w.kernel(
        ("max-pool", x.shape, y.shape, kh, kw, sh, sw),
        [x, y, place],
        write,
        [Use(x, False, None), Use(y, True, None), Use(place, True, None)],
    )
    return 1


@lowering("max_pool_gradient")
def lower_max_gradient(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Each window's gradient to the place of its greatest element, and through a ReLU before."""
    step = steps[0]
    (g, place), out = step.inputs, step.outputs[0]
    if not _simple(step, out, place) or g.dtype != np.float32:
        return 0
    n, c, h, width = out.shape
    oh, ow = g.shape[2:]
    (kh, kw), (sh, sw) = step.attrs["window"].kernel, step.attrs["window"].stride
    gs = tuple(s // 4 for s in g.strides)
    apart = kh <= sh and kw <= sw
    active = _rectified(steps, out) if apart else None

    def write(
        f: Function, thread: Val, count: Val, pg: Val, pi: Val, po: Val, *further: Val
    ) -> None:
        b = f.b
        first, last = f.share(n, thread, count)
        with f.loop(first, last, may_be_empty=True) as image:
            target = f.at(po, (image.index, h * width * c))
            gates = [f.at(p, (image.index, h * width * c)) for p in further]
            covered = apart and kh == sh and kw == sw and oh * sh == h and ow * sw == width
            if not covered:
                f.fill(target, h * width * c, w.lanes)
            with f.loop(0, oh) as r, f.loop(0, ow) as q:
                corner = f.at(target, (r.index, sh * width * c), (q.index, sw * c))
                grad = f.at(pg, (image.index, gs[0]), (r.index, gs[2]), (q.index, gs[3]))
                index = f.at(pi, (image.index, oh * ow * c), (r.index, ow * c), (q.index, c))

                def channels(k: Val | int, lanes: int) -> None:
                    value = f.load(f.at(grad, (k, gs[1])), lanes)
                    at = f.load(f.at(index, (k, 1)), lanes)
                    for tap in range(kh * kw):
                        i, j = divmod(tap, kw)
                        here = b.icmp_signed("==", at, ir.Constant(I16, tap))
                        part = b.select(here, value, f32(0.0))
                        spot = f.at(corner, (i, width * c), (j, c), (k, 1))
                        for gate in gates:
                            cell = f.at(gate, (r.index, sh * width * c), (q.index, sw * c))
                            y = f.load(f.at(cell, (i, width * c), (j, c), (k, 1)), lanes)
                            open_ = b.fcmp_ordered(">", y, f32(0.0))
                            part = b.fmul(part, b.select(open_, f32(1.0), f32(0.0)))
                        if not apart:
                            part = b.fadd(f.load(spot, lanes), part)
                        f.store(part, spot, lanes)

                f.each(c, w.lanes if gs[1] == 1 or c == 1 else 1, channels)

    arrays = [g, place, out] + ([] if active is None else [active])
    w.kernel(
        ("max-pool-gradient", out.shape, g.shape, gs, kh, kw, sh, sw, active is not None),
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
    fits = y.shape == out.shape and y.dtype == np.float32 and dense_channels_last(y)
    return y if same and fits and y.__array_interface__["data"][0] != start else None


@lowering("average_pool", "average_pool_gradient")
def lower_average(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Mean of each window, or its gradient spread evenly."""
    step = steps[0]
    forward = step.name == "average_pool"
    large, small = (
        (step.inputs[0], step.outputs[0]) if forward else (step.outputs[0], step.inputs[0])
    )
    target = small if forward else large
    if not _simple(step, target) or step.inputs[0].dtype != np.float32:
        return 0
    if forward:
        large = in_channels_last(w, large)
    else:
        small = in_channels_last(w, small)
    n, c, h, width = large.shape
    oh, ow = small.shape[2:]
    (kh, kw), (sh, sw) = step.attrs["window"].kernel, step.attrs["window"].stride
    share = f32(1.0 / (kh * kw))

    def write(f: Function, thread: Val, count: Val, pl: Val, ps: Val) -> None:
        b = f.b
        first, last = f.share(n, thread, count)
        with f.loop(first, last, may_be_empty=True) as image:
            big = f.at(pl, (image.index, h * width * c))
            little = f.at(ps, (image.index, oh * ow * c))
            if not forward:
                f.fill(big, h * width * c, w.lanes)
            with f.loop(0, oh) as r, f.loop(0, ow) as q:
                corner = f.at(big, (r.index, sh * width * c), (q.index, sw * c))
                spot = f.at(little, (r.index, ow * c), (q.index, c))

                def channels(k: Val | int, lanes: int) -> None:
                    taps = [
                        f.at(corner, (i, width * c), (j, c), (k, 1))
                        for i in range(kh)
                        for j in range(kw)
                    ]
                    if forward:
                        total = f.load(taps[0], lanes)
                        for tap in taps[1:]:
                            total = b.fadd(total, f.load(tap, lanes))
                        f.store(b.fmul(total, share), f.at(spot, (k, 1)), lanes)
                    else:
                        part = b.fmul(f.load(f.at(spot, (k, 1)), lanes), share)
                        for tap in taps:
                            f.store(b.fadd(f.load(tap, lanes), part), tap, lanes)

                f.each(c, w.lanes, channels)

    w.kernel(
        ("average-pool", forward, large.shape, small.shape, kh, kw, sh, sw),
        [large, small],
        write,
        [Use(large, not forward, None), Use(small, forward, None)],
    )
    return 1
