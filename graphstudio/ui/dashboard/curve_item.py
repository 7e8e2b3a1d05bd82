"""A curve of any length as one scene item: what is dense becomes pixel columns, the rest a line."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
import shiboken6
from numpy.typing import NDArray
from pyqtgraph.functions import arrayToQPath
from PySide6.QtCore import QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen
from PySide6.QtWidgets import QStyleOptionGraphicsItem

from graphstudio.ui.dashboard.pyramid import MinMaxPyramid

Floats = NDArray[np.float64]

DENSE = 2.0
"""Points a pixel column from which on columns are drawn instead of a line."""
CALM = 5.0
"""Mean height of the columns, in pixels, up to which they are joined to a smooth line."""
GROUP = 16
"""Columns whose common part is drawn as one rectangle."""
MAX_MARKERS = 40
"""Beyond, dots on every point run into a band."""
FEW_POINTS = 400
MARKER_RADIUS = 3.0


@dataclass(frozen=True)
class Columns:
    """Least and greatest value in each pixel column, NaN where there is none."""

    low: Floats
    high: Floats


class CurveItem(pg.GraphicsObject):
    """Draws ``y`` over ``x`` (ascending) with a pen one pixel wide.

    Parameters
    ----------
    x : callable
        Returns the x coordinates, at least as many as there are values.
    y : callable
        Returns the pyramid over the values, or None to draw nothing.
    """

    def __init__(
        self,
        x: Callable[[], Floats],
        y: Callable[[], MinMaxPyramid | None],
        *,
        markers: bool = False,
        dashed: bool = False,
    ) -> None:
        super().__init__()
        # Painting is told which part is exposed, and draws no more than that.
        self.setFlag(self.GraphicsItemFlag.ItemUsesExtendedStyleOption)
        self._x, self._y = x, y
        self._markers, self._dashed = markers, dashed
        self._color = QColor("#888888")
        self._log = False
        self._key: object = None
        self._columns: Columns | None = None
        self._edges: Floats = np.empty(0)
        self._length = 0
        self._painted = 0
        self._calm = False

    def set_color(self, color: QColor) -> None:
        self._color = QColor(color)
        self.update()

    def set_log(self, on: bool) -> None:
        """Whether the y axis of the plot is logarithmic (view coordinates are powers of ten)."""
        self._log = on
        self.update()

    def invalidate(self) -> None:
        """Forget what was drawn: points already there have changed."""
        self._key = None
        self._painted = 0
        self.update()

    def grow(self) -> None:
        """Paint what has come since the last time: no more than the part right of it."""
        pyramid, view = self._y(), self.getViewBox()
        if pyramid is None or view is None or len(pyramid) == self._painted:
            return
        if not self._painted or len(pyramid) < self._painted:
            self.update()
            return
        area = self.viewRect()
        margin = 2.0 * MARKER_RADIUS * view.viewPixelSize()[0]
        left = max(float(self._x()[self._painted - 1]) - margin, area.left())
        if left < area.right():
            self.update(QRectF(left, area.top(), area.right() - left, area.height()))

    def boundingRect(self) -> QRectF:
        # The whole view, so that the scene never skips the item and need not know its data.
        view = self.getViewBox()
        return QRectF() if view is None else self.viewRect()

    def viewRangeChanged(self) -> None:
        self.prepareGeometryChange()

    def viewTransformChanged(self) -> None:
        super().viewTransformChanged()  # or else viewRect() stays what it was
        self.prepareGeometryChange()

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, *_: object) -> None:
        pyramid = self._y()
        view = self.getViewBox()
        if pyramid is None or view is None or not len(pyramid):
            return
        (x0, x1), _range = view.viewRange()
        transform = painter.worldTransform()
        scale = painter.device().devicePixelRatioF()
        left = transform.map(QPointF(x0, 0.0)).x()
        right = transform.map(QPointF(x1, 0.0)).x()
        count = round((right - left) * scale)
        if count < 2 or not x1 > x0:
            return
        self._painted = len(pyramid)
        x = self._x()[: len(pyramid)]
        begin = max(int(np.searchsorted(x, x0, "left")) - 1, 0)
        end = min(int(np.searchsorted(x, x1, "right")) + 1, x.size)
        exposed = option.exposedRect
        painter.save()
        painter.resetTransform()

        def to_y(values: Floats) -> Floats:
            return transform.m22() * self._mapped(values) + transform.dy()

        if end - begin <= DENSE * count:
            px = transform.m11() * x[begin:end] + transform.dx()
            py = to_y(pyramid.values[begin:end])
            edges = transform.map(exposed.topLeft()).x(), transform.map(exposed.topRight()).x()
            self._paint_points(painter, px, py, *edges)
        else:
            if (self._edges.size, self._edges[:1], self._edges[-1:]) == (count + 1, x0, x1):
                edges = self._edges
            else:
                edges = np.linspace(x0, x1, count + 1)
            columns = self.columns(x, pyramid, edges)
            step = (x1 - x0) / count
            first = max(0, math.floor((exposed.left() - x0) / step) - 4)
            last = min(count, math.ceil((exposed.right() - x0) / step) + 4)
            floor = painter.viewport().bottom() + 10.0
            self._paint_columns(painter, columns, to_y, left, 1.0 / scale, floor, first, last)
        painter.restore()

    # -- columns --------------------------------------------------------------------------------

    def columns(self, x: Floats, pyramid: MinMaxPyramid, edges: Floats) -> Columns:
        """Contents of the pixel columns between ``edges``; only what is new is read again."""
        key = (id(pyramid), edges.size, float(edges[0]), float(edges[-1]))
        old, start = self._columns, 0
        if key == self._key and old is not None and len(pyramid) >= self._length:
            if len(pyramid) == self._length:
                return old
            # Columns to the left of the one with the last known point cannot change.
            start = int(np.searchsorted(self._edges, x[self._length - 1], "left")) - 1
            start = min(max(start, 0), edges.size - 2)
        bounds = np.searchsorted(x, edges[start:])
        low, high = pyramid.columns(bounds)
        if start and old is not None:
            low = np.concatenate((old.low[:start], low))
            high = np.concatenate((old.high[:start], high))
        new = Columns(low, high)
        self._key, self._columns, self._edges = key, new, edges
        self._length = len(pyramid)
        return new

    def _paint_columns(
        self,
        painter: QPainter,
        columns: Columns,
        to_y: Callable[[Floats], Floats],
        left: float,
        width: float,
        floor: float,
        first: int,
        last: int,
    ) -> None:
        """Draw the columns from ``first`` to before ``last``, each ``width`` wide."""
        whole = last - first == columns.low.size
        top, bottom = to_y(columns.high[first:last]), to_y(columns.low[first:last])
        if self._log:  # a column that reaches down to zero or below leaves the picture downwards
            bottom = np.where(np.isnan(bottom) & ~np.isnan(top), floor, bottom)
        kept = np.flatnonzero(~np.isnan(top))
        if not kept.size:
            return
        top, bottom, kept = top[kept], bottom[kept], kept + first
        joined = np.diff(kept) == 1
        if whole:  # a part is drawn as the whole was
            self._calm = float(np.abs(bottom - top).mean()) <= CALM * width
        if self._calm:
            x = left + (kept + 0.5) * width
            rising = np.gradient(top + bottom) < 0.0 if kept.size > 1 else np.zeros(1, bool)
            pairs = np.empty((kept.size, 2))
            pairs[:, 0] = np.where(rising, bottom, top)
            pairs[:, 1] = np.where(rising, top, bottom)
            self._paint_line(painter, np.repeat(x, 2), pairs.ravel(), _pair_links(joined), True)
            return
        _close_gaps(top, bottom, joined)
        painter.scale(width, width)  # one unit is one pixel of the screen
        limit = 30_000.0
        rects = column_rects(
            round(left / width) + kept,
            np.floor(np.clip(top / width, -limit, limit)).astype(np.int32),
            np.ceil(np.clip(bottom / width, -limit, limit)).astype(np.int32),
        )
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._color)
        # The whole array in one call: a QRect is four 32-bit integers, its corners.
        painter.drawRects(shiboken6.wrapInstance(rects.ctypes.data, QRect), len(rects))

    # -- lines ----------------------------------------------------------------------------------

    def _paint_points(
        self, painter: QPainter, x: Floats, y: Floats, left: float, right: float
    ) -> None:
        """Draw the line through points, or the part of it between two edges, and its markers."""
        y = np.clip(y, -1e5, 1e5)
        steps = np.abs(np.diff(y))
        travel = float(np.nanmean(steps)) if np.isfinite(steps).any() else 0.0
        calm = travel <= CALM or y.size <= 64
        # Antialiased strokes cost by their length, so long zigzags go without.
        smooth = calm or travel * y.size < 20_000.0
        part = slice(None)
        if not self._dashed:  # dashes have to begin where they began before
            begin = max(int(np.searchsorted(x, left)) - 2, 0)
            part = slice(begin, int(np.searchsorted(x, right)) + 2)
        double = calm and (not self._dashed or x.size <= FEW_POINTS)
        self._paint_line(painter, x[part], y[part], "finite", double, smooth=smooth)
        if self._markers and x.size <= MAX_MARKERS:
            self._paint_markers(painter, x, y)
        elif x.size <= FEW_POINTS:
            self._paint_lone_points(painter, x, y)

    def _paint_line(
        self,
        painter: QPainter,
        x: Floats,
        y: Floats,
        connect: object,
        double: bool,
        *,
        smooth: bool = True,
    ) -> None:
        path = arrayToQPath(x, np.clip(y, -1e5, 1e5), connect=connect)
        pen = QPen(self._color)
        pen.setCosmetic(True)
        pen.setWidth(1)
        if self._dashed:
            pen.setDashPattern([5.0, 4.0])
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, smooth)
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPath(path)
        if double:
            # Once more half a pixel down: as legible as a wider pen, at a fraction of its cost.
            painter.translate(0.0, 0.5)
            painter.drawPath(path)
            painter.translate(0.0, -0.5)

    def _paint_markers(self, painter: QPainter, x: Floats, y: Floats) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._color)
        for px, py in zip(x.tolist(), y.tolist(), strict=True):
            if py == py and abs(py) < 1e5:
                painter.drawEllipse(QPointF(px, py), MARKER_RADIUS, MARKER_RADIUS)

    def _paint_lone_points(self, painter: QPainter, x: Floats, y: Floats) -> None:
        """Show points without a neighbour, which no line reaches."""
        known = np.isfinite(y)
        padded = np.concatenate(([False], known, [False]))
        lone = known & ~padded[:-2] & ~padded[2:]
        if lone.any():
            self._paint_markers(painter, x[lone], y[lone])

    def _mapped(self, values: Floats) -> Floats:
        if not self._log:
            return values
        out = np.full(values.shape, np.nan)
        np.log10(values, out=out, where=values > 0.0)
        return out


def _pair_links(joined: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Which of the doubled points hang together with the next: pairs do, and joined ones."""
    links = np.ones(2 * joined.size + 2, dtype=np.int32)
    links[1:-1:2] = joined
    links[-1] = 0
    return links


def _close_gaps(top: Floats, bottom: Floats, joined: NDArray[np.bool_]) -> None:
    """Where neighbours do not overlap, stretch both until they meet half-way."""
    above = joined & (bottom[:-1] < top[1:])
    below = joined & (bottom[1:] < top[:-1])
    middle_above = (bottom[:-1] + top[1:]) / 2.0
    middle_below = (bottom[1:] + top[:-1]) / 2.0
    np.copyto(bottom[:-1], middle_above, where=above)
    np.copyto(top[1:], middle_above, where=above)
    np.copyto(bottom[1:], middle_below, where=below)
    np.copyto(top[:-1], middle_below, where=below)


def column_rects(
    x: NDArray[np.intp], top: NDArray[np.int32], bottom: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Rectangles that fill each column ``x`` from ``top`` to ``bottom``, which is left out.

    A picture lies in memory by rows, so that columns are slow to fill. What ``GROUP`` columns
    side by side have in common is therefore filled as one wide rectangle, which halves the time
    or better; the rest of each column above and below it follows.

    Returns
    -------
    ndarray of int32, shape (K, 4)
        Left, top, right, bottom of each, all within it.
    """
    bottom = np.maximum(bottom, top + 1)
    whole = x.size // GROUP * GROUP
    inner_top = top[:whole].reshape(-1, GROUP).max(axis=1)
    inner_bottom = bottom[:whole].reshape(-1, GROUP).min(axis=1)
    starts, ends = x[:whole:GROUP], x[GROUP - 1 : whole : GROUP]
    kept = (inner_bottom > inner_top) & (ends - starts == GROUP - 1)
    shared = np.zeros(x.size, dtype=bool)
    shared[:whole] = np.repeat(kept, GROUP)
    cut_top, cut_bottom = bottom.copy(), bottom.copy()
    cut_top[:whole][shared[:whole]] = np.repeat(inner_top[kept], GROUP)
    cut_bottom[:whole][shared[:whole]] = np.repeat(inner_bottom[kept], GROUP)
    upper, lower = cut_top > top, shared & (bottom > cut_bottom)
    parts = (
        (starts[kept], inner_top[kept], ends[kept], inner_bottom[kept]),
        (x[upper], top[upper], x[upper], cut_top[upper]),
        (x[lower], cut_bottom[lower], x[lower], bottom[lower]),
    )
    out = np.empty((sum(part[0].size for part in parts), 4), dtype=np.int32)
    row = 0
    for left, first, right, last in parts:
        block = out[row : row + left.size]
        block[:, 0], block[:, 1], block[:, 2] = left, first, right
        np.subtract(last, 1, out=block[:, 3])
        row += left.size
    return out
