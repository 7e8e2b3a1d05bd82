"""What all commands share: their result, labels, ports of a record, and safe texts."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from typing import Literal

from graphstudio.document.changes import Change, Refuse
from graphstudio.document.limits import writable
from graphstudio.document.model import Document, GraphRecord, Node, new_id
from graphstudio.nodes.spec import Port, build, find_type
from graphstudio.nodes.types import Message

Command = tuple[Message, list[Change]]
"""Name of the step in the undo history, and what it does. No changes: there is nothing to do."""

MAX_LABEL = 200
MAX_COORDINATE = 1e7


def refused(name: Message, reason: Message) -> Command:
    """A command whose application raises DocumentError with this reason."""
    return name, [Refuse(reason)]


def fresh_id(document: Document, taken: Container[str] = ()) -> str:
    """An id that no node or frame of the document has, and that is not in ``taken``."""
    while True:
        candidate = new_id()
        if candidate not in taken and not any(
            candidate in g.nodes or candidate in g.frames for g in document.graphs.values()
        ):
            return candidate


class Labels:
    """Hands out labels that no node of a graph has, each only once."""

    def __init__(self, graph: GraphRecord) -> None:
        self._taken = graph.nodes.labels
        self._given: set[str] = set()
        self._last: dict[str, int] = {}

    def unique(self, wanted: str) -> str:
        """``wanted``, or with the next free number after it: ``Conv2D 2``."""
        label = wanted
        if self._is_taken(label):
            base = re.sub(r" [0-9]{1,9}$", "", wanted) or wanted
            number = self._last.get(base, 1) + 1
            while self._is_taken(f"{base} {number}"):
                number += 1
            self._last[base] = number
            label = f"{base} {number}"
        self._given.add(label)
        return label

    def _is_taken(self, label: str) -> bool:
        return label in self._taken or label in self._given


def clean_label(text: str) -> str:
    """A label on one line that a file can hold; empty if nothing is left."""
    return clean_text(" ".join(text.split()))[:MAX_LABEL].strip()


def clean_text(text: str) -> str:
    """Text that can be written as UTF-8: half a character becomes a question mark."""
    return text if writable(text) else text.encode("utf-8", "replace").decode("utf-8")


def clean_position(x: float, y: float) -> tuple[float, float]:
    """A place on the canvas, to a tenth of a pixel; nonsense becomes 0."""
    return _coordinate(x), _coordinate(y)


def _coordinate(value: float) -> float:
    if value != value:
        return 0.0
    return round(float(min(max(value, -MAX_COORDINATE), MAX_COORDINATE)), 1) + 0.0  # no -0.0


def ports_of(node: Node) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """Input and output ports; with the defaults if the parameters are wrong; none if unknown."""
    cls = find_type(node.type)
    if cls is None:
        return (), ()
    made, _ = build(cls, node.params)
    made = made or cls()
    return made.input_ports(), made.output_ports()


def type_name(type_id: str) -> Message | str:
    """The label of a node type, to be translated; the id of an unknown one."""
    cls = find_type(type_id)
    return Message(cls.label) if cls is not None else type_id


def titled(
    what: Literal["delete", "move", "duplicate", "change"], graph: GraphRecord, ids: Iterable[str]
) -> Message:
    """Name of a step that concerns one node, which it names, or several, which it counts."""
    known = [i for i in ids if i in graph.nodes]
    one = {"node": graph.nodes[known[0]].label} if len(known) == 1 else None
    count = {"count": len(known)}
    match what:
        case "delete":
            return (
                Message("Delete '{node}'", one) if one else Message("Delete {count} nodes", count)
            )
        case "move":
            return Message("Move '{node}'", one) if one else Message("Move {count} nodes", count)
        case "duplicate":
            if one:
                return Message("Duplicate '{node}'", one)
            return Message("Duplicate {count} nodes", count)
        case "change":
            return (
                Message("Change '{node}'", one) if one else Message("Change {count} nodes", count)
            )
