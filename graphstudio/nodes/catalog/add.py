"""Sum of several inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphstudio.nodes.emit import Emitted, Emitter
from graphstudio.nodes.merging import MergeNode, require_equal
from graphstudio.nodes.spec import Case, EngineBuilder, Value, register
from graphstudio.nodes.types import TensorType


@register
@dataclass(frozen=True, kw_only=True)
class Add(MergeNode):
    """Sum of all inputs, element by element.

    Inputs and output have one shape; nothing is broadcast. The residual connection of ResNets.
    PyTorch ``a + b``, Keras ``Add``.
    """

    type_id = "merge.add"
    label = "Add"
    keywords = ("+", "sum", "residual", "shortcut", "skip", "相加", "残差", "求和")
    cases = (
        Case(inputs=((2, 5), (2, 5))),
        Case(inputs=((2, 3, 4, 4),) * 3, params={"num_inputs": 3}),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        return require_equal(inputs)

    def num_flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> int:
        return (self.num_inputs - 1) * (outputs[0].sample_size or 0)

    def lower(self, b: EngineBuilder, *inputs: Value) -> Value:
        y = inputs[0]
        for other in inputs[1:]:
            y = b.call("add", y, other)
        return y

    def emit_pytorch(self, e: Emitter, *inputs: Emitted) -> Emitted:
        return e.expression(" + ".join(f"{{{i}}}" for i in range(len(inputs))), *inputs)

    def emit_tensorflow(self, e: Emitter, *inputs: Emitted) -> Emitted:
        return self.emit_pytorch(e, *e.aligned(*inputs))

    def emit_keras(self, e: Emitter, *inputs: Emitted) -> Emitted:
        return e.layer("layers.Add")(list(e.aligned(*inputs)))
