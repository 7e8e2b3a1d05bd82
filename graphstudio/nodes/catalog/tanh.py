"""Hyperbolic tangent."""

from __future__ import annotations

from dataclasses import dataclass

from graphstudio.nodes.emit import Emitted, Emitter
from graphstudio.nodes.spec import Case, ElementwiseNode, EngineBuilder, Value, register


@register
@dataclass(frozen=True, kw_only=True)
class Tanh(ElementwiseNode):
    """Hyperbolic tangent, between -1 and 1.

    PyTorch ``nn.Tanh``, TensorFlow ``tf.tanh``, Keras ``tanh``.
    """

    type_id = "act.tanh"
    label = "Tanh"
    category = "Activations"
    keywords = ("th", "hyperbolic tangent", "activation", "双曲正切", "激活")
    cases = (Case(inputs=((4, 6),)), Case(inputs=((2, 3, 4, 4),)))

    def lower(self, b: EngineBuilder, x: Value) -> Value:
        y: Value = b.call("tanh", x)
        return y

    def emit_pytorch(self, e: Emitter, x: Emitted) -> Emitted:
        return e.call("torch.tanh", x)

    def emit_tensorflow(self, e: Emitter, x: Emitted) -> Emitted:
        return e.call("tf.tanh", x)

    def emit_keras(self, e: Emitter, x: Emitted) -> Emitted:
        return e.layer("layers.Activation", "tanh")(x)
