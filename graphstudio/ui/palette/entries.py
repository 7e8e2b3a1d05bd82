"""Node types as the palette and the search show them, and which were used last."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal

from graphstudio.i18n import render
from graphstudio.nodes.spec import NodeType, catalog
from graphstudio.nodes.types import Message
from graphstudio.ui.palette.fuzzy import best_score

CATEGORIES = (
    "Inputs",
    "Layers",
    "Convolution",
    "Pooling",
    "Normalisation",
    "Regularisation",
    "Activations",
    "Merge",
    "Shape",
    "Losses",
    "Metrics",
)
NODE_MIME = "application/x-graphstudio-node"
_RECENT_BONUS = 30.0


@dataclass(frozen=True)
class Entry:
    """One node type, with its texts in the active language."""

    type_id: str
    label: str
    english: str
    category: str
    """English name: the key of its colour."""
    category_label: str
    help: str
    names: tuple[tuple[str, float], ...]
    """What the search compares with, and how much each counts."""

    @property
    def code(self) -> str:
        """The shortest keyword, shown as a hint of what to type."""
        codes = [n for n, w in self.names if w == 1.1 and n.isascii() and len(n) <= 4]
        return min(codes, key=len) if codes else ""


def entries() -> tuple[Entry, ...]:
    """All node types, by category and then in the catalogue's order of label."""
    found = [_entry(cls) for cls in catalog().values()]
    order = {c: i for i, c in enumerate(CATEGORIES)}
    return tuple(
        sorted(found, key=lambda e: (order.get(e.category, len(order)), e.category, e.english))
    )


def _entry(cls: type[NodeType]) -> Entry:
    label = render(Message(cls.label))
    first = (cls.__doc__ or "").strip().split("\n", 1)[0].strip()
    names = [(label, 1.0), (cls.label, 1.0), (cls.type_id.rsplit(".", 1)[-1], 0.9)]
    names += [(word, 1.1 if len(word) <= 4 else 0.95) for word in cls.keywords]
    names += [(cls.category, 0.35), (render(Message(cls.category)), 0.35)]
    return Entry(
        type_id=cls.type_id,
        label=label,
        english=cls.label,
        category=cls.category,
        category_label=render(Message(cls.category)),
        help=render(Message(first)).replace("``", "") if first else "",
        names=tuple(names),
    )


def matching(query: str, pool: Iterable[Entry], recent: Sequence[str] = ()) -> list[Entry]:
    """Entries that fit, best first; without a query all of them, the recent ones first."""
    rank = {type_id: i for i, type_id in enumerate(recent)}
    if not query.strip():
        return sorted(pool, key=lambda e: rank.get(e.type_id, len(rank)))
    scored = [(best_score(query, e.names), e) for e in pool]
    kept = [
        (s + (_RECENT_BONUS / (1 + rank[e.type_id]) if e.type_id in rank else 0.0), e)
        for s, e in scored
        if s > 0
    ]
    return [e for _, e in sorted(kept, key=lambda pair: -pair[0])]


class RecentTypes(QObject):
    """Type ids in the order of last use. Palette and canvas share one; the shell may store it."""

    changed = Signal()

    def __init__(self, type_ids: Iterable[str] = (), limit: int = 8) -> None:
        super().__init__()
        self._limit = limit
        self._ids = list(dict.fromkeys(type_ids))[:limit]

    @property
    def type_ids(self) -> tuple[str, ...]:
        return tuple(self._ids)

    def note(self, type_id: str) -> None:
        """Say that a node of this type was just added."""
        ids = [type_id, *(t for t in self._ids if t != type_id)][: self._limit]
        if ids != self._ids:
            self._ids = ids
            self.changed.emit()
