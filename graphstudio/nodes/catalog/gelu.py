"""Gaussian error linear unit."""

from __future__ import annotations

from dataclasses import dataclass

from graphstudio.nodes.emit import Emitted, Emitter
from graphstudio.nodes.spec import Case, ElementwiseNode, EngineBuilder, Value, param, register


@register
@dataclass(frozen=True, kw_only=True)
class GELU(ElementwiseNode):
    """Gaussian error linear unit: ``x`` times the normal distribution function of ``x``.

    Exact by default, as in PyTorch and Keras; ``tanh`` is the approximation that TensorFlow
    models such as BERT often used.

    References
    ----------
    Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016.
    """

    type_id = "act.gelu"
    label = "GELU"
    category = "Activations"
    keywords = ("ge", "gaussian", "activation", "高斯误差", "激活")
    cases = (
        Case(inputs=((4, 6),)),
        Case(inputs=((2, 3, 4, 4),), params={"approximate": "tanh"}),
    )

    approximate: str = param(
        "none", choices=("none", "tanh"), doc="'none' is exact, 'tanh' an approximation."
    )

    def summary(self) -> str:
        return "" if self.approximate == "none" else self.approximate

    def lower(self, b: EngineBuilder, x: Value) -> Value:
        y: Value = b.call("gelu", x, approximate=self.approximate)
        return y

    def emit_pytorch(self, e: Emitter, x: Emitted) -> Emitted:
        return e.call("F.gelu", x, approximate=self.approximate)

    def emit_tensorflow(self, e: Emitter, x: Emitted) -> Emitted:
        return e.call("tf.nn.gelu", x, approximate=self.approximate == "tanh")

    def emit_keras(self, e: Emitter, x: Emitted) -> Emitted:
        if self.approximate == "none":
            return e.layer("layers.Activation", "gelu")(x)
        return e.call("keras.ops.gelu", x, approximate=True)
