"""Dictionaries of nodes and wires that know their labels and ends without being searched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from graphstudio.document.model import Node, Wire

K = TypeVar("K")
V = TypeVar("V")


class IndexedDict(dict[K, V]):
    """A dictionary that tells its subclass of every entry that comes and goes.

    Every way in and out leads through ``__setitem__`` and ``__delitem__``.
    """

    def __init__(self, items: Mapping[K, V] | Iterable[tuple[K, V]] = ()) -> None:
        super().__init__()
        self._reset()
        self.update(items)

    def _reset(self) -> None:
        """Make the index of an empty dictionary."""
        raise NotImplementedError

    def _enter(self, value: V) -> None:
        raise NotImplementedError

    def _leave(self, value: V) -> None:
        raise NotImplementedError

    def __setitem__(self, key: K, value: V) -> None:
        if key in self:
            self._leave(self[key])
        super().__setitem__(key, value)
        self._enter(value)

    def __delitem__(self, key: K) -> None:
        value = self[key]
        super().__delitem__(key)
        self._leave(value)

    def pop(self, key: K, *default: Any) -> Any:
        if key not in self and default:
            return default[0]
        value = self[key]
        del self[key]
        return value

    def popitem(self) -> tuple[K, V]:
        key = next(reversed(self))
        return key, self.pop(key)

    def setdefault(self, key: K, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, *others: Any, **more: Any) -> None:
        for key, value in dict(*others, **more).items():
            self[key] = value

    def __ior__(self, other: Any) -> Any:  # type: ignore[misc]  # as dict: a plain dict from |
        self.update(other)
        return self

    def clear(self) -> None:
        super().clear()
        self._reset()

    def copy(self) -> Any:
        return type(self)(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)


class NodeTable(IndexedDict[str, "Node"]):
    """Nodes by id."""

    labels: dict[str, int]
    """Label to the number of nodes that have it: one, in a document that keeps its rules."""

    def _reset(self) -> None:
        self.labels = {}

    def _enter(self, value: Node) -> None:
        self.labels[value.label] = self.labels.get(value.label, 0) + 1

    def _leave(self, value: Node) -> None:
        left = self.labels[value.label] - 1
        if left:
            self.labels[value.label] = left
        else:
            del self.labels[value.label]


class WireTable(IndexedDict[tuple[str, str], "Wire"]):
    """Wires by (target node, target port): one wire per input."""

    leaving: dict[str, dict[tuple[str, str], Wire]]
    """Node id to the wires that begin there."""
    entering: dict[str, dict[tuple[str, str], Wire]]
    """Node id to the wires that end there."""

    def _reset(self) -> None:
        self.leaving = {}
        self.entering = {}

    def _enter(self, value: Wire) -> None:
        self.leaving.setdefault(value.source, {})[value.key] = value
        self.entering.setdefault(value.target, {})[value.key] = value

    def _leave(self, value: Wire) -> None:
        for ends, node in ((self.leaving, value.source), (self.entering, value.target)):
            del ends[node][value.key]
            if not ends[node]:
                del ends[node]

    def reaches(self, start: str, goal: str) -> bool:
        """True if ``goal`` is ``start`` or lies downstream of it.

        Looks from both ends in turn and stops as soon as one of them has nothing left, so that
        building a long chain in order costs one step a wire.
        """
        if start == goal:
            return True
        ahead, behind = [start], [goal]
        seen_ahead, seen_behind = {start}, {goal}
        while ahead and behind:
            for wire in self.leaving.get(ahead.pop(), {}).values():
                if wire.target == goal:
                    return True
                if wire.target not in seen_ahead:
                    seen_ahead.add(wire.target)
                    ahead.append(wire.target)
            for wire in self.entering.get(behind.pop(), {}).values():
                if wire.source == start:
                    return True
                if wire.source not in seen_behind:
                    seen_behind.add(wire.source)
                    behind.append(wire.source)
        return False
