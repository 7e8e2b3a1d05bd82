"""Dropout."""

from __future__ import annotations

from dataclasses import dataclass, replace

from graphstudio.nodes.emit import Emitted, Emitter
from graphstudio.nodes.spec import Case, ElementwiseNode, EngineBuilder, Value, param, register


@register
@dataclass(frozen=True, kw_only=True)
class Dropout(ElementwiseNode):
    """A random share of the inputs set to zero while training.

    The others are scaled by ``1 / (1 - rate)``, so that nothing has to be done afterwards. PyTorch
    ``nn.Dropout``, Keras ``Dropout``.

    References
    ----------
    Srivastava et al., "Dropout", 2014.
    """

    type_id = "layer.dropout"
    label = "Dropout"
    category = "Regularisation"
    keywords = ("do", "drop", "regularize", "随机失活", "丢弃", "正则化")
    cases = (Case(inputs=((4, 6),)), Case(inputs=((2, 3, 4, 4),), params={"rate": 0.0}))

    rate: float = param(0.5, low=0.0, high=0.95, doc="Share of the inputs that are set to zero.")

    def without_noise(self) -> Dropout:
        return replace(self, rate=0.0)

    def summary(self) -> str:
        return f"{self.rate:g}"

    def lower(self, b: EngineBuilder, x: Value) -> Value:
        y: Value = b.call("dropout", x, rate=self.rate)
        return y

    def emit_pytorch(self, e: Emitter, x: Emitted) -> Emitted:
        return e.layer("nn.Dropout", p=self.rate)(x)

    def emit_tensorflow(self, e: Emitter, x: Emitted) -> Emitted:
        return e.expression("tf.nn.dropout({0}, rate={1}) if training else {0}", x, self.rate)

    def emit_keras(self, e: Emitter, x: Emitted) -> Emitted:
        return e.layer("layers.Dropout", self.rate)(x)
