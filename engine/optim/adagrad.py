"""Adagrad."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from engine.backend import Array
from engine.optim.base import Optimizer, require
from engine.tensor import Tensor


class Adagrad(Optimizer):
    """``s += g^2; w -= learning_rate * g / (sqrt(s) + epsilon)``.

    References
    ----------
    Duchi, Hazan and Singer, "Adaptive subgradient methods", 2011.
    """

    state_names = ("sum",)

    def __init__(
        self,
        learning_rate: float = 0.01,
        epsilon: float = 1e-10,
        initial_accumulator: float = 0.0,
        weight_decay: float = 0.0,
        parameters: Iterable[Tensor] | None = None,
    ) -> None:
        super().__init__(learning_rate, parameters)
        self.epsilon = require("epsilon", epsilon)
        self.initial_accumulator = require("initial_accumulator", initial_accumulator)
        self.weight_decay = require("weight_decay", weight_decay)

    def initial(self, name: str) -> float:
        return self.initial_accumulator

    def prepare(
        self,
        weights: Array,
        gradients: Array,
        state: Mapping[str, Array],
        scratch: Array,
        numbers: Sequence[Array],
    ) -> Callable[[], None]:
        total = state["sum"]
        a, g = scratch
        (rate,) = numbers
        kind = weights.dtype.type

        def update() -> None:
            gradient = gradients
            if self.weight_decay:
                np.multiply(weights, kind(self.weight_decay), out=g)
                np.add(g, gradients, out=g)
                gradient = g
            np.multiply(gradient, gradient, out=a)
            np.add(total, a, out=total)
            np.sqrt(total, out=a)
            np.add(a, kind(self.epsilon), out=a)
            np.divide(gradient, a, out=a)
            np.multiply(a, rate, out=a)
            np.subtract(weights, a, out=weights)

        return update
