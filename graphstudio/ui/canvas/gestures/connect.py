"""Connect: draw a wire from a port, move one end of a wire, or move all wires of an output."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QPainter, QPen

from graphstudio.i18n import sentence, tr
from graphstudio.nodes.types import Message, format_shape
from graphstudio.ui.canvas import curve
from graphstudio.ui.canvas.gestures.base import Gesture, Pointer
from graphstudio.ui.canvas.hit import hit_test
from graphstudio.ui.canvas.items import paint_label
from graphstudio.ui.canvas.scene import WireKey

End = tuple[str, str]
"""Node id and port name."""


class Connect(Gesture):
    """One end (or several) stays, the other follows the pointer until it is dropped.

    The checker is asked once, at the start, which ports are legal; the others fade, and hovering
    one of them says why it cannot be.
    """

    cursor = Qt.CursorShape.CrossCursor
    auto_scroll = True

    def __init__(self, view, start, hit, *, bundle: bool = False) -> None:
        super().__init__(view, start, hit)
        assert hit.port is not None
        name, is_output = hit.port
        graph = self.scene.graph
        self._moved: tuple[WireKey, ...] = ()
        old = graph.wires.get((hit.node, name)) if not is_output else None
        if old is not None:
            self._moved = (old.key,)
            self._fixed: list[End] = [(old.source, old.source_port)]
            self._seek_output = False
        elif bundle and is_output:
            wires = [
                w for w in graph.wires.values() if (w.source, w.source_port) == (hit.node, name)
            ]
            self._moved = tuple(w.key for w in wires)
            self._fixed = [w.key for w in wires] or [(hit.node, name)]
            self._seek_output = bool(wires)
        else:
            self._fixed = [(hit.node, name)]
            self._seek_output = not is_output
        self._legal = self._ask_checker()
        self._reasons: dict[End, Message] = {}
        self._hover: End | None = None
        self._reason: Message | None = None
        self._concern: Message | None = None
        self._end = start.scene
        self._sticky = False
        self._show_legal()

    # -- the checker's answer ------------------------------------------------------------------

    def _ask_checker(self) -> set[End]:
        """What may be at the loose end of every wire that is drawn."""
        checker = self.project.checker
        self.project.check_now()
        ask = checker.legal_sources if self._seek_output else checker.legal_targets
        return set.intersection(*(ask(*end) for end in self._fixed))

    def _show_legal(self) -> None:
        legal: dict[str, set[tuple[str, bool]]] = {}
        for node, port in self._legal:
            legal.setdefault(node, set()).add((port, self._seek_output))
        anchors = {node for node, _ in self._fixed}
        for node_id, item in self.scene.nodes.items():
            ports = frozenset(legal.get(node_id, ()))
            item.state.legal = ports
            item.state.dimmed = not ports and node_id not in anchors
            item.update()
        for key in self._moved:
            self.scene.wires[key].dimmed = True
            self.scene.wires[key].update()
        self.view.viewport().update()

    @property
    def aims(self) -> bool:
        return self._hover is not None

    # -- following the pointer -----------------------------------------------------------------

    def move(self, pointer: Pointer) -> None:
        self.began(pointer)
        self._end = pointer.scene
        hit = hit_test(self.scene, pointer.scene, self.view.zoom)
        self._set_hover(self._end_at(hit))
        if self._hover is not None and self._reason is None:
            node, port = self._hover
            self._end = self.scene.nodes[node].port_pos(port, self._seek_output)
        if self._reason is not None and self._hover is not None:
            self.view.hovering.tip(tr("Cannot connect"), [sentence(self._reason)], pointer.view)
        elif self._concern is not None:
            advice = tr("You can connect it all the same and mend it then.")
            lines = [sentence(self._concern), advice]
            self.view.hovering.tip(tr("Will not fit yet"), lines, pointer.view)
        else:
            self.view.hovering.hide()

    def _end_at(self, hit) -> End | None:
        """The port that a drop here would mean."""
        if hit.kind == "port" and hit.port[1] == self._seek_output:
            end = (hit.node, hit.port[0])
            return None if end in self._fixed else end
        if hit.kind not in ("port", "node", "title") or any(hit.node == n for n, _ in self._fixed):
            return None
        face = self.scene.nodes[hit.node].face
        ports = [(hit.node, p) for p in (face.outputs if self._seek_output else face.inputs)]
        if not ports:
            return None
        legal = [p for p in ports if self._reason_for(p) is None]
        free = [p for p in legal if self._seek_output or p not in self.scene.wires]
        return (free or legal or ports)[0]

    def _reason_for(self, end: End) -> Message | None:
        """Why a wire cannot end there, or None: worked out once, since the pointer rests."""
        if end in self._legal:
            return None
        if end not in self._reasons:
            ways = [(end, f) if self._seek_output else (f, end) for f in self._fixed]
            found = (self.project.checker.refusal(*source, *target) for source, target in ways)
            self._reasons[end] = next(
                (reason for reason in found if reason is not None),
                Message("this port cannot take part in this wire"),
            )
        return self._reasons[end]

    def _set_hover(self, end: End | None) -> None:
        if end == self._hover:
            return
        for node, hot in ((self._hover, False), (end, True)):
            item = self.scene.nodes.get(node[0]) if node else None
            if item is not None:
                item.state.hot = (node[1], self._seek_output) if hot else None
                item.update()
        self._hover = end
        self._reason = self._reason_for(end) if end is not None else None
        self._concern = self._concern_for(end) if end is not None and not self._reason else None

    def _concern_for(self, end: End) -> Message | None:
        """What would be wrong with the shapes; such a wire may be drawn, and mended then."""
        checker = self.project.checker
        for fixed in self._fixed:
            source, target = (end, fixed) if self._seek_output else (fixed, end)
            found = checker.concern(*source, *target)
            if found is not None:
                return found
        return None

    # -- the end -------------------------------------------------------------------------------

    def press(self, pointer: Pointer) -> bool:
        self._sticky = False
        self.dragging = True
        self.move(pointer)
        return self.release(pointer)

    def release(self, pointer: Pointer) -> bool:
        if not self.dragging and not self._moved:
            self._sticky = True  # click a port, then click another
            return False
        hover, reason = self._hover, self._reason
        self.cancel()
        if not self.dragging:
            self.view.selecting.wire(self._moved[0])
            return True
        if hover is not None:
            self._drop_on(hover, reason)
        elif self._moved and not self._seek_output:
            if not self._at_home(pointer):
                self.view.edits.disconnect(self._moved)
        elif not self._moved and not self._on_own_node(pointer):
            self._offer_nodes(pointer)
        return True

    def _drop_on(self, hover: End, reason: Message | None) -> None:
        if reason is not None:
            self.view.status_message.emit(sentence(reason))
            return
        if self._seek_output:
            self.view.edits.connect([(hover, end) for end in self._fixed])
        else:
            self.view.edits.connect([(self._fixed[0], hover)], instead_of=self._moved)

    def _at_home(self, pointer: Pointer) -> bool:
        """True if a wire is dropped on the very port that it was taken from."""
        hit = hit_test(self.scene, pointer.scene, self.view.zoom)
        return hit.kind == "port" and hit.node == self.hit.node and hit.port == self.hit.port

    def _on_own_node(self, pointer: Pointer) -> bool:
        hit = hit_test(self.scene, pointer.scene, self.view.zoom)
        return hit.node != "" and any(hit.node == node for node, _ in self._fixed)

    def _offer_nodes(self, pointer: Pointer) -> None:
        (end,) = self._fixed
        if self._seek_output:
            self.view.open_search(pointer.scene, connect_to=end)
        else:
            self.view.open_search(pointer.scene, connect_from=end)

    def cancel(self) -> None:
        self._set_hover(None)
        self.view.hovering.hide()
        for item in self.scene.nodes.values():
            if item.state.legal or item.state.dimmed:
                item.state.legal = frozenset()
                item.state.dimmed = False
                item.update()
        for key in self._moved:
            if key in self.scene.wires:
                self.scene.wires[key].dimmed = False
                self.scene.wires[key].update()
        self.view.viewport().update()

    # -- drawing -------------------------------------------------------------------------------

    def _curves(self) -> list[list[curve.Cubic]]:
        end = (self._end.x(), self._end.y())
        out = []
        for node, port in self._fixed:
            item = self.scene.nodes.get(node)
            if item is None:
                continue
            p = item.port_pos(port, not self._seek_output)
            start = (p.x(), p.y())
            out.append(curve.cubics([end, start] if self._seek_output else [start, end]))
        return out

    def bounds(self) -> QRectF:
        rect = QRectF()
        for curves in self._curves():
            rect = rect.united(curve.control_rect(curves))
        return rect.adjusted(-80, -30, 80, 30)

    def paint(self, painter: QPainter, scale: float) -> None:
        style = self.view.style_
        good = self._hover is not None and self._reason is None
        color = style.ok if good else style.error if self._hover else style.accent
        if good and self._concern is not None:
            color = style.warning
        width = max(2.4, 1.8 / scale)
        for curves in self._curves():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            dashed = self._hover is not None and not good
            line = Qt.PenStyle.DashLine if dashed else Qt.PenStyle.SolidLine
            painter.setPen(QPen(color, width, line))
            painter.drawPath(curve.path_of(curves))
        painter.setPen(QPen(color, width * 0.8))
        painter.setBrush(style.body)
        painter.drawEllipse(self._end, 5.0 / min(scale, 1.0), 5.0 / min(scale, 1.0))
        self._paint_shape(painter, scale)

    def _paint_shape(self, painter: QPainter, scale: float) -> None:
        """What would flow: the shape, above the loose end."""
        if self._seek_output or self._hover is not None:
            return
        node, port = self._fixed[0]
        report = self.scene.result.nodes.get(node)
        type_ = report.output_types.get(port) if report else None
        if type_ is None:
            return
        style = self.view.style_
        label = style.line(format_shape(type_.shape), "label")
        painter.save()
        painter.translate(self._end)
        painter.scale(1 / scale, 1 / scale)
        box = QRectF(14, -28, label.width + 14, label.height + 3)
        paint_label(painter, style, label, box, True)
        painter.restore()
