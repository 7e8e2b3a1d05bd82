"""Elementary functions of one operand: negative, exp, log, sqrt, abs, square, sign, erf, clip."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.backend import Array, erf
from engine.errors import DTypeError, EngineError
from engine.function import Call, Step, apply, function, lift, primitive
from engine.ops.elementwise import Elementwise
from engine.value import Spec


class Unary(Elementwise):
    """An elementwise primitive of one operand that NumPy has as one ufunc."""

    ufunc: np.ufunc
    inplace = (0,)

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        ufunc, x, out = self.ufunc, inputs[0], outputs[0]
        return lambda: ufunc(x, out=out)


@primitive
class _Negative(Unary):
    name = "negative"
    ufunc = np.negative
    float_only = False

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        if inputs[0].dtype.kind == "b":
            raise DTypeError("negative found element type bool; expected numbers.")
        return super().infer(*inputs, **attrs)

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        return (-grads[0],)


@primitive
class _Exp(Unary):
    name = "exp"
    ufunc = np.exp
    uses_outputs = True

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        return (grads[0] * call.outputs[0],)


@primitive
class _Log(Unary):
    name = "log"
    ufunc = np.log

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        return (grads[0] / call.inputs[0],)


@primitive
class _Sqrt(Unary):
    name = "sqrt"
    ufunc = np.sqrt
    uses_outputs = True

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        return (grads[0] * 0.5 / call.outputs[0],)


@primitive
class _Abs(Unary):
    name = "abs"
    ufunc = np.absolute

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        return (grads[0] * apply("sign", call.inputs[0]),)


@primitive
class _Sign(Unary):
    name = "sign"
    passes_gradient = False
    ufunc = np.sign


@primitive
class _Sin(Unary):
    name = "sin"
    ufunc = np.sin

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        return (grads[0] * apply("cos", call.inputs[0]),)


@primitive
class _Cos(Unary):
    name = "cos"
    ufunc = np.cos

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        return (-grads[0] * apply("sin", call.inputs[0]),)


@primitive
class _Erf(Elementwise):
    name = "erf"
    inplace = (0,)

    def compute(self, out: Array, scratch: Sequence[Array], *inputs: Array, **attrs: Any) -> None:
        erf(inputs[0], out)

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        x = call.inputs[0]
        return (grads[0] * (2.0 / math.sqrt(math.pi)) * apply("exp", -(x * x)),)


@primitive
class _Clip(Elementwise):
    name = "clip"
    inplace = (0,)

    def compute(self, out: Array, scratch: Sequence[Array], *inputs: Array, **attrs: Any) -> None:
        np.clip(inputs[0], attrs["low"], attrs["high"], out=out)

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        return (apply("clip_gradient", grads[0], call.inputs[0], **call.attrs),)


@primitive
class _ClipGradient(Elementwise):
    """The gradient where the input lies within the limits, edges included, else 0."""

    name = "clip_gradient"
    num_scratch = 1
    inplace = (0,)

    def compute(self, out: Array, scratch: Sequence[Array], *inputs: Array, **attrs: Any) -> None:
        (g, x), inside = inputs, scratch[0]
        if attrs["low"] is not None:
            np.greater_equal(x, attrs["low"], out=inside)
            g = np.multiply(g, inside, out=out)
        if attrs["high"] is not None:
            np.less_equal(x, attrs["high"], out=inside)
            np.multiply(g, inside, out=out)

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        return apply("clip_gradient", grads[0], call.inputs[1], **call.attrs), None


def _register(name: str, doc: str) -> Any:
    def call(x: Any) -> Any:
        return apply(name, *lift(x))

    call.__name__ = call.__qualname__ = name
    call.__doc__ = doc
    return function(name)(call)


negative = _register("negative", "``-x``.")
exp = _register("exp", "``e ** x``.")
log = _register("log", "Natural logarithm; ``-inf`` at 0, NaN below.")
sqrt = _register("sqrt", "Square root; the gradient at 0 is infinite.")
absolute = _register("abs", "Absolute value; the gradient at 0 is 0.")
sign = _register("sign", "-1, 0 or 1; no gradient flows.")
sin = _register("sin", "Sine, of radians.")
cos = _register("cos", "Cosine, of radians.")
erf_function = _register("erf", "Gauss error function.")


@function("square")
def square(x: Any) -> Any:
    """``x * x``."""
    return apply("multiply", x, x)


@function("clip")
def clip(x: Any, low: float | None = None, high: float | None = None) -> Any:
    """``x`` limited to ``low .. high``; the gradient passes within the limits, edges included."""
    if low is None and high is None:
        raise EngineError("clip found neither low nor high; expected at least one limit.")
    return apply("clip", *lift(x), low=low, high=high)
