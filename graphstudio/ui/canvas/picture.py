"""The whole graph as a picture of its own, whatever part of it the window shows."""

from __future__ import annotations

import math
import re

from PySide6.QtCore import QBuffer, QIODevice, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QImage, QPainter
from PySide6.QtSvg import QSvgGenerator

from graphstudio.document.model import GraphRecord
from graphstudio.ir.result import CheckResult
from graphstudio.ui.canvas.scene import GraphScene
from graphstudio.ui.canvas.style import CanvasStyle

MARGIN = 32.0
"""Canvas around the graph, in scene units."""
PNG_SCALE = 2.0
MAX_SIDE, MAX_PIXELS = 30_000, 120_000_000
"""Of a PNG: beyond, Qt and most viewers refuse. A larger graph gets fewer pixels a unit."""
_SVG_STEPS = 4
"""Units of an SVG per scene unit. Nodes are drawn there as shapes, below they are copied pixels."""


class Picture:
    """Draws a graph as it stands: the theme's colours, no selection, no grid.

    Parameters
    ----------
    result : CheckResult
        Whose shapes and badges are shown.
    """

    def __init__(self, graph: GraphRecord, style: CanvasStyle, result: CheckResult) -> None:
        self._style = style
        # A scene of its own: the one in the window has a selection, and labels yet to be placed.
        self._scene = GraphScene(graph, style, result)
        self._scene.place_labels(math.inf)
        rect = self._scene.content_rect()
        for wire in self._scene.wires.values():
            rect = rect.united(wire.path.boundingRect())
        rect.adjust(-MARGIN, -MARGIN, MARGIN, MARGIN)
        self.rect = QRectF(rect.toAlignedRect())
        """What is drawn, in scene coordinates."""

    def close(self) -> None:
        """Let go of the scene."""
        self._scene.deleteLater()

    def svg(self, title: str = "") -> bytes:
        """The picture as SVG, in which a scene unit is a pixel and texts are texts."""
        size = self.rect.size().toSize()
        buffer = QBuffer()
        buffer.open(QIODevice.OpenModeFlag.WriteOnly)
        generator = QSvgGenerator()
        generator.setOutputDevice(buffer)
        generator.setSize(size)
        generator.setViewBox(QRect(0, 0, size.width() * _SVG_STEPS, size.height() * _SVG_STEPS))
        generator.setTitle(title)
        painter = QPainter(generator)
        self._paint(painter, size * _SVG_STEPS)
        painter.end()
        # Qt writes millimetres, of which some viewers make more pixels than others.
        width, height = size.toTuple()
        sides = f'<svg width="{width}" height="{height}"'.encode()
        return re.sub(rb'<svg width="[^"]*" height="[^"]*"', sides, buffer.data().data(), count=1)

    def png_size(self) -> QSize:
        """Width and height of the PNG in pixels."""
        width, height = self.rect.width(), self.rect.height()
        most = min(MAX_SIDE / max(width, height), math.sqrt(MAX_PIXELS / (width * height)))
        scale = min(PNG_SCALE, most)
        return QSize(int(width * scale), int(height * scale))

    def png(self) -> bytes:
        """The picture as PNG, with two pixels a scene unit if that is not too many.

        Raises
        ------
        MemoryError
            If there is no room for it.
        """
        image = QImage(self.png_size(), QImage.Format.Format_RGB32)
        if image.isNull():
            raise MemoryError(f"a picture of {image.width()} x {image.height()} pixels")
        painter = QPainter(image)
        self._paint(painter, image.size())
        painter.end()
        buffer = QBuffer()
        buffer.open(QIODevice.OpenModeFlag.WriteOnly)
        image.save(buffer, "PNG")
        return buffer.data().data()

    def _paint(self, painter: QPainter, size: QSize) -> None:
        target = QRectF(0, 0, size.width(), size.height())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.fillRect(target, self._style.canvas)
        self._scene.render(painter, target, self.rect, Qt.AspectRatioMode.IgnoreAspectRatio)
