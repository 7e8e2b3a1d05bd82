"""Target: what the model should predict."""

from __future__ import annotations

from dataclasses import dataclass

from graphstudio.nodes.spec import Case, EngineBuilder, NodeType, Port, Value, param, register
from graphstudio.nodes.types import BATCH, TensorType


@register
@dataclass(frozen=True, kw_only=True)
class Target(NodeType):
    """What the model should predict: class ids or values, one field of the data.

    Output ``(N, *shape)``: int64 in ``0 .. num_classes - 1`` for classes, float32 for values. It
    feeds losses and metrics, never a layer.
    """

    type_id = "io.target"
    label = "Target"
    category = "Inputs"
    role = "target"
    keywords = ("tg", "label", "y", "truth", "classes", "标签", "目标", "真值")
    cases = (
        Case(inputs=()),
        Case(inputs=(), params={"kind": "values", "shape": [1], "field": "target"}),
    )

    field: str = param("label", doc="Name of the data field that holds the right answers.")
    kind: str = param(
        "classes", choices=("classes", "values"), doc="Class ids, or numbers to come close to."
    )
    num_classes: int = param(
        10, low=2, high=1_000_000, label="Classes", doc="How many classes there are."
    )
    shape: tuple[int, ...] = param(
        (),
        low=1,
        high=1_000_000,
        length=(0, 6),
        doc="Shape of one sample's target; empty for a single class id or value.",
    )

    def input_ports(self) -> tuple[Port, ...]:
        return ()

    def infer(self) -> TensorType:
        shape = (BATCH, *self.shape)
        if self.kind == "classes":
            return TensorType(shape, "int64", self.num_classes)
        return TensorType(shape)

    def summary(self) -> str:
        return f"{self.field} · {self.num_classes}" if self.kind == "classes" else self.field

    def num_flops(self, inputs: object, outputs: object) -> int:
        return 0

    def lower(self, b: EngineBuilder) -> Value:
        raise NotImplementedError("the compiler feeds targets from the batch")
