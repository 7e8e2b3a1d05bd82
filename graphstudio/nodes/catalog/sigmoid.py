"""Logistic sigmoid."""

from __future__ import annotations

from dataclasses import dataclass

from graphstudio.nodes.emit import Emitted, Emitter
from graphstudio.nodes.spec import Case, ElementwiseNode, EngineBuilder, Value, register


@register
@dataclass(frozen=True, kw_only=True)
class Sigmoid(ElementwiseNode):
    """Logistic sigmoid: ``1 / (1 + exp(-x))``.

    PyTorch ``nn.Sigmoid``, TensorFlow ``tf.sigmoid``, Keras ``sigmoid``.
    """

    type_id = "act.sigmoid"
    label = "Sigmoid"
    category = "Activations"
    keywords = ("sg", "logistic", "activation", "逻辑函数", "激活")
    cases = (Case(inputs=((4, 6),)), Case(inputs=((2, 3, 4, 4),)))

    def lower(self, b: EngineBuilder, x: Value) -> Value:
        y: Value = b.call("sigmoid", x)
        return y

    def emit_pytorch(self, e: Emitter, x: Emitted) -> Emitted:
        return e.call("torch.sigmoid", x)

    def emit_tensorflow(self, e: Emitter, x: Emitted) -> Emitted:
        return e.call("tf.sigmoid", x)

    def emit_keras(self, e: Emitter, x: Emitted) -> Emitted:
        return e.layer("layers.Activation", "sigmoid")(x)
