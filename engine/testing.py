"""Gradient check: what every test of an operation rests on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from engine.backend import Array
from engine.tensor import Tensor, grad


def numeric_gradient(f: Callable[[], float], array: Array, step: float = 1e-6) -> Array:
    """Gradient of ``f`` with respect to ``array``, which ``f`` reads, by central differences."""
    result = np.zeros_like(array)
    for place in np.ndindex(array.shape):
        kept = array[place]
        array[place] = kept + step
        above = f()
        array[place] = kept - step
        below = f()
        array[place] = kept
        result[place] = (above - below) / (2 * step)
    return result


def check_gradients(
    function: Callable[..., Any],
    *inputs: Array,
    tolerance: float = 1e-6,
    step: float = 1e-6,
    second: bool = False,
) -> None:
    """Compare the gradients of ``function`` with finite differences, in float64.

    Parameters
    ----------
    function : callable
        Takes tensors, returns a tensor. It is projected on a random direction, so that every
        output element counts.
    inputs : arrays of float64 or whole numbers
        Floating ones are differentiated.
    tolerance : float
        Allowed error, relative to the greatest element of the gradient (at least 1).
    second : bool
        Check gradients of gradients as well.

    Raises
    ------
    AssertionError
        If a gradient is wrong; the message says which.
    """
    rng = np.random.default_rng(20240229)
    arrays = [np.array(a) for a in inputs]
    floating = [a.dtype == np.float64 for a in arrays]
    direction = Tensor(rng.uniform(0.5, 1.5, function(*map(Tensor, arrays)).shape))

    def project(*tensors: Tensor) -> Tensor:
        return (function(*tensors) * direction).sum()  # type: ignore[no-any-return]

    _compare("gradient", project, arrays, floating, tolerance, step)
    if not second:
        return
    directions = [Tensor(rng.uniform(0.5, 1.5, a.shape)) for a in arrays]

    def slope(*tensors: Tensor) -> Tensor:
        leaves = [t for t, f in zip(tensors, floating, strict=True) if f]
        for leaf in leaves:
            leaf.requires_grad = True
        found = grad(project(*tensors), leaves, create_graph=True)
        picked = [d for d, f in zip(directions, floating, strict=True) if f]
        total = (found[0] * picked[0]).sum()
        for g, d in zip(found[1:], picked[1:], strict=True):
            total = total + (g * d).sum()
        return total  # type: ignore[no-any-return]

    _compare("second gradient", slope, arrays, floating, tolerance, step)


def _compare(
    what: str,
    scalar: Callable[..., Tensor],
    arrays: Sequence[Array],
    floating: Sequence[bool],
    tolerance: float,
    step: float,
) -> None:
    tensors = [Tensor(a, f) for a, f in zip(arrays, floating, strict=True)]
    result = scalar(*tensors)
    leaves = [t for t, f in zip(tensors, floating, strict=True) if f]
    found = iter(
        grad(result, leaves) if result.requires_grad else [Tensor(t.data * 0) for t in leaves]
    )
    for i, (array, f) in enumerate(zip(arrays, floating, strict=True)):
        if not f:
            continue
        analytic = next(found).data
        expected = numeric_gradient(lambda: scalar(*map(Tensor, arrays)).item(), array, step)
        error = float(np.max(np.abs(analytic - expected), initial=0.0))
        scale = max(1.0, float(np.max(np.abs(expected), initial=0.0)))
        if not error <= tolerance * scale:
            raise AssertionError(
                f"{what} of input {i} is off by {error:.3g} (greatest element {scale:.3g}):\n"
                f"found\n{analytic}\nexpected\n{expected}"
            )
