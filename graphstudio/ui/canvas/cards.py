"""Small floating cards over the canvas: what a node or a wire is, and why a wire is refused."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPoint, QRectF, Qt
from PySide6.QtGui import QFont, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QGridLayout, QLabel, QVBoxLayout, QWidget

from graphstudio.i18n import render, sentence, tr
from graphstudio.nodes.spec import NodeType, find_type
from graphstudio.nodes.types import Message, format_shape
from graphstudio.ui.canvas.scene import GraphScene, WireKey
from graphstudio.ui.canvas.style import CanvasStyle, canvas_font
from graphstudio.ui.quantities import data_size, exact, flops

_OFFSET = QPoint(18, 20)
_WIDTH = 340


class Card(QFrame):
    """A title with lines and pairs below it, all plain text. Never takes the pointer."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("canvas-card")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._style: CanvasStyle | None = None
        self._bad = False
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(12, 9, 12, 10)
        self._box.setSpacing(5)
        self.texts: list[str] = []
        """Everything the card says, in order."""
        self.hide()

    def show_at(
        self,
        style: CanvasStyle,
        pos: QPoint,
        title: str,
        lines: Sequence[str] = (),
        pairs: Sequence[tuple[str, str]] = (),
        *,
        bad: bool = False,
    ) -> None:
        """Fill the card and show it beside ``pos``, wholly inside the parent."""
        texts = [title, *lines, *(word for pair in pairs for word in pair)]
        if texts != self.texts or style is not self._style or bad != self._bad:
            self._style, self._bad, self.texts = style, bad, texts
            self._fill(title, lines, pairs)
        self._box.activate()
        self.resize(self.sizeHint())
        self.move(self._inside(pos))
        self.show()
        self.raise_()

    def _fill(self, title: str, lines: Sequence[str], pairs: Sequence[tuple[str, str]]) -> None:
        while (item := self._box.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        assert self._style is not None
        head = self._label(title, canvas_font(13, bold=True), "error" if self._bad else "text")
        self._box.addWidget(head)
        if pairs:
            table = QWidget(self)
            grid = QGridLayout(table)
            grid.setContentsMargins(0, 0, 0, 0)
            grid.setHorizontalSpacing(14)
            grid.setVerticalSpacing(2)
            grid.setColumnStretch(1, 1)
            for row, (name, value) in enumerate(pairs):
                grid.addWidget(self._label(name, canvas_font(12), "text_dim"), row, 0)
                grid.addWidget(self._label(value, canvas_font(12), "text"), row, 1)
            self._box.addWidget(table)
        for line in lines:
            self._box.addWidget(self._label(line, canvas_font(12), "text"))

    def _label(self, words: str, font: QFont, role: str) -> QLabel:
        assert self._style is not None
        label = QLabel(self)
        label.setTextFormat(Qt.TextFormat.PlainText)
        label.setFont(font)
        label.setText(words)
        palette = label.palette()
        palette.setColor(label.foregroundRole(), getattr(self._style, role))
        label.setPalette(palette)
        label.setStyleSheet(f"background: transparent; color: {getattr(self._style, role).name()};")
        wide = label.fontMetrics().horizontalAdvance(words) > _WIDTH
        label.setWordWrap(wide)
        if wide:
            label.setFixedWidth(_WIDTH)
        return label

    def _inside(self, pos: QPoint) -> QPoint:
        area = self.parentWidget().rect().adjusted(6, 6, -6, -6)
        spot = pos + _OFFSET
        if spot.x() + self.width() > area.right():
            spot.setX(pos.x() - self.width() - 12)
        if spot.y() + self.height() > area.bottom():
            spot.setY(pos.y() - self.height() - 12)
        spot.setX(max(area.left(), min(spot.x(), area.right() - self.width())))
        spot.setY(max(area.top(), min(spot.y(), area.bottom() - self.height())))
        return spot

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._style is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        edge = self._style.error if self._bad else self._style.panel_border
        painter.setPen(QPen(edge, 1.4 if self._bad else 1.0))
        painter.setBrush(self._style.panel)
        painter.drawRoundedRect(rect, 8, 8)
        painter.end()


CardText = tuple[str, list[str], list[tuple[str, str]]]
"""Title, lines, pairs."""


def node_card(scene: GraphScene, node_id: str) -> CardText:
    """What the hover card of a node says."""
    node = scene.graph.nodes[node_id]
    cls = find_type(node.type)
    pairs = [(tr("Type"), render(Message(cls.label)) if cls else node.type)]
    report = scene.result.nodes.get(node_id)
    if report is not None:
        for name, type_ in report.output_types.items():
            label = tr("Output") if len(report.output_types) == 1 else name
            pairs.append((label, f"{format_shape(type_.shape)}  {type_.dtype}"))
        if report.num_parameters:
            pairs.append((tr("Parameters"), exact(report.num_parameters)))
        if report.num_flops:
            pairs.append((tr("Operations per sample"), flops(report.num_flops)))
        if report.activation_bytes:
            pairs.append((tr("Memory per sample"), data_size(report.activation_bytes)))
    lines = []
    if cls is not None:
        lines.append(_summary(cls))
    if node.bypass:
        lines.append(tr("Bypassed: passes its input on unchanged."))
    if node.comment:
        lines.append(node.comment)
    for problem in scene.problems_of(node_id):
        lines.append("✕ " * (problem.severity == "error") + sentence(problem.message))
        if problem.hint is not None:
            lines.append("→ " + sentence(problem.hint))
    return node.label, [line for line in lines if line], pairs


def wire_card(scene: GraphScene, key: WireKey) -> CardText:
    """What the hover card of a wire says."""
    wire = scene.graph.wires[key]
    nodes = scene.graph.nodes
    title = f"{nodes[wire.source].label} → {nodes[wire.target].label}"
    type_ = scene.result.wire_type(wire)
    if type_ is None:
        return title, [tr("The shape is not known yet.")], []
    pairs = [(tr("Shape"), format_shape(type_.shape)), (tr("Data type"), type_.dtype)]
    if type_.classes is not None:
        pairs.append((tr("Classes"), str(type_.classes)))
    if type_.sample_size is not None:
        pairs.append((tr("Values per sample"), exact(type_.sample_size)))
    return title, [], pairs


def _summary(cls: type[NodeType]) -> str:
    """First line of the type's documentation, which is a key of the catalogue."""
    first = (cls.__doc__ or "").strip().split("\n", 1)[0].strip()
    return render(Message(first)).replace("``", "") if first else ""
