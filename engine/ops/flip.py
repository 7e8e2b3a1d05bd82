"""Elements in another order along axes: reversed, or moved around."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.errors import ShapeError
from engine.function import function
from engine.ops.reduce import normalise_axes
from engine.ops.shape import concatenate, slice_


@function("flip")
def flip(x: Any, axis: int | Sequence[int]) -> Any:
    """``x`` from the last element to the first along the named axes."""
    axes = normalise_axes("flip", axis, x.ndim)
    return slice_(x, tuple(slice(None, None, -1 if i in axes else 1) for i in range(x.ndim)))


@function("roll")
def roll(x: Any, shift: int | Sequence[int], axis: int | Sequence[int]) -> Any:
    """``x`` moved on by ``shift`` places along each axis; what falls off comes in at the front."""
    shifts, axes = ((value,) if isinstance(value, int) else tuple(value) for value in (shift, axis))
    if len(shifts) != len(axes):
        raise ShapeError(
            f"roll found {len(shifts)} shifts for {len(axes)} axes; expected one for each."
        )
    for places, along in zip(shifts, axes, strict=True):
        (at,) = normalise_axes("roll", along, x.ndim)
        size = x.shape[at]
        cut = size - places % size if size else 0
        if cut != size:
            whole = (slice(None),) * at
            x = concatenate(x[(*whole, slice(cut, None))], x[(*whole, slice(0, cut))], axis=at)
    return x
