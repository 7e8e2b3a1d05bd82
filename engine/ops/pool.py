"""Max and average pooling in one, two or three dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.backend import Array, array_module
from engine.errors import ShapeError
from engine.function import Axes, Call, Primitive, Step, apply, apply_all, function, primitive
from engine.ops.reduce import max_, mean
from engine.ops.windows import Pads, Sizes, Window, channels_last, pads_per_axis, window_for
from engine.ops.windows import to_channels_last as last
from engine.value import Shape, Spec, require_float

INDEX = np.dtype(np.int16)
"""Type of a place inside a window, counted row by row."""


class _Pool(Primitive):
    def layout(self, orders: Sequence[Axes], specs: Sequence[Spec], **attrs: Any) -> list[Axes]:
        count = len(self.infer_all(specs, attrs))
        return [channels_last(len(specs[0].shape))] * count

    def padded(self, spatial: Spec, window: Window) -> Spec:
        n, c = spatial.shape[:2]
        return spatial.with_shape((n, *window.padded_shape(spatial.shape[2:]), c))


def _output(x: Spec, attrs: dict[str, Any]) -> Shape:
    window: Window = attrs["window"]
    return (*x.shape[:2], *window.output_shape("pooling", x.shape[2:]))


@primitive
class _MaxPool(_Pool):
    """Greatest element of each window, and its place (the first of ties, or the first NaN)."""

    name = "max_pool"
    uses_outputs = True

    def infer(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        shape = _output(inputs[0], attrs)
        return inputs[0].with_shape(shape), Spec(shape, INDEX)

    def scratch(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        n, c, *counts = _output(inputs[0], attrs)
        mask = Spec((n, *counts, c), np.dtype(bool))
        return self.padded(inputs[0], attrs["window"]), mask, mask

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        window: Window = attrs["window"]
        x, (y, place), (padded, better, nan) = inputs[0], outputs, scratch
        x, y, place = last(x), last(y), last(place)
        interior = window.interior(padded, x.shape[1:-1])
        taps = window.taps(padded if window.pads else x, y.shape[1:-1])

        def step() -> None:
            if window.pads:
                padded.fill(-math.inf)
                np.copyto(interior, x)
            np.copyto(y, taps[0])
            place.fill(0)
            for i, tap in enumerate(taps[1:], 1):
                np.not_equal(tap, tap, out=nan)
                np.greater(tap, y, out=better)
                np.logical_or(better, nan, out=better)
                np.equal(y, y, out=nan)  # a NaN once found is kept
                np.logical_and(better, nan, out=better)
                np.copyto(y, tap, where=better)
                np.copyto(place, i, where=better)

        return step

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        x, place = call.inputs[0], call.outputs[1]
        return (apply("max_pool_gradient", grads[0], place, spatial=x.shape[2:], **call.attrs),)


@primitive
class _MaxPoolGradient(_Pool):
    """Each window's gradient added to the place of its greatest element."""

    name = "max_pool_gradient"

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        return inputs[0].with_shape((*inputs[0].shape[:2], *attrs["spatial"]))

    def scratch(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        n, c, *counts = inputs[0].shape
        part = inputs[0].with_shape((n, *counts, c))
        return self.padded(self.infer(*inputs, **attrs), attrs["window"]), part

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        window: Window = attrs["window"]
        (g, place), out, (padded, part) = inputs, last(outputs[0]), scratch
        g, place = last(g), last(place)
        target = padded if window.pads else out
        taps = window.taps(target, g.shape[1:-1])
        interior = window.interior(padded, out.shape[1:-1])

        def step() -> None:
            target.fill(0)
            for i, tap in enumerate(taps):
                np.equal(place, i, out=part)
                np.multiply(part, g, out=part)
                np.add(tap, part, out=tap)
            if window.pads:
                np.copyto(out, interior)

        return step

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        return apply("max_pool_gather", grads[0], call.inputs[1], window=call.attrs["window"]), None


@primitive
class _MaxPoolGather(_Pool):
    """From each window the element at a given place: the gradient of ``max_pool_gradient``."""

    name = "max_pool_gather"

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        return inputs[0].with_shape(inputs[1].shape)

    def scratch(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        n, c, *counts = inputs[1].shape
        part = inputs[0].with_shape((n, *counts, c))
        return self.padded(inputs[0], attrs["window"]), part

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        window: Window = attrs["window"]
        (x, place), y, (padded, part) = inputs, last(outputs[0]), scratch
        x, place = last(x), last(place)
        interior = window.interior(padded, x.shape[1:-1])
        taps = window.taps(padded, y.shape[1:-1])

        def step() -> None:
            padded.fill(0)
            np.copyto(interior, x)
            y.fill(0)
            for i, tap in enumerate(taps):
                np.equal(place, i, out=part)
                np.multiply(part, tap, out=part)
                np.add(y, part, out=y)

        return step

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        x, place = call.inputs
        window = call.attrs["window"]
        return (
            apply("max_pool_gradient", grads[0], place, spatial=x.shape[2:], window=window),
            None,
        )


def window_shares(spatial: Shape, window: Window, counted: Pads, dtype: Any) -> Array:
    """One over the number of elements that each window averages, (counts..., 1).

    ``counted`` is the part of the window's padding whose zeros are averaged too.
    """
    counts = window.output_shape("average pooling", spatial)
    ones = np.zeros((1, *window.padded_shape(spatial), 1))
    inner = tuple(
        slice(before - a, before + n + b)
        for n, (before, _), (a, b) in zip(spatial, window.padding, counted, strict=True)
    )
    ones[(slice(None), *inner)] = 1.0
    covered = np.sum(window.taps(ones, counts), axis=0)[0]
    # A window that sees nothing but padding averages nothing: its output is 0.
    weights: Array = np.where(covered > 0, 1.0 / np.maximum(covered, 1.0), 0.0).astype(dtype)
    return weights


def _shares(like: Array, spatial: Shape, window: Window, attrs: dict[str, Any]) -> Array:
    """``window_shares`` where ``like`` lives."""
    shares = window_shares(spatial, window, attrs["counted"], like.dtype)
    on_device: Array = array_module(like).asarray(shares)
    return on_device


@primitive
class _AveragePool(_Pool):
    name = "average_pool"

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        return inputs[0].with_shape(_output(inputs[0], attrs))

    def scratch(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        return (self.padded(inputs[0], attrs["window"]),)

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        window: Window = attrs["window"]
        x, y, padded = last(inputs[0]), last(outputs[0]), scratch[0]
        spatial = x.shape[1:-1]
        interior = window.interior(padded, spatial)
        taps = window.taps(padded if window.pads else x, y.shape[1:-1])
        weights = _shares(x, spatial, window, attrs)

        def step() -> None:
            if window.pads:
                padded.fill(0)
                np.copyto(interior, x)
            np.copyto(y, taps[0])
            for tap in taps[1:]:
                np.add(y, tap, out=y)
            np.multiply(y, weights, out=y)

        return step

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        spatial = call.inputs[0].shape[2:]
        return (apply("average_pool_gradient", grads[0], spatial=spatial, **call.attrs),)


@primitive
class _AveragePoolGradient(_Pool):
    name = "average_pool_gradient"

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        return inputs[0].with_shape((*inputs[0].shape[:2], *attrs["spatial"]))

    def scratch(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        n, c, *counts = inputs[0].shape
        part = inputs[0].with_shape((n, *counts, c))
        return self.padded(self.infer(*inputs, **attrs), attrs["window"]), part

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        window: Window = attrs["window"]
        g, out, (padded, part) = last(inputs[0]), last(outputs[0]), scratch
        target = padded if window.pads else out
        taps = window.taps(target, g.shape[1:-1])
        interior = window.interior(padded, attrs["spatial"])
        weights = _shares(g, attrs["spatial"], window, attrs)

        def step() -> None:
            np.multiply(g, weights, out=part)
            target.fill(0)
            for tap in taps:
                np.add(tap, part, out=tap)
            if window.pads:
                np.copyto(out, interior)

        return step

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        attrs = {k: v for k, v in call.attrs.items() if k != "spatial"}
        return (apply("average_pool", grads[0], **attrs),)


def _window(
    what: str, nd: int, x: Any, kernel: Sizes, stride: Sizes, padding: Sizes, ceil: bool
) -> Window:
    if x.ndim != nd + 2:
        raise ShapeError(
            f"{what} found shape {x.shape}; expected {nd + 2} axes, (N, C, then {nd} spatial)."
        )
    require_float(what, x.spec)
    window = window_for(what, nd, kernel, stride, padding)
    for (before, after), size in zip(window.padding, window.kernel, strict=True):
        if max(before, after) >= size:
            raise ShapeError(
                f"{what} found padding {window.padding} for a window of {window.kernel}; "
                "expected less than the window's size, or some windows would see padding only."
            )
    if not ceil:
        return window
    pads = []
    for i, n in enumerate(x.shape[2:]):
        (before, after), k, s = window.padding[i], window.kernel[i], window.stride[i]
        count = -(-(n + before + after - k) // s) + 1
        if (count - 1) * s >= n + before:  # a window may not start in the end padding
            count -= 1
        pads.append((before, max((count - 1) * s + k - n - before, 0)))
    return window._replace(padding=tuple(pads))


def _max_pool(
    what: str, nd: int, x: Any, kernel: Sizes, stride: Sizes, padding: Sizes, ceil: bool
) -> Any:
    window = _window(what, nd, x, kernel, stride, padding, ceil)
    if math.prod(window.kernel) > np.iinfo(INDEX).max:
        raise ShapeError(
            f"{what} found a window of {window.kernel}; expected at most 32767 elements. "
            "For the whole map use global_max_pool."
        )
    return apply_all("max_pool", x, window=window)[0]


def _average_pool(
    what: str,
    nd: int,
    x: Any,
    kernel: Sizes,
    stride: Sizes,
    padding: Sizes,
    include: bool,
    ceil: bool,
) -> Any:
    window = _window(what, nd, x, kernel, stride, padding, ceil)
    counted: Pads = ((0, 0),) * nd
    if include:
        # What ceil_mode adds behind the padding is no part of the input: it never counts.
        given = pads_per_axis(what, padding, nd)
        counted = tuple(
            (a, min(b, needed)) for (a, b), (_, needed) in zip(given, window.padding, strict=True)
        )
    return apply("average_pool", x, window=window, counted=counted)


@function("max_pool1d")
def max_pool1d(
    x: Any, kernel_size: Sizes, stride: Sizes = None, padding: Sizes = 0, ceil_mode: bool = False
) -> Any:
    """Greatest element of each window of (N, C, L)."""
    return _max_pool("max_pool1d", 1, x, kernel_size, stride, padding, ceil_mode)


@function("max_pool2d")
def max_pool2d(
    x: Any, kernel_size: Sizes, stride: Sizes = None, padding: Sizes = 0, ceil_mode: bool = False
) -> Any:
    """Greatest element of each window of (N, C, H, W).

    Padding counts as minus infinity; of equal elements the first gets the gradient.
    The stride is the window's size by default.
    """
    return _max_pool("max_pool2d", 2, x, kernel_size, stride, padding, ceil_mode)


@function("max_pool3d")
def max_pool3d(
    x: Any, kernel_size: Sizes, stride: Sizes = None, padding: Sizes = 0, ceil_mode: bool = False
) -> Any:
    """Greatest element of each window of (N, C, D, H, W)."""
    return _max_pool("max_pool3d", 3, x, kernel_size, stride, padding, ceil_mode)


@function("average_pool1d")
def average_pool1d(
    x: Any,
    kernel_size: Sizes,
    stride: Sizes = None,
    padding: Sizes = 0,
    count_include_pad: bool = True,
    ceil_mode: bool = False,
) -> Any:
    """Mean of each window of (N, C, L)."""
    return _average_pool(
        "average_pool1d", 1, x, kernel_size, stride, padding, count_include_pad, ceil_mode
    )


@function("average_pool2d")
def average_pool2d(
    x: Any,
    kernel_size: Sizes,
    stride: Sizes = None,
    padding: Sizes = 0,
    count_include_pad: bool = True,
    ceil_mode: bool = False,
) -> Any:
    """Mean of each window of (N, C, H, W).

    With ``count_include_pad`` the zeros of the padding are averaged too, but not what
    ``ceil_mode`` adds behind it.
    """
    return _average_pool(
        "average_pool2d", 2, x, kernel_size, stride, padding, count_include_pad, ceil_mode
    )


@function("average_pool3d")
def average_pool3d(
    x: Any,
    kernel_size: Sizes,
    stride: Sizes = None,
    padding: Sizes = 0,
    count_include_pad: bool = True,
    ceil_mode: bool = False,
) -> Any:
    """Mean of each window of (N, C, D, H, W)."""
    return _average_pool(
        "average_pool3d", 3, x, kernel_size, stride, padding, count_include_pad, ceil_mode
    )


@function("global_average_pool")
def global_average_pool(x: Any, keepdims: bool = False) -> Any:
    """Mean over all spatial axes of (N, C, spatial...)."""
    return mean(x, tuple(range(2, x.ndim)), keepdims)


@function("global_max_pool")
def global_max_pool(x: Any, keepdims: bool = False) -> Any:
    """Greatest element over all spatial axes; ties share the gradient equally."""
    return max_(x, tuple(range(2, x.ndim)), keepdims)
