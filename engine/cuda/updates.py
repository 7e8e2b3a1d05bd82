"""The optimiser's step on the GPU: one launch over all weights, after those that find a norm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.backend import Array
from engine.cuda.emit import DeviceFunction
from engine.cuda.sums import DOUBLE, add_up
from engine.cuda.writer import DeviceWriter, outline
from engine.native.emit import Function, Val, f32
from engine.native.loops import elementwise
from engine.native.updates import Limits, form_of, limited, norm_scale
from engine.optim.base import Optimizer


def lower_update(
    w: DeviceWriter,
    optimizer: Optimizer,
    weights: Array,
    gradients: Array,
    state: Mapping[str, Array],
    numbers: Sequence[Array],
    limits: Limits,
    norm: Array,
) -> bool:
    """Write the step; False if this optimiser has no native form, or nothing to do.

    What never changes is part of the code.

    Parameters
    ----------
    numbers : arrays without axes
        Those of the step that is due when it runs.
    limits : (float or None, float or None)
        Greatest norm of all gradients together, and greatest size of each.
    norm : float64 ()
        Where that norm, as it was before, is written if it is limited.
    """
    form = form_of(optimizer)
    if form is None or not weights.size:
        return False
    max_norm, max_value = limits
    gradient = outline(gradients)
    scale = [] if max_norm is None else [_scale(w, gradient, max_norm, outline(norm))]
    kept = [outline(state[name]) for name in optimizer.state_names]
    constants = [f32(c) for c in form.constants]
    outputs = [outline(weights), *kept]
    inputs = [outputs[0], gradient, *scale, *kept, *map(outline, numbers)]

    def body(f: Function, p: Val, g: Val, *rest: Val) -> list[Val]:
        more = list(rest)
        g = limited(f, g, more.pop(0) if scale else None, max_value)
        return form.rule(f, p, g, more[: len(kept)], [*more[len(kept) :], *constants])

    key = (*form.key, form.constants, bool(scale), max_value)
    elementwise(w, key, weights.shape, outputs, inputs, body)
    return True


def _scale(w: DeviceWriter, gradients: Any, max_norm: float, norm: Any) -> Any:
    """``norm_scale`` of the gradients' norm: (1,)."""

    def terms(f: DeviceFunction, i: Val, pg: Val) -> list[Val]:
        value = f.b.fpext(f.b.load(f.at(pg, (i, 1))), DOUBLE)
        return [f.b.fmul(value, value)]

    def root(f: DeviceFunction, po: Val, totals: list[Val]) -> None:
        f.b.store(f.intrinsic("sqrt", totals[0]), po)

    add_up(w, ("norm",), gradients.size, [gradients], terms, norm, root, 1)
    scale = w.scratch(1)

    def body(f: Function, found: Val) -> list[Val]:
        return [norm_scale(f, found, max_norm)]

    elementwise(w, ("norm-scale", max_norm), (1,), [scale], [norm], body)
    return scale
