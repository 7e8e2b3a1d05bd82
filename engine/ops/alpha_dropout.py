"""Dropout that keeps the mean and the variance of what SELU makes."""

from __future__ import annotations

import math
from typing import Any

from engine.function import function
from engine.ops.dropout import dropout
from engine.ops.piecewise import SELU_ALPHA, SELU_SCALE

LIMIT = -SELU_ALPHA * SELU_SCALE
"""What SELU makes of very small numbers."""


@function("alpha_dropout")
def alpha_dropout(x: Any, rate: float = 0.5, training: bool | None = None) -> Any:
    """``x`` with a share ``rate`` of its elements at SELU's lower limit, then scaled and shifted.

    References
    ----------
    Klambauer et al., "Self-normalizing neural networks", 2017.
    """
    above = x - LIMIT
    kept = dropout(above, rate, training)
    if kept is above:  # not in training, or nothing to drop
        return x
    scale = 1.0 / math.sqrt((1.0 - rate) * (1.0 + rate * LIMIT * LIMIT))
    # Dropout has divided by 1 - rate, which the limit's distance does not need.
    return kept * ((1.0 - rate) * scale) + LIMIT * scale * (1.0 - rate)
