"""The node editor's widget: paints, navigates, and hands the pointer to gestures."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QCursor,
    QInputDevice,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QTransform,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QGraphicsView, QWidget

from graphstudio.document.model import ChangeSet, Node
from graphstudio.i18n import render, tr
from graphstudio.ir.diagnostics import Diagnostic
from graphstudio.ir.fixes import fix_changes
from graphstudio.nodes.spec import find_type
from graphstudio.nodes.types import Fix, Message
from graphstudio.ui.canvas.actions import CanvasAction, canvas_actions
from graphstudio.ui.canvas.backdrop import paint_grid, paint_hint
from graphstudio.ui.canvas.cards import Card, node_card, wire_card
from graphstudio.ui.canvas.edits import Edits, added, reach
from graphstudio.ui.canvas.face import GRID, NodeFace
from graphstudio.ui.canvas.gestures.base import Gesture, Pointer
from graphstudio.ui.canvas.gestures.connect import Connect
from graphstudio.ui.canvas.gestures.cut import Cut
from graphstudio.ui.canvas.gestures.move import Move, snapped
from graphstudio.ui.canvas.gestures.pan import Pan
from graphstudio.ui.canvas.gestures.place import Place
from graphstudio.ui.canvas.gestures.resize_frame import ResizeFrame
from graphstudio.ui.canvas.gestures.rubber_band import RubberBand
from graphstudio.ui.canvas.hit import Hit, hit_test
from graphstudio.ui.canvas.menus import build_menu
from graphstudio.ui.canvas.minimap import Minimap
from graphstudio.ui.canvas.overview import Overview
from graphstudio.ui.canvas.rename import RenameEditor
from graphstudio.ui.canvas.scene import GraphScene, WireKey
from graphstudio.ui.canvas.search import SearchPopup
from graphstudio.ui.canvas.style import CanvasStyle
from graphstudio.ui.canvas.suggest import End, input_for, output_for
from graphstudio.ui.palette.entries import NODE_MIME, Entry, RecentTypes
from graphstudio.ui.project import Project
from graphstudio.ui.theme import Theme

MIN_ZOOM, MAX_ZOOM, ZOOM_STEP = 0.05, 4.0, 1.15
OVERVIEW_ZOOM = 0.45
MOVING_OVERVIEW_ZOOM = 0.62
"""Limit while panning or zooming on a screen with two or more device pixels a pixel."""
_IDLE_MS = 120
_HOVER_MS = 400
_SCROLL_EDGE = 26
_WORLD = 100_000.0
_FIT_MARGIN = 48
_ALT, _CTRL, _SHIFT = (
    Qt.KeyboardModifier.AltModifier,
    Qt.KeyboardModifier.ControlModifier,
    Qt.KeyboardModifier.ShiftModifier,
)


class GraphView(QGraphicsView):
    """Shows and edits the project's graph."""

    status_message = Signal(str)
    """A sentence for the status bar: why something was not done."""
    zoom_changed = Signal(float)
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
        # The view does not own its scene: without this reference it would be collected.
        graph = project.document.graph(project.graph_id)
        self.graph_scene = GraphScene(graph, self.style_, self)
        self.overview = Overview(self.graph_scene)
        self.edits = Edits(self)
        self.selected_wires: frozenset[WireKey] = frozenset()
        self.selected_frames: frozenset[str] = frozenset()
        self.wheel_pans = False
        """True if the wheel should pan and only Ctrl with it zoom."""
        self._gestures: list[Gesture] = []
        self._painted = QRect()
        self._space = self._space_used = False
        self._moving = False
        self._fit_pending = True
        self._pointer: QPoint | None = None
        self._hover = Hit()
        self._place: Place | None = None
        self._search_for: dict[str, object] = {}
        self._search_pos = QPointF()
        self._zoom = 1.0

        self._set_up_view()
        self.card = Card(self)
        self.rename_editor = RenameEditor(self)
        self.search = SearchPopup(theme, self.recent, self)
        self.search.chosen.connect(self._add_chosen)
        self.minimap = Minimap(self)
        self._actions = canvas_actions(self)
        self._keys = {k: a for a in self._actions for k in a.keys}

        self._idle = QTimer(self, singleShot=True, interval=_IDLE_MS)
        self._idle.timeout.connect(self._settle)
        self._hover_timer = QTimer(self, singleShot=True, interval=_HOVER_MS)
        self._hover_timer.timeout.connect(self._show_card)
        self._scroll_timer = QTimer(self, interval=16)
        self._scroll_timer.timeout.connect(self._auto_scroll)
        self._follow()

    def _set_up_view(self) -> None:
        self.setScene(self.graph_scene)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setSceneRect(-_WORLD, -_WORLD, 2 * _WORLD, 2 * _WORLD)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setViewportUpdateMode(QGraphicsView.ViewportUpdateMode.SmartViewportUpdate)
        self.setOptimizationFlag(QGraphicsView.OptimizationFlag.DontAdjustForAntialiasing)
        self.setOptimizationFlag(QGraphicsView.OptimizationFlag.DontSavePainterState, False)
        self.setRenderHint(QPainter.RenderHint.Antialiasing)
        self.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        self.setTransformationAnchor(QGraphicsView.ViewportAnchor.NoAnchor)
        self.setResizeAnchor(QGraphicsView.ViewportAnchor.AnchorViewCenter)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAcceptDrops(True)
        self.viewport().setMouseTracking(True)
        self.viewport().setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName(tr("Graph editor"))

    def _follow(self) -> None:
        project, scene = self.project, self.graph_scene
        project.changed.connect(self._on_changed)
        project.checked.connect(scene.apply_result)
        project.checked.connect(self._repaint_far)
        project.selection_changed.connect(self._on_selection)
        project.refused.connect(self.status_message)
        scene.content_changed.connect(self.minimap.invalidate)
        scene.content_changed.connect(self._repaint_far)
        self.theme.changed.connect(self._restyle)
        scene.apply_result(project.result)
        self._on_selection()
        kept = project.document.view.get("canvas")
        if isinstance(kept, dict):
            self._restore(kept)

    # -- following -----------------------------------------------------------------------------

    def _on_changed(self, changes: ChangeSet) -> None:
        self.graph_scene.apply(changes)
        self.selected_wires &= self.graph_scene.wires.keys()
        self.selected_frames &= self.graph_scene.frames.keys()
        self._hover = Hit()
        if len(self.graph_scene.nodes) <= 1:
            self.viewport().update()  # the hint for an empty canvas comes or goes

    def _on_selection(self) -> None:
        self.graph_scene.select(self.project.selection)
        self._repaint_far()

    def _restyle(self) -> None:
        self.style_ = CanvasStyle(self.theme.tokens)
        self.graph_scene.restyle(self.style_)
        self.minimap.invalidate()
        self.card.hide()
        self.viewport().update()

    def retranslate(self) -> None:
        """Show all texts in the active language."""
        self.setAccessibleName(tr("Graph editor"))
        self.minimap.retranslate()
        self.search.close_box()
        self._restyle()

    def _repaint_far(self, *_: object) -> None:
        if self.far:
            self.viewport().update()

    # -- zoom and place ------------------------------------------------------------------------

    @property
    def zoom(self) -> float:
        return self._zoom

    @property
    def far(self) -> bool:
        """True while the overview is painted instead of the items."""
        sharp = self.devicePixelRatioF() >= 2.0
        limit = MOVING_OVERVIEW_ZOOM if self._moving and sharp else OVERVIEW_ZOOM
        return self._zoom < limit

    def visible_rect(self) -> QRectF:
        """What is in view, in scene coordinates."""
        corners = self.viewport().rect()
        return QRectF(
            self.mapToScene(corners.topLeft()), self.mapToScene(corners.bottomRight())
        ).adjusted(0, 0, 1 / self._zoom, 1 / self._zoom)

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
        self.pan_by(-shift.x(), -shift.y())
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
        self.horizontalScrollBar().setValue(self.horizontalScrollBar().value() - dx)
        self.verticalScrollBar().setValue(self.verticalScrollBar().value() - dy)
        self._moved()

    def center_on(self, pos: QPointF) -> None:
        self.centerOn(pos)
        self._moved()

    def _moved(self) -> None:
        self.card.hide()
        self._moving = True
        if self.devicePixelRatioF() >= 2.0:
            self.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        self._idle.start()
        self.minimap.update()
        if self._gestures or self._place or self.far:
            self.viewport().update()

    def _settle(self) -> None:
        """The view has come to rest: paint it well, and remember where it is."""
        self._moving = False
        if self.devicePixelRatioF() >= 2.0:
            self.setRenderHint(QPainter.RenderHint.Antialiasing, True)
            self.viewport().update()
        center = self.mapToScene(self.viewport().rect().center())
        self.project.document.view["canvas"] = {
            "zoom": round(self._zoom, 4),
            "center": [round(center.x(), 1), round(center.y(), 1)],
        }

    def _restore(self, kept: dict) -> None:
        zoom, center = kept.get("zoom"), kept.get("center")
        numbers = [zoom, *center] if isinstance(center, list) and len(center) == 2 else [None]
        if all(isinstance(n, int | float) and math.isfinite(n) for n in numbers):
            self.set_zoom(float(zoom))
            self.centerOn(float(center[0]), float(center[1]))
            self._fit_pending = False

    def fit_all(self) -> None:
        """Show everything."""
        self._fit(self.graph_scene.content_rect())

    def fit_selection(self) -> None:
        """Show the selection, or everything if nothing is selected."""
        if self.project.selection:
            self._fit(self.graph_scene.content_rect(self.project.selection))
        else:
            self.fit_all()

    def _fit(self, rect: QRectF) -> None:
        if rect.isEmpty():
            self.set_zoom(1.0)
            self.center_on(QPointF(0, 0))
            return
        room = self.viewport().size() - QSize(2 * _FIT_MARGIN, 2 * _FIT_MARGIN)
        zoom = min(
            max(room.width(), 50) / rect.width(), max(room.height(), 50) / rect.height(), 1.0
        )
        self.set_zoom(zoom)
        self.center_on(rect.center())

    def reveal(self, node_id: str) -> None:
        """Select a node and bring it into view."""
        item = self.graph_scene.nodes.get(node_id)
        if item is None:
            return
        self.clear_selection()
        self.project.select({node_id})
        if self._zoom < OVERVIEW_ZOOM:
            self.set_zoom(1.0)
        if not self.visible_rect().adjusted(40, 40, -40, -40).contains(item.body_rect()):
            self.center_on(item.body_rect().center())

    # -- painting ------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self.far:
            self.graph_scene.place_labels()
            super().paintEvent(event)
            return
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        visible = self.visible_rect()
        painter.setTransform(self.viewportTransform())
        self.drawBackground(painter, visible)
        self.overview.paint(painter, visible, self._zoom, self.style_)
        self.drawForeground(painter, visible)
        painter.end()

    def drawBackground(self, painter: QPainter, rect: QRectF) -> None:
        paint_grid(painter, rect, self._zoom, self.style_)

    def drawForeground(self, painter: QPainter, rect: QRectF) -> None:
        for gesture in [*self._gestures, *([self._place] if self._place else [])]:
            painter.save()
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            gesture.paint(painter, self._zoom)
            painter.restore()
        if not self.graph_scene.nodes and self._place is None:
            painter.save()
            painter.resetTransform()
            dpr = self.viewport().devicePixelRatioF()
            painter.scale(dpr, dpr)
            paint_hint(painter, QRectF(self.viewport().rect()), self.style_)
            painter.restore()

    def refresh_overview(self) -> None:
        """Something lifted has moved; only the overview has to be told."""
        if self.far:
            self.viewport().update()

    def _refresh_overlay(self) -> None:
        """Repaint where gestures draw now, and where they drew before."""
        rect = QRectF()
        for gesture in [*self._gestures, *([self._place] if self._place else [])]:
            rect = rect.united(gesture.bounds())
        now = self.mapFromScene(rect).boundingRect().adjusted(-30, -40, 30, 30)
        if rect.isEmpty() and rect.width() <= 0 and rect.height() <= 0:
            now = QRect()
        dirty = now.united(self._painted)
        self._painted = now
        if not dirty.isEmpty():
            self.viewport().update(dirty)

    # -- the pointer ---------------------------------------------------------------------------

    def _pointer_of(self, event) -> Pointer:
        pos = event.position().toPoint()
        return Pointer(self.mapToScene(pos), pos, event.modifiers())

    def _hit(self, pos: QPointF) -> Hit:
        return hit_test(self.graph_scene, pos, self._zoom)

    def _begin(self, gesture: Gesture) -> None:
        self._gestures.append(gesture)
        self._hover_timer.stop()
        self.card.hide()
        self._update_cursor()
        if gesture.auto_scroll:
            self._scroll_timer.start()

    def _end(self, gesture: Gesture) -> None:
        if gesture in self._gestures:
            self._gestures.remove(gesture)
        if not any(g.auto_scroll for g in self._gestures):
            self._scroll_timer.stop()
        self._refresh_overlay()
        self._update_cursor()

    def cancel_gesture(self) -> bool:
        """Call off what the pointer is doing; False if it was doing nothing."""
        if not self._gestures:
            return False
        gesture = self._gestures[-1]
        gesture.cancel()
        self._end(gesture)
        self.viewport().update()
        return True

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.setFocus(Qt.FocusReason.MouseFocusReason)
        self.search.close_box()
        pointer = self._pointer_of(event)
        button = event.button()
        event.accept()
        if button == Qt.MouseButton.MiddleButton or (
            button == Qt.MouseButton.LeftButton and self._space
        ):
            self._space_used = True
            self._begin(Pan(self, pointer, Hit()))
            return
        if self._gestures:
            if button == Qt.MouseButton.RightButton:
                self.cancel_gesture()
            elif self._gestures[-1].press(pointer):
                self._end(self._gestures[-1])
            return
        if button == Qt.MouseButton.RightButton:
            if pointer.held(_CTRL):
                self._begin(Cut(self, pointer, Hit()))
            return
        if button == Qt.MouseButton.LeftButton:
            self._press(pointer)

    def _press(self, pointer: Pointer) -> None:
        hit = self._hit(pointer.scene)
        match hit.kind:
            case "port" if pointer.held(_ALT):
                assert hit.port is not None
                self.edits.disconnect(sorted(self.wires_of_port(hit.node, *hit.port)))
            case "wire" | "label" if pointer.held(_ALT):
                self.edits.disconnect([hit.wire])
            case "port":
                self._begin(Connect(self, pointer, hit, bundle=pointer.held(_CTRL)))
            case "node" | "title" | "frame":
                self._begin(Move(self, pointer, hit))
            case "edge":
                self._begin(ResizeFrame(self, pointer, hit))
            case "wire" | "label":
                self.select_wire(hit.wire, add=pointer.held(_SHIFT) or pointer.held(_CTRL))
            case _:
                self._begin(RubberBand(self, pointer, hit))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        event.accept()
        self._pointer = event.position().toPoint()
        pointer = self._pointer_of(event)
        if self._gestures:
            self._gestures[-1].move(pointer)
            self._refresh_overlay()
        else:
            self._hover_at(pointer.scene)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        event.accept()
        if not self._gestures:
            return
        gesture = self._gestures[-1]
        buttons = {
            Pan: (Qt.MouseButton.MiddleButton, Qt.MouseButton.LeftButton),
            Cut: (Qt.MouseButton.RightButton,),
        }
        if event.button() not in buttons.get(type(gesture), (Qt.MouseButton.LeftButton,)):
            return
        pointer = self._pointer_of(event)
        gesture.move(pointer)
        if gesture.release(pointer):
            self._end(gesture)
            if not self._gestures:
                self._hover_at(self.mapToScene(pointer.view))

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        event.accept()
        if event.button() != Qt.MouseButton.LeftButton or self._gestures:
            self.mousePressEvent(event)
            return
        pointer = self._pointer_of(event)
        hit = self._hit(pointer.scene)
        match hit.kind:
            case "title":
                self.rename(hit.node)
            case "node":
                self.node_activated.emit(hit.node)
            case "wire" | "label":
                self.open_search(pointer.scene, wire=hit.wire)
            case "frame":
                self.rename_frame(hit.frame)
            case "empty":
                self.open_search(pointer.scene)
            case _:
                self.mousePressEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._pointer = None
        self._hover_timer.stop()
        if not self._gestures:
            self._set_hover(Hit())
            self.card.hide()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        event.accept()
        if self._gestures or event.modifiers() & _CTRL:
            return
        if event.reason() == QContextMenuEvent.Reason.Keyboard:
            pos = self._keyboard_point()
        else:
            pos = self.mapToScene(event.pos())
        hit = self._hit(pos)
        if hit.kind in ("node", "title") and hit.node not in self.project.selection:
            self.clear_selection()
            self.project.select({hit.node})
        self.card.hide()
        menu = build_menu(self, hit, pos)
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(self.mapToGlobal(self.mapFromScene(pos)))

    def _keyboard_point(self) -> QPointF:
        """Where a menu opened by key belongs: on the selection, else in the middle."""
        if self.project.selection:
            rect = self.graph_scene.content_rect(self.project.selection)
            return rect.center()
        return self.mapToScene(self.viewport().rect().center())

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.accept()
        device = event.device()
        pad = event.phase() != Qt.ScrollPhase.NoScrollPhase or (
            device is not None and device.type() == QInputDevice.DeviceType.TouchPad
        )
        zooms = bool(event.modifiers() & _CTRL) or not (pad or self.wheel_pans)
        if event.modifiers() & _SHIFT and not event.modifiers() & _CTRL:
            zooms = False
        pixels, angle = event.pixelDelta(), event.angleDelta()
        if zooms:
            steps = angle.y() / 120.0
            if steps:
                self.zoom_by(ZOOM_STEP**steps, event.position().toPoint())
        else:
            delta = pixels if pad and not pixels.isNull() else angle * 0.5
            if event.modifiers() & _SHIFT and not delta.x():
                delta = QPoint(delta.y(), 0)
            self.pan_by(delta.x(), delta.y())
        self._move_gesture_again(event.modifiers())

    def viewportEvent(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.NativeGesture:
            if event.gestureType() == Qt.NativeGestureType.ZoomNativeGesture:
                self.zoom_by(1.0 + event.value(), event.position().toPoint())
            return True
        if event.type() == QEvent.Type.ToolTip:
            return True  # the cards say more
        return super().viewportEvent(event)

    def _move_gesture_again(self, modifiers: Qt.KeyboardModifier) -> None:
        """The view moved under a resting pointer: tell the gesture where it is now."""
        if self._gestures and self._pointer is not None:
            pos = self._pointer
            self._gestures[-1].move(Pointer(self.mapToScene(pos), pos, modifiers))
            self._refresh_overlay()

    def _auto_scroll(self) -> None:
        if not self._gestures or self._pointer is None or not self._gestures[-1].dragging:
            return
        area, p = self.viewport().rect(), self._pointer
        dx = max(0, _SCROLL_EDGE - p.x()) - max(0, p.x() - (area.right() - _SCROLL_EDGE))
        dy = max(0, _SCROLL_EDGE - p.y()) - max(0, p.y() - (area.bottom() - _SCROLL_EDGE))
        if dx or dy:
            self.pan_by(max(-30, min(dx // 2, 30)), max(-30, min(dy // 2, 30)))
            self._move_gesture_again(Qt.KeyboardModifier.NoModifier)

    def _update_cursor(self) -> None:
        gesture = self._gestures[-1] if self._gestures else None
        if gesture is not None and gesture.cursor is not None:
            shape = gesture.cursor
        elif self._space:
            shape = Qt.CursorShape.OpenHandCursor
        elif self._hover.kind == "port":
            shape = Qt.CursorShape.CrossCursor
        elif self._hover.kind == "edge":
            shape = _edge_cursor(self._hover.edges)
        else:
            shape = Qt.CursorShape.ArrowCursor
        if self.viewport().cursor().shape() != shape:
            self.viewport().setCursor(QCursor(shape))

    # -- hovering ------------------------------------------------------------------------------

    def _hover_at(self, pos: QPointF) -> None:
        hit = self._hit(pos)
        if hit != self._hover:
            self._set_hover(hit)
            self.card.hide()
            self._update_cursor()
        if hit.kind != "empty" and not self.card.isVisible():
            self._hover_timer.start()
        elif hit.kind == "empty":
            self._hover_timer.stop()

    def _set_hover(self, hit: Hit) -> None:
        old, self._hover = self._hover, hit
        scene = self.graph_scene
        for h, on in ((old, False), (hit, True)):
            item = scene.nodes.get(h.node)
            if item is not None:
                item.state.hovered = on
                item.state.hot = h.port if on else None
                item.update()
            keys = scene.wires_at(h.node) if h.node else ()
            for key in (*keys, *([h.wire] if h.wire else ())):
                wire = scene.wires.get(key)
                if wire is not None:
                    wire.hovered = on
                    wire.update()
        if self.far:
            self.viewport().update()

    def _show_card(self) -> None:
        if self._gestures or self._pointer is None or self.search.isVisible():
            return
        hit, scene = self._hover, self.graph_scene
        if hit.kind in ("node", "title", "port") and hit.node in scene.nodes:
            title, lines, pairs = node_card(scene, hit.node)
        elif hit.wire in scene.wires:
            title, lines, pairs = wire_card(scene, hit.wire)
        else:
            return
        self.card.show_at(self.style_, self._pointer, title, lines, pairs)

    def show_tip(self, title: str, lines: Sequence[str], pos: QPoint, *, bad: bool) -> None:
        """A card at the pointer while a gesture lasts."""
        self.card.show_at(self.style_, pos, title, lines, bad=bad)

    def hide_tip(self) -> None:
        self.card.hide()

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
        if event.key() == Qt.Key.Key_Escape:
            self.escape()
            return
        if event.key() == Qt.Key.Key_Space and not event.modifiers():
            if not event.isAutoRepeat() and not self._space:
                self._space, self._space_used = True, bool(self._gestures)
                self._update_cursor()
            return
        if event.key() in (Qt.Key.Key_Shift, Qt.Key.Key_Control, Qt.Key.Key_Alt):
            self._move_gesture_again(_with(event, down=True))
        combination = QKeySequence(event.keyCombination())
        name = combination.toString(QKeySequence.SequenceFormat.PortableText)
        plain = event.text() if not event.modifiers() & (_CTRL | _ALT) else ""
        action = self._keys.get(name) or self._keys.get(plain)
        if action is not None and not self._gestures:
            action.method()
            return
        event.ignore()

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        event.accept()
        if event.key() == Qt.Key.Key_Space and not event.isAutoRepeat() and self._space:
            self._space = False
            self._update_cursor()
            if not self._space_used:
                self.open_search()
            return
        if event.key() in (Qt.Key.Key_Shift, Qt.Key.Key_Control, Qt.Key.Key_Alt):
            self._move_gesture_again(_with(event, down=False))
        event.ignore()

    def focusOutEvent(self, event) -> None:
        super().focusOutEvent(event)
        self._space = False
        self._update_cursor()

    def escape(self) -> None:
        """Cancel the gesture; without one, deselect."""
        if not self.cancel_gesture():
            self.card.hide()
            self.clear_selection()

    # -- search to add -------------------------------------------------------------------------

    def open_search(
        self,
        scene_pos: QPointF | None = None,
        *,
        connect_from: End | None = None,
        connect_to: End | None = None,
        wire: WireKey | None = None,
    ) -> None:
        """Open the search box, limited to what could be wired here if ends are given."""
        self.card.hide()
        self.cancel_gesture()
        pos = scene_pos if scene_pos is not None else self._paste_point()
        self._search_pos = pos
        self._search_for = {"from": connect_from, "to": connect_to, "wire": wire}
        scene = self.graph_scene
        title = ""

        def accepts(entry: Entry) -> bool:
            cls = find_type(entry.type_id)
            if cls is None:
                return False
            if connect_from is not None:
                return input_for(scene, connect_from, cls) is not None
            if connect_to is not None:
                return output_for(scene, connect_to, cls) is not None
            if wire is not None:
                source = scene.graph.wires[wire]
                begins = (source.source, source.source_port)
                return (
                    input_for(scene, begins, cls) is not None
                    and output_for(scene, wire, cls) is not None
                )
            return True

        for end, words in (
            (connect_from, Message("After “{node}”")),
            (connect_to, Message("Before “{node}”")),
            (wire, Message("On the wire to “{node}”")),
        ):
            if end is not None:
                label = scene.graph.nodes[end[0]].label
                title = render(Message(words.template, {"node": label}))
        free = connect_from is None and connect_to is None and wire is None
        self.search.open_at(
            self.mapFromScene(pos),
            accepts=accepts,
            title=title,
            can_wire=free and bool(self.project.selection),
        )

    def _add_chosen(self, type_id: str, wired: bool) -> None:
        asked, pos = self._search_for, snapped(self._search_pos)
        connect_from, connect_to, wire = asked["from"], asked["to"], asked["wire"]
        if wire is not None and wire in self.graph_scene.wires:
            corner = self._search_pos - QPointF(self.width_of(type_id) / 2, 64)
            self.edits.insert_on_wire(type_id, wire, _pair(snapped(corner)))
        elif connect_from is not None:
            self.edits.add(type_id, _pair(pos - QPointF(0, 60)), connect_from=[connect_from])
        elif connect_to is not None:
            corner = pos - QPointF(self.width_of(type_id), 60)
            self.edits.add(type_id, _pair(snapped(corner)), connect_to=connect_to)
        elif wired and self.project.selection:
            ends, place = self.edits.after(self.project.selection)
            added_id = self.edits.add(type_id, _pair(place), connect_from=ends)
            if added_id is not None:
                self._bring_in(added_id)
        else:
            corner = self._search_pos - QPointF(self.width_of(type_id) / 2, 14)
            self.edits.add(type_id, _pair(snapped(corner)))

    def add_at_center(self, type_id: str) -> str | None:
        """Add a node in the middle of the view, beside what is there already."""
        middle = self.mapToScene(self.viewport().rect().center())
        corner = snapped(middle - QPointF(self.width_of(type_id) / 2, 40))
        bodies = [i.body_rect() for i in self.graph_scene.nodes.values()]
        size = QRectF(0, 0, self.width_of(type_id), 100)
        while any(size.translated(corner).intersects(b) for b in bodies):
            corner += QPointF(GRID, GRID)
        return self.edits.add(type_id, _pair(corner))

    def width_of(self, type_id: str) -> float:
        """Width of a new node of this type."""
        cls = find_type(type_id)
        label = render(Message(cls.label)) if cls else type_id
        return NodeFace(Node(id="", type=type_id, label=label), self.style_).width

    def _bring_in(self, node_id: str) -> None:
        """Scroll just enough to see a node."""
        rect = self.graph_scene.nodes[node_id].body_rect().adjusted(-40, -40, 40, 40)
        seen = self.visible_rect()
        dx = max(0.0, rect.right() - seen.right()) - max(0.0, seen.left() - rect.left())
        dy = max(0.0, rect.bottom() - seen.bottom()) - max(0.0, seen.top() - rect.top())
        if dx or dy:
            self.pan_by(round(-dx * self._zoom), round(-dy * self._zoom))

    # -- drag from the palette -------------------------------------------------------------------

    def dragEnterEvent(self, event) -> None:
        if not event.mimeData().hasFormat(NODE_MIME):
            event.ignore()
            return
        type_id = bytes(event.mimeData().data(NODE_MIME).data()).decode("utf-8", "replace")
        if find_type(type_id) is None:
            event.ignore()
            return
        event.acceptProposedAction()
        pointer = self._pointer_of(event)
        self._place = Place(self, pointer, Hit(), type_id)
        self._refresh_overlay()
        self.viewport().update()

    def dragMoveEvent(self, event) -> None:
        if self._place is None:
            event.ignore()
            return
        event.acceptProposedAction()
        self._place.move(self._pointer_of(event))
        self._refresh_overlay()

    def dragLeaveEvent(self, event) -> None:
        self._place = None
        self._refresh_overlay()
        self.viewport().update()

    def dropEvent(self, event) -> None:
        place, self._place = self._place, None
        if place is None:
            event.ignore()
            return
        event.acceptProposedAction()
        place.move(self._pointer_of(event))
        place.drop()
        self._refresh_overlay()
        self.setFocus(Qt.FocusReason.MouseFocusReason)

    # -- selection -------------------------------------------------------------------------------

    def select_all(self) -> None:
        self.project.select(self.graph_scene.nodes)

    def clear_selection(self) -> None:
        """Select nothing: no node, no wire, no frame."""
        self.project.select(())
        self._select_wires(frozenset())
        self._select_frames(frozenset())

    def invert_selection(self) -> None:
        self.project.select(self.graph_scene.nodes.keys() - self.project.selection)

    def select_wire(self, key: WireKey | None, *, add: bool = False) -> None:
        if key is None:
            return
        keys = self.selected_wires ^ {key} if add else frozenset({key})
        if not add:
            self.clear_selection()
        self._select_wires(keys)

    def _select_wires(self, keys: frozenset[WireKey]) -> None:
        for key in self.selected_wires ^ keys:
            item = self.graph_scene.wires.get(key)
            if item is not None:
                item.selected = key in keys
                item.update()
        self.selected_wires = keys
        self._repaint_far()

    def select_frame(self, frame_id: str, *, add: bool = False) -> None:
        if frame_id in self.selected_frames:
            return
        keep = self.selected_frames if add else frozenset()
        if not add:
            self.clear_selection()
        self._select_frames(keep | {frame_id})

    def _select_frames(self, ids: frozenset[str]) -> None:
        for frame_id in self.selected_frames ^ ids:
            item = self.graph_scene.frames.get(frame_id)
            if item is not None:
                item.selected = frame_id in ids
                item.update()
        self.selected_frames = ids
        self._repaint_far()

    def select_frame_nodes(self, frame_id: str) -> None:
        nodes = self.graph_scene.children_of(frame_id)
        self.clear_selection()
        self.project.select(nodes)

    def select_neighbours(self, *, forward: bool, far: bool = False) -> None:
        """Replace the selection by what it feeds (or what feeds it); ``far``: all of it, added."""
        chosen = self.project.selection
        if not chosen:
            return
        if far:
            self.project.select(reach(self.graph_scene, chosen, forward=forward))
            return
        wires = [
            self.graph_scene.graph.wires[k] for n in chosen for k in self.graph_scene.wires_at(n)
        ]
        found = {
            w.target if forward else w.source
            for w in wires
            if (w.source if forward else w.target) in chosen
        }
        if found:
            self.project.select(found)
            for node_id in found:
                self._bring_in(node_id)

    def select_towards(self, dx: int, dy: int) -> None:
        """Select the nearest node in a direction from the selection, or from the middle."""
        scene = self.graph_scene
        if not scene.nodes:
            return
        if self.project.selection:
            start = scene.content_rect(self.project.selection).center()
        else:
            start = self.visible_rect().center()
        best: tuple[float, str] | None = None
        for node_id, item in scene.nodes.items():
            if node_id in self.project.selection:
                continue
            delta = item.body_rect().center() - start
            along = delta.x() * dx + delta.y() * dy
            across = abs(delta.x() * dy) + abs(delta.y() * dx)
            if along > 1 and across <= 2.5 * along:
                cost = along + 2 * across
                if best is None or cost < best[0]:
                    best = (cost, node_id)
        if best is not None:
            self.project.select({best[1]})
            self._bring_in(best[1])

    def nodes_at_port(self, node_id: str, port: str, is_output: bool) -> frozenset[WireKey]:
        return self.wires_of_port(node_id, port, is_output)

    def wires_of_port(self, node_id: str, port: str, is_output: bool) -> frozenset[WireKey]:
        """Keys of the wires at a port."""
        wires = self.graph_scene.graph.wires
        if not is_output:
            return frozenset({(node_id, port)} & wires.keys())
        return frozenset(
            k
            for k in self.graph_scene.wires_at(node_id)
            if (wires[k].source, wires[k].source_port) == (node_id, port)
        )

    # -- commands --------------------------------------------------------------------------------

    def _paste_point(self) -> QPointF:
        inside = self._pointer is not None and self.viewport().rect().contains(self._pointer)
        return self.mapToScene(self._pointer if inside else self.viewport().rect().center())

    def undo(self) -> None:
        self._step(self.project.undo)

    def redo(self) -> None:
        self._step(self.project.redo)

    def _step(self, step) -> None:
        """Undo or redo, and scroll to what changed if none of it is in view."""
        self.cancel_gesture()
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

    def copy(self) -> None:
        self.edits.copy(self._with_frames())

    def cut(self) -> None:
        nodes = self._with_frames()
        if self.edits.copy(nodes):
            self.edits.delete(nodes, frames=self.selected_frames)

    def paste(self, pos: QPointF | None = None, *, keep_inputs: bool = False) -> None:
        """Paste at a scene position, at the pointer if left out."""
        at = snapped(pos if pos is not None else self._paste_point())
        self.edits.paste(_pair(at), keep_inputs=keep_inputs)

    def paste_keeping_inputs(self) -> None:
        self.paste(keep_inputs=True)

    def duplicate(self) -> None:
        self.edits.duplicate(self._with_frames())

    def _with_frames(self) -> frozenset[str]:
        """Selected nodes, and those in selected frames."""
        inside = {n for f in self.selected_frames for n in self.graph_scene.children_of(f)}
        return self.project.selection | inside

    def delete_selection(self, heal: bool = False) -> None:
        """Delete selected nodes, wires and frames; ``heal`` reconnects what they joined."""
        self.edits.delete(
            self.project.selection,
            wires=self.selected_wires,
            frames=self.selected_frames,
            heal=heal,
        )

    def delete_and_heal(self) -> None:
        self.delete_selection(heal=True)

    def rename_selected(self) -> None:
        if len(self.project.selection) == 1:
            self.rename(next(iter(self.project.selection)))
        elif len(self.selected_frames) == 1:
            self.rename_frame(next(iter(self.selected_frames)))

    def rename(self, node_id: str) -> None:
        """Edit a node's name in place."""
        item = self.graph_scene.nodes[node_id]
        self._bring_in(node_id)
        rect = self.mapFromScene(item.face.title_rect.translated(item.pos())).boundingRect()
        self.card.hide()
        self.rename_editor.open_on(
            rect, item.node.label, self.style_, lambda text: self.edits.rename(node_id, text)
        )

    def rename_frame(self, frame_id: str) -> None:
        item = self.graph_scene.frames[frame_id]
        rect = self.mapFromScene(item.title_rect()).boundingRect()
        rect = rect.intersected(self.viewport().rect().adjusted(4, 4, -4, -4))
        self.rename_editor.open_on(
            rect,
            item.frame.title,
            self.style_,
            lambda text: self.edits.rename_frame(frame_id, text),
        )

    def toggle_bypass(self) -> None:
        if self.project.selection:
            self.edits.toggle_bypass(self.project.selection)

    def connect_in_order(self) -> None:
        if len(self.project.selection) > 1:
            self.edits.connect_in_order(self.project.selection)

    def frame_selection(self) -> None:
        """Draw a frame around the selection and ask for its title."""
        frame_id = self.edits.frame_around(self.project.selection)
        if frame_id is not None:
            self.rename_frame(frame_id)

    def nudge(self, dx: int, dy: int) -> None:
        """Move the selection by grid steps."""
        if self.project.selection:
            self.edits.nudge(self.project.selection, dx * GRID, dy * GRID)
        elif not self.selected_frames:
            self.pan_by(-dx * 2 * GRID, -dy * 2 * GRID)

    def align(self, side: str) -> None:
        self.edits.align(self.project.selection, side)

    def auto_layout(self) -> None:
        """Arrange the selection, or everything if fewer than two nodes are selected."""
        if len(self.project.selection) > 1:
            self.edits.layout(self.project.selection)
        else:
            self.edits.layout()
            self.fit_all()

    def layout_downstream(self) -> None:
        if self.project.selection:
            self.edits.layout(reach(self.graph_scene, self.project.selection, forward=True))

    def apply_fix(self, problem: Diagnostic, fix: Fix) -> None:
        """Carry out a fix that the checker offers."""
        graph_id = self.graph_scene.graph.id
        command = fix_changes(self.project.document, graph_id, problem, fix)
        if self.project.push(command):
            new = added(command[1])
            if new:
                self.project.select(new)

    def toggle_labels(self) -> None:
        """Shapes on wires: on or off."""
        self.graph_scene.set_show_labels(not self.graph_scene.show_labels)

    def toggle_minimap(self) -> None:
        self.minimap.setVisible(not self.minimap.isVisibleTo(self))

    # -- size ------------------------------------------------------------------------------------

    def resizeEvent(self, event) -> None:
        super().resizeEvent(event)
        if self._fit_pending and self.isVisible():
            self.fit_all()
        self._put_minimap()

    def showEvent(self, event) -> None:
        super().showEvent(event)
        self._put_minimap()
        if self._fit_pending:
            self.fit_all()
            # the layout of docks settles after the first show; fit again until then
            QTimer.singleShot(0, self, self._fit_done)

    def _fit_done(self) -> None:
        if self._fit_pending:
            self.fit_all()
            self._fit_pending = False

    def _put_minimap(self) -> None:
        size = self.minimap.sizeHint()
        small = self.width() < 3 * size.width() or self.height() < 3 * size.height()
        size = size / 1.5 if small else size
        self.minimap.setGeometry(
            self.width() - size.width() - 12,
            self.height() - size.height() - 12,
            size.width(),
            size.height(),
        )
        self.minimap.invalidate()


def _pair(p: QPointF) -> tuple[float, float]:
    return (p.x(), p.y())


def _with(event: QKeyEvent, *, down: bool) -> Qt.KeyboardModifier:
    """Modifiers as they are once this key event is over."""
    own = {Qt.Key.Key_Shift: _SHIFT, Qt.Key.Key_Control: _CTRL, Qt.Key.Key_Alt: _ALT}[
        Qt.Key(event.key())
    ]
    return event.modifiers() | own if down else event.modifiers() & ~own


def _edge_cursor(edges: str) -> Qt.CursorShape:
    if edges in ("lt", "rb"):
        return Qt.CursorShape.SizeFDiagCursor
    if edges in ("lb", "tr"):
        return Qt.CursorShape.SizeBDiagCursor
    return Qt.CursorShape.SizeHorCursor if edges in ("l", "r") else Qt.CursorShape.SizeVerCursor
