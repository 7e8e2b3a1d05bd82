"""Arithmetic of two operands, with broadcasting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.backend import Array
from engine.function import Call, Step, apply, function, lift, primitive
from engine.ops.elementwise import Elementwise
from engine.ops.reduce import sum_to


class _Ufunc(Elementwise):
    """An elementwise primitive that NumPy has as one ufunc."""

    ufunc: np.ufunc
    float_only = False

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        ufunc, out = self.ufunc, outputs[0]
        a, b = inputs
        return lambda: ufunc(a, b, out=out)


@primitive
class _Add(_Ufunc):
    name = "add"
    inplace = (0, 1)
    ufunc = np.add

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        g, (a, b) = grads[0], call.inputs
        return (
            sum_to(g, a.shape) if call.needs[0] else None,
            sum_to(g, b.shape) if call.needs[1] else None,
        )


@primitive
class _Subtract(_Ufunc):
    name = "subtract"
    inplace = (0, 1)
    ufunc = np.subtract

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        g, (a, b) = grads[0], call.inputs
        return (
            sum_to(g, a.shape) if call.needs[0] else None,
            -sum_to(g, b.shape) if call.needs[1] else None,
        )


@primitive
class _Multiply(_Ufunc):
    name = "multiply"
    inplace = (0, 1)
    ufunc = np.multiply

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        g, (a, b) = grads[0], call.inputs
        return (
            sum_to(g * b, a.shape) if call.needs[0] else None,
            sum_to(g * a, b.shape) if call.needs[1] else None,
        )


@primitive
class _Divide(_Ufunc):
    name = "divide"
    inplace = (0, 1)
    ufunc = np.divide
    float_only = True
    uses_outputs = True

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        g, (a, b) = grads[0], call.inputs
        y = call.outputs[0]
        scaled = g / b
        return (
            sum_to(scaled, a.shape) if call.needs[0] else None,
            -sum_to(scaled * y, b.shape) if call.needs[1] else None,
        )


@primitive
class _Power(_Ufunc):
    name = "power"
    inplace = (0, 1)
    ufunc = np.power
    float_only = True
    uses_outputs = True

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        g, (a, b) = grads[0], call.inputs
        base = exponent = None
        if call.needs[0]:
            slope = b * apply("power", a, b - 1.0)
            if not _never_zero(b):  # x ** 0 is 1 everywhere, but 0 * 0 ** -1 is not a number
                slope = apply("where", apply("equal", *lift(b, 0.0)), *lift(0.0, slope))
            base = sum_to(g * slope, a.shape)
        if call.needs[1]:
            # 0 ** b is 0 for b > 0, and so is its derivative: log(0) must not turn it into NaN.
            log = apply("log", apply("where", apply("less", *lift(0.0, a)), *lift(a, 1.0)))
            exponent = sum_to(g * call.outputs[0] * log, b.shape)
        return base, exponent


def _never_zero(value: Any) -> bool:
    """True if this is known to be a single number other than 0, without asking a device."""
    data = getattr(value, "data", None)
    return isinstance(data, np.ndarray) and data.size == 1 and bool(data.item())


class _Extreme(_Ufunc):
    inplace = (0, 1)

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        g, (a, b) = grads[0], call.inputs
        first, second = (a, b) if self.name == "maximum" else (b, a)
        return (
            sum_to(g * apply("share_of_greater", first, second), a.shape)
            if call.needs[0]
            else None,
            sum_to(g * apply("share_of_greater", second, first), b.shape)
            if call.needs[1]
            else None,
        )


@primitive
class _Maximum(_Extreme):
    name = "maximum"
    ufunc = np.maximum


@primitive
class _Minimum(_Extreme):
    name = "minimum"
    ufunc = np.minimum


@primitive
class _ShareOfGreater(Elementwise):
    """1 where the first operand is greater, 1/2 where both are equal, else 0."""

    name = "share_of_greater"
    passes_gradient = False
    num_scratch = 1

    def compute(self, out: Array, scratch: Sequence[Array], *inputs: Array, **attrs: Any) -> None:
        (a, b), ties = inputs, scratch[0]
        np.equal(a, b, out=ties)
        np.multiply(ties, 0.5, out=ties)
        np.greater(a, b, out=out)
        np.add(out, ties, out=out)


@function("add")
def add(a: Any, b: Any) -> Any:
    """``a + b``, element by element with broadcasting."""
    return apply("add", *lift(a, b))


@function("subtract")
def subtract(a: Any, b: Any) -> Any:
    """``a - b``, element by element with broadcasting."""
    return apply("subtract", *lift(a, b))


@function("multiply")
def multiply(a: Any, b: Any) -> Any:
    """``a * b``, element by element with broadcasting."""
    return apply("multiply", *lift(a, b))


@function("divide")
def divide(a: Any, b: Any) -> Any:
    """``a / b``, element by element with broadcasting."""
    return apply("divide", *lift(a, b))


@function("power")
def power(a: Any, b: Any) -> Any:
    """``a ** b``, element by element with broadcasting; a whole number 2 becomes a product."""
    if isinstance(b, int | float) and b == 2:
        return apply("multiply", a, a)
    return apply("power", *lift(a, b))


@function("maximum")
def maximum(a: Any, b: Any) -> Any:
    """The greater of two, element by element; the gradient of a tie goes half to each."""
    return apply("maximum", *lift(a, b))


@function("minimum")
def minimum(a: Any, b: Any) -> Any:
    """The smaller of two, element by element; the gradient of a tie goes half to each."""
    return apply("minimum", *lift(a, b))
