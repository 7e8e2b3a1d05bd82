"""The list of a project's runs: one in front, others laid over it by their check boxes."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QEvent, QModelIndex, QPoint, QRect, QSize, Qt, QUrl, Signal
from PySide6.QtGui import (
    QColor,
    QDesktopServices,
    QPainter,
    QPen,
    QStandardItem,
    QStandardItemModel,
)
from PySide6.QtWidgets import (
    QApplication,
    QLabel,
    QListView,
    QMenu,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionButton,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from graphstudio.i18n import render, tr
from graphstudio.ui.dashboard.status import STATES
from graphstudio.ui.dashboard.texts import plain_tip
from graphstudio.ui.icons import pixmap
from graphstudio.ui.style import set_role
from graphstudio.ui.theme import Theme

ROW_HEIGHT = 44
BOX = 18
_ID, _STATUS, _DETAIL, _COLOR, _FRONT = (Qt.ItemDataRole.UserRole + i for i in range(5))


@dataclass(frozen=True)
class RunRow:
    """What the list says of one run."""

    id: str
    title: str
    status: str
    detail: str
    path: str = ""


class RunsList(QWidget):
    """Latest run first. A click puts a run in front, its box lays it over the others."""

    front_chosen = Signal(str)
    overlay_changed = Signal(str, bool)
    export_asked = Signal(str)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("runsList")
        self._theme = theme
        self._rows: dict[str, RunRow] = {}
        self._model = QStandardItemModel(self)
        self._heading = QLabel()
        set_role(self._heading, "caption")
        self._empty = QLabel()
        self._empty.setWordWrap(True)
        self._empty.setTextFormat(Qt.TextFormat.PlainText)
        set_role(self._empty, "dim")
        self.view = QListView()
        self.view.setObjectName("runsView")
        self.view.setModel(self._model)
        self._delegate = _Delegate(theme, self.view)
        self.view.setItemDelegate(self._delegate)
        self.view.setEditTriggers(QListView.EditTrigger.NoEditTriggers)
        self.view.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.view.setMouseTracking(True)
        self.view.clicked.connect(self._on_clicked)
        self.view.activated.connect(self._on_clicked)
        self.view.customContextMenuRequested.connect(self._open_menu)
        self._model.itemChanged.connect(self._on_checked)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 0, 4)
        layout.setSpacing(4)
        self._heading.setContentsMargins(6, 0, 0, 0)
        self._empty.setContentsMargins(6, 0, 6, 0)
        layout.addWidget(self._heading)
        layout.addWidget(self._empty, 1, Qt.AlignmentFlag.AlignTop)
        layout.addWidget(self.view, 1)
        self.retranslate()

    def set_rows(self, rows: list[RunRow], front: str, shown: dict[str, str]) -> None:
        """Show these runs.

        Parameters
        ----------
        front : str
            Id of the run in front.
        shown : dict
            Id to colour of every run that is drawn.
        """
        self._rows = {row.id: row for row in rows}
        bar = self.view.verticalScrollBar().value()
        self._model.blockSignals(True)
        self._model.clear()
        for row in rows:
            item = QStandardItem(row.title)
            item.setCheckable(True)
            item.setEditable(False)
            on = row.id in shown
            item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
            item.setData(row.id, _ID)
            item.setData(row.status, _STATUS)
            item.setData(row.detail, _DETAIL)
            item.setData(shown.get(row.id, ""), _COLOR)
            item.setData(row.id == front, _FRONT)
            state = render(STATES[row.status][0])
            item.setData(f"{row.title}, {state}, {row.detail}", Qt.ItemDataRole.AccessibleTextRole)
            lines = (f"{row.title}: {state}", row.detail, row.path)
            item.setToolTip(plain_tip("\n".join(line for line in lines if line)))
            self._model.appendRow(item)
        self._model.blockSignals(False)
        self._model.layoutChanged.emit()
        for index in range(self._model.rowCount()):
            if self._model.item(index).data(_FRONT):
                self.view.setCurrentIndex(self._model.index(index, 0))
        self.view.verticalScrollBar().setValue(bar)
        self._empty.setVisible(not rows)
        self.view.setVisible(bool(rows))

    @property
    def ids(self) -> list[str]:
        return list(self._rows)

    def set_checked(self, run_id: str, on: bool) -> None:
        """Tick or clear the box of a run, as a click on it does."""
        for index in range(self._model.rowCount()):
            item = self._model.item(index)
            if item.data(_ID) == run_id:
                item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)

    def retranslate(self) -> None:
        self._heading.setText(tr("Runs"))
        self.view.setAccessibleName(tr("Runs"))
        self._empty.setText(tr("The runs of this project are kept here, to be compared."))

    def _on_clicked(self, index: QModelIndex) -> None:
        if self._delegate.took_click:  # Qt reports the click that the box has answered, too
            self._delegate.took_click = False
            return
        self.front_chosen.emit(index.data(_ID))

    def _on_checked(self, item: QStandardItem) -> None:
        on = item.checkState() == Qt.CheckState.Checked
        self.overlay_changed.emit(item.data(_ID), on)

    def _open_menu(self, point: QPoint) -> None:
        index = self.view.indexAt(point)
        if not index.isValid():
            return
        row = self._rows[index.data(_ID)]
        menu = QMenu(self)
        menu.addAction(tr("Show in front"), lambda: self.front_chosen.emit(row.id))
        menu.addAction(tr("Export CSV…"), lambda: self.export_asked.emit(row.id))
        if row.path:
            menu.addAction(
                tr("Open folder"),
                lambda: QDesktopServices.openUrl(QUrl.fromLocalFile(row.path)),
            )
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self.view.viewport().mapToGlobal(point))


class _Delegate(QStyledItemDelegate):
    """Two lines a run: box, colour, date and time; below them state, epochs and accuracy."""

    def __init__(self, theme: Theme, view: QListView) -> None:
        super().__init__(view)
        self._theme = theme
        self.took_click = False

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        return QSize(180, max(ROW_HEIGHT, 2 * option.fontMetrics.height() + 12))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        tokens = self._theme.tokens
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = option.rect.adjusted(2, 1, -4, -1)
        front = bool(index.data(_FRONT))
        over = bool(option.state & QStyle.StateFlag.State_MouseOver)
        if front or over:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(tokens.color("selection" if front else "hover"))
            painter.drawRoundedRect(rect, 5, 5)
        if option.state & QStyle.StateFlag.State_HasFocus:
            painter.setPen(QPen(tokens.color("focus"), 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(rect, 5, 5)
        box = QStyleOptionButton()
        box.rect = self._box(option.rect)
        checked = index.data(Qt.ItemDataRole.CheckStateRole) == Qt.CheckState.Checked.value
        box.state = QStyle.StateFlag.State_Enabled | (
            QStyle.StateFlag.State_On if checked else QStyle.StateFlag.State_Off
        )
        style = option.widget.style() if option.widget else QApplication.style()
        style.drawPrimitive(
            QStyle.PrimitiveElement.PE_IndicatorItemViewItemCheck, box, painter, option.widget
        )
        color = index.data(_COLOR)
        left = box.rect.right() + 8
        line = option.fontMetrics.height()
        top = rect.top() + (rect.height() - 2 * line - 2) // 2
        if color:
            painter.setPen(QPen(QColor(color), 3))
            painter.drawLine(left, top + line // 2, left + 14, top + line // 2)
            text_left = left + 20
        else:
            text_left = left
        title = index.data(Qt.ItemDataRole.DisplayRole)
        state, name, token = STATES[index.data(_STATUS)]
        ratio = option.widget.devicePixelRatioF() if option.widget else 1.0
        icon = pixmap(name, getattr(tokens, token), 14, ratio)
        painter.drawPixmap(left, top + line + 2 + (line - 14) // 2, icon)
        self._text(
            painter, option, QRect(text_left, top, rect.right() - text_left, line), title, "text"
        )
        detail = index.data(_DETAIL) or render(state)  # the icon's shape tells the state, too
        under = QRect(left + 20, top + line + 2, rect.right() - left - 20, line)
        self._text(painter, option, under, detail, "text_dim")
        painter.restore()

    def editorEvent(self, event: QEvent, model, option, index: QModelIndex) -> bool:
        pressed = event.type() == QEvent.Type.MouseButtonRelease
        if pressed and self._box(option.rect).adjusted(-4, -8, 4, 8).contains(
            event.position().toPoint()
        ):
            item = model.itemFromIndex(index)
            off = item.checkState() == Qt.CheckState.Unchecked
            self.took_click = True
            item.setCheckState(Qt.CheckState.Checked if off else Qt.CheckState.Unchecked)
            return True
        self.took_click = False
        return False

    def _box(self, rect: QRect) -> QRect:
        return QRect(rect.left() + 10, rect.center().y() - BOX // 2 + 1, 16, 16)

    def _text(
        self, painter: QPainter, option: QStyleOptionViewItem, rect: QRect, text: str, token: str
    ) -> None:
        painter.setPen(self._theme.tokens.color(token))
        shown = option.fontMetrics.elidedText(text, Qt.TextElideMode.ElideRight, rect.width())
        painter.drawText(rect, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, shown)
