"""Local response normalisation, across neighbouring channels."""

from __future__ import annotations

import math
from typing import Any

from engine.errors import EngineError, ShapeError
from engine.function import apply, function, lift
from engine.ops.pool import average_pool2d
from engine.value import setting


@function("local_response_norm")
def local_response_norm(
    x: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Any:
    """``x / (k + alpha * m)^beta``, with the mean ``m`` of the squares of ``size`` channels around.

    Channels beyond the ends count as 0, as in PyTorch.

    References
    ----------
    Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural
    networks", 2012.
    """
    if x.ndim < 3:
        raise ShapeError(f"local_response_norm found shape {x.shape}; expected (N, C, spatial...).")
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise EngineError(f"local_response_norm found size={size!r}; expected 1 or more channels.")
    alpha = setting("local_response_norm", "alpha", alpha, 0.0)
    beta = setting("local_response_norm", "beta", beta, 0.0)
    k = setting("local_response_norm", "k", k, 0.0)
    n, channels, *spatial = x.shape
    squares = (x * x).reshape((n, 1, channels, math.prod(spatial)))
    pads = ((size // 2, (size - 1) // 2), (0, 0))
    around = average_pool2d(squares, (size, 1), 1, pads).reshape(x.shape)
    return x / apply("power", *lift(around * alpha + k, beta))
