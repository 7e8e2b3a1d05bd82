"""Primitive changes: each checks the document's rules, applies itself and returns its inverse."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from graphstudio.document.model import (
    ChangeSet,
    DataSpec,
    Document,
    DocumentError,
    Frame,
    GraphRecord,
    Node,
    Training,
    Wire,
)
from graphstudio.nodes.types import Message

DRAWING_FIELDS = frozenset({"position", "color", "comment"})


class Change(Protocol):
    """One reversible step. ``apply`` either changes the document wholly or raises DocumentError."""

    def apply(self, document: Document) -> Change: ...

    def touched(self) -> ChangeSet: ...


@dataclass(frozen=True)
class AddNode:
    """Add a node without wires."""

    graph: str
    node: Node

    def apply(self, document: Document) -> Change:
        graph = document.graph(self.graph)
        if self.node.id in graph.nodes:
            raise DocumentError(
                Message("a node with the id '{node}' exists already", {"node": self.node.id})
            )
        if self.node.label in graph.nodes.labels:
            raise DocumentError(_taken(self.node.label))
        graph.nodes[self.node.id] = self.node
        return RemoveNode(self.graph, self.node.id)

    def touched(self) -> ChangeSet:
        return ChangeSet(nodes=frozenset({(self.graph, self.node.id)}))


@dataclass(frozen=True)
class RemoveNode:
    """Remove a node that has no wires."""

    graph: str
    node_id: str

    def apply(self, document: Document) -> Change:
        graph = document.graph(self.graph)
        node = _node(graph, self.node_id)
        if any(True for _ in graph.wires_of(self.node_id)):
            raise DocumentError(
                Message("'{node}' still has wires; remove them first", {"node": node.label})
            )
        del graph.nodes[self.node_id]
        return AddNode(self.graph, node)

    def touched(self) -> ChangeSet:
        return ChangeSet(nodes=frozenset({(self.graph, self.node_id)}))


@dataclass(frozen=True)
class SetNode:
    """Replace fields of a node (``label``, ``params``, ``position``, ``bypass`` ...)."""

    graph: str
    node_id: str
    values: Mapping[str, Any]

    def apply(self, document: Document) -> Change:
        graph = document.graph(self.graph)
        node = _node(graph, self.node_id)
        if "id" in self.values:
            raise DocumentError(Message("the id of a node never changes"))
        label = self.values.get("label", node.label)
        if label != node.label and label in graph.nodes.labels:
            raise DocumentError(_taken(label))
        old = {name: getattr(node, name) for name in self.values}
        graph.nodes[self.node_id] = dataclasses.replace(node, **dict(self.values))
        return SetNode(self.graph, self.node_id, old)

    def touched(self) -> ChangeSet:
        key = frozenset({(self.graph, self.node_id)})
        return (
            ChangeSet(moved=key) if DRAWING_FIELDS.issuperset(self.values) else ChangeSet(nodes=key)
        )


@dataclass(frozen=True)
class AddWire:
    """Add a wire to a free input; refuses a cycle."""

    graph: str
    wire: Wire
    known: bool = field(default=False, compare=False)
    """The wire was there before: taking back its removal cannot close a cycle."""

    def apply(self, document: Document) -> Change:
        graph = document.graph(self.graph)
        source, target = _node(graph, self.wire.source), _node(graph, self.wire.target)
        if self.wire.key in graph.wires:
            raise DocumentError(
                Message(
                    "the input '{port}' of '{node}' has a wire already",
                    {"port": self.wire.target_port, "node": target.label},
                )
            )
        if not self.known and graph.reaches(self.wire.target, self.wire.source):
            raise DocumentError(
                Message(
                    "a wire from '{source}' to '{target}' would close a cycle",
                    {"source": source.label, "target": target.label},
                )
            )
        graph.wires[self.wire.key] = self.wire
        return RemoveWire(self.graph, self.wire.key)

    def touched(self) -> ChangeSet:
        return ChangeSet(wires=frozenset({(self.graph, self.wire.key)}))


@dataclass(frozen=True)
class RemoveWire:
    """Remove the wire of an input."""

    graph: str
    key: tuple[str, str]

    def apply(self, document: Document) -> Change:
        graph = document.graph(self.graph)
        if self.key not in graph.wires:
            raise DocumentError(
                Message(
                    "the input '{port}' of the node '{node}' has no wire",
                    {"port": self.key[1], "node": self.key[0]},
                )
            )
        return AddWire(self.graph, graph.wires.pop(self.key), known=True)

    def touched(self) -> ChangeSet:
        return ChangeSet(wires=frozenset({(self.graph, self.key)}))


@dataclass(frozen=True)
class Refuse:
    """A command that cannot be carried out: applying it raises, so that one road reports it."""

    reason: Message

    def apply(self, document: Document) -> Change:
        raise DocumentError(self.reason)

    def touched(self) -> ChangeSet:
        return ChangeSet()


@dataclass(frozen=True)
class PutFrame:
    """Add a frame, or replace the one with the same id; ``None`` removes it."""

    graph: str
    frame_id: str
    frame: Frame | None

    def apply(self, document: Document) -> Change:
        graph = document.graph(self.graph)
        old = graph.frames.pop(self.frame_id, None)
        if self.frame is not None:
            graph.frames[self.frame_id] = self.frame
        return PutFrame(self.graph, self.frame_id, old)

    def touched(self) -> ChangeSet:
        return ChangeSet(frames=frozenset({(self.graph, self.frame_id)}))


@dataclass(frozen=True)
class SetData:
    """Replace where the samples come from."""

    data: DataSpec

    def apply(self, document: Document) -> Change:
        old, document.data = document.data, self.data
        return SetData(old)

    def touched(self) -> ChangeSet:
        return ChangeSet(data=True)


@dataclass(frozen=True)
class SetTraining:
    """Replace how the model is trained."""

    training: Training

    def apply(self, document: Document) -> Change:
        old, document.training = document.training, self.training
        return SetTraining(old)

    def touched(self) -> ChangeSet:
        return ChangeSet(training=True)


@dataclass(frozen=True)
class SetSettings:
    """Replace the whole settings mapping."""

    settings: Mapping[str, Any]

    def apply(self, document: Document) -> Change:
        old, document.settings = document.settings, dict(self.settings)
        return SetSettings(old)

    def touched(self) -> ChangeSet:
        return ChangeSet(settings=True)


def _node(graph: GraphRecord, node_id: str) -> Node:
    try:
        return graph.nodes[node_id]
    except KeyError:
        raise DocumentError(Message("there is no node '{node}'", {"node": node_id})) from None


def _taken(label: str) -> Message:
    return Message("the name '{name}' is taken by another node", {"name": label})
