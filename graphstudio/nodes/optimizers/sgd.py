"""Stochastic gradient descent."""

from __future__ import annotations

from dataclasses import dataclass

from graphstudio.nodes.optimizers.spec import Optimizer, register
from graphstudio.nodes.spec import param
from graphstudio.nodes.types import Message


@register
@dataclass(frozen=True, kw_only=True)
class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if wanted.

    PyTorch's formula: ``v = momentum * v + g``, ``w = w - learning_rate * v``. Weight decay is
    added to the gradient (L2).
    """

    kind = "sgd"
    label = "SGD"
    engine_name = "SGD"

    learning_rate: float = param(
        0.01, low=0.0, low_open=True, high=100.0, doc="Size of a step along the gradient."
    )
    momentum: float = param(0.0, low=0.0, high=0.9999, doc="Share of the last step that is kept.")
    nesterov: bool = param(False, doc="Look ahead along the momentum before each step.")
    weight_decay: float = param(
        0.0, low=0.0, high=10.0, doc="Pull of every weight towards zero, added to the gradient."
    )

    def check_params(self) -> Message | None:
        if self.nesterov and self.momentum == 0.0:
            return Message("Nesterov needs a momentum above 0")
        return None
