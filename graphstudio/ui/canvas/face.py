"""How a node looks: its size, its texts and where its ports are. Ghosts and items share it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QColor

from graphstudio.document.model import Node, Wire
from graphstudio.i18n import render, tr
from graphstudio.ir.diagnostics import Diagnostic
from graphstudio.ir.result import NodeReport
from graphstudio.nodes.spec import Port
from graphstudio.nodes.types import Message, format_shape
from graphstudio.ui import quantities
from graphstudio.ui.canvas.ports import ports_of
from graphstudio.ui.canvas.style import CanvasStyle, Text

GRID = 20
HEADER = 30.0
INFO = 24.0
ROW = 20.0
FOOTER = 26.0
RADIUS = 8.0
PORT = 5.0
"""Radius of a port dot."""
PORT_REACH = 13.0
"""How far from a port's centre the pointer still means the port."""
MARGIN = 8.0
"""Room around the body for ports, badge and the glow of the selection."""
MIN_WIDTH, MAX_WIDTH = 180, 300
SMALL_TEXT_ZOOM = 0.58
"""Below it icon, port labels and footer are left out: nobody can read them, all pay for them."""

_SEVERITIES = ("error", "warning", "blocked")


@dataclass(slots=True)
class FaceState:
    """What changes about a node without changing its texts."""

    selected: bool = False
    hovered: bool = False
    dimmed: bool = False
    legal: frozenset[tuple[str, bool]] = frozenset()
    """Ports (name, is output) that the wire being dragged may end on."""
    hot: tuple[str, bool] | None = None
    """Port under the pointer."""
    connected: Collection[tuple[str, bool]] = field(default_factory=frozenset)


class NodeFace:
    """Texts, size and ports of one node, laid out in its own coordinates (top left is 0, 0).

    ``look`` is equal for two nodes that differ in nothing but title, summary, shape and count;
    ``version`` counts the changes of a face.
    """

    __slots__ = (
        "_lines",
        "_report",
        "_style",
        "badge",
        "body",
        "build",
        "bypass",
        "color",
        "far_texts",
        "height",
        "info",
        "input_labels",
        "inputs",
        "known",
        "look",
        "output_labels",
        "outputs",
        "square_outputs",
        "summary",
        "title",
        "type_id",
        "version",
        "width",
    )

    def __init__(
        self,
        node: Node,
        style: CanvasStyle,
        *,
        wires: Iterable[Wire] = (),
        report: NodeReport | None = None,
        problems: Sequence[Diagnostic] = (),
    ) -> None:
        cls, spec, inputs, outputs = ports_of(node, wires)
        self.type_id = node.type
        self.known = cls is not None
        self.bypass = node.bypass
        self.color = _header_color(node, cls.category if cls else "unknown", style)

        words = render(Message(cls.label)) if cls else tr("Unknown type {type}", type=node.type)
        self.summary = spec.summary() if spec is not None else ""
        info = f"{words} · {self.summary}" if self.summary else words
        self.title, self.info = style.line(node.label, "title"), style.line(info, "info")
        room = max(self.title.width + 62, self.info.width + 26, MIN_WIDTH)
        self.width = float(min(-(-int(room) // GRID) * GRID, MAX_WIDTH))
        rows = max(len(inputs), len(outputs), 1)
        self.height = HEADER + INFO + ROW * rows + FOOTER
        if self.title.width > self.width - 60:
            self.title = style.line(node.label, "title", self.width - 60)
        if self.info.width > self.width - 24:
            self.info = style.line(info, "info", self.width - 24)

        half = self.width / 2 - 18
        both = bool(inputs and outputs)
        label_width = half if both else self.width - 30
        self.inputs = {p.name: QPointF(0.0, _row(i)) for i, p in enumerate(inputs)}
        self.outputs = {p.name: QPointF(self.width, _row(i)) for i, p in enumerate(outputs)}
        self.input_labels = [_port_label(p, style, label_width) for p in inputs]
        self.output_labels = [_port_label(p, style, label_width) for p in outputs]
        self.body = QRectF(0.0, 0.0, self.width, self.height)
        labels = tuple(t.shown for t in (*self.input_labels, *self.output_labels))
        kinds = (self.type_id, self.color.rgb(), self.bypass, self.known)
        self.build = (self.width, self.height, kinds, labels, len(inputs))
        self.version = 0
        self.set_report(report, problems, style)

    def set_report(
        self, report: NodeReport | None, problems: Sequence[Diagnostic], style: CanvasStyle
    ) -> None:
        """Show what a check has found; size and ports stay as they are."""
        severities = {d.severity for d in problems}
        self.badge = next((s for s in _SEVERITIES if s in severities), "")
        self._report, self._style = report, style
        self._lines: tuple[Text | None, Text | None] | None = None
        self.far_texts: tuple[Text, ...] | None = None
        types = report.output_types if report else {}
        self.square_outputs = frozenset(n for n, t in types.items() if t.dtype != "float32")
        footer = report is not None and bool(types or report.num_parameters)
        self.look = (self.build, self.badge, self.square_outputs, footer)
        self.version += 1

    @property
    def shape(self) -> Text | None:
        """Shapes of the outputs, at the bottom."""
        return self._footer()[0]

    @property
    def count(self) -> Text | None:
        """Number of parameters, beside the shapes."""
        return self._footer()[1]

    def texts_for_far(self, style: CanvasStyle) -> tuple[Text, ...]:
        """Title, summary and shape in larger letters, for when the usual ones are too small.

        The colour and the icon tell the type as well, so its name goes first where room is short.
        """
        if self.far_texts is None:
            room = self.width - 22
            info = self.info.full
            if self.summary and style.line(info, "far_info").width > room:
                info = self.summary
            lines = [(self.title.full, "far_title"), (info, "far_info")]
            if self.shape is not None:
                lines.append((self.shape.full, "far_info"))
            self.far_texts = tuple(style.line(words, role, room) for words, role in lines)
        return self.far_texts

    def _footer(self) -> tuple[Text | None, Text | None]:
        """Both, made when first asked for: an edit can change those of all nodes, seen or not."""
        if self._lines is None:
            self._lines = self._make_footer(self._report, self._style)
        return self._lines

    def _make_footer(
        self, report: NodeReport | None, style: CanvasStyle
    ) -> tuple[Text | None, Text | None]:
        room = self.width - 24
        count: Text | None = None
        shapes = [
            format_shape(t.shape) if t.shape else tr("one number")
            for t in (report.output_types.values() if report else ())
        ]
        shape = style.line(", ".join(shapes), "small", room) if shapes else None
        if report and report.num_parameters:
            short = quantities.short(report.num_parameters)
            left = room - (shape.width + 10 if shape else 0)
            count = style.line(tr("{count} params", count=short), "small")
            if count.width > left:
                count = style.line(short, "small")
            if count.width > left:
                shape = style.line(", ".join(shapes), "small", room - count.width - 10)
        return shape, count

    @property
    def bounds(self) -> QRectF:
        return self.body.adjusted(-MARGIN, -MARGIN, MARGIN, MARGIN + 2)

    @property
    def title_rect(self) -> QRectF:
        return QRectF(0.0, 0.0, self.width, HEADER)

    def port(self, name: str, output: bool) -> QPointF:
        """Centre of a port; the middle of the side if there is no such port."""
        found = (self.outputs if output else self.inputs).get(name)
        return found or QPointF(self.width if output else 0.0, self.height / 2)

    def port_at(self, pos: QPointF, reach: float = PORT_REACH) -> tuple[str, bool] | None:
        """The port (name, is output) within ``reach`` of a point, the nearest if there are two."""
        best: tuple[float, str, bool] | None = None
        for output, ports in ((False, self.inputs), (True, self.outputs)):
            for name, center in ports.items():
                dx, dy = pos.x() - center.x(), pos.y() - center.y()
                distance = dx * dx + dy * dy
                if distance <= reach * reach and (best is None or distance < best[0]):
                    best = (distance, name, output)
        return best[1:] if best else None


def _row(index: int) -> float:
    return HEADER + INFO + ROW * index + ROW / 2


def _header_color(node: Node, category: str, style: CanvasStyle) -> QColor:
    own = QColor(node.color) if node.color else QColor()
    return own if own.isValid() else style.category(category)


def _port_label(port: Port, style: CanvasStyle, width: float) -> Text:
    return style.line(render(Message(port.label)), "small", width)
