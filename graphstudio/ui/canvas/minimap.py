"""The minimap: the whole graph in a corner, with the part in view; click or drag to go there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, QTimer
from PySide6.QtGui import QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import QWidget

from graphstudio.i18n import tr
from graphstudio.ui.canvas.style import faded

if TYPE_CHECKING:
    from graphstudio.ui.canvas.view import GraphView

_MARGIN = 10.0
_SETTLE_MS = 150
_NEARLY_ALL = 0.9
"""Share of the graph's area in view from which the minimap would tell nothing."""


class Minimap(QWidget):
    """Paints the overview's lists once into a picture, and the frame of the view over it."""

    def __init__(self, view: GraphView) -> None:
        super().__init__(view)
        self.setObjectName("canvas-minimap")
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self._view = view
        self._picture: QPixmap | None = None
        self._area = QRectF()
        self.wanted = True
        """False if the user has switched it off."""
        self._settling = QTimer(self, singleShot=True, interval=_SETTLE_MS)
        self._settling.timeout.connect(self._settled)
        self.retranslate()

    def sizeHint(self) -> QSize:
        return QSize(200, 132)

    def retranslate(self) -> None:
        self.setAccessibleName(tr("Minimap"))
        self.setToolTip(tr("Minimap: click or drag to go there"))

    def invalidate(self) -> None:
        """The graph has changed: paint the picture again, once it has come to rest."""
        if self.isVisible():
            self._settling.start()
        else:
            self._settled()

    def _settled(self) -> None:
        self._picture = None
        self.view_moved()

    def set_wanted(self, wanted: bool) -> None:
        """Switch the minimap on or off."""
        self.wanted = wanted
        self.view_moved()

    def view_moved(self) -> None:
        """Show the part now in view; hide while that is nearly everything."""
        content = self._view.graph_scene.content_rect()
        seen = self._view.visible_rect().intersected(content)
        share = seen.width() * seen.height() / max(content.width() * content.height(), 1.0)
        self.setVisible(self.wanted and not content.isEmpty() and share < _NEARLY_ALL)
        self.update()

    def put_in_corner(self) -> None:
        """Take the lower right corner of the view, smaller in a small view."""
        size, view = self.sizeHint(), self._view
        if view.width() < 5 * size.width() or view.height() < 5 * size.height():
            size = size / 1.4
        self.setGeometry(
            view.width() - size.width() - 12,
            view.height() - size.height() - 12,
            size.width(),
            size.height(),
        )
        self.invalidate()

    def _map(self) -> tuple[float, QPointF]:
        """Scale from scene to widget, and where the scene's origin lies in the widget."""
        room = QRectF(self.rect()).adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)
        area = self._area
        scale = min(room.width() / max(area.width(), 1.0), room.height() / max(area.height(), 1.0))
        scale = min(scale, 0.12)
        return scale, room.center() - area.center() * scale

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._picture is None:
            self._paint_picture()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        style = self._view.style_
        painter.setPen(QPen(style.panel_border, 1))
        painter.setBrush(faded(style.panel, 0.88))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 8, 8)
        assert self._picture is not None
        painter.drawPixmap(0, 0, self._picture)
        if not self._area.isEmpty():
            scale, origin = self._map()
            seen = self._view.visible_rect()
            frame = QRectF(seen.topLeft() * scale + origin, seen.size() * scale)
            inside = QRectF(self.rect()).adjusted(2, 2, -2, -2)
            painter.setClipRect(inside)
            painter.setPen(QPen(style.accent, 1.4))
            painter.setBrush(faded(style.accent, 0.06))
            painter.drawRoundedRect(frame.intersected(inside), 3, 3)
        painter.end()

    def _paint_picture(self) -> None:
        dpr = self.devicePixelRatioF()
        pixmap = QPixmap(int(self.width() * dpr), int(self.height() * dpr))
        pixmap.setDevicePixelRatio(dpr)
        pixmap.fill(Qt.GlobalColor.transparent)
        self._area = self._view.graph_scene.content_rect()
        if not self._area.isEmpty():
            scale, origin = self._map()
            painter = QPainter(pixmap)
            painter.translate(origin)
            painter.scale(scale, scale)
            self._view.overview.paint(painter, self._area, scale, self._view.style_, captions=False)
            painter.end()
        self._picture = pixmap

    def _go(self, event: QMouseEvent) -> None:
        if self._area.isEmpty():
            return
        scale, origin = self._map()
        self._view.center_on((event.position() - origin) / scale)
        self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._go(event)
        event.accept()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._go(event)
        event.accept()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        event.accept()

    def wheelEvent(self, event) -> None:
        self._view.zoom_by(1.15 if event.angleDelta().y() > 0 else 1 / 1.15)
        event.accept()
