"""Softmax."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphstudio.nodes.emit import Emitted, Emitter
from graphstudio.nodes.shapes import require_float
from graphstudio.nodes.spec import Case, EngineBuilder, UnaryNode, Value, param, register
from graphstudio.nodes.types import Message, ShapeError, TensorType


@register
@dataclass(frozen=True, kw_only=True)
class Softmax(UnaryNode):
    """Positive numbers that sum to 1 along one axis.

    For the output of a finished model. A CrossEntropy loss takes the scores before it. PyTorch
    ``nn.Softmax``, TensorFlow ``tf.nn.softmax``, Keras ``Softmax``.
    """

    type_id = "act.softmax"
    label = "Softmax"
    category = "Activations"
    keywords = ("sm", "probabilities", "activation", "归一化指数", "概率", "激活")
    keeps_shape = True
    cases = (
        Case(inputs=((4, 6),)),
        Case(inputs=((2, 3, 4, 4),), params={"axis": "channels"}),
    )

    axis: str = param(
        "last", choices=("last", "channels"), doc="Axis along which the results sum to 1."
    )

    @property
    def axis_index(self) -> int:
        return -1 if self.axis == "last" else 1

    def infer(self, x: TensorType) -> TensorType:
        require_float(x)
        if x.rank < 2:
            raise ShapeError(expected=Message("rank 2 or more, (N, C, ...)"), actual=x.shape)
        return x

    def summary(self) -> str:
        return "" if self.axis == "last" else self.axis

    def num_flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> int:
        return 4 * (outputs[0].sample_size or 0)

    def lower(self, b: EngineBuilder, x: Value) -> Value:
        y: Value = b.call("softmax", x, axis=self.axis_index)
        return y

    def emit_pytorch(self, e: Emitter, x: Emitted) -> Emitted:
        return e.call("F.softmax", x, dim=self.axis_index)

    def emit_tensorflow(self, e: Emitter, x: Emitted) -> Emitted:
        return e.call("tf.nn.softmax", x, axis=e.axis(x, self.axis_index))

    def emit_keras(self, e: Emitter, x: Emitted) -> Emitted:
        return e.layer("layers.Softmax", axis=e.axis(x, self.axis_index))(x)
