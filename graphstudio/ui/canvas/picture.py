"""The whole graph as a picture of its own, whatever part of it the window shows."""

from __future__ import annotations

import math
import re
from pathlib import Path

from PySide6.QtCore import QBuffer, QIODevice, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QGuiApplication, QImage, QPainter
from PySide6.QtSvg import QSvgGenerator

from graphstudio.document.model import GraphRecord
from graphstudio.document.storage import replace_file
from graphstudio.ir.result import CheckResult
from graphstudio.nodes.types import Message
from graphstudio.ui.canvas.scene import GraphScene
from graphstudio.ui.canvas.style import CanvasStyle

MARGIN = 32.0
"""Canvas around the graph, in scene units."""
PNG_SCALE = 2.0
MAX_SIDE, MAX_PIXELS = 30_000, 120_000_000
"""Of a PNG: beyond, Qt and most viewers refuse. A larger graph gets fewer pixels a unit."""
_SVG_STEPS = 4
"""Units of an SVG per scene unit. Nodes are drawn there as shapes, below they are copied pixels."""
_NOT_IN_XML = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]")
"""Characters that XML 1.0 does not have, in UTF-8. Qt writes them as they are."""


class PictureError(Exception):
    """A picture cannot be made or saved; ``reason`` is for the user."""

    def __init__(self, reason: Message) -> None:
        super().__init__(str(reason))
        self.reason = reason


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

    def save(self, path: Path, title: str = "") -> None:
        """Write the picture as PNG or SVG, by the suffix; an old file stays whole if that fails.

        Raises
        ------
        PictureError
            If there is no room for it, in memory or on the disk, or the folder is not writable.
        """
        # A large PNG takes seconds.
        QGuiApplication.setOverrideCursor(Qt.CursorShape.WaitCursor)
        try:
            data = self.png() if path.suffix.lower() == ".png" else self.svg(title)
            replace_file(path, data)
        except OSError as error:
            reason = error.strerror or str(error)
            raise PictureError(
                Message("'{path}' cannot be saved: {reason}", {"path": str(path), "reason": reason})
            ) from error
        finally:
            QGuiApplication.restoreOverrideCursor()

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
        data = _NOT_IN_XML.sub(b"", buffer.data().data())
        return re.sub(rb'<svg width="[^"]*" height="[^"]*"', sides, data, count=1)

    def png_size(self) -> QSize:
        """Width and height of the PNG in pixels."""
        width, height = self.rect.width(), self.rect.height()
        most = min(MAX_SIDE / max(width, height), math.sqrt(MAX_PIXELS / (width * height)))
        scale = min(PNG_SCALE, most)
        return QSize(max(1, int(width * scale)), max(1, int(height * scale)))

    def png(self) -> bytes:
        """The picture as PNG, with two pixels a scene unit if that is not too many.

        Raises
        ------
        PictureError
            If there is no room for it.
        """
        size = self.png_size()
        image = QImage(size, QImage.Format.Format_RGB32)
        if image.isNull():
            raise _no_room(size)
        painter = QPainter(image)
        self._paint(painter, size)
        painter.end()
        buffer = QBuffer()
        buffer.open(QIODevice.OpenModeFlag.WriteOnly)
        if not image.save(buffer, "PNG") or buffer.data().isEmpty():
            raise _no_room(size)
        return buffer.data().data()

    def _paint(self, painter: QPainter, size: QSize) -> None:
        target = QRectF(0, 0, size.width(), size.height())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.fillRect(target, self._style.canvas)
        self._scene.render(painter, target, self.rect, Qt.AspectRatioMode.IgnoreAspectRatio)


def _no_room(size: QSize) -> PictureError:
    return PictureError(
        Message(
            "there is no memory for a PNG of {width} x {height} pixels; save the picture as SVG",
            {"width": size.width(), "height": size.height()},
        )
    )
