"""What lies behind the graph: the grid, and the first words for an empty canvas."""

from __future__ import annotations

import math

from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPen

from graphstudio.i18n import tr
from graphstudio.ui.canvas.face import GRID
from graphstudio.ui.canvas.style import CanvasStyle, canvas_font

_MAJOR = 5
_CLOSEST = 12.0
"""Fewest pixels between two lines; a coarser grid is drawn when zoomed out."""


def paint_grid(painter: QPainter, rect: QRectF, zoom: float, style: CanvasStyle) -> None:
    """Fill with the canvas colour and draw the grid; ``rect`` is in scene coordinates."""
    painter.fillRect(rect, style.canvas)
    step = float(GRID)
    while step * zoom < _CLOSEST:
        step *= _MAJOR
    minor: list[QLineF] = []
    major: list[QLineF] = []
    for i in range(math.floor(rect.left() / step), math.ceil(rect.right() / step) + 1):
        line = QLineF(i * step, rect.top(), i * step, rect.bottom())
        (minor if i % _MAJOR else major).append(line)
    for i in range(math.floor(rect.top() / step), math.ceil(rect.bottom() / step) + 1):
        line = QLineF(rect.left(), i * step, rect.right(), i * step)
        (minor if i % _MAJOR else major).append(line)
    hinted = painter.testRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    painter.setPen(style.grid_pen)
    painter.drawLines(minor)
    painter.setPen(style.grid_major_pen)
    painter.drawLines(major)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, hinted)


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
