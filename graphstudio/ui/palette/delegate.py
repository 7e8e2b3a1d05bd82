"""Paints a row of the palette and of the search: coloured chip with icon, name, hint."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QPainter
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from graphstudio.ui.canvas.style import CanvasStyle, canvas_font, faded, mix, tinted_svg
from graphstudio.ui.palette.entries import Entry
from graphstudio.ui.theme import Theme

ENTRY_ROLE = Qt.ItemDataRole.UserRole + 1
HINT_ROLE = Qt.ItemDataRole.UserRole + 2
CHIP = 22.0
ROW_HEIGHT = 30
HEADING_HEIGHT = 28


def paint_chip(
    painter: QPainter, style: CanvasStyle, type_id: str, category: str, rect: QRectF
) -> None:
    """Rounded square in the category's colour with the type's icon in white."""
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(style.category(category))
    painter.drawRoundedRect(rect, 6, 6)
    inner = rect.adjusted(3.5, 3.5, -3.5, -3.5)
    style.draw_icon(painter, type_id, inner, painter.device().devicePixelRatioF())


class EntryDelegate(QStyledItemDelegate):
    """Rows with an Entry are painted as nodes, rows without one as headings."""

    def __init__(self, theme: Theme, parent=None) -> None:
        super().__init__(parent)
        self._style = CanvasStyle(theme.tokens)
        self._theme = theme
        self._name_font = canvas_font(13)
        self._hint_font = canvas_font(11)
        self._heading_font = canvas_font(11, bold=True)
        theme.changed.connect(self._retheme)

    def _retheme(self) -> None:
        self._style = CanvasStyle(self._theme.tokens)

    def sizeHint(
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        entry = index.data(ENTRY_ROLE)
        return QSize(120, ROW_HEIGHT if entry is not None else HEADING_HEIGHT)

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        entry = index.data(ENTRY_ROLE)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = QRectF(option.rect)
        if entry is None:
            self._paint_heading(painter, rect, option, index)
        else:
            self._paint_entry(painter, rect, option, entry, index.data(HINT_ROLE) or "")
        painter.restore()

    def _paint_heading(self, painter: QPainter, rect: QRectF, option, index) -> None:
        style = self._style
        painter.setFont(self._heading_font)
        painter.setPen(style.text_dim)
        opened = bool(option.state & QStyle.StateFlag.State_Open)
        if option.state & QStyle.StateFlag.State_Children:
            arrow = tinted_arrow(style, opened)
            if arrow is not None:
                painter.drawPixmap(
                    QRectF(rect.left() + 6, rect.center().y() - 5, 10, 10), arrow, arrow.rect()
                )
        painter.drawText(
            rect.adjusted(22, 0, -8, 0),
            int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft),
            str(index.data(Qt.ItemDataRole.DisplayRole)),
        )
        if option.state & QStyle.StateFlag.State_HasFocus:
            self._paint_ground(painter, rect, faded(style.accent, 0.12))

    def _paint_ground(self, painter: QPainter, rect: QRectF, color) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(color)
        painter.drawRoundedRect(rect.adjusted(3, 1, -3, -1), 6, 6)

    def _paint_entry(
        self, painter: QPainter, rect: QRectF, option, entry: Entry, hint: str
    ) -> None:
        style = self._style
        if option.state & QStyle.StateFlag.State_Selected:
            self._paint_ground(painter, rect, mix(style.panel, style.accent, 0.30))
        elif option.state & QStyle.StateFlag.State_MouseOver:
            self._paint_ground(painter, rect, mix(style.panel, style.text, 0.08))
        chip = QRectF(rect.left() + 10, rect.center().y() - CHIP / 2, CHIP, CHIP)
        paint_chip(painter, style, entry.type_id, entry.category, chip)
        words = rect.adjusted(10 + CHIP + 9, 0, -10, 0)
        painter.setFont(self._name_font)
        name_width = QFontMetricsF(self._name_font).horizontalAdvance(entry.label)
        hint_metrics = QFontMetricsF(self._hint_font)
        room = words.width() - name_width - 14
        painter.setPen(style.text)
        align = Qt.AlignmentFlag.AlignVCenter
        name = QFontMetricsF(self._name_font).elidedText(
            entry.label, Qt.TextElideMode.ElideRight, words.width()
        )
        painter.drawText(words, int(align | Qt.AlignmentFlag.AlignLeft), name)
        if hint and room > 24:
            painter.setFont(self._hint_font)
            painter.setPen(style.text_dim)
            shown = hint_metrics.elidedText(hint, Qt.TextElideMode.ElideRight, room)
            painter.drawText(words, int(align | Qt.AlignmentFlag.AlignRight), shown)


def tinted_arrow(style: CanvasStyle, opened: bool):
    """The arrow of a heading, pointing down while it is open."""
    name = "chevron-down" if opened else "chevron-right"
    return tinted_svg(("icons", "actions", f"{name}.svg"), 20, style.text_dim)
