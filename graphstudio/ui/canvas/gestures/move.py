"""Move: drag selected nodes and frames; a lone unwired node may be dropped on a wire."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter

from graphstudio.ui.canvas.face import GRID
from graphstudio.ui.canvas.gestures.base import Gesture, Pointer
from graphstudio.ui.canvas.insertion import paint_target, wire_under
from graphstudio.ui.canvas.lifting import Lift
from graphstudio.ui.canvas.scene import WireKey


class Move(Gesture):
    """Nodes follow the pointer on the grid; the document hears of it once, on release."""

    cursor = Qt.CursorShape.SizeAllCursor
    auto_scroll = True

    def __init__(self, view, start, hit) -> None:
        super().__init__(view, start, hit)
        self._toggle = start.held(Qt.KeyboardModifier.ControlModifier)
        self._narrow = False
        self._lifted: Lift | None = None
        self._anchor = QPointF()
        self._shift = QPointF()
        self._target: WireKey | None = None
        self._press_selection()

    def _press_selection(self) -> None:
        """Blender's rules: a press selects at once, unless the thing is selected already."""
        if self.hit.frame:
            self.view.selecting.frame(
                self.hit.frame, add=self.start.held(Qt.KeyboardModifier.ShiftModifier)
            )
            return
        node, chosen = self.hit.node, self.project.selection
        if self._toggle:
            return
        if self.start.held(Qt.KeyboardModifier.ShiftModifier):
            self.project.select(chosen | {node})
        elif node not in chosen:
            self.view.selecting.only({node})
        else:
            self._narrow = True  # a click without a drag leaves only this one selected

    def move(self, pointer: Pointer) -> None:
        if not self.dragging:
            if not self.began(pointer):
                return
            self._lift()
        delta = pointer.scene - self.start.scene
        if pointer.held(Qt.KeyboardModifier.ShiftModifier):
            if abs(delta.x()) >= abs(delta.y()):
                delta.setY(0.0)
            else:
                delta.setX(0.0)
        if not pointer.held(Qt.KeyboardModifier.ControlModifier):
            delta = snapped(self._anchor + delta) - self._anchor
            if pointer.held(Qt.KeyboardModifier.ShiftModifier):  # snapping must not leave the axis
                moved = pointer.scene - self.start.scene
                delta = (
                    QPointF(delta.x(), 0.0)
                    if abs(moved.x()) >= abs(moved.y())
                    else QPointF(0.0, delta.y())
                )
        self._shift = delta
        self._show()
        self._find_wire(pointer)

    def _lift(self) -> None:
        if self._toggle and self.hit.node:
            self.project.select(self.project.selection | {self.hit.node})
        ids = set(self.project.selection) if not self.hit.frame else set()
        frames = set(self.view.selecting.frames)
        if not self.hit.frame and self.hit.node not in ids:
            ids.add(self.hit.node)
        for frame_id in frames:
            ids |= set(self.scene.children_of(frame_id))
        self._lifted = Lift(self.scene, ids, frames)
        if not self.hit.frame:  # a frame moves by whole steps, so that its nodes keep their grid
            self._anchor = QPointF(*self._lifted.origins[self.hit.node])
        self.view.overview.lift(frozenset(ids))

    def _show(self) -> None:
        if self._lifted is not None:
            self._lifted.move(self._shift.x(), self._shift.y())
        self.view.refresh_overview()

    def _find_wire(self, pointer: Pointer) -> None:
        found: WireKey | None = None
        lifted = self._lifted
        alone = lifted is not None and len(lifted.origins) == 1 and not lifted.frames
        if lifted is not None and alone and not pointer.held(Qt.KeyboardModifier.AltModifier):
            (node_id,) = lifted.origins
            item = self.scene.nodes[node_id]
            loose = not self.scene.wires_at(node_id)
            if loose and item.face.inputs and item.face.outputs:
                found = wire_under(self.scene, item.body_rect())
        if found != self._target:
            self._target = found
            self.view.viewport().update()

    @property
    def aims(self) -> bool:
        return self._target is not None

    def release(self, pointer: Pointer) -> bool:
        lifted = self._lifted
        if lifted is None:
            self._click()
            return True
        self._land()
        dx, dy = self._shift.x(), self._shift.y()
        if self._target is not None:
            ((node_id, place),) = lifted.moved_nodes(dx, dy).items()
            self.view.edits.insert_on_wire(node_id, self._target, place)
        elif dx or dy:
            self.view.edits.move(lifted.moved_nodes(dx, dy), lifted.moved_frames(dx, dy))
        return True

    def _click(self) -> None:
        node = self.hit.node
        if self._toggle and node:
            self.project.select(self.project.selection ^ {node})
        elif self._narrow:
            self.view.selecting.only({node})

    def _land(self) -> None:
        self.view.overview.lift(frozenset())
        if self._lifted is not None:
            self._lifted.drop()

    def cancel(self) -> None:
        self._land()

    def bounds(self) -> QRectF:
        wire = self.scene.wires.get(self._target) if self._target else None
        return wire.boundingRect() if wire else QRectF()

    def paint(self, painter: QPainter, scale: float) -> None:
        if self._target is not None:
            paint_target(painter, self.scene, self._target, self.view.style_, scale)


def snapped(pos: QPointF) -> QPointF:
    """The nearest point of the grid."""
    return QPointF(round(pos.x() / GRID) * GRID, round(pos.y() / GRID) * GRID)
