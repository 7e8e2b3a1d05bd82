"""Leaky rectified linear unit."""

from __future__ import annotations

from dataclasses import dataclass

from graphstudio.nodes.emit import Emitted, Emitter
from graphstudio.nodes.spec import Case, ElementwiseNode, EngineBuilder, Value, param, register


@register
@dataclass(frozen=True, kw_only=True)
class LeakyReLU(ElementwiseNode):
    """ReLU that lets a small share of negative inputs through.

    ``x`` where positive, else ``negative_slope * x``. PyTorch ``nn.LeakyReLU`` (slope 0.01 there
    and here), TensorFlow ``tf.nn.leaky_relu`` (0.2), Keras ``LeakyReLU`` (0.3).
    """

    type_id = "act.leaky_relu"
    label = "LeakyReLU"
    category = "Activations"
    keywords = ("lr", "leaky", "activation", "带泄漏", "激活")
    cases = (
        Case(inputs=((4, 6),)),
        Case(inputs=((2, 3, 4, 4),), params={"negative_slope": 0.2}),
    )

    negative_slope: float = param(0.01, low=0.0, high=1.0, doc="Slope for negative inputs.")

    def summary(self) -> str:
        return f"{self.negative_slope:g}"

    def lower(self, b: EngineBuilder, x: Value) -> Value:
        y: Value = b.call("leaky_relu", x, negative_slope=self.negative_slope)
        return y

    def emit_pytorch(self, e: Emitter, x: Emitted) -> Emitted:
        return e.call("F.leaky_relu", x, negative_slope=self.negative_slope)

    def emit_tensorflow(self, e: Emitter, x: Emitted) -> Emitted:
        return e.call("tf.nn.leaky_relu", x, alpha=self.negative_slope)

    def emit_keras(self, e: Emitter, x: Emitted) -> Emitted:
        return e.layer("layers.LeakyReLU", negative_slope=self.negative_slope)(x)
