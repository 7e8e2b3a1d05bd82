"""How a node looks: its size, its texts and where its ports are. Ghosts and items share it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen, QPolygonF

from graphstudio.document.model import Node, Wire
from graphstudio.i18n import render, tr
from graphstudio.ir.diagnostics import Diagnostic
from graphstudio.ir.result import NodeReport
from graphstudio.nodes.spec import Port
from graphstudio.nodes.types import Message, format_shape
from graphstudio.ui.canvas.ports import ports_of
from graphstudio.ui.canvas.style import CanvasStyle, Text, mix, paint_badge

GRID = 20
HEADER = 30.0
INFO = 24.0
ROW = 20.0
FOOTER = 26.0
RADIUS = 8.0
PORT = 5.0
"""Radius of a port dot."""
PORT_REACH = 13.0
"""How far from a port's centre the pointer still means the port."""
MARGIN = 8.0
"""Room around the body for ports, badge and the glow of the selection."""
MIN_WIDTH, MAX_WIDTH = 180, 300
SMALL_TEXT_ZOOM = 0.62
"""Below it icon, port labels and footer are left out: nobody can read them, all pay for them."""

_SEVERITIES = ("error", "warning", "blocked")


@dataclass(slots=True)
class FaceState:
    """What changes about a node without changing its texts."""

    selected: bool = False
    hovered: bool = False
    dimmed: bool = False
    legal: frozenset[tuple[str, bool]] = frozenset()
    """Ports (name, is output) that the wire being dragged may end on."""
    hot: tuple[str, bool] | None = None
    """Port under the pointer."""
    connected: Collection[tuple[str, bool]] = field(default_factory=frozenset)


def format_count(number: int) -> str:
    """A count in at most five characters: ``9.2k``, ``1.3M``."""
    if number < 1000:
        return str(number)
    value = float(number)
    for unit in ("k", "M", "G", "T"):
        value /= 1000.0
        if value < 999.5:
            return f"{value:.0f}{unit}" if value >= 99.95 else f"{value:.1f}{unit}"
    return f"{value:.0f}T"


class NodeFace:
    """Texts, size and ports of one node, laid out in its own coordinates (top left is 0, 0)."""

    __slots__ = (
        "badge",
        "body",
        "bypass",
        "color",
        "count",
        "header",
        "height",
        "info",
        "input_labels",
        "inputs",
        "known",
        "output_labels",
        "outputs",
        "shape",
        "square_outputs",
        "title",
        "type_id",
        "width",
    )

    def __init__(
        self,
        node: Node,
        style: CanvasStyle,
        *,
        wires: Iterable[Wire] = (),
        report: NodeReport | None = None,
        problems: Sequence[Diagnostic] = (),
    ) -> None:
        cls, spec, inputs, outputs = ports_of(node, wires)
        self.type_id = node.type
        self.known = cls is not None
        self.bypass = node.bypass
        self.color = _header_color(node, cls.category if cls else "unknown", style)
        severities = {d.severity for d in problems}
        self.badge = next((s for s in _SEVERITIES if s in severities), "")

        words = render(Message(cls.label)) if cls else tr("Unknown type {type}", type=node.type)
        summary = spec.summary() if spec is not None else ""
        info = f"{words} · {summary}" if summary else words
        room = max(
            style.metrics("title").horizontalAdvance(node.label) + 62,
            style.metrics("info").horizontalAdvance(info) + 26,
            MIN_WIDTH,
        )
        self.width = float(min(-(-int(room) // GRID) * GRID, MAX_WIDTH))
        rows = max(len(inputs), len(outputs), 1)
        self.height = HEADER + INFO + ROW * rows + FOOTER
        self.title = style.line(node.label, "title", self.width - 60)
        self.info = style.line(info, "info", self.width - 24)

        half = self.width / 2 - 18
        both = bool(inputs and outputs)
        label_width = half if both else self.width - 30
        self.inputs = {p.name: QPointF(0.0, _row(i)) for i, p in enumerate(inputs)}
        self.outputs = {p.name: QPointF(self.width, _row(i)) for i, p in enumerate(outputs)}
        self.input_labels = [_port_label(p, style, label_width) for p in inputs]
        self.output_labels = [_port_label(p, style, label_width) for p in outputs]
        self.shape, self.count = self._footer(report, style)
        types = report.output_types if report else {}
        self.square_outputs = frozenset(n for n, t in types.items() if t.dtype != "float32")
        self.body = QRectF(0.0, 0.0, self.width, self.height)
        self.header = _header_path(self.width)

    def _footer(
        self, report: NodeReport | None, style: CanvasStyle
    ) -> tuple[Text | None, Text | None]:
        room = self.width - 24
        count: Text | None = None
        shapes = [format_shape(t.shape) for t in report.output_types.values()] if report else []
        shape = style.line(", ".join(shapes), "small", room) if shapes else None
        if report and report.num_parameters:
            short = format_count(report.num_parameters)
            left = room - (shape.width + 10 if shape else 0)
            count = style.line(tr("{count} params", count=short), "small")
            if count.width > left:
                count = style.line(short, "small")
            if count.width > left:
                shape = style.line(", ".join(shapes), "small", room - count.width - 10)
        return shape, count

    @property
    def bounds(self) -> QRectF:
        return self.body.adjusted(-MARGIN, -MARGIN, MARGIN, MARGIN + 2)

    @property
    def title_rect(self) -> QRectF:
        return QRectF(0.0, 0.0, self.width, HEADER)

    def port(self, name: str, output: bool) -> QPointF:
        """Centre of a port; the middle of the side if there is no such port."""
        found = (self.outputs if output else self.inputs).get(name)
        return found or QPointF(self.width if output else 0.0, self.height / 2)

    def port_at(self, pos: QPointF, reach: float = PORT_REACH) -> tuple[str, bool] | None:
        """The port (name, is output) within ``reach`` of a point, the nearest if there are two."""
        best: tuple[float, str, bool] | None = None
        for output, ports in ((False, self.inputs), (True, self.outputs)):
            for name, center in ports.items():
                dx, dy = pos.x() - center.x(), pos.y() - center.y()
                distance = dx * dx + dy * dy
                if distance <= reach * reach and (best is None or distance < best[0]):
                    best = (distance, name, output)
        return best[1:] if best else None


def _row(index: int) -> float:
    return HEADER + INFO + ROW * index + ROW / 2


def _header_color(node: Node, category: str, style: CanvasStyle) -> QColor:
    own = QColor(node.color) if node.color else QColor()
    return own if own.isValid() else style.category(category)


def _port_label(port: Port, style: CanvasStyle, width: float) -> Text:
    return style.line(render(Message(port.label)), "small", width)


_HEADERS: dict[float, QPainterPath] = {}


def _header_path(width: float) -> QPainterPath:
    """Header with the two upper corners rounded. Cached by width: there are few widths."""
    path = _HEADERS.get(width)
    if path is None:
        d = 2 * RADIUS
        path = QPainterPath(QPointF(0.0, HEADER))
        path.arcTo(0.0, 0.0, d, d, 180, -90)
        path.arcTo(width - d, 0.0, d, d, 90, -90)
        path.lineTo(width, HEADER)
        path.closeSubpath()
        _HEADERS[width] = path
    return path


def paint_node(
    painter: QPainter,
    face: NodeFace,
    style: CanvasStyle,
    state: FaceState,
    scale: float,
    dpr: float,
) -> None:
    """Paint a node at the origin; ``scale`` is the zoom, ``dpr`` the device pixel ratio."""
    body = face.body
    small = scale >= SMALL_TEXT_ZOOM
    if state.dimmed:
        painter.setOpacity(painter.opacity() * 0.35)
    if state.selected:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(style.glow_pen)
        painter.drawRoundedRect(body, RADIUS + 1, RADIUS + 1)
    elif small:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(style.shadow)
        painter.drawRoundedRect(body.adjusted(-1.5, 1.0, 1.5, 4.0), RADIUS + 2, RADIUS + 2)

    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(style.bypass_brush if face.bypass else style.body_brush)
    painter.drawRoundedRect(body, RADIUS, RADIUS)
    painter.setBrush(mix(face.color, style.canvas, 0.55) if face.bypass else face.color)
    painter.drawPath(face.header)

    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(_outline(face, style, state))
    painter.drawRoundedRect(body, RADIUS, RADIUS)

    icon = QRectF(10.0, 7.0, 16.0, 16.0)
    ink = style.text if face.bypass else style.title
    has_icon = small and style.draw_icon(painter, face.type_id, icon, scale * dpr, ink)
    painter.setPen(ink)
    painter.setFont(style.title_font)
    painter.drawStaticText(
        QPointF(33.0 if has_icon else 12.0, (HEADER - face.title.height) / 2), face.title.static
    )
    painter.setFont(style.info_font)
    painter.setPen(style.text)
    painter.drawStaticText(
        QPointF(12.0, HEADER + (INFO - face.info.height) / 2 + 2), face.info.static
    )
    if small:
        _paint_small_texts(painter, face, style)
    _paint_ports(painter, face, style, state)
    if face.badge:
        paint_badge(painter, style, face.badge, QPointF(face.width - 3, 3.0), 8.5)


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


def _paint_small_texts(painter: QPainter, face: NodeFace, style: CanvasStyle) -> None:
    painter.setPen(style.text_dim)
    top = HEADER + INFO + (ROW - style.metrics("small").height()) / 2
    for i, label in enumerate(face.input_labels):
        painter.drawStaticText(QPointF(12.0, top + ROW * i), label.static)
    for i, label in enumerate(face.output_labels):
        painter.drawStaticText(
            QPointF(face.width - 12.0 - label.width, top + ROW * i), label.static
        )
    line = face.height - FOOTER
    if face.shape is None and face.count is None:
        return
    top = line + (FOOTER - style.metrics("small").height()) / 2
    if face.shape is not None:
        painter.setPen(style.wire_label)
        painter.drawStaticText(QPointF(12.0, top), face.shape.static)
    if face.count is not None:
        painter.setPen(style.text_dim)
        painter.drawStaticText(
            QPointF(face.width - 12.0 - face.count.width, top), face.count.static
        )
    painter.setPen(style.separator_pen)
    painter.drawLine(QPointF(1.0, line), QPointF(face.width - 1.0, line))


def _paint_ports(painter: QPainter, face: NodeFace, style: CanvasStyle, state: FaceState) -> None:
    for output, ports in ((False, face.inputs), (True, face.outputs)):
        for name, center in ports.items():
            key = (name, output)
            if key in state.legal:
                painter.setPen(Qt.PenStyle.NoPen)
                halo = QColor(style.ok)
                halo.setAlphaF(0.35)
                painter.setBrush(halo)
                painter.drawEllipse(center, PORT * 2.2, PORT * 2.2)
                rim, fill = style.ok, style.ok
            elif state.hot == key:
                rim, fill = style.accent, style.accent
            elif key in state.connected:
                rim, fill = style.body, style.wire
            else:
                rim, fill = style.wire, style.body
            radius = PORT + (1.5 if state.hot == key else 0.0)
            painter.setPen(QPen(rim, 1.6))
            painter.setBrush(fill)
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
