"""Layers without weights: activations, dropout, and those that move elements."""

from __future__ import annotations

from typing import Any

from engine import ops
from engine.errors import EngineError, ShapeError
from engine.nn.module import Module
from engine.ops.windows import pads_per_axis
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


class Softsign(Module):
    """x / (1 + |x|)."""

    def forward(self, x: Any) -> Any:
        return ops.softsign(x)


class LogSigmoid(Module):
    """Logarithm of the sigmoid."""

    def forward(self, x: Any) -> Any:
        return ops.log_sigmoid(x)


class Hardtanh(Module):
    """x limited to ``low .. high``."""

    def __init__(self, low: float = -1.0, high: float = 1.0) -> None:
        super().__init__()
        self.low, self.high = low, high

    def forward(self, x: Any) -> Any:
        return ops.hard_tanh(x, self.low, self.high)


class Threshold(Module):
    """x where it is above ``limit``, else ``value``."""

    def __init__(self, limit: float, value: float) -> None:
        super().__init__()
        self.limit, self.value = limit, value

    def forward(self, x: Any) -> Any:
        return ops.threshold(x, self.limit, self.value)


class GLU(Module):
    """First half along an axis times the sigmoid of the second half."""

    def __init__(self, axis: int = -1) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, x: Any) -> Any:
        return ops.glu(x, self.axis)


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


class AlphaDropout(Module):
    """Dropout after SELU, under which mean and variance stay."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = _share(type(self).__name__, p)

    def forward(self, x: Any) -> Any:
        return ops.alpha_dropout(x, self.p, self.training)

    def describe(self) -> str:
        return f"p={self.p:g}"


class LocalResponseNorm(Module):
    """x divided by a power of the mean square of ``size`` channels around."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x: Any) -> Any:
        return ops.local_response_norm(x, self.size, self.alpha, self.beta, self.k)


class DropPath(Module):
    """Zeroes whole samples with chance ``p`` while training, and scales the others."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = _share(type(self).__name__, p)

    def forward(self, x: Any) -> Any:
        return ops.drop_path(x, self.p, self.training)

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
    """All axes from ``start_axis`` on as one."""

    def __init__(self, start_axis: int = 1) -> None:
        super().__init__()
        self.start_axis = start_axis

    def forward(self, x: Any) -> Any:
        return ops.flatten(x, self.start_axis)


class Unflatten(Module):
    """The last axis as several: (..., D) to (..., *shape)."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Any) -> Any:
        return ops.reshape(x, (*x.shape[:-1], *self.shape))

    def describe(self) -> str:
        return ", ".join(map(str, self.shape))


class Pad(Module):
    """More elements around (N, C, spatial...): zeros, or as ``ops.pad`` has them.

    Parameters
    ----------
    padding : int or tuple
        One number for every side, one for each spatial axis, or pairs (before, after).
    """

    def __init__(
        self, padding: int | tuple[Any, ...], mode: str = "constant", value: float = 0.0
    ) -> None:
        super().__init__()
        self.padding, self.mode, self.value = padding, mode, value

    def forward(self, x: Any) -> Any:
        pairs = pads_per_axis("Pad", self.padding, x.ndim - 2)
        return ops.pad(x, ((0, 0), (0, 0), *pairs), self.value, self.mode)


class Crop(Module):
    """(N, C, spatial...) without some elements at each side, given as for ``Pad``."""

    def __init__(self, cropping: int | tuple[Any, ...]) -> None:
        super().__init__()
        self.cropping = cropping

    def forward(self, x: Any) -> Any:
        pairs = pads_per_axis("Crop", self.cropping, x.ndim - 2)
        if any(a + b >= n for n, (a, b) in zip(x.shape[2:], pairs, strict=True)):
            raise ShapeError(
                f"Crop found shape {x.shape} to be cut by {pairs}; expected to leave something of "
                "each axis."
            )
        sides = (slice(a, n - b) for n, (a, b) in zip(x.shape[2:], pairs, strict=True))
        return x[(slice(None), slice(None), *sides)]


class PixelShuffle(Module):
    """(N, C r r, H, W) to (N, C, H r, W r)."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Any) -> Any:
        return ops.pixel_shuffle(x, self.factor)
