"""Adam."""

from __future__ import annotations

from dataclasses import dataclass

from graphstudio.nodes.optimizers.spec import Optimizer, register
from graphstudio.nodes.spec import param


@register
@dataclass(frozen=True, kw_only=True)
class Adam(Optimizer):
    """Steps scaled by running means of the gradient and of its square.

    PyTorch's formula: ``epsilon`` is added to the bias-corrected root. Weight decay is added to
    the gradient (L2), not decoupled.

    References
    ----------
    Kingma and Ba, "Adam", 2014.
    """

    kind = "adam"
    label = "Adam"
    engine_name = "Adam"

    learning_rate: float = param(
        0.001, low=0.0, low_open=True, high=100.0, doc="Size of a step along the gradient."
    )
    beta1: float = param(
        0.9, low=0.0, high=0.99999, doc="Share of the old mean of the gradient that is kept."
    )
    beta2: float = param(
        0.999, low=0.0, high=0.9999999, doc="Share of the old mean of the square that is kept."
    )
    epsilon: float = param(
        1e-8, low=0.0, low_open=True, high=1.0, doc="Added to the root so that it is never 0."
    )
    weight_decay: float = param(
        0.0, low=0.0, high=10.0, doc="Pull of every weight towards zero, added to the gradient."
    )
