"""Global average pooling of an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphstudio.nodes.emit import Emitted, Emitter
from graphstudio.nodes.shapes import require_image
from graphstudio.nodes.spec import Case, EngineBuilder, UnaryNode, Value, register
from graphstudio.nodes.types import TensorType


@register
@dataclass(frozen=True, kw_only=True)
class GlobalAveragePool2D(UnaryNode):
    """Mean of each channel over the whole image.

    Input ``(N, C, H, W)``, output ``(N, C)``. PyTorch ``x.mean((2, 3))``, Keras
    ``GlobalAveragePooling2D``.
    """

    type_id = "layer.global_average_pool2d"
    label = "GlobalAveragePool2D"
    category = "Pooling"
    keywords = ("gap", "global average pooling", "squeeze", "全局平均池化", "池化")
    cases = (Case(inputs=((2, 3, 4, 5),)),)

    def infer(self, x: TensorType) -> TensorType:
        require_image(x)
        return x.with_shape(*x.shape[:2])

    def num_flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> int:
        return inputs[0].sample_size or 0

    def lower(self, b: EngineBuilder, x: Value) -> Value:
        y: Value = b.call("mean", x, axis=(2, 3), keepdims=False)
        return y

    def emit_pytorch(self, e: Emitter, x: Emitted) -> Emitted:
        return e.call("torch.mean", x, dim=(2, 3))

    def emit_tensorflow(self, e: Emitter, x: Emitted) -> Emitted:
        return e.call("tf.reduce_mean", e.channels_last(x), axis=(1, 2))

    def emit_keras(self, e: Emitter, x: Emitted) -> Emitted:
        return e.layer("layers.GlobalAveragePooling2D")(e.channels_last(x))
