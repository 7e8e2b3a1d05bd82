"""Rectifiers: relu, leaky_relu and elu, which keep positive inputs and damp the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.backend import Array
from engine.function import Call, Step, apply, function, lift, primitive
from engine.ops.elementwise import Elementwise
from engine.value import setting


@primitive
class _Relu(Elementwise):
    name = "relu"
    inplace = (0,)
    uses_outputs = True

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        x, out = inputs[0], outputs[0]
        return lambda: np.maximum(x, 0, out=out)

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        return (apply("relu_gradient", grads[0], call.outputs[0]),)


@primitive
class _ReluGradient(Elementwise):
    """The gradient where the output is positive, else 0."""

    name = "relu_gradient"
    num_scratch = 1

    def compute(self, out: Array, scratch: Sequence[Array], *inputs: Array, **attrs: Any) -> None:
        g, y = inputs
        np.greater(y, 0, out=scratch[0])
        np.multiply(g, scratch[0], out=out)

    inplace = (0,)

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        return apply("relu_gradient", grads[0], call.inputs[1]), None


@primitive
class _LeakyRelu(Elementwise):
    name = "leaky_relu"
    num_scratch = 1

    def compute(self, out: Array, scratch: Sequence[Array], *inputs: Array, **attrs: Any) -> None:
        x = inputs[0]
        np.minimum(x, 0, out=scratch[0])
        np.multiply(scratch[0], attrs["negative_slope"], out=scratch[0])
        np.maximum(x, 0, out=out)
        np.add(out, scratch[0], out=out)

    inplace = (0,)

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        return (apply("leaky_relu_gradient", grads[0], call.inputs[0], **call.attrs),)


@primitive
class _LeakyReluGradient(Elementwise):
    """The gradient where the input is positive, else the gradient times the slope."""

    name = "leaky_relu_gradient"
    num_scratch = 1
    inplace = (0,)

    def compute(self, out: Array, scratch: Sequence[Array], *inputs: Array, **attrs: Any) -> None:
        g, x = inputs
        factor, slope = scratch[0], attrs["negative_slope"]
        np.greater(x, 0, out=factor)
        np.multiply(factor, 1.0 - slope, out=factor)
        np.add(factor, slope, out=factor)
        np.multiply(g, factor, out=out)

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        return apply("leaky_relu_gradient", grads[0], call.inputs[1], **call.attrs), None


@primitive
class _Elu(Elementwise):
    name = "elu"
    num_scratch = 1
    uses_outputs = True
    inplace = (0,)

    def compute(self, out: Array, scratch: Sequence[Array], *inputs: Array, **attrs: Any) -> None:
        x, low = inputs[0], scratch[0]
        np.minimum(x, 0, out=low)
        np.expm1(low, out=low)
        np.multiply(low, attrs["alpha"], out=low)
        np.maximum(x, 0, out=out)
        np.add(out, low, out=out)

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        # Below 0 the slope is alpha e^x = y + alpha; above, 1.
        x, y = call.inputs[0], call.outputs[0]
        alpha = call.attrs["alpha"]
        negative = apply("less", *lift(x, 0.0))
        slope = apply("where", negative, *lift(y + alpha, 1.0))
        return (grads[0] * slope,)


@function("relu")
def relu(x: Any) -> Any:
    """``max(x, 0)``; the gradient at 0 is 0."""
    return apply("relu", *lift(x))


@function("leaky_relu")
def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """``x`` where positive, else ``negative_slope * x``; at 0 the gradient is the slope."""
    return apply(
        "leaky_relu",
        *lift(x),
        negative_slope=setting("leaky_relu", "negative_slope", negative_slope),
    )


@function("elu")
def elu(x: Any, alpha: float = 1.0) -> Any:
    """``x`` where positive, else ``alpha * (e^x - 1)``."""
    return apply("elu", *lift(x), alpha=setting("elu", "alpha", alpha))
