"""Layers whose weight is computed from other parameters each time they run."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import numpy as np

from engine import ops
from engine.errors import EngineError
from engine.function import no_grad
from engine.nn.module import Module, new_parameter
from engine.tensor import Tensor


class _Reparametrized(Module):
    """A layer that gets a new weight before each call."""

    def __init__(self, layer: Module, what: str = "weight") -> None:
        super().__init__()
        weight = getattr(layer, what, None)
        if not isinstance(weight, Tensor) or weight.ndim < 2 or not weight.requires_grad:
            raise EngineError(
                f"{type(self).__name__} found no trainable matrix '{what}' in "
                f"{type(layer).__name__}; expected a layer that has one, such as Linear or Conv2d."
            )
        self.layer, self.what = layer, what
        delattr(layer, what)  # no parameter of its own any more
        self._take_over(weight)

    @abstractmethod
    def _take_over(self, weight: Tensor) -> None:
        """Make parameters of the layer's own weight."""

    @abstractmethod
    def _weight(self) -> Any:
        """The weight to run with."""

    def forward(self, *inputs: Any, **options: Any) -> Any:
        self.layer.lend(self.what, self._weight())
        return self.layer(*inputs, **options)


class WeightNorm(_Reparametrized):
    """A layer whose weight is ``length * direction / |direction|``, for each unit.

    References
    ----------
    Salimans and Kingma, "Weight normalization", 2016.
    """

    def _take_over(self, weight: Tensor) -> None:
        self.direction = weight
        norm = np.sqrt(np.square(weight.data).sum(self._inner(), keepdims=True))
        self.length = Tensor(norm, requires_grad=True)

    def _inner(self) -> tuple[int, ...]:
        return tuple(range(1, self.direction.ndim))

    def _weight(self) -> Any:
        length = ops.norm(self.direction, self._inner(), keepdims=True)
        return self.direction * (self.length / length)


class SpectralNorm(_Reparametrized):
    """A layer whose weight is divided by its greatest singular value.

    That value is followed by power iteration: some steps at each call in training, none in
    inference.

    Parameters
    ----------
    iterations : int
        Steps at each call; the first call is preceded by 15.

    References
    ----------
    Miyato et al., "Spectral normalization for generative adversarial networks", 2018.
    """

    def __init__(
        self, layer: Module, what: str = "weight", iterations: int = 1, eps: float = 1e-12
    ) -> None:
        self.iterations, self.eps = iterations, eps
        super().__init__(layer, what)
        if iterations < 1:
            raise EngineError(f"SpectralNorm found iterations={iterations}; expected 1 or more.")

    def _take_over(self, weight: Tensor) -> None:
        self.weight = weight
        rows, columns = weight.shape[0], math.prod(weight.shape[1:])
        self.left = new_parameter("normal", rows, std=1.0).detach()
        self.right = new_parameter("normal", columns, std=1.0).detach()
        self._iterate(15)

    def _matrix(self) -> Any:
        return self.weight.reshape(self.weight.shape[0], -1)

    def _iterate(self, count: int) -> None:
        """Turn the two vectors towards those of the greatest singular value."""
        with no_grad():
            matrix = self._matrix()
            for _ in range(count):
                left = ops.matmul(matrix, self.right)
                self.left.assign(ops.l2_normalize(left, epsilon=self.eps))
                right = ops.matmul(self.left, matrix)
                self.right.assign(ops.l2_normalize(right, epsilon=self.eps))

    def _weight(self) -> Any:
        if self.training:
            self._iterate(self.iterations)
        # Copies: a later iteration must not change what the gradient will be computed from.
        left, right = (Tensor(v.data.copy()) for v in (self.left, self.right))
        greatest = (left * ops.matmul(self._matrix(), right)).sum()
        return self.weight / greatest
