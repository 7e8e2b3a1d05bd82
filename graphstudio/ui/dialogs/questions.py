"""Everything that the window asks before it goes on, in one object that a test can replace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from graphstudio.i18n import sentence, tr
from graphstudio.nodes.types import Message
from graphstudio.services.projects import SUFFIX
from graphstudio.ui.icons import pixmap
from graphstudio.ui.style import set_role
from graphstudio.ui.theme import Theme

ROLE = QMessageBox.ButtonRole


class Questions:
    """Modal questions of the main window."""

    def __init__(self, parent: QWidget, theme: Theme) -> None:
        self._parent, self._theme = parent, theme

    def unsaved(self, name: str, *, gone: bool = False) -> Literal["save", "discard", "cancel"]:
        """Whether a project that no file holds is to be kept before it is closed."""
        if gone:
            title = tr("Save '{name}' again?", name=name)
            text = tr("Its file is not there any more. All of the project is lost otherwise.")
        else:
            title = tr("Save the changes of '{name}'?", name=name)
            text = tr("What has changed since the last save is lost otherwise.")
        box = self._box("unsavedQuestion", title, text)
        save = _button(box, "save", tr("Save"), ROLE.AcceptRole)
        discard = _button(box, "discard", tr("Don't save"), ROLE.DestructiveRole)
        _button(box, "cancel", tr("Cancel"), ROLE.RejectRole)
        set_role(discard, "danger")
        box.setDefaultButton(save)
        box.exec()
        clicked = box.clickedButton()
        return "save" if clicked is save else "discard" if clicked is discard else "cancel"

    def overwrite_changed(self, name: str) -> Literal["overwrite", "save as", "cancel"]:
        """What to do with a file that somebody else has changed meanwhile."""
        box = self._box(
            "changedQuestion",
            tr("'{name}' was changed by another program.", name=name),
            tr("Saving here replaces those changes."),
        )
        save_as = _button(box, "save_as", tr("Save as…"), ROLE.AcceptRole)
        overwrite = _button(box, "overwrite", tr("Overwrite"), ROLE.DestructiveRole)
        _button(box, "cancel", tr("Cancel"), ROLE.RejectRole)
        set_role(overwrite, "danger")
        box.setDefaultButton(save_as)
        box.exec()
        clicked = box.clickedButton()
        return (
            "overwrite" if clicked is overwrite else "save as" if clicked is save_as else "cancel"
        )

    def stop_training(self) -> bool:
        """Whether the run in progress may be ended."""
        box = self._box(
            "stopQuestion",
            tr("Stop the training?"),
            tr("The run that is in progress ends here; what it has learned so far is not kept."),
        )
        stop = _button(box, "stop", tr("Stop training"), ROLE.DestructiveRole)
        go_on = _button(box, "cancel", tr("Cancel"), ROLE.RejectRole)
        set_role(stop, "danger")
        box.setDefaultButton(go_on)
        box.exec()
        return box.clickedButton() is stop

    def open_path(self, folder: str) -> Path | None:
        """A project to open."""
        name, _ = QFileDialog.getOpenFileName(
            self._parent, tr("Open project"), folder, _filter() + ";;" + tr("All files") + " (*)"
        )
        return Path(name) if name else None

    def save_path(self, suggested: Path, title: str = "") -> Path | None:
        """Where to save a project. A file that is there already is replaced only if so wished."""
        return self._new_file(title or tr("Save project"), suggested, {SUFFIX: _filter()})

    def picture_path(self, suggested: Path) -> Path | None:
        """Where to draw the graph to, as ``.svg`` or ``.png``."""
        kinds = {
            ".svg": tr("SVG drawing") + " (*.svg)",
            ".png": tr("PNG picture, double size") + " (*.png)",
        }
        return self._new_file(tr("Export picture"), suggested, kinds)

    def _new_file(self, title: str, suggested: Path, kinds: Mapping[str, str]) -> Path | None:
        """A name for a file of one of these kinds, from suffix to filter."""
        filters = ";;".join(kinds.values())
        while True:
            name, chosen = QFileDialog.getSaveFileName(self._parent, title, str(suggested), filters)
            if not name:
                return None
            path = Path(name)
            if path.suffix.lower() in kinds:
                return path  # the dialog has asked
            suffix = next((s for s, shown in kinds.items() if shown == chosen), next(iter(kinds)))
            suggested = path.with_name(path.name + suffix)
            if not suggested.exists() or self.replace(suggested.name):
                return suggested

    def replace(self, name: str) -> bool:
        """Whether a file of this name may be replaced."""
        box = self._box(
            "replaceQuestion",
            tr("'{name}' exists already. Replace it?", name=name),
            tr("What the file holds now is lost then."),
        )
        replace = _button(box, "replace", tr("Replace"), ROLE.DestructiveRole)
        keep = _button(box, "cancel", tr("Cancel"), ROLE.RejectRole)
        set_role(replace, "danger")
        box.setDefaultButton(keep)
        box.exec()
        return box.clickedButton() is replace

    def show_problems(self, title: str, problems: Sequence[Message]) -> None:
        """List what is wrong with a file."""
        dialog = ProblemList(title, problems, self._theme, self._parent)
        dialog.exec()
        dialog.deleteLater()

    def recover(self, name: str, when: str) -> Literal["recover", "discard", "later"]:
        """What to do with work that a crash left behind."""
        box = self._box(
            "recoveryQuestion",
            tr("Recover unsaved work?"),
            tr(
                "'{name}' was not saved when graphstudio ended on {when}.",
                name=name or tr("New project"),
                when=when,
            ),
        )
        recover = _button(box, "recover", tr("Recover"), ROLE.AcceptRole)
        discard = _button(box, "discard", tr("Discard"), ROLE.DestructiveRole)
        _button(box, "later", tr("Decide later"), ROLE.RejectRole)
        set_role(discard, "danger")
        box.setDefaultButton(recover)
        box.exec()
        clicked = box.clickedButton()
        return "recover" if clicked is recover else "discard" if clicked is discard else "later"

    def _box(self, name: str, title: str, text: str) -> QMessageBox:
        box = QMessageBox(self._parent)
        box.setObjectName(name)
        box.setWindowTitle("graphstudio")
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setText(title)
        box.setInformativeText(text)
        ratio = self._parent.devicePixelRatioF()
        box.setIconPixmap(pixmap("warning", self._theme.tokens.warning, 32, ratio))
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
        box.finished.connect(box.deleteLater)
        return box


class ProblemList(QDialog):
    """A title and one line a problem, with its place; the lines can be copied."""

    def __init__(
        self, title: str, problems: Sequence[Message], theme: Theme, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName("problemList")
        self.setWindowTitle("graphstudio")
        self.setMinimumWidth(560)
        picture = QLabel()
        picture.setPixmap(pixmap("error", theme.tokens.error, 32, self.devicePixelRatioF()))
        heading = QLabel(title)
        heading.setTextFormat(Qt.TextFormat.PlainText)
        heading.setWordWrap(True)
        set_role(heading, "heading")
        note = QLabel(tr("Nothing was opened, and nothing was changed."))
        set_role(note, "dim")
        self.list = QPlainTextEdit()
        self.list.setObjectName("problemLines")
        self.list.setReadOnly(True)
        self.list.setPlainText("\n".join(f"•  {sentence(p)}" for p in problems))
        self.list.setMinimumHeight(120)
        buttons = QDialogButtonBox()
        close = buttons.addButton(tr("Close"), QDialogButtonBox.ButtonRole.AcceptRole)
        close.setDefault(True)
        buttons.accepted.connect(self.accept)
        top = QHBoxLayout()
        top.setSpacing(14)
        top.addWidget(picture, 0, Qt.AlignmentFlag.AlignTop)
        words = QVBoxLayout()
        words.addWidget(heading)
        words.addWidget(note)
        top.addLayout(words, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(12)
        column.addLayout(top)
        column.addWidget(self.list, 1)
        column.addWidget(buttons)


def _button(box: QMessageBox, name: str, text: str, role: QMessageBox.ButtonRole) -> QPushButton:
    button = box.addButton(text, role)
    button.setObjectName(f"answer_{name}")
    return button


def _filter() -> str:
    return tr("graphstudio projects") + f" (*{SUFFIX})"
