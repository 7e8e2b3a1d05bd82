"""The node editor's widget: paints, and hands events to gestures, keys and commands."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPixmap,
    QWheelEvent,
)
from PySide6.QtWidgets import QWidget

from graphstudio.document.model import ChangeSet
from graphstudio.i18n import tr
from graphstudio.ui.canvas.actions import CanvasAction, canvas_actions
from graphstudio.ui.canvas.adding import Adding, Wish
from graphstudio.ui.canvas.backdrop import Grid, paint_hint
from graphstudio.ui.canvas.edits import Edits
from graphstudio.ui.canvas.gestures.base import Gesture, Pointer
from graphstudio.ui.canvas.gestures.connect import Connect
from graphstudio.ui.canvas.gestures.cut import Cut
from graphstudio.ui.canvas.gestures.move import Move
from graphstudio.ui.canvas.gestures.move_dot import MoveDot
from graphstudio.ui.canvas.gestures.pan import Pan
from graphstudio.ui.canvas.gestures.resize_frame import ResizeFrame
from graphstudio.ui.canvas.gestures.rubber_band import RubberBand
from graphstudio.ui.canvas.guard import guarded
from graphstudio.ui.canvas.hit import Hit, hit_test
from graphstudio.ui.canvas.hovering import Hovering
from graphstudio.ui.canvas.menus import build_menu
from graphstudio.ui.canvas.minimap import Minimap
from graphstudio.ui.canvas.navigation import OVERVIEW_ZOOM, NavigableView
from graphstudio.ui.canvas.overview import Overview
from graphstudio.ui.canvas.pointing import GestureStack, edge_cursor, set_cursor
from graphstudio.ui.canvas.rename import RenameEditor
from graphstudio.ui.canvas.scene import GraphScene, WireKey
from graphstudio.ui.canvas.search import SearchPopup
from graphstudio.ui.canvas.selecting import Selecting
from graphstudio.ui.canvas.style import CanvasStyle
from graphstudio.ui.canvas.suggest import End
from graphstudio.ui.canvas.view_commands import ViewCommands
from graphstudio.ui.palette.entries import RecentTypes
from graphstudio.ui.project import Project
from graphstudio.ui.theme import Theme

_ALT, _CTRL, _SHIFT = (
    Qt.KeyboardModifier.AltModifier,
    Qt.KeyboardModifier.ControlModifier,
    Qt.KeyboardModifier.ShiftModifier,
)
_MODIFIER_KEYS = {Qt.Key.Key_Shift: _SHIFT, Qt.Key.Key_Control: _CTRL, Qt.Key.Key_Alt: _ALT}

CROWDED = 300
"""Nodes from which edges are drawn plainly, and the overview sooner, while the view moves."""
_AHEAD_S = 0.001
"""For nodes painted whole before they are needed, at the end of a frame or when idle."""
_LEFT, _MIDDLE, _RIGHT = (
    Qt.MouseButton.LeftButton,
    Qt.MouseButton.MiddleButton,
    Qt.MouseButton.RightButton,
)


class GraphView(ViewCommands, NavigableView):
    """Shows and edits the project's graph.

    Parameters
    ----------
    recent : RecentTypes, optional
        Types used last, shared with the palette.
    """

    status_message = Signal(str)
    """A sentence for the status bar: why something was not done."""
    node_activated = Signal(str)
    """A node's body was double-clicked."""

    def __init__(
        self,
        project: Project,
        theme: Theme,
        parent: QWidget | None = None,
        recent: RecentTypes | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("graph-view")
        self.project = project
        self.theme = theme
        self.recent = recent or RecentTypes()
        self.style_ = CanvasStyle(theme.tokens)
        graph = project.document.graph(project.graph_id)
        # The view does not own its scene: without this reference it would be collected.
        self.graph_scene = GraphScene(graph, self.style_, project.result, self)
        self.setScene(self.graph_scene)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAcceptDrops(True)
        self.viewport().setMouseTracking(True)
        self.setAccessibleName(tr("Graph editor"))

        self._grid = Grid()
        self.overview = Overview(self.graph_scene)
        self.edits = Edits(self)
        self.selecting = Selecting(self)
        self.gestures = GestureStack(self)
        self.search = SearchPopup(theme, self.recent, self)
        self.adding = Adding(self, self.search)
        self.hovering = Hovering(self)
        self.rename_editor = RenameEditor(self)
        self.minimap = Minimap(self)
        self.held_modifiers = Qt.KeyboardModifier.NoModifier
        self._space = self._space_used = False
        self._painting_ahead = QTimer(self, singleShot=True, interval=0)
        self._painting_ahead.timeout.connect(self._paint_ahead)
        self._still: tuple[object, QPixmap] | None = None
        self._kept = project.document.view.get("canvas")
        self._fit_pending = not self.restore(self._kept)
        self._actions = canvas_actions(self)
        self._keys = {k: a for a in self._actions for k in a.keys}
        self._follow()

    def _follow(self) -> None:
        project, scene = self.project, self.graph_scene
        project.changed.connect(self._on_changed)
        project.checked.connect(scene.apply_result)
        project.selection_changed.connect(self._on_selection)
        project.refused.connect(self.status_message)
        scene.content_changed.connect(self.minimap.invalidate)
        scene.content_changed.connect(self.refresh_overview)
        scene.marks_changed.connect(self.refresh_overview)
        self.theme.changed.connect(self._restyle)
        self._on_selection()

    # -- following the project -----------------------------------------------------------------

    def _on_changed(self, changes: ChangeSet) -> None:
        if self.gestures:
            self.gestures.cancel()  # its previews speak of a graph that is no more
        self.hovering.forget()
        self.graph_scene.apply(changes)
        self.selecting.prune()
        if len(self.graph_scene.nodes) <= 1:
            self.viewport().update()  # the hint for an empty canvas comes or goes

    def _on_selection(self) -> None:
        self.graph_scene.select(self.project.selection)
        self.refresh_overview()

    def _restyle(self) -> None:
        self.style_ = CanvasStyle(self.theme.tokens)
        self.graph_scene.restyle(self.style_)
        self.minimap.invalidate()
        self.hovering.hide()
        self.viewport().update()

    def retranslate(self) -> None:
        """Show all texts in the active language."""
        self.setAccessibleName(tr("Graph editor"))
        self.minimap.retranslate()
        self.search.close_box()
        self._restyle()

    def refresh_overview(self, *_: object) -> None:
        """Something has changed that only the overview paints by itself."""
        if self.far:
            self.viewport().update()

    # -- navigation ----------------------------------------------------------------------------

    def content_rect(self) -> QRectF:
        return self.graph_scene.content_rect()

    def on_moved(self) -> None:
        self.graph_scene.shells.moving = True
        self.hovering.hide()
        self.rename_editor.commit()
        self.minimap.view_moved()
        if self.gestures or self.gestures.place or self.far or not self.graph_scene.nodes:
            self.viewport().update()

    def on_rest(self) -> None:
        if self.graph_scene.shells.rest() and not self.far:
            self.viewport().update()
        self._painting_ahead.start()
        self.project.document.view["canvas"] = self.state()

    def arrive(self) -> None:
        """Look where the project was left, or at everything if there is nothing to be seen.

        Called once the window has its size: what is kept is the middle of the view.
        """
        if not self.restore(self._kept) or not self.visible_rect().intersects(self.content_rect()):
            self.fit_all()

    def fit_selection(self) -> None:
        """Show the selection, or everything if nothing is selected."""
        if self.project.selection:
            self.fit_rect(self.graph_scene.content_rect(self.project.selection))
        else:
            self.fit_all()

    def reveal(self, node_id: str) -> None:
        """Select a node and bring it into view."""
        item = self.graph_scene.nodes.get(node_id)
        if item is None:
            return
        self.selecting.only({node_id})
        if self.zoom < OVERVIEW_ZOOM:
            self.set_zoom(1.0)
        if not self.visible_rect().adjusted(40, 40, -40, -40).contains(item.body_rect()):
            self.center_on(item.body_rect().center())

    def resizeEvent(self, event) -> None:
        super().resizeEvent(event)
        if self._fit_pending and self.isVisible():
            self.fit_all()
        self.minimap.put_in_corner()

    def showEvent(self, event) -> None:
        super().showEvent(event)
        self.minimap.put_in_corner()
        if self._fit_pending:
            self.fit_all()
            # docks take their places after the first show; fit until they have
            QTimer.singleShot(0, self, self._fit_done)

    def _fit_done(self) -> None:
        if self._fit_pending:
            self.fit_all()
            self._fit_pending = False

    # -- painting ------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self.far:
            self.graph_scene.place_labels()
            super().paintEvent(event)
            if self.graph_scene.shells.moving:
                self.graph_scene.shells.make(_AHEAD_S)
            elif self.graph_scene.shells.wanted:
                self._painting_ahead.start()
            return
        painter = QPainter(self.viewport())
        self._paint_far(painter)
        painter.end()

    def _paint_ahead(self) -> None:
        """Paint nodes whole, a few at a time, for the frames of the next pan or zoom."""
        shells = self.graph_scene.shells
        if not shells.moving:
            shells.make(_AHEAD_S)
            if shells.wanted:
                self._painting_ahead.start()

    @guarded
    def _paint_far(self, painter: QPainter) -> None:
        visible = self.visible_rect()
        if self.overview.lifted and not self.selecting.frames:
            painter.drawPixmap(0, 0, self._still_picture(visible))
        else:
            self._paint_still(painter, visible)
            self._still = None
        painter.setTransform(self.viewportTransform())
        self.overview.paint_moving(painter, visible, self.zoom, self.style_)
        self.drawForeground(painter, visible)

    @property
    def costly(self) -> bool:
        """Also a crowded graph, on any screen."""
        return super().costly or len(self.graph_scene.nodes) > CROWDED

    def _paint_still(self, painter: QPainter, visible: QRectF) -> None:
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.setTransform(self.viewportTransform())
        self.drawBackground(painter, visible)
        self.overview.paint_still(painter, visible, self.zoom, self.style_)

    def _still_picture(self, visible: QRectF) -> QPixmap:
        """What does not move while nodes are dragged far out, painted once for the drag."""
        size, dpr = self.viewport().size(), self.devicePixelRatioF()
        key = (visible, size, dpr, self.overview.version, self.overview.lifted, self.style_)
        if self._still is None or self._still[0] != key:
            pixmap = QPixmap(size * dpr)
            pixmap.setDevicePixelRatio(dpr)
            painter = QPainter(pixmap)
            self._paint_still(painter, visible)
            painter.end()
            key = (*key[:3], self.overview.version, *key[4:])  # painting may have built the lists
            self._still = (key, pixmap)
        return self._still[1]

    @guarded
    def drawBackground(self, painter: QPainter, rect: QRectF) -> None:
        self._grid.paint(painter, rect, self.viewport().size(), self.style_)

    @guarded
    def drawForeground(self, painter: QPainter, rect: QRectF) -> None:
        painter.setWorldTransform(self.viewportTransform())  # the last item has left its own
        painter.setOpacity(1.0)
        self.gestures.paint(painter)
        if not self.graph_scene.nodes and self.gestures.place is None:
            painter.save()
            painter.setWorldTransform(self.viewportTransform().inverted()[0], True)
            paint_hint(painter, QRectF(self.viewport().rect()), self.style_)
            painter.restore()

    # -- the pointer ---------------------------------------------------------------------------

    def _pointer_of(self, event) -> Pointer:
        pos = event.position().toPoint()
        self.held_modifiers = event.modifiers()
        return Pointer(self.mapToScene(pos), pos, event.modifiers())

    def _begin(self, gesture: Gesture) -> None:
        self.hovering.hide()
        self.gestures.begin(gesture)
        self._update_cursor()

    def _end(self, gesture: Gesture) -> None:
        self.gestures.end(gesture)
        self._update_cursor()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.setFocus(Qt.FocusReason.MouseFocusReason)
        self.search.close_box()
        pointer, button = self._pointer_of(event), event.button()
        self.gestures.pointer = pointer.view
        event.accept()
        if button == _MIDDLE or (button == _LEFT and self._space):
            self._space_used = True
            self._begin(Pan(self, pointer, Hit()))
        elif self.gestures:
            gesture = self.gestures.top
            if button == _RIGHT:
                self.gestures.cancel()
                self._update_cursor()
            elif button == _LEFT and gesture.press(pointer):
                self._end(gesture)
        elif button == _RIGHT and pointer.held(_CTRL):
            self._begin(Cut(self, pointer, Hit()))
        elif button == _LEFT:
            self._press(pointer)

    def _press(self, pointer: Pointer) -> None:
        hit = hit_test(self.graph_scene, pointer.scene, self.zoom)
        match hit.kind:
            case "port" if pointer.held(_ALT):
                keys = self.selecting.wires_of_port(hit.node, *hit.port)
                self.edits.disconnect(sorted(keys))
            case "dot" if pointer.held(_ALT):
                self.edits.remove_dot(hit.wire, hit.dot)
            case "wire" | "label" if pointer.held(_ALT):
                self.edits.disconnect([hit.wire])
            case "port":
                self._begin(Connect(self, pointer, hit, bundle=pointer.held(_CTRL)))
            case "node" | "title" | "frame":
                self._begin(Move(self, pointer, hit))
            case "edge":
                self._begin(ResizeFrame(self, pointer, hit))
            case "dot":
                self._begin(MoveDot(self, pointer, hit))
            case "wire" | "label":
                self.selecting.wire(hit.wire, add=bool(pointer.modifiers & (_SHIFT | _CTRL)))
            case _:
                self._begin(RubberBand(self, pointer, hit))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        event.accept()
        pointer = self._pointer_of(event)
        self.gestures.pointer = pointer.view
        if self.gestures:
            self.gestures.move(pointer)
        elif not event.buttons():
            self.hovering.at(pointer.scene)
            self._update_cursor()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        event.accept()
        if not self.gestures:
            return
        gesture = self.gestures.top
        ends = {Pan: (_MIDDLE, _LEFT), Cut: (_RIGHT,)}.get(type(gesture), (_LEFT,))
        if event.button() not in ends:
            return
        pointer = self._pointer_of(event)
        gesture.move(pointer)
        self.gestures.end(gesture)  # first: a release that edits must not cancel itself
        if not gesture.release(pointer):
            self.gestures.begin(gesture)
        self._update_cursor()
        if not self.gestures:
            self.hovering.at(self.mapToScene(pointer.view))

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        event.accept()
        if event.button() != _LEFT or self.gestures or self._space:
            self.mousePressEvent(event)
            return
        pointer = self._pointer_of(event)
        hit = hit_test(self.graph_scene, pointer.scene, self.zoom)
        match hit.kind:
            case "title":
                self.rename(hit.node)
            case "node":
                self.node_activated.emit(hit.node)
            case "wire":
                self.edits.add_dot(hit.wire, pointer.scene)
            case "dot":
                self.edits.remove_dot(hit.wire, hit.dot)
            case "label":
                self.open_search(pointer.scene, wire=hit.wire)
            case "frame":
                self.rename_frame(hit.frame)
            case "empty":
                self.open_search(pointer.scene)
            case _:
                self.mousePressEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        super().wheelEvent(event)
        self.gestures.move_again(event.modifiers())

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        if not self.gestures:
            self.gestures.pointer = None
            self.hovering.forget()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        event.accept()
        if self.gestures or event.modifiers() & _CTRL:
            return  # Ctrl with the right button cuts
        if event.reason() != QContextMenuEvent.Reason.Keyboard:
            pos = self.mapToScene(event.pos())
        elif self.project.selection:
            pos = self.graph_scene.content_rect(self.project.selection).center()
        else:
            pos = self.visible_rect().center()
        hit = hit_test(self.graph_scene, pos, self.zoom)
        if hit.kind in ("node", "title") and hit.node not in self.project.selection:
            self.selecting.only({hit.node})
        self.hovering.hide()
        menu = build_menu(self, hit, pos)
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(self.viewport().mapToGlobal(self.mapFromScene(pos)))

    def _update_cursor(self) -> None:
        hit = self.hovering.hit
        shape = self.gestures.cursor
        if shape is None:
            shape = Qt.CursorShape.ArrowCursor
            if self._space:
                shape = Qt.CursorShape.OpenHandCursor
            elif hit.kind == "port":
                shape = Qt.CursorShape.CrossCursor
            elif hit.kind == "dot":
                shape = Qt.CursorShape.SizeAllCursor
            elif hit.kind == "edge":
                shape = edge_cursor(hit.edges)
        set_cursor(self, shape)

    # -- drags from outside --------------------------------------------------------------------

    def dragEnterEvent(self, event) -> None:
        taken = self.adding.drag_enters(event.mimeData(), self._pointer_of(event))
        event.acceptProposedAction() if taken else event.ignore()

    def dragMoveEvent(self, event) -> None:
        taken = self.adding.drag_moves(self._pointer_of(event))
        event.acceptProposedAction() if taken else event.ignore()

    def dragLeaveEvent(self, event) -> None:
        self.adding.drag_leaves()

    def dropEvent(self, event) -> None:
        taken = self.adding.drop(self._pointer_of(event))
        event.acceptProposedAction() if taken else event.ignore()
        if taken:
            self.setFocus(Qt.FocusReason.MouseFocusReason)

    # -- keys ----------------------------------------------------------------------------------

    def actions_table(self) -> list[CanvasAction]:
        """Every command of the canvas, for registry, menus and key sheet."""
        return list(self._actions)

    def action(self, action_id: str) -> CanvasAction:
        return next(a for a in self._actions if a.id == action_id)

    def focusNextPrevChild(self, forward: bool) -> bool:
        return False  # Tab adds a node; F6 and the mouse lead out of the canvas

    def keyPressEvent(self, event: QKeyEvent) -> None:
        event.accept()
        key = Qt.Key(event.key())
        if key == Qt.Key.Key_Escape:
            self.escape()
            return
        if key == Qt.Key.Key_Space and not event.modifiers():
            if not event.isAutoRepeat() and not self._space:
                self._space, self._space_used = True, bool(self.gestures)
                self._update_cursor()
            return
        if key in _MODIFIER_KEYS:
            self.held_modifiers = event.modifiers() | _MODIFIER_KEYS[key]
            self.gestures.move_again(self.held_modifiers)
        name = QKeySequence(event.keyCombination()).toString(
            QKeySequence.SequenceFormat.PortableText
        )
        letter = event.text() if not event.modifiers() & (_CTRL | _ALT) else ""
        action = self._keys.get(name) or self._keys.get(letter)
        if action is not None and not self.gestures:
            action.method()
        else:
            event.ignore()

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        event.accept()
        key = Qt.Key(event.key())
        if key == Qt.Key.Key_Space and not event.isAutoRepeat() and self._space:
            self._space = False
            self._update_cursor()
            if not self._space_used:
                self.open_search()
            return
        if key in _MODIFIER_KEYS:
            self.held_modifiers = event.modifiers() & ~_MODIFIER_KEYS[key]
            self.gestures.move_again(self.held_modifiers)
        event.ignore()

    def focusOutEvent(self, event) -> None:
        super().focusOutEvent(event)
        self._space = False
        self._update_cursor()

    def escape(self) -> None:
        """Cancel the gesture; without one, deselect."""
        if self.gestures.cancel():
            self._update_cursor()
        else:
            self.hovering.hide()
            self.selecting.clear()

    # -- search to add -------------------------------------------------------------------------

    def open_search(
        self,
        scene_pos: QPointF | None = None,
        *,
        connect_from: End | None = None,
        connect_to: End | None = None,
        wire: WireKey | None = None,
    ) -> None:
        """Open the search box at a scene position, at the pointer if left out.

        With an end or a wire given, only what could be wired there is offered, and wired.
        """
        self.hovering.hide()
        self.gestures.cancel()
        pos = scene_pos if scene_pos is not None else self.paste_point()
        self.adding.open(Wish(pos, connect_from, connect_to, wire))

    def add_at_center(self, type_id: str) -> str | None:
        """Add a node in the middle of the view; its id."""
        return self.adding.at_center(type_id)
