"""New tensors of a given shape: filled, counted or drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.errors import EngineError, ShapeError
from engine.ops.noise import random_normal_like, random_uniform_like
from engine.tensor import Tensor
from engine.value import named_dtype

Size = int | Sequence[int]


def _shape(what: str, shape: Any, rest: tuple[Any, ...] = ()) -> tuple[int, ...]:
    """Sizes given one by one, or as one sequence."""
    sizes = (shape, *rest) if rest or isinstance(shape, int | np.integer) else tuple(shape)
    if not all(isinstance(n, int | np.integer) and n >= 0 for n in sizes):
        raise ShapeError(f"{what} found shape {sizes}; expected whole numbers, none negative.")
    return tuple(int(n) for n in sizes)


def zeros(shape: Size, *rest: int, dtype: str = "float32") -> Tensor:
    """Zeros: ``zeros((2, 3))`` or ``zeros(2, 3)``."""
    return Tensor(np.zeros(_shape("zeros", shape, rest), named_dtype("zeros", dtype)))


def ones(shape: Size, *rest: int, dtype: str = "float32") -> Tensor:
    """Ones: ``ones((2, 3))`` or ``ones(2, 3)``."""
    return Tensor(np.ones(_shape("ones", shape, rest), named_dtype("ones", dtype)))


def full(shape: Size, value: float, dtype: str = "float32") -> Tensor:
    """One value everywhere."""
    return Tensor(np.full(_shape("full", shape), value, named_dtype("full", dtype)))


def arange(*limits: float, dtype: str | None = None) -> Tensor:
    """Numbers from ``start`` (0) up to, but without, ``stop`` in steps: int64, or float32."""
    made = np.arange(*limits)
    default = "int64" if made.dtype.kind == "i" else "float32"
    return Tensor(made.astype(named_dtype("arange", dtype or default)))


def random_normal(
    shape: Size, *rest: int, mean: float = 0.0, std: float = 1.0, dtype: str = "float32"
) -> Tensor:
    """Normally distributed values, from the sequence of ``manual_seed``."""
    like = Tensor(np.empty(_shape("random_normal", shape, rest), named_dtype("random", dtype)))
    return random_normal_like(like, mean, std)  # type: ignore[no-any-return]


def random_uniform(
    shape: Size, *rest: int, low: float = 0.0, high: float = 1.0, dtype: str = "float32"
) -> Tensor:
    """Values evenly spread over ``low .. high``, from the sequence of ``manual_seed``."""
    like = Tensor(np.empty(_shape("random_uniform", shape, rest), named_dtype("random", dtype)))
    return random_uniform_like(like, low, high)  # type: ignore[no-any-return]


def random_integers(low: int, high: int, shape: Size) -> Tensor:
    """Whole numbers from ``low`` up to, but without, ``high``, int64, as likely each.

    Raises
    ------
    EngineError
        If there is none, or more than 2^24, beyond which not every one would be met.
    """
    if not 0 < high - low <= 2**24:
        raise EngineError(
            f"random_integers found {low} to {high}; expected 1 to {2**24} different numbers."
        )
    share = random_uniform(shape, dtype="float64").data
    return Tensor((np.floor(share * (high - low)) + low).astype(np.int64))
