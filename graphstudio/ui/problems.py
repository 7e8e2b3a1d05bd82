"""The list of all problems: errors first, each with its place and what mends it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QLabel, QScrollArea, QVBoxLayout, QWidget

from graphstudio.i18n import tr
from graphstudio.ir.diagnostics import Diagnostic
from graphstudio.ui.icons import pixmap
from graphstudio.ui.problem_row import ProblemRow
from graphstudio.ui.project import Project
from graphstudio.ui.style import set_role
from graphstudio.ui.theme import Theme

MAX_ROWS = 100


class ProblemsPanel(QWidget):
    """Follows the checker; rows of problems that did not change stay as they are."""

    node_activated = Signal(str)
    data_activated = Signal()
    """A problem of the project's data, which lies on no node."""
    fixed = Signal()
    count_changed = Signal(int, int)
    """(errors, warnings)"""

    def __init__(self, project: Project, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("problemsPanel")
        self._project, self._theme = project, theme
        self._rows: list[ProblemRow] = []
        self._current = -1
        self._area = QScrollArea()
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        self._area.setWidgetResizable(True)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        body = QWidget()
        body.setObjectName("scrollBody")
        self._list = QVBoxLayout(body)
        self._list.setContentsMargins(0, 0, 0, 0)
        self._list.setSpacing(0)
        self._more = QLabel()
        set_role(self._more, "dim")
        self._more.setContentsMargins(12, 8, 12, 8)
        self._list.addWidget(self._more)
        self._list.addStretch(1)
        self._area.setWidget(body)
        self._empty = _Empty(theme)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._area)
        column.addWidget(self._empty)
        project.checked.connect(self._on_checked)
        theme.changed.connect(self._empty.recolor)
        self._show(project.result.diagnostics)
        self.retranslate()

    @property
    def rows(self) -> tuple[ProblemRow, ...]:
        return tuple(self._rows)

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        return self._project.result.diagnostics

    def step(self, direction: int) -> None:
        """Go to the next (+1) or previous (-1) problem that is on a node, errors first."""
        places = [d for d in self.diagnostics if d.severity != "blocked"]
        if not places:
            return
        selected = self._project.selection
        here = next((i for i, d in enumerate(places) if d.node in selected and d.node), None)
        if self._current in range(len(places)) and (
            places[self._current].node is None or places[self._current].node in selected
        ):
            here = self._current
        first = 0 if direction > 0 else len(places) - 1
        self._current = first if here is None else (here + direction) % len(places)
        self._activate(places[self._current])

    def retranslate(self) -> None:
        self.setAccessibleName(tr("Problems"))
        for row in self._rows:
            row.retranslate()
        self._empty.set_texts(tr("No problems"), tr("The model fits together and can be trained."))
        self._say_more()

    def _on_checked(self, result) -> None:
        self._show(result.diagnostics)

    def _show(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        shown = diagnostics[:MAX_ROWS]
        old = list(self._rows)
        fresh: list[ProblemRow] = []
        for i, d in enumerate(shown):
            row = next((r for r in old if r.diagnostic == d), None)
            if row is not None:
                old.remove(row)
            else:
                row = ProblemRow(self._project, d, self._theme)
                row.activated.connect(self._activate)
                row.fixed.connect(self.fixed)
            row.retranslate()  # its node may have a new name
            if self._list.indexOf(row) != i:
                self._list.insertWidget(i, row)
            fresh.append(row)
        for row in old:
            self._list.removeWidget(row)
            row.hide()
            row.deleteLater()
        self._rows = fresh
        self._area.setVisible(bool(fresh))
        self._empty.setVisible(not fresh)
        self._say_more()
        errors = sum(d.severity == "error" for d in diagnostics)
        self.count_changed.emit(errors, sum(d.severity == "warning" for d in diagnostics))

    def _say_more(self) -> None:
        rest = len(self.diagnostics) - len(self._rows)
        self._more.setVisible(rest > 0)
        self._more.setText(tr("and {count} more", count=rest))

    def _activate(self, diagnostic: Diagnostic) -> None:
        if diagnostic.node is not None:
            self.node_activated.emit(diagnostic.node)
        elif diagnostic.code == "data":
            self.data_activated.emit()
        for row in self._rows:
            if row.diagnostic == diagnostic:
                self._area.ensureWidgetVisible(row)


class _Empty(QWidget):
    """What is shown while there is nothing to show: a tick and a sentence."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("problemsEmpty")
        self._theme = theme
        self._icon, self._title, self._text = QLabel(), QLabel(), QLabel()
        set_role(self._title, "heading")
        set_role(self._text, "dim")
        self._text.setWordWrap(True)
        column = QVBoxLayout(self)
        column.setSpacing(4)
        column.addStretch(1)
        for label in (self._icon, self._title, self._text):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            column.addWidget(label)
        column.addStretch(1)
        self.recolor()

    def set_texts(self, title: str, text: str) -> None:
        self._title.setText(title)
        self._text.setText(text)

    def recolor(self) -> None:
        color = self._theme.tokens.ok
        self._icon.setPixmap(pixmap("ok", color, 28, self.devicePixelRatioF()))
