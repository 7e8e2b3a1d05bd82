"""Version, licence, and what a report of a fault should name."""

from __future__ import annotations

import platform

import PySide6
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from graphstudio import __version__
from graphstudio.i18n import tr
from graphstudio.ui.icons import pixmap
from graphstudio.ui.style import set_role
from graphstudio.ui.theme import Theme


def system_text() -> str:
    """Versions of the program and of what it stands on, one a line."""
    return "\n".join(
        (
            f"graphstudio {__version__}",
            f"Python {platform.python_version()}",
            f"PySide6 {PySide6.__version__}",
            f"{platform.system()} {platform.release()} ({platform.machine()})",
            f"Qt platform {QGuiApplication.platformName()}",
        )
    )


class AboutDialog(QDialog):
    """Plain facts that can be copied."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("aboutDialog")
        self.setWindowTitle(tr("About graphstudio"))
        picture = QLabel()
        ratio = self.devicePixelRatioF()
        picture.setPixmap(pixmap("app", theme.tokens.accent, 64, ratio, folder=""))
        title = QLabel("graphstudio")
        set_role(title, "title")
        text = QLabel(
            tr("Draw a neural network, train it, watch it learn, and take the code with you.")
        )
        licence = QLabel(tr("Free software under the MIT licence."))
        set_role(licence, "dim")
        facts = QLabel(system_text())
        facts.setTextFormat(Qt.TextFormat.PlainText)
        facts.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        set_role(facts, "dim")
        words = QVBoxLayout()
        words.setSpacing(8)
        for label in (title, text, facts, licence):
            label.setWordWrap(True)
            words.addWidget(label)
        top = QHBoxLayout()
        top.setSpacing(20)
        top.addWidget(picture, 0, Qt.AlignmentFlag.AlignTop)
        top.addLayout(words, 1)
        buttons = QDialogButtonBox()
        copy = buttons.addButton(tr("Copy"), QDialogButtonBox.ButtonRole.ActionRole)
        copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(system_text()))
        close = buttons.addButton(tr("Close"), QDialogButtonBox.ButtonRole.RejectRole)
        close.setDefault(True)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(22, 20, 22, 16)
        column.setSpacing(16)
        column.addLayout(top)
        column.addWidget(buttons)
        self.setMinimumWidth(440)
