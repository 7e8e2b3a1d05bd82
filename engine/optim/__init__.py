"""Optimisers. Formulas are PyTorch's."""

from engine.optim.adam import Adam, AdamW
from engine.optim.base import Optimizer
from engine.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer"]
