"""Rectified linear unit."""

from __future__ import annotations

from dataclasses import dataclass

from graphstudio.nodes.emit import Emitted, Emitter
from graphstudio.nodes.spec import Case, ElementwiseNode, EngineBuilder, Value, register


@register
@dataclass(frozen=True, kw_only=True)
class ReLU(ElementwiseNode):
    """Rectified linear unit: ``max(x, 0)``.

    PyTorch ``nn.ReLU``, TensorFlow ``tf.nn.relu``, Keras ``ReLU``.
    """

    type_id = "act.relu"
    label = "ReLU"
    category = "Activations"
    keywords = ("r", "rectifier", "activation", "线性整流", "激活")
    cases = (Case(inputs=((4, 6),)), Case(inputs=((2, 3, 4, 4),)))

    def lower(self, b: EngineBuilder, x: Value) -> Value:
        y: Value = b.call("relu", x)
        return y

    def emit_pytorch(self, e: Emitter, x: Emitted) -> Emitted:
        return e.call("F.relu", x)

    def emit_tensorflow(self, e: Emitter, x: Emitted) -> Emitted:
        return e.call("tf.nn.relu", x)

    def emit_keras(self, e: Emitter, x: Emitted) -> Emitted:
        return e.layer("layers.ReLU")(x)
