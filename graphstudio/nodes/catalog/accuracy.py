"""Accuracy metric."""

from __future__ import annotations

from dataclasses import dataclass

from graphstudio.nodes.emit import Code, Emitted, Emitter
from graphstudio.nodes.judging import SCALAR, JudgeNode, classes_last, require_class_scores
from graphstudio.nodes.spec import Case, EngineBuilder, Value, register
from graphstudio.nodes.types import TensorType


@register
@dataclass(frozen=True, kw_only=True)
class Accuracy(JudgeNode):
    """Share of the samples whose highest score belongs to the right class.

    Prediction ``(N, C)`` or ``(N, C, ...)``, target class ids ``(N, ...)``. Of equal scores the
    first counts. Keras ``SparseCategoricalAccuracy``.
    """

    type_id = "metric.accuracy"
    label = "Accuracy"
    category = "Metrics"
    role = "metric"
    keywords = ("acc", "correct", "准确率", "精度", "指标")
    cases = (Case(inputs=((8, 10), (8,)), dtypes=("float32", "int64"), classes=10),)

    def infer(self, prediction: TensorType, target: TensorType) -> TensorType:
        require_class_scores(prediction, target)
        return SCALAR

    def lower(self, b: EngineBuilder, prediction: Value, target: Value) -> Value:
        value: Value = b.call("accuracy", prediction, target)
        return value

    def emit_pytorch(self, e: Emitter, prediction: Emitted, target: Emitted) -> Emitted:
        return e.expression("({0}.argmax(dim=1) == {1}).float().mean()", prediction, target)

    def emit_tensorflow(self, e: Emitter, prediction: Emitted, target: Emitted) -> Emitted:
        best = e.call("tf.argmax", classes_last(e, prediction), axis=-1)
        right = e.call("tf.equal", best, target)
        return e.call("tf.reduce_mean", e.call("tf.cast", right, Code("tf.float32")))

    def emit_keras(self, e: Emitter, prediction: Emitted, target: Emitted) -> Emitted:
        metric = e.layer("keras.metrics.SparseCategoricalAccuracy")
        return metric(target, classes_last(e, prediction))
