"""The confusion matrix of the held-out evaluation: heat map, measures per class, details."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import (
    QCheckBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from graphstudio.i18n import tr
from graphstudio.training.messages import Evaluated
from graphstudio.ui.dashboard import formats
from graphstudio.ui.dashboard.empty_state import EmptyState
from graphstudio.ui.style import contrast, mix, set_role
from graphstudio.ui.theme import Theme

Counts = NDArray[np.int64]

MIN_CELL, MAX_CELL = 22, 46
MEASURE_WIDTH = 64
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
        x, y, side = self._origin()
        return QRect(x + column * side, y + row * side, side, side)

    def ideal_width(self) -> int:
        """Width that the matrix fills at its present height."""
        left, _top, side = self._origin(across=MAX_CELL)
        return left + len(self._names) * side + 2 * MEASURE_WIDTH + 24

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

    def _origin(self, across: int = 0) -> tuple[int, int, int]:
        """Left and top of the first cell, and the side of each."""
        count = max(1, len(self._names))
        line = self.fontMetrics().height()
        left = line + 10 + self._name_width()
        across = across or (self.width() - left - 2 * MEASURE_WIDTH - 12) // count
        side = min(across, MAX_CELL)
        down = (self.height() - self._head_height(side) - 8) // count
        side = max(MIN_CELL, min(side, down))
        return left, self._head_height(side), side

    def _least_size(self) -> QSize:
        count = len(self._names)
        left = self.fontMetrics().height() + 10 + self._name_width()
        return QSize(
            left + count * MIN_CELL + 2 * MEASURE_WIDTH + 12,
            self._head_height(MIN_CELL) + count * MIN_CELL + 8,
        )

    def _cell_at(self, point: QPoint) -> tuple[int, int] | None:
        x, y, side = self._origin()
        row, column = (point.y() - y) // side, (point.x() - x) // side
        count = len(self._names)
        return (row, column) if 0 <= row < count and 0 <= column < count else None

    # -- painting -------------------------------------------------------------------------------

    def paintEvent(self, _event: QPaintEvent) -> None:
        if not self._names:
            return
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.TextAntialiasing)
            self._paint_names(painter)
            self._paint_cells(painter)
            self._paint_measures(painter)

    def _paint_cells(self, painter: QPainter) -> None:
        tokens = self._theme.tokens
        x, y, side = self._origin()
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
                rect = QRect(x + column * side, y + row * side, side, side)
                painter.fillRect(rect.adjusted(0, 0, -1, -1), QColor(color))
                if counts[row, column] or right:
                    painter.setPen(QColor(self._ink(color)))
                    text = self._cell_text(row, column, side)
                    painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, text)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(tokens.color("border"), 1))
        count = len(self._names)
        painter.drawRect(QRect(x - 1, y - 1, count * side, count * side))
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
        x, y, side = self._origin()
        count, line = len(self._names), metrics.height()
        painter.setPen(tokens.color("text_dim"))
        wide = max(count * side, metrics.horizontalAdvance(tr("Predicted class")))
        painter.drawText(QRect(x, 2, wide, line), Qt.AlignmentFlag.AlignLeft, tr("Predicted class"))
        painter.save()
        painter.translate(2, y + count * side)
        painter.rotate(-90)
        painter.drawText(
            QRect(0, 0, count * side, line), Qt.AlignmentFlag.AlignRight, tr("True class")
        )
        painter.restore()
        at = self._hover or self._selected
        for index, name in enumerate(self._names):
            shown = metrics.elidedText(name, Qt.TextElideMode.ElideRight, MAX_NAME)
            marked = at is not None and index == at[0]
            painter.setPen(tokens.color("text" if marked else "text_dim"))
            rect = QRect(line + 4, y + index * side, x - line - 12, side)
            right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(rect, right, shown)
            marked = at is not None and index == at[1]
            painter.setPen(tokens.color("text" if marked else "text_dim"))
            if self._upright(side):
                rect = QRect(x + index * side, y - line - 6, side, line + 4)
                painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, shown)
            else:
                painter.save()
                painter.translate(x + index * side, y - 5)
                painter.rotate(-90)
                left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
                painter.drawText(QRect(0, 0, self._name_width(), side), left, shown)
                painter.restore()

    def _paint_measures(self, painter: QPainter) -> None:
        tokens = self._theme.tokens
        x, y, side = self._origin()
        line = self.fontMetrics().height()
        left = x + len(self._names) * side + 10
        middle = Qt.AlignmentFlag.AlignCenter
        columns = zip((tr("Precision"), tr("Recall")), precision_recall(self._counts), strict=True)
        for offset, (title, values) in enumerate(columns):
            box_left = left + offset * MEASURE_WIDTH
            painter.setPen(tokens.color("text_dim"))
            painter.drawText(QRect(box_left, y - line - 6, MEASURE_WIDTH, line + 4), middle, title)
            for row, value in enumerate(values.tolist()):
                text = "–" if value != value else f"{100 * value:.1f} %"
                painter.setPen(tokens.color("text" if value == value else "text_dim"))
                painter.drawText(QRect(box_left, y + row * side, MEASURE_WIDTH, side), middle, text)

    def _ink(self, background: str) -> str:
        tokens = self._theme.tokens
        dark, bright = "#0b1521", "#ffffff"
        options = (tokens.text, dark, bright)
        return max(options, key=lambda c: contrast(c, background))

    def _cell_text(self, row: int, column: int, side: int) -> str:
        if self._shares:
            share = 100 * self._row_shares()[row, column]
            text = f"{share:.0f}" if share >= 9.95 or share == 0 else f"{share:.1f}"
        else:
            text = str(int(self._counts[row, column]))
        if self.fontMetrics().horizontalAdvance(text) > side - 2:
            return "…"
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
        self.setToolTip(
            "" if cell is None else "\n".join(cell_facts(self._counts, self._names, cell))
        )

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


class ConfusionView(QWidget):
    """Tiles with the measures, the matrix, and a column with details of the chosen cell."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("confusionView")
        self._theme = theme
        self._evaluated: Evaluated | None = None
        self._counts: Counts = np.zeros((0, 0), dtype=np.int64)
        self._names: list[str] = []
        self._summary = QLabel()
        self._summary.setObjectName("evaluationSummary")
        self._tiles = QHBoxLayout()
        self._tiles.setSpacing(24)
        self._shares = QCheckBox()
        self._shares.setObjectName("rowShares")
        self.matrix = Matrix(theme)
        self._shares.toggled.connect(self.matrix.set_shares)
        self.matrix.cell_selected.connect(self._on_cell)
        self._no_matrix = QLabel()
        self._details_title, self._details = QLabel(), QLabel()
        self._details.setObjectName("cellDetails")
        set_role(self._details_title, "heading")
        set_role(self._summary, "dim")
        set_role(self._no_matrix, "dim")
        for label in (self._summary, self._details_title, self._details, self._no_matrix):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setWordWrap(True)
        self._details.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

        scroll = self._scroll = QScrollArea(widgetResizable=True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        body = QWidget(objectName="scrollBody")
        inner = QVBoxLayout(body)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.addWidget(self.matrix)
        scroll.setWidget(body)
        side = QVBoxLayout()
        side.setSpacing(6)
        side.addWidget(self._shares)
        side.addSpacing(4)
        side.addWidget(self._details_title)
        side.addWidget(self._details)
        side.addStretch(1)
        side_box = QWidget()
        side_box.setLayout(side)
        side_box.setMinimumWidth(250)
        side_box.setMaximumWidth(420)
        side.setContentsMargins(0, 0, 0, 0)
        middle = QHBoxLayout()
        middle.setSpacing(12)
        middle.addWidget(scroll, 1)
        middle.addWidget(side_box)
        middle.addStretch(0)
        self._matrix_box = QWidget()
        self._matrix_box.setLayout(middle)
        middle.setContentsMargins(0, 0, 0, 0)

        head = QHBoxLayout()
        head.addLayout(self._tiles)
        head.addSpacing(24)
        head.addWidget(self._summary, 1)
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(12, 8, 12, 8)
        layout.setSpacing(8)
        layout.addLayout(head)
        layout.addWidget(self._matrix_box, 1)
        layout.addWidget(self._no_matrix, 1, Qt.AlignmentFlag.AlignTop)
        self._empty = EmptyState("matrix", theme)
        self._empty.setObjectName("confusionEmpty")
        self._stack = QStackedLayout(self)
        self._stack.addWidget(self._empty)
        self._stack.addWidget(content)
        self.retranslate()

    @property
    def evaluated(self) -> Evaluated | None:
        return self._evaluated

    def show_evaluation(self, evaluated: Evaluated | None) -> None:
        """Show an evaluation; None empties the view."""
        self._evaluated = evaluated
        self._stack.setCurrentIndex(0 if evaluated is None else 1)
        if evaluated is None:
            return
        self._counts = np.array(evaluated.confusion, dtype=np.int64).reshape(
            2 * (len(evaluated.confusion),)
        )
        given = evaluated.class_names
        fits = len(given) == len(self._counts)
        self._names = (
            [str(n) for n in given] if fits else [str(i) for i in range(len(self._counts))]
        )
        has_matrix = len(self._counts) > 0
        self._matrix_box.setVisible(has_matrix)
        self._no_matrix.setVisible(not has_matrix)
        self.matrix.set_counts(self._counts, self._names)
        self._fit()
        self._show_tiles()
        self._on_cell(None)

    def retranslate(self) -> None:
        self._empty.set_texts(
            tr("No evaluation yet"),
            tr("The held-out samples are evaluated when a run ends; the result appears here."),
        )
        self._no_matrix.setText(
            tr("There is a confusion matrix for classification with one integer target only.")
        )
        self._shares.setText(tr("Percent of the true class"))
        self.matrix.setAccessibleName(tr("Confusion matrix"))
        self.matrix.update()
        if self._evaluated is not None:
            self._show_tiles()
        self._on_cell(self.matrix.selected)

    def resizeEvent(self, event) -> None:
        super().resizeEvent(event)
        self._fit()

    def minimumSizeHint(self) -> QSize:
        return QSize(240, 160)

    def _fit(self) -> None:
        """Keep the details beside the matrix rather than at the far edge of a wide window."""
        self._scroll.setMaximumWidth(max(200, self.matrix.ideal_width()))

    def _show_tiles(self) -> None:
        while (item := self._tiles.takeAt(0)) is not None:
            if item.widget() is not None:
                item.widget().deleteLater()
        evaluated = self._evaluated
        if evaluated is None:
            return
        for name, text in evaluation_texts(evaluated):
            self._tiles.addWidget(_tile(name, text))
        split = tr("test samples") if evaluated.split == "test" else tr("validation samples")
        self._summary.setText(
            tr("Held-out evaluation on {count} {split}", count=evaluated.num_samples, split=split)
        )

    def _on_cell(self, cell: tuple[int, int] | None) -> None:
        if not self._names:
            return
        if cell is not None:
            self._details_title.setText(f"{self._names[cell[0]]} → {self._names[cell[1]]}")
            self._details.setText("\n".join(cell_facts(self._counts, self._names, cell)))
            return
        self._details_title.setText(tr("Most frequent mistakes"))
        self._details.setText("\n".join(self._worst()) or tr("None: every sample was recognised."))

    def _worst(self) -> list[str]:
        wrong = self._counts.copy()
        np.fill_diagonal(wrong, 0)
        order = np.argsort(-wrong, axis=None, kind="stable")[:6]
        cells = [divmod(int(i), len(self._names)) for i in order]
        return [
            f"{int(wrong[r, c])} ×  {self._names[r]} → {self._names[c]}"
            for r, c in cells
            if wrong[r, c]
        ]


def evaluation_texts(evaluated: Evaluated) -> list[tuple[str, str]]:
    """Name and value of each measure of an evaluation: accuracy first, the total loss next."""
    values = dict(evaluated.values)
    shown: list[tuple[str, str]] = []
    total = values.pop("loss", None)
    for name in [n for n in values if "accuracy" in n]:
        shown.append((metric_name(name), formats.percent(values.pop(name))))
    if total is not None:
        shown.append((metric_name("loss"), formats.short(total)))
    shown += [(metric_name(n), formats.short(v)) for n, v in values.items() if v != total]
    return shown


def metric_name(name: str) -> str:
    """Name of a metric as a reader writes it; the usual ones are translated."""
    if name == "loss":
        return tr("Loss")
    if name == "accuracy":
        return tr("Accuracy")
    return name.replace("_", " ").capitalize()


def _tile(caption: str, value: str) -> QWidget:
    box = QWidget(objectName="tile")
    box.setAccessibleName(f"{caption}: {value}")
    over, under = QLabel(caption), QLabel(value)
    for label in (over, under):
        label.setTextFormat(Qt.TextFormat.PlainText)
    set_role(over, "dim")
    set_role(under, "title")
    layout = QVBoxLayout(box)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(0)
    layout.addWidget(over)
    layout.addWidget(under)
    return box
