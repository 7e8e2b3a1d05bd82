"""The optimiser's step as one launch over all weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.backend import Array
from engine.cuda.writer import DeviceWriter, outline
from engine.native.emit import Function, Val, f32
from engine.native.loops import elementwise
from engine.native.updates import form_of
from engine.optim.base import Optimizer


def lower_update(
    w: DeviceWriter,
    optimizer: Optimizer,
    weights: Array,
    gradients: Array,
    state: Mapping[str, Array],
    numbers: Sequence[Array],
) -> bool:
    """Write the step; False if this optimiser has no native form, or nothing to do.

    ``numbers`` are read when it runs; what never changes is part of the code.
    """
    form = form_of(optimizer)
    if form is None or not weights.size:
        return False
    kept = [outline(state[name]) for name in optimizer.state_names]
    constants = [f32(c) for c in form.constants]
    outputs = [outline(weights), *kept]
    inputs = [outputs[0], outline(gradients), *kept, *map(outline, numbers)]

    def body(f: Function, p: Val, g: Val, *rest: Val) -> list[Val]:
        return form.rule(f, p, g, list(rest[: len(kept)]), [*rest[len(kept) :], *constants])

    elementwise(w, (*form.key, form.constants), weights.shape, outputs, inputs, body)
    return True
