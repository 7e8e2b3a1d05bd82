"""Greatest, smallest and product over axes, in any memory order; the place of the greatest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from engine.native.emit import Fold, Function, Val, const, f32
from engine.native.loops import nest
from engine.native.lowerings import lowering
from engine.native.lowerings.lines import exceeds, greater, joined, smaller
from engine.native.writer import SMALL, Use, Writer, element_strides

if TYPE_CHECKING:
    from engine.plan.program import NamedStep


@lowering("max")
def lower_max(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Greatest element."""
    return reduced(w, steps[0], steps[0].attrs["axes"], float("-inf"), greater)


@lowering("min")
def lower_min(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Smallest element."""
    return reduced(w, steps[0], steps[0].attrs["axes"], float("inf"), smaller)


@lowering("prod")
def lower_prod(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Product."""
    return reduced(w, steps[0], (steps[0].attrs["axis"],), 1.0, lambda f: f.b.fmul)


def reduced(
    w: Writer, step: NamedStep, axes: Sequence[int], start: float, fold_of: Callable[..., Fold]
) -> int:
    """Each result by itself, or a register of them, where what stays lies fastest in memory.

    Every axis is folded by itself and then into the next: the error of a sum stays small.
    """
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

            first = f32(start) if lanes == 1 else f.splat(f32(start), lanes)
            # What no whole register takes is folded into a number of its own.
            begin = [first, f32(start)] if vectors else [first]

            def over(level: int, place: Val) -> list[Val]:
                size, stride = inside.sizes[level], away[level]
                if level < len(inside.sizes) - 1:
                    with f.loop(0, size, carry=begin) as i:
                        found = over(level + 1, f.at(place, (i.index, stride)))
                        i.next = [fold(a, v) for a, v in zip(i.carried, found, strict=True)]
                    return i.result
                whole = size // w.lanes * w.lanes if vectors else size
                with f.loop(0, whole, w.lanes if vectors else 1, carry=begin[:1]) as i:
                    i.next = [fold(i.carried[0], f.load(f.at(place, (i.index, stride)), lanes))]
                result = [*i.result, *begin[1:]]
                if whole < size:
                    with f.loop(whole, size, carry=result[1:]) as i:
                        i.next = [fold(i.carried[0], f.load(f.at(place, (i.index, stride)), 1))]
                    result[1:] = i.result
                return result

            found = over(0, source)
            value = fold(joined(f, found[0], fold), found[1]) if vectors else found[0]
            f.store(value, target, width)

        f.walk(plan.sizes, thread, count, element, lanes=w.lanes if across else 1, alone=small)

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
                better = exceeds(f, value, best)
                k.next = [b.select(better, value, best), b.select(better, k.index, at)]
            b.store(k.result[1], target)

        f.walk(plan.sizes, thread, count, element, alone=small)

    split = "one thread" if small else None
    key = ("argmax", plan, size, stride, small)
    w.kernel(key, [x, out], write, [Use(x, False, split), Use(out, True, split)])
    return 1
