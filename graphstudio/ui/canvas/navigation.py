"""Zooming, panning and fitting: the part of the view that knows where it looks."""

from __future__ import annotations

import math

from PySide6.QtCore import QEvent, QObject, QPoint, QPointF, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QInputDevice, QPainter, QTransform, QWheelEvent
from PySide6.QtWidgets import QFrame, QGraphicsView, QWidget

MIN_ZOOM, MAX_ZOOM, ZOOM_STEP = 0.05, 4.0, 1.15
OVERVIEW_ZOOM = 0.45
MOVING_OVERVIEW_ZOOM = 0.62
"""Limit while panning or zooming on a screen with two or more device pixels a pixel."""
_IDLE_MS = 120
_WORLD = 100_000.0
_FIT_MARGIN = 28


class NavigableView(QGraphicsView):
    """A graphics view without scroll bars that zooms at the pointer. Base of ``GraphView``."""

    zoom_changed = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.wheel_pans = False
        """True if the wheel should pan and only Ctrl with it zoom."""
        self._zoom = 1.0
        self._moving = False
        self._idle = QTimer(self, singleShot=True, interval=_IDLE_MS)
        self._idle.timeout.connect(self._come_to_rest)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setSceneRect(-_WORLD, -_WORLD, 2 * _WORLD, 2 * _WORLD)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setViewportUpdateMode(QGraphicsView.ViewportUpdateMode.SmartViewportUpdate)
        self.setOptimizationFlag(QGraphicsView.OptimizationFlag.DontAdjustForAntialiasing)
        # every item sets what it needs; Qt itself sets transform and opacity for each
        self.setOptimizationFlag(QGraphicsView.OptimizationFlag.DontSavePainterState)
        self.setRenderHint(QPainter.RenderHint.Antialiasing)
        self.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        self.setTransformationAnchor(QGraphicsView.ViewportAnchor.NoAnchor)
        self.setResizeAnchor(QGraphicsView.ViewportAnchor.AnchorViewCenter)
        self.viewport().installEventFilter(self)

    # -- what the final class adds -------------------------------------------------------------

    def content_rect(self) -> QRectF:
        """Rectangle around everything, in scene coordinates."""
        raise NotImplementedError

    def on_moved(self) -> None:
        """The view has panned or zoomed."""

    def on_rest(self) -> None:
        """The view has not moved for a moment."""

    # -- where it looks ------------------------------------------------------------------------

    @property
    def zoom(self) -> float:
        """Screen pixels a scene unit; 1 is actual size."""
        return self._zoom

    @property
    def far(self) -> bool:
        """True while the overview is painted instead of the items."""
        limit = MOVING_OVERVIEW_ZOOM if self._moving and self.costly else OVERVIEW_ZOOM
        return self._zoom < limit

    @property
    def costly(self) -> bool:
        """True if a frame takes long: fine drawing then waits until the view has come to rest."""
        return self.devicePixelRatioF() >= 2.0

    def visible_rect(self) -> QRectF:
        """What is in view, in scene coordinates."""
        area = self.viewport().rect()
        top_left = self.mapToScene(area.topLeft())
        return QRectF(top_left, area.size().toSizeF() / self._zoom)

    def state(self) -> dict[str, object]:
        """Zoom, centre, and whether that is everything, to be kept beside the project."""
        center = self.mapToScene(self.viewport().rect().center())
        return {
            "zoom": round(self._zoom, 4),
            "center": [round(center.x(), 1), round(center.y(), 1)],
            "all": self.visible_rect().contains(self.content_rect()),
        }

    def restore(self, kept: object) -> bool:
        """Go where ``state`` says, if it says anything sensible; True if it did.

        Who looked at everything wants to see everything again, in a window of any size.
        """
        if not isinstance(kept, dict) or kept.get("all") is True:
            return False
        zoom, center = kept.get("zoom"), kept.get("center")
        if not isinstance(center, list | tuple) or len(center) != 2:
            return False
        numbers = (zoom, *center)
        if not all(isinstance(n, int | float) and math.isfinite(n) for n in numbers):
            return False
        self.set_zoom(float(zoom))
        self.centerOn(float(center[0]), float(center[1]))
        return True

    # -- going elsewhere -----------------------------------------------------------------------

    def set_zoom(self, zoom: float, anchor: QPoint | None = None) -> None:
        """Zoom so that what is under ``anchor`` (the middle if left out) stays there."""
        zoom = max(MIN_ZOOM, min(zoom, MAX_ZOOM))
        if abs(zoom - self._zoom) < 1e-9:
            return
        at = anchor if anchor is not None else self.viewport().rect().center()
        fixed = self.mapToScene(at)
        self._zoom = zoom
        self.setTransform(QTransform.fromScale(zoom, zoom))
        shift = self.mapFromScene(fixed) - at
        self._scroll(-shift.x(), -shift.y())
        self._moved()
        self.viewport().update()
        self.zoom_changed.emit(zoom)

    def zoom_by(self, factor: float, anchor: QPoint | None = None) -> None:
        self.set_zoom(self._zoom * factor, anchor)

    def zoom_in(self) -> None:
        self.zoom_by(ZOOM_STEP)

    def zoom_out(self) -> None:
        self.zoom_by(1 / ZOOM_STEP)

    def zoom_reset(self) -> None:
        self.set_zoom(1.0)

    def pan_by(self, dx: int, dy: int) -> None:
        """Move the graph by device-independent pixels."""
        self._scroll(dx, dy)
        self._moved()

    def _scroll(self, dx: int, dy: int) -> None:
        horizontal, vertical = self.horizontalScrollBar(), self.verticalScrollBar()
        horizontal.setValue(horizontal.value() - dx)
        vertical.setValue(vertical.value() - dy)

    def center_on(self, pos: QPointF) -> None:
        self.centerOn(pos)
        self._moved()

    def fit_all(self) -> None:
        """Show everything."""
        self.fit_rect(self.content_rect())

    def fit_rect(self, rect: QRectF) -> None:
        """Show a rectangle, never larger than actual size."""
        if rect.isEmpty():
            self.set_zoom(1.0)
            self.center_on(QPointF(0, 0))
            return
        room = self.viewport().size() - QSize(2 * _FIT_MARGIN, 2 * _FIT_MARGIN)
        wide = max(room.width(), 50) / rect.width()
        high = max(room.height(), 50) / rect.height()
        self.set_zoom(min(wide, high, 1.0))
        self.center_on(rect.center())

    def bring_in(self, rect: QRectF) -> None:
        """Scroll just enough to see a rectangle."""
        wanted, seen = rect.adjusted(-40, -40, 40, 40), self.visible_rect()
        dx = max(0.0, wanted.right() - seen.right()) - max(0.0, seen.left() - wanted.left())
        dy = max(0.0, wanted.bottom() - seen.bottom()) - max(0.0, seen.top() - wanted.top())
        if dx or dy:
            self.pan_by(round(-dx * self._zoom), round(-dy * self._zoom))

    # -- wheel and pinch -----------------------------------------------------------------------

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.accept()
        device = event.device()
        pad = event.phase() != Qt.ScrollPhase.NoScrollPhase or (
            device is not None and device.type() == QInputDevice.DeviceType.TouchPad
        )
        control = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        pixels, angle = event.pixelDelta(), event.angleDelta()
        if control or not (pad or shift or self.wheel_pans):
            steps = angle.y() / 120.0
            if steps:
                self.zoom_by(ZOOM_STEP**steps, event.position().toPoint())
            return
        delta = pixels if pad and not pixels.isNull() else angle * 0.5
        if shift and not delta.x():
            delta = QPoint(delta.y(), 0)
        self.pan_by(delta.x(), delta.y())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Pinches, and tool tips that the cards replace.

        A filter on the viewport, not an override of ``viewportEvent``: see ``guard``.
        """
        if watched is self.viewport():
            if event.type() == QEvent.Type.ToolTip:
                return True
            if event.type() == QEvent.Type.NativeGesture:
                if event.gestureType() == Qt.NativeGestureType.ZoomNativeGesture:
                    self.zoom_by(1.0 + event.value(), event.position().toPoint())
                return True
        return False

    # -- moving and resting --------------------------------------------------------------------

    def _moved(self) -> None:
        self._moving = True
        if self.costly:
            self.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        self._idle.start()
        self.on_moved()

    def _come_to_rest(self) -> None:
        self._moving = False
        if not self.renderHints() & QPainter.RenderHint.Antialiasing:
            self.setRenderHint(QPainter.RenderHint.Antialiasing, True)
            self.viewport().update()
        self.on_rest()
