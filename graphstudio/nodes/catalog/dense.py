"""Dense layer: an affine map on the last axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphstudio.nodes.emit import LOGICAL, Emitted, Emitter, Snippet, Weight, matrix
from graphstudio.nodes.shapes import known, require_float
from graphstudio.nodes.spec import Case, EngineBuilder, UnaryNode, Value, param, register
from graphstudio.nodes.types import InsertNode, Message, ShapeError, TensorType

_TF_DENSE = Snippet(
    "Dense",
    '''
class Dense(tf.Module):
    """Affine map on the last axis: ``y = x @ kernel + bias``."""

    def __init__(self, features, units, *, use_bias=True, kernel_initializer, name):
        super().__init__(name=name)
        with self.name_scope:
            kernel = kernel_initializer((features, units))
            self.kernel = tf.Variable(kernel, name="kernel")
            self.bias = None
            if use_bias:
                self.bias = tf.Variable(tf.zeros([units]), name="bias")

    def __call__(self, x):
        y = tf.matmul(x, self.kernel)
        return y if self.bias is None else y + self.bias
''',
    imports=("import tensorflow as tf",),
)


@register
@dataclass(frozen=True, kw_only=True)
class Dense(UnaryNode):
    """Affine map on the last axis: ``y = x @ weight.T + bias``.

    Input ``(N, D)`` or ``(N, T, D)``, output ``(N, ..., units)``. PyTorch ``nn.Linear``, Keras
    ``Dense`` (which stores the weight as ``(in, out)``; here and in PyTorch it is ``(out, in)``).
    """

    type_id = "layer.dense"
    label = "Dense"
    category = "Layers"
    keywords = ("d", "linear", "fully connected", "fc", "affine", "全连接", "线性", "稠密")
    size_param = "units"
    cases = (
        Case(inputs=((8, 784),)),
        Case(inputs=((4, 5, 16),), params={"units": 3, "use_bias": False}),
    )

    units: int = param(64, low=1, high=65_536, doc="Size of the last output axis.")
    use_bias: bool = param(True, label="Bias", doc="Add one trainable offset per unit.")

    def infer(self, x: TensorType) -> TensorType:
        require_float(x)
        if x.rank > 3:
            raise ShapeError(
                expected=Message("rank 2 or 3, (N, D) or (N, T, D)"),
                actual=x.shape,
                hint=Message("Put a Flatten or a GlobalAveragePool2D node before this one."),
                fixes=(InsertNode(Message("Insert Flatten"), "x", "shape.flatten"),),
            )
        if x.rank < 2:
            raise ShapeError(
                expected=Message("rank 2 or 3, (N, D) or (N, T, D)"),
                actual=x.shape,
                hint=Message("Put a Reshape node before this one."),
                fixes=(
                    InsertNode(
                        Message("Insert a Reshape to {shape}", {"shape": (1,)}),
                        "x",
                        "shape.reshape",
                        {"shape": (1,)},
                    ),
                )
                if x.rank == 1
                else (),
            )
        if not isinstance(x.shape[-1], int):
            raise ShapeError(expected=Message("a known size of the last axis"), actual=x.shape)
        return x.with_last(self.units)

    def summary(self) -> str:
        return str(self.units)

    def num_flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> int:
        return 2 * (outputs[0].sample_size or 0) * known(inputs[0].shape[-1])

    def parameters(self, x: TensorType) -> Mapping[str, tuple[int, ...]]:
        weight = {"weight": (self.units, known(x.shape[-1]))}
        return weight | ({"bias": (self.units,)} if self.use_bias else {})

    def lower(self, b: EngineBuilder, x: Value) -> Value:
        weight = b.parameter("weight", (self.units, known(x.type.shape[-1])), init="glorot_uniform")
        y: Value = b.call("matmul", x, weight, transpose_b=True)
        if self.use_bias:
            y = b.call("add", y, b.parameter("bias", (self.units,), init="zeros"))
        return y

    def emit_pytorch(self, e: Emitter, x: Emitted) -> Emitted:
        weights = {name: name for name in self.parameters(x.type)}
        options: dict[str, Any] = {} if self.use_bias else {"bias": False}
        features = known(x.type.shape[-1])
        return e.layer("nn.Linear", features, self.units, weights=weights, **options)(x)

    def emit_tensorflow(self, e: Emitter, x: Emitted) -> Emitted:
        x = x if x.layout.flattened else e.logical(x)
        options: dict[str, Any] = {} if self.use_bias else {"use_bias": False}
        features = known(x.type.shape[-1])
        dense = e.layer(_TF_DENSE, features, self.units, weights=self._transposed(x), **options)
        return e.laid(dense(x), LOGICAL)

    def emit_keras(self, e: Emitter, x: Emitted) -> Emitted:
        x = x if x.layout.flattened else e.logical(x)
        options: dict[str, Any] = {} if self.use_bias else {"use_bias": False}
        dense = e.layer("layers.Dense", self.units, weights=self._transposed(x), **options)
        return e.laid(dense(x), LOGICAL)

    def _transposed(self, x: Emitted) -> dict[str, str | Weight]:
        """The weights for frameworks that store (in, out)."""
        bias: dict[str, str | Weight] = {"bias": "bias"} if self.use_bias else {}
        return {"kernel": matrix("weight", x), **bias}
