"""A draw of a class through which gradients flow."""

from __future__ import annotations

from typing import Any

from engine.errors import EngineError
from engine.function import apply, function
from engine.ops.compare import argmax
from engine.ops.gather import one_hot
from engine.ops.noise import random_uniform_like
from engine.ops.reduce import normalise_axes
from engine.ops.shape import swapaxes
from engine.ops.softmax import softmax
from engine.ops.stop import stop_gradient
from engine.value import setting


@function("gumbel_softmax")
def gumbel_softmax(
    logits: Any, temperature: float = 1.0, hard: bool = False, axis: int = -1
) -> Any:
    """Shares of the classes along ``axis``, near to one class drawn by the logits.

    Parameters
    ----------
    temperature : float
        The smaller, the nearer to 1 for one class and 0 for the others.
    hard : bool
        Give exactly 1 and 0, with the gradient of the shares.

    References
    ----------
    Jang, Gu and Poole, "Categorical reparameterization with Gumbel-softmax", 2017.
    """
    (at,) = normalise_axes("gumbel_softmax", axis, logits.ndim)
    temperature = setting("gumbel_softmax", "temperature", temperature, 0.0)
    if not temperature:
        raise EngineError("gumbel_softmax found temperature=0.0; expected a number above 0.")
    # In (0, 1), ends excluded: twice the logarithm of it is finite. Draws are multiples of 2^-24.
    u = random_uniform_like(logits) * (1.0 - 2.0**-22) + 2.0**-23
    gumbel = -apply("log", -apply("log", u))
    shares = softmax((logits + gumbel) * (1.0 / temperature), at)
    if not hard:
        return shares
    last = swapaxes(shares, at, logits.ndim - 1)
    chosen = one_hot(argmax(last, -1), logits.shape[at], dtype=logits.dtype.name)
    return stop_gradient(swapaxes(chosen, at, logits.ndim - 1) - shares) + shares
