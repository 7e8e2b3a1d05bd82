"""A button whose text ends in dots where the room ends; the tool tip then has the whole."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import (
    QPushButton,
    QSizePolicy,
    QStyle,
    QStyleOptionButton,
    QStylePainter,
    QToolTip,
    QWidget,
)

from graphstudio.ui.style import plain_tip, set_role

LEAST_CHARACTERS = 8
ICON = QSize(20, 14)
"""Wider than the picture, so that there is room for the gap to the text."""
GAP = " "
"""Before the text: a style with a style sheet draws the picture, not the room around it."""


class FixButton(QPushButton):
    """Mends a problem. A fix can name a node or a field, so its text can be of any length."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = ""
        self.setIconSize(ICON)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        set_role(self, "fix")

    def set_title(self, title: str) -> None:
        """Say what it does, in characters as they are: the ampersand of a name is no shortcut."""
        self.title = title
        self.setText(_without_shortcuts(title))
        self.setAccessibleName(title)

    def shown_text(self) -> str:
        """The title as there is room for it."""
        spare = self.width() - (self.sizeHint().width() - self._advance(self.title))
        return self.fontMetrics().elidedText(self.title, Qt.TextElideMode.ElideRight, spare)

    def minimumSizeHint(self) -> QSize:
        hint = self.sizeHint()
        cut = self._advance(self.title) - self._advance("x" * LEAST_CHARACTERS)
        return QSize(hint.width() - max(0, cut), hint.height())

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and self.shown_text() != self.title:
            QToolTip.showText(event.globalPos(), plain_tip(self.title), self)
            return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        option = QStyleOptionButton()
        self.initStyleOption(option)
        option.text = GAP + _without_shortcuts(self.shown_text())
        painter = QStylePainter(self)
        painter.drawControl(QStyle.ControlElement.CE_PushButton, option)
        painter.end()

    def _advance(self, text: str) -> int:
        return self.fontMetrics().size(0, text).width()


def _without_shortcuts(text: str) -> str:
    return text.replace("&", "&&")
