"""Dropping a node on a wire: which wire is meant, and how that is shown."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen

from graphstudio.ui.canvas import curve
from graphstudio.ui.canvas.items import WireItem
from graphstudio.ui.canvas.scene import GraphScene, WireKey
from graphstudio.ui.canvas.style import CanvasStyle


def wire_under(scene: GraphScene, body: QRectF) -> WireKey | None:
    """The wire that runs through the inner part of a node's body, nearest to its centre."""
    inner = body.adjusted(body.width() * 0.2, 12, -body.width() * 0.2, -12)
    center = inner.center()
    best: tuple[float, WireKey] | None = None
    for item in scene.items(inner, Qt.ItemSelectionMode.IntersectsItemBoundingRect):
        if not isinstance(item, WireItem):
            continue
        if not any(inner.contains(x, y) for x, y in item.points()) and not _through(item, inner):
            continue
        d = curve.distance(item.points(), center.x(), center.y())
        if best is None or d < best[0]:
            best = (d, item.wire.key)
    return best[1] if best else None


def _through(item: WireItem, rect: QRectF) -> bool:
    """True if a long stretch of the wire crosses the rectangle without a sample inside."""
    corners = ((rect.left(), rect.top()), (rect.right(), rect.bottom()))
    other = ((rect.left(), rect.bottom()), (rect.right(), rect.top()))
    return curve.crosses(item.points(), *corners) or curve.crosses(item.points(), *other)


def paint_target(
    painter: QPainter, scene: GraphScene, key: WireKey, style: CanvasStyle, scale: float
) -> None:
    """Show that a drop would go into this wire."""
    item = scene.wires.get(key)
    if item is None:
        return
    glow = QColor(style.ok)
    glow.setAlphaF(0.35)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(glow, max(8.0, 6.0 / scale)))
    painter.drawPath(item.path)
    painter.setPen(QPen(style.ok, max(2.6, 2.0 / scale)))
    painter.drawPath(item.path)
