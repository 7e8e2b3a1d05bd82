"""Transformer blocks and positions, over sequences (N, T, embed_dim)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine import ops
from engine.errors import EngineError, ShapeError
from engine.nn.containers import ModuleList
from engine.nn.layers import LayerNorm, Linear, MultiheadAttention
from engine.nn.module import Module, new_parameter

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": ops.relu,
    "gelu": ops.gelu,
    "silu": ops.silu,
    "tanh": ops.tanh,
}


class _Block(Module):
    """What both kinds of blocks have: attention, two dense layers, norms around or before them.

    Parameters
    ----------
    feedforward_dim : int, optional
        Width between the two dense layers; four times ``embed_dim`` by default.
    dropout : float
        Share of elements set to 0 in training: of attention weights, between the dense layers and
        of what is added to the input.
    norm_first : bool
        Normalise what goes into each part instead of what comes out of each sum.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        feedforward_dim: int | None = None,
        dropout: float = 0.1,
        activation: str = "relu",
        norm_first: bool = False,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise EngineError(
                f"{type(self).__name__} found activation={activation!r}; expected one of "
                f"{', '.join(ACTIVATIONS)}."
            )
        wide = 4 * embed_dim if feedforward_dim is None else feedforward_dim
        self.self_attn = MultiheadAttention(embed_dim, num_heads, dropout)
        self.linear1, self.linear2 = Linear(embed_dim, wide), Linear(wide, embed_dim)
        self.norm1, self.norm2 = LayerNorm(embed_dim, eps), LayerNorm(embed_dim, eps)
        self.dropout, self.activation, self.norm_first = dropout, activation, norm_first

    def _drop(self, x: Any) -> Any:
        return ops.dropout(x, self.dropout, self.training)

    def _dense(self, x: Any) -> Any:
        return self.linear2(self._drop(ACTIVATIONS[self.activation](self.linear1(x))))

    def _added(self, x: Any, norm: Module, part: Callable[[Any], Any]) -> Any:
        """``x`` plus what a part makes of it."""
        if self.norm_first:
            return x + self._drop(part(norm(x)))
        return norm(x + self._drop(part(x)))


class TransformerEncoderLayer(_Block):
    """Attention of a sequence to itself, then two dense layers, each added to its input.

    Weights carry the names of PyTorch's layer. Masks are True where a key may be seen.

    References
    ----------
    Vaswani et al., "Attention is all you need", 2017.
    """

    def forward(
        self, x: Any, mask: Any = None, is_causal: bool = False, key_mask: Any = None
    ) -> Any:
        """A sequence (N, T, embed_dim) of the same shape; masks as for ``MultiheadAttention``."""
        x = self._added(
            x,
            self.norm1,
            lambda v: self.self_attn(v, mask=mask, is_causal=is_causal, key_mask=key_mask),
        )
        return self._added(x, self.norm2, self._dense)


class TransformerDecoderLayer(_Block):
    """Attention of a sequence to its past, then to a memory, then two dense layers.

    Weights carry the names of PyTorch's layer.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        feedforward_dim: int | None = None,
        dropout: float = 0.1,
        activation: str = "relu",
        norm_first: bool = False,
        eps: float = 1e-5,
    ) -> None:
        super().__init__(
            embed_dim, num_heads, feedforward_dim, dropout, activation, norm_first, eps
        )
        self.multihead_attn = MultiheadAttention(embed_dim, num_heads, dropout)
        self.norm3 = LayerNorm(embed_dim, eps)

    def forward(
        self,
        x: Any,
        memory: Any,
        mask: Any = None,
        is_causal: bool = True,
        key_mask: Any = None,
        memory_mask: Any = None,
        memory_key_mask: Any = None,
    ) -> Any:
        """A sequence (N, T, embed_dim) of the same shape.

        Parameters
        ----------
        memory : (N, S, embed_dim)
            What an encoder made of another sequence.
        is_causal : bool
            Place ``i`` sees places up to ``i`` of its own sequence; unlike PyTorch's by default.
        key_mask : bool (N, T), memory_key_mask : bool (N, S), optional
            True where a place is no padding.
        """
        x = self._added(
            x,
            self.norm1,
            lambda v: self.self_attn(v, mask=mask, is_causal=is_causal, key_mask=key_mask),
        )
        x = self._added(
            x,
            self.norm2,
            lambda v: self.multihead_attn(v, memory, mask=memory_mask, key_mask=memory_key_mask),
        )
        return self._added(x, self.norm3, self._dense)


class _Stack(Module):
    """Layers of one kind, one after the other.

    Parameters
    ----------
    layers : modules
    norm : Module, optional
        Applied at the end; what ``norm_first`` layers want.
    """

    def __init__(self, layers: Any, norm: Module | None = None) -> None:
        super().__init__()
        self.layers = ModuleList(layers)
        self.norm = norm

    def _run(self, x: Any, *inputs: Any, **options: Any) -> Any:
        for layer in self.layers:
            x = layer(x, *inputs, **options)
        return x if self.norm is None else self.norm(x)


class TransformerEncoder(_Stack):
    """Encoder layers one after the other, given as a list: PyTorch's copies one of them."""

    def forward(
        self, x: Any, mask: Any = None, is_causal: bool = False, key_mask: Any = None
    ) -> Any:
        return self._run(x, mask=mask, is_causal=is_causal, key_mask=key_mask)


class TransformerDecoder(_Stack):
    """Decoder layers one after the other, all over the same memory."""

    def forward(
        self,
        x: Any,
        memory: Any,
        mask: Any = None,
        is_causal: bool = True,
        key_mask: Any = None,
        memory_mask: Any = None,
        memory_key_mask: Any = None,
    ) -> Any:
        return self._run(
            x, memory, mask=mask, is_causal=is_causal, key_mask=key_mask,
            memory_mask=memory_mask, memory_key_mask=memory_key_mask,
        )  # fmt: skip


class SinusoidalPositions(Module):
    """Adds sines and cosines of a place to a sequence (N, T, D)."""

    def forward(self, x: Any) -> Any:
        return x + ops.sinusoidal_positions(x)


class LearnedPositions(Module):
    """Adds a vector that is learnt for each place to a sequence (N, T, D)."""

    def __init__(self, max_length: int, embed_dim: int) -> None:
        super().__init__()
        self.weight = new_parameter("normal", max_length, embed_dim, std=0.02)

    def forward(self, x: Any) -> Any:
        length, width = self.weight.shape
        if x.ndim != 3 or x.shape[1] > length or x.shape[2] != width:
            raise ShapeError(
                f"LearnedPositions found shape {x.shape}; expected (N, T, {width}) with T of at "
                f"most {length}."
            )
        return x + self.weight[: x.shape[1]]

    def describe(self) -> str:
        return ", ".join(map(str, self.weight.shape))
