"""Limits on gradients, taken before the optimiser sees them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np

from engine.backend import Array
from engine.errors import EngineError
from engine.tensor import Tensor


def clip_flat(
    gradients: Array, scratch: Array, max_norm: float | None, max_value: float | None
) -> float | None:
    """Limit one flat array of all gradients in place; its norm before, if it was needed.

    With ``max_norm`` everything is scaled by ``max_norm / (norm + 1e-6)`` where that is below 1,
    as in PyTorch.
    """
    norm = None
    if max_norm is not None:
        # In float64: the sum runs over every parameter of the model.
        np.multiply(gradients, gradients, out=scratch)
        norm = math.sqrt(float(np.sum(scratch, dtype=np.float64)))
        scale = max_norm / (norm + 1e-6)
        if scale < 1.0 or math.isnan(scale):
            np.multiply(gradients, gradients.dtype.type(scale), out=gradients)
    if max_value is not None:
        np.clip(gradients, -max_value, max_value, out=gradients)
    return norm


def clip_on_device(
    gradients: Array,
    scratch: Array,
    norm: Array,
    max_norm: float | None,
    max_value: float | None,
) -> Callable[[], None]:
    """``clip_flat`` as a step that does not wait for the norm, but leaves it in ``norm``.

    ``norm`` is float64 and has no axes, like what is made of it here.
    """
    scale, factor = np.empty_like(norm), np.empty_like(norm, dtype=gradients.dtype)

    def step() -> None:
        if max_norm is not None:
            np.multiply(gradients, gradients, out=scratch)
            np.sum(scratch, dtype=np.float64, out=norm)
            np.sqrt(norm, out=norm)
            np.add(norm, 1e-6, out=scale)
            np.divide(max_norm, scale, out=scale)
            np.minimum(scale, 1.0, out=scale)  # a norm that is no number stays none
            np.copyto(factor, scale, casting="same_kind")
            np.multiply(gradients, factor, out=gradients)
        if max_value is not None:
            np.clip(gradients, -max_value, max_value, out=gradients)

    return step


def check_limits(max_norm: float | None, max_value: float | None) -> None:
    """Raise unless both limits are None or more than 0."""
    for name, value in (("clip_norm", max_norm), ("clip_value", max_value)):
        number = isinstance(value, int | float | np.number)
        if value is not None and not (number and 0 < value < math.inf):
            raise EngineError(f"clipping found {name}={value!r}; expected a number above 0.")


def clip_norm(parameters: Iterable[Tensor], max_norm: float) -> float:
    """Scale the gradients of all parameters so that their joint norm is at most ``max_norm``.

    Returns the norm before.
    """
    check_limits(max_norm, None)
    grads = [p.grad.data for p in parameters if p.grad is not None]
    norm = math.sqrt(sum(float(np.sum(np.square(g, dtype=np.float64))) for g in grads))
    scale = max_norm / (norm + 1e-6)
    if scale < 1.0 or math.isnan(scale):
        for g in grads:
            g *= g.dtype.type(scale)
    return norm


def clip_value(parameters: Iterable[Tensor], max_value: float) -> None:
    """Limit every element of the gradients to ``-max_value .. max_value``."""
    check_limits(None, max_value)
    for p in parameters:
        if p.grad is not None:
            np.clip(p.grad.data, -max_value, max_value, out=p.grad.data)
