"""Batch normalisation. Means and variances are taken in two passes, which keeps float32 exact."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.backend import Array, einsum
from engine.errors import ShapeError
from engine.function import Axes, Call, Primitive, Step, apply, apply_all, function, primitive
from engine.ops.reduce import broadcast_to
from engine.value import Shape, Spec, require_float, same_dtype, setting


def _channel_shape(ndim: int, channels: int) -> tuple[int, ...]:
    return (1, channels) + (1,) * (ndim - 2)


def _count(shape: Shape) -> int:
    """Elements of a channel, at least 1."""
    return max(math.prod(shape) // max(shape[1], 1), 1)


def _others(ndim: int) -> tuple[int, ...]:
    return (0, *range(2, ndim))


@primitive
class _BatchNorm(Primitive):
    """Normalise by the batch's own statistics: output, mean, biased variance."""

    name = "batch_norm_training"
    uses_outputs = True

    def infer(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        x = inputs[0]
        per_channel = x.with_shape((x.shape[1],))
        return x, per_channel, per_channel

    def layout(self, orders: Sequence[Axes], specs: Sequence[Spec], **attrs: Any) -> list[Axes]:
        return [orders[0], (0,), (0,)]

    def scratch(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        # Sums in float64: they run over as many elements as the batch has pixels.
        wide = Spec((inputs[0].shape[1],), np.dtype(np.float64))
        return wide, wide

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        x, gamma, beta = inputs
        y, mean, var = outputs
        total, factor = scratch
        axes, shape = _others(x.ndim), _channel_shape(x.ndim, x.shape[1])
        count = _count(x.shape)
        epsilon = attrs["epsilon"]
        mean_wide, factor_wide = mean.reshape(shape), factor.reshape(shape)
        beta_wide = beta.reshape(shape)

        def step() -> None:
            np.sum(x, axis=axes, dtype=np.float64, out=total)
            np.divide(total, count, out=mean, casting="same_kind")
            np.subtract(x, mean_wide, out=y)
            einsum(y, letters, y, letters, [1], out=var)
            np.divide(var, count, out=var)
            np.add(var, epsilon, out=factor)
            np.sqrt(factor, out=factor)
            np.divide(gamma, factor, out=factor)
            np.multiply(y, factor_wide, out=y, casting="same_kind")
            np.add(y, beta_wide, out=y)

        letters = list(range(x.ndim))
        return step

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        x, gamma, _ = call.inputs
        _, mean, var = call.outputs
        dx = dgamma = dbeta = None
        if grads[0] is not None:
            dx, dgamma, dbeta = apply_all(
                "batch_norm_gradient", x, gamma, mean, var, grads[0], **call.attrs
            )
        # Through the statistics, only in gradients of gradients.
        shape, share = _channel_shape(x.ndim, x.shape[1]), 1.0 / _count(x.shape)
        if grads[1] is not None:
            part = broadcast_to((grads[1] * share).reshape(shape), x.shape)
            dx = part if dx is None else dx + part
        if grads[2] is not None:
            part = (x - mean.reshape(shape)) * (grads[2] * (2.0 * share)).reshape(shape)
            dx = part if dx is None else dx + part
        return dx, dgamma, dbeta


@primitive
class _BatchNormGradient(Primitive):
    """Gradients of input, scale and offset, through the batch's statistics."""

    name = "batch_norm_gradient"
    inplace = (4,)

    def infer(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        return inputs[0], inputs[1], inputs[1]

    def layout(self, orders: Sequence[Axes], specs: Sequence[Spec], **attrs: Any) -> list[Axes]:
        return [orders[0], (0,), (0,)]

    def scratch(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        return inputs[0], inputs[1], inputs[1], inputs[1]

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        x, gamma, mean, var, g = inputs
        dx, dgamma, dbeta = outputs
        centred, inverse, a, b = scratch
        ndim = x.ndim
        axes, shape = _others(ndim), _channel_shape(ndim, x.shape[1])
        count = _count(x.shape)
        # The scratch takes the input's memory order.
        order = sorted(range(ndim), key=lambda i: -x.strides[i])
        back = sorted(range(ndim), key=lambda i: order[i])
        centred = centred.reshape([x.shape[i] for i in order]).transpose(back)
        letters = list(range(ndim))

        def step() -> None:
            np.subtract(x, mean.reshape(shape), out=centred)
            np.add(var, attrs["epsilon"], out=inverse)
            np.sqrt(inverse, out=inverse)
            np.divide(1.0, inverse, out=inverse)
            np.multiply(centred, inverse.reshape(shape), out=centred)
            np.sum(g, axis=axes, out=dbeta)
            einsum(g, letters, centred, letters, [1], out=dgamma)
            # dx = gamma / std * (g - mean(g) - normalised * mean(g * normalised))
            np.divide(dgamma, count, out=a)
            np.divide(dbeta, count, out=b)
            np.multiply(centred, a.reshape(shape), out=centred)
            np.add(centred, b.reshape(shape), out=centred)
            np.subtract(g, centred, out=dx)
            np.multiply(gamma, inverse, out=a)
            np.multiply(dx, a.reshape(shape), out=dx)

        return step

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        # With r the mean over all but the channels, y = (x - mean) / deviation and
        # s(v) = v - r(v) - y r(v y), which is its own adjoint: dx = gamma / deviation * s(g).
        # What mean and variance pass on to x is part of the gradient of x here.
        x, gamma, mean, var, g = call.inputs
        axes, shape = _others(x.ndim), _channel_shape(x.ndim, x.shape[1])
        count = _count(x.shape)

        def total(v: Any) -> Any:
            return apply("sum", v, axes=axes, keepdims=True)

        def project(v: Any) -> Any:
            return v - total(v) * (1.0 / count) - y * (total(v * y) * (1.0 / count))

        inverse = 1.0 / apply("sqrt", var + call.attrs["epsilon"]).reshape(shape)
        y = (x - mean.reshape(shape)) * inverse
        scale = gamma.reshape(shape)
        to_g, to_gamma, to_y, to_inverse = [], None, [], None
        if grads[0] is not None:
            u = grads[0]
            weighted, projected = u * scale, project(g)
            to_g.append(project(u) * (scale * inverse))
            to_gamma = (total(u * projected) * inverse).reshape(gamma.shape)
            pair = weighted * (total(g * y) * (1.0 / count)) + g * (total(weighted * y) / count)
            to_y.append(-(inverse * pair))
            to_inverse = total(weighted * projected)
        if grads[1] is not None:
            wide = grads[1].reshape(shape)
            to_g.append(wide * y)
            to_y.append(wide * g)
        if grads[2] is not None:
            to_g.append(broadcast_to(grads[2].reshape(shape), g.shape))
        dx = None
        if to_y:
            dx = inverse * project(_sum(to_y))
        if to_inverse is not None:
            dx = dx - y * (to_inverse * inverse * inverse * (1.0 / count))
        return dx, to_gamma, None, None, _sum(to_g)


def _sum(parts: Sequence[Any]) -> Any:
    result = parts[0]
    for part in parts[1:]:
        result = result + part
    return result


@function("batch_norm")
def batch_norm(
    x: Any,
    gamma: Any,
    beta: Any,
    running_mean: Any,
    running_var: Any,
    momentum: float = 0.1,
    epsilon: float = 1e-5,
    training: bool | None = None,
) -> Any:
    """Normalise each channel (axis 1) to mean ``beta`` and deviation ``gamma``.

    In training by the batch's own mean and biased variance, and the running ones move towards
    the batch's mean and *unbiased* variance by the fraction ``momentum``; else by the running ones.

    Parameters
    ----------
    x : (N, C, ...)
    gamma, beta, running_mean, running_var : (C,)
    momentum : float
        Share of the batch in the new running value (1 minus what Keras calls momentum).
    """
    require_float("batch_norm", x.spec)
    epsilon = setting("batch_norm", "epsilon", epsilon, 0.0)
    momentum = setting("batch_norm", "momentum", momentum, 0.0, 1.0)
    if x.ndim < 2:
        raise ShapeError(f"batch_norm found shape {x.shape}; expected (N, C, ...).")
    channels = x.shape[1]
    named = {"gamma": gamma, "beta": beta, "running_mean": running_mean, "running_var": running_var}
    for name, value in named.items():
        if value.shape != (channels,):
            raise ShapeError(
                f"batch_norm found {name} {value.shape} for input {x.shape}; "
                f"expected ({channels},), one a channel."
            )
        same_dtype("batch_norm", x.spec, value.spec)
    shape = _channel_shape(x.ndim, channels)
    if not (x.is_training if training is None else training):
        factor = gamma / apply("sqrt", running_var + epsilon)
        return (x - running_mean.reshape(shape)) * factor.reshape(shape) + beta.reshape(shape)
    y, mean, var = apply_all("batch_norm_training", x, gamma, beta, epsilon=epsilon)
    count = x.size // channels if channels else 0
    # A single element has no unbiased variance; its biased one, 0, is at least a number.
    unbiased = count / (count - 1) if count > 1 else 1.0
    for running, new in ((running_mean, mean), (running_var, var * unbiased)):
        blended = running.detach() * (1.0 - momentum) + new.detach() * momentum
        running.assign(blended)
    return y
