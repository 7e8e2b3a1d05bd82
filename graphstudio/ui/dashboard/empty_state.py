"""What a view shows while it has nothing to show: a pale icon, what to do, and what will come."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from graphstudio.ui.icons import pixmap
from graphstudio.ui.style import set_role
from graphstudio.ui.theme import Theme

ICON_SIZE = 36


class EmptyState(QWidget):
    """Icon, sentence and explanation, in the middle of the view."""

    def __init__(self, icon: str, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._icon_name, self._theme = icon, theme
        self._icon, self._text, self._more = QLabel(), QLabel(), QLabel()
        set_role(self._text, "heading")
        set_role(self._more, "dim")
        layout = QVBoxLayout(self)
        layout.setSpacing(6)
        layout.addStretch(1)
        for label in (self._icon, self._text, self._more):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setWordWrap(True)
            layout.addWidget(label)
        layout.addStretch(1)
        theme.changed.connect(self._dress)
        self._dress()

    @property
    def text(self) -> str:
        """The sentence that is shown."""
        return self._text.text()

    def set_texts(self, text: str, more: str) -> None:
        self._text.setText(text)
        self._more.setText(more)
        self._more.setVisible(bool(more))
        self.setAccessibleName(f"{text} {more}".strip())

    def _dress(self) -> None:
        color = self._theme.tokens.blocked
        self._icon.setPixmap(pixmap(self._icon_name, color, ICON_SIZE, self.devicePixelRatioF()))
