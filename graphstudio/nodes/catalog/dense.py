"""Dense layer: an affine map on the last axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphstudio.nodes.spec import Case, EngineBuilder, UnaryNode, Value, param, register
from graphstudio.nodes.types import ShapeError, TensorType


@register
@dataclass(frozen=True, kw_only=True)
class Dense(UnaryNode):
    """Affine map on the last axis: ``y = x @ weight.T + bias``.

    Input ``(N, ..., D)``, output ``(N, ..., units)``.
    """

    type_id = "layer.dense"
    label = "Dense"
    category = "Layers"
    keywords = ("linear", "fully connected", "fc", "d", "全连接")
    size_param = "units"
    cases = (
        Case(inputs=((8, 784),)),
        Case(inputs=((4, 5, 16),), params={"units": 3, "use_bias": False}),
    )

    units: int = param(64, low=1, high=65_536, doc="Size of the last output axis.")
    use_bias: bool = param(True, label="Bias", doc="Add one trainable offset per unit.")

    def infer(self, x: TensorType) -> TensorType:
        if x.dtype != "float32":
            raise ShapeError(expected="float32 numbers", actual=x.dtype, code="dtype")
        if x.rank < 2:
            raise ShapeError(
                expected="rank 2 or more, (N, ..., D)",
                actual=x.shape,
                hint="Put a Reshape node before this one.",
            )
        if not isinstance(x.shape[-1], int):
            raise ShapeError(expected="a known size of the last axis", actual=x.shape)
        return x.with_last(self.units)

    def summary(self) -> str:
        return str(self.units)

    def num_flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> int:
        features = inputs[0].shape[-1]
        return 2 * (outputs[0].sample_size or 0) * (features if isinstance(features, int) else 0)

    def lower(self, b: EngineBuilder, x: Value) -> Value:
        features = x.type.shape[-1]
        assert isinstance(features, int)  # infer refuses a symbolic size
        weight = b.parameter("weight", (self.units, features), init="glorot_uniform")
        y: Value = b.call("matmul", x, weight, transpose_b=True)
        if self.use_bias:
            y = b.call("add", y, b.parameter("bias", (self.units,), init="zeros"))
        return y
