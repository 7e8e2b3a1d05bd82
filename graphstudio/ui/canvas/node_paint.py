"""Paints nodes. What many nodes have in common is painted once, and then only copied."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen, QPixmap, QPolygonF, QTransform

from graphstudio.ui.canvas.face import (
    FOOTER,
    HEADER,
    INFO,
    MARGIN,
    PORT,
    RADIUS,
    ROW,
    SMALL_TEXT_ZOOM,
    FaceState,
    NodeFace,
)
from graphstudio.ui.canvas.style import CanvasStyle, faded, mix, paint_badge

_SHELL_PIXELS = 2.5
"""Above this many device pixels a unit few nodes are in view, and shells would be large."""
_MOST_SHELLS = 300
_MOST_PIXELS = 16_000_000
"""Of whole nodes kept: twice what a large screen shows, at four bytes each."""
_FEW_PIXELS = 400_000
"""Fewer than these are painted anew for every zoom within a frame."""
_STRETCH = (0.4, 1.5)
"""How much smaller or larger than painted a picture may be shown while the view moves."""


class Shells:
    """Pictures of nodes, with and without their own texts, for one theme at one scale.

    A rounded, shadowed body with ports costs twenty times as much to paint as to copy, and a
    graph of a thousand nodes has a few dozen different ones: these *shells* serve nodes that are
    seen for the first time. ``make`` then paints each node whole, which is quick to copy as well.

    While the view moves, what is there is shown larger or smaller instead of being painted for
    every zoom on the way; ``rest`` ends that.
    """

    def __init__(self) -> None:
        self.scale = 0.0
        """Device-independent pixels a unit of the pictures."""
        self.moving = False
        """True while pictures need not be sharp."""
        self._dpr = 0.0
        self._stretched = False
        self._fresh = True
        self._shells: dict[object, QPixmap] = {}
        # each value holds its face, which keeps the id in the key from being used again
        self._whole: OrderedDict[object, tuple[NodeFace, QPixmap]] = OrderedDict()
        self.num_pixels = 0
        """Device pixels of whole nodes."""
        self._wanted: dict[object, tuple[NodeFace, CanvasStyle, FaceState]] = {}

    def clear(self) -> None:
        """The theme has changed: paint them anew."""
        self._shells.clear()
        self._whole.clear()
        self._wanted.clear()
        self.num_pixels = 0
        self._fresh = True

    def rest(self) -> bool:
        """The view has come to rest; True if what it shows is not sharp."""
        self.moving = False
        stretched, self._stretched = self._stretched, False
        return stretched

    def use(self, scale: float, dpr: float) -> float:
        """Choose the pictures for a zoom; how many times larger than painted to show them."""
        if scale == self.scale and dpr == self._dpr:
            return 1.0
        if self.moving and dpr == self._dpr and self.num_pixels > _FEW_PIXELS:
            least, most = _STRETCH
            if least <= scale / self.scale <= most:
                self._stretched = True
                return scale / self.scale
        self.clear()
        self.scale, self._dpr = scale, dpr
        return 1.0

    def shell(self, face: NodeFace, style: CanvasStyle, state: FaceState) -> QPixmap:
        """Body, ports and badge; the corner of the picture lies ``MARGIN`` outside the body's."""
        key = (face.look, state.selected, state.hovered, state.connected)
        found = self._shells.get(key)
        if found is None:
            if len(self._shells) >= _MOST_SHELLS:
                self._shells.clear()
            found = _picture(face, style, state, self.scale, self._dpr, _paint_shell)
            self._shells[key] = found
        return found

    def whole(self, face: NodeFace, style: CanvasStyle, state: FaceState) -> QPixmap | None:
        """The node with its texts, or None if ``make`` has yet to paint it."""
        key = (id(face), face.version, state.selected, state.hovered, state.connected)
        found = self._whole.get(key)
        if found is None:
            seen = FaceState(state.selected, state.hovered, connected=state.connected)
            self._wanted[key] = (face, style, seen)
            return None
        self._whole.move_to_end(key)
        return found[1]

    @property
    def wanted(self) -> bool:
        """True if nodes were asked for that are not painted whole."""
        return bool(self._wanted)

    def make(self, budget_s: float) -> None:
        """Paint nodes whole that were asked for, the last ones first, for about this long."""
        fresh, self._fresh = self._fresh, False
        if self.moving and fresh:
            return  # the next frame of a zoom may want another scale
        stop = time.perf_counter() + budget_s
        while self._wanted:
            key, (face, style, state) = self._wanted.popitem()
            if key[1] != face.version:
                continue
            picture = _picture(face, style, state, self.scale, self._dpr, _paint_all)
            self._whole[key] = (face, picture)
            self.num_pixels += picture.width() * picture.height()
            while self.num_pixels > _MOST_PIXELS:
                _, (_, old) = self._whole.popitem(last=False)
                self.num_pixels -= old.width() * old.height()
            if time.perf_counter() > stop:
                break


Painting = Callable[[QPainter, NodeFace, CanvasStyle, FaceState, float, float], None]


def _picture(
    face: NodeFace,
    style: CanvasStyle,
    state: FaceState,
    scale: float,
    dpr: float,
    paint: Painting,
) -> QPixmap:
    bounds = face.bounds
    pixmap = QPixmap(
        math.ceil(bounds.width() * scale * dpr) + 1, math.ceil(bounds.height() * scale * dpr) + 1
    )
    pixmap.setDevicePixelRatio(dpr)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
    painter.scale(scale, scale)
    edge = round(MARGIN * scale * dpr) / dpr / scale  # as ``paint_node`` rounds it
    painter.translate(edge, edge)
    paint(painter, face, style, state, scale, dpr)
    painter.end()
    return pixmap


def paint_node(
    painter: QPainter,
    face: NodeFace,
    style: CanvasStyle,
    state: FaceState,
    shells: Shells,
) -> None:
    """Paint a node at the origin of the painter, which may be scaled and moved but not turned.

    Its transform is left on the nearest whole device pixel: there the copied picture is sharp, and
    texts sit on a shell as they do on every other node.
    """
    at, dpr = painter.worldTransform(), painter.device().devicePixelRatioF()
    scale = at.m11()
    if state.dimmed:
        painter.setOpacity(painter.opacity() * 0.35)
    x, y = round(at.dx() * dpr) / dpr, round(at.dy() * dpr) / dpr
    if scale * dpr <= _SHELL_PIXELS:
        larger = shells.use(scale, dpr)
        whole = shells.whole(face, style, state)
        picture = whole or shells.shell(face, style, state)
        edge = round(MARGIN * shells.scale * dpr) / dpr * larger
        corner = QTransform.fromTranslate(x - edge, y - edge)
        painter.setWorldTransform(corner if larger == 1.0 else corner.scale(larger, larger))
        painter.drawPixmap(0, 0, picture)
        texts = whole is None
    else:
        _paint_shell(painter, face, style, state, scale, dpr)
        texts = True
    painter.setWorldTransform(QTransform(scale, 0.0, 0.0, scale, x, y))
    if texts:
        _paint_node_texts(painter, face, style, scale)
    if state.legal or state.hot is not None:
        _paint_lit_ports(painter, face, style, state)


def _paint_all(
    painter: QPainter,
    face: NodeFace,
    style: CanvasStyle,
    state: FaceState,
    scale: float,
    dpr: float,
) -> None:
    _paint_shell(painter, face, style, state, scale, dpr)
    _paint_node_texts(painter, face, style, scale)


# -- the shell -----------------------------------------------------------------------------------


def _paint_shell(
    painter: QPainter,
    face: NodeFace,
    style: CanvasStyle,
    state: FaceState,
    scale: float,
    dpr: float,
) -> None:
    body = face.body
    small = scale >= SMALL_TEXT_ZOOM
    if state.selected:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(style.glow_pen)
        painter.drawRoundedRect(body, RADIUS + 1, RADIUS + 1)
    elif small:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(style.shadow)
        for spread in (3.5, 2.0, 0.5):
            rect = body.adjusted(-spread, 2.0 - spread, spread, 2.0 + spread)
            painter.drawRoundedRect(rect, RADIUS + spread, RADIUS + spread)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(style.bypass_brush if face.bypass else style.body_brush)
    painter.drawRoundedRect(body, RADIUS, RADIUS)
    painter.setBrush(mix(face.color, style.canvas, 0.55) if face.bypass else face.color)
    painter.drawPath(_header(face.width))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(_outline(face, style, state))
    painter.drawRoundedRect(body, RADIUS, RADIUS)
    if small:
        _paint_shell_details(painter, face, style, scale * dpr)
    _paint_ports(painter, face, style, state)
    if face.badge:
        paint_badge(painter, style, face.badge, QPointF(face.width - 3, 3.0), 8.5)


def _header(width: float) -> QPainterPath:
    """Header with the two upper corners rounded."""
    d = 2 * RADIUS
    path = QPainterPath(QPointF(0.0, HEADER))
    path.arcTo(0.0, 0.0, d, d, 180, -90)
    path.arcTo(width - d, 0.0, d, d, 90, -90)
    path.lineTo(width, HEADER)
    path.closeSubpath()
    return path


def _outline(face: NodeFace, style: CanvasStyle, state: FaceState) -> QPen:
    if state.selected:
        return style.selected_pen
    if face.badge == "error":
        return style.error_pen
    if face.bypass or not face.known:
        return style.bypass_pen
    if face.badge == "warning":
        return style.warning_pen
    return style.hover_pen if state.hovered else style.border_pen


def _paint_shell_details(
    painter: QPainter, face: NodeFace, style: CanvasStyle, pixels: float
) -> None:
    """Icon, port labels and the line above the footer."""
    style.draw_icon(painter, face.type_id, QRectF(10.0, 7.0, 16.0, 16.0), pixels, _ink(face, style))
    painter.setFont(style.small_font)
    painter.setPen(style.text_dim)
    top = HEADER + INFO + (ROW - style.metrics("small").height()) / 2
    for i, label in enumerate(face.input_labels):
        painter.drawStaticText(QPointF(12.0, top + ROW * i), label.static)
    for i, label in enumerate(face.output_labels):
        right = face.width - 12.0 - label.width
        painter.drawStaticText(QPointF(right, top + ROW * i), label.static)
    if face.shape is not None or face.count is not None:
        line = face.height - FOOTER
        painter.setPen(style.separator_pen)
        painter.drawLine(QPointF(1.0, line), QPointF(face.width - 1.0, line))


def _ink(face: NodeFace, style: CanvasStyle) -> QColor:
    return style.text if face.bypass else style.title


def _paint_ports(painter: QPainter, face: NodeFace, style: CanvasStyle, state: FaceState) -> None:
    for output, ports in ((False, face.inputs), (True, face.outputs)):
        for name, center in ports.items():
            linked = (name, output) in state.connected
            painter.setPen(QPen(style.body if linked else style.wire, 1.6))
            painter.setBrush(style.wire if linked else style.body)
            _paint_port(painter, face, name, output, center, PORT)


def _paint_lit_ports(
    painter: QPainter, face: NodeFace, style: CanvasStyle, state: FaceState
) -> None:
    """Ports on which a wire may end, and the one under the pointer."""
    for name, output in state.legal:
        center = face.port(name, output)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(faded(style.ok, 0.35))
        painter.drawEllipse(center, PORT * 2.2, PORT * 2.2)
        painter.setBrush(style.ok)
        _paint_port(painter, face, name, output, center, PORT)
    if state.hot is not None:
        name, output = state.hot
        color = style.ok if state.hot in state.legal else style.accent
        painter.setPen(QPen(color, 1.6))
        painter.setBrush(color)
        _paint_port(painter, face, name, output, face.port(name, output), PORT + 1.5)


def _paint_port(
    painter: QPainter, face: NodeFace, name: str, output: bool, center: QPointF, radius: float
) -> None:
    if output and name in face.square_outputs:
        painter.drawPolygon(_diamond(center, radius * 1.2))
    else:
        painter.drawEllipse(center, radius, radius)


def _diamond(c: QPointF, r: float) -> QPolygonF:
    return QPolygonF(
        [
            QPointF(c.x(), c.y() - r),
            QPointF(c.x() + r, c.y()),
            QPointF(c.x(), c.y() + r),
            QPointF(c.x() - r, c.y()),
        ]
    )


# -- texts ---------------------------------------------------------------------------------------


def _paint_node_texts(painter: QPainter, face: NodeFace, style: CanvasStyle, scale: float) -> None:
    if scale >= SMALL_TEXT_ZOOM:
        _paint_texts(painter, face, style)
    else:
        _paint_far_texts(painter, face, style)


def _paint_texts(painter: QPainter, face: NodeFace, style: CanvasStyle) -> None:
    painter.setPen(_ink(face, style))
    painter.setFont(style.title_font)
    left = 33.0 if style.has_icon(face.type_id) else 12.0
    painter.drawStaticText(QPointF(left, (HEADER - face.title.height) / 2), face.title.static)
    painter.setFont(style.info_font)
    painter.setPen(style.text)
    painter.drawStaticText(
        QPointF(12.0, HEADER + (INFO - face.info.height) / 2 + 2), face.info.static
    )
    if face.shape is not None:
        painter.setPen(style.wire_label)
        top = face.height - FOOTER + (FOOTER - face.shape.height) / 2
        painter.drawStaticText(QPointF(12.0, top), face.shape.static)
    if face.count is not None:
        painter.setPen(style.text_dim)
        top = face.height - FOOTER + (FOOTER - face.count.height) / 2
        left = face.width - 12.0 - face.count.width
        painter.drawStaticText(QPointF(left, top), face.count.static)


def _paint_far_texts(painter: QPainter, face: NodeFace, style: CanvasStyle) -> None:
    title, info, *shape = face.texts_for_far(style)
    painter.setPen(_ink(face, style))
    painter.setFont(style.far_title_font)
    painter.drawStaticText(QPointF(11.0, (HEADER - title.height) / 2), title.static)
    painter.setPen(style.text)
    painter.setFont(style.far_info_font)
    painter.drawStaticText(QPointF(11.0, HEADER + 8), info.static)
    if shape:
        painter.setPen(style.text_dim)
        painter.drawStaticText(QPointF(11.0, face.height - shape[0].height - 6), shape[0].static)
