"""Rotary positions: pairs of channels turned by an angle that grows with the place."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.errors import EngineError, ShapeError
from engine.function import function
from engine.ops.shape import concatenate
from engine.value import require_float, setting


@function("rotary_positions")
def rotary_positions(x: Any, base: float = 10_000.0, start: int = 0) -> Any:
    """``x`` (..., T, D) with the channels ``i`` and ``i + D / 2`` of place ``t`` turned together.

    The angle is ``(start + t) * base^(-2 i / D)``, so that products of queries and keys depend on
    their distance only. Angles are computed in float64: in float32 they lose digits at late places.

    References
    ----------
    Su et al., "RoFormer: enhanced transformer with rotary position embedding", 2021.
    """
    if x.ndim < 2 or x.shape[-1] % 2 or not x.shape[-1]:
        raise ShapeError(
            f"rotary_positions found shape {x.shape}; expected (..., T, D) with an even D."
        )
    require_float("rotary_positions", x.spec)
    base = setting("rotary_positions", "base", base, 0.0)
    if not base or start < 0:
        raise EngineError(
            f"rotary_positions found base={base}, start={start}; expected a base above 0 and a "
            "start of 0 or more."
        )
    length, width = x.shape[-2:]
    rate = base ** (-np.arange(0, width, 2) / width)
    angle = (start + np.arange(length))[:, None] * rate
    cosine, sine = (x.constant_like(f(angle).astype(x.dtype)) for f in (np.cos, np.sin))
    first, second = x[..., : width // 2], x[..., width // 2 :]
    return concatenate(
        first * cosine - second * sine, second * cosine + first * sine, axis=x.ndim - 1
    )
