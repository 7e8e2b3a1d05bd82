"""Concatenation of several inputs."""

from __future__ import annotations

from dataclasses import dataclass

from graphstudio.nodes.emit import Emitted, Emitter
from graphstudio.nodes.merging import MERGE_PORTS, MergeNode
from graphstudio.nodes.shapes import require_float
from graphstudio.nodes.spec import Case, EngineBuilder, Value, param, register
from graphstudio.nodes.types import Dim, Fix, InsertNode, Message, ShapeError, TensorType


@register
@dataclass(frozen=True, kw_only=True)
class Concatenate(MergeNode):
    """All inputs joined along one axis.

    The other axes must agree. PyTorch ``torch.cat``, TensorFlow ``tf.concat``, Keras
    ``Concatenate``; the channel axis is 1 here and in PyTorch, -1 in the other two.
    """

    type_id = "merge.concatenate"
    label = "Concatenate"
    keywords = ("cat", "concat", "join", "stack", "skip", "拼接", "连接", "合并")
    cases = (
        Case(inputs=((2, 5), (2, 3))),
        Case(inputs=((2, 3, 4, 4), (2, 1, 4, 4), (2, 2, 4, 4)), params={"num_inputs": 3}),
        Case(inputs=((2, 3, 4), (2, 3, 2)), params={"axis": "last"}),
    )

    axis: str = param(
        "channels",
        choices=("channels", "last"),
        doc="'channels' joins on the axis after the batch, 'last' on the last one.",
    )

    def axis_index(self, rank: int) -> int:
        """The axis as a number, counted from the batch."""
        return 1 if self.axis == "channels" else rank - 1

    def infer(self, *inputs: TensorType) -> TensorType:
        first = inputs[0]
        require_float(first, "a")
        if first.rank < 2:
            raise ShapeError(
                expected=Message("rank 2 or more, (N, C, ...)"), actual=first.shape, port="a"
            )
        axis = self.axis_index(first.rank)
        total = 0
        for port, x in zip(MERGE_PORTS, inputs, strict=False):
            require_float(x, port)
            if x.rank != first.rank or _without(x, axis) != _without(first, axis):
                raise _mismatch(axis, first, port, x)
            size = x.shape[axis]
            if not isinstance(size, int):
                raise ShapeError(
                    expected=Message("a known size of the joined axis"), actual=x.shape, port=port
                )
            total += size
        return first.with_shape(*first.shape[:axis], total, *first.shape[axis + 1 :])

    def summary(self) -> str:
        parts = [super().summary(), "" if self.axis == "channels" else self.axis]
        return " · ".join(p for p in parts if p)

    def num_flops(self, inputs: object, outputs: object) -> int:
        return 0

    def lower(self, b: EngineBuilder, *inputs: Value) -> Value:
        y: Value = b.call("concatenate", *inputs, axis=self.axis_index(inputs[0].type.rank))
        return y

    def emit_pytorch(self, e: Emitter, *inputs: Emitted) -> Emitted:
        return e.call("torch.cat", inputs, dim=self.axis_index(inputs[0].type.rank))

    def emit_tensorflow(self, e: Emitter, *inputs: Emitted) -> Emitted:
        xs = e.aligned(*inputs)
        return e.call("tf.concat", xs, axis=e.axis(xs[0], self.axis_index(xs[0].type.rank)))

    def emit_keras(self, e: Emitter, *inputs: Emitted) -> Emitted:
        xs = e.aligned(*inputs)
        axis = e.axis(xs[0], self.axis_index(xs[0].type.rank))
        return e.layer("layers.Concatenate", axis=axis)(list(xs))


def _without(x: TensorType, axis: int) -> tuple[Dim, ...]:
    return (*x.shape[:axis], *x.shape[axis + 1 :]) if x.rank > axis else x.shape


def _mismatch(axis: int, a: TensorType, port: str, b: TensorType) -> ShapeError:
    small, large = ("a", port) if _area(a) < _area(b) else (port, "a")
    ratio = _pool_ratio(*((a, b) if small == "a" else (b, a)))
    hint = Message("Bring both to the same sizes before they are joined.")
    fixes: tuple[Fix, ...] = ()
    if ratio is not None:
        hint = Message(
            "Downsample input {large} by {ratio} or upsample input {small}.",
            {"large": large, "small": small, "ratio": ratio},
        )
        title = Message("Insert a MaxPool2D on input {port}", {"port": large})
        params = {"kernel_size": ratio, "stride": ratio}
        fixes = (InsertNode(title, large, "layer.max_pool2d", params),)
    return ShapeError(
        message=Message(
            "the inputs are joined on axis {axis}, so all other axes must agree; input A is {a}, "
            "input {port} is {b}",
            {"axis": axis, "a": a.shape, "port": port.upper(), "b": b.shape},
        ),
        hint=hint,
        port=port,
        fixes=fixes,
        code="concatenate-shape",
    )


def _area(x: TensorType) -> int:
    return x.sample_size // max(int(x.shape[1]), 1) if x.rank > 1 and x.sample_size else 0


def _pool_ratio(small: TensorType, large: TensorType) -> tuple[int, int] | None:
    """Window of a pooling that brings ``large`` to the height and width of ``small``."""
    if small.rank != 4 or large.rank != 4 or not small.sample_size or not large.sample_size:
        return None
    ratios = []
    for n, m in zip(small.shape[2:], large.shape[2:], strict=True):
        if not isinstance(n, int) or not isinstance(m, int) or m // n < 1 or m // (m // n) != n:
            return None
        ratios.append(m // n)
    return ratios[0], ratios[1]
