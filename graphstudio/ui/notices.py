"""Sentences above the canvas that wait to be read, and never stop the work."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from graphstudio.i18n import tr
from graphstudio.ui.icons import icon, pixmap
from graphstudio.ui.theme import Theme

MAX_NOTICES = 4
TRANSIENT_MS = 8000

Choice = tuple[str, Callable[[], object]]


class Notice(QFrame):
    """Icon, text, choices, and a button that closes it."""

    def __init__(
        self, severity: str, text: str, choices: list[Choice], theme: Theme, key: str
    ) -> None:
        super().__init__()
        self.setObjectName("notice")
        self.severity, self.text, self.key = severity, text, key
        self._theme = theme
        self._icon = QLabel()
        label = QLabel(text)
        label.setTextFormat(Qt.TextFormat.PlainText)
        label.setWordWrap(True)
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        row = QHBoxLayout(self)
        row.setContentsMargins(14, 7, 8, 7)
        row.setSpacing(10)
        row.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(label, 1)
        self.buttons: list[QPushButton] = []
        for i, (name, action) in enumerate(choices):
            button = QPushButton(name)
            button.setObjectName(f"notice_{key}_{i}")
            button.clicked.connect(self.close)
            button.clicked.connect(action)
            row.addWidget(button)
            self.buttons.append(button)
        self._close = QToolButton()
        self._close.setObjectName("smallButton")
        self._close.setIconSize(QSize(14, 14))
        self._close.setAccessibleName(tr("Close"))
        self._close.clicked.connect(self.close)
        row.addWidget(self._close, 0, Qt.AlignmentFlag.AlignVCenter)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setAccessibleName(text)
        self.recolor()

    def recolor(self) -> None:
        tokens = self._theme.tokens
        color = {"error": tokens.error, "warning": tokens.warning, "ok": tokens.ok}
        tint = color.get(self.severity, tokens.accent)
        self._icon.setPixmap(pixmap(self.severity, tint, 18, self.devicePixelRatioF()))
        self._close.setIcon(icon("close", tokens.text_dim))


class NoticeBar(QWidget):
    """A stack of notices; the oldest goes when there are too many."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("notices")
        self._theme = theme
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        theme.changed.connect(self._recolor)

    @property
    def shown(self) -> list[Notice]:
        """The notices, the oldest first."""
        notices = (self._column.itemAt(i).widget() for i in range(self._column.count()))
        return [n for n in notices if isinstance(n, Notice) and not n.isHidden()]

    def show_notice(
        self,
        severity: str,
        text: str,
        choices: list[Choice] | None = None,
        *,
        key: str = "",
        transient: bool = False,
    ) -> Notice:
        """Show a sentence; one with the same key takes the place of the last.

        Parameters
        ----------
        severity : str
            ``info``, ``ok``, ``warning`` or ``error``.
        transient : bool
            Whether it goes by itself after a while.
        """
        for old in self.shown:
            if key and old.key == key:
                old.close()
        notice = Notice(severity, text, choices or [], self._theme, key)
        self._column.addWidget(notice)
        notice.show()
        for old in self.shown[:-MAX_NOTICES]:
            old.close()
        if transient:
            QTimer.singleShot(TRANSIENT_MS, notice, notice.close)
        return notice

    def dismiss(self, key: str) -> None:
        """Take the notice with this key away, if it is there."""
        for notice in self.shown:
            if notice.key == key:
                notice.close()

    def clear(self) -> None:
        for notice in self.shown:
            notice.close()

    def _recolor(self) -> None:
        for notice in self.shown:
            notice.recolor()
