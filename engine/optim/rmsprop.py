"""RMSprop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from engine.backend import Array
from engine.optim.base import Optimizer, require
from engine.tensor import Tensor


class RMSprop(Optimizer):
    """``s = rho s + (1 - rho) g^2; w -= learning_rate * g / (sqrt(s) + epsilon)``.

    Parameters
    ----------
    momentum : float
        The buffer holds the scaled gradient without the learning rate, as in PyTorch.
    centered : bool
        Divide by the deviation, ``sqrt(s - mean(g)^2)``, instead.
    """

    def __init__(
        self,
        learning_rate: float = 0.01,
        rho: float = 0.99,
        epsilon: float = 1e-8,
        momentum: float = 0.0,
        centered: bool = False,
        weight_decay: float = 0.0,
        parameters: Iterable[Tensor] | None = None,
    ) -> None:
        super().__init__(learning_rate, parameters)
        self.rho = require("rho", rho, below=1.0)
        self.epsilon = require("epsilon", epsilon)
        self.momentum = require("momentum", momentum)
        self.weight_decay = require("weight_decay", weight_decay)
        self.centered = bool(centered)
        names = ["square"]
        if self.centered:
            names.append("mean")
        if self.momentum:
            names.append("velocity")
        self.state_names = tuple(names)

    def prepare(
        self,
        weights: Array,
        gradients: Array,
        state: Mapping[str, Array],
        scratch: Array,
        numbers: Sequence[Array],
    ) -> Callable[[], None]:
        square, average, velocity = state["square"], state.get("mean"), state.get("velocity")
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
            np.multiply(a, kind(1.0 - self.rho), out=a)
            np.multiply(square, kind(self.rho), out=square)
            np.add(square, a, out=square)
            if average is None:
                np.sqrt(square, out=a)
            else:
                np.subtract(gradient, average, out=a)
                np.multiply(a, kind(1.0 - self.rho), out=a)
                np.add(average, a, out=average)
                np.multiply(average, average, out=a)
                np.subtract(square, a, out=a)
                np.sqrt(a, out=a)
            np.add(a, kind(self.epsilon), out=a)
            np.divide(gradient, a, out=a)
            if velocity is None:
                np.multiply(a, rate, out=a)
            else:
                np.multiply(velocity, kind(self.momentum), out=velocity)
                np.add(velocity, a, out=velocity)
                np.multiply(velocity, rate, out=a)
            np.subtract(weights, a, out=weights)

        return update
