"""The open project as the windows see it: document, history, checker, file and selection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal

from graphstudio.document.changes import Change
from graphstudio.document.history import History
from graphstudio.document.model import MAIN, ChangeSet, Document, DocumentError
from graphstudio.i18n import sentence, tr
from graphstudio.ir.check import Checker
from graphstudio.ir.result import CheckResult
from graphstudio.nodes.types import Message
from graphstudio.services.check import describe_data

CHECK_DELAY_MS = 15


class Project(QObject):
    """Everything views share. They listen to its signals and change it through ``push`` alone."""

    changed = Signal(object)
    """A ChangeSet, once a transaction, undo and redo included."""
    checked = Signal(object)
    """The new CheckResult, shortly after a change."""
    selection_changed = Signal()
    clean_changed = Signal(bool)
    refused = Signal(str)
    """A change was refused; the sentence says why."""
    path_changed = Signal()

    def __init__(
        self,
        document: Document,
        path: Path | None = None,
        parent: QObject | None = None,
        *,
        example: str = "",
    ) -> None:
        super().__init__(parent)
        self.document = document
        self.graph_id = MAIN
        self.path = path
        self.example = example
        self.history = History(document)
        self.history.subscribe(self._on_change)
        self.checker = Checker(document, describe_data)
        self.result: CheckResult = self.checker.check()
        self.selection: frozenset[str] = frozenset()
        self._pending = ChangeSet()
        self._timer = QTimer(self, singleShot=True, interval=CHECK_DELAY_MS)
        self._timer.timeout.connect(self.check_now)

    @property
    def name(self) -> str:
        """As titles show it: that of its file, or of the example that it is a copy of."""
        return self.path.stem if self.path else self.example or tr("New project")

    def push(self, command: tuple[Message, Sequence[Change]], *, merge: str = "") -> bool:
        """Carry out a command of ``document.commands``; False (and ``refused``) if it cannot be."""
        name, changes = command
        was_clean = self.history.clean
        try:
            self.history.push(name, changes, merge=merge)
        except DocumentError as error:
            self.refused.emit(sentence(error.message))
            return False
        if was_clean != self.history.clean:
            self.clean_changed.emit(self.history.clean)
        return True

    def undo(self) -> None:
        self._step(self.history.undo)

    def redo(self) -> None:
        self._step(self.history.redo)

    def _step(self, step) -> None:
        was_clean = self.history.clean
        step()
        if was_clean != self.history.clean:
            self.clean_changed.emit(self.history.clean)

    def select(self, node_ids: Iterable[str]) -> None:
        """Replace the selection (node ids of the shown graph)."""
        wanted = frozenset(node_ids) & self.document.graph(self.graph_id).nodes.keys()
        if wanted != self.selection:
            self.history.close_merge()  # what is typed for other nodes is another step
            self.selection = wanted
            self.selection_changed.emit()

    def check_now(self) -> CheckResult:
        """Check what has changed since the last check, at once."""
        self._timer.stop()
        pending, self._pending = self._pending, ChangeSet()
        if not pending.empty:
            self.result = self.checker.update(pending)
            self.checked.emit(self.result)
        return self.result

    def saved(self, path: Path) -> None:
        """Note that the document now lies in this file as it is."""
        self.path = path
        self.history.mark_clean()
        self.clean_changed.emit(True)
        self.path_changed.emit()

    def mark_unsaved(self) -> None:
        """Note that no file holds the document as it is."""
        self.history.mark_unclean()
        self.clean_changed.emit(False)

    def _on_change(self, changes: ChangeSet) -> None:
        self._pending = self._pending | changes
        self._timer.start()
        self.changed.emit(changes)
        self.select(self.selection)
