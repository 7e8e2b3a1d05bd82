"""What lies under a resting pointer: lit up at once, explained by a card after a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, QPointF, QTimer

from graphstudio.ui.canvas.cards import Card, node_card, wire_card
from graphstudio.ui.canvas.hit import Hit, hit_test

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphstudio.ui.canvas.view import GraphView

_HOVER_MS = 400


class Hovering:
    """Lights up the hovered thing with its wires, and shows its card."""

    def __init__(self, view: GraphView) -> None:
        self._view = view
        self._scene = view.graph_scene
        self.hit = Hit()
        self.card = Card(view)
        self._timer = QTimer(view, singleShot=True, interval=_HOVER_MS)
        self._timer.timeout.connect(self.show_card)

    def at(self, pos: QPointF) -> None:
        """The pointer rests at a scene position."""
        hit = hit_test(self._scene, pos, self._view.zoom)
        if hit != self.hit:
            self._set(hit)
            self.card.hide()
        if hit.kind == "empty":
            self._timer.stop()
        elif not self.card.isVisible():
            self._timer.start()

    def forget(self) -> None:
        """The graph has changed: nothing is known to lie under the pointer."""
        self._set(Hit())
        self.hide()

    def hide(self) -> None:
        self._timer.stop()
        self.card.hide()

    def tip(self, title: str, lines: Sequence[str], pos: QPoint) -> None:
        """Say at the pointer why something cannot be."""
        self.card.show_at(self._view.style_, pos, title, lines, bad=True)

    def show_card(self) -> None:
        """Explain what is hovered."""
        view, hit, scene = self._view, self.hit, self._scene
        if view.gestures or view.gestures.pointer is None or view.search.isVisible():
            return
        if hit.kind in ("node", "title", "port") and hit.node in scene.nodes:
            title, lines, pairs = node_card(scene, hit.node)
        elif hit.wire is not None and hit.wire in scene.wires:
            title, lines, pairs = wire_card(scene, hit.wire)
        else:
            return
        self.card.show_at(view.style_, view.gestures.pointer, title, lines, pairs)

    def _set(self, hit: Hit) -> None:
        old, self.hit = self.hit, hit
        scene = self._scene
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
        if self._view.far and (old.kind, hit.kind) != ("empty", "empty"):
            self._view.viewport().update()
