"""Changes of resolution: nearest and bilinear upsampling, adaptive pooling, pixel shuffle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.errors import EngineError, ShapeError
from engine.function import apply, function
from engine.ops.matmul import matmul
from engine.ops.pool import average_pool2d, max_pool2d
from engine.ops.shape import concatenate, squeeze, unsqueeze
from engine.ops.windows import per_axis


def _along(x: Any, axis: int, table: np.ndarray[Any, Any]) -> Any:
    """``x`` times a (new, old) table along one axis of (N, C, H, W)."""
    weights = x.constant_like(table.astype(x.dtype))
    if axis == 3:
        return matmul(x, weights, False, True)
    return apply("matmul", weights, x, transpose_a=False, transpose_b=False)


def _bilinear(size: int, new: int) -> np.ndarray[Any, Any]:
    """Each new pixel's share of each old one; pixel centres lie at half-integers."""
    at = np.clip((np.arange(new) + 0.5) * (size / new) - 0.5, 0, size - 1)
    low = np.minimum(np.floor(at).astype(int), max(size - 2, 0))
    table = np.zeros((new, size))
    table[np.arange(new), low] = 1 - (at - low)
    table[np.arange(new), np.minimum(low + 1, size - 1)] += at - low
    return table


def _nearest(size: int, new: int) -> np.ndarray[Any, Any]:
    at = np.floor((np.arange(new) + 0.5) * (size / new)).astype(int)
    table = np.zeros((new, size))
    table[np.arange(new), np.minimum(at, size - 1)] = 1
    return table


def _windows(size: int, new: int) -> list[tuple[int, int]]:
    """Adaptive windows: number ``i`` is ``floor(i size / new) .. ceil((i + 1) size / new)``."""
    return [(i * size // new, -(-(i + 1) * size // new)) for i in range(new)]


def _adaptive(size: int, new: int) -> np.ndarray[Any, Any]:
    """Each adaptive window's mean."""
    table = np.zeros((new, size))
    for i, (start, stop) in enumerate(_windows(size, new)):
        table[i, start:stop] = 1 / (stop - start)
    return table


def _require_map(what: str, x: Any) -> None:
    if x.ndim != 4 or not all(x.shape[2:]):
        raise ShapeError(f"{what} found shape {x.shape}; expected (N, C, H, W) with some pixels.")


def _require_line(what: str, x: Any) -> None:
    if x.ndim != 3:
        raise ShapeError(f"{what} found shape {x.shape}; expected (N, C, L).")


@function("resize")
def resize(x: Any, size: int | Sequence[int], mode: str = "nearest") -> Any:
    """(N, C, H, W) at another height and width, "nearest" or "bilinear".

    Pixel centres lie at half-integers (``align_corners=False``), without antialiasing.
    """
    _require_map("resize", x)
    if mode not in ("nearest", "bilinear"):
        raise EngineError(f"resize found mode={mode!r}; expected 'nearest' or 'bilinear'.")
    height, width = per_axis("resize", "size", size, 2, 1)
    if mode == "nearest" and height % x.shape[2] == 0 and width % x.shape[3] == 0:
        n, c, h, w = x.shape
        wide = x.reshape((n, c, h, 1, w, 1))
        wide = apply("broadcast_to", wide, shape=(n, c, h, height // h, w, width // w))
        return wide.reshape((n, c, height, width))
    table = _nearest if mode == "nearest" else _bilinear
    y = x if width == x.shape[3] else _along(x, 3, table(x.shape[3], width))
    return y if height == x.shape[2] else _along(y, 2, table(x.shape[2], height))


@function("upsample")
def upsample(x: Any, scale: int | Sequence[int], mode: str = "nearest") -> Any:
    """(N, C, H, W) enlarged by whole factors."""
    _require_map("upsample", x)
    a, b = per_axis("upsample", "scale", scale, 2, 1)
    return resize(x, (x.shape[2] * a, x.shape[3] * b), mode)


@function("adaptive_average_pool2d")
def adaptive_average_pool2d(x: Any, size: int | Sequence[int]) -> Any:
    """(N, C, H, W) averaged to a given height and width."""
    _require_map("adaptive_average_pool2d", x)
    height, width = per_axis("adaptive_average_pool2d", "size", size, 2, 1)
    if x.shape[2] % height == 0 and x.shape[3] % width == 0:
        return average_pool2d(x, (x.shape[2] // height, x.shape[3] // width))
    return _along(_along(x, 3, _adaptive(x.shape[3], width)), 2, _adaptive(x.shape[2], height))


@function("adaptive_average_pool1d")
def adaptive_average_pool1d(x: Any, size: int) -> Any:
    """(N, C, L) averaged to a given length."""
    _require_line("adaptive_average_pool1d", x)
    return squeeze(adaptive_average_pool2d(unsqueeze(x, 2), (1, size)), 2)


@function("adaptive_max_pool2d")
def adaptive_max_pool2d(x: Any, size: int | Sequence[int]) -> Any:
    """Greatest element of each adaptive window of (N, C, H, W); of equal ones the first counts."""
    _require_map("adaptive_max_pool2d", x)
    height, width = per_axis("adaptive_max_pool2d", "size", size, 2, 1)
    if x.shape[2] % height == 0 and x.shape[3] % width == 0:
        return max_pool2d(x, (x.shape[2] // height, x.shape[3] // width))
    rows = []
    for top, bottom in _windows(x.shape[2], height):
        band = x[:, :, top:bottom]
        cells = [
            max_pool2d(band[:, :, :, left:right], (bottom - top, right - left))
            for left, right in _windows(x.shape[3], width)
        ]
        rows.append(concatenate(*cells, axis=3))
    return concatenate(*rows, axis=2)


@function("adaptive_max_pool1d")
def adaptive_max_pool1d(x: Any, size: int) -> Any:
    """Greatest element of each adaptive window of (N, C, L)."""
    _require_line("adaptive_max_pool1d", x)
    return squeeze(adaptive_max_pool2d(unsqueeze(x, 2), (1, size)), 2)


@function("pixel_shuffle")
def pixel_shuffle(x: Any, factor: int) -> Any:
    """(N, C r r, H, W) to (N, C, H r, W r)."""
    _require_map("pixel_shuffle", x)
    n, channels, h, w = x.shape
    if factor < 1 or channels % (factor * factor):
        raise ShapeError(
            f"pixel_shuffle found {channels} channels; expected a multiple of {factor} squared."
        )
    c = channels // (factor * factor)
    parts = apply("transpose", x.reshape((n, c, factor, factor, h, w)), axes=(0, 1, 4, 2, 5, 3))
    return parts.reshape((n, c, h * factor, w * factor))
