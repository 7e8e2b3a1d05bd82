"""What losses and metrics share: their ports, and how a prediction must fit its target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphstudio.nodes.emit import Emitted, Emitter
from graphstudio.nodes.shapes import require_float
from graphstudio.nodes.spec import NodeType, Port
from graphstudio.nodes.types import (
    Fix,
    InsertNode,
    Message,
    SetProducerSize,
    ShapeError,
    TensorType,
)

SCALAR = TensorType(())

EPSILON = 2.0**-23
"""Distance from 1 to the next float32 number."""


@dataclass(frozen=True, kw_only=True)
class JudgeNode(NodeType):
    """Base of losses and metrics: ``prediction`` and ``target`` give one number, ``value``."""

    def rounding(self, value: float, peak: float) -> float:
        """How far a float32 result may be off that is ``value`` in real numbers.

        Parameters
        ----------
        peak : float
            Largest absolute value of the prediction, each of which is off by ``EPSILON`` of it.
        """
        return EPSILON * abs(value)

    def input_ports(self) -> tuple[Port, ...]:
        return (Port("prediction", "Prediction"), Port("target", "Target"))

    def output_ports(self) -> tuple[Port, ...]:
        return (Port("value", "Value"),)

    def num_flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> int:
        return 4 * (inputs[0].sample_size or 0)


def require_class_scores(prediction: TensorType, target: TensorType) -> None:
    """Refuse anything but scores ``(N, C, ...)`` for class ids ``(N, ...)`` below C.

    Raises
    ------
    ShapeError
        With a fix that sets the number of classes where the node before can be told it.
    """
    require_float(prediction, "prediction")
    if target.dtype != "int64":
        raise ShapeError(
            message=Message(
                "expected class ids (int64) as target, got {dtype} values {shape}",
                {"dtype": target.dtype, "shape": target.shape},
            ),
            hint=Message("Wire a Target node of kind 'classes' to it, or use the MSE loss."),
            port="target",
            code="dtype",
        )
    if prediction.rank < 2:
        raise ShapeError(
            expected=Message("one score a class, (N, C)"),
            actual=prediction.shape,
            port="prediction",
            hint=Message("End the model with a Dense node of as many units as classes."),
        )
    classes = target.classes
    if (*prediction.shape[:1], *prediction.shape[2:]) != target.shape:
        fixes: tuple[Fix, ...] = ()
        if prediction.rank == 4 and target.rank == 1:
            fixes = (
                InsertNode(
                    Message("Insert GlobalAveragePool2D"),
                    "prediction",
                    "layer.global_average_pool2d",
                ),
            )
        expected = (*target.shape[:1], classes or "C", *target.shape[1:])
        raise ShapeError(
            message=Message(
                "the prediction must be {expected} for a target of {target}, got {actual}",
                {"expected": expected, "target": target.shape, "actual": prediction.shape},
            ),
            hint=Message("End the model with a Dense node of as many units as classes."),
            port="prediction",
            fixes=fixes,
        )
    found = prediction.shape[1]
    if classes is not None and found != classes:
        raise ShapeError(
            message=Message(
                "the target has {classes} classes, but the prediction {shape} has {found} scores",
                {"classes": classes, "shape": prediction.shape, "found": found},
            ),
            hint=Message("Make the last layer {classes} wide.", {"classes": classes}),
            port="prediction",
            fixes=(
                SetProducerSize(
                    Message("Set the size of the last layer to {size}", {"size": classes}),
                    "prediction",
                    classes,
                ),
            ),
            code="classes",
        )


def classes_last(e: Emitter, prediction: Emitted) -> Emitted:
    """Scores with their classes on the last axis, as TensorFlow and Keras want them."""
    return prediction if prediction.type.rank < 3 else e.channels_last(prediction)
