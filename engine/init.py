"""Initial values of parameters, drawn in float64 from a seeded PCG64 and rounded once."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from engine.backend import Array, device_of, placed
from engine.errors import EngineError
from engine.random import next_key
from engine.tensor import Tensor

Initialiser = Callable[..., Array]
INITIALISERS: dict[str, Initialiser] = {}
_OPTIONS: dict[str, tuple[str, ...]] = {}


def _register(f: Initialiser) -> Initialiser:
    INITIALISERS[f.__name__] = f
    _OPTIONS[f.__name__] = tuple(inspect.signature(f).parameters)[2:]  # after shape and rng
    return f


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Numbers of inputs and outputs of one unit, for a weight (out, in, kernel...)."""
    if len(shape) < 2:
        n = shape[0] if shape else 1
        return n, n
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


@_register
def zeros(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Zeros."""
    return np.zeros(shape)


@_register
def ones(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Ones."""
    return np.ones(shape)


@_register
def constant(shape: tuple[int, ...], rng: np.random.Generator, value: float = 0.0) -> Array:
    """One value everywhere."""
    return np.full(shape, float(value))


@_register
def uniform(
    shape: tuple[int, ...], rng: np.random.Generator, low: float = -0.05, high: float = 0.05
) -> Array:
    """Evenly spread over ``low .. high``."""
    return rng.uniform(low, high, shape)


@_register
def normal(
    shape: tuple[int, ...], rng: np.random.Generator, mean: float = 0.0, std: float = 0.05
) -> Array:
    """Normally distributed."""
    return rng.normal(mean, std, shape)


@_register
def truncated_normal(
    shape: tuple[int, ...], rng: np.random.Generator, mean: float = 0.0, std: float = 0.05
) -> Array:
    """Normally distributed, drawn again where further than two deviations from the mean."""
    values = rng.normal(0.0, 1.0, shape)
    far = np.abs(values) > 2
    while far.any():
        values[far] = rng.normal(0.0, 1.0, int(far.sum()))
        far = np.abs(values) > 2
    return values * std + mean


@_register
def glorot_uniform(shape: tuple[int, ...], rng: np.random.Generator, gain: float = 1.0) -> Array:
    """Uniform with variance ``2 gain^2 / (fan_in + fan_out)``."""
    limit = gain * math.sqrt(6.0 / max(sum(fans(shape)), 1))
    return rng.uniform(-limit, limit, shape)


@_register
def glorot_normal(shape: tuple[int, ...], rng: np.random.Generator, gain: float = 1.0) -> Array:
    """Normal with variance ``2 gain^2 / (fan_in + fan_out)``."""
    return rng.normal(0.0, gain * math.sqrt(2.0 / max(sum(fans(shape)), 1)), shape)


@_register
def he_uniform(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Uniform with variance ``2 / fan_in``."""
    limit = math.sqrt(6.0 / max(fans(shape)[0], 1))
    return rng.uniform(-limit, limit, shape)


@_register
def he_normal(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Normal with variance ``2 / fan_in``."""
    return rng.normal(0.0, math.sqrt(2.0 / max(fans(shape)[0], 1)), shape)


@_register
def lecun_uniform(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Uniform with variance ``1 / fan_in``."""
    limit = math.sqrt(3.0 / max(fans(shape)[0], 1))
    return rng.uniform(-limit, limit, shape)


@_register
def lecun_normal(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Normal with variance ``1 / fan_in``."""
    return rng.normal(0.0, math.sqrt(1.0 / max(fans(shape)[0], 1)), shape)


@_register
def orthogonal(shape: tuple[int, ...], rng: np.random.Generator, gain: float = 1.0) -> Array:
    """Rows (or columns, whichever are fewer) orthogonal, after the first axis is split off."""
    rows = shape[0] if shape else 1
    columns = math.prod(shape[1:])
    flat = rng.normal(0.0, 1.0, (max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(flat)
    q = q * np.sign(np.diag(r))  # makes the decomposition, and so the draw, unique
    return gain * np.reshape(q if rows >= columns else q.T, shape)


def checked(name: str, options: dict[str, Any]) -> Initialiser:
    """The initialiser called ``name``, having made sure that it takes ``options``.

    Raises
    ------
    EngineError
        If there is no such initialiser, or it has no such option, or makes no numbers of it.
    """
    if name not in INITIALISERS:
        known = ", ".join(sorted(INITIALISERS))
        raise EngineError(f"init found '{name}'; expected one of {known}.")
    allowed = _OPTIONS[name]
    for option in options:
        if option not in allowed:
            takes = ", ".join(allowed) or "none"
            raise EngineError(f"init '{name}' found option '{option}'; it takes {takes}.")
    if options:
        _try_out(name, options)
    return INITIALISERS[name]


def _try_out(name: str, options: dict[str, Any]) -> None:
    """Raise EngineError unless a small draw with these options gives numbers."""
    try:
        sample = INITIALISERS[name]((1, 1), np.random.default_rng(0), **options)
        problem = "" if np.isfinite(sample).all() else "it draws no finite numbers"
    except (TypeError, ValueError, OverflowError) as error:
        problem = str(error)
    if problem:
        raise EngineError(
            f"init '{name}' found {options}; expected finite numbers, none of a deviation below 0 "
            f"({problem})."
        )


def draw(
    name: str,
    shape: tuple[int, ...],
    rng: np.random.Generator,
    dtype: Any = np.float32,
    **options: Any,
) -> Array:
    """A new array of initial values."""
    return checked(name, options)(shape, rng, **options).astype(dtype)


def new_generator() -> np.random.Generator:
    """A generator of its own, from the sequence of ``manual_seed``."""
    return np.random.default_rng([int(n) for n in next_key()])


def fill(tensor: Tensor, name: str, **options: Any) -> Tensor:
    """Overwrite a tensor with initial values from the sequence of ``manual_seed``; returns it.

    Examples
    --------
    >>> def start(module):
    ...     if isinstance(module, nn.Linear):
    ...         init.fill(module.weight, "he_normal")
    >>> model.apply(start)  # doctest: +SKIP
    """
    values = draw(name, tensor.shape, new_generator(), tensor.dtype, **options)
    tensor.data[...] = placed(values, device_of(tensor.data))
    return tensor
