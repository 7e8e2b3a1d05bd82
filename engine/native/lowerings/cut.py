"""Slices and their gradients: copies between parts of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from engine.native.emit import f32
from engine.native.loops import copied, elementwise
from engine.native.lowerings import lowering
from engine.native.writer import POINTERS, Writer

if TYPE_CHECKING:
    from engine.plan.program import NamedStep


@lowering("transpose", "slice", "split")
def lower_view(w: Writer, steps: Sequence[NamedStep]) -> int:
    """A copy in another order: where the plan could not make it a view."""
    step = steps[0]
    x = step.inputs[0]
    if x.dtype.name not in POINTERS or not x.size:
        return 0
    views = step.primitive.views(x, **step.attrs)  # type: ignore[attr-defined]
    for y, seen in zip(step.outputs, views, strict=True):
        if y.size:
            copied(w, y, seen)
    return 1


@lowering("slice_gradient")
def lower_slice_gradient(w: Writer, steps: Sequence[NamedStep]) -> int:
    """The gradient where the slice was taken, 0 elsewhere."""
    step = steps[0]
    g, out = step.inputs[0], step.outputs[0]
    if g.dtype != np.float32 or not g.size:
        return 0
    part = out[tuple(slice(a, None if b < 0 else b, c) for a, b, c in step.attrs["parts"])]
    if part.size < out.size:
        elementwise(w, ("zero",), out.shape, [out], [], lambda f: [f32(0.0)])
    copied(w, part, g)
    return 1


@lowering("pad")
def lower_pad(w: Writer, steps: Sequence[NamedStep]) -> int:
    """The value everywhere, then the operand inside."""
    step = steps[0]
    x, out, value = step.inputs[0], step.outputs[0], step.attrs["value"]
    if x.dtype != np.float32 or not out.size:
        return 0
    sizes = zip(x.shape, step.attrs["padding"], strict=True)
    part = out[tuple(slice(a, a + n) for n, (a, _) in sizes)]
    elementwise(w, ("value", value), out.shape, [out], [], lambda f: [f32(value)])
    if x.size:
        copied(w, part, x)
    return 1


@lowering("concatenate")
def lower_concatenate(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Each operand copied to its place."""
    step = steps[0]
    out, axis = step.outputs[0], step.attrs["axis"]
    if out.dtype.name not in POINTERS or not out.size:
        return 0
    start = 0
    for x in step.inputs:
        stop = start + x.shape[axis]
        part = out[(slice(None),) * (axis % out.ndim) + (slice(start, stop),)]
        if x.size:
            copied(w, part, x)
        start = stop
    return 1
