"""Place: the ghost of a node while it is dragged from the palette over the canvas."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter

from graphstudio.document.model import Node
from graphstudio.i18n import render
from graphstudio.nodes.spec import find_type
from graphstudio.nodes.types import Message
from graphstudio.ui.canvas.face import HEADER, FaceState, NodeFace
from graphstudio.ui.canvas.gestures.base import Gesture, Pointer
from graphstudio.ui.canvas.gestures.move import snapped
from graphstudio.ui.canvas.insertion import paint_target, wire_under
from graphstudio.ui.canvas.node_paint import paint_node
from graphstudio.ui.canvas.scene import WireKey


class Place(Gesture):
    """Follows a drag from the palette; ``drop`` adds the node, on a wire if there is one."""

    def __init__(self, view, start, hit, type_id: str) -> None:
        super().__init__(view, start, hit)
        self.type_id = type_id
        cls = find_type(type_id)
        label = render(Message(cls.label)) if cls else type_id
        self._face = NodeFace(Node(id="", type=type_id, label=label), view.style_)
        self._target: WireKey | None = None
        self._pos = QPointF()
        self.move(start)

    def move(self, pointer: Pointer) -> None:
        grip = QPointF(self._face.width / 2, HEADER / 2)
        pos = pointer.scene - grip
        free = pointer.held(Qt.KeyboardModifier.ControlModifier)
        self._pos = pos if free else snapped(pos)
        self._target = None
        if (
            self._face.inputs
            and self._face.outputs
            and not pointer.held(Qt.KeyboardModifier.AltModifier)
        ):
            self._target = wire_under(self.scene, self._face.body.translated(self._pos))

    def drop(self) -> None:
        """Add the node where the ghost is."""
        pos = (self._pos.x(), self._pos.y())
        if self._target is not None:
            self.view.edits.insert_on_wire(self.type_id, self._target, pos)
        else:
            self.view.edits.add(self.type_id, pos)

    def bounds(self) -> QRectF:
        rect = self._face.bounds.translated(self._pos)
        wire = self.scene.wires.get(self._target) if self._target else None
        return rect.united(wire.boundingRect()) if wire else rect

    def paint(self, painter: QPainter, scale: float) -> None:
        if self._target is not None:
            paint_target(painter, self.scene, self._target, self.view.style_, scale)
        painter.save()
        painter.translate(self._pos)
        painter.setOpacity(0.7)
        state = FaceState(selected=True)
        paint_node(painter, self._face, self.view.style_, state, self.scene.shells)
        painter.restore()
