"""A small deep-learning library: tensors with gradients, layers, and compiled plans."""

from typing import TYPE_CHECKING, Any

from engine import (
    checkpoint,
    data,
    errors,
    init,
    losses,
    metrics,
    nn,
    ops,
    optim,
    plan,
    random,
    testing,
)
from engine.creation import (
    arange,
    full,
    ones,
    random_integers,
    random_normal,
    random_uniform,
    zeros,
)
from engine.errors import DTypeError, EngineError, NotDifferentiableError, PlanError, ShapeError
from engine.function import Execution, no_grad, observe
from engine.random import manual_seed
from engine.tensor import Tensor, grad, tensor

__all__ = [
    "DTypeError",
    "EngineError",
    "Execution",
    "NotDifferentiableError",
    "PlanError",
    "ShapeError",
    "Tensor",
    "arange",
    "checkpoint",
    "data",
    "errors",
    "full",
    "grad",
    "init",
    "losses",
    "manual_seed",
    "metrics",
    "nn",
    "no_grad",
    "observe",
    "ones",
    "ops",
    "optim",
    "plan",
    "random",
    "random_integers",
    "random_normal",
    "random_uniform",
    "tensor",
    "testing",
    "zeros",
]

if not TYPE_CHECKING:  # which would take any name for one that exists

    def __getattr__(name: str) -> Any:
        from engine.other_names import explained

        raise AttributeError(explained(__name__, name), name=name)
