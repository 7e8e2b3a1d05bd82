"""Paints the whole graph from prepared lists: what is shown far out, and in the minimap."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen

from graphstudio.ui.canvas.face import FOOTER, HEADER, INFO, RADIUS, ROW
from graphstudio.ui.canvas.items import FRAME_FILL, FRAME_TITLE, NodeItem, WireItem
from graphstudio.ui.canvas.scene import GraphScene
from graphstudio.ui.canvas.style import CanvasStyle, faded, mix, paint_badge

_TILE = 4000.0
FINE_LIMIT = 120
"""Up to this many visible nodes, rounded boxes with captions are drawn instead of bare ones."""


@dataclass(slots=True)
class _Tile:
    nodes: list[tuple[QRectF, NodeItem]] = field(default_factory=list)
    rects: defaultdict[int, list[QRectF]] = field(default_factory=lambda: defaultdict(list))
    lines: list[QLineF] = field(default_factory=list)
    wires: list[WireItem] = field(default_factory=list)


class Overview:
    """Lists of rectangles and lines, by tile, rebuilt only after the scene has changed."""

    def __init__(self, scene: GraphScene) -> None:
        self._scene = scene
        self._tiles: dict[tuple[int, int], _Tile] = {}
        self._long = _Tile()
        self._problems: list[tuple[str, NodeItem]] | None = None
        self._stale = True
        self.lifted: frozenset[str] = frozenset()
        """Nodes being dragged: left out of the lists, painted from their items."""
        self.version = 0
        """Counts rebuilt lists."""
        scene.content_changed.connect(self.invalidate)
        scene.marks_changed.connect(self._forget_problems)

    def invalidate(self) -> None:
        self._stale = True
        self._problems = None

    def _forget_problems(self) -> None:
        self._problems = None

    def lift(self, node_ids: frozenset[str]) -> None:
        """Take nodes out of the lists while they move, so that these need no rebuilding."""
        if node_ids != self.lifted:
            self.lifted = node_ids
            self._stale = True

    def _build(self) -> None:
        self._stale = False
        self._tiles = {}
        self._long = _Tile()
        self.version += 1
        for node_id, item in self._scene.nodes.items():
            if node_id in self.lifted:
                continue
            rect = item.body_rect()
            tile = self._tile(rect.center())
            tile.nodes.append((rect, item))
            tile.rects[item.face.color.rgb()].append(rect)
        for wire in self._scene.wires.values():
            if self.lifted and (wire.wire.source in self.lifted or wire.wire.target in self.lifted):
                continue
            a, b = QPointF(*wire.curves[0][0]), QPointF(*wire.curves[-1][3])
            far = abs(a.x() - b.x()) > _TILE or abs(a.y() - b.y()) > _TILE
            tile = self._long if far else self._tile((a + b) / 2)
            tile.lines.append(QLineF(a, b))
            tile.wires.append(wire)

    def _tile(self, p: QPointF) -> _Tile:
        key = (int(p.x() // _TILE), int(p.y() // _TILE))
        found = self._tiles.get(key)
        if found is None:
            found = self._tiles[key] = _Tile()
        return found

    def _near(self, visible: QRectF) -> list[_Tile]:
        """Tiles of which anything may reach into the rectangle."""
        reach = visible.adjusted(-_TILE / 2, -_TILE / 2, _TILE / 2, _TILE / 2)
        return [
            tile
            for (ix, iy), tile in self._tiles.items()
            if QRectF(ix * _TILE, iy * _TILE, _TILE, _TILE).intersects(reach)
        ]

    def paint(
        self,
        painter: QPainter,
        visible: QRectF,
        scale: float,
        style: CanvasStyle,
        *,
        captions: bool = True,
    ) -> None:
        """Paint frames, wires, nodes, selection and problems of the visible rectangle.

        The painter's transform maps scene to device; ``scale`` is its zoom.
        """
        self.paint_still(painter, visible, scale, style, captions=captions)
        self.paint_moving(painter, visible, scale, style)

    def paint_still(
        self,
        painter: QPainter,
        visible: QRectF,
        scale: float,
        style: CanvasStyle,
        *,
        captions: bool = True,
    ) -> None:
        """Everything but what is lifted, selected or wrong."""
        if self._stale:
            self._build()
        tiles = self._near(visible)
        seen: list[tuple[QRectF, NodeItem]] | None = None
        if captions and sum(len(t.nodes) for t in tiles) <= 4 * FINE_LIMIT:
            seen = [pair for tile in tiles for pair in tile.nodes if pair[0].intersects(visible)]
        fine = seen is not None and len(seen) <= FINE_LIMIT
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, fine)
        self._paint_frames(painter, visible, scale, style)
        self._paint_wires(painter, tiles, visible, scale, style, fine)
        if fine and seen is not None:
            for rect, item in seen:
                _paint_fine(painter, item, rect, scale, style)
        else:
            self._paint_rects(painter, tiles)
        if captions:
            self._paint_titles(painter, visible, scale, style)

    def paint_moving(
        self, painter: QPainter, visible: QRectF, scale: float, style: CanvasStyle
    ) -> None:
        """Lifted nodes with their wires, the selection, and problems."""
        if self.lifted:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
            painter.setPen(QPen(style.wire, 1.4 / scale))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            for key in {k for n in self.lifted for k in self._scene.wires_at(n)}:
                wire = self._scene.wires[key]
                painter.drawPath(wire.path.translated(wire.pos()))
            for node_id in self.lifted:
                item = self._scene.nodes[node_id]
                _paint_fine(painter, item, item.body_rect(), scale, style)
        self._paint_marks(painter, visible, scale, style)

    def _paint_frames(
        self, painter: QPainter, visible: QRectF, scale: float, style: CanvasStyle
    ) -> None:
        for frame in self._scene.frames.values():
            rect = frame.body_rect()
            if not rect.intersects(visible):
                continue
            fill = faded(frame.color(), FRAME_FILL if style.dark else FRAME_FILL / 2)
            edge = style.accent if frame.selected else faded(frame.color(), 0.5)
            painter.setPen(QPen(edge, 1.4 / scale))
            painter.setBrush(fill)
            painter.drawRoundedRect(rect, 10, 10)

    def _paint_titles(
        self, painter: QPainter, visible: QRectF, scale: float, style: CanvasStyle
    ) -> None:
        """Titles of frames, over the nodes.

        Where a frame leaves its title no room above its nodes, the title stands on its edge.
        """
        painter.setFont(style.caption_font)
        for frame in self._scene.frames.values():
            rect = frame.body_rect()
            if not rect.intersects(visible) or rect.width() * scale <= 50:
                continue
            title = style.line(frame.frame.title, "caption", rect.width() * scale - 12)
            if not title.shown:
                continue
            inside = FRAME_TITLE * scale >= title.height
            painter.save()
            painter.translate(rect.topLeft())
            painter.scale(1 / scale, 1 / scale)
            top = min(3.0, FRAME_TITLE * scale - title.height) if inside else -title.height - 1
            if not inside:  # it may lie on a node of the frame above
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(faded(style.canvas, 0.8))
                painter.drawRect(QRectF(0, top, title.width + 12, title.height))
            painter.setPen(style.text)
            painter.drawStaticText(QPointF(6, top), title.static)
            painter.restore()

    def _paint_wires(
        self,
        painter: QPainter,
        tiles: list[_Tile],
        visible: QRectF,
        scale: float,
        style: CanvasStyle,
        fine: bool,
    ) -> None:
        plain = QPen(style.wire, 0)
        if fine:
            plain = QPen(style.wire, 1.4 / scale)
        painter.setPen(plain)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if fine:
            for tile in (*tiles, self._long):
                for wire in tile.wires:
                    if wire.boundingRect().intersects(visible):
                        special = wire.state == "error" or wire.selected or wire.hovered
                        if special:
                            color = style.error if wire.state == "error" else style.accent
                            painter.setPen(QPen(color, 1.8 / scale))
                        painter.drawPath(wire.path)
                        if wire.chosen_dot is not None:
                            dot = QPointF(*wire.wire.route[wire.chosen_dot])
                            painter.drawEllipse(dot, 5.0 / scale, 5.0 / scale)
                        if special:
                            painter.setPen(plain)
            return
        for tile in (*tiles, self._long):
            if tile.lines:
                painter.drawLines(tile.lines)

    def _paint_rects(self, painter: QPainter, tiles: list[_Tile]) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        for tile in tiles:
            for color, rects in tile.rects.items():
                painter.setBrush(QColor.fromRgb(color))
                painter.drawRects(rects)

    def _paint_marks(
        self, painter: QPainter, visible: QRectF, scale: float, style: CanvasStyle
    ) -> None:
        """Selection and problems, on top, at a size that does not shrink with the zoom."""
        nodes = self._scene.nodes
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        gap = 3.0 / scale  # a ring at a distance shows on a node of any colour
        chosen = [
            nodes[n].body_rect().adjusted(-gap, -gap, gap, gap)
            for n in self._scene.selection
            if n in nodes
        ]
        if chosen:
            painter.setPen(QPen(style.accent, 2.0 / scale))
            painter.drawRects(chosen)
        size = 6.5 if scale > 0.12 else 4.0
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        if self._problems is None:
            self._problems = [
                (item.face.badge, item)
                for item in nodes.values()
                if item.face.badge in ("error", "warning")
            ]
        for kind, item in self._problems[:400]:
            rect = item.body_rect()
            if rect.intersects(visible):
                paint_badge(painter, style, kind, rect.topRight(), size / scale)


CAPTION_HEIGHT, CAPTION_WIDTH = 24.0, 44.0
"""Pixels of a node from which it has room for its name. The height is that of a node with one row
of ports, so that at any zoom all nodes have their names or none has."""


ICON_LEAST = 10.0
"""Pixels from which icons can be told apart. Where there is no room for both, the name stays."""


def _paint_fine(
    painter: QPainter, item: NodeItem, rect: QRectF, scale: float, style: CanvasStyle
) -> None:
    """A node far out: a box in its category's colour with icon and caption at readable size."""
    face = item.face
    color = mix(face.color, style.canvas, 0.55) if face.bypass else face.color
    ink = style.text if face.bypass else style.title
    if item.state.dimmed:
        painter.setOpacity(0.35)
    painter.setPen(QPen(mix(color, style.canvas, 0.45), 1.0 / scale))
    painter.setBrush(color)
    painter.drawRoundedRect(rect, RADIUS, RADIUS)
    width, height = rect.width() * scale, rect.height() * scale
    painter.save()
    painter.translate(rect.topLeft())
    painter.scale(1 / scale, 1 / scale)
    dpr = painter.device().devicePixelRatioF()
    row = scale * (HEADER + INFO + ROW + FOOTER)
    named = row > CAPTION_HEIGHT and width > CAPTION_WIDTH
    top = 0.0
    if named:
        caption = style.line(item.node.label, "caption", width - 4)
        painter.setPen(ink)
        painter.setFont(style.caption_font)
        top = caption.height + 2
        below = height - top - 1 if row - top - 4 >= ICON_LEAST else (height - caption.height) / 2
        painter.drawStaticText(QPointF((width - caption.width) / 2, below), caption.static)
    side = min(18.0, row - top - 4, width - 4)
    if side >= ICON_LEAST:
        box = QRectF((width - side) / 2, (height - top - side) / 2 + 0.5, side, side)
        style.draw_icon(painter, face.type_id, box, dpr, ink)
    painter.restore()
    if item.state.dimmed:
        painter.setOpacity(1.0)
