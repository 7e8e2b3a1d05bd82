"""Adding nodes: the search box at the pointer, and drags from the palette."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QMimeData, QPointF

from graphstudio.document.model import Node
from graphstudio.i18n import render, tr
from graphstudio.nodes.spec import find_type
from graphstudio.nodes.types import Message
from graphstudio.ui.canvas.face import GRID, NodeFace
from graphstudio.ui.canvas.gestures.base import Pointer
from graphstudio.ui.canvas.gestures.move import snapped
from graphstudio.ui.canvas.gestures.place import Place
from graphstudio.ui.canvas.hit import Hit
from graphstudio.ui.canvas.room import free_place
from graphstudio.ui.canvas.scene import WireKey
from graphstudio.ui.canvas.search import UNFIT, SearchPopup
from graphstudio.ui.canvas.suggest import End, fits, input_for, output_for
from graphstudio.ui.palette.entries import NODE_MIME, Entry

if TYPE_CHECKING:
    from graphstudio.ui.canvas.view import GraphView

_PORT_Y = 60.0
"""About how far below a node's top its first ports are."""


@dataclass(frozen=True)
class Wish:
    """Where a node is to be added, and what it is to be wired to."""

    pos: QPointF
    after: End | None = None
    before: End | None = None
    wire: WireKey | None = None

    @property
    def free(self) -> bool:
        return self.after is None and self.before is None and self.wire is None


class Adding:
    """Opens the search box, and carries out what is chosen there or dropped."""

    def __init__(self, view: GraphView, search: SearchPopup) -> None:
        self._view = view
        self._scene = view.graph_scene
        self._search = search
        self._wish = Wish(QPointF())
        search.chosen.connect(self._chosen)

    # -- search --------------------------------------------------------------------------------

    def open(self, wish: Wish) -> None:
        """Ask for a node type; only those that could be wired as wished are offered."""
        self._wish = wish
        self._search.open_at(
            self._view.mapFromScene(wish.pos),
            accepts=self._accepts,
            rank=self._rank,
            title=self._title(),
            can_wire=wish.free and bool(self._view.project.selection),
        )

    def _rank(self, entry: Entry) -> int:
        """What is wanted most comes first, what does not fit in shape last."""
        cls = find_type(entry.type_id)
        after, before = self._ends()
        if cls is None or (after is not None and not fits(self._scene, after, cls)):
            return UNFIT
        return int(before is not None and before[1] == "target" and cls.role != "target")

    def _ends(self) -> tuple[End | None, End | None]:
        """The output that should feed the new node, and the input that it should feed."""
        wish = self._wish
        if wish.wire is None:
            return wish.after, wish.before
        source = self._scene.graph.wires[wish.wire]
        return (source.source, source.source_port), wish.wire

    def _accepts(self, entry: Entry) -> bool:
        cls, scene = find_type(entry.type_id), self._scene
        if cls is None:
            return False
        after, before = self._ends()
        if after is not None and input_for(scene, after, cls) is None:
            return False
        return before is None or output_for(scene, before, cls) is not None

    def _title(self) -> str:
        wish, nodes = self._wish, self._scene.graph.nodes
        if wish.after is not None:
            return tr("After “{node}”", node=nodes[wish.after[0]].label)
        if wish.before is not None:
            return tr("Before “{node}”", node=nodes[wish.before[0]].label)
        if wish.wire is not None:
            return tr("On the wire to “{node}”", node=nodes[wish.wire[0]].label)
        return ""

    def _chosen(self, type_id: str, wired: bool) -> None:
        view, wish = self._view, self._wish
        width = self.face_of(type_id).width
        nodes, edits = self._scene.graph.nodes, view.edits
        if wish.wire is not None and wish.wire in self._scene.wires:
            corner = snapped(wish.pos - QPointF(width / 2, _PORT_Y))
            edits.insert_on_wire(type_id, wish.wire, (corner.x(), corner.y()))
        elif wish.after is not None and wish.after[0] in nodes:
            corner = snapped(wish.pos - QPointF(0, _PORT_Y))
            self._add_near(type_id, corner, connect_from=[wish.after])
        elif wish.before is not None and wish.before[0] in nodes:
            corner = snapped(wish.pos - QPointF(width, _PORT_Y))
            self._add_near(type_id, corner, connect_to=wish.before)
        elif wired and view.project.selection:
            ends, place = edits.after(view.project.selection)
            node_id = edits.add(type_id, (place.x(), place.y()), connect_from=ends)
            if node_id is not None:
                view.bring_in(self._scene.nodes[node_id].body_rect())
        else:
            corner = snapped(wish.pos - QPointF(width / 2, GRID * 0.7))
            self._add_near(type_id, corner)

    def at_center(self, type_id: str) -> str | None:
        """Add a node in the middle of the view, beside what is there already."""
        view = self._view
        middle = view.mapToScene(view.viewport().rect().center())
        corner = snapped(middle - QPointF(self.face_of(type_id).width / 2, 40))
        return self._add_near(type_id, corner)

    def _add_near(
        self,
        type_id: str,
        corner: QPointF,
        *,
        connect_from: Sequence[End] = (),
        connect_to: End | None = None,
    ) -> str | None:
        """Add a node there, or where it covers no other, and have it in view."""
        view = self._view
        place = free_place(self._scene, self.face_of(type_id).body.translated(corner))
        node_id = view.edits.add(
            type_id, place.toTuple(), connect_from=connect_from, connect_to=connect_to
        )
        if node_id is not None and place != corner:
            view.bring_in(self._scene.nodes[node_id].body_rect())
        return node_id

    def face_of(self, type_id: str) -> NodeFace:
        """What a new node of this type looks like."""
        cls = find_type(type_id)
        label = render(Message(cls.label)) if cls else type_id
        return NodeFace(Node(id="", type=type_id, label=label), self._view.style_)

    # -- drags from the palette ------------------------------------------------------------------

    def drag_enters(self, data: QMimeData, pointer: Pointer) -> bool:
        """Begin to show the ghost of what is dragged; False if it is no node."""
        if not data.hasFormat(NODE_MIME):
            return False
        type_id = bytes(data.data(NODE_MIME).data()).decode("utf-8", "replace")
        if find_type(type_id) is None:
            return False
        self._view.gestures.place = Place(self._view, pointer, Hit(), type_id)
        return True

    def drag_moves(self, pointer: Pointer) -> bool:
        place = self._view.gestures.place
        if place is None:
            return False
        place.move(pointer)
        self._view.gestures.refresh()
        return True

    def drag_leaves(self) -> None:
        self._view.gestures.place = None

    def drop(self, pointer: Pointer) -> bool:
        place = self._view.gestures.place
        if place is None:
            return False
        place.move(pointer)
        self._view.gestures.place = None
        place.drop()
        return True
