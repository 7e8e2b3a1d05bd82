"""Softmax and log-softmax along an axis, with the greatest input subtracted first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from engine.backend import Array
from engine.errors import ShapeError
from engine.function import Axes, Call, Primitive, Step, apply, function, lift, primitive
from engine.ops.reduce import normalise_axes, reduced_shape
from engine.value import Spec, require_float


class _AlongAxis(Primitive):
    """A primitive that normalises along one axis and keeps shape and memory order."""

    inplace: ClassVar[tuple[int, ...]] = (0,)
    uses_outputs = True

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        require_float(self.name, inputs[0])
        if not inputs[0].shape[attrs["axis"]]:
            raise ShapeError(
                f"{self.name} found shape {inputs[0].shape}; expected at least one element along "
                f"axis {attrs['axis']}."
            )
        return inputs[0]

    def layout(self, orders: Sequence[Axes], specs: Sequence[Spec], **attrs: Any) -> list[Axes]:
        return [orders[0]]

    def scratch(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        return (inputs[0].with_shape(reduced_shape(inputs[0].shape, (attrs["axis"],), True)),)


@primitive
class _Softmax(_AlongAxis):
    name = "softmax"

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        x, out, row, axis = inputs[0], outputs[0], scratch[0], attrs["axis"]

        def step() -> None:
            np.max(x, axis=axis, keepdims=True, out=row)
            np.subtract(x, row, out=out)
            np.exp(out, out=out)
            np.sum(out, axis=axis, keepdims=True, out=row)
            np.divide(out, row, out=out)

        return step

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        return (apply("softmax_gradient", grads[0], call.outputs[0], axis=call.attrs["axis"]),)


@primitive
class _SoftmaxGradient(_AlongAxis):
    """``y * (g - sum(g * y))``."""

    name = "softmax_gradient"
    inplace = ()

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        (g, y), out, row, axis = inputs, outputs[0], scratch[0], attrs["axis"]

        def step() -> None:
            np.multiply(g, y, out=out)
            np.sum(out, axis=axis, keepdims=True, out=row)
            np.subtract(g, row, out=out)
            np.multiply(out, y, out=out)

        return step

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        (g, y), u, axis = call.inputs, grads[0], call.attrs["axis"]
        total = apply("sum", g * y, axes=(axis,), keepdims=True)
        inner = apply("sum", u * y, axes=(axis,), keepdims=True)
        return y * (u - inner), u * (g - total) - g * inner


@primitive
class _LogSoftmax(_AlongAxis):
    name = "log_softmax"
    inplace = ()

    def scratch(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        return (*super().scratch(*inputs, **attrs), inputs[0])

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        x, out, row, wide, axis = inputs[0], outputs[0], scratch[0], scratch[1], attrs["axis"]

        def step() -> None:
            np.max(x, axis=axis, keepdims=True, out=row)
            np.subtract(x, row, out=out)
            np.exp(out, out=wide)
            np.sum(wide, axis=axis, keepdims=True, out=row)
            np.log(row, out=row)
            np.subtract(out, row, out=out)

        return step

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        g, y, axis = grads[0], call.outputs[0], call.attrs["axis"]
        return (g - apply("exp", y) * apply("sum", g, axes=(axis,), keepdims=True),)


@function("softmax")
def softmax(x: Any, axis: int = -1) -> Any:
    """``e^x`` divided by its sum along ``axis``."""
    return apply("softmax", x, axis=normalise_axes("softmax", axis, x.ndim)[0])


@function("log_softmax")
def log_softmax(x: Any, axis: int = -1) -> Any:
    """Logarithm of the softmax, exact where the softmax itself underflows."""
    return apply("log_softmax", x, axis=normalise_axes("log_softmax", axis, x.ndim)[0])


@function("logsumexp")
def logsumexp(x: Any, axis: int | Sequence[int] | None = -1, keepdims: bool = False) -> Any:
    """``log(sum(e^x))`` over ``axis`` (all axes for None), without overflow."""
    require_float("logsumexp", x.spec)
    axes = normalise_axes("logsumexp", axis, x.ndim)
    if any(x.shape[a] == 0 for a in axes):
        raise ShapeError(f"logsumexp found shape {x.shape}; expected at least one element to add.")
    if not axes:
        return x
    peak = apply("stop_gradient", apply("max", x, axes=axes, keepdims=True))
    # A row of -inf has peak -inf: subtracting it would make NaN.
    peak = apply("clip", peak, low=-3.0e38, high=3.0e38)
    total = apply("sum", apply("exp", x - peak), axes=axes, keepdims=True)
    # Its logarithm is -inf, and its slopes are 0: 1 in the place of 0 keeps them finite.
    empty = apply("equal", *lift(total, 0.0))
    total = apply("log", apply("where", empty, *lift(1.0, total))) + peak
    total = apply("where", empty, *lift(-math.inf, total))
    return total if keepdims else total.reshape(reduced_shape(x.shape, axes, False))
