"""Optimisers, whose formulas are PyTorch's, learning-rate schedules, and limits on gradients."""

from typing import TYPE_CHECKING, Any

from engine.optim import schedules
from engine.optim.adadelta import Adadelta
from engine.optim.adagrad import Adagrad
from engine.optim.adam import Adam, AdamW
from engine.optim.adamax import Adamax
from engine.optim.averaging import AveragedWeights
from engine.optim.base import Optimizer
from engine.optim.clipping import clip_norm, clip_value
from engine.optim.lion import Lion
from engine.optim.nadam import Nadam
from engine.optim.rmsprop import RMSprop
from engine.optim.sgd import SGD

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "AveragedWeights",
    "Lion",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "clip_norm",
    "clip_value",
    "schedules",
]

if not TYPE_CHECKING:  # which would take any name for one that exists

    def __getattr__(name: str) -> Any:
        from engine.other_names import explained

        raise AttributeError(explained(__name__, name), name=name)
