"""Parts of an array by arrays of indices, and by masks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.backend import Array, to_numpy
from engine.errors import DTypeError, EngineError, ShapeError
from engine.function import apply, function
from engine.ops.reduce import broadcast_to, normalise_axes
from engine.ops.shape import reshape, slice_
from engine.value import Value


@function("take")
def take(x: Any, ids: Any, axis: int = 0) -> Any:
    """Lines of ``x`` along ``axis`` by whole numbers (...), which take that axis's place."""
    if not x.ndim:
        raise ShapeError("take found a scalar; expected at least one axis to take from.")
    at = normalise_axes("take", axis, x.ndim)[0]
    before, size, after = x.shape[:at], x.shape[at], x.shape[at + 1 :]
    if at == 0:
        table = x if after else reshape(x, (size, 1))
        rows = apply("take", table, ids, padding_idx=None)
        return rows if after else reshape(rows, ids.shape)
    blocks = reshape(x, (math.prod(before), size, math.prod(after)))
    places = broadcast_to(
        reshape(ids, (1, ids.size, 1)), (blocks.shape[0], ids.size, blocks.shape[2])
    )
    return reshape(apply("gather", blocks, places, axis=1), (*before, *ids.shape, *after))


def is_array(key: Any) -> bool:
    """True if this part of an index is an array, a tensor or a list rather than one number."""
    return isinstance(key, Value | np.ndarray | list) or type(key).__module__ == "cupy"


def by_arrays(x: Any, keys: tuple[Any, ...]) -> Any:
    """``x[keys]`` as NumPy has it, for slices and neighbouring arrays of whole numbers or masks.

    In a plan one array of whole numbers: what comes of a mask has no known size.
    """
    known = [_known(k) if is_array(k) else k for k in keys]
    widths = [k.ndim if _is_mask(k) else 1 for k in known if k is not Ellipsis]
    if sum(k is Ellipsis for k in known):
        at = next(i for i, k in enumerate(known) if k is Ellipsis)
        known[at : at + 1] = [slice(None)] * (x.ndim - sum(widths))
    places = [i for i, k in enumerate(known) if is_array(k)]
    others = [k for k in known if not is_array(k)]
    if places != list(range(places[0], places[-1] + 1)) or not all(
        isinstance(k, slice) for k in others
    ):
        raise ShapeError(
            "slice found arrays of indices apart from one another, or beside single numbers or "
            "None; expected neighbouring arrays and slices. Take one after the other: "
            "x[0][:, indices]."
        )
    first, arrays = places[0], [known[i] for i in places]
    lengths = [k.ndim if _is_mask(k) else 1 for k in arrays]
    if first + sum(lengths) > x.ndim:
        raise ShapeError(
            f"slice found indices for {first + sum(lengths)} axes; expected at most {x.ndim} for "
            f"shape {x.shape}."
        )
    before, after = known[:first], known[places[-1] + 1 :]
    x = slice_(x, (*before, *[slice(None)] * sum(lengths), *after))
    if any(isinstance(k, Value) for k in arrays):
        if len(arrays) > 1:
            raise EngineError(
                "slice found several indices of which one is computed in a plan; expected one, or "
                "numbers that are known. Use gather."
            )
        return take(x, arrays[0], first)
    ids, axis = [], first
    for k in arrays:
        if _is_mask(k):
            ids += _where_true(k, x.shape[axis : axis + k.ndim])
        else:
            ids.append(_in_range(k, axis, x.shape[axis]))
        axis = first + len(ids)
    return _taken(x, ids, first)


def _known(key: Any) -> Any:
    """The index as a host array; what only a plan will know as it is."""
    if isinstance(key, Value):
        data = getattr(key, "data", None)
        if data is None:
            if key.dtype.kind == "b":
                raise EngineError(
                    "slice found a mask that is computed in a plan; how many elements it leaves is "
                    "not known there. Use where."
                )
            return key
        key = data
    array = to_numpy(key) if hasattr(key, "dtype") else np.asarray(key)
    if array.size == 0 and not hasattr(key, "dtype"):
        array = array.astype(np.int64)
    if array.dtype.kind not in "biu":
        raise DTypeError(
            f"slice found indices of type {array.dtype.name}; expected whole numbers or a mask."
        )
    return array


def _is_mask(key: Any) -> bool:
    return isinstance(key, np.ndarray) and key.dtype.kind == "b"


def _where_true(mask: Array, shape: tuple[int, ...]) -> list[Array]:
    if mask.shape != shape or not mask.ndim:
        raise ShapeError(
            f"slice found a mask {mask.shape}; expected {shape}, like what it picks of."
        )
    return list(np.nonzero(mask))


def _in_range(ids: Array, axis: int, size: int) -> Array:
    """Indices from the end counted from the beginning."""
    low, high = (int(ids.min()), int(ids.max())) if ids.size else (0, 0)
    if ids.size and (low < -size or high >= size):
        raise ShapeError(
            f"slice found index {low if low < -size else high} on axis {axis} of size {size}; "
            f"expected {-size} to {size - 1}."
        )
    return np.where(ids < 0, ids + size, ids) if low < 0 else ids


def _taken(x: Any, ids: list[Array], first: int) -> Any:
    """``x`` by one index for each of the axes from ``first`` on, all broadcast."""
    sizes = x.shape[first : first + len(ids)]
    try:
        wide = np.broadcast_arrays(*ids)
    except ValueError as error:
        found = " and ".join(str(k.shape) for k in ids)
        raise ShapeError(
            f"slice found indices of shapes {found}; expected shapes that broadcast."
        ) from error
    place = np.zeros(wide[0].shape, np.int64)
    for k, size in zip(wide, sizes, strict=True):
        place = np.asarray(place * size + k)
    joined = (*x.shape[:first], math.prod(sizes), *x.shape[first + len(ids) :])
    return take(reshape(x, joined), place, first)
