"""The row over a plot that names its curves, gives their values and switches them on and off."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPointF, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QHelpEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from graphstudio.i18n import tr
from graphstudio.ui.dashboard.texts import plain_tip
from graphstudio.ui.theme import Theme

SWATCH, GAP, SPACE, ROW = 16, 6, 14, 20


@dataclass
class Entry:
    """One curve in the legend."""

    key: str
    text: str
    color: QColor
    marked: bool = False
    """Drawn dashed with dots, as validation curves are."""
    value: str = ""
    shown: bool = True


class Legend(QWidget):
    """Entries in rows, wrapped to the width. A click hides or shows a curve."""

    toggled = Signal(str, bool)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("legend")
        self.setAccessibleName(tr("Legend"))
        self._theme = theme
        self._entries: list[Entry] = []
        self._rects: list[QRect] = []
        self._widest = ""
        self._current = -1
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        # Not Fixed: a layout then holds it to the height that it had when it was wider.
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        theme.changed.connect(self.update)

    @property
    def entries(self) -> list[Entry]:
        return self._entries

    def set_entries(self, entries: list[Entry], *, widest: str = "0.0000e−00") -> None:
        """Show these; ``widest`` is the longest value, so that entries keep their places."""
        self._widest = widest
        hidden = {e.key for e in self._entries if not e.shown}
        for entry in entries:
            entry.shown = entry.key not in hidden
        self._entries = entries
        self._current = min(self._current, len(entries) - 1)
        self._place()
        self.updateGeometry()
        self.update()

    def set_values(self, values: dict[str, str]) -> None:
        """New value texts by key; others are cleared."""
        for entry in self._entries:
            entry.value = values.get(entry.key, "")
        self.update()

    def is_shown(self, key: str) -> bool:
        return all(e.shown for e in self._entries if e.key == key)

    def sizeHint(self) -> QSize:
        return QSize(200, self.heightForWidth(max(self.width(), 200)))

    def minimumSizeHint(self) -> QSize:
        return QSize(80, ROW)

    def heightForWidth(self, width: int) -> int:
        rects = self._layout(width)
        return rects[-1].bottom() + 1 if rects else ROW

    def resizeEvent(self, event: QEvent) -> None:
        self._place()
        super().resizeEvent(event)

    def paintEvent(self, _event: QPaintEvent) -> None:
        tokens = self._theme.tokens
        metrics = self.fontMetrics()
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            for index, (entry, rect) in enumerate(zip(self._entries, self._rects, strict=True)):
                if self.hasFocus() and index == self._current:
                    painter.setPen(QPen(tokens.color("focus"), 1))
                    painter.setBrush(Qt.BrushStyle.NoBrush)
                    painter.drawRoundedRect(rect.adjusted(-3, 1, -SPACE + 5, -1), 4, 4)
                color = entry.color if entry.shown else tokens.color("text_dim")
                middle = rect.top() + ROW / 2
                pen = QPen(color, 2)
                if entry.marked:
                    pen.setDashPattern([2.0, 1.5])
                painter.setPen(pen)
                painter.drawLine(
                    QPointF(rect.left(), middle), QPointF(rect.left() + SWATCH, middle)
                )
                if entry.marked:
                    painter.setPen(Qt.PenStyle.NoPen)
                    painter.setBrush(color)
                    painter.drawEllipse(QPointF(rect.left() + SWATCH / 2, middle), 3, 3)
                x = rect.left() + SWATCH + GAP
                painter.setPen(tokens.color("text" if entry.shown else "text_dim"))
                font = painter.font()
                font.setStrikeOut(not entry.shown)
                painter.setFont(font)
                text = self._elided(entry)
                box = QRect(x, rect.top(), rect.right() - x, ROW)
                painter.drawText(box, Qt.AlignmentFlag.AlignVCenter, text)
                font.setStrikeOut(False)
                painter.setFont(font)
                if entry.value and entry.shown:
                    painter.setPen(tokens.color("text_dim"))
                    box.setLeft(x + metrics.horizontalAdvance(text) + GAP)
                    painter.drawText(box, Qt.AlignmentFlag.AlignVCenter, entry.value)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        index = self._at(event.position().toPoint())
        if index >= 0 and event.button() == Qt.MouseButton.LeftButton:
            self._toggle(index)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        over = self._at(event.position().toPoint()) >= 0
        self.setCursor(Qt.CursorShape.PointingHandCursor if over else Qt.CursorShape.ArrowCursor)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        moves = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
        if event.key() in moves and self._entries:
            self._current = (self._current + moves[event.key()]) % len(self._entries)
            self.update()
        elif event.key() in (Qt.Key.Key_Space, Qt.Key.Key_Return) and self._current >= 0:
            self._toggle(self._current)
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            index = self._at(event.pos())
            if index >= 0:
                entry = self._entries[index]
                action = tr("Click to hide") if entry.shown else tr("Click to show")
                QToolTip.showText(event.globalPos(), plain_tip(f"{entry.text}\n{action}"), self)
                return True
        return super().event(event)

    def _toggle(self, index: int) -> None:
        entry = self._entries[index]
        entry.shown = not entry.shown
        self.update()
        self.toggled.emit(entry.key, entry.shown)

    def _at(self, point) -> int:
        return next((i for i, r in enumerate(self._rects) if r.contains(point)), -1)

    def _elided(self, entry: Entry) -> str:
        metrics = self.fontMetrics()
        return metrics.elidedText(entry.text, Qt.TextElideMode.ElideMiddle, 220)

    def _place(self) -> None:
        self._rects = self._layout(self.width())

    def _layout(self, width: int) -> list[QRect]:
        metrics = self.fontMetrics()
        value = metrics.horizontalAdvance(self._widest) + GAP
        rects, x, y = [], 0, 0
        for entry in self._entries:
            wide = SWATCH + GAP + metrics.horizontalAdvance(self._elided(entry)) + value + SPACE
            if x and x + wide - SPACE > width:
                x, y = 0, y + ROW
            rects.append(QRect(x + 4, y, wide - 4, ROW))
            x += wide
        return rects
