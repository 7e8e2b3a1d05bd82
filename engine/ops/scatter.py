"""Elements added to places that indices name: the counterpart of gather."""

from __future__ import annotations

from typing import Any

from engine.errors import ShapeError
from engine.function import apply, function
from engine.ops.reduce import normalise_axes


@function("scatter_add")
def scatter_add(x: Any, indices: Any, source: Any, axis: int = -1) -> Any:
    """``x`` plus, at ``[..., indices[...], ...]`` along ``axis``, each element of ``source``.

    Indices have the shape of ``source``, which has that of ``x`` but for ``axis``.
    """
    at = normalise_axes("scatter_add", axis, x.ndim)[0]
    fits = (
        source.shape == indices.shape
        and len(source.shape) == x.ndim
        and all(
            i == at or n == m for i, (n, m) in enumerate(zip(x.shape, source.shape, strict=True))
        )
    )
    if not fits:
        raise ShapeError(
            f"scatter_add on axis {at} found shapes {x.shape}, indices {indices.shape} and source "
            f"{source.shape}; expected equal shapes of the last two, and all other axes to agree."
        )
    return x + apply("scatter", source, indices, axis=at, size=x.shape[at])
