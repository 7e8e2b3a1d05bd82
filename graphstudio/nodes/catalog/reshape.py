"""Reshape."""

from __future__ import annotations

import math
from dataclasses import dataclass

from graphstudio.nodes.emit import LOGICAL, Emitted, Emitter
from graphstudio.nodes.shapes import require_known
from graphstudio.nodes.spec import Case, EngineBuilder, UnaryNode, Value, param, register
from graphstudio.nodes.types import Message, SetParam, ShapeError, TensorType


@register
@dataclass(frozen=True, kw_only=True)
class Reshape(UnaryNode):
    """The same numbers of each sample in another shape.

    Input ``(N, ...)``, output ``(N, *shape)``, in row-major order of the channels-first axes.
    PyTorch ``x.reshape``, Keras ``Reshape``.
    """

    type_id = "shape.reshape"
    label = "Reshape"
    category = "Shape"
    keywords = ("rs", "view", "unflatten", "重塑", "变形", "形状")
    cases = (
        Case(inputs=((2, 3, 4, 5),)),
        Case(inputs=((2, 16),), params={"shape": [1, 4, -1]}),
        Case(inputs=((2, 1),), params={"shape": []}),
    )

    shape: tuple[int, ...] = param(
        (-1,),
        low=-1,
        high=100_000_000,
        length=(0, 6),
        doc="Shape of one sample, without the batch axis; one -1 stands for what is left.",
    )

    def check_params(self) -> Message | None:
        if 0 in self.shape:
            return Message("no axis of {shape} may have size 0", {"shape": self.shape})
        if self.shape.count(-1) > 1:
            return Message("only one axis of {shape} may be -1", {"shape": self.shape})
        return None

    def infer(self, x: TensorType) -> TensorType:
        if x.rank < 1:
            raise ShapeError(expected=Message("a batch, (N, ...)"), actual=x.shape)
        require_known(x)
        size = x.sample_size
        assert size is not None
        given = math.prod(d for d in self.shape if d != -1)
        fits = size % given == 0 if -1 in self.shape else size == given
        if not fits:
            raise ShapeError(
                message=Message(
                    "the shape {shape} holds {given} numbers a sample, but the input {input} "
                    "has {size}",
                    {"shape": self.shape, "given": given, "input": x.shape, "size": size},
                ),
                hint=Message("Choose sizes whose product is {size}.", {"size": size}),
                fixes=(
                    SetParam(
                        Message("Set the shape to {shape}", {"shape": (size,)}), "shape", (size,)
                    ),
                ),
                code="size",
            )
        sample = tuple(size // given if d == -1 else d for d in self.shape)
        return x.with_shape(x.shape[0], *sample)

    def summary(self) -> str:
        return "x".join("?" if n == -1 else str(n) for n in self.shape) or "1"

    def num_flops(self, inputs: object, outputs: object) -> int:
        return 0

    def lower(self, b: EngineBuilder, x: Value) -> Value:
        y: Value = b.call("reshape", x, shape=self.infer(x.type).shape)
        return y

    def emit_pytorch(self, e: Emitter, x: Emitted) -> Emitted:
        return e.call("torch.reshape", x, (-1, *self.infer(x.type).sample_shape))

    def emit_tensorflow(self, e: Emitter, x: Emitted) -> Emitted:
        shape = (-1, *self.infer(x.type).sample_shape)
        return e.laid(e.call("tf.reshape", e.logical(x), shape), LOGICAL)

    def emit_keras(self, e: Emitter, x: Emitted) -> Emitted:
        shape = self.infer(x.type).sample_shape
        return e.laid(e.layer("layers.Reshape", shape)(e.logical(x)), LOGICAL)
