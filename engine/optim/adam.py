"""Adam, and AdamW with decoupled weight decay."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from engine.backend import Array
from engine.optim.base import Optimizer, require
from engine.tensor import Tensor


class Adam(Optimizer):
    """Adam with bias correction; ``epsilon`` is added to the corrected root, as in PyTorch.

    Parameters
    ----------
    weight_decay : float
        L2 decay, added to the gradient before the moments see it.

    References
    ----------
    Kingma and Ba, "Adam: a method for stochastic optimization", 2015.
    """

    state_names = ("mean", "square")
    decoupled = False

    def __init__(
        self,
        learning_rate: float = 1e-3,
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

    def corrections(self) -> tuple[float, float]:
        """``learning_rate / (1 - beta1^t)`` and ``sqrt(1 - beta2^t)`` at the present step."""
        return self._corrections(self.num_steps)

    def _corrections(self, t: int) -> tuple[float, float]:
        # 1 - beta^t by expm1: the plain difference loses digits in the first steps.
        first = -math.expm1(t * math.log(self.beta1)) if self.beta1 else 1.0
        second = -math.expm1(t * math.log(self.beta2)) if self.beta2 else 1.0
        return self.learning_rate / first, math.sqrt(second)

    def numbers(self, step: int) -> tuple[float, ...]:
        decay = 1.0 - self.learning_rate * self.weight_decay
        return (*self._corrections(step), decay)

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
        rate, root, decay = numbers
        kind = weights.dtype.type

        def update() -> None:
            gradient = gradients
            if self.weight_decay and self.decoupled:
                np.multiply(weights, decay, out=weights)
            elif self.weight_decay:
                np.multiply(weights, self.weight_decay, out=b)
                np.add(b, gradients, out=b)
                gradient = b
            np.subtract(gradient, m, out=a)
            np.multiply(a, kind(1.0 - self.beta1), out=a)
            np.add(m, a, out=m)
            np.multiply(gradient, gradient, out=a)
            np.multiply(a, kind(1.0 - self.beta2), out=a)
            np.multiply(v, kind(self.beta2), out=v)
            np.add(v, a, out=v)
            np.sqrt(v, out=a)
            np.divide(a, root, out=a)
            np.add(a, kind(self.epsilon), out=a)
            np.divide(m, a, out=a)
            np.multiply(a, rate, out=a)
            np.subtract(weights, a, out=weights)

        return update


class AdamW(Adam):
    """Adam whose decay shrinks the weights directly: ``w *= 1 - learning_rate * weight_decay``.

    References
    ----------
    Loshchilov and Hutter, "Decoupled weight decay regularization", 2019.
    """

    decoupled = True

    def __init__(
        self,
        learning_rate: float = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.01,
        parameters: Iterable[Tensor] | None = None,
    ) -> None:
        super().__init__(learning_rate, beta1, beta2, epsilon, weight_decay, parameters)
