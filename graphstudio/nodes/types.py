"""Tensor types with symbolic dimensions, translatable messages, fixes, and the shape error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

Dim = int | str
Shape = tuple[Dim, ...]
DType = Literal["float32", "int64", "bool"]

BATCH: Dim = "N"


def format_shape(shape: Iterable[Dim]) -> str:
    """Shape as a reader writes it: ``(N, 16, 14, 14)``, a single axis as ``(N,)``."""
    parts = [str(d) for d in shape]
    return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"


@dataclass(frozen=True)
class TensorType:
    """What flows along a wire: a shape, a dtype and, for integers, how many values there are.

    Parameters
    ----------
    shape : tuple of int or str
        A string is a symbol (``"N"``, the batch size); integers are known sizes.
    dtype : str
        ``float32``, ``int64`` or ``bool``.
    classes : int, optional
        Exclusive upper bound of integer values: the number of classes, or a vocabulary size.
    """

    shape: Shape
    dtype: DType = "float32"
    classes: int | None = None

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def sample_shape(self) -> Shape:
        """Shape without the leading batch axis."""
        return self.shape[1:]

    @cached_property
    def sample_size(self) -> int | None:
        """Elements of one sample, or None while a dimension other than the batch is symbolic."""
        size = 1
        for d in self.shape[1:]:
            if isinstance(d, str):
                return None
            size *= d
        return size

    def with_shape(self, *shape: Dim) -> TensorType:
        return TensorType(shape, self.dtype, self.classes)

    def with_last(self, size: Dim) -> TensorType:
        return TensorType((*self.shape[:-1], size), self.dtype, self.classes)

    def __str__(self) -> str:
        return format_shape(self.shape)


@dataclass(frozen=True)
class Message:
    """A sentence with named places, translated where it is shown, never where it is made.

    ``template`` is the English text and also the key of its translation. A shape among the
    arguments (a tuple) is written as ``(N, 3, 8, 8)``; a Message among them is rendered in turn.
    """

    template: str
    args: Mapping[str, Any] = field(default_factory=dict)

    def render(self, template: str | None = None) -> str:
        """The sentence, in English unless another ``template`` is given."""
        text = template or self.template
        return text.format(**{k: _show(v) for k, v in self.args.items()}) if self.args else text

    def __str__(self) -> str:
        return self.render()

    def __hash__(self) -> int:
        return hash((self.template, str(self)))


_TURNS = dict.fromkeys(
    [*range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\N{REPLACEMENT CHARACTER}"
)
"""Characters that turn the direction of writing: in a name from a file, they would turn the whole
sentence around it."""


def _show(value: Any) -> Any:
    if isinstance(value, TensorType):
        return format_shape(value.shape)
    if isinstance(value, tuple):
        return format_shape(value)
    if isinstance(value, Message):
        return value.render()
    return value.translate(_TURNS) if isinstance(value, str) else value


@dataclass(frozen=True)
class InsertNode:
    """Fix: put a new node on the wire that enters ``port`` of the faulty node."""

    title: Message
    port: str
    type_id: str
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SetParam:
    """Fix: change a parameter of the faulty node."""

    title: Message
    name: str
    value: Any


@dataclass(frozen=True)
class SetProducerSize:
    """Fix: change the size parameter (units, filters) of the node whose size reaches ``port``."""

    title: Message
    port: str
    size: int


@dataclass(frozen=True)
class SkipProducer:
    """Fix: wire ``port`` of the faulty node to what feeds the node before it."""

    title: Message
    port: str


@dataclass(frozen=True)
class CutWire:
    """Fix: remove the wire that enters ``port`` of the faulty node."""

    title: Message
    port: str


@dataclass(frozen=True)
class FeedFrom:
    """Fix: wire ``port`` of the faulty node to a node of this type, a new one if there is none."""

    title: Message
    port: str
    type_id: str


Fix = InsertNode | SetParam | SetProducerSize | SkipProducer | CutWire | FeedFrom


class ShapeError(Exception):
    """A node cannot accept its inputs.

    Parameters
    ----------
    expected, actual
        What the node needs and what it was given; a tuple is shown as a shape.
    hint : Message or str, optional
        How to mend it.
    port : str, optional
        The input port at fault; the first one if left out.
    fixes : sequence of Fix
        What one click can do about it.
    message : Message, optional
        The whole sentence, when "expected ..., got ..." does not say it well.
    """

    def __init__(
        self,
        *,
        expected: Any = None,
        actual: Any = None,
        hint: Message | str | None = None,
        port: str | None = None,
        fixes: tuple[Fix, ...] = (),
        message: Message | None = None,
        code: str = "shape",
    ) -> None:
        if message is None:
            args = {"expected": expected, "actual": actual}
            message = Message("expected {expected}, got {actual}", args)
        self.message = message
        self.hint = Message(hint) if isinstance(hint, str) else hint
        self.port = port
        self.fixes = fixes
        self.code = code
        super().__init__(str(message))
