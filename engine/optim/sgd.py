"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from engine.backend import Array
from engine.errors import EngineError
from engine.optim.base import Optimizer, require
from engine.tensor import Tensor


class SGD(Optimizer):
    """``v = momentum * v + g; w -= learning_rate * v``, with ``g`` the gradient plus L2 decay.

    With ``nesterov`` the step is ``g + momentum * v``. The velocity does not contain the learning
    rate, as in PyTorch.
    """

    state_names: tuple[str, ...] = ("velocity",)

    def __init__(
        self,
        learning_rate: float = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        parameters: Iterable[Tensor] | None = None,
    ) -> None:
        super().__init__(learning_rate, parameters)
        self.momentum = require("momentum", momentum)
        self.nesterov = bool(nesterov)
        self.weight_decay = require("weight_decay", weight_decay)
        if self.nesterov and not self.momentum:
            raise EngineError("SGD found nesterov without momentum; expected momentum above 0.")
        if not self.momentum:
            self.state_names = ()

    def prepare(
        self,
        weights: Array,
        gradients: Array,
        state: Mapping[str, Array],
        scratch: Array,
        numbers: Sequence[Array],
    ) -> Callable[[], None]:
        velocity = state.get("velocity")
        g, step = scratch
        (rate,) = numbers

        def update() -> None:
            gradient = gradients
            if self.weight_decay:
                np.multiply(weights, self.weight_decay, out=g)
                np.add(g, gradients, out=g)
                gradient = g
            if velocity is None:
                np.multiply(gradient, rate, out=step)
            else:
                np.multiply(velocity, self.momentum, out=velocity)
                np.add(velocity, gradient, out=velocity)
                if self.nesterov:
                    np.multiply(velocity, self.momentum, out=step)
                    np.add(step, gradient, out=step)
                    np.multiply(step, rate, out=step)
                else:
                    np.multiply(velocity, rate, out=step)
            np.subtract(weights, step, out=weights)

        return update
