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
"""Wider than the picture: a gap to the text."""


class FixButton(QPushButton):
    """Mends a problem. A fix can name a node or a field, so its text can be of any length."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setIconSize(ICON)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        set_role(self, "fix")

    def shown_text(self) -> str:
        """The text as there is room for it."""
        spare = self.width() - (self.sizeHint().width() - self._advance(self.text()))
        return self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, spare)

    def minimumSizeHint(self) -> QSize:
        hint = self.sizeHint()
        cut = self._advance(self.text()) - self._advance("x" * LEAST_CHARACTERS)
        return QSize(hint.width() - max(0, cut), hint.height())

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and self.shown_text() != self.text():
            QToolTip.showText(event.globalPos(), plain_tip(self.text()), self)
            return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        option = QStyleOptionButton()
        self.initStyleOption(option)
        option.text = self.shown_text()
        painter = QStylePainter(self)
        painter.drawControl(QStyle.ControlElement.CE_PushButton, option)
        painter.end()

    def _advance(self, text: str) -> int:
        # As Qt measures the text of a button: the ampersands of names are no shortcuts.
        flag = Qt.TextFlag.TextShowMnemonic.value
        return self.fontMetrics().size(flag, text).width()
