"""Geometry of sliding windows, shared by convolution and pooling in any number of dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from engine.backend import Array, strided
from engine.errors import EngineError, ShapeError
from engine.value import Shape

Pads = tuple[tuple[int, int], ...]
Sizes = Any
"""A whole number for all spatial axes, or one for each; padding may be pairs, or a name."""


class Window(NamedTuple):
    """A sliding window: one number, and one pair of pads, for each spatial axis."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: Pads
    dilation: tuple[int, ...]

    def output_shape(self, what: str, spatial: Shape) -> Shape:
        """Number of windows along each axis.

        Raises
        ------
        ShapeError
            If the window is larger than the padded input.
        """
        result = []
        for axis, size in enumerate(spatial):
            before, after = self.padding[axis]
            reach = self.dilation[axis] * (self.kernel[axis] - 1) + 1
            room = size + before + after - reach
            if room < 0:
                raise ShapeError(
                    f"{what} found spatial shape {tuple(spatial)} with padding {self.padding}; "
                    f"expected at least {reach} along axis {axis} for a window of "
                    f"{self.kernel[axis]} with dilation {self.dilation[axis]}. "
                    "Make the window smaller or pad more."
                )
            result.append(room // self.stride[axis] + 1)
        return tuple(result)

    def padded_shape(self, spatial: Shape) -> Shape:
        return tuple(n + a + b for n, (a, b) in zip(spatial, self.padding, strict=True))

    @property
    def pads(self) -> bool:
        return any(map(any, self.padding))

    @property
    def is_pointwise(self) -> bool:
        """True if every window is one element and every element one window."""
        return (
            not self.pads and all(k == 1 for k in self.kernel) and all(s == 1 for s in self.stride)
        )

    def taps(self, padded: Array, counts: Shape) -> list[Array]:
        """For each place in the window, the elements that all windows have there.

        ``padded`` is (N, spatial..., C); each tap is (N, counts..., C), a view.
        """
        result = []
        for place in np.ndindex(*self.kernel):
            key = tuple(
                slice(at * d, at * d + (n - 1) * s + 1, s)
                for at, d, n, s in zip(place, self.dilation, counts, self.stride, strict=True)
            )
            result.append(padded[(slice(None), *key)])
        return result

    def view(self, padded: Array, counts: Shape) -> Array:
        """All windows as a view (N, counts..., kernel..., C) of (N, spatial..., C)."""
        step = padded.strides[1:-1]
        return strided(
            padded,
            (padded.shape[0], *counts, *self.kernel, padded.shape[-1]),
            (
                padded.strides[0],
                *(b * s for b, s in zip(step, self.stride, strict=True)),
                *(b * d for b, d in zip(step, self.dilation, strict=True)),
                padded.strides[-1],
            ),
        )

    def interior(self, padded: Array, spatial: Shape) -> Array:
        """The part of a padded (N, spatial..., C) array that is not padding."""
        key = tuple(slice(a, a + n) for n, (a, _) in zip(spatial, self.padding, strict=True))
        return padded[(slice(None), *key)]


def per_axis(what: str, name: str, value: int | Sequence[int], num_axes: int, low: int) -> Any:
    """``value`` as one whole number for each spatial axis.

    Raises
    ------
    EngineError
        If there are too few or too many, or one is below ``low``.
    """
    numbers = (int(value),) * num_axes if isinstance(value, int | np.integer) else tuple(value)
    if len(numbers) != num_axes or any(not isinstance(n, int | np.integer) for n in numbers):
        raise EngineError(f"{what} found {name}={value!r}; expected {num_axes} whole numbers.")
    if min(numbers, default=low) < low:
        raise EngineError(f"{what} found {name}={value!r}; expected {low} or more.")
    return tuple(int(n) for n in numbers)


def pads_per_axis(what: str, value: Any, num_axes: int) -> Pads:
    """``value`` as (before, after) for each spatial axis: a number, one an axis, or pairs."""
    if isinstance(value, int | np.integer):
        value = (value,) * num_axes
    pairs = tuple((p, p) if isinstance(p, int | np.integer) else tuple(p) for p in value)
    if len(pairs) != num_axes or any(len(p) != 2 for p in pairs):
        raise EngineError(
            f"{what} found padding={value!r}; expected (before, after) for each of "
            f"{num_axes} spatial axes."
        )
    if any(int(n) < 0 for p in pairs for n in p):
        raise EngineError(f"{what} found padding={value!r}; expected 0 or more.")
    return tuple((int(a), int(b)) for a, b in pairs)


def window_for(
    what: str,
    num_axes: int,
    kernel: int | Sequence[int],
    stride: int | Sequence[int] | None,
    padding: Sizes,
    dilation: int | Sequence[int] = 1,
) -> Window:
    """A checked window; the stride of None is the kernel's size."""
    size = per_axis(what, "kernel_size", kernel, num_axes, 1)
    return Window(
        size,
        size if stride is None else per_axis(what, "stride", stride, num_axes, 1),
        pads_per_axis(what, padding, num_axes),
        per_axis(what, "dilation", dilation, num_axes, 1),
    )


def same_pads(
    spatial: Sequence[int], kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> Pads:
    """Pads under which ``ceil(size / stride)`` windows fit; an odd one is put at the end."""
    pads = []
    for n, k, s, d in zip(spatial, kernel, stride, dilation, strict=True):
        total = max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
        pads.append((total // 2, total - total // 2))
    return tuple(pads)


def channels_last(ndim: int) -> tuple[int, ...]:
    """Memory order of (N, C, spatial...) with the channels fastest."""
    return (0, *range(2, ndim), 1)


def to_channels_last(array: Array) -> Array:
    """(N, C, spatial...) seen as (N, spatial..., C)."""
    return array.transpose(channels_last(array.ndim))
