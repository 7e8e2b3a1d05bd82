"""The menu bar and the tool bar of the main window, made from the registry of commands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QMenu, QSizePolicy, QToolBar, QToolButton, QWidget

from graphstudio.document.versions import versions_of
from graphstudio.i18n import LANGUAGES, language, render, tr
from graphstudio.nodes.types import Message
from graphstudio.services.projects import examples
from graphstudio.ui.start_page import EXAMPLES
from graphstudio.ui.style import plain_tip
from graphstudio.ui.workspace import DOCKS

if TYPE_CHECKING:
    from graphstudio.ui.main_window import MainWindow

SEPARATOR = "-"

FILE_MENU = (
    "file.new", "file.examples", "file.open", "file.recent", SEPARATOR,
    "file.save", "file.save_as", "file.versions", SEPARATOR,
    "file.export", "file.export_picture", SEPARATOR,
    "file.settings", SEPARATOR, "file.close", "file.quit",
)  # fmt: skip
EDIT_MENU = (
    "edit.undo", "edit.redo", SEPARATOR,
    "edit.cut", "edit.copy", "edit.paste", "edit.paste_wired", "edit.duplicate", SEPARATOR,
    "edit.delete", "edit.delete_heal", SEPARATOR,
    "edit.select_all", "edit.select_none", "edit.select_invert", SEPARATOR,
    "find.node", SEPARATOR,
    "canvas.add", "canvas.rename", "canvas.parameter", "canvas.bypass", "canvas.connect",
    "canvas.frame", "canvas.dots", SEPARATOR, "canvas.layout", "canvas.layout_after",
)  # fmt: skip
VIEW_MENU = (
    "view.fit_all", "view.fit_selection", "view.zoom_in", "view.zoom_out", "view.zoom_reset",
    SEPARATOR, "view.labels", "view.minimap", SEPARATOR,
    "view.panels", "view.sides", "view.focus", "view.reset_layout", SEPARATOR,
    "view.dark", "view.light", "view.language", SEPARATOR, "view.start",
)  # fmt: skip
RUN_MENU = (
    "run.train", "run.pause", "run.stop", SEPARATOR,
    "find.next_problem", "find.previous_problem", SEPARATOR, "run.copy_code",
)  # fmt: skip
HELP_MENU = ("help.commands", "help.keys", SEPARATOR, "help.about")

MENUS = {
    "file": (Message("&File"), FILE_MENU),
    "edit": (Message("&Edit"), EDIT_MENU),
    "view": (Message("&View"), VIEW_MENU),
    "run": (Message("&Run"), RUN_MENU),
    "help": (Message("&Help"), HELP_MENU),
}

TOOLS_LEFT = (
    "file.new", "file.open", "file.save", SEPARATOR, "edit.undo", "edit.redo", SEPARATOR,
    "canvas.add", "canvas.layout", "view.fit_all",
)  # fmt: skip
TOOLS_RIGHT = ("file.export", SEPARATOR, "help.commands", "view.toggle_theme", "file.settings")


class Menus(QObject):
    """Fills the bars of a window; the menu bar anew for each language."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._languages: QActionGroup | None = None
        self.recent: QMenu | None = None
        self.examples: QMenu | None = None
        self.versions: QMenu | None = None

    def fill(self) -> None:
        """Build the menu bar in the language that is used now."""
        w = self._window
        bar = w.menuBar()
        bar.clear()
        for name, (title, entries) in MENUS.items():
            menu = bar.addMenu(render(title))
            menu.setObjectName(f"menu_{name}")
            menu.aboutToShow.connect(w.refresh_actions)
            for entry in entries:
                self._add(menu, entry)

    def _add(self, menu: QMenu, entry: str) -> None:
        actions = self._window.actions_by_id
        match entry:
            case "-":
                menu.addSeparator()
            case "file.recent":
                self.recent = menu.addMenu(tr("Open recent"))
                self.recent.aboutToShow.connect(self.fill_recent)
            case "file.versions":
                self.versions = menu.addMenu(tr("Earlier versions"))
                self.versions.setObjectName("menu_versions")
                self.versions.aboutToShow.connect(self.fill_versions)
            case "file.examples":
                self.examples = menu.addMenu(tr("New from example"))
                self.examples.aboutToShow.connect(self.fill_examples)
            case "view.panels":
                panels = menu.addMenu(tr("Panels"))
                for dock in DOCKS:
                    panels.addAction(actions[f"view.dock_{dock}"])
            case "view.language":
                menu.addMenu(tr("Language")).addActions(self._language_actions())
            case _:
                menu.addAction(actions[entry])

    def fill_recent(self) -> None:
        """List the last projects that are still there."""
        w = self._window
        self.recent.clear()
        paths = [p for p in w.settings.recent if Path(p).is_file()]
        for path in paths:
            action = self.recent.addAction(Path(path).stem.replace("&", "&&"))
            action.setToolTip(plain_tip(path))
            action.triggered.connect(lambda _=False, p=path: w.files.open(Path(p)))
        if not paths:
            self.recent.addAction(tr("Nothing yet")).setEnabled(False)

    def fill_versions(self) -> None:
        """List what the project's file held before."""
        w = self._window
        self.versions.clear()
        path = w.project.path if w.has_project() else None
        found = versions_of(path) if path is not None else []
        for version in found:
            action = self.versions.addAction(version.saved.strftime("%Y-%m-%d %H:%M:%S"))
            action.triggered.connect(lambda _=False, v=version: w.files.open_version(v))
        if not found:
            self.versions.addAction(tr("Nothing yet")).setEnabled(False)

    def fill_examples(self) -> None:
        """List the examples that come along."""
        w = self._window
        self.examples.clear()
        for example in examples():
            known = EXAMPLES.get(example.name)
            action = self.examples.addAction(render(known[0]) if known else example.name)
            action.setObjectName(f"example_{example.name}")
            action.triggered.connect(lambda _=False, n=example.name: w.files.new_from_example(n))

    def fill_toolbar(self, bar: QToolBar) -> None:
        """Commands at both ends, the run controls in the middle."""
        for entry in TOOLS_LEFT:
            self._add_tool(bar, entry)
        bar.addWidget(_spacer())
        bar.addWidget(self._window.run_holder)
        bar.addWidget(_spacer())
        for entry in TOOLS_RIGHT:
            self._add_tool(bar, entry)

    def _add_tool(self, bar: QToolBar, entry: str) -> None:
        if entry == SEPARATOR:
            bar.addSeparator()
            return
        action = self._window.actions_by_id[entry]
        bar.addAction(action)
        button = bar.widgetForAction(action)
        if isinstance(button, QToolButton):
            button.setObjectName("tool_" + entry.replace(".", "_"))

    def _language_actions(self) -> list[QAction]:
        if self._languages is not None:
            self._languages.deleteLater()
        self._languages = QActionGroup(self)
        for code, name in LANGUAGES.items():
            action = QAction(name, self._languages, checkable=True)
            action.setObjectName(f"language_{code}")
            action.setChecked(code == language())
            action.triggered.connect(lambda _=False, c=code: self._window.use_language(c))
        return self._languages.actions()


def _spacer() -> QWidget:
    spacer = QWidget()
    spacer.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
    return spacer
