"""The scene items: nodes, wires, their labels, frames. All top-level, all only draw."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen
from PySide6.QtWidgets import QGraphicsItem, QStyleOptionGraphicsItem, QWidget

from graphstudio.document.model import Frame, Node, Wire
from graphstudio.ui.canvas import curve
from graphstudio.ui.canvas.face import SMALL_TEXT_ZOOM, FaceState, NodeFace
from graphstudio.ui.canvas.guard import guarded
from graphstudio.ui.canvas.node_paint import Shells, paint_node
from graphstudio.ui.canvas.style import CanvasStyle, Text, faded

FRAME_TITLE = 30.0
FRAME_EDGE = 8.0
FRAME_FILL = 0.14
"""Opacity of a frame on the dark canvas; half of it does on the light one."""
_NODE_Z, _LABEL_Z, _WIRE_Z, _FRAME_Z = 2.0, 1.0, 0.0, -10.0
_LABEL_ROOM = 2_000.0
"""Around all nodes, so that the room for labels has to grow only now and then."""


class NodeItem(QGraphicsItem):
    """A node as drawn. The scene sets face and state; the item never reads the document."""

    def __init__(self, node: Node, face: NodeFace, style: CanvasStyle, shells: Shells) -> None:
        super().__init__()
        self.node = node
        self.face = face
        self.style = style
        self.shells = shells
        self.state = FaceState()
        self._bounds = face.bounds
        self._body = QRectF()
        self.place(*node.position)
        self.setZValue(_NODE_Z)

    def place(self, x: float, y: float) -> None:
        """Move the node's corner, in scene coordinates."""
        self.setPos(x, y)
        self._body = self.face.body.translated(x, y)

    def set_face(self, face: NodeFace) -> None:
        if face.bounds != self._bounds:
            self.prepareGeometryChange()
            self._bounds = face.bounds
        self.face = face
        self._body = face.body.translated(self.pos())
        self.update()

    def body_rect(self) -> QRectF:
        """The body in scene coordinates; not to be changed."""
        return self._body

    def port_pos(self, name: str, output: bool) -> QPointF:
        """Centre of a port in scene coordinates."""
        return self.face.port(name, output) + self.pos()

    def boundingRect(self) -> QRectF:
        return self._bounds

    def shape(self) -> QPainterPath:
        path = QPainterPath()
        path.addRect(self.face.body)
        return path

    @guarded
    def paint(
        self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None
    ) -> None:
        paint_node(painter, self.face, self.style, self.state, self.shells)


class WireItem(QGraphicsItem):
    """A wire as drawn, in scene coordinates: its own position stays at the origin."""

    def __init__(self, wire: Wire, style: CanvasStyle, labels: LabelLayer) -> None:
        super().__init__()
        self.wire = wire
        self.style = style
        self._labels = labels
        self.curves: list[curve.Cubic] = [((0.0, 0.0),) * 4]
        self._path: QPainterPath | None = None
        self.line: list[curve.Point] = []
        self.label: Text | None = None
        self.label_rect: QRectF | None = None
        """Where the label is drawn; None while there is no room for it."""
        self.selected = False
        self.chosen_dot: int | None = None
        """The dot that the keys move."""
        self.hovered = False
        self.dimmed = False
        self.state = ""
        """``error`` (refused by its target), ``unknown`` (no type yet) or empty."""
        self._bounds = QRectF()
        self.setZValue(_WIRE_Z)

    def route(self, curves: list[curve.Cubic]) -> None:
        """Lay the wire along these curves, which begin and end at port centres."""
        self.prepareGeometryChange()
        self.curves = curves
        self._path = None
        self.line = []
        self.label_rect = None
        self._bounds = curve.control_rect(self.curves).adjusted(-70, -14, 70, 14)

    @property
    def path(self) -> QPainterPath:
        """The curves as a path, made when first asked for: most wires are out of view."""
        if self._path is None:
            self._path = curve.path_of(self.curves)
        return self._path

    def points(self) -> list[curve.Point]:
        """The curve as a polyline, made when first asked for."""
        if not self.line:
            self.line = [p for c in self.curves for p in curve.polyline(c)]
        return self.line

    def set_label_rect(self, rect: QRectF | None) -> None:
        self.label_rect = rect

    def boundingRect(self) -> QRectF:
        return self._bounds

    def shape(self) -> QPainterPath:
        return self.path

    def pen(self) -> QPen:
        style = self.style
        if self.selected:
            return style.wire_selected_pen
        if self.hovered:
            return style.wire_hovered_pen
        if self.state == "error":
            return style.wire_error_pen
        return style.wire_unknown_pen if self.state == "unknown" else style.wire_pen

    @guarded
    def paint(
        self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None
    ) -> None:
        if self.dimmed:
            painter.setOpacity(0.3)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(self.pen())
        painter.drawPath(self.path)
        for dot in self.wire.route:
            painter.setBrush(self.style.wire)
            painter.drawEllipse(QPointF(*dot), 4.0, 4.0)
        if self.chosen_dot is not None:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawEllipse(QPointF(*self.wire.route[self.chosen_dot]), 8.0, 8.0)
        if self.label is not None and self.label_rect is not None:
            self._labels.due.append(self)


class LabelLayer(QGraphicsItem):
    """The labels of all wires: one item above them, so that no wire crosses a label.

    A wire that is painted hands its label in; the layer, which is painted after them, draws what
    it was handed. So labels cost no items of their own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.due: list[WireItem] = []
        self._room = QRectF()
        self.setZValue(_LABEL_Z)

    def cover(self, rect: QRectF) -> None:
        """Reach at least over this rectangle of the scene: elsewhere no label is painted."""
        if not self._room.contains(rect):
            more = rect.adjusted(-_LABEL_ROOM, -_LABEL_ROOM, _LABEL_ROOM, _LABEL_ROOM)
            self.prepareGeometryChange()
            self._room = self._room.united(more)

    def boundingRect(self) -> QRectF:
        return self._room

    def shape(self) -> QPainterPath:
        return QPainterPath()  # nothing to be hit: the wires answer for their labels

    @guarded
    def paint(
        self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None
    ) -> None:
        due, self.due = self.due, []
        if painter.worldTransform().m11() < SMALL_TEXT_ZOOM:
            return
        for wire in due:
            assert wire.label is not None
            assert wire.label_rect is not None
            painter.setOpacity(0.3 if wire.dimmed else 1.0)
            rect = wire.label_rect.translated(wire.pos())
            paint_label(painter, wire.style, wire.label, rect, wire.selected or wire.hovered)


def paint_label(
    painter: QPainter, style: CanvasStyle, label: Text, rect: QRectF, lit: bool
) -> None:
    """The pill with the shape that sits on a wire."""
    painter.setPen(QPen(style.accent, 1.2) if lit else style.label_pen)
    painter.setBrush(style.label_fill)
    painter.drawRoundedRect(rect, rect.height() / 2, rect.height() / 2)
    painter.setPen(style.wire_label)
    painter.setFont(style.label_font)
    painter.drawStaticText(
        QPointF(rect.center().x() - label.width / 2, rect.center().y() - label.height / 2),
        label.static,
    )


class FrameItem(QGraphicsItem):
    """A titled backdrop behind some nodes."""

    def __init__(self, frame: Frame, style: CanvasStyle) -> None:
        super().__init__()
        self.frame = frame
        self.style = style
        self.selected = False
        self._size = QRectF(0, 0, frame.rect[2], frame.rect[3])
        self.setPos(frame.rect[0], frame.rect[1])
        self.setZValue(_FRAME_Z)

    def set_rect(self, rect: QRectF) -> None:
        self.prepareGeometryChange()
        self._size = QRectF(0, 0, rect.width(), rect.height())
        self.setPos(rect.topLeft())

    def set_frame(self, frame: Frame) -> None:
        self.frame = frame
        self.set_rect(QRectF(*frame.rect))
        self.update()

    def body_rect(self) -> QRectF:
        return self._size.translated(self.pos())

    def title_rect(self) -> QRectF:
        rect = self.body_rect()
        return QRectF(rect.left(), rect.top(), rect.width(), FRAME_TITLE)

    def color(self) -> QColor:
        own = QColor(self.frame.color) if self.frame.color else QColor()
        return own if own.isValid() else self.style.category("Shape")

    def boundingRect(self) -> QRectF:
        return self._size.adjusted(-4, -4, 4, 4)

    @guarded
    def paint(
        self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None
    ) -> None:
        color, style = self.color(), self.style
        painter.setPen(QPen(style.accent, 2.0) if self.selected else QPen(faded(color, 0.5), 1.2))
        painter.setBrush(faded(color, FRAME_FILL if style.dark else FRAME_FILL / 2))
        painter.drawRoundedRect(self._size, 10, 10)
        painter.setPen(style.text)
        painter.setFont(style.frame_font)
        title = style.line(self.frame.title, "frame", max(20.0, self._size.width() - 28))
        painter.drawStaticText(QPointF(14.0, (FRAME_TITLE - title.height) / 2 + 2), title.static)
        if self.frame.note:
            note = style.line(self.frame.note, "info", max(20.0, self._size.width() - 28))
            painter.setFont(style.info_font)
            painter.setPen(style.text_dim)
            painter.drawStaticText(
                QPointF(14.0, self._size.height() - note.height - 8), note.static
            )
