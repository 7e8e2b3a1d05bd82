"""A small deep-learning library: tensors with gradients, layers, and compiled plans."""

from engine import errors, init, losses, nn, ops, optim, random
from engine import plan as plan
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
    "errors",
    "grad",
    "init",
    "losses",
    "manual_seed",
    "nn",
    "no_grad",
    "observe",
    "ops",
    "optim",
    "random",
    "tensor",
]
