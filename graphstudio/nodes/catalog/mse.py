"""Mean squared error loss."""

from __future__ import annotations

import math
from dataclasses import dataclass

from graphstudio.nodes.emit import Emitted, Emitter
from graphstudio.nodes.judging import EPSILON, SCALAR, JudgeNode
from graphstudio.nodes.shapes import require_float
from graphstudio.nodes.spec import Case, EngineBuilder, Value, register
from graphstudio.nodes.types import (
    Fix,
    InsertNode,
    Message,
    SetProducerSize,
    ShapeError,
    TensorType,
)


@register
@dataclass(frozen=True, kw_only=True)
class MSE(JudgeNode):
    """Mean of the squared differences between prediction and target.

    Both have one shape; nothing is broadcast, because ``(N, 1)`` against ``(N,)`` would silently
    compare every sample with every other. PyTorch ``nn.MSELoss``, Keras ``MeanSquaredError``.
    """

    type_id = "loss.mse"
    label = "MSE"
    category = "Losses"
    role = "loss"
    keywords = ("mse", "mean squared error", "l2", "regression", "均方误差", "回归", "损失")
    cases = (
        Case(inputs=((8, 3), (8, 3))),
        Case(inputs=((4,), (4,))),
    )

    def infer(self, prediction: TensorType, target: TensorType) -> TensorType:
        require_float(prediction, "prediction")
        if target.dtype != "float32":
            raise ShapeError(
                message=Message(
                    "expected float32 values as target, got {dtype}", {"dtype": target.dtype}
                ),
                hint=Message("Wire a Target node of kind 'values' to it, or use CrossEntropy."),
                port="target",
                code="dtype",
            )
        if prediction.shape != target.shape:
            raise ShapeError(
                message=Message(
                    "prediction and target must have one shape; the prediction is {prediction}, "
                    "the target is {target}",
                    {"prediction": prediction.shape, "target": target.shape},
                ),
                hint=Message(
                    "Give the last layer the target's size, or put a Reshape before this node."
                ),
                port="prediction",
                fixes=_fixes(prediction, target),
            )
        return SCALAR

    def rounding(self, value: float, peak: float) -> float:
        # An error that is off by d changes its square by twice the error times d.
        return EPSILON * max(abs(value), 2.0 * math.sqrt(abs(value)) * peak)

    def lower(self, b: EngineBuilder, prediction: Value, target: Value) -> Value:
        value: Value = b.call("mse", prediction, target)
        return value

    def emit_pytorch(self, e: Emitter, prediction: Emitted, target: Emitted) -> Emitted:
        return e.call("F.mse_loss", prediction, target)

    def emit_tensorflow(self, e: Emitter, prediction: Emitted, target: Emitted) -> Emitted:
        prediction, target = e.aligned(prediction, target)
        return e.call("tf.reduce_mean", e.call("tf.math.squared_difference", prediction, target))

    def emit_keras(self, e: Emitter, prediction: Emitted, target: Emitted) -> Emitted:
        prediction, target = e.aligned(prediction, target)
        return e.layer("keras.losses.MeanSquaredError")(target, prediction)


def _fixes(prediction: TensorType, target: TensorType) -> tuple[Fix, ...]:
    size = target.sample_size
    if size is None or prediction.sample_size is None:
        return ()
    if prediction.sample_size == size:
        title = Message("Insert a Reshape to {shape}", {"shape": target.sample_shape})
        params = {"shape": target.sample_shape}
        return (InsertNode(title, "prediction", "shape.reshape", params),)
    if prediction.rank == target.rank == 2:
        title = Message("Set the size of the last layer to {size}", {"size": size})
        return (SetProducerSize(title, "prediction", size),)
    return ()
