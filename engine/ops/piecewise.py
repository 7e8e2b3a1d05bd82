"""Activations made of straight pieces, and those built from other activations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.backend import Array
from engine.errors import EngineError, ShapeError
from engine.function import Call, apply, function, lift, primitive
from engine.ops.elementwise import Elementwise
from engine.ops.reduce import normalise_axes
from engine.ops.relu import elu
from engine.ops.shape import split
from engine.ops.sigmoid import sigmoid, softplus, tanh
from engine.value import setting

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


@primitive
class _HardTanh(Elementwise):
    """``x`` limited to ``low .. high``; unlike clip, no gradient at the limits themselves."""

    name = "hard_tanh"
    inplace = (0,)

    def compute(self, out: Array, scratch: Sequence[Array], *inputs: Array, **attrs: Any) -> None:
        np.clip(inputs[0], attrs["low"], attrs["high"], out=out)

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        return (apply("hard_tanh_gradient", grads[0], call.inputs[0], **call.attrs),)


@primitive
class _HardTanhGradient(Elementwise):
    name = "hard_tanh_gradient"
    num_scratch = 1
    inplace = (0,)

    def compute(self, out: Array, scratch: Sequence[Array], *inputs: Array, **attrs: Any) -> None:
        (g, x), inside = inputs, scratch[0]
        np.greater(x, attrs["low"], out=inside)
        np.multiply(g, inside, out=out)
        np.less(x, attrs["high"], out=inside)
        np.multiply(out, inside, out=out)

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        return apply("hard_tanh_gradient", grads[0], call.inputs[1], **call.attrs), None


@function("hard_tanh")
def hard_tanh(x: Any, low: float = -1.0, high: float = 1.0) -> Any:
    """``x`` limited to ``low .. high``; the gradient at the limits is 0."""
    low, high = setting("hard_tanh", "low", low), setting("hard_tanh", "high", high)
    if not low < high:
        raise EngineError(f"hard_tanh found low={low}, high={high}; expected low below high.")
    return apply("hard_tanh", *lift(x), low=low, high=high)


@function("relu6")
def relu6(x: Any) -> Any:
    """``min(max(x, 0), 6)``; the gradient at 0 and 6 is 0."""
    return hard_tanh(x, 0.0, 6.0)


@function("hard_sigmoid")
def hard_sigmoid(x: Any) -> Any:
    """``x / 6 + 1/2`` limited to 0 .. 1."""
    return relu6(x + 3.0) * (1.0 / 6.0)


@function("hard_swish")
def hard_swish(x: Any) -> Any:
    """``x * hard_sigmoid(x)``."""
    return x * hard_sigmoid(x)


@function("selu")
def selu(x: Any) -> Any:
    """Scaled ELU, under which activations keep mean 0 and variance 1.

    References
    ----------
    Klambauer et al., "Self-normalizing neural networks", 2017.
    """
    return elu(x, SELU_ALPHA) * SELU_SCALE


@function("prelu")
def prelu(x: Any, slope: Any) -> Any:
    """``x`` where positive, else ``slope * x``; one slope, or one a channel (axis 1)."""
    if slope.ndim == 1 and slope.size != 1:
        if x.ndim < 2 or x.shape[1] != slope.size:
            raise ShapeError(
                f"prelu found {slope.size} slopes for {x.shape}; expected one a channel."
            )
        slope = slope.reshape((1, slope.size) + (1,) * (x.ndim - 2))
    return apply("where", apply("less", *lift(0.0, x)), x, x * slope)


@function("mish")
def mish(x: Any) -> Any:
    """``x * tanh(softplus(x))``."""
    return x * tanh(softplus(x))


@function("log_sigmoid")
def log_sigmoid(x: Any) -> Any:
    """Logarithm of the sigmoid, exact where the sigmoid itself is 0."""
    return -softplus(-x)


@function("threshold")
def threshold(x: Any, limit: float, value: float = 0.0) -> Any:
    """``x`` where it is above ``limit``, else ``value``."""
    limit, value = setting("threshold", "limit", limit), setting("threshold", "value", value)
    return apply("where", apply("less", *lift(limit, x)), *lift(x, value))


@function("softsign")
def softsign(x: Any) -> Any:
    """``x / (1 + |x|)``."""
    return x / (apply("abs", x) + 1.0)


@function("glu")
def glu(x: Any, axis: int = -1) -> Any:
    """First half along ``axis`` times the sigmoid of the second half."""
    a, b = split(x, 2, normalise_axes("glu", axis, x.ndim)[0])
    return a * sigmoid(b)
