"""Cross-entropy loss on logits."""

from __future__ import annotations

from dataclasses import dataclass

from graphstudio.nodes.emit import Emitted, Emitter, Snippet
from graphstudio.nodes.judging import (
    EPSILON,
    SCALAR,
    JudgeNode,
    classes_last,
    require_class_scores,
)
from graphstudio.nodes.shapes import known
from graphstudio.nodes.spec import Case, EngineBuilder, Value, param, register
from graphstudio.nodes.types import TensorType

_KERAS_SMOOTHED = Snippet(
    "SmoothedCrossentropy",
    '''
@keras.saving.register_keras_serializable("graphstudio")
class SmoothedCrossentropy(keras.losses.Loss):
    """Cross-entropy of logits and class ids with label smoothing.

    Keras smooths labels only if they are one-hot.
    """

    def __init__(self, label_smoothing, **options):
        super().__init__(**options)
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        y_true = keras.ops.cast(y_true, "int32")
        return keras.losses.categorical_crossentropy(
            keras.ops.one_hot(y_true, y_pred.shape[-1]),
            y_pred,
            from_logits=True,
            label_smoothing=self.label_smoothing,
        )

    def get_config(self):
        return {**super().get_config(), "label_smoothing": self.label_smoothing}
''',
    imports=("import keras",),
)


@register
@dataclass(frozen=True, kw_only=True)
class CrossEntropy(JudgeNode):
    """How far the scores of the classes are from the right class.

    Prediction ``(N, C)`` or ``(N, C, ...)`` are logits: scores before any Softmax. Target
    ``(N,)`` or ``(N, ...)`` are class ids. The mean over all targets. PyTorch
    ``nn.CrossEntropyLoss``, Keras ``SparseCategoricalCrossentropy(from_logits=True)``.
    """

    type_id = "loss.cross_entropy"
    label = "CrossEntropy"
    category = "Losses"
    role = "loss"
    keywords = ("ce", "classification", "softmax loss", "log loss", "nll", "交叉熵", "分类", "损失")
    cases = (
        Case(inputs=((8, 10), (8,)), dtypes=("float32", "int64"), classes=10),
        Case(
            inputs=((3, 4, 2, 2), (3, 2, 2)),
            dtypes=("float32", "int64"),
            classes=4,
            params={"label_smoothing": 0.1},
        ),
    )

    label_smoothing: float = param(
        0.0, low=0.0, high=0.99, doc="Share of the target spread evenly over all classes."
    )

    def infer(self, prediction: TensorType, target: TensorType) -> TensorType:
        require_class_scores(prediction, target)
        return SCALAR

    def rounding(self, value: float, peak: float) -> float:
        # The logarithm of a sum of exponentials less a score: two numbers as large as the scores,
        # whose difference is next to nothing once the model is sure of the right class.
        return EPSILON * max(abs(value), peak)

    def lower(self, b: EngineBuilder, prediction: Value, target: Value) -> Value:
        value: Value = b.call(
            "cross_entropy", prediction, target, label_smoothing=self.label_smoothing
        )
        return value

    def emit_pytorch(self, e: Emitter, prediction: Emitted, target: Emitted) -> Emitted:
        options = {"label_smoothing": self.label_smoothing} if self.label_smoothing else {}
        return e.call("F.cross_entropy", prediction, target, **options)

    def emit_tensorflow(self, e: Emitter, prediction: Emitted, target: Emitted) -> Emitted:
        scores = classes_last(e, prediction)
        if not self.label_smoothing:
            losses = e.call(
                "tf.nn.sparse_softmax_cross_entropy_with_logits", labels=target, logits=scores
            )
            return e.call("tf.reduce_mean", losses)
        classes = known(prediction.type.shape[1])
        ids = e.call("tf.one_hot", target, classes)
        share = self.label_smoothing
        smooth = e.expression("{0} * {1} + {2}", ids, 1.0 - share, share / classes)
        losses = e.call("tf.nn.softmax_cross_entropy_with_logits", labels=smooth, logits=scores)
        return e.call("tf.reduce_mean", losses)

    def emit_keras(self, e: Emitter, prediction: Emitted, target: Emitted) -> Emitted:
        if self.label_smoothing:
            loss = e.layer(_KERAS_SMOOTHED, label_smoothing=self.label_smoothing)
        else:
            loss = e.layer("keras.losses.SparseCategoricalCrossentropy", from_logits=True)
        return loss(target, classes_last(e, prediction))
