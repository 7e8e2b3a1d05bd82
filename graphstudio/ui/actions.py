"""The commands of the window: declared once, offered in menus, palette, key sheet and tool bar.

A command is an id, a text, keys, a condition and a handler. Menus, the command palette and the key
sheet are made from the registry, so a command cannot be in one and missing in another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QAction, QActionGroup, QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QLineEdit,
    QPlainTextEdit,
    QTextEdit,
    QWidget,
)
from shiboken6 import isValid

from graphstudio.i18n import render
from graphstudio.nodes.types import Message
from graphstudio.ui.icons import icon
from graphstudio.ui.theme import Theme

GROUPS = {
    "file": Message("File"),
    "edit": Message("Edit"),
    "view": Message("View"),
    "run": Message("Run"),
    "find": Message("Find"),
    "help": Message("Help"),
}
"""Headings of the key sheet and the palette, in their order."""


def _always() -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class Command:
    """One thing the user can ask for."""

    id: str
    text: Message
    group: str
    handler: Callable[..., object]
    keys: Sequence[str] = ()
    """Key sequences in Qt's portable spelling; the first one is shown."""
    icon: str = ""
    enabled: Callable[[], bool] = _always
    checked: Callable[[], bool] | None = None
    """State of a switch; None for a command that is none."""
    one_of: str = ""
    """Name of the switches of which one at a time is on; empty for one that stands alone."""
    canvas_only: bool = False
    """The keys act only while the canvas has the focus: letters, Delete, copy and paste."""
    help: Message | None = None
    """Longer text for the tool tip."""


class ActionRegistry(QObject):
    """Makes one QAction a command and keeps text, icon and state up to date."""

    def __init__(self, window: QWidget, theme: Theme) -> None:
        super().__init__(window)
        self._window = window
        self._theme = theme
        self._commands: dict[str, Command] = {}
        self._actions: dict[str, QAction] = {}
        self._groups: dict[str, QActionGroup] = {}
        self._canvas: QWidget | None = None
        self._field: QWidget | None = None
        theme.changed.connect(self._draw_icons)
        QApplication.instance().focusChanged.connect(self._follow_focus)

    def add(self, command: Command) -> QAction:
        """Enter a command; its id and its keys must be free."""
        if command.id in self._commands:
            raise ValueError(f"command {command.id!r} exists already")
        taken = {k: c.id for c in self for k in c.keys}
        for key in command.keys:
            if key in taken:
                raise ValueError(
                    f"{key} belongs to {taken[key]!r}, so {command.id!r} cannot have it"
                )
            if QKeySequence(key).toString(QKeySequence.SequenceFormat.PortableText) != key:
                raise ValueError(f"{key!r} is no key sequence in Qt's portable spelling")
        action = QAction(self)
        action.setObjectName(command.id)
        action.setShortcuts([QKeySequence(k) for k in command.keys])
        action.setShortcutContext(
            Qt.ShortcutContext.WidgetShortcut
            if command.canvas_only
            else Qt.ShortcutContext.WindowShortcut
        )
        if command.checked is not None:
            action.setCheckable(True)
        if command.one_of:
            if command.one_of not in self._groups:
                self._groups[command.one_of] = QActionGroup(self)
            self._groups[command.one_of].addAction(action)
        action.triggered.connect(lambda _=False, c=command: self._run(c))
        self._commands[command.id] = command
        self._actions[command.id] = action
        if not command.canvas_only:
            self._window.addAction(action)
        elif self._canvas is not None:
            self._canvas.addAction(action)
        self._dress(command)
        return action

    def __iter__(self) -> Iterator[Command]:
        return iter(self._commands.values())

    def __getitem__(self, command_id: str) -> QAction:
        return self._actions[command_id]

    def command(self, command_id: str) -> Command:
        return self._commands[command_id]

    def set_canvas(self, canvas: QWidget) -> None:
        """Bind the keys of canvas commands to this widget (a new one for each project)."""
        self._canvas = canvas
        for command in self:
            if command.canvas_only:
                canvas.addAction(self._actions[command.id])

    def refresh(self) -> None:
        """Read every condition again."""
        for command in self:
            action = self._actions[command.id]
            action.setEnabled(command.enabled())
            if command.checked is not None:
                action.setChecked(command.checked())

    def retranslate(self) -> None:
        for command in self:
            self._dress(command)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Keep a text field from taking keys such as Ctrl+E, which mean something to the window."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            pressed = QKeySequence(event.keyCombination())
            if pressed in self._wide_keys() and pressed not in _field_keys():
                event.ignore()
                return True
        return super().eventFilter(watched, event)

    def _wide_keys(self) -> list[QKeySequence]:
        return [QKeySequence(k) for c in self if not c.canvas_only for k in c.keys if "Ctrl" in k]

    def _follow_focus(self, _old: QWidget | None, now: QWidget | None) -> None:
        # One field at a time: a filter on the whole program would see every single event.
        if self._field is not None and isValid(self._field):
            self._field.removeEventFilter(self)
        fields = (QLineEdit, QPlainTextEdit, QTextEdit, QAbstractSpinBox)
        self._field = now if isinstance(now, fields) else None
        if self._field is not None and self._window.isAncestorOf(self._field):
            self._field.installEventFilter(self)

    def _run(self, command: Command) -> None:
        if command.enabled():
            command.handler()
        self.refresh()

    def _dress(self, command: Command) -> None:
        action = self._actions[command.id]
        text = render(command.text)
        action.setText(text)
        keys = keys_text(command)
        tip = render(command.help) if command.help else text.rstrip(".…")
        action.setToolTip(f"{tip}  ({keys})" if keys else tip)
        action.setStatusTip("")
        if command.icon:
            action.setIcon(icon(command.icon, self._theme.tokens.text))
            action.setIconVisibleInMenu(False)

    def _draw_icons(self) -> None:
        for command in self:
            if command.icon:
                self._actions[command.id].setIcon(icon(command.icon, self._theme.tokens.text))


def _field_keys() -> list[QKeySequence]:
    """Keys that belong to a text field while it has the focus."""
    keys = QKeySequence.StandardKey
    own = (keys.Undo, keys.Redo, keys.Cut, keys.Copy, keys.Paste, keys.SelectAll)
    return [sequence for key in own for sequence in QKeySequence.keyBindings(key)]


def keys_text(command: Command, *, all_keys: bool = False) -> str:
    """Keys of a command as this platform writes them."""
    shown = command.keys if all_keys else command.keys[:1]
    form = QKeySequence.SequenceFormat.NativeText
    return "  ".join(QKeySequence(k).toString(form) for k in shown)
