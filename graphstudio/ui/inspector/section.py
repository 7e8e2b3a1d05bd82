"""A titled part of a page that folds away."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QFrame, QToolButton, QVBoxLayout, QWidget

from graphstudio.ui.icons import icon
from graphstudio.ui.theme import Theme


class Section(QWidget):
    """Header with an arrow and a body below."""

    def __init__(self, name: str, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(f"section_{name}")
        self._theme = theme
        self._header = QToolButton()
        self._header.setObjectName("sectionHeader")
        self._header.setCheckable(False)
        self._header.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._header.setIconSize(QSize(12, 12))
        self._header.setSizePolicy(
            self._header.sizePolicy().Policy.Expanding, self._header.sizePolicy().Policy.Fixed
        )
        self._header.clicked.connect(lambda: self.set_open(not self.is_open))
        self._line = QFrame()
        self._line.setObjectName("sectionLine")
        self._line.setFixedHeight(1)
        self._body = QWidget()
        self._content = QVBoxLayout(self._body)
        self._content.setContentsMargins(0, 0, 0, 4)
        self._content.setSpacing(0)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._line)
        column.addWidget(self._header)
        column.addWidget(self._body)
        theme.changed.connect(self._recolor)
        self.is_open = True
        self._recolor()

    def add(self, widget: QWidget) -> None:
        self._content.addWidget(widget)

    def set_title(self, text: str) -> None:
        self._header.setText(text)
        self._header.setAccessibleName(text)

    def set_open(self, is_open: bool) -> None:
        self.is_open = is_open
        self._body.setVisible(is_open)
        self._recolor()

    def _recolor(self) -> None:
        name = "chevron-down" if self.is_open else "chevron-right"
        self._header.setIcon(icon(name, self._theme.tokens.text_dim))
