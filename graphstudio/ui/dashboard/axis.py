"""The area of a plot: axes with few short numbers, grid lines, and the view between them.

Axes show durations where they measure time, and powers of ten where they are logarithmic.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pyqtgraph as pg
from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPen, QPixmap, QTransform
from PySide6.QtWidgets import QFrame, QGraphicsGridLayout, QSizePolicy, QWidget

from graphstudio.ui.dashboard import formats
from graphstudio.ui.theme import Tokens

AXIS_WIDTH, AXIS_HEIGHT = 52, 22
LEAST_HEIGHT = 70
_TIME_SPACINGS = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400,
)  # fmt: skip


class Axis(pg.AxisItem):
    """An axis with own spacing and number format.

    ``kind`` is ``number``, ``count`` (whole numbers only) or ``time`` (seconds).
    """

    def __init__(self, orientation: str, kind: str = "number") -> None:
        super().__init__(orientation, maxTickLength=-4)
        self.kind = kind
        self.enableAutoSIPrefix(False)
        self.setStyle(autoExpandTextSpace=False, tickTextOffset=5, hideOverlappingLabels=12)

    def set_kind(self, kind: str) -> None:
        if kind != self.kind:
            self.kind = kind
            self.picture = None
            self.update()

    def paint(self, painter: QPainter, *_: object) -> None:
        # pyqtgraph records a QPicture and plays it each time, texts included, which takes longer
        # than the curves do. A pixmap of the same drawing costs next to nothing.
        ratio = painter.device().devicePixelRatioF()
        area = self.boundingRect()
        if not isinstance(self.picture, QPixmap) or self.picture.devicePixelRatio() != ratio:
            self.picture = self._drawn(area, ratio)
        if not self.picture.isNull():
            painter.drawPixmap(area.topLeft(), self.picture)

    def _drawn(self, area: QRectF, ratio: float) -> QPixmap:
        size = area.size() * ratio
        drawn = QPixmap(max(1, math.ceil(size.width())), max(1, math.ceil(size.height())))
        drawn.setDevicePixelRatio(ratio)
        drawn.fill(Qt.GlobalColor.transparent)
        with QPainter(drawn) as painter:
            painter.translate(-area.topLeft())
            if self.style["tickFont"]:
                painter.setFont(self.style["tickFont"])
            specs = self.generateDrawSpecs(painter)
            if specs is not None:
                self.drawPicture(painter, *specs)
        return drawn

    def tickSpacing(self, minimum: float, maximum: float, size: float) -> list[tuple[float, float]]:
        span = maximum - minimum
        if not span > 0 or not math.isfinite(span):
            return []
        wanted = max(2.0, size / (65.0 if self.orientation == "bottom" else 36.0))
        rough = span / wanted
        if self.kind == "time":
            spacing = next((s for s in _TIME_SPACINGS if s >= rough), rough)
            return [(float(spacing), 0.0)]
        power = 10.0 ** math.floor(math.log10(rough))
        spacing = next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= 0.9 * rough)
        if self.kind == "count" or self.logMode:
            spacing = max(1.0, spacing)
        return [(spacing, 0.0)]

    def tickValues(self, minimum: float, maximum: float, size: float) -> list:
        if not self.logMode:
            return super().tickValues(minimum, maximum, size)
        low, high = min(minimum, maximum), max(minimum, maximum)
        values = super().tickValues(low, high, size)
        if high - low >= 1.2 and values and len(values[0][1]) >= 2:
            return values
        # Less than a power of ten in view: round numbers between its ends.
        marks = [
            math.log10(m * 10.0**p)
            for p in range(math.floor(low), math.ceil(high) + 1)
            for m in ((1, 2, 5) if high - low > 0.5 else (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9))
        ]
        return [(1.0, [m for m in marks if low <= m <= high])]

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:
        if self.logMode:
            return [f"{10.0**v:.3g}".replace("-", "−") for v in values]
        if self.kind == "time":
            return [formats.duration(v) if v >= 0 else "" for v in values]
        return [formats.tick(v, spacing) for v in values]


class Grid(pg.GraphicsObject):
    """Lines at the marks of two axes, behind the curves."""

    def __init__(self, bottom: Axis, left: Axis) -> None:
        super().__init__()
        self._bottom, self._left = bottom, left
        self._color = QColor()
        self._key: object = None
        self._lines: list[QLineF] = []
        self.setZValue(-100)

    def set_color(self, color: QColor) -> None:
        self._color = color
        self.update()

    def boundingRect(self) -> QRectF:
        return QRectF() if self.getViewBox() is None else self.viewRect()

    def viewRangeChanged(self) -> None:
        self.prepareGeometryChange()

    def viewTransformChanged(self) -> None:
        super().viewTransformChanged()  # or else viewRect() stays what it was
        self.prepareGeometryChange()

    def paint(self, painter: QPainter, *_: object) -> None:
        transform = painter.worldTransform()
        view = self.getViewBox()
        axes = [(axis.kind, axis.logMode) for axis in (self._bottom, self._left)]
        key = (view.viewRange(), transform, view.width(), view.height(), axes)
        if key != self._key:  # a curve that has grown repaints its end, the view being the same
            self._key, self._lines = key, self._laid(view, transform)
        painter.resetTransform()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.setPen(QPen(self._color, 1))
        painter.drawLines(self._lines)

    def _laid(self, view: pg.ViewBox, transform: QTransform) -> list[QLineF]:
        """The lines, in device coordinates."""
        (x0, x1), (y0, y1) = view.viewRange()
        top_left = transform.map(QPointF(x0, y1))
        bottom_right = transform.map(QPointF(x1, y0))
        lines = []
        for _spacing, values in self._bottom.tickValues(x0, x1, view.width()):
            for value in values:
                x = round(transform.map(QPointF(value, y0)).x()) + 0.5
                lines.append(QLineF(x, top_left.y(), x, bottom_right.y()))
        for _spacing, values in self._left.tickValues(y0, y1, view.height()):
            for value in values:
                y = round(transform.map(QPointF(x0, value)).y()) + 0.5
                lines.append(QLineF(top_left.x(), y, bottom_right.x(), y))
        return lines


class PlotArea(pg.GraphicsView):
    """A view with an axis below and one to the left.

    pyqtgraph's own ``PlotItem`` brings menus and control panels along that are never shown here,
    take tens of milliseconds to make, and outlive the plot as windows without a parent.
    """

    def __init__(self, view: pg.ViewBox, kind: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("plotArea")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setMinimumHeight(LEAST_HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored)
        self.view = view
        self.bottom, self.left = Axis("bottom", kind), Axis("left")
        self.left.setWidth(AXIS_WIDTH)
        self.bottom.setHeight(AXIS_HEIGHT)
        self._frame = pg.GraphicsWidget()
        layout = QGraphicsGridLayout()
        layout.setContentsMargins(0, 0, 12, 0)  # half of a number under the right end
        layout.setSpacing(0)
        layout.addItem(self.left, 0, 0)
        layout.addItem(view, 0, 1)
        layout.addItem(self.bottom, 1, 1)
        layout.setRowStretchFactor(0, 1)
        layout.setColumnStretchFactor(1, 1)
        self._frame.setLayout(layout)
        self.setCentralWidget(self._frame)
        for axis in (self.bottom, self.left):
            axis.linkToView(view)
        self._grid = Grid(self.bottom, self.left)
        view.addItem(self._grid, ignoreBounds=True)

    def dress(self, tokens: Tokens, background: str, font: QFont) -> None:
        """Colours of a theme, and numbers a little smaller than ``font``."""
        self.setBackground(tokens.color(background))
        small = QFont(font)
        small.setPointSizeF(max(7.5, font.pointSizeF() - 1.0))
        for axis in (self.bottom, self.left):
            axis.setPen(tokens.color("border"))
            axis.setTextPen(tokens.color("text_dim"))
            axis.setTickFont(small)
        self._grid.set_color(tokens.color("grid_major"))
