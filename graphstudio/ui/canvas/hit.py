"""What lies under the pointer, by arithmetic on the few items that the scene's index returns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QPointF, QRectF, Qt

from graphstudio.ui.canvas import curve
from graphstudio.ui.canvas.face import HEADER, PORT_REACH, SMALL_TEXT_ZOOM
from graphstudio.ui.canvas.items import FRAME_EDGE, FrameItem, NodeItem, WireItem
from graphstudio.ui.canvas.scene import GraphScene, WireKey

Kind = Literal["port", "title", "node", "dot", "label", "wire", "frame", "edge", "empty"]
PORT_ZOOM = 0.3
"""Below this zoom ports and dots are too small to aim at; the pointer means node or wire."""
DOT_REACH = 8.0
_DOT = -2.0
"""Rank below which a hit is one of a dot; labels have -1, wires their distance."""


@dataclass(frozen=True)
class Hit:
    """The topmost thing under a point."""

    kind: Kind = "empty"
    node: str = ""
    port: tuple[str, bool] | None = None
    """Port name, and whether it is an output."""
    wire: WireKey | None = None
    dot: int | None = None
    """Which reroute dot of the wire, counted from its source."""
    frame: str = ""
    edges: str = ""
    """Which edges of a frame: letters of ``ltrb``."""


def hit_test(scene: GraphScene, pos: QPointF, zoom: float) -> Hit:
    """What is at ``pos`` (scene coordinates): ports first, then nodes, dots, wires, frames."""
    slack = 6.0 / zoom
    reach = max(PORT_REACH, min(9.0 / zoom, 20.0))
    margin = max(slack, reach)
    area = QRectF(pos.x() - margin, pos.y() - margin, 2 * margin, 2 * margin)
    found = scene.items(
        area, Qt.ItemSelectionMode.IntersectsItemBoundingRect, Qt.SortOrder.DescendingOrder
    )
    node: Hit | None = None
    near_port: Hit | None = None
    wire: tuple[float, Hit] | None = None
    frame: Hit | None = None
    for item in found:
        if isinstance(item, NodeItem):
            local = pos - item.pos()
            if near_port is None and node is None and zoom >= PORT_ZOOM:
                port = item.face.port_at(local, reach)
                if port is not None:
                    near_port = Hit("port", node=item.node.id, port=port)
            if node is None and item.face.body.contains(local):
                kind: Kind = "title" if local.y() <= HEADER else "node"
                node = Hit(kind, node=item.node.id)
        elif isinstance(item, WireItem):
            if node is None and near_port is None:
                # A label that is too small to be drawn is not what anybody aims at.
                seen = {"dots": zoom >= PORT_ZOOM, "labels": zoom >= SMALL_TEXT_ZOOM}
                wire = _nearer(wire, item, pos, slack, **seen)
        elif isinstance(item, FrameItem) and frame is None:
            frame = _frame_hit(item, pos, slack)
    return near_port or node or (wire[1] if wire else None) or frame or Hit()


def _nearer(
    best: tuple[float, Hit] | None,
    item: WireItem,
    pos: QPointF,
    slack: float,
    *,
    dots: bool,
    labels: bool,
) -> tuple[float, Hit] | None:
    reach = max(DOT_REACH, slack)
    for i, (x, y) in enumerate(item.wire.route if dots else ()):
        rank = math.hypot(pos.x() - x, pos.y() - y) - reach + _DOT  # the nearest, before all else
        if rank <= _DOT and (best is None or rank < best[0]):
            best = (rank, Hit("dot", wire=item.wire.key, dot=i))
    if best is not None and best[1].kind == "dot":
        return best
    if labels and item.label_rect is not None and item.label_rect.contains(pos):
        return (-1.0, Hit("label", wire=item.wire.key))
    if not item.boundingRect().contains(pos):
        return best
    d = curve.distance(item.points(), pos.x(), pos.y())
    if d <= slack and (best is None or d < best[0]):
        return (d, Hit("wire", wire=item.wire.key))
    return best


def _frame_hit(item: FrameItem, pos: QPointF, slack: float) -> Hit | None:
    rect = item.body_rect()
    edge = max(FRAME_EDGE / 2, slack)
    if not rect.adjusted(-edge, -edge, edge, edge).contains(pos):
        return None
    edges = "".join(
        letter
        for letter, gap in (
            ("l", abs(pos.x() - rect.left())),
            ("t", abs(pos.y() - rect.top())),
            ("r", abs(pos.x() - rect.right())),
            ("b", abs(pos.y() - rect.bottom())),
        )
        if gap <= edge
    )
    if edges:
        return Hit("edge", frame=item.frame.id, edges=edges)
    return Hit("frame", frame=item.frame.id) if item.title_rect().contains(pos) else None
