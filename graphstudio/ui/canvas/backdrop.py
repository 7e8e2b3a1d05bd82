"""What lies behind the graph: the grid, and the first words for an empty canvas."""

from __future__ import annotations

import math

from PySide6.QtCore import QPoint, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPen, QPixmap

from graphstudio.i18n import tr
from graphstudio.ui.canvas.face import GRID
from graphstudio.ui.canvas.style import CanvasStyle, canvas_font

_MAJOR = 5
_STRIP = 32
_CLOSEST = 12.0
"""Fewest pixels between two lines; a coarser grid is drawn when zoomed out."""


class Grid:
    """Paints the grid from a strip that holds its upright lines.

    Copying a strip of the picture's width downwards is several times quicker than drawing as many
    lines, and exact at every zoom, which a tile of the grid would not be.
    """

    def __init__(self) -> None:
        self._key: object = None
        self._strip = QPixmap()

    def paint(self, painter: QPainter, exposed: QRectF, size: QSize, style: CanvasStyle) -> None:
        """Fill with the canvas colour and draw the lines.

        Parameters
        ----------
        exposed : QRectF
            What must be painted, in scene coordinates.
        size : QSize
            Size of the viewport. The painter's transform maps the scene to it.
        """
        at, dpr = painter.worldTransform(), painter.device().devicePixelRatioF()
        zoom = at.m11()
        step = GRID * zoom
        while step < _CLOSEST:
            step *= _MAJOR
        upright, level = _lines(at.dx(), size.width(), step), _lines(at.dy(), size.height(), step)
        key = (tuple(upright), size.width(), dpr, style.tokens.name)
        if key != self._key:
            self._key = key
            self._strip = _strip(upright, size.width(), dpr, style)
        area = at.mapRect(exposed).toAlignedRect().intersected(QRect(QPoint(), size))
        painter.save()
        painter.resetTransform()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.drawTiledPixmap(area, self._strip, QPoint(area.left(), 0))
        painter.setPen(Qt.PenStyle.NoPen)
        for strong, color in ((False, style.grid), (True, style.grid_major)):
            painter.setBrush(color)
            rows = [QRect(area.left(), y, area.width(), 1) for y, major in level if major == strong]
            painter.drawRects(rows)
        painter.restore()


def _lines(origin: float, length: int, step: float) -> list[tuple[int, bool]]:
    """Places of the lines along one side in pixels, and whether each is a strong one."""
    first = math.ceil(-origin / step)
    last = math.floor((length - origin) / step)
    return [(round(origin + i * step), i % _MAJOR == 0) for i in range(first, last + 1)]


def _strip(lines: list[tuple[int, bool]], width: int, dpr: float, style: CanvasStyle) -> QPixmap:
    pixmap = QPixmap(max(1, math.ceil(width * dpr)), math.ceil(_STRIP * dpr))
    pixmap.setDevicePixelRatio(dpr)
    pixmap.fill(style.canvas)
    painter = QPainter(pixmap)
    for x, major in sorted(lines, key=lambda line: line[1]):
        painter.fillRect(x, 0, 1, _STRIP, style.grid_major if major else style.grid)
    painter.end()
    return pixmap


def paint_hint(painter: QPainter, area: QRectF, style: CanvasStyle) -> None:
    """Tell a newcomer how to begin; ``area`` is the viewport."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    middle = area.center()
    box = QRectF(middle.x() - 36, middle.y() - 84, 72, 44)
    painter.setPen(QPen(style.blocked, 2, Qt.PenStyle.DashLine))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRoundedRect(box, 8, 8)
    plus = QPen(style.blocked, 2.4)
    plus.setCapStyle(Qt.PenCapStyle.RoundCap)
    painter.setPen(plus)
    c = box.center()
    painter.drawLine(c - QPointF(8, 0), c + QPointF(8, 0))
    painter.drawLine(c - QPointF(0, 8), c + QPointF(0, 8))
    lines = (
        (tr("Double-click or press Tab to add the first node"), 16.0, True, style.text),
        (tr("or drag one from the palette"), 13.0, False, style.text_dim),
        (
            tr("Drag from port to port to connect · wheel zooms · middle button or Space pans"),
            12.0,
            False,
            style.text_dim,
        ),
    )
    top = middle.y() - 22
    for words, size, bold, color in lines:
        painter.setFont(canvas_font(size, bold=bold))
        painter.setPen(color)
        line = QRectF(area.left() + 12, top, area.width() - 24, size * 2)
        painter.drawText(line, int(Qt.AlignmentFlag.AlignHCenter | Qt.TextFlag.TextWordWrap), words)
        top += size * 2 + 2
