"""What follows from truths: and, or, not, and whether some or all of them hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.errors import DTypeError
from engine.function import apply, function
from engine.ops.compare import cast
from engine.ops.reduce import normalise_axes, sum_


def _require_truths(what: str, *operands: Any) -> None:
    for x in operands:
        if x.dtype != np.dtype(bool):
            raise DTypeError(
                f"{what} found element type {x.dtype.name}; expected bool. Compare first "
                "(less, equal), or convert with cast."
            )


@function("logical_and")
def logical_and(a: Any, b: Any) -> Any:
    """Where both hold; ``a & b``."""
    _require_truths("logical_and", a, b)
    return apply("where", a, b, a)


@function("logical_or")
def logical_or(a: Any, b: Any) -> Any:
    """Where at least one holds; ``a | b``."""
    _require_truths("logical_or", a, b)
    return apply("where", a, a, b)


@function("logical_not")
def logical_not(a: Any) -> Any:
    """Where it does not hold; ``~a``."""
    _require_truths("logical_not", a)
    no, yes = (a.constant_like(np.array(value)) for value in (False, True))
    return apply("where", a, no, yes)


def _count(x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    """How many hold along these axes: exact up to 2^24 of them, beyond which none gets lost."""
    return sum_(cast(x, "float32"), axes, keepdims)


@function("any")
def any_(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
    """Whether at least one holds along ``axis`` (all axes by default); of none it is False."""
    _require_truths("any", x)
    axes = normalise_axes("any", axis, x.ndim)
    return _count(x, axes, keepdims) > 0.5 if axes else x


@function("all")
def all_(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
    """Whether every one holds along ``axis`` (all axes by default); of none it is True."""
    _require_truths("all", x)
    axes = normalise_axes("all", axis, x.ndim)
    return _count(logical_not(x), axes, keepdims) < 0.5 if axes else x
