"""Batch normalisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphstudio.nodes.shapes import known, require_float
from graphstudio.nodes.spec import Case, EngineBuilder, UnaryNode, Value, param, register
from graphstudio.nodes.types import Message, ShapeError, TensorType


@register
@dataclass(frozen=True, kw_only=True)
class BatchNorm(UnaryNode):
    """Each channel brought to mean 0 and variance 1 over the batch, then scaled and shifted.

    Input and output ``(N, C)`` or ``(N, C, ...)``; the channel is axis 1. PyTorch
    ``nn.BatchNorm2d``, Keras ``BatchNormalization``. ``momentum`` is the share of the new batch
    in the running statistics (PyTorch's sense; Keras weighs the old mean, so it is given
    ``1 - momentum``). The running variance is the unbiased one, as in PyTorch.

    References
    ----------
    Ioffe and Szegedy, "Batch Normalization", 2015.
    """

    type_id = "layer.batch_norm"
    label = "BatchNorm"
    category = "Normalisation"
    keywords = ("bn", "batch normalization", "normalise", "批归一化", "归一化", "批标准化")
    keeps_shape = True
    cases = (
        Case(inputs=((4, 3, 5, 5),)),
        Case(inputs=((8, 6),), params={"momentum": 0.2, "epsilon": 1e-3}),
    )

    momentum: float = param(
        0.1, low=0.0, high=1.0, doc="Share of the new batch in the running statistics."
    )
    epsilon: float = param(
        1e-5, low=0.0, low_open=True, high=1.0, doc="Added to the variance before the root."
    )

    def infer(self, x: TensorType) -> TensorType:
        require_float(x)
        if x.rank < 2:
            raise ShapeError(
                expected=Message("rank 2 or more, (N, C, ...)"),
                actual=x.shape,
                hint=Message("Put a Reshape node before this one."),
            )
        if not isinstance(x.shape[1], int):
            raise ShapeError(expected=Message("a known number of channels"), actual=x.shape)
        return x

    def num_flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> int:
        return 4 * (outputs[0].sample_size or 0)

    def parameters(self, x: TensorType) -> Mapping[str, tuple[int, ...]]:
        channels = (known(x.shape[1]),)
        return {"weight": channels, "bias": channels}

    def lower(self, b: EngineBuilder, x: Value) -> Value:
        channels = (known(x.type.shape[1]),)
        y: Value = b.call(
            "batch_norm",
            x,
            b.parameter("weight", channels, init="ones"),
            b.parameter("bias", channels, init="zeros"),
            b.state("running_mean", channels, value=0.0),
            b.state("running_var", channels, value=1.0),
            momentum=self.momentum,
            epsilon=self.epsilon,
        )
        return y
