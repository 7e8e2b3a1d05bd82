"""Windows of images as columns, and columns added back to images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.errors import ShapeError
from engine.function import apply, function
from engine.ops.pad import pad
from engine.ops.shape import stack
from engine.ops.windows import Sizes, Window, per_axis, window_for

Parts = tuple[tuple[int, int, int], ...]


def _taps(window: Window, lead: tuple[int, ...], counts: tuple[int, ...]) -> list[Parts]:
    """For each place in the window, where all windows have it in the padded image."""
    taps = []
    for place in np.ndindex(*window.kernel):
        spatial = []
        for at, step, n, s in zip(place, window.dilation, counts, window.stride, strict=True):
            first = int(at) * step
            spatial.append((first, first + (n - 1) * s + 1, s))
        taps.append((*((0, n, 1) for n in lead), *spatial))
    return taps


@function("unfold")
def unfold(
    x: Any,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] = 1,
    padding: Sizes = 0,
    dilation: int | Sequence[int] = 1,
) -> Any:
    """Windows of (N, C, H, W) as columns (N, C kh kw, number of windows), in PyTorch's order."""
    if x.ndim != 4:
        raise ShapeError(f"unfold found shape {x.shape}; expected (N, C, H, W).")
    window = window_for("unfold", 2, kernel_size, stride, padding, dilation)
    counts = window.output_shape("unfold", x.shape[2:])
    if window.pads:
        x = pad(x, ((0, 0), (0, 0), *window.padding))
    n, channels = x.shape[:2]
    taps = [apply("slice", x, parts=parts) for parts in _taps(window, (n, channels), counts)]
    return stack(*taps, axis=2).reshape((n, channels * len(taps), math.prod(counts)))


@function("fold")
def fold(
    columns: Any,
    size: int | Sequence[int],
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] = 1,
    padding: Sizes = 0,
    dilation: int | Sequence[int] = 1,
) -> Any:
    """Images (N, C, *size) that are sums of windows: columns (N, C kh kw, number of windows).

    The counterpart of ``unfold``: where windows overlap, their elements are added up.
    """
    spatial = per_axis("fold", "size", size, 2, 1)
    window = window_for("fold", 2, kernel_size, stride, padding, dilation)
    counts = window.output_shape("fold", spatial)
    places = math.prod(window.kernel)
    if columns.ndim != 3 or columns.shape[1] % places or columns.shape[2] != math.prod(counts):
        raise ShapeError(
            f"fold found columns {columns.shape}; expected (N, a multiple of {places}, "
            f"{math.prod(counts)}) for images {spatial}."
        )
    n, channels = columns.shape[0], columns.shape[1] // places
    parts = columns.reshape((n, channels, places, *counts))
    whole = (n, channels, *window.padded_shape(spatial))
    total: Any = None
    for i, tap in enumerate(_taps(window, (n, channels), counts)):
        placed = apply("slice_gradient", parts[:, :, i], shape=whole, parts=tap)
        total = placed if total is None else total + placed
    (top, _), (left, _) = window.padding
    return total[:, :, top : top + spatial[0], left : left + spatial[1]]
