"""What an exporter knows of emitted code before it has names: values, layers, stored arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphstudio.exporters.writer import Tree
from graphstudio.ir.graph import IRNode
from graphstudio.nodes.emit import LOGICAL, Layout
from graphstudio.nodes.types import Message, TensorType


@dataclass(frozen=True)
class Problem:
    """Why a graph cannot be exported to a target, and on which node that is."""

    message: Message
    hint: Message | None = None
    node: str | None = None


class ExportError(Exception):
    """The target cannot express the project; nothing was written."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(str(p.message) for p in problems))


@dataclass(frozen=True)
class Value:
    """A tensor in emitted code; ``key`` stands for its name until names are given."""

    key: int
    type: TensorType
    layout: Layout = LOGICAL


@dataclass(frozen=True)
class Stored:
    """One array of the weights file, as ``lower`` declares it."""

    name: str
    """Local name, such as ``weight``."""
    shape: tuple[int, ...]
    init: str
    """Name of an initialiser; of a state, ``constant``."""
    options: Mapping[str, Any]
    trainable: bool


@dataclass(frozen=True)
class Binding:
    """Which variable of a layer holds which stored array."""

    stored: str
    """Name in the weights file, such as ``conv1.weight``."""
    layer: str
    variable: str
    shape: tuple[int, ...]
    """Shape in the file."""
    axes: tuple[int, ...]
    split: tuple[int, ...]
    trainable: bool


@dataclass(frozen=True)
class Layer:
    """An object with weights or settings that a node needs."""

    name: str
    node: IRNode
    constructor: Tree
    bindings: tuple[Binding, ...]
    inits: tuple[tuple[str, Stored], ...] = ()
    """Variable and the array that it holds, for those that are drawn at random."""


@dataclass
class Statement:
    """``value = tree``, on behalf of a node."""

    value: Value
    node: IRNode
    tree: Tree
    reads: tuple[int, ...]
    name: str
    layer: Layer | None = None


@dataclass
class Section:
    """Statements of one function: the model, or losses and metrics."""

    statements: list[Statement] = field(default_factory=list)


@dataclass(frozen=True)
class Feed:
    """One array of a batch: the field of the data and the name under which the code has it."""

    node: IRNode
    field: str
    name: str
    type: TensorType
    layout: Layout


class _Recorder:
    """Stands in for the engine while ``lower`` says which arrays a node keeps."""

    def __init__(self) -> None:
        self.arrays: list[Stored] = []

    def parameter(
        self, name: str, shape: tuple[int, ...], *, init: str = "zeros", **options: Any
    ) -> Any:
        self.arrays.append(Stored(name, shape, init, options, True))
        return Value(-1, TensorType(shape))

    def state(self, name: str, shape: tuple[int, ...], *, value: float = 0.0) -> Any:
        self.arrays.append(Stored(name, shape, "constant", {"value": value}, False))
        return Value(-1, TensorType(shape))

    def call(self, op: str, *args: Any, **attrs: Any) -> Any:
        return Value(-1, args[0].type)


def stored_arrays(node: IRNode) -> dict[str, Stored]:
    """The arrays that a node keeps, by local name, in the order of ``lower``."""
    if node.role != "layer":
        return {}
    recorder = _Recorder()
    node.spec.lower(recorder, *(t and Value(-1, t) for t in node.input_types))
    return {a.name: a for a in recorder.arrays}
