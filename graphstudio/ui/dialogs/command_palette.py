"""Every command by a few typed letters, with its keys beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QObject, QRect, QSize, Qt
from PySide6.QtGui import QAction, QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QDialog,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from graphstudio.i18n import tr
from graphstudio.ui.palette.fuzzy import best_score
from graphstudio.ui.theme import Theme

WIDTH, ROWS, ROW_HEIGHT = 560, 11, 32
STEPS = {
    Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1, Qt.Key.Key_PageDown: 8, Qt.Key.Key_PageUp: -8
}  # fmt: skip
ENTRY_ROLE = Qt.ItemDataRole.UserRole


@dataclass(frozen=True)
class Entry:
    """A command as the palette offers it."""

    text: str
    group: str
    keys: str
    action: QAction
    english: str = ""
    """The English text: it finds the command in every language."""


class CommandPalette(QDialog):
    """A box at the top of the window: type, choose with the arrow keys, Enter."""

    def __init__(
        self, entries: Sequence[Entry], theme: Theme, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent, Qt.WindowType.Popup | Qt.WindowType.FramelessWindowHint)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setObjectName("commandPalette")
        self.setAccessibleName(tr("Commands"))
        self._entries = list(entries)
        self._theme = theme
        self.field = QLineEdit()
        self.field.setObjectName("commandField")
        self.field.setPlaceholderText(tr("Type a command"))
        self.field.textChanged.connect(self._fill)
        self.field.installEventFilter(self)
        self.list = QListWidget()
        self.list.setObjectName("commandList")
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setItemDelegate(_Rows(theme, self.list))
        self.list.setUniformItemSizes(True)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.itemClicked.connect(self._run)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 8)
        column.setSpacing(6)
        column.addWidget(self.field)
        column.addWidget(self.list)
        self.chosen: QAction | None = None
        self._fill("")

    @property
    def texts(self) -> list[str]:
        """What is offered now, the best first."""
        return [self.list.item(i).data(ENTRY_ROLE).text for i in range(self.list.count())]

    def open_at_top(self) -> None:
        """Show the box below the title of its window."""
        window = self.parentWidget().window()
        width = min(WIDTH, window.width() - 40)
        self.resize(width, ROWS * ROW_HEIGHT + 62)
        corner = window.mapToGlobal(window.rect().topLeft())
        self.move(corner.x() + (window.width() - width) // 2, corner.y() + 70)
        self.show()
        self.field.setFocus()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self.field and event.type() == QEvent.Type.KeyPress:
            assert isinstance(event, QKeyEvent)
            step = {
                Qt.Key.Key_Down: 1,
                Qt.Key.Key_Up: -1,
                Qt.Key.Key_PageDown: 8,
                Qt.Key.Key_PageUp: -8,
            }.get(event.key())
            if step and self.list.count():
                row = self.list.currentRow() + step
                if abs(step) == 1:
                    row %= self.list.count()
                self.list.setCurrentRow(max(0, min(row, self.list.count() - 1)))
                return True
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                if self.list.currentItem() is not None:
                    self._run(self.list.currentItem())
                return True
        return super().eventFilter(watched, event)

    def _fill(self, query: str) -> None:
        self.list.clear()
        scored = []
        for order, entry in enumerate(self._entries):
            if not query.strip():
                scored.append((0.0, order, entry))
                continue
            names = ((entry.text, 1.0), (entry.english, 0.95), (f"{entry.group} {entry.text}", 0.7))
            score = best_score(query, names)
            if score:
                scored.append((-score, order, entry))
        for _, _, entry in sorted(scored, key=lambda s: s[:2]):
            item = QListWidgetItem(entry.text)
            item.setData(ENTRY_ROLE, entry)
            if not entry.action.isEnabled():
                item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEnabled)
            self.list.addItem(item)
        first = next(
            (
                i
                for i in range(self.list.count())
                if self.list.item(i).flags() & Qt.ItemFlag.ItemIsEnabled
            ),
            -1,
        )
        self.list.setCurrentRow(first)

    def _run(self, item: QListWidgetItem) -> None:
        if not item.flags() & Qt.ItemFlag.ItemIsEnabled:
            return
        self.chosen = item.data(ENTRY_ROLE).action
        self.accept()
        self.chosen.trigger()


class _Rows(QStyledItemDelegate):
    """Group, text, and keys at the right."""

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme

    def sizeHint(self, option: QStyleOptionViewItem, index) -> QSize:
        return QSize(0, ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index) -> None:
        entry: Entry = index.data(ENTRY_ROLE)
        tokens = self._theme.tokens
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        hovered = bool(option.state & QStyle.StateFlag.State_MouseOver)
        if selected or hovered:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(tokens.color("selection" if selected else "hover"))
            painter.drawRoundedRect(option.rect.adjusted(1, 1, -1, -1), 5, 5)
        enabled = bool(index.flags() & Qt.ItemFlag.ItemIsEnabled)
        if not enabled:
            painter.setOpacity(0.45)
        box = option.rect.adjusted(10, 0, -12, 0)
        metrics = painter.fontMetrics()
        keys_width = metrics.horizontalAdvance(entry.keys)
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.setPen(tokens.color("text" if selected else "text_dim"))
        painter.drawText(box, middle | Qt.AlignmentFlag.AlignRight, entry.keys)
        group_width = 76
        painter.drawText(
            QRect(box.left(), box.top(), group_width, box.height()), middle, entry.group
        )
        painter.setPen(tokens.color("text"))
        left = box.left() + group_width
        room = QRect(left, box.top(), box.width() - group_width - keys_width - 16, box.height())
        text = metrics.elidedText(entry.text, Qt.TextElideMode.ElideRight, room.width())
        painter.drawText(room, middle, text)
        painter.restore()
