"""Cross-entropy loss on logits."""

from __future__ import annotations

from dataclasses import dataclass

from graphstudio.nodes.judging import SCALAR, JudgeNode, require_class_scores
from graphstudio.nodes.spec import Case, EngineBuilder, Value, param, register
from graphstudio.nodes.types import TensorType


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

    def lower(self, b: EngineBuilder, prediction: Value, target: Value) -> Value:
        value: Value = b.call(
            "cross_entropy", prediction, target, label_smoothing=self.label_smoothing
        )
        return value
