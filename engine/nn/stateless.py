"""Layers without weights: activations, pooling, dropout, flatten."""

from __future__ import annotations

from typing import Any, ClassVar

from engine import ops
from engine.errors import EngineError
from engine.nn.layers import Sizes
from engine.nn.module import Module
from engine.value import setting


class ReLU(Module):
    """max(x, 0)."""

    def forward(self, x: Any) -> Any:
        return ops.relu(x)


class LeakyReLU(Module):
    """x where positive, else ``negative_slope * x``."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, x: Any) -> Any:
        return ops.leaky_relu(x, self.negative_slope)


class Sigmoid(Module):
    """1 / (1 + exp(-x))."""

    def forward(self, x: Any) -> Any:
        return ops.sigmoid(x)


class Tanh(Module):
    """Hyperbolic tangent."""

    def forward(self, x: Any) -> Any:
        return ops.tanh(x)


class GELU(Module):
    """x times the normal distribution function of x; ``approximate`` is "none" or "tanh"."""

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, x: Any) -> Any:
        return ops.gelu(x, self.approximate)


class SiLU(Module):
    """x times its sigmoid."""

    def forward(self, x: Any) -> Any:
        return ops.silu(x)


class ReLU6(Module):
    """x limited to 0 .. 6."""

    def forward(self, x: Any) -> Any:
        return ops.relu6(x)


class ELU(Module):
    """x where positive, else ``alpha * (e^x - 1)``."""

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, x: Any) -> Any:
        return ops.elu(x, self.alpha)


class SELU(Module):
    """ELU scaled so that mean 0 and variance 1 stay."""

    def forward(self, x: Any) -> Any:
        return ops.selu(x)


class Softplus(Module):
    """log(1 + e^x)."""

    def forward(self, x: Any) -> Any:
        return ops.softplus(x)


class Mish(Module):
    """x times the hyperbolic tangent of its softplus."""

    def forward(self, x: Any) -> Any:
        return ops.mish(x)


class Hardswish(Module):
    """x times ``x / 6 + 1/2`` limited to 0 .. 1."""

    def forward(self, x: Any) -> Any:
        return ops.hard_swish(x)


class Hardsigmoid(Module):
    """``x / 6 + 1/2`` limited to 0 .. 1."""

    def forward(self, x: Any) -> Any:
        return ops.hard_sigmoid(x)


class Identity(Module):
    """x itself."""

    def forward(self, x: Any) -> Any:
        return x


class LogSoftmax(Module):
    """Logarithm of the softmax along an axis."""

    def __init__(self, axis: int = -1) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, x: Any) -> Any:
        return ops.log_softmax(x, self.axis)


class Softmax(Module):
    """Shares that add up to 1 along an axis."""

    def __init__(self, axis: int = -1) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, x: Any) -> Any:
        return ops.softmax(x, self.axis)


def _share(layer: str, p: float) -> float:
    """The share of elements that a dropout layer zeroes."""
    share = setting(layer, "p", p, 0.0, 1.0)
    if share == 1.0:
        raise EngineError(f"{layer} found p={p!r}; expected a number below 1.")
    return share


class Dropout(Module):
    """Zeroes a share ``p`` of the elements while training, and scales the others by 1/(1-p)."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = _share(type(self).__name__, p)

    def forward(self, x: Any) -> Any:
        return ops.dropout(x, self.p, self.training)

    def describe(self) -> str:
        return f"p={self.p:g}"


class SpatialDropout(Module):
    """Zeroes a share ``p`` of whole channels while training."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = _share(type(self).__name__, p)

    def forward(self, x: Any) -> Any:
        return ops.spatial_dropout(x, self.p, self.training)

    def describe(self) -> str:
        return f"p={self.p:g}"


class GaussianNoise(Module):
    """Adds normal noise of deviation ``std`` while training."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Any) -> Any:
        return ops.gaussian_noise(x, self.std, self.training)


class Flatten(Module):
    """All axes after the first as one."""

    def forward(self, x: Any) -> Any:
        return ops.flatten(x)


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


class AdaptiveAvgPool2d(Module):
    """(N, C, H, W) averaged to a given height and width."""

    def __init__(self, output_size: Sizes) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, x: Any) -> Any:
        return ops.adaptive_average_pool2d(x, self.output_size)


class AdaptiveMaxPool2d(Module):
    """Greatest elements of (N, C, H, W), as many as the given height and width."""

    def __init__(self, output_size: Sizes) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, x: Any) -> Any:
        return ops.adaptive_max_pool2d(x, self.output_size)


class Upsample(Module):
    """(N, C, H, W) enlarged by whole factors, "nearest" or "bilinear"."""

    def __init__(self, scale_factor: Sizes, mode: str = "nearest") -> None:
        super().__init__()
        self.scale_factor, self.mode = scale_factor, mode

    def forward(self, x: Any) -> Any:
        return ops.upsample(x, self.scale_factor, self.mode)


class GlobalAvgPool2d(Module):
    """Mean over the map: (N, C, H, W) to (N, C)."""

    def forward(self, x: Any) -> Any:
        return ops.global_average_pool(x)


class GlobalMaxPool2d(Module):
    """Greatest element of the map: (N, C, H, W) to (N, C)."""

    def forward(self, x: Any) -> Any:
        return ops.global_max_pool(x)
