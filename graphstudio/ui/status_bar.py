"""The line at the bottom: problems, size of the model, zoom, language."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QLabel, QMenu, QStatusBar, QToolButton

from graphstudio.i18n import LANGUAGES, language, tr
from graphstudio.ir.result import CheckResult
from graphstudio.ui.icons import icon
from graphstudio.ui.quantities import data_size, flops, short
from graphstudio.ui.theme import Theme

MESSAGE_MS = 6000


class StatusBar(QStatusBar):
    """Shows what the last check found; its buttons ask the window for more."""

    problems_requested = Signal()
    zoom_requested = Signal()
    language_requested = Signal(str)

    def __init__(self, theme: Theme, parent=None) -> None:
        super().__init__(parent)
        self.setObjectName("statusBar")
        self.setSizeGripEnabled(False)
        self._theme = theme
        self._result, self._empty = CheckResult(), False
        self._zoom = 1.0
        self.problems = self._button("statusProblems")
        self.problems.clicked.connect(self.problems_requested)
        self.size, self.work, self.memory = QLabel(), QLabel(), QLabel()
        self.size.setObjectName("statusParameters")
        self.work.setObjectName("statusCompute")
        self.memory.setObjectName("statusMemory")
        self.zoom = self._button("statusZoom")
        self.zoom.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
        self.zoom.clicked.connect(self.zoom_requested)
        self.language = self._button("statusLanguage")
        self.language.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self.language)
        group = QActionGroup(menu)
        for code, name in LANGUAGES.items():
            action = QAction(name, menu, checkable=True)
            action.setData(code)
            action.triggered.connect(lambda _=False, c=code: self.language_requested.emit(c))
            group.addAction(action)
            menu.addAction(action)
        menu.aboutToShow.connect(
            lambda: [a.setChecked(a.data() == language()) for a in menu.actions()]
        )
        self.language.setMenu(menu)
        self.addWidget(self.problems)
        for widget in (self.size, self.work, self.memory, self.zoom, self.language):
            self.addPermanentWidget(widget)
        theme.changed.connect(self._show)
        self.retranslate()

    def say(self, text: str) -> None:
        """Show a sentence for a while."""
        self.showMessage(text, MESSAGE_MS)

    def show_result(self, result: CheckResult, *, empty: bool = False) -> None:
        """Show a check; that an ``empty`` canvas cannot be trained is no error of its user's."""
        self._result, self._empty = result, empty
        self._show()

    def set_project_shown(self, shown: bool) -> None:
        """Hide what speaks of a project while there is none."""
        for widget in (self.problems, self.size, self.work, self.memory, self.zoom):
            widget.setVisible(shown)

    def show_zoom(self, zoom: float) -> None:
        self._zoom = zoom
        self.zoom.setText(f"{zoom:.0%}")

    def retranslate(self) -> None:
        self.problems.setToolTip(tr("Show the problems"))
        self.zoom.setToolTip(tr("Zoom; click for actual size"))
        self.zoom.setAccessibleName(tr("Zoom"))
        self.language.setToolTip(tr("Language"))
        self.language.setAccessibleName(tr("Language"))
        self.language.setText(f" {LANGUAGES[language()]}")
        self.size.setToolTip(tr("Numbers that training changes, and the disk space they take"))
        self.work.setToolTip(tr("Floating-point operations of one forward pass of one sample"))
        self.memory.setToolTip(tr("Memory of all outputs for one sample"))
        self.show_zoom(self._zoom)
        self._show()

    def _show(self) -> None:
        tokens = self._theme.tokens
        errors = sum(d.severity == "error" for d in self._result.diagnostics)
        warnings = sum(d.severity == "warning" for d in self._result.diagnostics)
        name, color = (
            ("info", tokens.text_dim)
            if self._empty
            else ("error", tokens.error)
            if errors
            else ("warning", tokens.warning)
            if warnings
            else ("ok", tokens.ok)
        )
        parts = []
        if errors:
            parts.append(tr("1 error") if errors == 1 else tr("{count} errors", count=errors))
        if warnings:
            parts.append(
                tr("1 warning") if warnings == 1 else tr("{count} warnings", count=warnings)
            )
        text = tr("Nothing drawn yet") if self._empty else ", ".join(parts) or tr("No problems")
        self.problems.setIcon(icon(name, color))
        self.problems.setText(f" {text}")
        self.problems.setAccessibleName(text)
        reports = self._result.nodes.values()
        count = sum(r.num_parameters for r in reports)
        self.size.setText(
            tr("{count} parameters, {size}", count=short(count), size=data_size(4 * count))
        )
        self.work.setText(tr("{flops} per sample", flops=flops(sum(r.num_flops for r in reports))))
        self.memory.setText(
            tr(
                "{size} of outputs",
                size=data_size(sum(r.activation_bytes for r in reports)),
            )
        )
        self.language.setIcon(icon("language", tokens.text_dim))

    def _button(self, name: str) -> QToolButton:
        button = QToolButton()
        button.setObjectName(name)
        button.setIconSize(QSize(15, 15))
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        return button
