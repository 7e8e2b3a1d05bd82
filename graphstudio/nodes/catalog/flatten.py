"""Flatten."""

from __future__ import annotations

from dataclasses import dataclass

from graphstudio.nodes.emit import Emitted, Emitter, flattened
from graphstudio.nodes.shapes import require_known
from graphstudio.nodes.spec import Case, EngineBuilder, UnaryNode, Value, register
from graphstudio.nodes.types import Message, ShapeError, TensorType


@register
@dataclass(frozen=True, kw_only=True)
class Flatten(UnaryNode):
    """All axes after the batch joined into one.

    Input ``(N, ...)``, output ``(N, D)``; images in the order channel, row, column. PyTorch
    ``torch.flatten(x, 1)``. Keras flattens in the order row, column, channel, so the export
    permutes.
    """

    type_id = "shape.flatten"
    label = "Flatten"
    category = "Shape"
    keywords = ("fl", "ravel", "view", "vector", "展平", "拉平", "扁平")
    cases = (Case(inputs=((2, 3, 4, 5),)), Case(inputs=((2, 7),)))

    def infer(self, x: TensorType) -> TensorType:
        if x.rank < 1:
            raise ShapeError(expected=Message("a batch, (N, ...)"), actual=x.shape)
        require_known(x)
        assert x.sample_size is not None
        return x.with_shape(x.shape[0], x.sample_size)

    def num_flops(self, inputs: object, outputs: object) -> int:
        return 0

    def lower(self, b: EngineBuilder, x: Value) -> Value:
        y: Value = b.call("flatten", x)
        return y

    def emit_pytorch(self, e: Emitter, x: Emitted) -> Emitted:
        if x.type.rank == 2:
            return x
        if x.type.rank == 1:
            return e.call("torch.unsqueeze", x, dim=1)
        return e.call("torch.flatten", x, start_dim=1)

    def emit_tensorflow(self, e: Emitter, x: Emitted) -> Emitted:
        if x.type.rank == 2:
            return x
        x = e.flattenable(x)
        return e.laid(e.call("tf.reshape", x, (-1, x.type.sample_size)), flattened(x))

    def emit_keras(self, e: Emitter, x: Emitted) -> Emitted:
        if x.type.rank == 2:
            return x
        x = e.flattenable(x)
        return e.laid(e.layer("layers.Flatten")(x), flattened(x))
