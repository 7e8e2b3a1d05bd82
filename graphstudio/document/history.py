"""Undo history: named, atomic transactions of primitive changes, with merging and a clean mark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from graphstudio.document.changes import Change
from graphstudio.document.model import ChangeSet, Document, Listener
from graphstudio.nodes.types import Message


@dataclass(frozen=True)
class Step:
    """One entry of the history: how to undo it and how to do it again."""

    name: Message
    forward: tuple[Change, ...]
    backward: tuple[Change, ...]
    merge: str = ""


class History:
    """The only road by which an open document changes.

    A transaction is atomic: if one of its changes is refused, those before it are taken back
    and nothing is recorded. Listeners hear one coalesced ChangeSet a transaction.
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        self._done: list[Step] = []
        self._undone: list[Step] = []
        self._clean: Step | None = None
        self._clean_known = True
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def unsubscribe(self, listener: Listener) -> None:
        self._listeners.remove(listener)

    def push(self, name: Message | str, changes: Sequence[Change], *, merge: str = "") -> ChangeSet:
        """Apply the changes as one step; raises DocumentError with the document as it was.

        Parameters
        ----------
        merge : str
            Steps that follow each other with the same non-empty key become one (a drag, a burst
            of arrow keys, a spin box being turned).
        """
        if not changes:
            return ChangeSet()
        backward = self._run(changes)
        step = Step(
            Message(name) if isinstance(name, str) else name,
            tuple(changes),
            tuple(reversed(backward)),
            merge,
        )
        last = self._done[-1] if self._done else None
        if (
            merge
            and last is not None
            and last.merge == merge
            and not self._undone
            and last is not self._clean
        ):
            self._done[-1] = Step(
                last.name, last.forward + step.forward, step.backward + last.backward, merge
            )
        else:
            self._done.append(step)
        if any(s is self._clean for s in self._undone):
            self._clean_known = False
        self._undone.clear()
        return self._notify(step.forward)

    def close_merge(self) -> None:
        """End a burst: the next step stands alone even if its merge key is the same."""
        if self._done and self._done[-1].merge:
            last = self._done[-1]
            closed = Step(last.name, last.forward, last.backward)
            if self._clean is last:
                self._clean = closed
            self._done[-1] = closed

    def undo(self) -> ChangeSet:
        """Take the last step back; an empty ChangeSet if there is none."""
        if not self._done:
            return ChangeSet()
        step = self._done.pop()
        self._run(step.backward)
        self._undone.append(step)
        return self._notify(step.backward)

    def redo(self) -> ChangeSet:
        if not self._undone:
            return ChangeSet()
        step = self._undone.pop()
        self._run(step.forward)
        self._done.append(step)
        return self._notify(step.forward)

    @property
    def undo_name(self) -> Message | None:
        return self._done[-1].name if self._done else None

    @property
    def redo_name(self) -> Message | None:
        return self._undone[-1].name if self._undone else None

    @property
    def names(self) -> Iterator[Message]:
        """Names of the steps that can be undone, oldest first."""
        return (s.name for s in self._done)

    @property
    def clean(self) -> bool:
        """True while the document is as it was at the last ``mark_clean``."""
        return self._clean_known and (self._done[-1] if self._done else None) is self._clean

    def mark_clean(self) -> None:
        self._clean = self._done[-1] if self._done else None
        self._clean_known = True

    def mark_unclean(self) -> None:
        """Note that the document differs from every file, as recovered work does."""
        self._clean_known = False

    def _run(self, changes: Sequence[Change]) -> list[Change]:
        backward: list[Change] = []
        try:
            for change in changes:
                backward.append(change.apply(self.document))
        except Exception:
            for change in reversed(backward):
                change.apply(self.document)
            raise
        return backward

    def _notify(self, changes: Sequence[Change]) -> ChangeSet:
        total = ChangeSet.union(change.touched() for change in changes)
        for listener in tuple(self._listeners):
            listener(total)
        return total
