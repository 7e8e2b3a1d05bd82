"""Cut: swipe across wires with Ctrl and the right button to remove them."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPainterPath, QPen

from graphstudio.ui.canvas import curve
from graphstudio.ui.canvas.gestures.base import Gesture, Pointer
from graphstudio.ui.canvas.items import WireItem
from graphstudio.ui.canvas.scene import WireKey


class Cut(Gesture):
    """Removes, in one step, every wire that the stroke crosses."""

    cursor = Qt.CursorShape.CrossCursor

    def __init__(self, view, start, hit) -> None:
        super().__init__(view, start, hit)
        self._stroke = [start.scene]
        self._hit: dict[WireKey, None] = {}

    def move(self, pointer: Pointer) -> None:
        if not self.began(pointer):
            return
        a, b = self._stroke[-1], pointer.scene
        if a == b:
            return
        self._stroke.append(b)
        area = QRectF(a, b).normalized().adjusted(-1, -1, 1, 1)
        for item in self.scene.items(area, Qt.ItemSelectionMode.IntersectsItemBoundingRect):
            if (
                isinstance(item, WireItem)
                and item.wire.key not in self._hit
                and curve.crosses(item.points(), (a.x(), a.y()), (b.x(), b.y()))
            ):
                self._hit[item.wire.key] = None
                item.dimmed = True
                item.update()

    def release(self, pointer: Pointer) -> bool:
        self.cancel()
        if self._hit:
            self.view.edits.disconnect(list(self._hit))
        return True

    def cancel(self) -> None:
        for key in self._hit:
            item = self.scene.wires.get(key)
            if item is not None:
                item.dimmed = False
                item.update()

    def bounds(self) -> QRectF:
        xs, ys = [p.x() for p in self._stroke], [p.y() for p in self._stroke]
        return QRectF(QPointF(min(xs), min(ys)), QPointF(max(xs), max(ys)))

    def paint(self, painter: QPainter, scale: float) -> None:
        path = QPainterPath(self._stroke[0])
        for p in self._stroke[1:]:
            path.lineTo(p)
        pen = QPen(self.view.style_.error, 2.0 / scale, Qt.PenStyle.DashLine)
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPath(path)
