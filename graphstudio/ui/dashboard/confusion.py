"""The held-out evaluation: its measures, the confusion matrix, and details of the chosen cell."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from graphstudio.i18n import tr
from graphstudio.training.messages import Evaluated
from graphstudio.ui.dashboard.confusion_matrix import Counts, Matrix, cell_facts
from graphstudio.ui.dashboard.empty_state import EmptyState
from graphstudio.ui.dashboard.texts import evaluation_texts
from graphstudio.ui.style import set_role
from graphstudio.ui.theme import Theme


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
        self.matrix.resized.connect(self._fit)
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
        side.setContentsMargins(0, 0, 0, 0)
        side.setSpacing(6)
        side.addLayout(self._tiles)
        side.addWidget(self._summary)
        side.addSpacing(6)
        side.addWidget(self._shares)
        side.addSpacing(6)
        side.addWidget(self._details_title)
        side.addWidget(self._details)
        side.addWidget(self._no_matrix)
        side.addStretch(1)
        facts = QWidget(objectName="scrollBody")
        facts.setLayout(side)
        side_box = QScrollArea(widgetResizable=True)  # else a low panel lays lines over each other
        side_box.setObjectName("evaluationFacts")
        side_box.setFrameShape(QFrame.Shape.NoFrame)
        side_box.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        side_box.setWidget(facts)
        side_box.setMinimumWidth(250)
        side_box.setMaximumWidth(440)
        content = QWidget()
        layout = QHBoxLayout(content)
        layout.setContentsMargins(12, 8, 12, 6)
        layout.setSpacing(16)
        layout.addWidget(scroll, 1)
        layout.addWidget(side_box)
        layout.addStretch(0)
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
        for part in (self._scroll, self._shares, self._details_title, self._details):
            part.setVisible(has_matrix)
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

    def minimumSizeHint(self) -> QSize:
        return QSize(240, 160)

    def _fit(self) -> None:
        """Keep the details beside the matrix rather than at the far edge of a wide window."""
        self._scroll.setMaximumWidth(max(200, self.matrix.ideal_width()))

    def _show_tiles(self) -> None:
        while (item := self._tiles.takeAt(0)) is not None:
            if item.widget() is not None:
                item.widget().hide()  # it lives until the event loop is back
                item.widget().deleteLater()
        evaluated = self._evaluated
        if evaluated is None:
            return
        for name, text in evaluation_texts(evaluated):
            self._tiles.addWidget(_tile(name, text))
        self._tiles.addStretch(1)
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
