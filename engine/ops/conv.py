"""Convolution in one, two or three dimensions: forward and both gradients.

Every kernel works on channels-last memory: windows are gathered into a matrix, and one product does
the arithmetic. The three primitives are each other's gradients, so gradients of any order exist.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from engine.backend import Array, einsum, strided
from engine.errors import ShapeError
from engine.function import Axes, Call, Primitive, Step, apply, function, lift, primitive
from engine.ops.pad import pad
from engine.ops.windows import (
    Sizes,
    Window,
    channels_last,
    pads_per_axis,
    per_axis,
    to_channels_last,
    window_for,
)
from engine.value import Shape, Spec, require_float, same_dtype


class _Geometry:
    """Sizes of one convolution, from the shapes of its operands."""

    def __init__(self, x: Shape, w: Shape, window: Window, groups: int) -> None:
        self.window, self.groups = window, groups
        self.batch, self.channels, self.spatial = x[0], x[1], x[2:]
        self.filters = w[0]
        self.counts = window.output_shape("conv", self.spatial)
        self.rows = self.batch * math.prod(self.counts)
        self.taps = math.prod(window.kernel)
        self.depth = self.channels // groups
        self.width = self.taps * self.depth
        self.per_group = self.filters // groups
        self.depthwise = self.depth == 1 and groups > 1

    @property
    def padded(self) -> Shape:
        return (self.batch, *self.window.padded_shape(self.spatial), self.channels)

    @property
    def columns(self) -> Shape:
        return (self.groups, self.rows, self.width)


class _Conv(Primitive):
    """What the three primitives share."""

    def geometry(self, inputs: Sequence[Spec], attrs: dict[str, Any]) -> _Geometry:
        raise NotImplementedError

    def layout(self, orders: Sequence[Axes], specs: Sequence[Spec], **attrs: Any) -> list[Axes]:
        return [channels_last(len(specs[0].shape))]

    def scratch(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        g, dtype = self.geometry(inputs, attrs), inputs[0].dtype
        return Spec(g.padded, dtype), Spec(g.columns, dtype)


def _matrix(w: Array, g: _Geometry) -> Callable[[], Array]:
    """The filters as (groups, filters a group, taps * depth), in the order of the columns."""
    last = to_channels_last(w)
    if last.flags.c_contiguous:
        fixed = last.reshape(g.groups, g.per_group, g.width)
        return lambda: fixed
    room = np.empty_like(last, order="C") if isinstance(w, np.ndarray) else last.copy()
    matrix = room.reshape(g.groups, g.per_group, g.width)

    def copy() -> Array:
        np.copyto(room, last)
        return matrix

    return copy


def _gather(
    x: Array, g: _Geometry, padded: Array, columns: Array
) -> tuple[Callable[[], None], Array]:
    """A step that gathers the windows of ``x``, and the (groups, rows, width) matrix it fills."""
    last, w = to_channels_last(x), g.window
    if w.is_pointwise and g.groups == 1 and last.flags.c_contiguous:
        return (lambda: None), last.reshape(1, g.rows, g.width)
    fill = w.pads or not last.flags.c_contiguous
    source = padded if fill else last
    interior = w.interior(padded, g.spatial)
    windows = w.view(source, g.counts)
    nd = len(g.counts)
    split = windows.reshape((*windows.shape[:-1], g.groups, g.depth)) if g.groups == 1 else None
    if split is None:
        step = windows.strides[-1]
        split = strided(
            windows,
            (*windows.shape[:-1], g.groups, g.depth),
            (*windows.strides[:-1], step * g.depth, step),
        )
    else:
        split = windows[..., None, :]
    group_first = split.transpose(2 * nd + 1, *range(2 * nd + 1), 2 * nd + 2)
    target = columns.reshape(group_first.shape)

    def step_() -> None:
        if fill:
            if w.pads:
                padded.fill(0)
            np.copyto(interior, last)
        np.copyto(target, group_first)

    return step_, columns


def _grouped_rows(y: Array, g: _Geometry) -> tuple[Array, bool]:
    """Channels-last (N, counts..., filters) as (groups, rows, filters a group), and if a view."""
    last = to_channels_last(y)
    flat = last.reshape(g.rows, g.groups, g.per_group)
    return flat.transpose(1, 0, 2), bool(np.shares_memory(flat, y)) if y.size else True


@primitive
class _ConvForward(_Conv):
    """(N, C, spatial...) and (filters, C / groups, kernel...) to (N, filters, counts...)."""

    name = "conv"

    def geometry(self, inputs: Sequence[Spec], attrs: dict[str, Any]) -> _Geometry:
        return _Geometry(inputs[0].shape, inputs[1].shape, attrs["window"], attrs["groups"])

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        x, w = inputs
        dtype = same_dtype("conv", x, w)
        window: Window = attrs["window"]
        counts = window.output_shape("conv", x.shape[2:])
        return Spec((x.shape[0], w.shape[0], *counts), dtype)

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        x, w = inputs
        y = outputs[0]
        g = _Geometry(x.shape, w.shape, attrs["window"], attrs["groups"])
        weights = _matrix(w, g)
        gather, columns = _gather(x, g, *scratch)
        rows, is_view = _grouped_rows(y, g)
        last = to_channels_last(y)

        if g.depthwise:

            def multiply() -> None:
                einsum("grw,gfw->grf", columns, weights(), out=rows)
        else:

            def multiply() -> None:
                filters = weights()
                for i in range(g.groups):
                    np.matmul(columns[i], filters[i].T, out=rows[i])

        def step() -> None:
            gather()
            multiply()
            if not is_view:
                last[...] = rows.transpose(1, 0, 2).reshape(last.shape)

        return step

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        (x, w), g = call.inputs, grads[0]
        return (
            apply("conv_input_gradient", g, w, **call.attrs, spatial=x.shape[2:])
            if call.needs[0]
            else None,
            apply("conv_weight_gradient", x, g, **call.attrs) if call.needs[1] else None,
        )


@primitive
class _ConvInputGradient(_Conv):
    """Gradient of ``conv`` with respect to its input: also the transposed convolution."""

    name = "conv_input_gradient"

    def geometry(self, inputs: Sequence[Spec], attrs: dict[str, Any]) -> _Geometry:
        g, w = inputs
        x = (g.shape[0], w.shape[1] * attrs["groups"], *attrs["spatial"])
        return _Geometry(x, w.shape, attrs["window"], attrs["groups"])

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        g, w = inputs
        dtype = same_dtype("conv_input_gradient", g, w)
        return Spec((g.shape[0], w.shape[1] * attrs["groups"], *attrs["spatial"]), dtype)

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        grad, w = inputs
        out, (padded, columns) = outputs[0], scratch
        g = _Geometry(out.shape, w.shape, attrs["window"], attrs["groups"])
        weights = _matrix(w, g)
        last_grad = to_channels_last(grad)
        last_out = to_channels_last(out)
        contiguous = last_grad.flags.c_contiguous
        room = last_grad if contiguous else np.empty_like(last_grad, order="C")
        rows = room.reshape(g.rows, g.groups, g.per_group).transpose(1, 0, 2)
        direct = g.window.is_pointwise and g.groups == 1 and last_out.flags.c_contiguous
        if direct:
            columns = last_out.reshape(1, g.rows, g.width)
        nd = len(g.counts)
        by_tap = columns.reshape(g.groups, g.batch, *g.counts, g.taps, g.depth)
        # (taps, N, counts..., groups, depth)
        by_tap = by_tap.transpose(nd + 2, *range(1, nd + 2), 0, nd + 3)
        targets = [
            t.reshape((*t.shape[:-1], g.groups, g.depth))
            if g.groups == 1
            else strided(
                t,
                (*t.shape[:-1], g.groups, g.depth),
                (*t.strides[:-1], t.strides[-1] * g.depth, t.strides[-1]),
            )
            for t in (g.window.taps(padded, g.counts) if g.groups > 1 else ())
        ] or [t[..., None, :] for t in g.window.taps(padded, g.counts)]
        interior = g.window.interior(padded, g.spatial)

        def step() -> None:
            if not contiguous:
                np.copyto(room, last_grad)
            filters = weights()
            if g.depthwise:
                einsum("grf,gfw->grw", rows, filters, out=columns)
            else:
                for i in range(g.groups):
                    np.matmul(rows[i], filters[i], out=columns[i])
            if direct:
                return
            padded.fill(0)
            for tap, target in enumerate(targets):
                np.add(target, by_tap[tap], out=target)
            np.copyto(last_out, interior)

        return step

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        (g, w), u = call.inputs, grads[0]
        attrs = {k: v for k, v in call.attrs.items() if k != "spatial"}
        return (
            apply("conv", u, w, **attrs) if call.needs[0] else None,
            apply("conv_weight_gradient", u, g, **attrs) if call.needs[1] else None,
        )


@primitive
class _ConvWeightGradient(_Conv):
    """Gradient of ``conv`` with respect to its filters."""

    name = "conv_weight_gradient"

    def geometry(self, inputs: Sequence[Spec], attrs: dict[str, Any]) -> _Geometry:
        x, _ = inputs
        return _Geometry(
            x.shape, self.infer(*inputs, **attrs).shape, attrs["window"], attrs["groups"]
        )

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        x, g = inputs
        window: Window = attrs["window"]
        dtype = same_dtype("conv_weight_gradient", x, g)
        return Spec((g.shape[1], x.shape[1] // attrs["groups"], *window.kernel), dtype)

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        x, grad = inputs
        out = outputs[0]
        g = _Geometry(x.shape, out.shape, attrs["window"], attrs["groups"])
        gather, columns = _gather(x, g, *scratch)
        last_grad = to_channels_last(grad)
        contiguous = last_grad.flags.c_contiguous
        room = last_grad if contiguous else np.empty_like(last_grad, order="C")
        rows = room.reshape(g.rows, g.groups, g.per_group).transpose(1, 0, 2)
        last_out = to_channels_last(out)
        direct = last_out.flags.c_contiguous
        target = last_out if direct else np.empty_like(last_out, order="C")
        matrix = target.reshape(g.groups, g.per_group, g.width)

        def step() -> None:
            if not contiguous:
                np.copyto(room, last_grad)
            gather()
            if g.depthwise:
                einsum("grf,grw->gfw", rows, columns, out=matrix)
            else:
                for i in range(g.groups):
                    np.matmul(rows[i].T, columns[i], out=matrix[i])
            if not direct:
                np.copyto(last_out, target)

        return step

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        (x, g), u = call.inputs, grads[0]
        return (
            apply("conv_input_gradient", g, u, **call.attrs, spatial=x.shape[2:])
            if call.needs[0]
            else None,
            apply("conv", x, u, **call.attrs) if call.needs[1] else None,
        )


def _conv(
    what: str,
    nd: int,
    x: Any,
    weight: Any,
    bias: Any,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
) -> Any:
    x, weight = lift(x, weight)
    require_float(what, x.spec)
    same_dtype(what, x.spec, weight.spec)
    letters = "DHW"[3 - nd :]
    if x.ndim != nd + 2 or weight.ndim != nd + 2:
        raise ShapeError(
            f"{what} found input {x.shape} and weight {weight.shape}; expected input "
            f"(N, C, {', '.join(letters)}) and weight (filters, C / groups, kernel sizes)."
        )
    channels, filters = x.shape[1], weight.shape[0]
    if groups < 1 or channels % groups or filters % groups:
        raise ShapeError(
            f"{what} found groups={groups} for {channels} input and {filters} output channels; "
            "expected a number that divides both."
        )
    if weight.shape[1] * groups != channels:
        raise ShapeError(
            f"{what} found input {x.shape} with {channels} channels and weight {weight.shape}; "
            f"expected {weight.shape[1]} x {groups} groups = {weight.shape[1] * groups} channels."
        )
    window = window_for(what, nd, weight.shape[2:], stride, padding, dilation)
    y = apply("conv", x, weight, window=window, groups=int(groups))
    return _with_bias(what, y, bias, filters, nd)


def _with_bias(what: str, y: Any, bias: Any, filters: int, nd: int) -> Any:
    if bias is None:
        return y
    if bias.shape != (filters,):
        raise ShapeError(f"{what} found bias {bias.shape}; expected ({filters},).")
    return y + bias.reshape((1, filters) + (1,) * nd)


@function("conv1d")
def conv1d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Any:
    """Cross-correlation of (N, C, L) with filters (F, C / groups, k)."""
    return _conv("conv1d", 1, x, weight, bias, stride, padding, dilation, groups)


@function("conv2d")
def conv2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Any:
    """Cross-correlation of (N, C, H, W) with filters (F, C / groups, kh, kw).

    Parameters
    ----------
    stride, dilation : int or (int, int)
    padding : int, (int, int) or ((top, bottom), (left, right))
        Zeros added around the input.
    groups : int
        Channels are cut into so many groups, each with its own filters.
    """
    return _conv("conv2d", 2, x, weight, bias, stride, padding, dilation, groups)


@function("conv3d")
def conv3d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Any:
    """Cross-correlation of (N, C, D, H, W) with filters (F, C / groups, kd, kh, kw)."""
    return _conv("conv3d", 3, x, weight, bias, stride, padding, dilation, groups)


def _conv_transpose(
    what: str,
    nd: int,
    x: Any,
    weight: Any,
    bias: Any,
    stride: Sizes,
    padding: Sizes,
    output_padding: Sizes,
    dilation: Sizes,
    groups: int,
) -> Any:
    x, weight = lift(x, weight)
    require_float(what, x.spec)
    same_dtype(what, x.spec, weight.spec)
    if x.ndim != nd + 2 or weight.ndim != nd + 2:
        raise ShapeError(
            f"{what} found input {x.shape} and weight {weight.shape}; expected input "
            "(N, C, spatial...) and weight (C, filters / groups, kernel sizes)."
        )
    if weight.shape[0] != x.shape[1] or groups < 1 or x.shape[1] % groups:
        raise ShapeError(
            f"{what} found input {x.shape}, weight {weight.shape} and groups={groups}; expected "
            "the weight's first size to be the number of input channels, a multiple of groups."
        )
    window = window_for(what, nd, weight.shape[2:], stride, padding, dilation)
    extra = per_axis(what, "output_padding", output_padding, nd, 0)
    pads = pads_per_axis(what, padding, nd)
    spatial, own_pads, zeros = [], [], []
    for i, n in enumerate(x.shape[2:]):
        if extra[i] >= max(window.stride[i], window.dilation[i]):
            raise ShapeError(
                f"{what} found output_padding={output_padding}; expected less than the stride "
                "or the dilation."
            )
        reach = window.dilation[i] * (window.kernel[i] - 1) + 1
        size = (n - 1) * window.stride[i] - sum(pads[i]) + reach + extra[i]
        spatial.append(size)
        (before, after), rest = pads[i], 0
        if extra[i] >= window.stride[i]:
            # The convolution whose gradient this is would have a window more than x has elements:
            # what lies beyond the last window's reach is added afterwards, as zeros.
            shift = min(after, extra[i])
            after, rest = after - shift, max(extra[i] - shift - window.stride[i] + 1, 0)
        own_pads.append((before, after))
        zeros.append(rest)
    if min(spatial) < 1 or 0 in x.shape[2:]:
        raise ShapeError(
            f"{what} found input {x.shape}, which would make spatial shape {tuple(spatial)}; "
            "expected at least 1 along each axis. Pad less."
        )
    y = apply(
        "conv_input_gradient",
        x,
        weight,
        window=window._replace(padding=tuple(own_pads)),
        groups=int(groups),
        spatial=tuple(n - rest for n, rest in zip(spatial, zeros, strict=True)),
    )
    if any(zeros):
        y = pad(y, ((0, 0), (0, 0), *((0, rest) for rest in zeros)))
    return _with_bias(what, y, bias, weight.shape[1] * groups, nd)


@function("conv_transpose1d")
def conv_transpose1d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Any:
    """Transposed convolution of (N, C, L) with weight (C, F / groups, k)."""
    return _conv_transpose(
        "conv_transpose1d", 1, x, weight, bias, stride, padding, output_padding, dilation, groups
    )


@function("conv_transpose2d")
def conv_transpose2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Any:
    """Transposed convolution of (N, C, H, W) with weight (C, F / groups, kh, kw).

    Output size ``(n - 1) * stride - pads + dilation * (k - 1) + 1 + output_padding``.
    """
    return _conv_transpose(
        "conv_transpose2d", 2, x, weight, bias, stride, padding, output_padding, dilation, groups
    )


@function("conv_transpose3d")
def conv_transpose3d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Any:
    """Transposed convolution of (N, C, D, H, W) with weight (C, F / groups, kd, kh, kw)."""
    return _conv_transpose(
        "conv_transpose3d", 3, x, weight, bias, stride, padding, output_padding, dilation, groups
    )
