"""Layers that change the size of maps: pooling and upsampling."""

from __future__ import annotations

from typing import Any, ClassVar

from engine import ops
from engine.errors import EngineError
from engine.nn.layers import Sizes
from engine.nn.module import Module


class _MaxPool(Module):
    """Greatest element of each window; the stride is the window by default."""

    num_axes: ClassVar[int]

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.ceil_mode = ceil_mode

    def forward(self, x: Any) -> Any:
        call = (ops.max_pool1d, ops.max_pool2d, ops.max_pool3d)[self.num_axes - 1]
        return call(x, self.kernel_size, self.stride, self.padding, self.ceil_mode)


class MaxPool1d(_MaxPool):
    """Greatest element of each window of (N, C, L)."""

    num_axes = 1


class MaxPool2d(_MaxPool):
    """Greatest element of each window of (N, C, H, W)."""

    num_axes = 2


class MaxPool3d(_MaxPool):
    """Greatest element of each window of (N, C, D, H, W)."""

    num_axes = 3


class _AvgPool(Module):
    """Mean of each window."""

    num_axes: ClassVar[int]

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, x: Any) -> Any:
        call = (ops.average_pool1d, ops.average_pool2d, ops.average_pool3d)[self.num_axes - 1]
        return call(
            x, self.kernel_size, self.stride, self.padding, self.count_include_pad, self.ceil_mode
        )


class AvgPool1d(_AvgPool):
    """Mean of each window of (N, C, L)."""

    num_axes = 1


class AvgPool2d(_AvgPool):
    """Mean of each window of (N, C, H, W)."""

    num_axes = 2


class AvgPool3d(_AvgPool):
    """Mean of each window of (N, C, D, H, W)."""

    num_axes = 3


class _AdaptivePool(Module):
    """As many windows as the result has places, spread evenly."""

    pool: ClassVar[str]
    """Which operation."""

    def __init__(self, output_size: Sizes) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, x: Any) -> Any:
        return getattr(ops, self.pool)(x, self.output_size)


class AdaptiveAvgPool1d(_AdaptivePool):
    """(N, C, L) averaged to a given length."""

    pool = "adaptive_average_pool1d"


class AdaptiveAvgPool2d(_AdaptivePool):
    """(N, C, H, W) averaged to a given height and width."""

    pool = "adaptive_average_pool2d"


class AdaptiveMaxPool1d(_AdaptivePool):
    """Greatest elements of (N, C, L), as many as the given length."""

    pool = "adaptive_max_pool1d"


class AdaptiveMaxPool2d(_AdaptivePool):
    """Greatest elements of (N, C, H, W), as many as the given height and width."""

    pool = "adaptive_max_pool2d"


class Upsample(Module):
    """(N, C, H, W) enlarged by whole factors or to a given size, "nearest" or "bilinear"."""

    def __init__(
        self,
        scale_factor: Sizes | None = None,
        mode: str = "nearest",
        size: Sizes | None = None,
    ) -> None:
        super().__init__()
        if (scale_factor is None) == (size is None):
            raise EngineError(
                f"Upsample found scale_factor={scale_factor} and size={size}; expected one of them."
            )
        self.scale_factor, self.mode, self.size = scale_factor, mode, size

    def forward(self, x: Any) -> Any:
        if self.size is not None:
            return ops.resize(x, self.size, self.mode)
        assert self.scale_factor is not None
        return ops.upsample(x, self.scale_factor, self.mode)


class GlobalAvgPool2d(Module):
    """Mean over the map: (N, C, H, W) to (N, C)."""

    def forward(self, x: Any) -> Any:
        return ops.global_average_pool(x)


class GlobalMaxPool2d(Module):
    """Greatest element of the map: (N, C, H, W) to (N, C)."""

    def forward(self, x: Any) -> Any:
        return ops.global_max_pool(x)
