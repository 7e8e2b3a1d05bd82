"""Search-to-add: a small box at the pointer that is used with the keyboard alone."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QPoint, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from graphstudio.i18n import tr
from graphstudio.ui.palette.delegate import ENTRY_ROLE, HINT_ROLE, ROW_HEIGHT, EntryDelegate
from graphstudio.ui.palette.entries import Entry, RecentTypes, entries, matching
from graphstudio.ui.theme import Theme

_WIDTH = 320
_ROWS = 9
UNFIT = 9
"""Rank of a type that can be wired but does not fit in shape."""


class SearchPopup(QFrame):
    """Type, choose with the arrows, Enter. Esc or a click elsewhere closes it."""

    chosen = Signal(str, bool)
    """Type id, and whether it should be wired after the selection (Shift+Enter)."""
    closed = Signal()

    def __init__(self, theme: Theme, recent: RecentTypes, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("canvas-search")
        self._theme = theme
        self._recent = recent
        self._pool: list[Entry] = []
        self._rank: dict[str, int] = {}
        self.title = QLabel(self)
        self.title.setTextFormat(Qt.TextFormat.PlainText)
        self.line = QLineEdit(self)
        self.line.setObjectName("canvas-search-line")
        self.list = QListWidget(self)
        self.list.setObjectName("canvas-search-list")
        self.list.setItemDelegate(EntryDelegate(theme, self.list))
        self.list.setMouseTracking(True)
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setUniformItemSizes(True)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.hint = QLabel(self)
        self.hint.setTextFormat(Qt.TextFormat.PlainText)
        self.hint.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(6)
        for widget in (self.title, self.line, self.list, self.hint):
            layout.addWidget(widget)
        self.line.textChanged.connect(self._fill)
        self.line.installEventFilter(self)
        self.list.itemClicked.connect(lambda _: self._choose(False))
        theme.changed.connect(self._restyle)
        self._restyle()
        self.hide()

    def open_at(
        self,
        pos: QPoint,
        *,
        accepts: Callable[[Entry], bool] | None = None,
        rank: Callable[[Entry], int] | None = None,
        title: str = "",
        can_wire: bool = False,
    ) -> None:
        """Show the box at a point of the parent, with only the entries that ``accepts`` wants.

        Without a query the lower ``rank`` stands first.
        """
        self._pool = [e for e in entries() if accepts is None or accepts(e)]
        self._rank = {e.type_id: rank(e) for e in self._pool} if rank is not None else {}
        self.title.setText(title)
        self.title.setVisible(bool(title))
        self.line.setPlaceholderText(tr("Add a node…"))
        self.line.setAccessibleName(tr("Add a node…"))
        self.hint.setText(
            tr("Enter adds · Shift+Enter also wires it after the selection · Esc closes")
            if can_wire
            else tr("Enter adds · Esc closes")
        )
        self.line.clear()
        self._fill()
        self.setFixedWidth(_WIDTH)
        area = self.parentWidget().rect().adjusted(8, 8, -8, -8)
        x = max(area.left(), min(pos.x() - 20, area.right() - self.width()))
        y = max(area.top(), min(pos.y() - 20, area.bottom() - self.height()))
        self.move(x, y)
        self.show()
        self.raise_()
        self.line.setFocus(Qt.FocusReason.PopupFocusReason)

    def shown(self) -> list[str]:
        """Type ids in the order in which they are listed."""
        return [
            self.list.item(i).data(ENTRY_ROLE).type_id
            for i in range(self.list.count())
            if self.list.item(i).data(ENTRY_ROLE) is not None
        ]

    def close_box(self) -> None:
        """Hide the box and give the keyboard back to the canvas."""
        if self.isVisible():
            self.hide()
            self.parentWidget().setFocus()
            self.closed.emit()

    def eventFilter(self, watched, event: QEvent) -> bool:
        if watched is self.line and event.type() == QEvent.Type.FocusOut:
            if event.reason() not in (
                Qt.FocusReason.ActiveWindowFocusReason,
                Qt.FocusReason.PopupFocusReason,
            ):
                self.close_box()
            return False
        if watched is self.line and isinstance(event, QKeyEvent):
            if event.type() == QEvent.Type.ShortcutOverride:
                event.accept()  # what is typed here is no command of the canvas
                return True
            if event.type() == QEvent.Type.KeyPress and self._key(event):
                return True
        return False

    def _key(self, event: QKeyEvent) -> bool:
        match event.key():
            case Qt.Key.Key_Escape | Qt.Key.Key_Tab | Qt.Key.Key_Backtab:
                self.close_box()
            case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                self._choose(bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier))
            case Qt.Key.Key_Down | Qt.Key.Key_Up | Qt.Key.Key_PageDown | Qt.Key.Key_PageUp:
                step = {
                    Qt.Key.Key_Down: 1,
                    Qt.Key.Key_Up: -1,
                    Qt.Key.Key_PageDown: _ROWS - 1,
                    Qt.Key.Key_PageUp: 1 - _ROWS,
                }[Qt.Key(event.key())]
                row = self.list.currentRow() + step
                self.list.setCurrentRow(max(0, min(row, self.list.count() - 1)))
            case _:
                return False
        return True

    def _choose(self, wired: bool) -> None:
        item = self.list.currentItem()
        entry = item.data(ENTRY_ROLE) if item is not None else None
        if entry is None:
            return
        self.close_box()
        self.chosen.emit(entry.type_id, wired)

    def _fill(self) -> None:
        self.list.clear()
        query = self.line.text()
        found = matching(query, self._pool, self._recent.type_ids)
        if not query.strip():
            found.sort(key=lambda entry: self._rank.get(entry.type_id, 0))
        for entry in found:
            row = QListWidgetItem(entry.label)
            row.setData(ENTRY_ROLE, entry)
            unfit = self._rank.get(entry.type_id) == UNFIT
            hint = tr("another shape") if unfit else entry.code or entry.category_label
            row.setData(HINT_ROLE, hint)
            row.setToolTip(entry.help)
            self.list.addItem(row)
        if self.list.count():
            self.list.setCurrentRow(0)
        else:
            row = QListWidgetItem(tr("Nothing fits."))
            row.setFlags(Qt.ItemFlag.NoItemFlags)
            self.list.addItem(row)
        self.list.setFixedHeight(min(self.list.count(), _ROWS) * ROW_HEIGHT + 2)
        self.layout().activate()
        self.adjustSize()

    def _restyle(self) -> None:
        t = self._theme.tokens
        self.setStyleSheet(
            f"#canvas-search {{ background: {t.panel}; border: 1px solid {t.border};"
            " border-radius: 10px; }"
            f"#canvas-search QLabel {{ color: {t.text_dim}; background: transparent;"
            " font-size: 11px; padding: 0 4px; }"
            f"#canvas-search-line {{ background: {t.base}; color: {t.text};"
            f" border: 1px solid {t.border}; border-radius: 6px; padding: 6px 8px;"
            " font-size: 14px; }"
            f"#canvas-search-line:focus {{ border-color: {t.accent}; }}"
            f"#canvas-search-list {{ background: {t.panel}; border: none; outline: none;"
            f" color: {t.text_dim}; }}"
        )
