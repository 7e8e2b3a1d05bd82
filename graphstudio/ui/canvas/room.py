"""Making room, and finding it: no node that comes covers one that is there."""

from __future__ import annotations

import functools
import math

from PySide6.QtCore import QPointF, QRectF

from graphstudio.ui.canvas.face import GRID
from graphstudio.ui.canvas.scene import GraphScene, WireKey

GAP = 40.0
"""Room between a node on a wire and the two that it was put between."""

_FAR = 40
"""Steps of the grid within which a free place is looked for."""

Places = dict[str, tuple[float, float]]
Rects = dict[str, tuple[float, float, float, float]]


@functools.cache
def _spots() -> list[tuple[int, int]]:
    """Steps from where a node is wanted, the nearest first; to the right rather than back."""
    steps = range(-_FAR, _FAR + 1)
    return sorted(
        ((GRID * i, GRID * j) for i in steps for j in steps),
        key=lambda spot: (math.hypot(*spot), -spot[0], -spot[1]),
    )


def free_place(scene: GraphScene, body: QRectF) -> QPointF:
    """Corner of the place nearest to where a new node is wanted at which it covers no other."""
    others = [item.body_rect() for item in scene.nodes.values()]
    if not any(other.intersects(body) for other in others):
        return body.topLeft()
    wide = body.adjusted(-GRID, -GRID, GRID, GRID)
    reach = wide.adjusted(-_FAR * GRID, -_FAR * GRID, _FAR * GRID, _FAR * GRID)
    near = [other for other in others if other.intersects(reach)]
    for dx, dy in _spots():
        moved = wide.translated(dx, dy)
        if not any(other.intersects(moved) for other in near):
            return body.topLeft() + QPointF(dx, dy)
    # all is full for a screen around: on to the right, past whatever lies in this row
    row = [o for o in others if o.top() < wide.bottom() and o.bottom() > wide.top()]
    dx = 0.0
    for other in sorted(row, key=QRectF.left):
        if other.intersects(wide.translated(dx, 0)):
            dx = float(math.ceil((other.right() - wide.left()) / GRID) * GRID)
    return body.topLeft() + QPointF(dx, 0)


def clear_of_source(scene: GraphScene, key: WireKey, body: QRectF) -> QRectF:
    """Where a node that is dropped on a wire can lie without covering the node it comes from.

    To the right, where the wire goes; one that was dropped more under its source than beside it
    goes down or up.
    """
    source = scene.nodes[scene.graph.wires[key].source].body_rect()
    if not body.intersects(source.adjusted(-GRID, -GRID, GRID, GRID)):
        return body
    place = body.topLeft()
    if body.center().x() > source.center().x():
        place.setX(source.right() + GAP)
    elif body.center().y() >= source.center().y():
        place.setY(source.bottom() + GAP)
    else:
        place.setY(source.top() - GAP - body.height())
    return QRectF(_on_grid(place, body.topLeft()), body.size())


def room_behind(
    scene: GraphScene, key: WireKey, body: QRectF, node_id: str
) -> tuple[Places, Rects]:
    """New places of nodes, and rectangles of frames, that let a node stand before a wire's end.

    What the wire leads to is shifted to the right, and with it all that follows further to the
    right. A wire that leads back, to the next row of a drawing, ends the shift. Frames stay around
    the nodes that they were around.
    """
    target = scene.nodes[key[0]].body_rect()
    needed = body.right() + GAP - target.left()
    beside = body.top() < target.bottom() + GRID and body.bottom() > target.top() - GRID
    if needed <= 0 or not beside or body.left() > target.right():
        return {}, {}
    dx = -(-needed // GRID) * GRID
    shifted = _following(scene, key[0]) - {node_id}
    nodes = scene.graph.nodes
    places = {n: (nodes[n].position[0] + dx, nodes[n].position[1]) for n in shifted}
    rects = {}
    for frame_id in scene.frames:
        children = set(scene.children_of(frame_id))
        if not children & shifted:
            continue
        left, top, width, height = scene.graph.frames[frame_id].rect
        if children <= shifted and left > body.left():
            rects[frame_id] = (left + dx, top, width, height)
        else:
            ends = {n: scene.nodes[n].body_rect().right() for n in children}
            pad = left + width - max(ends.values())
            end = max(ends[n] + dx * (n in shifted) for n in children) + pad
            rects[frame_id] = (left, top, end - left, height)
    return places, rects


def _following(scene: GraphScene, start: str) -> set[str]:
    """A node and all behind it, along wires that do not lead back to the left."""
    nodes, found, pending = scene.graph.nodes, {start}, [start]
    while pending:
        node = pending.pop()
        for wire in scene.graph.wires.leaving.get(node, {}).values():
            ahead = nodes[wire.target].position[0] >= nodes[node].position[0]
            if ahead and wire.target not in found:
                found.add(wire.target)
                pending.append(wire.target)
    return found


def _on_grid(place: QPointF, wanted: QPointF) -> QPointF:
    """The place on the grid, no nearer to where it was wanted."""

    def away(value: float, origin: float) -> float:
        if value == origin:
            return value
        return -(-value // GRID) * GRID if value > origin else value // GRID * GRID

    return QPointF(away(place.x(), wanted.x()), away(place.y(), wanted.y()))
