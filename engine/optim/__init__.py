"""Optimisers, whose formulas are PyTorch's, learning-rate schedules, and limits on gradients."""

from engine.optim import schedules
from engine.optim.adagrad import Adagrad
from engine.optim.adam import Adam, AdamW
from engine.optim.base import Optimizer
from engine.optim.clipping import clip_norm, clip_value
from engine.optim.rmsprop import RMSprop
from engine.optim.sgd import SGD

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Optimizer",
    "RMSprop",
    "clip_norm",
    "clip_value",
    "schedules",
]
