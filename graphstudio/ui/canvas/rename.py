"""The one-line editor that floats over a title while it is renamed."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, QRect, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QLineEdit, QWidget

from graphstudio.i18n import tr
from graphstudio.ui.canvas.style import CanvasStyle, canvas_font


class RenameEditor(QLineEdit):
    """Enter and a click elsewhere keep the new name, Esc drops it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("canvas-rename")
        self.setMaxLength(120)
        self._done: Callable[[str], None] | None = None
        self._before = ""
        self.installEventFilter(self)
        self.hide()

    def open_on(
        self, rect: QRect, text: str, style: CanvasStyle, done: Callable[[str], None]
    ) -> None:
        """Edit ``text`` over ``rect``; ``done`` hears the new name, if there is one."""
        self._done, self._before = done, text
        self.setAccessibleName(tr("Name"))
        self.setFont(canvas_font(max(12, min(rect.height() - 12, 22)), bold=True))
        t = style.tokens
        self.setStyleSheet(
            f"QLineEdit {{ background: {t.base}; color: {t.text}; border: 2px solid {t.accent};"
            " border-radius: 6px; padding: 0 6px; }"
        )
        self.setText(text)
        self.selectAll()
        wide = QRect(rect)
        wide.setWidth(max(rect.width(), 160))
        wide.setHeight(max(rect.height(), 26))
        self.setGeometry(wide)
        self.show()
        self.raise_()
        self.setFocus(Qt.FocusReason.PopupFocusReason)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Every key is text here, none is a command of the canvas."""
        if event.type() == QEvent.Type.ShortcutOverride:
            event.accept()
            return True
        return False

    def keyPressEvent(self, event: QKeyEvent) -> None:
        match event.key():
            case Qt.Key.Key_Escape:
                self._finish(keep=False)
            case Qt.Key.Key_Return | Qt.Key.Key_Enter | Qt.Key.Key_Tab:
                self._finish(keep=True)
            case _:
                super().keyPressEvent(event)

    def focusOutEvent(self, event) -> None:
        super().focusOutEvent(event)
        if event.reason() != Qt.FocusReason.PopupFocusReason:
            self._finish(keep=True)

    def commit(self) -> None:
        """Close, and keep what was typed."""
        self._finish(keep=True)

    def _finish(self, *, keep: bool) -> None:
        done, self._done = self._done, None
        if done is None:
            return
        text = self.text().strip()
        had_focus = self.hasFocus()
        self.hide()
        if had_focus:
            self.parentWidget().setFocus()
        if keep and text and text != self._before:
            done(text)
