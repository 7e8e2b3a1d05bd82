"""The document: frozen records in dictionaries, changed only through ``Document.apply``."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphstudio.document.tables import NodeTable, WireTable
from graphstudio.nodes.types import Message

MAIN = "main"
FORMAT = 1

_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


def new_id() -> str:
    """Short random id, never derived from a name and never reused."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(8))


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node as drawn. ``params`` holds only what differs from the type's defaults."""

    id: str
    type: str
    label: str
    position: tuple[float, float] = (0.0, 0.0)
    params: Mapping[str, Any] = field(default_factory=dict)
    color: str = ""
    bypass: bool = False
    comment: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the file that this version does not know; written back untouched."""


@dataclass(frozen=True, kw_only=True)
class Wire:
    """Joins an output port to an input port, by name. ``(target, target_port)`` is unique."""

    source: str
    source_port: str
    target: str
    target_port: str
    route: tuple[tuple[float, float], ...] = ()
    """Reroute dots, in scene coordinates; pure drawing."""
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        return (self.target, self.target_port)


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A coloured backdrop with a title around some nodes."""

    id: str
    title: str
    rect: tuple[float, float, float, float]
    """Left, top, width, height, in scene coordinates."""
    color: str = ""
    note: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class BlockInterface:
    """Ports and parameters of a block definition."""

    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    """Parameter name to default value; nodes refer to them by name in expressions."""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(kw_only=True)
class GraphRecord:
    """The main graph, or one named block definition (then ``interface`` is set)."""

    id: str
    name: str = ""
    nodes: NodeTable = field(default_factory=NodeTable)
    wires: WireTable = field(default_factory=WireTable)
    """By (target node, target port): one wire per input."""
    frames: dict[str, Frame] = field(default_factory=dict)
    interface: BlockInterface | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def __setattr__(self, name: str, value: Any) -> None:
        # whoever hands in a plain dictionary gets an indexed one
        if name == "nodes" and not isinstance(value, NodeTable):
            value = NodeTable(value)
        elif name == "wires" and not isinstance(value, WireTable):
            value = WireTable(value)
        super().__setattr__(name, value)

    def wires_of(self, node_id: str) -> Iterator[Wire]:
        """Wires that begin or end at the node."""
        yield from self.wires.entering.get(node_id, {}).values()
        yield from self.wires.leaving.get(node_id, {}).values()

    def reaches(self, start: str, goal: str) -> bool:
        """True if ``goal`` is ``start`` or lies downstream of it."""
        return self.wires.reaches(start, goal)


@dataclass(frozen=True, kw_only=True)
class Split:
    """How the samples are divided. ``train`` is what the two shares leave."""

    validation: float = 0.1
    test: float = 0.2
    seed: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """Where the samples come from and how they are divided."""

    source: str = ""
    """Kind of source, such as ``digits`` or ``mnist``; empty: none chosen yet."""
    options: Mapping[str, Any] = field(default_factory=dict)
    split: Split = Split()
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A named kind with its parameters: an optimiser or a schedule."""

    kind: str
    params: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Which losses drive which parameters, with which optimiser and schedule."""

    name: str = "train"
    losses: Mapping[str, float] = field(default_factory=dict)
    """Loss node id to weight; empty: every loss node, weight 1."""
    frozen: tuple[str, ...] = ()
    """Ids of nodes whose parameters do not move."""
    optimizer: Choice = Choice(kind="adam")
    schedule: Choice | None = None
    epochs: int = 10
    steps_per_batch: int = 1
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Training:
    """The one training specification, for the engine and for the exporters."""

    phases: tuple[Phase, ...] = (Phase(),)
    batch_size: int = 64
    seed: int = 0
    shuffle: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ChangeSet:
    """What one transaction touched, for views and the checker."""

    nodes: frozenset[tuple[str, str]] = frozenset()
    """(graph id, node id) added, removed or changed in any field."""
    wires: frozenset[tuple[str, tuple[str, str]]] = frozenset()
    """(graph id, wire key) added, removed or changed."""
    frames: frozenset[tuple[str, str]] = frozenset()
    moved: frozenset[tuple[str, str]] = frozenset()
    """Nodes of which nothing but drawing (position, colour, comment) changed; not in ``nodes``."""
    graphs: frozenset[str] = frozenset()
    data: bool = False
    training: bool = False
    settings: bool = False

    def __or__(self, other: ChangeSet) -> ChangeSet:
        return ChangeSet.union((self, other))

    @classmethod
    def union(cls, parts: Iterable[ChangeSet]) -> ChangeSet:
        """What all of them touched."""
        parts = tuple(parts)
        nodes = frozenset().union(*(p.nodes for p in parts))
        return cls(
            nodes=nodes,
            wires=frozenset().union(*(p.wires for p in parts)),
            frames=frozenset().union(*(p.frames for p in parts)),
            moved=frozenset().union(*(p.moved for p in parts)) - nodes,
            graphs=frozenset().union(*(p.graphs for p in parts)),
            data=any(p.data for p in parts),
            training=any(p.training for p in parts),
            settings=any(p.settings for p in parts),
        )

    @property
    def empty(self) -> bool:
        return self == ChangeSet()


class DocumentError(Exception):
    """A change would break a rule of the document; nothing was changed."""

    def __init__(self, message: Message) -> None:
        self.message = message
        super().__init__(str(message))


Listener = Callable[[ChangeSet], None]


@dataclass(kw_only=True)
class Document:
    """One project. Views read it freely and change it only through commands."""

    graphs: dict[str, GraphRecord] = field(default_factory=lambda: {MAIN: GraphRecord(id=MAIN)})
    data: DataSpec = DataSpec()
    training: Training = Training()
    settings: dict[str, Any] = field(default_factory=dict)
    view: dict[str, Any] = field(default_factory=dict)
    """Zoom, panes and the like: saved apart, no undo step, no change event."""
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def main(self) -> GraphRecord:
        return self.graphs[MAIN]

    def graph(self, graph_id: str) -> GraphRecord:
        try:
            return self.graphs[graph_id]
        except KeyError:
            raise DocumentError(
                Message("there is no graph '{graph}' in this project", {"graph": graph_id})
            ) from None
