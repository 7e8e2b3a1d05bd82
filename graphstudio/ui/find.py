"""Find in graph: a small box over the canvas that goes from one fitting node to the next."""

from __future__ import annotations

import re

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QLineEdit, QToolButton, QWidget

from graphstudio.document.model import Node
from graphstudio.i18n import LANGUAGES, catalogue, tr
from graphstudio.ir.result import NodeReport
from graphstudio.nodes.spec import find_type, params_of
from graphstudio.nodes.types import format_shape
from graphstudio.ui.icons import icon
from graphstudio.ui.project import Project
from graphstudio.ui.theme import Theme

WIDTH, MARGIN = 380, 12
STEPS = {
    Qt.Key.Key_Return: 1, Qt.Key.Key_Enter: 1, Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1
}  # fmt: skip


def find_nodes(project: Project, query: str) -> list[str]:
    """Ids of the nodes in which every word of the query occurs, row by row from the top left.

    Looked through are the label, the type in every language and as an id, the values of the
    parameters and the shapes of the outputs.
    """
    words = _close_up(query).split()
    if not words:
        return []
    reports = project.result.nodes
    nodes = project.document.graph(project.graph_id).nodes.values()
    fitting = []
    for node in nodes:
        text = _text_of(node, reports.get(node.id))
        if all(word in text for word in words):
            fitting.append(node)
    return [n.id for n in sorted(fitting, key=lambda n: (*n.position[::-1], n.id))]


def _text_of(node: Node, report: NodeReport | None) -> str:
    parts = [node.label, node.type]
    cls = find_type(node.type)
    params = dict(node.params)
    if cls is not None:
        parts += _in_all_languages(cls.label)
        params = {s.name: params.get(s.name, s.default) for s in params_of(cls)}
    for value in params.values():
        if isinstance(value, tuple):
            parts += [format_shape(value), "×".join(map(str, value))] if value else []
        elif isinstance(value, str):
            parts += _in_all_languages(value)
        elif not isinstance(value, bool):  # every node has some switch that is on or off
            parts.append(str(value))
    if report is not None:
        parts += [format_shape(t.shape) for t in report.output_types.values()]
    return _close_up("\n".join(parts))


def _close_up(text: str) -> str:
    """Lower case, and a shape as one word, however it was spaced."""
    return re.sub(r",[ ]+", ",", text.casefold())


def _in_all_languages(text: str) -> list[str]:
    return [text, *(catalogue(code).get(text, "") for code in LANGUAGES)]


class FindBar(QFrame):
    """Type, and the first hit is selected and in view; Enter goes on, Shift+Enter back, Esc ends.

    It floats over the upper right corner of ``area``, which must have a parent to hold it.
    """

    node_found = Signal(str)
    """The hit that is to be selected and shown."""
    closed = Signal()
    """The keyboard may go back to the canvas."""

    def __init__(self, project: Project, theme: Theme, area: QWidget) -> None:
        super().__init__(area.parentWidget())
        self.setObjectName("findBar")
        self._project, self._theme, self._area = project, theme, area
        self.hits: list[str] = []
        self.current = -1
        """Place of the shown hit among ``hits``; -1 while none is."""
        self.field = QLineEdit()
        self.field.setObjectName("findField")
        self.field.textChanged.connect(self._search)
        self.field.installEventFilter(self)
        self.count = QLabel()
        self.count.setObjectName("findCount")
        self.count.setTextFormat(Qt.TextFormat.PlainText)
        self.previous_button = self._button("findPrevious", lambda: self.step(-1))
        self.next_button = self._button("findNext", lambda: self.step(1))
        self.close_button = self._button("findClose", self.close_bar)
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 7, 6, 7)
        row.setSpacing(4)
        row.addWidget(self.field, 1)
        for widget in (self.count, self.previous_button, self.next_button, self.close_button):
            row.addWidget(widget)
        row.insertSpacing(1, 4)
        area.installEventFilter(self)
        theme.changed.connect(self._restyle)
        self.hide()
        project.checked.connect(self._refresh)
        self._restyle()
        self.retranslate()

    def set_project(self, project: Project) -> None:
        """Search another project from now on; the box closes."""
        self.hide()
        self._project.checked.disconnect(self._refresh)
        self._project = project
        project.checked.connect(self._refresh)
        self.field.clear()

    def open_bar(self) -> None:
        """Show the box with the last words selected, and give it the keyboard."""
        self._place()
        self.show()
        self.raise_()
        self._refresh()
        self.field.selectAll()
        self.field.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def close_bar(self) -> None:
        """Hide the box; what was found stays selected."""
        if not self.isHidden():
            self.hide()
            self.closed.emit()

    def step(self, direction: int) -> None:
        """Go to the next or the previous hit, around the ends; begins where the selection is."""
        self._refresh()
        if not self.hits:
            return
        if self.current < 0:
            self.current = 0 if direction > 0 else len(self.hits) - 1
        else:
            self.current = (self.current + direction) % len(self.hits)
        self.node_found.emit(self.hits[self.current])
        self._show_count()

    def retranslate(self) -> None:
        """Show all texts in the active language."""
        self.setAccessibleName(tr("Find in graph"))
        self.field.setAccessibleName(tr("Find in graph"))
        self.field.setPlaceholderText(tr("Find by name, type, value or shape"))
        for button, text in (
            (self.previous_button, tr("Previous hit (Shift+Enter)")),
            (self.next_button, tr("Next hit (Enter)")),
            (self.close_button, tr("Close (Esc)")),
        ):
            button.setToolTip(text)
            button.setAccessibleName(text)
        self._show_count()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self._area and event.type() in (QEvent.Type.Resize, QEvent.Type.Move):
            self._place()
        elif watched is self.field and event.type() == QEvent.Type.KeyPress:
            assert isinstance(event, QKeyEvent)
            if event.key() == Qt.Key.Key_Escape:
                self.close_bar()
                return True
            if event.key() in STEPS:
                back = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
                self.step(-1 if back else STEPS[Qt.Key(event.key())])
                return True
        return super().eventFilter(watched, event)

    def _button(self, name: str, clicked) -> QToolButton:
        button = QToolButton()
        button.setObjectName(name)
        button.setAutoRaise(True)
        button.setIconSize(QSize(16, 16))
        # The keyboard stays in the field: the next letter goes on with the search.
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.clicked.connect(lambda _=False: clicked())
        return button

    def _search(self, _text: str) -> None:
        """Look for what is typed now; a selected node that fits still stays."""
        self._refresh()
        if self.isVisible() and self.hits and self.current < 0:
            self.step(1)

    def _refresh(self, *_: object) -> None:
        """Find again, as the graph may have changed."""
        if self.isHidden():
            return
        self.hits = find_nodes(self._project, self.field.text())
        chosen = self._project.selection
        node_id = next(iter(chosen)) if len(chosen) == 1 else ""
        self.current = self.hits.index(node_id) if node_id in self.hits else -1
        self._show_count()

    def _show_count(self) -> None:
        if not self.field.text().strip():
            text = ""
        elif not self.hits:
            text = tr("Nothing found")
        elif self.current < 0:
            text = tr("{count} found", count=len(self.hits))
        else:
            text = tr("{index} of {count}", index=self.current + 1, count=len(self.hits))
        self.count.setText(text)
        for button in (self.previous_button, self.next_button):
            button.setEnabled(bool(self.hits))

    def _place(self) -> None:
        area = self._area.geometry()
        width = min(WIDTH, area.width() - 2 * MARGIN)
        height = self.sizeHint().height()
        self.setGeometry(area.right() - width - MARGIN + 1, area.top() + MARGIN, width, height)

    def _restyle(self) -> None:
        t = self._theme.tokens
        self.setStyleSheet(
            f"#findBar {{ background: {t.panel}; border: 1px solid {t.border};"
            " border-radius: 8px; }"
            f"#findCount {{ color: {t.text_dim}; background: transparent; padding: 0 4px; }}"
        )
        for button, name in (
            (self.previous_button, "chevron-up"),
            (self.next_button, "chevron-down"),
            (self.close_button, "close"),
        ):
            button.setIcon(icon(name, t.text_dim))
