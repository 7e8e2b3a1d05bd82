"""Adamax."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from engine.backend import Array
from engine.optim.base import Optimizer, require
from engine.tensor import Tensor


class Adamax(Optimizer):
    """``m = b1 m + (1 - b1) g; u = max(b2 u, |g| + epsilon); w -= rate / (1 - b1^t) * m / u``.

    References
    ----------
    Kingma and Ba, "Adam: a method for stochastic optimization", 2015, section 7.
    """

    state_names = ("mean", "greatest")

    def __init__(
        self,
        learning_rate: float = 2e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        parameters: Iterable[Tensor] | None = None,
    ) -> None:
        super().__init__(learning_rate, parameters)
        self.beta1 = require("beta1", beta1, below=1.0)
        self.beta2 = require("beta2", beta2, below=1.0)
        self.epsilon = require("epsilon", epsilon)
        self.weight_decay = require("weight_decay", weight_decay)

    def numbers(self, step: int) -> tuple[float, ...]:
        share = -math.expm1(step * math.log(self.beta1)) if self.beta1 else 1.0
        return (self.learning_rate / share,)

    def prepare(
        self,
        weights: Array,
        gradients: Array,
        state: Mapping[str, Array],
        scratch: Array,
        numbers: Sequence[Array],
    ) -> Callable[[], None]:
        mean, greatest = state["mean"], state["greatest"]
        a, b = scratch
        (rate,) = numbers
        kind = weights.dtype.type

        def update() -> None:
            gradient = gradients
            if self.weight_decay:
                np.multiply(weights, kind(self.weight_decay), out=b)
                np.add(b, gradients, out=b)
                gradient = b
            np.subtract(gradient, mean, out=a)
            np.multiply(a, kind(1.0 - self.beta1), out=a)
            np.add(mean, a, out=mean)
            np.absolute(gradient, out=a)
            np.add(a, kind(self.epsilon), out=a)
            np.multiply(greatest, kind(self.beta2), out=greatest)
            np.maximum(greatest, a, out=greatest)
            np.divide(mean, greatest, out=a)
            np.multiply(a, rate, out=a)
            np.subtract(weights, a, out=weights)

        return update
