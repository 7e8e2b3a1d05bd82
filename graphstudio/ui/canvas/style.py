"""Fonts, colours and icons of the canvas, read once a theme instead of once a paint."""

from __future__ import annotations

import math

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import (
    QBrush,
    QColor,
    QFont,
    QFontMetricsF,
    QGuiApplication,
    QPainter,
    QPen,
    QPixmap,
    QStaticText,
)
from PySide6.QtSvg import QSvgRenderer

from graphstudio.nodes.spec import find_type
from graphstudio.resources import resource
from graphstudio.ui.theme import Tokens

CHINESE_FONTS = (
    "Noto Sans CJK SC",
    "Source Han Sans SC",
    "PingFang SC",
    "Microsoft YaHei",
    "WenQuanYi Micro Hei",
)
_ICON_SIZES = (12, 16, 20, 24, 32, 48, 64, 96, 128)
_WIDEST = 10_000.0


def canvas_font(pixels: float, *, bold: bool = False) -> QFont:
    """Font of the application with Chinese fallbacks, unhinted so that it zooms evenly."""
    font = QFont(QGuiApplication.font())
    families = [f for f in font.families() or [font.family()] if f]
    font.setFamilies([*families, *(f for f in CHINESE_FONTS if f not in families)])
    font.setPixelSize(1)  # drops a point size; the float size below then counts in pixels
    font.setPixelSize(max(1, round(pixels)))
    font.setWeight(QFont.Weight.DemiBold if bold else QFont.Weight.Normal)
    font.setHintingPreference(QFont.HintingPreference.PreferNoHinting)
    # coloured edges are right on one ground only; these texts are also copied from pictures
    font.setStyleStrategy(QFont.StyleStrategy.NoSubpixelAntialias)
    return font


def mix(a: QColor, b: QColor, share: float) -> QColor:
    """``a`` with ``share`` of ``b`` in it."""
    keep = 1.0 - share
    return QColor.fromRgbF(
        a.redF() * keep + b.redF() * share,
        a.greenF() * keep + b.greenF() * share,
        a.blueF() * keep + b.blueF() * share,
    )


def faded(color: QColor, alpha: float) -> QColor:
    """``color`` with an opacity between 0 and 1."""
    out = QColor(color)
    out.setAlphaF(alpha)
    return out


class Text:
    """A line of plain text laid out once: painting it costs one call."""

    __slots__ = ("full", "height", "shown", "static", "width")

    def __init__(self, full: str, width: float, metrics: QFontMetricsF) -> None:
        self.full = full
        self.shown = " ".join(full.split())
        self.width = metrics.horizontalAdvance(self.shown)
        if self.width > width:
            self.shown = metrics.elidedText(self.shown, Qt.TextElideMode.ElideRight, width)
            self.width = metrics.horizontalAdvance(self.shown)
        self.height = metrics.height()
        self.static = QStaticText(self.shown)  # laid out when first painted, which few texts are
        self.static.setTextFormat(Qt.TextFormat.PlainText)
        self.static.setPerformanceHint(QStaticText.PerformanceHint.AggressiveCaching)

    @property
    def elided(self) -> bool:
        return self.full != self.shown


class CanvasStyle:
    """Everything that painters need of the theme. Make a new one when the theme changes."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self.dark = tokens.name == "dark"
        color = tokens.color
        self.canvas = color("canvas")
        self.grid = color("grid")
        self.grid_major = color("grid_major")
        self.body = color("node_body")
        self.border = color("node_border")
        self.title = color("node_title")
        self.text = color("text")
        self.text_dim = color("text_dim")
        self.accent = color("accent")
        self.accent_text = color("accent_text")
        self.error = color("error")
        self.warning = color("warning")
        self.ok = color("ok")
        self.blocked = color("blocked")
        self.wire = color("wire")
        self.wire_label = color("wire_label")
        self.panel = color("panel")
        self.panel_border = color("border")

        self.body_brush = QBrush(self.body)
        self.bypass_brush = QBrush(mix(self.body, self.canvas, 0.6))
        self.border_pen = QPen(self.border, 1.0)
        self.hover_pen = QPen(mix(self.border, self.text, 0.45), 1.2)
        self.selected_pen = QPen(self.accent, 2.0)
        self.glow_pen = QPen(faded(self.accent, 0.28), 7.0)
        self.error_pen = QPen(self.error, 1.6)
        self.warning_pen = QPen(self.warning, 1.4)
        self.bypass_pen = QPen(self.blocked, 1.4, Qt.PenStyle.DashLine)
        self.shadow = faded(QColor("#000000"), 0.12 if self.dark else 0.05)
        self.separator_pen = QPen(mix(self.body, self.border, 0.55), 1.0)
        self.wire_pen = QPen(self.wire, 2.0)
        self.wire_hovered_pen = QPen(self.accent, 2.6)
        self.wire_selected_pen = QPen(self.accent, 3.0)
        self.wire_error_pen = QPen(self.error, 2.2)
        self.wire_unknown_pen = QPen(self.blocked, 1.8)
        self.wire_unknown_pen.setDashPattern([4, 3])
        self.label_fill = mix(self.canvas, self.body, 0.55)
        self.label_pen = QPen(mix(self.canvas, self.border, 0.75), 1.0)

        self.title_font = canvas_font(13, bold=True)
        self.info_font = canvas_font(11)
        self.small_font = canvas_font(11)
        self.label_font = canvas_font(11)
        self.far_title_font = canvas_font(18, bold=True)
        self.far_info_font = canvas_font(16)
        self.caption_font = canvas_font(10, bold=True)
        self.frame_font = canvas_font(15, bold=True)
        self._metrics: dict[str, QFontMetricsF] = {}
        self._texts: dict[tuple[str, str, float], Text] = {}
        self._categories: dict[str, QColor] = {}
        self._icons: dict[tuple[str, int, str], QPixmap | None] = {}

    def font(self, role: str) -> QFont:
        font: QFont = getattr(self, f"{role}_font")
        return font

    def metrics(self, role: str) -> QFontMetricsF:
        found = self._metrics.get(role)
        if found is None:
            found = self._metrics[role] = QFontMetricsF(self.font(role))
        return found

    def category(self, category: str) -> QColor:
        """Header colour of a category."""
        found = self._categories.get(category)
        if found is None:
            found = self._categories[category] = self.tokens.category(category)
        return found

    def line(self, words: str, role: str, width: float = _WIDEST) -> Text:
        """One line in a role's font, elided to ``width`` pixels; shared between items."""
        key = (words, role, width)
        found = self._texts.get(key)
        if found is None:
            if len(self._texts) > 20_000:  # a rename storm must not grow it without end
                self._texts.clear()
            found = self._texts[key] = Text(words, width, self.metrics(role))
        return found

    def icon(self, type_id: str, pixels: float, color: QColor | None = None) -> QPixmap | None:
        """Icon of a node type at ``pixels`` device pixels or the next larger step, or None."""
        size = next((s for s in _ICON_SIZES if s >= pixels), _ICON_SIZES[-1])
        tint = color or self.title
        key = (type_id, size, tint.name())
        if key not in self._icons:
            # Only a known type names a file: an unknown one is text out of a project.
            known = find_type(type_id)
            self._icons[key] = (
                tinted_svg(("icons", "nodes", f"{known.type_id}.svg"), size, tint)
                if known is not None
                else None
            )
        return self._icons[key]

    def has_icon(self, type_id: str) -> bool:
        return self.icon(type_id, _ICON_SIZES[0]) is not None

    def draw_icon(
        self,
        painter: QPainter,
        type_id: str,
        rect: QRectF,
        scale: float,
        color: QColor | None = None,
    ) -> bool:
        """Paint a type's icon into ``rect``; ``scale`` is device pixels a unit. False: no icon."""
        pixmap = self.icon(type_id, rect.width() * scale, color)
        if pixmap is None:
            return False
        painter.drawPixmap(rect, pixmap, QRectF(pixmap.rect()))
        return True


def tinted_svg(parts: tuple[str, ...], size: int, color: QColor) -> QPixmap | None:
    """A one-colour SVG of the resources, ``size`` pixels square, in ``color``; None if absent."""
    try:
        path = resource(*parts)
    except FileNotFoundError:
        return None
    if not path.is_file():
        return None
    renderer = QSvgRenderer(str(path))
    if not renderer.isValid():
        return None
    pixmap = QPixmap(size, size)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    renderer.render(painter, QRectF(0, 0, size, size))
    painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_SourceIn)
    painter.fillRect(pixmap.rect(), color)
    painter.end()
    return pixmap


def paint_badge(
    painter: QPainter, style: CanvasStyle, kind: str, center: QPointF, r: float
) -> None:
    """Mark of a problem: ``!`` in a circle or (a warning) a triangle; dots when blocked.

    The three differ in outline, so that no one has to tell them apart by colour.
    """
    x, y = center.x(), center.y()
    ring = QPen(style.canvas, r * 0.28)
    ring.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    ink = QColor("#ffffff") if not style.dark else QColor("#14171b")
    painter.setPen(ring)
    if kind == "warning":
        painter.setBrush(style.warning)
        painter.drawPolygon(
            [
                QPointF(x + math.cos(a) * r * 1.2, y + math.sin(a) * r * 1.2 + r * 0.2)
                for a in (-math.pi / 2, math.pi / 6, 5 * math.pi / 6)
            ]
        )
        y += r * 0.15
    else:
        painter.setBrush(style.error if kind == "error" else style.blocked)
        painter.drawEllipse(center, r, r)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(ink)
    if kind == "blocked":
        for dx in (-0.42, 0.0, 0.42):
            painter.drawEllipse(QPointF(x + dx * r, y), r * 0.14, r * 0.14)
        return
    bar = r * 0.24
    painter.drawRoundedRect(QRectF(x - bar / 2, y - r * 0.55, bar, r * 0.66), bar / 2, bar / 2)
    painter.drawEllipse(QPointF(x, y + r * 0.42), bar * 0.62, bar * 0.62)
