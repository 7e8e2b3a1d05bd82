"""Nadam."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from engine.backend import Array
from engine.optim.base import Optimizer, require
from engine.tensor import Tensor


class Nadam(Optimizer):
    """Adam with Nesterov's look ahead, whose momentum grows from step to step.

    ``mu(t) = b1 (1 - 0.96^(t momentum_decay) / 2)``; the step is
    ``rate (m mu(t+1) / (1 - M(t+1)) + g (1 - mu(t)) / (1 - M(t))) / (sqrt(v / (1 - b2^t)) + e)``
    with the product ``M(t)`` of all ``mu`` so far, as in PyTorch.

    References
    ----------
    Dozat, "Incorporating Nesterov momentum into Adam", 2016.
    """

    state_names = ("mean", "square")

    def __init__(
        self,
        learning_rate: float = 2e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        parameters: Iterable[Tensor] | None = None,
    ) -> None:
        super().__init__(learning_rate, parameters)
        self.beta1 = require("beta1", beta1, below=1.0)
        self.beta2 = require("beta2", beta2, below=1.0)
        self.epsilon = require("epsilon", epsilon)
        self.weight_decay = require("weight_decay", weight_decay)
        self.momentum_decay = require("momentum_decay", momentum_decay)
        self._product = (0, 1.0)  # a step, and the product of all momenta up to it

    def _momentum(self, step: int) -> float:
        return self.beta1 * (1.0 - 0.5 * math.pow(0.96, step * self.momentum_decay))

    def _momenta(self, step: int) -> float:
        """Product of the momenta of all steps up to this one."""
        known, product = self._product if self._product[0] <= step else (0, 1.0)
        for t in range(known + 1, step + 1):
            product *= self._momentum(t)
        self._product = step, product
        return product

    def numbers(self, step: int) -> tuple[float, ...]:
        product = self._momenta(step)
        now, later = self._momentum(step), self._momentum(step + 1)
        second = -math.expm1(step * math.log(self.beta2)) if self.beta2 else 1.0
        return (
            self.learning_rate * (1.0 - now) / (1.0 - product),
            self.learning_rate * later / (1.0 - product * later),
            math.sqrt(second),
        )

    def prepare(
        self,
        weights: Array,
        gradients: Array,
        state: Mapping[str, Array],
        scratch: Array,
        numbers: Sequence[Array],
    ) -> Callable[[], None]:
        m, v = state["mean"], state["square"]
        a, b = scratch
        of_gradient, of_mean, root = numbers
        kind = weights.dtype.type

        def update() -> None:
            gradient = gradients
            if self.weight_decay:
                np.multiply(weights, kind(self.weight_decay), out=b)
                np.add(b, gradients, out=b)
                gradient = b
            np.subtract(gradient, m, out=a)
            np.multiply(a, kind(1.0 - self.beta1), out=a)
            np.add(m, a, out=m)
            np.multiply(gradient, gradient, out=a)
            np.multiply(a, kind(1.0 - self.beta2), out=a)
            np.multiply(v, kind(self.beta2), out=v)
            np.add(v, a, out=v)
            np.multiply(gradient, of_gradient, out=b)
            np.multiply(m, of_mean, out=a)
            np.add(b, a, out=b)
            np.sqrt(v, out=a)
            np.divide(a, root, out=a)
            np.add(a, kind(self.epsilon), out=a)
            np.divide(b, a, out=b)
            np.subtract(weights, b, out=weights)

        return update
