"""Lion."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from engine.backend import Array
from engine.optim.base import Optimizer, require
from engine.tensor import Tensor


class Lion(Optimizer):
    """``w -= rate (sign(b1 m + (1 - b1) g) + weight_decay w); m = b2 m + (1 - b2) g``.

    Steps have one size for all weights, so the rate is some three to ten times smaller, and the
    decay as much greater, than those of Adam.

    References
    ----------
    Chen et al., "Symbolic discovery of optimization algorithms", 2023.
    """

    state_names = ("mean",)

    def __init__(
        self,
        learning_rate: float = 1e-4,
        beta1: float = 0.9,
        beta2: float = 0.99,
        weight_decay: float = 0.0,
        parameters: Iterable[Tensor] | None = None,
    ) -> None:
        super().__init__(learning_rate, parameters)
        self.beta1 = require("beta1", beta1, below=1.0)
        self.beta2 = require("beta2", beta2, below=1.0)
        self.weight_decay = require("weight_decay", weight_decay)

    def numbers(self, step: int) -> tuple[float, ...]:
        return self.learning_rate, 1.0 - self.learning_rate * self.weight_decay

    def prepare(
        self,
        weights: Array,
        gradients: Array,
        state: Mapping[str, Array],
        scratch: Array,
        numbers: Sequence[Array],
    ) -> Callable[[], None]:
        mean = state["mean"]
        a, b = scratch
        rate, decay = numbers
        kind = weights.dtype.type

        def update() -> None:
            if self.weight_decay:
                np.multiply(weights, decay, out=weights)
            np.subtract(gradients, mean, out=a)
            np.multiply(a, kind(1.0 - self.beta1), out=b)
            np.add(b, mean, out=b)
            np.sign(b, out=b)
            np.multiply(b, rate, out=b)
            np.subtract(weights, b, out=weights)
            np.multiply(a, kind(1.0 - self.beta2), out=a)
            np.add(mean, a, out=mean)

        return update
