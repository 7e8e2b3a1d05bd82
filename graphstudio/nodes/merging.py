"""What Add, Multiply and Concatenate share: several inputs, and how to make them fit."""

from __future__ import annotations

from dataclasses import dataclass

from graphstudio.nodes.shapes import require_float
from graphstudio.nodes.spec import NodeType, Port, param
from graphstudio.nodes.types import Dim, Fix, InsertNode, Message, ShapeError, TensorType

MERGE_PORTS = tuple("abcdefgh")


@dataclass(frozen=True, kw_only=True)
class MergeNode(NodeType):
    """Base of nodes with two to eight inputs ``a``, ``b``, ... and one output ``y``."""

    category = "Merge"

    num_inputs: int = param(
        2, low=2, high=len(MERGE_PORTS), label="Inputs", doc="Number of inputs."
    )

    def input_ports(self) -> tuple[Port, ...]:
        return tuple(Port(name, name.upper()) for name in MERGE_PORTS[: self.num_inputs])

    def summary(self) -> str:
        return "" if self.num_inputs == 2 else f"x{self.num_inputs}"


def require_equal(inputs: tuple[TensorType, ...]) -> TensorType:
    """The one type of all inputs.

    Raises
    ------
    ShapeError
        If an input differs from the first; it offers to project either of the two where a 1x1
        convolution or a Dense node can do it.
    """
    first = inputs[0]
    require_float(first, "a")
    for port, other in zip(MERGE_PORTS[1:], inputs[1:], strict=False):
        require_float(other, port)
        if other.shape != first.shape:
            fixes = (*_projection(port, other, first), *_projection("a", first, other))
            raise ShapeError(
                message=Message(
                    "all inputs must have one shape; input A is {a}, input {port} is {b}",
                    {"a": first.shape, "port": port.upper(), "b": other.shape},
                ),
                hint=_hint(first, other, fixes),
                port=port,
                fixes=fixes,
            )
    return first


def _hint(a: TensorType, b: TensorType, fixes: tuple[Fix, ...]) -> Message:
    if a.rank != b.rank:
        return Message("Bring both to the same rank with Flatten, Reshape or a pooling.")
    if a.rank == 4 and fixes:
        return Message("Project the shortcut with a 1x1 Conv2D.")
    if fixes:
        return Message("Project the shortcut with a Dense node.")
    return Message("Give the nodes before it equal sizes.")


def _projection(port: str, x: TensorType, goal: TensorType) -> tuple[Fix, ...]:
    """How one new node on ``port`` turns ``x`` into ``goal``, or nothing."""
    if x.rank != goal.rank or x.shape[0] != goal.shape[0] or x.rank not in (2, 3, 4):
        return ()
    size = goal.shape[-1 if x.rank < 4 else 1]
    if not isinstance(size, int):
        return ()
    if x.rank < 4:
        if x.shape[:-1] != goal.shape[:-1]:
            return ()
        title = Message("Insert Dense ({size}) on {port}", {"port": port.upper(), "size": size})
        return (InsertNode(title, port, "layer.dense", {"units": size, "use_bias": False}),)
    strides = [_stride(n, m) for n, m in zip(x.shape[2:], goal.shape[2:], strict=True)]
    if None in strides:
        return ()
    title = Message("Insert 1x1 Conv2D ({size}) on {port}", {"port": port.upper(), "size": size})
    params = {
        "filters": size,
        "kernel_size": (1, 1),
        "stride": tuple(strides),
        "padding": "valid",
        "use_bias": False,
    }
    return (InsertNode(title, port, "layer.conv2d", params),)


def _stride(size: Dim, goal: Dim) -> int | None:
    """Stride with which a 1x1 window over ``size`` gives ``goal`` positions."""
    if not isinstance(size, int) or not isinstance(goal, int) or goal > size:
        return None
    return next((s for s in range(1, size + 1) if -(-size // s) == goal), None)
