"""Elements by size: places in order, sorted values, and the greatest few."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.backend import Array, array_module
from engine.errors import ShapeError
from engine.function import Primitive, Step, apply, function, primitive
from engine.ops.reduce import normalise_axes
from engine.value import Spec

ROOM = 1 << 14
"""Elements that are put in order at a time: neither NumPy nor CuPy sorts into a given array."""


@primitive
class _Argsort(Primitive):
    """Places of the first ``count`` elements in order; of equal ones the first comes first."""

    name = "argsort"
    passes_gradient = False

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        shape = list(inputs[0].shape)
        shape[attrs["axis"]] = attrs["count"]
        return Spec(tuple(shape), np.dtype(np.int64))

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        axis, count, descending = attrs["axis"], attrs["count"], attrs["descending"]
        xp, size = array_module(inputs[0]), inputs[0].shape[axis]
        x, out = (np.moveaxis(a, axis, -1) for a in (inputs[0], outputs[0]))
        if x.ndim == 1:
            x, out = x[None], out[None]
        rows = max(ROOM * len(x) // max(x.size, 1), 1)

        def step() -> None:
            for start in range(0, len(x), rows):
                part = x[start : start + rows]
                # The last of the reversed is the first: so equal ones keep their order.
                order = xp.argsort(part[..., ::-1] if descending else part, -1, kind="stable")
                if descending:
                    order = size - 1 - order[..., ::-1]
                out[start : start + rows] = order[..., :count]

        return step


def _argsort(what: str, x: Any, axis: int, descending: bool, count: int | None = None) -> Any:
    at = normalise_axes(what, axis, x.ndim)[0]
    count = x.shape[at] if count is None else count
    if isinstance(count, bool) or not isinstance(count, int) or not 0 < count <= x.shape[at]:
        raise ShapeError(
            f"{what} found k={count} for axis {at} of {x.shape}; expected a whole number from 1 to "
            f"{x.shape[at]}."
        )
    return apply("argsort", x, axis=at, descending=bool(descending), count=count), at


@function("argsort")
def argsort(x: Any, axis: int = -1, descending: bool = False) -> Any:
    """Places of the elements along ``axis`` in order of size, int64; equal ones keep their order.

    What is not a number counts as greater than all numbers.
    """
    return _argsort("argsort", x, axis, descending)[0]


@function("sort")
def sort(x: Any, axis: int = -1, descending: bool = False) -> Any:
    """The elements along ``axis`` in order of size."""
    places, at = _argsort("sort", x, axis, descending)
    return apply("gather", x, places, axis=at)


@function("topk")
def topk(x: Any, k: int, axis: int = -1, largest: bool = True) -> Any:
    """The ``k`` greatest elements along ``axis``, greatest first, and their places (int64).

    Parameters
    ----------
    largest : bool
        False gives the smallest, smallest first.
    """
    places, at = _argsort("topk", x, axis, largest, k)
    return apply("gather", x, places, axis=at), places
