"""Layer, group, instance and root-mean-square normalisation: each sample by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.backend import Array, einsum
from engine.errors import EngineError, ShapeError
from engine.function import Call, Primitive, Step, apply, apply_all, function, primitive
from engine.ops.reduce import mean, normalise_axes
from engine.value import Spec, require_float, setting


@primitive
class _Standardize(Primitive):
    """Rows (all axes but the last) to mean 0 and deviation 1; also one over each deviation."""

    name = "standardize"
    uses_outputs = True

    def infer(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        require_float("standardize", inputs[0])
        if not inputs[0].shape[-1]:
            raise ShapeError(
                f"normalisation found rows of shape {inputs[0].shape}; expected at least one "
                "element in each to take the mean of."
            )
        return inputs[0], inputs[0].with_shape((*inputs[0].shape[:-1], 1))

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        x, (y, inverse) = inputs[0], outputs
        epsilon, flat, size = attrs["epsilon"], inverse[..., 0], x.shape[-1]

        def step() -> None:
            np.mean(x, axis=-1, keepdims=True, out=inverse)
            np.subtract(x, inverse, out=y)
            einsum("...i,...i->...", y, y, out=flat)
            np.divide(inverse, size, out=inverse)
            np.add(inverse, epsilon, out=inverse)
            np.sqrt(inverse, out=inverse)
            np.divide(1.0, inverse, out=inverse)
            np.multiply(y, inverse, out=y)

        return step

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        y, inverse = call.outputs
        parts = []
        if grads[0] is not None:
            parts.append(apply("standardize_gradient", grads[0], y, inverse))
        if grads[1] is not None:  # only in gradients of gradients
            parts.append(grads[1] * (inverse * inverse * (-1.0 / y.shape[-1])) * y)
        return (parts[0] if len(parts) == 1 else parts[0] + parts[1],)


@primitive
class _StandardizeGradient(Primitive):
    """``(g - mean(g) - y * mean(g * y)) / deviation``."""

    name = "standardize_gradient"
    inplace = (0,)

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        return inputs[0]

    def scratch(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        return inputs[2], inputs[2], inputs[0]

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        (g, y, inverse), dx, (along, average, wide) = inputs, outputs[0], scratch
        flat, size = along[..., 0], y.shape[-1]

        def step() -> None:
            einsum("...i,...i->...", g, y, out=flat)
            np.divide(along, size, out=along)
            np.mean(g, axis=-1, keepdims=True, out=average)
            np.multiply(y, along, out=wide)
            np.add(wide, average, out=wide)
            np.subtract(g, wide, out=dx)
            np.multiply(dx, inverse, out=dx)

        return step

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        g, y, inverse = call.inputs
        u = grads[0]
        size = y.shape[-1]

        def average(v: Any) -> Any:
            return apply("sum", v, axes=(v.ndim - 1,), keepdims=True) * (1.0 / size)

        scaled = u * inverse
        centred = scaled - average(scaled)
        return (
            centred - y * average(scaled * y),
            -(scaled * average(g * y)) - g * average(scaled * y),
            apply(
                "sum",
                u * (g - average(g) - y * average(g * y)),
                axes=(y.ndim - 1,),
                keepdims=True,
            ),
        )


def _affine(what: str, y: Any, gamma: Any, beta: Any, shape: tuple[int, ...]) -> Any:
    for name, value in (("weight", gamma), ("bias", beta)):
        if value is not None and value.size != math.prod(shape):
            raise ShapeError(
                f"{what} found {name} {value.shape}; expected {math.prod(shape)} elements."
            )
    if gamma is not None:
        y = y * gamma.reshape(shape)
    return y if beta is None else y + beta.reshape(shape)


@function("layer_norm")
def layer_norm(
    x: Any, weight: Any = None, bias: Any = None, num_axes: int = 1, epsilon: float = 1e-5
) -> Any:
    """``x`` with its last ``num_axes`` axes brought to mean 0 and deviation 1, then scaled.

    Parameters
    ----------
    weight, bias : shape of those axes, optional
    """
    if not 1 <= num_axes <= x.ndim:
        raise ShapeError(f"layer_norm found num_axes={num_axes} for shape {x.shape}.")
    tail = x.shape[x.ndim - num_axes :]
    for name, value in (("weight", weight), ("bias", bias)):
        if value is not None and value.shape != tail:
            raise ShapeError(f"layer_norm found {name} {value.shape}; expected {tail}.")
    rows = x.reshape((*x.shape[: x.ndim - num_axes], math.prod(tail)))
    y = apply_all("standardize", rows, epsilon=setting("layer_norm", "epsilon", epsilon, 0.0))[
        0
    ].reshape(x.shape)
    return _affine("layer_norm", y, weight, bias, tail)


@function("group_norm")
def group_norm(
    x: Any, num_groups: int, weight: Any = None, bias: Any = None, epsilon: float = 1e-5
) -> Any:
    """Each group of channels of each sample of (N, C, ...) to mean 0 and deviation 1, then scaled.

    ``weight`` and ``bias`` are (C,).
    """
    if x.ndim < 2 or num_groups < 1 or x.shape[1] % num_groups:
        raise ShapeError(
            f"group_norm found shape {x.shape} and {num_groups} groups; expected (N, C, ...) "
            "with C a multiple of the groups."
        )
    n, channels = x.shape[:2]
    rows = x.reshape((n, num_groups, math.prod(x.shape[1:]) // num_groups))
    y = apply_all("standardize", rows, epsilon=setting("group_norm", "epsilon", epsilon, 0.0))[
        0
    ].reshape(x.shape)
    return _affine("group_norm", y, weight, bias, (1, channels) + (1,) * (x.ndim - 2))


@function("instance_norm")
def instance_norm(x: Any, weight: Any = None, bias: Any = None, epsilon: float = 1e-5) -> Any:
    """Each channel of each sample of (N, C, ...) to mean 0 and deviation 1, then scaled."""
    if x.ndim < 3:
        raise ShapeError(f"instance_norm found shape {x.shape}; expected (N, C, spatial...).")
    return group_norm(x, x.shape[1], weight, bias, epsilon)


@function("rms_norm")
def rms_norm(x: Any, weight: Any = None, epsilon: float = 1e-6) -> Any:
    """The last axis divided by its root mean square, then scaled by ``weight``."""
    if x.ndim < 1:
        raise EngineError("rms_norm found a scalar; expected at least one axis.")
    y = x / apply(
        "sqrt", mean(x * x, -1, keepdims=True) + setting("rms_norm", "epsilon", epsilon, 0.0)
    )
    return _affine("rms_norm", y, weight, None, x.shape[-1:])


@function("l2_normalize")
def l2_normalize(x: Any, axis: int = -1, epsilon: float = 1e-12) -> Any:
    """``x`` divided by its norm along ``axis``, or by ``epsilon`` if that is greater."""
    require_float("l2_normalize", x.spec)
    total = apply("sum", x * x, axes=normalise_axes("l2_normalize", axis, x.ndim), keepdims=True)
    return x / apply(
        "sqrt",
        apply("clip", total, low=setting("l2_normalize", "epsilon", epsilon, 0.0) ** 2, high=None),
    )
