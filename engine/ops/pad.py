"""More elements around an array: a number, or its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.backend import Array
from engine.errors import EngineError, ShapeError
from engine.function import Axes, Call, Primitive, Step, apply, function, primitive
from engine.ops.reduce import broadcast_to
from engine.ops.shape import concatenate, slice_
from engine.value import Spec

MODES = ("constant", "reflect", "edge", "wrap")
"""What ``pad`` puts around."""


@primitive
class _Pad(Primitive):
    name = "pad"

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        sizes = zip(inputs[0].shape, attrs["padding"], strict=True)
        return inputs[0].with_shape(tuple(n + a + b for n, (a, b) in sizes))

    def layout(self, orders: Sequence[Axes], specs: Sequence[Spec], **attrs: Any) -> list[Axes]:
        return [orders[0]]

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        x, out, value = inputs[0], outputs[0], attrs["value"]
        inner = out[
            tuple(slice(a, a + n) for n, (a, _) in zip(x.shape, attrs["padding"], strict=True))
        ]

        def step() -> None:
            out.fill(value)
            np.copyto(inner, x)

        return step

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        shape = call.inputs[0].shape
        parts = tuple((a, a + n, 1) for n, (a, _) in zip(shape, call.attrs["padding"], strict=True))
        return (apply("slice", grads[0], parts=parts),)


@function("pad")
def pad(
    x: Any, padding: Sequence[Sequence[int]], value: float = 0.0, mode: str = "constant"
) -> Any:
    """``x`` with more around it; ``padding`` is (before, after) for each axis.

    Parameters
    ----------
    value : float
        What stands there, with the mode "constant".
    mode : str
        "constant"; "reflect" repeats backwards what lies behind the edge, "edge" the edge itself,
        and "wrap" goes on at the other end.
    """
    if mode not in MODES:
        raise EngineError(f"pad found mode={mode!r}; expected one of {', '.join(MODES)}.")
    pairs = tuple(p if isinstance(p, int) else tuple(int(n) for n in p) for p in padding)
    if len(pairs) != x.ndim or not all(isinstance(p, tuple) and len(p) == 2 for p in pairs):
        raise ShapeError(
            f"pad found padding {pairs} for shape {x.shape}; expected (before, after), "
            "none negative, for each axis."
        )
    if min((min(p) for p in pairs if isinstance(p, tuple)), default=0) < 0:
        raise ShapeError(
            f"pad found padding {pairs}; expected (before, after), none negative, for each axis."
        )
    if not any(map(any, pairs)):
        return x
    if mode == "constant":
        return apply("pad", x, padding=pairs, value=float(value))
    for axis, (before, after) in enumerate(pairs):
        x = _extended(x, axis, before, after, mode)
    return x


def _extended(x: Any, axis: int, before: int, after: int, mode: str) -> Any:
    """``x`` with some of its own elements before and after it along one axis."""
    size = x.shape[axis]
    if not before and not after:
        return x
    most = {"reflect": size - 1, "wrap": size, "edge": max(before, after) if size else 0}[mode]
    if max(before, after) > most:
        raise ShapeError(
            f"pad found padding ({before}, {after}) on axis {axis} of size {size}; expected at "
            f"most {max(most, 0)} in mode '{mode}'."
        )

    def part(start: int, stop: int, step: int = 1) -> Any:
        return slice_(x, (*(slice(None),) * axis, slice(start, stop if stop >= 0 else None, step)))

    if mode == "reflect":
        left, right = part(before, 0, -1), part(size - 2, size - 2 - after, -1)
    elif mode == "wrap":
        left, right = part(size - before, size), part(0, after)
    else:
        left, right = (
            broadcast_to(end, (*x.shape[:axis], count, *x.shape[axis + 1 :]))
            for end, count in ((part(0, 1), before), (part(size - 1, size), after))
        )
    pieces = [p for p, count in ((left, before), (x, 1), (right, after)) if count]
    return concatenate(*pieces, axis=axis)
