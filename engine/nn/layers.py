"""Layers with weights. Names, shapes and initial values are those a PyTorch reader expects.

The weights carry PyTorch's names and layouts, so that a ``state_dict`` goes from one to the other.
Initial values are the canonical ones of graphstudio's nodes: Glorot for dense layers, He for
convolutions, zeros for offsets.
"""

from __future__ import annotations

from typing import Any

from engine import ops
from engine.nn.module import Module, new_buffer, new_parameter
from engine.tensor import Tensor

Pair = int | tuple[int, int]


def _pair(value: Pair) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


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


class Conv2d(Module):
    """Two-dimensional convolution of (N, C, H, W)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        size = _pair(kernel_size)
        self.weight = new_parameter("he_normal", out_channels, in_channels // groups, *size)
        self.bias: Tensor | None = new_parameter("zeros", out_channels) if bias else None
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.groups = groups

    def forward(self, x: Any) -> Any:
        return ops.conv2d(
            x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )

    def describe(self) -> str:
        filters, channels, *size = self.weight.shape
        return f"{channels * self.groups}, {filters}, kernel_size={tuple(size)}"


class ConvTranspose2d(Module):
    """Transposed convolution of (N, C, H, W)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair = 0,
        output_padding: Pair = 0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        size = _pair(kernel_size)
        self.weight = new_parameter("he_normal", in_channels, out_channels, *size)
        self.bias: Tensor | None = new_parameter("zeros", out_channels) if bias else None
        self.stride, self.padding, self.output_padding = stride, padding, output_padding

    def forward(self, x: Any) -> Any:
        return ops.conv_transpose2d(
            x, self.weight, self.bias, self.stride, self.padding, self.output_padding
        )


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


class Embedding(Module):
    """A row of a table for each whole number: (...) to (..., embedding_dim)."""

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None
    ) -> None:
        super().__init__()
        self.weight = new_parameter("normal", num_embeddings, embedding_dim, std=1.0)
        self.padding_idx = padding_idx
        if padding_idx is not None:
            self.weight.data[padding_idx] = 0.0

    def forward(self, ids: Any) -> Any:
        return ops.embedding(ids, self.weight, self.padding_idx)


class LSTM(Module):
    """One layer of long short-term memory, batch first, with one bias a gate.

    Returns the sequence (N, T, H) and the last (h, c), each (N, H).
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.weight_ih = new_parameter("glorot_uniform", 4 * hidden_size, input_size)
        self.weight_hh = new_parameter("orthogonal", 4 * hidden_size, hidden_size)
        self.bias = new_parameter("zeros", 4 * hidden_size)

    def forward(self, x: Any, state: tuple[Any, Any] | None = None) -> Any:
        h, c = state if state is not None else (None, None)
        y, h, c = ops.lstm(x, self.weight_ih, self.weight_hh, self.bias, h, c)
        return y, (h, c)


class GRU(Module):
    """One gated recurrent layer, batch first: the sequence (N, T, H) and the last state (N, H)."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.weight_ih = new_parameter("glorot_uniform", 3 * hidden_size, input_size)
        self.weight_hh = new_parameter("orthogonal", 3 * hidden_size, hidden_size)
        self.bias_ih = new_parameter("zeros", 3 * hidden_size)
        self.bias_hh = new_parameter("zeros", 3 * hidden_size)

    def forward(self, x: Any, state: Any = None) -> Any:
        return ops.gru(x, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh, state)


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
