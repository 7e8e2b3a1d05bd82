"""Standard deviation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from engine.function import function
from engine.ops.einsum import norm
from engine.ops.reduce import mean, normalise_axes


@function("std")
def std(
    x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False, correction: int = 0
) -> Any:
    """Standard deviation over ``axis`` (all by default); ``correction=1`` divides by n - 1.

    Of equal numbers it is 0, and so is its gradient.
    """
    axes = normalise_axes("std", axis, x.ndim)
    free = math.prod(x.shape[a] for a in axes) - correction
    length = norm(x - mean(x, axis, keepdims=True), axes, keepdims)
    return length * (1.0 / math.sqrt(free) if free > 0 else math.nan)
