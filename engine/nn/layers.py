"""Layers with weights. Names, shapes and initial values are those a PyTorch reader expects.

The weights carry PyTorch's names and layouts, so that a ``state_dict`` goes from one to the other.
Initial values are the canonical ones of graphstudio's nodes: Glorot for dense layers, He for
convolutions, zeros for offsets.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from engine import ops
from engine.backend import Array
from engine.errors import EngineError, ShapeError
from engine.nn.module import Module, new_buffer, new_parameter
from engine.ops.windows import same_pads
from engine.tensor import Tensor
from engine.value import Value

Sizes = int | tuple[int, ...]
"""One number for every spatial axis, or one each."""


def _sizes(value: Sizes, num_axes: int) -> tuple[int, ...]:
    return (value,) * num_axes if isinstance(value, int) else value


def _check_groups(what: str, in_channels: int, out_channels: int, groups: int) -> None:
    if groups < 1 or in_channels % groups or out_channels % groups:
        raise EngineError(
            f"{what} found groups={groups} for {in_channels} input and {out_channels} output "
            "channels; expected a number that divides both."
        )


class Linear(Module):
    """``x @ weight.T + bias`` on the last axis: (..., in_features) to (..., out_features)."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = new_parameter("glorot_uniform", out_features, in_features)
        self.bias: Tensor | None = new_parameter("zeros", out_features) if bias else None

    def forward(self, x: Any) -> Any:
        y = ops.matmul(x, self.weight, transpose_b=True)
        return y if self.bias is None else y + self.bias

    def describe(self) -> str:
        units, features = self.weight.shape
        return f"{features}, {units}"


class _Conv(Module):
    """Convolution of (N, C, spatial...).

    Parameters
    ----------
    padding : int, tuple, "same" or "valid"
        Zeros on each side of each axis, or pairs (before, after); "same" pads so that the output
        has ``ceil(size / stride)`` elements, with an odd zero at the end.
    """

    num_axes: ClassVar[int]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes | str = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        size = _sizes(kernel_size, self.num_axes)
        if isinstance(padding, str) and padding not in ("same", "valid"):
            raise EngineError(
                f"{type(self).__name__} found padding={padding!r}; expected numbers, 'same' or "
                "'valid'."
            )
        _check_groups(type(self).__name__, in_channels, out_channels, groups)
        self.weight = new_parameter("he_normal", out_channels, in_channels // groups, *size)
        self.bias: Tensor | None = new_parameter("zeros", out_channels) if bias else None
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.groups = groups

    def forward(self, x: Any) -> Any:
        call = (ops.conv1d, ops.conv2d, ops.conv3d)[self.num_axes - 1]
        return call(
            x, self.weight, self.bias, self.stride, self._pads(x), self.dilation, self.groups
        )

    def _pads(self, x: Any) -> Any:
        if not isinstance(self.padding, str):
            return self.padding
        if self.padding == "valid":
            return 0
        steps = (_sizes(value, self.num_axes) for value in (self.stride, self.dilation))
        return same_pads(x.shape[2:], self.weight.shape[2:], *steps)

    def describe(self) -> str:
        filters, channels, *size = self.weight.shape
        return f"{channels * self.groups}, {filters}, kernel_size={tuple(size)}"


class Conv1d(_Conv):
    """Convolution of (N, C, L)."""

    num_axes = 1


class Conv2d(_Conv):
    """Convolution of (N, C, H, W)."""

    num_axes = 2


class Conv3d(_Conv):
    """Convolution of (N, C, D, H, W)."""

    num_axes = 3


class SeparableConv2d(Module):
    """A filter for each channel of (N, C, H, W), then a mixture of the channels at each pixel.

    Parameters
    ----------
    multiplier : int
        Filters for each channel.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes | str = 0,
        dilation: Sizes = 1,
        multiplier: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        wide = in_channels * multiplier
        self.depthwise = Conv2d(
            in_channels, wide, kernel_size, stride, padding, dilation, in_channels, bias=False
        )
        self.pointwise = Conv2d(wide, out_channels, 1, bias=bias)

    def forward(self, x: Any) -> Any:
        return self.pointwise(self.depthwise(x))


class _ConvTranspose(Module):
    """Transposed convolution of (N, C, spatial...)."""

    num_axes: ClassVar[int]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        output_padding: Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Sizes = 1,
    ) -> None:
        super().__init__()
        size = _sizes(kernel_size, self.num_axes)
        _check_groups(type(self).__name__, in_channels, out_channels, groups)
        self.weight = new_parameter("he_normal", in_channels, out_channels // groups, *size)
        self.bias: Tensor | None = new_parameter("zeros", out_channels) if bias else None
        self.stride, self.padding, self.output_padding = stride, padding, output_padding
        self.dilation, self.groups = dilation, groups

    def forward(self, x: Any) -> Any:
        call = (ops.conv_transpose1d, ops.conv_transpose2d, ops.conv_transpose3d)[self.num_axes - 1]
        return call(
            x, self.weight, self.bias, self.stride, self.padding, self.output_padding,
            self.dilation, self.groups,
        )  # fmt: skip

    def describe(self) -> str:
        channels, filters, *size = self.weight.shape
        return f"{channels}, {filters * self.groups}, kernel_size={tuple(size)}"


class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution of (N, C, L)."""

    num_axes = 1


class ConvTranspose2d(_ConvTranspose):
    """Transposed convolution of (N, C, H, W)."""

    num_axes = 2


class ConvTranspose3d(_ConvTranspose):
    """Transposed convolution of (N, C, D, H, W)."""

    num_axes = 3


class BatchNorm(Module):
    """Batch normalisation of axis 1, for any number of further axes.

    Parameters
    ----------
    momentum : float
        Share of the batch in the new running statistics, as in PyTorch.
    """

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.weight = new_parameter("ones", num_features)
        self.bias = new_parameter("zeros", num_features)
        self.running_mean = new_buffer(0.0, num_features)
        self.running_var = new_buffer(1.0, num_features)
        self.eps, self.momentum = eps, momentum

    def forward(self, x: Any) -> Any:
        return ops.batch_norm(
            x, self.weight, self.bias, self.running_mean, self.running_var,
            self.momentum, self.eps, self.training,
        )  # fmt: skip

    def adapt_state(self, arrays: dict[str, Array], prefix: str) -> None:
        arrays.pop(f"{prefix}num_batches_tracked", None)  # of use only to PyTorch

    def describe(self) -> str:
        return str(self.weight.size)


class LayerNorm(Module):
    """Normalisation of the trailing axes of each sample."""

    def __init__(self, normalized_shape: int | tuple[int, ...], eps: float = 1e-5) -> None:
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else normalized_shape
        self.weight = new_parameter("ones", *shape)
        self.bias = new_parameter("zeros", *shape)
        self.eps = eps

    def forward(self, x: Any) -> Any:
        return ops.layer_norm(x, self.weight, self.bias, len(self.weight.shape), self.eps)


class GroupNorm(Module):
    """Normalisation of groups of channels of each sample."""

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = new_parameter("ones", num_channels)
        self.bias = new_parameter("zeros", num_channels)
        self.num_groups, self.eps = num_groups, eps

    def forward(self, x: Any) -> Any:
        return ops.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


class InstanceNorm(Module):
    """Normalisation of each channel of each sample; with weights if it knows how many there are."""

    def __init__(self, num_features: int | None = None, eps: float = 1e-5) -> None:
        super().__init__()
        if isinstance(num_features, float):  # an epsilon in its place
            raise EngineError(
                f"InstanceNorm found num_features={num_features}; expected a whole number, or None "
                "for a layer without weights. Give the other number as eps=."
            )
        self.weight = None if num_features is None else new_parameter("ones", num_features)
        self.bias = None if num_features is None else new_parameter("zeros", num_features)
        self.eps = eps

    def forward(self, x: Any) -> Any:
        return ops.instance_norm(x, self.weight, self.bias, self.eps)


class RMSNorm(Module):
    """The last axis divided by its root mean square, then scaled."""

    def __init__(self, normalized_shape: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = new_parameter("ones", normalized_shape)
        self.eps = eps

    def forward(self, x: Any) -> Any:
        return ops.rms_norm(x, self.weight, self.eps)


class PReLU(Module):
    """x where positive, else x times a slope that is learnt: one, or one a channel."""

    def __init__(self, num_parameters: int = 1, init: float = 0.25) -> None:
        super().__init__()
        self.weight = new_parameter("constant", num_parameters, value=init)

    def forward(self, x: Any) -> Any:
        return ops.prelu(x, self.weight)


class Embedding(Module):
    """A row of a table for each whole number: (...) to (..., embedding_dim)."""

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None
    ) -> None:
        super().__init__()
        self.weight = new_parameter("normal", num_embeddings, embedding_dim, std=1.0)
        self.padding_idx = padding_idx
        if padding_idx is not None:
            if not 0 <= padding_idx < num_embeddings:
                raise EngineError(
                    f"Embedding found padding_idx={padding_idx}; expected 0 to "
                    f"{num_embeddings - 1}."
                )
            self.weight.data[padding_idx] = 0.0

    def forward(self, ids: Any) -> Any:
        return ops.embedding(ids, self.weight, self.padding_idx)


class MultiheadAttention(Module):
    """Attention of several heads over (N, T, embed_dim); a mask is true where a key may be seen.

    Unlike PyTorch's it is batch first, and returns the result alone.
    """

    def __init__(self, embed_dim: int, num_heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if num_heads < 1 or embed_dim % num_heads:
            raise EngineError(
                f"MultiheadAttention found embed_dim={embed_dim} and num_heads={num_heads}; "
                "expected a width that the heads divide."
            )
        self.in_proj_weight = new_parameter("glorot_uniform", 3 * embed_dim, embed_dim)
        self.in_proj_bias = new_parameter("zeros", 3 * embed_dim)
        self.out_proj = Linear(embed_dim, embed_dim)
        self.num_heads, self.dropout = num_heads, dropout

    def forward(
        self,
        query: Any,
        key: Any = None,
        value: Any = None,
        mask: Any = None,
        is_causal: bool = False,
        key_mask: Any = None,
    ) -> Any:
        """The queries' sums of values, (N, T, embed_dim).

        Parameters
        ----------
        query : (N, T, embed_dim)
        key, value : (N, S, embed_dim), optional
            The query itself by default; the value is the key by default.
        mask : bool, broadcast to (N, heads, T, S), optional
        is_causal : bool
            Let query ``i`` see keys up to ``i`` only.
        key_mask : bool (N, S), optional
            True where a key is no padding.
        """
        key = query if key is None else key
        value = key if value is None else value
        return ops.multi_head_attention(
            query, key, value, self.in_proj_weight, self.in_proj_bias,
            self.out_proj.weight, self.out_proj.bias, self.num_heads,
            self._joined(mask, key_mask, key), is_causal, self.dropout if self.training else 0.0,
        )  # fmt: skip

    def _joined(self, mask: Any, key_mask: Any, key: Any) -> Any:
        """One mask, broadcast to (N, heads, T, S)."""
        if key_mask is None:
            return mask
        seen = key_mask if isinstance(key_mask, Value) else key.constant_like(key_mask)
        if seen.shape != key.shape[:2] or seen.dtype != np.dtype(bool):
            raise ShapeError(
                f"MultiheadAttention found a key_mask {seen.spec} for keys {key.shape}; expected "
                f"bool{key.shape[:2]}, True where a key is no padding."
            )
        wide = seen.reshape((seen.shape[0], 1, 1, seen.shape[1]))
        return wide if mask is None else ops.where(mask, wide, mask)

    def describe(self) -> str:
        return f"{self.out_proj.weight.shape[0]}, {self.num_heads}"
