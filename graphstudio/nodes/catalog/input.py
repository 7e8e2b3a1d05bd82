"""Input: one field of the data, fed into the model."""

from __future__ import annotations

from dataclasses import dataclass

from graphstudio.nodes.spec import Case, EngineBuilder, NodeType, Port, Value, param, register
from graphstudio.nodes.types import BATCH, TensorType


@register
@dataclass(frozen=True, kw_only=True)
class Input(NodeType):
    """One field of the data, fed into the model.

    Output ``(N, *shape)``, float32, channels first: ``(N, C, H, W)`` for images. PyTorch models
    take it as an argument of ``forward``, Keras as ``keras.Input`` (channels last there).
    """

    type_id = "io.input"
    label = "Input"
    category = "Inputs"
    role = "input"
    keywords = ("in", "data", "x", "image", "features", "输入", "图像", "数据")
    cases = (Case(inputs=()), Case(inputs=(), params={"shape": [13]}))

    field: str = param("image", doc="Name of the data field that is fed in.")
    shape: tuple[int, ...] = param(
        (1, 8, 8),
        low=1,
        high=1_000_000,
        length=(0, 6),
        doc="Shape of one sample, channels first, without the batch axis.",
    )

    def input_ports(self) -> tuple[Port, ...]:
        return ()

    def infer(self) -> TensorType:
        return TensorType((BATCH, *self.shape))

    def summary(self) -> str:
        return f"{self.field} · {'x'.join(str(n) for n in self.shape) or '1'}"

    def num_flops(self, inputs: object, outputs: object) -> int:
        return 0

    def lower(self, b: EngineBuilder) -> Value:
        raise NotImplementedError("the compiler feeds inputs from the batch")
