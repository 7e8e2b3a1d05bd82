"""Attention: scaled dot products, one head or many, with masks where True means "may see"."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.errors import DTypeError, ShapeError
from engine.function import apply, function, lift
from engine.ops.dropout import dropout
from engine.ops.matmul import matmul
from engine.ops.shape import split
from engine.ops.softmax import softmax
from engine.value import setting

HIDDEN = -1e30
"""Score of a hidden key. Finite, so that a query that sees nothing makes no NaN."""


def causal_mask(queries: int, keys: int) -> Any:
    """Bool (queries, keys): key ``j`` is seen by query ``i`` if ``j <= i``, top left aligned."""
    return np.tri(queries, keys, dtype=bool)


@function("scaled_dot_product_attention")
def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    mask: Any = None,
    is_causal: bool = False,
    dropout_rate: float = 0.0,
    scale: float | None = None,
) -> Any:
    """``softmax(query key^T * scale) value``, for (..., T, D), (..., S, D) and (..., S, E).

    Parameters
    ----------
    mask : bool, broadcast to (..., T, S), optional
        True where a query may see a key. A query that sees no key gets zeros.
    is_causal : bool
        Let query ``i`` see keys up to ``i`` only.
    scale : float, optional
        ``1 / sqrt(D)`` by default.
    """
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise ShapeError(
            f"attention found query {query.shape}, key {key.shape} and value {value.shape}; "
            "expected query and key of one width, key and value of one length."
        )
    factor = query.shape[-1] ** -0.5 if scale is None else setting("attention", "scale", scale)
    scores = matmul(query * factor, key, False, True)
    seen = mask
    if mask is not None and mask.dtype != np.dtype(bool):
        raise DTypeError(f"attention found a mask of type {mask.dtype.name}; expected bool.")
    if is_causal:
        allowed = query.constant_like(causal_mask(query.shape[-2], key.shape[-2]))
        seen = allowed if mask is None else apply("where", mask, allowed, mask)
    if seen is None:
        weights = softmax(scores)
    else:
        weights = softmax(apply("where", seen, *lift(scores, HIDDEN)))
        if mask is not None:  # with a causal mask alone every query sees at least one key
            weights = apply("where", seen, *lift(weights, 0.0))
    return matmul(dropout(weights, dropout_rate), value)


@function("multi_head_attention")
def multi_head_attention(
    query: Any,
    key: Any,
    value: Any,
    in_weight: Any,
    in_bias: Any,
    out_weight: Any,
    out_bias: Any,
    num_heads: int,
    mask: Any = None,
    is_causal: bool = False,
    dropout_rate: float = 0.0,
) -> Any:
    """Attention of ``num_heads`` heads over (N, T, E), keys and values (N, S, E).

    Parameters
    ----------
    in_weight, in_bias : (3 E, E), (3 E,) or None
        Projections of query, key and value, stacked.
    out_weight, out_bias : (E, E), (E,) or None
    mask : bool, broadcast to (N, heads, T, S), optional
        True where a query may see a key.
    """
    for what, x in (("query", query), ("key", key), ("value", value)):
        if x.ndim != 3 or x.shape[2] != query.shape[-1]:
            raise ShapeError(
                f"attention found query {query.shape} and {what} {x.shape}; expected (N, T, E) and "
                "(N, S, E) with one width E."
            )
    width = query.shape[-1]
    for what, b, size in (("in_bias", in_bias, 3 * width), ("out_bias", out_bias, width)):
        if b is not None and b.shape != (size,):
            raise ShapeError(f"attention found {what} {b.shape}; expected ({size},).")
    if out_weight.shape != (width, width):
        raise ShapeError(
            f"attention found out_weight {out_weight.shape}; expected ({width}, {width})."
        )
    if mask is not None and mask.ndim > 4:
        raise ShapeError(f"attention found mask {mask.shape}; expected at most (N, heads, T, S).")
    if in_weight.shape != (3 * width, width) or num_heads < 1 or width % num_heads:
        raise ShapeError(
            f"attention found width {width}, {num_heads} heads and projections {in_weight.shape}; "
            f"expected ({3 * width}, {width}), and a width that the heads divide."
        )
    if query is key and key is value:
        joined = _project(query, in_weight, in_bias)
        q, k, v = (_heads(x, num_heads) for x in split(joined, 3, axis=2))
    else:
        weights = split(in_weight, 3, axis=0)
        biases = (None,) * 3 if in_bias is None else split(in_bias, 3, axis=0)
        q, k, v = (
            _heads(_project(x, w, b), num_heads)
            for x, w, b in zip((query, key, value), weights, biases, strict=True)
        )
    y = scaled_dot_product_attention(q, k, v, mask, is_causal, dropout_rate)
    y = apply("transpose", y, axes=(0, 2, 1, 3)).reshape((*query.shape[:2], width))
    return _project(y, out_weight, out_bias)


def _project(x: Any, weight: Any, bias: Any) -> Any:
    y = matmul(x, weight, False, True)
    return y if bias is None else y + bias


def _heads(x: Any, num_heads: int) -> Any:
    """(N, T, E) to (N, heads, T, E / heads)."""
    n, length, width = x.shape
    split = x.reshape((n, length, num_heads, width // num_heads))
    return apply("transpose", split, axes=(0, 2, 1, 3))


@function("sinusoidal_positions")
def sinusoidal_positions(x: Any) -> Any:
    """The position table of ``x`` (N, T, D), as (1, T, D): sines on even, cosines on odd channels.

    Computed in float64: in float32 the angles lose digits at late positions.
    """
    if x.ndim != 3 or not x.shape[2]:
        raise ShapeError(
            f"sinusoidal_positions found shape {x.shape}; expected (N, T, D) with D of 1 or more."
        )
    length, width = x.shape[-2:]
    rate = np.exp(np.arange(0, width, 2) * (-math.log(10_000.0) / width))
    angle = np.arange(length)[:, None] * rate
    table = np.zeros((1, length, width))
    table[0, :, 0::2] = np.sin(angle)
    table[0, :, 1::2] = np.cos(angle)[:, : width // 2]
    return x.constant_like(table.astype(x.dtype))
