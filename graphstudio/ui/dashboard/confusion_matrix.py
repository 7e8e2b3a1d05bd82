"""A confusion matrix as a heat map, with precision and recall of each class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from graphstudio.i18n import tr
from graphstudio.ui.dashboard import formats
from graphstudio.ui.dashboard.texts import plain_tip
from graphstudio.ui.style import contrast, mix
from graphstudio.ui.theme import Theme

Counts = NDArray[np.int64]

MIN_CELL, MAX_CELL = 14, 46
"""Side of a cell in pixels: it takes what room there is, and scrolls below the least."""
MEASURE_WIDTH = 64
LEAST_POINTS = 6.5
MAX_NAME = 130


def precision_recall(counts: Counts) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision and recall of each class, NaN where it was never predicted or does not occur.

    Parameters
    ----------
    counts : ndarray of int, shape (C, C)
        Rows are true classes, columns predictions.
    """
    right = np.diagonal(counts).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        return right / counts.sum(axis=0), right / counts.sum(axis=1)


class Matrix(QWidget):
    """The heat map with row and column names and, to its right, precision and recall."""

    resized = Signal()
    cell_selected = Signal(object)
    """(row, column) that was clicked or reached by the arrow keys, or None."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("confusionMatrix")
        self._theme = theme
        self._counts: Counts = np.zeros((0, 0), dtype=np.int64)
        self._names: list[str] = []
        self._shares = False
        self._hover: tuple[int, int] | None = None
        self._selected: tuple[int, int] | None = None
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        theme.changed.connect(self.update)

    @property
    def selected(self) -> tuple[int, int] | None:
        return self._selected

    def set_counts(self, counts: Counts, names: Sequence[str]) -> None:
        self._counts, self._names = counts, list(names)
        self._hover = self._selected = None
        self.setMinimumSize(self._least_size())
        self.updateGeometry()
        self.update()
        self.cell_selected.emit(None)

    def set_shares(self, on: bool) -> None:
        """Show shares of the true class instead of counts."""
        self._shares = on
        self.update()

    def select(self, cell: tuple[int, int] | None) -> None:
        self._selected = cell
        self.update()
        self.cell_selected.emit(cell)

    def cell_rect(self, row: int, column: int) -> QRect:
        """Where a cell lies in the widget."""
        x, y, wide, high = self._cells()
        return QRect(x + column * wide, y + row * high, wide, high)

    def ideal_width(self) -> int:
        """Width that the matrix fills at its present height."""
        left, _top, wide, _high = self._cells(across=MAX_CELL)
        return left + len(self._names) * wide + 2 * MEASURE_WIDTH + 24

    # -- geometry -------------------------------------------------------------------------------

    def _name_width(self) -> int:
        metrics = self.fontMetrics()
        widest = max((metrics.horizontalAdvance(n) for n in self._names), default=0)
        return min(max(widest, 16), MAX_NAME) + 12

    def _upright(self, side: int) -> bool:
        """True if the column names fit over their columns without being turned."""
        metrics = self.fontMetrics()
        return all(metrics.horizontalAdvance(n) <= side - 4 for n in self._names)

    def _head_height(self, side: int) -> int:
        line = self.fontMetrics().height()
        return line + 8 + (line + 4 if self._upright(side) else self._name_width())

    def _cells(self, across: int = 0) -> tuple[int, int, int, int]:
        """Left and top of the first cell, width and height of each.

        Cells get wider than high where the room is low, so that their numbers stay legible.
        """
        count = max(1, len(self._names))
        left = self.fontMetrics().height() + 10 + self._name_width()
        across = across or (self.width() - left - 2 * MEASURE_WIDTH - 12) // count
        wide = max(MIN_CELL, min(across, MAX_CELL))
        down = (self.height() - self._head_height(wide) - 6) // count
        high = max(MIN_CELL, min(down, MAX_CELL))
        wide = min(wide, 2 * high)
        return left, self._head_height(wide), wide, high

    def _least_size(self) -> QSize:
        count = len(self._names)
        left = self.fontMetrics().height() + 10 + self._name_width()
        return QSize(
            left + count * MIN_CELL + 2 * MEASURE_WIDTH + 12,
            self._head_height(MIN_CELL) + count * MIN_CELL + 6,
        )

    def _cell_at(self, point: QPoint) -> tuple[int, int] | None:
        x, y, wide, high = self._cells()
        row, column = (point.y() - y) // high, (point.x() - x) // wide
        count = len(self._names)
        return (row, column) if 0 <= row < count and 0 <= column < count else None

    def _cell_font(self) -> QFont:
        """The font, smaller where a row is lower than one of its lines."""
        metrics = self.fontMetrics()
        _left, _top, wide, high = self._cells()
        most = "100" if self._shares else str(int(self._counts.max(initial=0)))
        fit = min(high / metrics.height(), (wide - 2) / metrics.horizontalAdvance(most), 1.0)
        font = QFont(self.font())
        font.setPointSizeF(max(LEAST_POINTS, font.pointSizeF() * fit))
        return font

    # -- painting -------------------------------------------------------------------------------

    def paintEvent(self, _event: QPaintEvent) -> None:
        if not self._names:
            return
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.TextAntialiasing)
            self._paint_names(painter)
            self._paint_measures(painter)
            self._paint_cells(painter)

    def _paint_cells(self, painter: QPainter) -> None:
        tokens = self._theme.tokens
        x, y, wide, high = self._cells()
        painter.setFont(self._cell_font())
        legible = painter.fontMetrics()
        counts, shares = self._counts, self._row_shares()
        wrong = counts.copy()
        np.fill_diagonal(wrong, 0)
        most_wrong = float(np.where(self._shares, self._row_shares_of(wrong), wrong).max())
        most_right = float(np.where(self._shares, shares, counts).max())
        for row in range(len(self._names)):
            for column in range(len(self._names)):
                value = shares[row, column] if self._shares else float(counts[row, column])
                right = row == column
                most = most_right if right else most_wrong
                # The root lifts the few mistakes of a good model above the background.
                strength = (value / most) ** 0.5 if most > 0 else 0.0
                base = tokens.accent if right else tokens.warning
                color = mix(tokens.panel, base, 0.85 * strength) if value else tokens.panel
                rect = QRect(x + column * wide, y + row * high, wide, high)
                painter.fillRect(rect.adjusted(0, 0, -1, -1), QColor(color))
                if counts[row, column] or right:
                    painter.setPen(QColor(self._ink(color)))
                    text = self._cell_text(row, column)
                    if legible.horizontalAdvance(text) <= wide:
                        painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, text)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(tokens.color("border"), 1))
        count = len(self._names)
        painter.drawRect(QRect(x - 1, y - 1, count * wide, count * high))
        for cell, token, width in (
            (self._hover, "text_dim", 1.0),
            (self._selected, "focus" if self.hasFocus() else "text", 2.0),
        ):
            if cell is not None:
                painter.setPen(QPen(tokens.color(token), width))
                rect = QRectF(self.cell_rect(*cell)).adjusted(0.5, 0.5, -1.5, -1.5)
                painter.drawRect(rect)

    def _paint_names(self, painter: QPainter) -> None:
        tokens = self._theme.tokens
        metrics = self.fontMetrics()
        x, y, wide, high = self._cells()
        count, line = len(self._names), metrics.height()
        painter.setPen(tokens.color("text_dim"))
        room = max(count * wide, metrics.horizontalAdvance(tr("Predicted class")))
        painter.drawText(QRect(x, 2, room, line), Qt.AlignmentFlag.AlignLeft, tr("Predicted class"))
        painter.save()
        painter.translate(2, y + count * high)
        painter.rotate(-90)
        painter.drawText(
            QRect(0, 0, count * high, line), Qt.AlignmentFlag.AlignRight, tr("True class")
        )
        painter.restore()
        at = self._hover or self._selected
        for index, name in enumerate(self._names):
            shown = metrics.elidedText(name, Qt.TextElideMode.ElideRight, MAX_NAME)
            marked = at is not None and index == at[0]
            painter.setPen(tokens.color("text" if marked else "text_dim"))
            rect = QRect(line + 4, y + index * high, x - line - 12, high)
            right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(rect, right, shown)
            marked = at is not None and index == at[1]
            painter.setPen(tokens.color("text" if marked else "text_dim"))
            if self._upright(wide):
                rect = QRect(x + index * wide, y - line - 6, wide, line + 4)
                painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, shown)
            else:
                painter.save()
                painter.translate(x + index * wide, y - 5)
                painter.rotate(-90)
                left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
                painter.drawText(QRect(0, 0, self._name_width(), wide), left, shown)
                painter.restore()

    def _paint_measures(self, painter: QPainter) -> None:
        tokens = self._theme.tokens
        x, y, wide, high = self._cells()
        line = self.fontMetrics().height()
        left = x + len(self._names) * wide + 10
        middle = Qt.AlignmentFlag.AlignCenter
        columns = zip((tr("Precision"), tr("Recall")), precision_recall(self._counts), strict=True)
        for offset, (title, values) in enumerate(columns):
            box_left = left + offset * MEASURE_WIDTH
            painter.setPen(tokens.color("text_dim"))
            painter.drawText(QRect(box_left, y - line - 6, MEASURE_WIDTH, line + 4), middle, title)
            for row, value in enumerate(values.tolist()):
                text = "–" if value != value else f"{100 * value:.1f} %"
                painter.setPen(tokens.color("text" if value == value else "text_dim"))
                painter.drawText(QRect(box_left, y + row * high, MEASURE_WIDTH, high), middle, text)

    def _ink(self, background: str) -> str:
        tokens = self._theme.tokens
        dark, bright = "#0b1521", "#ffffff"
        options = (tokens.text, dark, bright)
        return max(options, key=lambda c: contrast(c, background))

    def _cell_text(self, row: int, column: int) -> str:
        if self._shares:
            share = 100 * self._row_shares()[row, column]
            text = f"{share:.0f}" if share >= 9.95 or share == 0 else f"{share:.1f}"
        else:
            text = str(int(self._counts[row, column]))
        return text

    def _row_shares(self) -> NDArray[np.float64]:
        return self._row_shares_of(self._counts)

    def _row_shares_of(self, counts: Counts) -> NDArray[np.float64]:
        return counts / np.maximum(self._counts.sum(axis=1, keepdims=True), 1)

    # -- pointer and keys -----------------------------------------------------------------------

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        cell = self._cell_at(event.position().toPoint())
        if cell != self._hover:
            self._hover = cell
            self.update()
        facts = [] if cell is None else cell_facts(self._counts, self._names, cell)
        self.setToolTip(plain_tip("\n".join(facts)))

    def resizeEvent(self, event: QEvent) -> None:
        super().resizeEvent(event)
        self.resized.emit()

    def leaveEvent(self, _event: QEvent) -> None:
        self._hover = None
        self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.select(self._cell_at(event.position().toPoint()))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        moves = {
            Qt.Key.Key_Left: (0, -1),
            Qt.Key.Key_Right: (0, 1),
            Qt.Key.Key_Up: (-1, 0),
            Qt.Key.Key_Down: (1, 0),
        }
        if event.key() in moves and self._names:
            row, column = self._selected or (0, 0)
            if self._selected is not None:
                down, right = moves[event.key()]
                last = len(self._names) - 1
                row, column = min(max(row + down, 0), last), min(max(column + right, 0), last)
            self.select((row, column))
        elif event.key() == Qt.Key.Key_Escape and self._selected is not None:
            self.select(None)
        else:
            super().keyPressEvent(event)


def cell_facts(counts: Counts, names: Sequence[str], cell: tuple[int, int]) -> list[str]:
    """Sentences on one cell: how many samples, and their share of the row and of the column."""
    row, column = cell
    count = int(counts[row, column])
    of_true, of_predicted = int(counts[row].sum()), int(counts[:, column].sum())
    if row == column:
        first = tr("{count} samples of '{name}' were recognised", count=count, name=names[row])
    else:
        first = tr(
            "{count} samples of '{true}' were taken for '{predicted}'",
            count=count, true=names[row], predicted=names[column],
        )  # fmt: skip
    facts = [first]
    if of_true:
        facts.append(
            tr(
                "{share} of the {total} samples that are '{name}'",
                share=formats.percent(count / of_true), total=of_true, name=names[row],
            )
        )  # fmt: skip
    if of_predicted:
        facts.append(
            tr(
                "{share} of the {total} predictions of '{name}'",
                share=formats.percent(count / of_predicted), total=of_predicted,
                name=names[column],
            )
        )  # fmt: skip
    return facts
