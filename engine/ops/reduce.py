"""Reductions: sum, mean, max, min, variance, and the broadcast that is their gradient."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from engine.backend import Array
from engine.errors import ShapeError
from engine.function import Axes, Call, Primitive, Step, apply, function, primitive
from engine.value import Shape, Spec, require_float


def normalise_axes(what: str, axis: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """Sorted axes, none negative; all axes for None.

    Raises
    ------
    ShapeError
        If an axis does not exist or is named twice.
    """
    if axis is None:
        return tuple(range(ndim))
    axes: tuple[Any, ...] = (axis,)
    if isinstance(axis, Iterable) and not isinstance(axis, str):
        axes = tuple(axis)
    for a in axes:
        if not isinstance(a, int | np.integer) or not -ndim <= a < ndim:
            raise ShapeError(f"{what} found axis {a!r}; expected -{ndim} to {ndim - 1}.")
    result = tuple(sorted(int(a) % ndim for a in axes))
    if len(set(result)) != len(result):
        raise ShapeError(f"{what} found axis {axis}; expected each axis once.")
    return result


def reduced_shape(shape: Shape, axes: Sequence[int], keepdims: bool) -> Shape:
    """``shape`` without ``axes``, or with 1 in their place."""
    if keepdims:
        return tuple(1 if i in axes else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in axes)


class _Reduction(Primitive):
    """Reduction over ``axes``."""

    reduce: Callable[..., Any]

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        return inputs[0].with_shape(
            reduced_shape(inputs[0].shape, attrs["axes"], attrs["keepdims"])
        )

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        x, out = inputs[0], outputs[0]
        reduce, axes, keepdims = self.reduce, attrs["axes"], attrs["keepdims"]
        if out.ndim == 0:
            # NumPy returns a scalar where all axes go; assigning it is what is wanted.
            out = out[...]
        return lambda: reduce(x, axis=axes, keepdims=keepdims, out=out)


@primitive
class _Sum(_Reduction):
    name = "sum"
    reduce = np.add.reduce

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        x = call.inputs[0]
        kept = reduced_shape(x.shape, call.attrs["axes"], True)
        return (broadcast_to(grads[0].reshape(kept), x.shape),)


class _ExtremeReduction(_Reduction):
    uses_outputs = True

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        x, y = call.inputs[0], call.outputs[0]
        axes = call.attrs["axes"]
        kept = reduced_shape(x.shape, axes, True)
        ties = apply("equal_share", x, y.reshape(kept))
        count = apply("sum", ties, axes=axes, keepdims=True)
        return (ties * (grads[0].reshape(kept) / count),)


@primitive
class _Max(_ExtremeReduction):
    name = "max"
    reduce = staticmethod(np.max)  # not maximum.reduce, which CuPy lacks


@primitive
class _Min(_ExtremeReduction):
    name = "min"
    reduce = staticmethod(np.min)


@primitive
class _EqualShare(Primitive):
    """1 where both operands are equal, else 0, in the operands' element type."""

    name = "equal_share"
    passes_gradient = False
    elementwise = True

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        return inputs[0]

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        a, b = inputs
        out = outputs[0]
        return lambda: np.equal(a, b, out=out)


@primitive
class _BroadcastTo(Primitive):
    name = "broadcast_to"

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        return inputs[0].with_shape(attrs["shape"])

    def layout(self, orders: Sequence[Axes], specs: Sequence[Spec], **attrs: Any) -> list[Axes]:
        same_rank = len(attrs["shape"]) == len(specs[0].shape)
        return [orders[0]] if same_rank else [tuple(range(len(attrs["shape"])))]

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        x, out = inputs[0], outputs[0]
        return lambda: np.copyto(out, x)

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        return (sum_to(grads[0], call.inputs[0].shape),)


def sum_to(g: Any, shape: Shape) -> Any:
    """``g`` summed over the axes along which ``shape`` was broadcast: broadcasting's gradient."""
    if g.shape == shape:
        return g
    lead = g.ndim - len(shape)
    axes = tuple(range(lead)) + tuple(
        i + lead for i, n in enumerate(shape) if n == 1 and g.shape[i + lead] != 1
    )
    summed = apply("sum", g, axes=axes, keepdims=False) if axes else g
    return summed if summed.shape == shape else summed.reshape(shape)


@function("broadcast_to")
def broadcast_to(x: Any, shape: Shape) -> Any:
    """``x`` repeated along axes of size 1, and along new leading axes, up to ``shape``."""
    if x.shape == shape:
        return x
    lead = len(shape) - x.ndim
    fits = lead >= 0 and all(
        n in (1, m) for n, m in zip(x.shape, shape[max(lead, 0) :], strict=True)
    )
    if not fits:
        raise ShapeError(
            f"broadcast_to cannot take {x.shape} to {shape}; expected sizes that agree or are 1."
        )
    return apply("broadcast_to", x, shape=tuple(shape))


@function("sum")
def sum_(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
    """Sum over ``axis`` (all axes by default)."""
    axes = normalise_axes("sum", axis, x.ndim)
    return apply("sum", x, axes=axes, keepdims=keepdims) if axes else x


@function("mean")
def mean(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
    """Arithmetic mean over ``axis`` (all axes by default)."""
    require_float("mean", x.spec)
    axes = normalise_axes("mean", axis, x.ndim)
    count = math.prod(x.shape[a] for a in axes)
    return sum_(x, axis, keepdims) * (1.0 / count if count else math.nan)


def _extreme(name: str, x: Any, axis: int | Sequence[int] | None, keepdims: bool) -> Any:
    axes = normalise_axes(name, axis, x.ndim)
    if any(x.shape[a] == 0 for a in axes):
        raise ShapeError(f"{name} found shape {x.shape}; expected at least one element to compare.")
    return apply(name, x, axes=axes, keepdims=keepdims) if axes else x


@function("max")
def max_(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
    """Greatest element over ``axis``; ties share the gradient equally."""
    return _extreme("max", x, axis, keepdims)


@function("min")
def min_(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
    """Smallest element over ``axis``; ties share the gradient equally."""
    return _extreme("min", x, axis, keepdims)


@function("var")
def var(
    x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False, correction: int = 0
) -> Any:
    """Variance over ``axis``, computed in two passes; ``correction=1`` divides by n - 1."""
    axes = normalise_axes("var", axis, x.ndim)
    count = math.prod(x.shape[a] for a in axes)
    centred = x - mean(x, axis, keepdims=True)
    total = sum_(centred * centred, axis, keepdims)
    return total * (1.0 / (count - correction) if count > correction else math.nan)
