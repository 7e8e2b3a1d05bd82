"""What reacts to the pointer in a plot: the view that pans and zooms, and the crosshair."""

from __future__ import annotations

import math

import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPen


class View(pg.ViewBox):
    """The area inside the axes: a double click resets, a right drag does nothing."""

    reset_asked = Signal()

    def __init__(self) -> None:
        super().__init__(enableMenu=False, defaultPadding=0.0)
        self.disableAutoRange()
        self.setRange(QRectF(0.0, 0.0, 1.0, 1.0), padding=0)

    def setRange(self, *args, **options) -> None:
        super().setRange(*args, **options)
        # Left to the next painting, the new matrix would make a second one of it.
        self.updateMatrix()

    def mouseDoubleClickEvent(self, event) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.reset_asked.emit()
            event.accept()
        else:
            super().mouseDoubleClickEvent(event)

    def mouseDragEvent(self, ev, axis=None) -> None:
        if ev.button() == Qt.MouseButton.RightButton:
            ev.ignore()
            return
        super().mouseDragEvent(ev, axis=axis)


class Crosshair(pg.GraphicsObject):
    """A vertical line at the pointer with a dot on each curve."""

    MARGIN = 7.0

    def __init__(self) -> None:
        super().__init__()
        self._x: float | None = None
        self._dots: list[tuple[float, float, QColor]] = []
        self._line, self._ring = QColor(), QColor()
        self._log = False

    def set_colors(self, line: QColor, ring: QColor) -> None:
        self._line, self._ring = line, ring
        self.update()

    def set_log(self, on: bool) -> None:
        self._log = on

    def place(self, x: float | None, dots: list[tuple[float, float, QColor]]) -> None:
        if x is None and self._x is None:
            return
        self.prepareGeometryChange()
        self._x, self._dots = x, dots
        self.update()

    def boundingRect(self) -> QRectF:
        view = self.getViewBox()
        if view is None or self._x is None:
            return QRectF()
        rect = self.viewRect()
        width = self.MARGIN * view.viewPixelSize()[0]
        xs = [self._x, *(d[0] for d in self._dots)]
        left, right = min(xs) - width, max(xs) + width
        return QRectF(left, rect.top(), right - left, rect.height())

    def viewRangeChanged(self) -> None:
        self.prepareGeometryChange()

    def viewTransformChanged(self) -> None:
        super().viewTransformChanged()  # or else viewRect() stays what it was
        self.prepareGeometryChange()

    def paint(self, painter: QPainter, *_: object) -> None:
        if self._x is None:
            return
        transform = painter.worldTransform()
        rect = self.viewRect()
        top = transform.map(QPointF(self._x, rect.top()))
        bottom = transform.map(QPointF(self._x, rect.bottom()))
        painter.resetTransform()
        pen = QPen(self._line, 1)
        pen.setDashPattern([3.0, 3.0])
        painter.setPen(pen)
        x = math.floor(top.x()) + 0.5
        painter.drawLine(QPointF(x, top.y()), QPointF(x, bottom.y()))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for dot_x, dot_y, color in self._dots:
            if self._log:
                dot_y = math.log10(dot_y) if dot_y > 0 else math.nan
            if not math.isfinite(dot_y):
                continue
            painter.setPen(QPen(self._ring, 1.5))
            painter.setBrush(color)
            painter.drawEllipse(transform.map(QPointF(dot_x, dot_y)), 4.0, 4.0)
