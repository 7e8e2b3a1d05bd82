"""Layers with weights. Names, shapes and initial values are those a PyTorch reader expects.

The weights carry PyTorch's names and layouts, so that a ``state_dict`` goes from one to the other.
Initial values are the canonical ones of graphstudio's nodes: Glorot for dense layers, He for
convolutions, zeros for offsets.
"""

from __future__ import annotations

from typing import Any, ClassVar

from engine import ops
from engine.backend import Array
from engine.errors import EngineError
from engine.nn.module import Module, new_buffer, new_parameter
from engine.tensor import Tensor

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
    """Convolution of (N, C, spatial...)."""

    num_axes: ClassVar[int]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        size = _sizes(kernel_size, self.num_axes)
        _check_groups(type(self).__name__, in_channels, out_channels, groups)
        self.weight = new_parameter("he_normal", out_channels, in_channels // groups, *size)
        self.bias: Tensor | None = new_parameter("zeros", out_channels) if bias else None
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.groups = groups

    def forward(self, x: Any) -> Any:
        call = (ops.conv1d, ops.conv2d, ops.conv3d)[self.num_axes - 1]
        return call(
            x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )

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
    """Normalisation of each channel of each sample, without weights."""

    def __init__(self, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, x: Any) -> Any:
        return ops.instance_norm(x, epsilon=self.eps)


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
    """Attention of several heads over (N, T, embed_dim); a mask is true where a key may be seen."""

    def __init__(self, embed_dim: int, num_heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.in_proj_weight = new_parameter("glorot_uniform", 3 * embed_dim, embed_dim)
        self.in_proj_bias = new_parameter("zeros", 3 * embed_dim)
        self.out_proj = Linear(embed_dim, embed_dim)
        self.num_heads, self.dropout = num_heads, dropout

    def forward(
        self, query: Any, key: Any, value: Any, mask: Any = None, is_causal: bool = False
    ) -> Any:
        return ops.multi_head_attention(
            query, key, value, self.in_proj_weight, self.in_proj_bias,
            self.out_proj.weight, self.out_proj.bias, self.num_heads, mask, is_causal,
            self.dropout if self.training else 0.0,
        )  # fmt: skip
