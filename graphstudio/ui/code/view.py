"""Read-only view of a script: line numbers, colours, and the lines of the selected node."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import (
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QSyntaxHighlighter,
    QTextCharFormat,
    QTextCursor,
    QTextFormat,
)
from PySide6.QtWidgets import QPlainTextEdit, QTextEdit, QWidget

from graphstudio.ui.code.lexing import Span
from graphstudio.ui.style import code_font
from graphstudio.ui.theme import Theme


class CodeView(QPlainTextEdit):
    """Shows text that was lexed elsewhere; ``line_clicked`` counts from 1."""

    line_clicked = Signal(int)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("codeView")
        self._theme = theme
        self._marks: list[tuple[int, int]] = []
        self.setReadOnly(True)
        self.setUndoRedoEnabled(False)
        self.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.setFont(code_font())
        self.setTabStopDistance(4 * self.fontMetrics().horizontalAdvance(" "))
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self._gutter = _Gutter(self)
        self._colors = _Colors(self, theme)
        self.blockCountChanged.connect(self._fit_gutter)
        self.updateRequest.connect(self._scroll_gutter)
        theme.changed.connect(self._recolor)
        self._fit_gutter()

    @property
    def marks(self) -> tuple[tuple[int, int], ...]:
        """Marked ranges of lines, first and last included, from 1."""
        return tuple(self._marks)

    def show_code(self, text: str, spans: Sequence[Sequence[Span]]) -> None:
        """Show another text; the place that is looked at stays where it was."""
        self._colors.spans = spans
        if text != self.toPlainText():
            bars = self.verticalScrollBar(), self.horizontalScrollBar()
            places = [bar.value() for bar in bars]
            self.setPlainText(text)
            for bar, place in zip(bars, places, strict=True):
                bar.setValue(place)
        else:
            self._colors.rehighlight()
        self._show_marks()

    def set_stale(self, stale: bool) -> None:
        """Dim a text that no longer belongs to the graph as drawn."""
        if self._colors.stale != stale:
            self._colors.stale = stale
            self._colors.rehighlight()
            self._gutter.update()

    def mark(self, ranges: Sequence[tuple[int, int]], *, reveal: bool = True) -> None:
        """Mark ranges of lines, and bring the first of them into sight."""
        self._marks = sorted(ranges)
        self._show_marks()
        if self._marks and reveal:
            self.reveal_line(self._marks[0][0])

    def reveal_line(self, line: int) -> None:
        block = self.document().findBlockByNumber(line - 1)
        top = self.firstVisibleBlock().blockNumber()
        height = self.blockBoundingRect(block).height() or self.fontMetrics().lineSpacing()
        visible = int(self.viewport().height() / height)
        if not top <= line - 1 < top + visible - 1:
            self.verticalScrollBar().setValue(max(0, line - 1 - visible // 3))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        if event.button() == Qt.MouseButton.LeftButton and not self.textCursor().hasSelection():
            cursor = self.cursorForPosition(event.position().toPoint())
            self.line_clicked.emit(cursor.blockNumber() + 1)

    def resizeEvent(self, event) -> None:
        super().resizeEvent(event)
        area = self.contentsRect()
        self._gutter.setGeometry(
            QRect(area.left(), area.top(), self._gutter.sizeHint().width(), area.height())
        )

    def _show_marks(self) -> None:
        shown = []
        look = QTextCharFormat()
        look.setBackground(self._theme.tokens.color("code_mark"))
        look.setProperty(QTextFormat.Property.FullWidthSelection, True)
        for first, last in self._marks:
            for line in range(first, last + 1):
                block = self.document().findBlockByNumber(line - 1)
                if block.isValid():
                    selection = QTextEdit.ExtraSelection()
                    selection.cursor = QTextCursor(block)
                    selection.format = look
                    shown.append(selection)
        self.setExtraSelections(shown)
        self._gutter.update()

    def _fit_gutter(self) -> None:
        self.setViewportMargins(self._gutter.sizeHint().width(), 0, 0, 0)

    def _scroll_gutter(self, rect: QRect, dy: int) -> None:
        if dy:
            self._gutter.scroll(0, dy)
        else:
            self._gutter.update(0, rect.y(), self._gutter.width(), rect.height())

    def _recolor(self) -> None:
        self._colors.rehighlight()
        self._show_marks()

    def paint_gutter(self, event: QPaintEvent) -> None:
        tokens = self._theme.tokens
        marked = {n for first, last in self._marks for n in range(first, last + 1)}
        with QPainter(self._gutter) as painter:
            painter.fillRect(event.rect(), tokens.color("base"))
            painter.setFont(self.font())
            block = self.firstVisibleBlock()
            top = self.blockBoundingGeometry(block).translated(self.contentOffset()).top()
            width = self._gutter.width()
            while block.isValid() and top <= event.rect().bottom():
                height = self.blockBoundingRect(block).height()
                number = block.blockNumber() + 1
                if number in marked:
                    painter.fillRect(0, round(top), 3, round(height) + 1, tokens.color("accent"))
                painter.setPen(tokens.color("text" if number in marked else "text_dim"))
                place = QRect(0, round(top), width - 12, round(height))
                painter.drawText(place, Qt.AlignmentFlag.AlignRight, str(number))
                top += height
                block = block.next()


class _Gutter(QWidget):
    """The column of line numbers."""

    def __init__(self, view: CodeView) -> None:
        super().__init__(view)
        self._view = view

    def sizeHint(self) -> QSize:
        digits = max(3, len(str(self._view.blockCount())))
        return QSize(self._view.fontMetrics().horizontalAdvance("9") * digits + 24, 0)

    def paintEvent(self, event: QPaintEvent) -> None:
        self._view.paint_gutter(event)


class _Colors(QSyntaxHighlighter):
    """Puts the spans of each line on its block; lexes nothing itself."""

    def __init__(self, view: CodeView, theme: Theme) -> None:
        super().__init__(view.document())
        self._theme = theme
        self.spans: Sequence[Sequence[Span]] = ()
        self.stale = False

    def highlightBlock(self, text: str) -> None:
        number = self.currentBlock().blockNumber()
        if self.stale:
            self.setFormat(0, len(text) * 2, self._theme.tokens.color("text_dim"))
            return
        if number >= len(self.spans):
            return
        for first, length, token in self.spans[number]:
            self.setFormat(first, length, self._theme.tokens.color(token))
