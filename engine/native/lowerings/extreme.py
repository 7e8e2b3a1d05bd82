"""Greatest, smallest and product over axes, in any memory order; the place of the greatest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from engine.native.emit import Function, Val, const, f32
from engine.native.loops import nest, walk
from engine.native.lowerings import lowering
from engine.native.lowerings.lines import greater, joined, smaller
from engine.native.lowerings.rows import Fold
from engine.native.writer import SMALL, Use, Writer, element_strides

if TYPE_CHECKING:
    from engine.plan.program import NamedStep


@lowering("max")
def lower_max(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Greatest element."""
    return _reduced(w, steps[0], steps[0].attrs["axes"], float("-inf"), greater)


@lowering("min")
def lower_min(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Smallest element."""
    return _reduced(w, steps[0], steps[0].attrs["axes"], float("inf"), smaller)


@lowering("prod")
def lower_prod(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Product."""
    return _reduced(w, steps[0], (steps[0].attrs["axis"],), 1.0, lambda f: f.b.fmul)


def _reduced(
    w: Writer, step: NamedStep, axes: Sequence[int], start: float, fold_of: Callable[..., Fold]
) -> int:
    """Each result by itself, or a register of them, where what stays lies fastest in memory."""
    x, out = step.inputs[0], step.outputs[0]
    if x.dtype != np.float32 or not x.size:
        return 0
    gone = sorted(a % x.ndim for a in axes)
    kept = [a for a in range(x.ndim) if a not in gone]
    firsts = x.transpose(*gone, *kept)[(0,) * len(gone)]
    results = out.reshape(firsts.shape)
    if not np.shares_memory(results, out):
        return 0
    plan = nest(firsts.shape, [results, firsts])
    inside = nest([x.shape[a] for a in gone], [x.transpose(*kept, *gone)[(0,) * len(kept)]])
    across = plan.sizes[-1] >= 4 and all(s[-1] == 1 for s in plan.strides)
    away = inside.strides[0]
    vectors = not across and away[-1] == 1 and inside.sizes[-1] >= w.lanes
    small = x.size < SMALL

    def write(f: Function, thread: Val, count: Val, px: Val, po: Val) -> None:
        fold = fold_of(f)

        def element(positions: list[Val], width: int) -> None:
            target, source = (
                f.at(p, *zip(positions, s, strict=True))
                for p, s in zip((po, px), plan.strides, strict=True)
            )
            lanes = w.lanes if vectors else width

            def over(level: int, place: Val, total: list[Val]) -> list[Val]:
                size, stride = inside.sizes[level], away[level]
                last = level == len(inside.sizes) - 1
                whole = size // w.lanes * w.lanes if last and vectors else size
                with f.loop(0, whole, w.lanes if last and vectors else 1, carry=total) as i:
                    spot = f.at(place, (i.index, stride))
                    i.next = (
                        [fold(i.carried[0], f.load(spot, lanes)), *i.carried[1:]]
                        if last
                        else over(level + 1, spot, i.carried)
                    )
                result = i.result
                if whole < size:
                    with f.loop(whole, size, carry=result) as i:
                        value = f.load(f.at(place, (i.index, stride)), 1)
                        i.next = [i.carried[0], fold(i.carried[1], value)]
                    result = i.result
                return result

            first = f32(start) if lanes == 1 else f.splat(f32(start), lanes)
            # What no whole register takes is folded into a number of its own.
            found = over(0, source, [first, f32(start)] if vectors else [first])
            value = fold(joined(f, found[0], fold), found[1]) if vectors else found[0]
            f.store(value, target, width)

        walk(f, plan.sizes, thread, count, element, lanes=w.lanes if across else 1, alone=small)

    split = "one thread" if small else None
    key = (step.name, "over-axes", plan, inside, across, vectors, small)
    w.kernel(key, [x, out], write, [Use(x, False, split), Use(out, True, split)])
    return 1


@lowering("argmax")
def lower_argmax(w: Writer, steps: Sequence[NamedStep]) -> int:
    """The first of the greatest, or the first NaN."""
    step = steps[0]
    x, out = step.inputs[0], step.outputs[0]
    if x.dtype != np.float32 or not x.size:
        return 0
    axis = step.attrs["axis"] % x.ndim
    firsts = np.moveaxis(x, axis, 0)[0]
    plan = nest(firsts.shape, [out, firsts])
    size, stride = x.shape[axis], element_strides(x)[axis]
    small = x.size < SMALL

    def write(f: Function, thread: Val, count: Val, px: Val, po: Val) -> None:
        b = f.b

        def element(positions: list[Val], _width: int) -> None:
            target, source = (
                f.at(p, *zip(positions, s, strict=True))
                for p, s in zip((po, px), plan.strides, strict=True)
            )
            begin = [b.load(source), const(0)]
            with f.loop(1, size, carry=begin, may_be_empty=True) as k:
                best, at = k.carried
                value = b.load(f.at(source, (k.index, stride)))
                held = b.fcmp_unordered("uno", best, best)
                better = b.and_(b.fcmp_unordered(">", value, best), b.not_(held))
                k.next = [b.select(better, value, best), b.select(better, k.index, at)]
            b.store(k.result[1], target)

        walk(f, plan.sizes, thread, count, element, alone=small)

    split = "one thread" if small else None
    key = ("argmax", plan, size, stride, small)
    w.kernel(key, [x, out], write, [Use(x, False, split), Use(out, True, split)])
    return 1
