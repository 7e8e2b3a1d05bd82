"""The commands of the view that menus, keys and the shell call by name."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QPointF, QRectF

from graphstudio.document.model import ChangeSet
from graphstudio.i18n import tr
from graphstudio.ir.diagnostics import Diagnostic
from graphstudio.ir.fixes import fix_changes
from graphstudio.nodes.types import Fix
from graphstudio.ui.canvas.edits import added, reach
from graphstudio.ui.canvas.face import GRID
from graphstudio.ui.canvas.gestures.move import snapped


class ViewCommands:
    """Mixed into ``GraphView``: each method acts on what is selected."""

    # -- history -------------------------------------------------------------------------------

    def undo(self) -> None:
        self._step(self.project.undo)

    def redo(self) -> None:
        self._step(self.project.redo)

    def _step(self, step: Callable[[], object]) -> None:
        """Undo or redo, and scroll to what changed if none of it is in view."""
        self.gestures.cancel()
        heard: list[ChangeSet] = []
        self.project.changed.connect(heard.append)
        step()
        self.project.changed.disconnect(heard.append)
        touched = {n for c in heard for _, n in (*c.nodes, *c.moved)}
        touched |= {k[0] for c in heard for _, k in c.wires}
        touched &= self.graph_scene.nodes.keys()
        if touched:
            rect = self.graph_scene.content_rect(touched)
            if not rect.intersects(self.visible_rect()):
                self.center_on(rect.center())

    # -- selection -----------------------------------------------------------------------------

    def select_all(self) -> None:
        self.project.select(self.graph_scene.nodes)

    def clear_selection(self) -> None:
        """Select nothing: no node, no wire, no frame."""
        self.selecting.clear()

    def invert_selection(self) -> None:
        self.selecting.invert()

    def add_dots(self) -> None:
        """A dot in the middle of each selected wire, or of the wires between selected nodes."""
        nodes = self.project.selection
        keys = self.selecting.wires or {
            w.key
            for w in self.graph_scene.graph.wires.values()
            if w.source in nodes and w.target in nodes
        }
        if not keys:
            self.status_message.emit(tr("Select a wire, or two nodes that are connected."))
        elif len(dots := self.edits.add_dots(keys)) == 1:
            ((key, dot),) = dots.items()
            self.selecting.wire(key, dot=dot)  # the arrow keys go on with the new dot

    def bring_in(self, rect: QRectF) -> None:
        """Scroll just enough to see a rectangle, and not under the minimap."""
        super().bring_in(rect)
        if not self.minimap.isVisible():
            return
        covered = self.mapToScene(self.minimap.geometry()).boundingRect()
        wanted = rect.adjusted(-GRID, -GRID, GRID, GRID)
        if covered.intersects(wanted):
            left, up = wanted.right() - covered.left(), wanted.bottom() - covered.top()
            dx, dy = (0.0, up) if up < left else (left, 0.0)
            self.pan_by(round(-dx * self.zoom), round(-dy * self.zoom))

    # -- clipboard -----------------------------------------------------------------------------

    def paste_point(self) -> QPointF:
        """Where the pointer is, in scene coordinates, or the middle of the view."""
        pointer, area = self.gestures.pointer, self.viewport().rect()
        inside = pointer is not None and area.contains(pointer)
        return self.mapToScene(pointer if inside else area.center())

    def copy(self) -> None:
        self.edits.copy(self.selecting.with_framed, self.selecting.frames)

    def cut(self) -> None:
        nodes, frames = self.selecting.with_framed, self.selecting.frames
        if self.edits.copy(nodes, frames):
            self.edits.delete(nodes, frames=frames)

    def paste(self, pos: QPointF | None = None, *, keep_inputs: bool = False) -> None:
        """Paste at a scene position, at the pointer if left out."""
        at = snapped(pos if pos is not None else self.paste_point())
        self.edits.paste((at.x(), at.y()), keep_inputs=keep_inputs)

    def paste_keeping_inputs(self) -> None:
        self.paste(keep_inputs=True)

    def duplicate(self) -> None:
        self.edits.duplicate(self.selecting.with_framed)

    # -- removing ------------------------------------------------------------------------------

    def delete_selection(self, heal: bool = False) -> None:
        """Delete selected nodes, wires and frames; ``heal`` reconnects what they joined."""
        chosen = self.selecting
        if chosen.dot is not None and not heal and not chosen.nodes and not chosen.frames:
            (key,) = chosen.wires
            self.edits.remove_dot(key, chosen.dot)
            return
        self.edits.delete(chosen.nodes, wires=chosen.wires, frames=chosen.frames, heal=heal)

    def delete_and_heal(self) -> None:
        self.delete_selection(heal=True)

    # -- names and looks -----------------------------------------------------------------------

    def rename_selected(self) -> None:
        if len(self.selecting.nodes) == 1:
            self.rename(next(iter(self.selecting.nodes)))
        elif len(self.selecting.frames) == 1:
            self.rename_frame(next(iter(self.selecting.frames)))

    def rename(self, node_id: str) -> None:
        """Edit a node's name in place."""
        item = self.graph_scene.nodes[node_id]
        self.bring_in(item.body_rect())
        rect = self.mapFromScene(item.face.title_rect.translated(item.pos())).boundingRect()
        self.hovering.hide()
        self.rename_editor.open_on(
            rect, item.node.label, self.style_, lambda text: self.edits.rename(node_id, text)
        )

    def rename_frame(self, frame_id: str) -> None:
        item = self.graph_scene.frames[frame_id]
        rect = self.mapFromScene(item.title_rect()).boundingRect()
        rect = rect.intersected(self.viewport().rect().adjusted(4, 4, -4, -4))
        self.hovering.hide()
        self.rename_editor.open_on(
            rect,
            item.frame.title,
            self.style_,
            lambda text: self.edits.rename_frame(frame_id, text),
        )

    def toggle_bypass(self) -> None:
        self.edits.toggle_bypass(self.selecting.nodes)

    def frame_selection(self) -> None:
        """Draw a frame around the selection and ask for its title."""
        frame_id = self.edits.frame_around(self.selecting.nodes)
        if frame_id is not None:
            self.rename_frame(frame_id)

    def apply_fix(self, problem: Diagnostic, fix: Fix) -> None:
        """Carry out a fix that the checker offers."""
        project, graph_id = self.project, self.graph_scene.graph.id
        params_for = project.checker.params_for
        command = fix_changes(project.document, graph_id, problem, fix, params_for)
        if self.project.push(command) and (new := added(command[1])):
            self.selecting.only(new)

    # -- wires and places ----------------------------------------------------------------------

    def connect_in_order(self) -> None:
        if len(self.selecting.nodes) > 1:
            self.edits.connect_in_order(self.selecting.nodes)

    def nudge(self, dx: int, dy: int) -> None:
        """Move the selection by grid steps, dots of selected wires too; without one, the view."""
        chosen, wires = self.selecting, self.graph_scene.graph.wires
        led = [key for key in chosen.wires if wires[key].route]
        if chosen.nodes:
            self.edits.nudge(chosen.nodes, dx * GRID, dy * GRID)
        elif led:
            self.edits.nudge_dots(led, dx * GRID, dy * GRID, only=chosen.dot)
        else:
            self.pan_by(-dx * 2 * GRID, -dy * 2 * GRID)

    def align(self, side: str) -> None:
        self.edits.align(self.selecting.nodes, side)

    def auto_layout(self) -> None:
        """Arrange the selection, or everything if fewer than two nodes are selected."""
        if len(self.selecting.nodes) > 1:
            self.edits.layout(self.selecting.nodes)
        else:
            self.edits.layout()
            self.fit_all()

    def layout_downstream(self) -> None:
        if self.selecting.nodes:
            self.edits.layout(reach(self.graph_scene, self.selecting.nodes, forward=True))

    # -- what is shown -------------------------------------------------------------------------

    def toggle_labels(self) -> None:
        """Shapes on wires: on or off."""
        self.graph_scene.set_show_labels(not self.graph_scene.show_labels)

    def toggle_minimap(self) -> None:
        self.minimap.set_wanted(not self.minimap.wanted)
