"""The palette: all node types by category, searched by typing, dragged onto the canvas."""

from __future__ import annotations

from PySide6.QtCore import QByteArray, QMimeData, QPoint, QRectF, Qt, Signal
from PySide6.QtGui import QDrag, QKeyEvent, QPainter, QPixmap
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QLineEdit,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from graphstudio.i18n import tr
from graphstudio.ui.canvas.style import CanvasStyle
from graphstudio.ui.palette.delegate import CHIP, ENTRY_ROLE, HINT_ROLE, EntryDelegate, paint_chip
from graphstudio.ui.palette.entries import (
    NODE_MIME,
    Entry,
    RecentTypes,
    entries,
    matching,
)
from graphstudio.ui.theme import Theme

_RECENT_SHOWN = 5


class PaletteTree(QTreeWidget):
    """Categories with their node types; a type can be dragged out."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.setObjectName("palette-tree")
        self.setHeaderHidden(True)
        self.setColumnCount(1)
        self.setIndentation(0)
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(False)
        self.setMouseTracking(True)
        self.setFrameShape(QTreeWidget.Shape.NoFrame)
        self.setExpandsOnDoubleClick(False)
        self.setDragEnabled(True)
        self.setDragDropMode(QAbstractItemView.DragDropMode.DragOnly)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.header().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.setItemDelegate(EntryDelegate(theme, self))

    def mimeTypes(self) -> list[str]:
        return [NODE_MIME]

    def mimeData(self, items) -> QMimeData:
        data = QMimeData()
        entry = items[0].data(0, ENTRY_ROLE) if items else None
        if entry is not None:
            data.setData(NODE_MIME, QByteArray(entry.type_id.encode()))
            data.setText(entry.label)
        return data

    def startDrag(self, actions: Qt.DropAction) -> None:
        item = self.currentItem()
        entry: Entry | None = item.data(0, ENTRY_ROLE) if item is not None else None
        if entry is None:
            return
        drag = QDrag(self)
        drag.setMimeData(self.mimeData([item]))
        drag.setPixmap(self._picture(entry))
        drag.setHotSpot(QPoint(-12, -14))  # below the pointer: the canvas shows a ghost there
        drag.exec(Qt.DropAction.CopyAction)

    def _picture(self, entry: Entry) -> QPixmap:
        dpr = self.devicePixelRatioF()
        pixmap = QPixmap(int(CHIP * dpr), int(CHIP * dpr))
        pixmap.setDevicePixelRatio(dpr)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        style = CanvasStyle(self._theme.tokens)
        paint_chip(painter, style, entry.type_id, entry.category, QRectF(0, 0, CHIP, CHIP))
        painter.end()
        return pixmap


class PalettePanel(QWidget):
    """Search line above the tree of node types.

    Parameters
    ----------
    recent : RecentTypes, optional
        Shared with the canvas, so that both know what was used last.
    """

    node_activated = Signal(str)
    """Type id of an entry chosen by Enter or a double click."""

    def __init__(
        self, theme: Theme, recent: RecentTypes | None = None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName("palette-panel")
        self._theme = theme
        self._recent = recent or RecentTypes()
        self._entries: tuple[Entry, ...] = ()
        self._closed: set[str] = set()
        self.search = QLineEdit(self)
        self.search.setObjectName("palette-search")
        self.search.setClearButtonEnabled(True)
        self.tree = PaletteTree(theme, self)
        self.empty = QLabel(self)
        self.empty.setObjectName("palette-empty")
        self.empty.setTextFormat(Qt.TextFormat.PlainText)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop)
        self.empty.setWordWrap(True)
        self.empty.setMargin(16)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 0)
        layout.setSpacing(6)
        layout.addWidget(self.search)
        layout.addWidget(self.tree, 1)
        layout.addWidget(self.empty, 1)
        self.setFocusProxy(self.search)

        self.search.textChanged.connect(self._fill)
        self.search.returnPressed.connect(self._activate_current)
        self.search.installEventFilter(self)
        self.tree.itemActivated.connect(self._activate)
        self.tree.itemClicked.connect(self._toggle)
        self._recent.changed.connect(self._fill)
        theme.changed.connect(self.tree.viewport().update)
        self.retranslate()

    def retranslate(self) -> None:
        """Show all texts in the active language."""
        self.search.setPlaceholderText(tr("Search nodes"))
        self.search.setAccessibleName(tr("Search nodes"))
        self.tree.setAccessibleName(tr("Node types"))
        self.setAccessibleName(tr("Palette"))
        self._entries = entries()
        self._fill()

    def shown(self) -> list[str]:
        """Type ids in the order in which they are listed."""
        return [e.type_id for item in self._items() if (e := item.data(0, ENTRY_ROLE)) is not None]

    def eventFilter(self, watched, event) -> bool:
        """Arrow keys in the search line move through the results."""
        if (
            watched is self.search
            and isinstance(event, QKeyEvent)
            and event.type() == QKeyEvent.Type.KeyPress
        ):
            if event.key() in (Qt.Key.Key_Down, Qt.Key.Key_Up):
                self._step(1 if event.key() == Qt.Key.Key_Down else -1)
                return True
            if event.key() == Qt.Key.Key_Escape and self.search.text():
                self.search.clear()
                return True
        return False

    def _items(self) -> list[QTreeWidgetItem]:
        out = []
        for i in range(self.tree.topLevelItemCount()):
            top = self.tree.topLevelItem(i)
            out.append(top)
            if top.isExpanded():
                out += [top.child(j) for j in range(top.childCount())]
        return out

    def _fill(self) -> None:
        query = self.search.text().strip()
        self.tree.clear()
        found: list[Entry]
        if query:
            found = matching(query, self._entries, self._recent.type_ids)
            for entry in found:
                self.tree.addTopLevelItem(self._row(entry, entry.category_label))
        else:
            found = list(self._entries)
            by_id = {e.type_id: e for e in self._entries}
            recent = [by_id[t] for t in self._recent.type_ids if t in by_id][:_RECENT_SHOWN]
            if recent:
                self._group("recent", tr("Recent"), recent)
            for category in dict.fromkeys(e.category for e in self._entries):
                members = [e for e in self._entries if e.category == category]
                self._group(category, members[0].category_label, members)
        self.tree.setVisible(bool(found))
        self.empty.setVisible(not found)
        self.empty.setText(tr("No node is called “{query}”.", query=query) if not found else "")
        if query and found:
            self.tree.setCurrentItem(self.tree.topLevelItem(0))

    def _group(self, key: str, title: str, members: list[Entry]) -> None:
        heading = QTreeWidgetItem([title])
        heading.setData(0, Qt.ItemDataRole.UserRole, key)
        heading.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
        self.tree.addTopLevelItem(heading)
        for entry in members:
            heading.addChild(self._row(entry, entry.code))
        heading.setExpanded(key not in self._closed)

    def _row(self, entry: Entry, hint: str) -> QTreeWidgetItem:
        row = QTreeWidgetItem([entry.label])
        row.setData(0, ENTRY_ROLE, entry)
        row.setData(0, HINT_ROLE, hint)
        row.setToolTip(0, entry.help)
        row.setFlags(
            Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsDragEnabled
        )
        return row

    def _step(self, by: int) -> None:
        rows = [i for i in self._items() if i.data(0, ENTRY_ROLE) is not None]
        if not rows:
            return
        current = self.tree.currentItem()
        at = rows.index(current) + by if current in rows else 0
        self.tree.setCurrentItem(rows[max(0, min(at, len(rows) - 1))])

    def _activate_current(self) -> None:
        item = self.tree.currentItem()
        if item is not None:
            self._activate(item)

    def _activate(self, item: QTreeWidgetItem, column: int = 0) -> None:
        entry = item.data(0, ENTRY_ROLE)
        if entry is not None:
            self.node_activated.emit(entry.type_id)
        else:
            self._toggle(item)

    def _toggle(self, item: QTreeWidgetItem, column: int = 0) -> None:
        if item.data(0, ENTRY_ROLE) is not None:
            return
        key = item.data(0, Qt.ItemDataRole.UserRole)
        item.setExpanded(not item.isExpanded())
        (self._closed.discard if item.isExpanded() else self._closed.add)(key)
