"""Adadelta."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from engine.backend import Array
from engine.optim.base import Optimizer, require
from engine.tensor import Tensor


class Adadelta(Optimizer):
    """``s = rho s + (1 - rho) g^2; d = sqrt(u + epsilon) / sqrt(s + epsilon) * g; w -= rate d``.

    ``u`` is the running mean of ``d^2``, as ``s`` is that of ``g^2``.

    References
    ----------
    Zeiler, "Adadelta: an adaptive learning rate method", 2012.
    """

    state_names = ("square", "delta")

    def __init__(
        self,
        learning_rate: float = 1.0,
        rho: float = 0.9,
        epsilon: float = 1e-6,
        weight_decay: float = 0.0,
        parameters: Iterable[Tensor] | None = None,
    ) -> None:
        super().__init__(learning_rate, parameters)
        self.rho = require("rho", rho, below=1.0)
        self.epsilon = require("epsilon", epsilon)
        self.weight_decay = require("weight_decay", weight_decay)

    def prepare(
        self,
        weights: Array,
        gradients: Array,
        state: Mapping[str, Array],
        scratch: Array,
        numbers: Sequence[Array],
    ) -> Callable[[], None]:
        square, delta = state["square"], state["delta"]
        a, b = scratch
        (rate,) = numbers
        kind = weights.dtype.type

        def update() -> None:
            gradient = gradients
            if self.weight_decay:
                np.multiply(weights, kind(self.weight_decay), out=b)
                np.add(b, gradients, out=b)
                gradient = b
            np.multiply(gradient, gradient, out=a)
            np.multiply(a, kind(1.0 - self.rho), out=a)
            np.multiply(square, kind(self.rho), out=square)
            np.add(square, a, out=square)
            np.add(square, kind(self.epsilon), out=a)
            np.sqrt(a, out=a)
            np.divide(gradient, a, out=b)
            np.add(delta, kind(self.epsilon), out=a)
            np.sqrt(a, out=a)
            np.multiply(b, a, out=b)
            np.multiply(b, b, out=a)
            np.multiply(a, kind(1.0 - self.rho), out=a)
            np.multiply(delta, kind(self.rho), out=delta)
            np.add(delta, a, out=delta)
            np.multiply(b, rate, out=b)
            np.subtract(weights, b, out=weights)

        return update
