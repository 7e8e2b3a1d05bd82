"""Layers without weights: activations, pooling, dropout, flatten."""

from __future__ import annotations

from typing import Any

from engine import ops
from engine.nn.layers import Pair
from engine.nn.module import Module


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


class Softmax(Module):
    """Shares that add up to 1 along an axis."""

    def __init__(self, axis: int = -1) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, x: Any) -> Any:
        return ops.softmax(x, self.axis)


class Dropout(Module):
    """Zeroes a share ``p`` of the elements while training, and scales the others by 1/(1-p)."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Any) -> Any:
        return ops.dropout(x, self.p, self.training)

    def describe(self) -> str:
        return f"p={self.p:g}"


class Flatten(Module):
    """All axes after the first as one."""

    def forward(self, x: Any) -> Any:
        return ops.flatten(x)


class MaxPool2d(Module):
    """Greatest element of each window of (N, C, H, W); the stride is the window by default."""

    def __init__(self, kernel_size: Pair, stride: Pair | None = None, padding: Pair = 0) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding

    def forward(self, x: Any) -> Any:
        return ops.max_pool2d(x, self.kernel_size, self.stride, self.padding)


class AvgPool2d(Module):
    """Mean of each window of (N, C, H, W)."""

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Pair = 0,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.count_include_pad = count_include_pad

    def forward(self, x: Any) -> Any:
        return ops.average_pool2d(
            x, self.kernel_size, self.stride, self.padding, self.count_include_pad
        )


class GlobalAvgPool2d(Module):
    """Mean over the map: (N, C, H, W) to (N, C)."""

    def forward(self, x: Any) -> Any:
        return ops.global_average_pool(x)
