"""What is seen when no project is open: new, open, the last projects, the examples."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from graphstudio.i18n import render, tr
from graphstudio.nodes.types import Message
from graphstudio.services.projects import examples
from graphstudio.ui.icons import icon, pixmap
from graphstudio.ui.settings import Settings
from graphstudio.ui.style import plain_tip, set_role
from graphstudio.ui.theme import Theme

MAX_RECENT = 6
WIDTH = 720

EXAMPLES = {
    "digits_mlp": (
        Message("Digits, dense"),
        Message("Two dense layers read 8x8 digits. Trains in seconds; nothing to download."),
    ),
    "digits_cnn": (
        Message("Digits, convolutional"),
        Message("A small CNN with batch normalisation reads 8x8 digits. Nothing to download."),
    ),
    "mnist_mlp": (
        Message("MNIST, dense"),
        Message("The classic first network: Flatten, Dense, Dense. Needs the MNIST files."),
    ),
    "mnist_cnn": (
        Message("MNIST, convolutional"),
        Message("Two convolutions and two dense layers. Needs the MNIST files."),
    ),
}


class StartPage(QScrollArea):
    """Cards and links in one column that keeps its width."""

    new_requested = Signal()
    open_requested = Signal()
    path_chosen = Signal(str)
    example_chosen = Signal(str)

    def __init__(self, settings: Settings, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("startPage")
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self._settings, self._theme = settings, theme
        theme.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Draw the page anew: other projects, another language or another theme."""
        body = QWidget()
        body.setObjectName("scrollBody")
        outer = QHBoxLayout(body)
        column = QVBoxLayout()
        column.setSpacing(10)
        column.setContentsMargins(24, 40, 24, 40)
        holder = QWidget()
        holder.setMaximumWidth(WIDTH)
        holder.setLayout(column)
        outer.addStretch(1)
        outer.addWidget(holder, 100)
        outer.addStretch(1)

        column.addLayout(self._head())
        column.addSpacing(12)
        column.addLayout(self._buttons())
        column.addSpacing(16)
        column.addWidget(_caption(tr("Examples")))
        column.addLayout(self._examples())
        recent = [p for p in self._settings.recent if Path(p).is_file()][:MAX_RECENT]
        if recent:
            column.addSpacing(12)
            column.addWidget(_caption(tr("Recent projects")))
            for path in recent:
                column.addWidget(self._recent_row(Path(path)))
        column.addStretch(1)
        self.setWidget(body)
        self.setAccessibleName(tr("Start"))

    retranslate = refresh

    def _head(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(16)
        picture = QLabel()
        ratio = self.devicePixelRatioF()
        picture.setPixmap(pixmap("app", self._theme.tokens.accent, 56, ratio, folder=""))
        words = QVBoxLayout()
        words.setSpacing(2)
        title = QLabel("graphstudio")
        set_role(title, "title")
        text = QLabel(
            tr("Draw a neural network, train it, watch it learn, and take the code with you.")
        )
        text.setWordWrap(True)
        set_role(text, "dim")
        words.addWidget(title)
        words.addWidget(text)
        row.addWidget(picture)
        row.addLayout(words, 1)
        return row

    def _buttons(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(10)
        # The space is the gap to the icon: a style sheet's style knows no other.
        new = QPushButton(f" {tr('New project')}")
        new.setAccessibleName(tr("New project"))
        new.setObjectName("startNew")
        set_role(new, "primary")
        new.setIcon(icon("plus", self._theme.tokens.accent_text))
        new.setIconSize(QSize(16, 16))
        new.clicked.connect(self.new_requested)
        open_ = QPushButton(f" {tr('Open…')}")
        open_.setAccessibleName(tr("Open…"))
        open_.setObjectName("startOpen")
        open_.setIcon(icon("open", self._theme.tokens.text))
        open_.setIconSize(QSize(16, 16))
        open_.clicked.connect(self.open_requested)
        row.addWidget(new)
        row.addWidget(open_)
        row.addStretch(1)
        return row

    def _examples(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setSpacing(10)
        for i, example in enumerate(examples()):
            words = [render(m) for m in EXAMPLES.get(example.name, ())] or [example.name, ""]
            card = _Card(f"example_{example.name}", *words)
            card.chosen.connect(lambda name=example.name: self.example_chosen.emit(name))
            grid.addWidget(card, i // 2, i % 2)
        grid.setColumnStretch(0, 1)
        grid.setColumnStretch(1, 1)
        return grid

    def _recent_row(self, path: Path) -> QWidget:
        holder = QWidget()
        row = QHBoxLayout(holder)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        button = QPushButton(path.stem)
        button.setObjectName(f"recent_{path.stem}")
        set_role(button, "link")
        button.setToolTip(plain_tip(str(path)))
        button.clicked.connect(lambda: self.path_chosen.emit(str(path)))
        folder = QLabel(_short(path.parent))
        folder.setTextFormat(Qt.TextFormat.PlainText)
        set_role(folder, "dim")
        row.addWidget(button)
        row.addWidget(folder, 1)
        return holder


class _Card(QFrame):
    """A title and a sentence that act as one button."""

    chosen = Signal()

    def __init__(self, name: str, title: str, text: str) -> None:
        super().__init__()
        self.setObjectName("card")
        self.setProperty("name", name)
        self.setAccessibleName(f"{title}. {text}")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        column = QVBoxLayout(self)
        column.setContentsMargins(14, 12, 14, 12)
        column.setSpacing(4)
        head, body = QLabel(title), QLabel(text)
        set_role(head, "heading")
        set_role(body, "dim")
        for label in (head, body):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setWordWrap(True)
            column.addWidget(label)
        column.addStretch(1)

    def sizeHint(self) -> QSize:
        return super().sizeHint().expandedTo(QSize(260, 84))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        inside = self.rect().contains(event.position().toPoint())
        if event.button() == Qt.MouseButton.LeftButton and inside:
            self.chosen.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.chosen.emit()
        else:
            super().keyPressEvent(event)


def _caption(text: str) -> QLabel:
    label = QLabel(text)
    set_role(label, "caption")
    return label


def _short(folder: Path) -> str:
    try:
        return f"~/{folder.relative_to(Path.home()).as_posix()}"
    except ValueError:
        return str(folder)
