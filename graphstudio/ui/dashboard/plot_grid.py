"""Lays out the plots: two large ones over the small ones, or all in a row where it is low."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QFrame, QGridLayout, QScrollArea, QWidget

from graphstudio.ui.dashboard.plot import MetricPlot

LEAST_WIDTH, LEAST_HEIGHT = 280, 165
LOW = 240
"""Height up to which a scrolled row fills the area, so that loss and accuracy show whole."""


class PlotGrid(QScrollArea):
    """As many columns as fit; scrolls when the plots would become too low."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("plotGrid")
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self._plots: list[MetricPlot] = []
        self._shape = (0, 0, 0)
        self._body = QWidget(objectName="scrollBody")
        self._grid = QGridLayout(self._body)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(0)
        self.setWidget(self._body)

    def set_plots(self, plots: list[MetricPlot]) -> None:
        self._plots = plots
        self._shape = (0, 0, 0)
        self._arrange()

    def resizeEvent(self, event) -> None:
        super().resizeEvent(event)
        self._arrange()

    def sizeHint(self) -> QSize:
        return QSize(900, 420)

    def _arrange(self) -> None:
        count = len(self._plots)
        if not count:
            return
        height = self.viewport().height()
        columns = columns_for(count, self.viewport().width(), height)
        rows = -(-count // columns)
        least = (
            LEAST_HEIGHT if rows * LEAST_HEIGHT <= height else min(max(height, LEAST_HEIGHT), LOW)
        )
        if (count, columns, least) == self._shape:
            return
        self._shape = (count, columns, least)
        for plot in self._plots:
            self._grid.removeWidget(plot)
        for line in range(self._grid.rowCount()):
            self._grid.setRowStretch(line, 0)
        for line in range(self._grid.columnCount()):
            self._grid.setColumnStretch(line, 0)
        for index, plot in enumerate(self._plots):
            row, column = divmod(index, columns)
            plot.setMinimumHeight(least)
            self._grid.addWidget(plot, row, column)
            self._grid.setColumnStretch(column, 1)
            # Loss and accuracy come first and get the larger share.
            self._grid.setRowStretch(row, 3 if row == 0 else 2)


def columns_for(count: int, width: int, height: int) -> int:
    """Columns in which ``count`` plots fit best into an area."""
    most = max(1, min(count, width // LEAST_WIDTH))
    if most == 3 and count == 4:
        most = 2  # one plot alone in the second row looks forgotten
    for columns in range(min(2, most), most + 1):
        rows = -(-count // columns)
        if rows * LEAST_HEIGHT <= height and (width / columns) / (height / rows) < 4.0:
            return columns
    return most
