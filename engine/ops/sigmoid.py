"""Smooth activations: sigmoid, tanh, softplus, silu, gelu."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.backend import Array, erf
from engine.errors import EngineError
from engine.function import Call, apply, function, lift, primitive
from engine.ops.elementwise import Elementwise

GELU_SLOPE = math.sqrt(2.0 / math.pi)
GELU_CUBIC = 0.044715


def write_sigmoid(x: Array, out: Array) -> None:
    """``1 / (1 + e^-x)`` into ``out``, which may be ``x``."""
    # Not by tanh, which has no digits left below -17. Where exp overflows, 1 / inf is the 0 it is.
    np.negative(x, out=out)
    np.exp(out, out=out)
    np.add(out, 1.0, out=out)
    np.divide(1.0, out, out=out)


@primitive
class _Sigmoid(Elementwise):
    name = "sigmoid"
    inplace = (0,)
    uses_outputs = True

    def compute(self, out: Array, scratch: Sequence[Array], *inputs: Array, **attrs: Any) -> None:
        write_sigmoid(inputs[0], out)

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        return (apply("sigmoid_gradient", grads[0], call.outputs[0]),)


@primitive
class _SigmoidGradient(Elementwise):
    """``g * y * (1 - y)``."""

    name = "sigmoid_gradient"
    num_scratch = 1
    inplace = (0, 1)

    def compute(self, out: Array, scratch: Sequence[Array], *inputs: Array, **attrs: Any) -> None:
        g, y = inputs
        np.multiply(y, y, out=scratch[0])
        np.subtract(y, scratch[0], out=scratch[0])
        np.multiply(g, scratch[0], out=out)

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        g, y = call.inputs
        return grads[0] * (y - y * y), grads[0] * g * (1.0 - 2.0 * y)


@primitive
class _Tanh(Elementwise):
    name = "tanh"
    inplace = (0,)
    uses_outputs = True

    def compute(self, out: Array, scratch: Sequence[Array], *inputs: Array, **attrs: Any) -> None:
        np.tanh(inputs[0], out=out)

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        return (apply("tanh_gradient", grads[0], call.outputs[0]),)


@primitive
class _TanhGradient(Elementwise):
    """``g * (1 - y * y)``."""

    name = "tanh_gradient"
    num_scratch = 1
    inplace = (0, 1)

    def compute(self, out: Array, scratch: Sequence[Array], *inputs: Array, **attrs: Any) -> None:
        g, y = inputs
        np.multiply(y, y, out=scratch[0])
        np.subtract(1.0, scratch[0], out=scratch[0])
        np.multiply(g, scratch[0], out=out)

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        g, y = call.inputs
        return grads[0] * (1.0 - y * y), grads[0] * g * (-2.0 * y)


@primitive
class _Softplus(Elementwise):
    name = "softplus"
    num_scratch = 1
    inplace = (0,)

    def compute(self, out: Array, scratch: Sequence[Array], *inputs: Array, **attrs: Any) -> None:
        # max(x, 0) + log1p(exp(-|x|)) stays finite for every x.
        x, tail = inputs[0], scratch[0]
        np.absolute(x, out=tail)
        np.negative(tail, out=tail)
        np.exp(tail, out=tail)
        np.log1p(tail, out=tail)
        np.maximum(x, 0, out=out)
        np.add(out, tail, out=out)

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        return (grads[0] * sigmoid(call.inputs[0]),)


@primitive
class _Silu(Elementwise):
    name = "silu"
    num_scratch = 1
    inplace = (0,)

    def compute(self, out: Array, scratch: Sequence[Array], *inputs: Array, **attrs: Any) -> None:
        write_sigmoid(inputs[0], scratch[0])
        np.multiply(inputs[0], scratch[0], out=out)

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        x = call.inputs[0]
        s = sigmoid(x)
        return (grads[0] * (s + x * s * (1.0 - s)),)


@primitive
class _Gelu(Elementwise):
    name = "gelu"
    num_scratch = 1
    inplace = (0,)

    def compute(self, out: Array, scratch: Sequence[Array], *inputs: Array, **attrs: Any) -> None:
        x, gate = inputs[0], scratch[0]
        if attrs["approximate"] == "tanh":
            np.multiply(x, x, out=gate)
            np.multiply(gate, GELU_SLOPE * GELU_CUBIC, out=gate)
            np.add(gate, GELU_SLOPE, out=gate)
            np.multiply(gate, x, out=gate)
            np.tanh(gate, out=gate)
        else:
            np.multiply(x, math.sqrt(0.5), out=gate)
            erf(gate, gate)
        np.add(gate, 1.0, out=gate)
        np.multiply(gate, 0.5, out=gate)
        np.multiply(x, gate, out=out)

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        x = call.inputs[0]
        if call.attrs["approximate"] == "tanh":
            t = tanh((x * x * (GELU_SLOPE * GELU_CUBIC) + GELU_SLOPE) * x)
            inner = x * x * (3.0 * GELU_SLOPE * GELU_CUBIC) + GELU_SLOPE
            return (grads[0] * ((t + 1.0) * 0.5 + x * 0.5 * (1.0 - t * t) * inner),)
        gate = (apply("erf", x * math.sqrt(0.5)) + 1.0) * 0.5
        density = apply("exp", x * x * -0.5) * (1.0 / math.sqrt(2.0 * math.pi))
        return (grads[0] * (gate + x * density),)


@function("sigmoid")
def sigmoid(x: Any) -> Any:
    """``1 / (1 + e^-x)``, without overflow."""
    return apply("sigmoid", *lift(x))


@function("tanh")
def tanh(x: Any) -> Any:
    """Hyperbolic tangent."""
    return apply("tanh", *lift(x))


@function("softplus")
def softplus(x: Any) -> Any:
    """``log(1 + e^x)``, without overflow."""
    return apply("softplus", *lift(x))


@function("silu")
def silu(x: Any) -> Any:
    """``x * sigmoid(x)``, also called swish."""
    return apply("silu", *lift(x))


@function("gelu")
def gelu(x: Any, approximate: str = "none") -> Any:
    """``x`` times the normal distribution function of ``x``.

    ``approximate`` is "none" (by the error function) or "tanh".
    """
    if approximate not in ("none", "tanh"):
        raise EngineError(f"gelu found approximate={approximate!r}; expected 'none' or 'tanh'.")
    return apply("gelu", *lift(x), approximate=approximate)
