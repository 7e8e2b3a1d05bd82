"""The panels around the canvas: their titles, their places, and how places are remembered."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRect, QSize, Qt, QTimer
from PySide6.QtWidgets import (
    QDockWidget,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QTabBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from graphstudio.i18n import tr
from graphstudio.ui.icons import icon
from graphstudio.ui.settings import Settings, to_bytes, to_text
from graphstudio.ui.style import set_role
from graphstudio.ui.theme import Theme

LAYOUT_VERSION = 1
"""Raise it when docks come, go or move: an older layout is then not restored."""

LEFT_WIDTH, RIGHT_WIDTH, BOTTOM_HEIGHT = 216, 376, 300
BOTTOM_SHARE = 0.36
"""The panels below take at least this share of a tall window."""
BOTTOM_MOST = 0.4
WIDE = 1800
"""Width of a window in pixels from which training and code stand side by side."""
COMFORTABLE, MOST, SHARE = QSize(1440, 900), QSize(2000, 1250), 0.75
"""Size of the window at a first start; on a large screen it takes a share of it, up to a limit."""
FRAME = QSize(16, 48)
"""Room for title bar and borders, which no system tells before the window is shown."""


class Dock(QDockWidget):
    """A panel with a slim title; the title hides while a tab says the same."""

    def __init__(self, name: str, theme: Theme, window: QMainWindow) -> None:
        super().__init__(window)
        self.setObjectName(f"dock_{name}")
        self._title = _Title(self, theme)
        self.setTitleBarWidget(self._title)
        body = QWidget()
        body.setObjectName("dockBody")
        body.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._column = QVBoxLayout(body)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        self.setWidget(body)
        # Whether a dock is one of several tabs is told by no signal of its own, only around moves.
        self._settle = QTimer(self, singleShot=True, interval=0)
        self._settle.timeout.connect(self._fit_title)
        for signal in (self.topLevelChanged, self.dockLocationChanged, self.visibilityChanged):
            signal.connect(self._settle.start)

    @property
    def panel(self) -> QWidget | None:
        """What the dock shows."""
        item = self._column.itemAt(0)
        return item.widget() if item else None

    def set_panel(self, panel: QWidget) -> None:
        """Show another panel; the one before is deleted."""
        old = self.panel
        if old is not None:
            self._column.removeWidget(old)
            old.hide()
            old.deleteLater()
        self._column.addWidget(panel)

    def set_title(self, text: str) -> None:
        self.setWindowTitle(text)
        self._title.set_text(text)

    def add_title_widget(self, widget: QWidget) -> None:
        """Put a small widget at the right of the title."""
        self._title.add(widget)

    def bring_up(self) -> None:
        """Show the dock, in front of others in its place."""
        self.show()
        self.raise_()

    def _fit_title(self) -> None:
        window = self.parent()
        tabbed = (
            isinstance(window, QMainWindow)
            and not self.isFloating()
            and any(not d.isHidden() for d in window.tabifiedDockWidgets(self))
        )
        self._title.set_slim(tabbed)


class _Title(QWidget):
    """Name, and buttons that float and close. A press elsewhere is the dock's, which then moves."""

    def __init__(self, dock: Dock, theme: Theme) -> None:
        super().__init__(dock)
        self.setObjectName("dockTitle")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._theme = theme
        self._label = QLabel()
        set_role(self._label, "heading")
        self._float, self._close = QToolButton(), QToolButton()
        for button in (self._float, self._close):
            button.setObjectName("smallButton")
            button.setIconSize(QSize(13, 13))
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._float.clicked.connect(lambda: dock.setFloating(not dock.isFloating()))
        self._close.clicked.connect(dock.close)
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(12, 5, 6, 5)
        self._row.setSpacing(2)
        self._row.addWidget(self._label, 1)
        self._row.addWidget(self._float)
        self._row.addWidget(self._close)
        self._slim = False
        theme.changed.connect(self._recolor)
        self._recolor()

    def set_text(self, text: str) -> None:
        self._label.setText(text)
        self._float.setToolTip(tr("Detach or attach"))
        self._close.setToolTip(tr("Close panel"))
        self._float.setAccessibleName(tr("Detach or attach"))
        self._close.setAccessibleName(tr("Close panel"))

    def add(self, widget: QWidget) -> None:
        self._row.insertWidget(1, widget)

    def set_slim(self, slim: bool) -> None:
        if slim == self._slim:
            return
        self._slim = slim
        for i in range(self._row.count()):
            if (widget := self._row.itemAt(i).widget()) is not None:
                widget.setVisible(not slim)
        margins = (0, 0, 0, 0) if slim else (12, 5, 6, 5)
        self._row.setContentsMargins(*margins)
        self.setMaximumHeight(0 if slim else 16_777_215)
        self.updateGeometry()

    def sizeHint(self) -> QSize:
        return QSize(0, 0) if self._slim else super().sizeHint()

    def minimumSizeHint(self) -> QSize:
        return QSize(0, 0) if self._slim else super().minimumSizeHint()

    def _recolor(self) -> None:
        color = self._theme.tokens.text_dim
        self._float.setIcon(icon("float", color))
        self._close.setIcon(icon("close", color))

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.StyleChange:
            self._recolor()


def arrange(window: QMainWindow, docks: dict[str, Dock]) -> None:
    """The layout of a first start: palette left, inspector right, the rest below."""
    area = Qt.DockWidgetArea
    for dock in docks.values():
        dock.setFloating(False)
        window.removeDockWidget(dock)
    window.setCorner(Qt.Corner.BottomLeftCorner, area.BottomDockWidgetArea)
    window.setCorner(Qt.Corner.BottomRightCorner, area.RightDockWidgetArea)
    window.addDockWidget(area.LeftDockWidgetArea, docks["palette"])
    window.addDockWidget(area.RightDockWidgetArea, docks["inspector"])
    window.addDockWidget(area.BottomDockWidgetArea, docks["training"])
    wide = window.width() >= WIDE
    if wide:
        window.splitDockWidget(docks["training"], docks["code"], Qt.Orientation.Horizontal)
    else:
        window.tabifyDockWidget(docks["training"], docks["code"])
    window.tabifyDockWidget(docks["training"], docks["problems"])
    for dock in docks.values():
        dock.show()
    docks["training" if wide else "code"].raise_()
    horizontal, vertical = Qt.Orientation.Horizontal, Qt.Orientation.Vertical
    window.resizeDocks(
        [docks["palette"], docks["inspector"]], [LEFT_WIDTH, RIGHT_WIDTH], horizontal
    )
    window.resizeDocks([docks["training"], docks["code"]], [_bottom_height(window)] * 2, vertical)
    if wide:
        room = window.width() - RIGHT_WIDTH
        halves = [round(room * 0.56), round(room * 0.44)]
        window.resizeDocks([docks["training"], docks["code"]], halves, horizontal)


def _bottom_height(window: QMainWindow) -> int:
    """How much of the window the panels below take at first."""
    height = max(BOTTOM_HEIGHT, round(window.height() * BOTTOM_SHARE))
    return min(height, round(window.height() * BOTTOM_MOST))


def give_way(window: QMainWindow, docks: dict[str, Dock], before: QSize) -> None:
    """Make panels as small as at a first start where the window was larger ``before``.

    Qt gives panels the sizes that they had, and what they leave to the canvas: on a smaller screen
    that can be next to nothing.
    """
    area = Qt.DockWidgetArea
    across = {area.LeftDockWidgetArea: LEFT_WIDTH, area.RightDockWidgetArea: RIGHT_WIDTH}
    down = dict.fromkeys(
        (area.TopDockWidgetArea, area.BottomDockWidgetArea), _bottom_height(window)
    )
    for orientation, shrunk, most in (
        (Qt.Orientation.Horizontal, window.width() < before.width(), across),
        (Qt.Orientation.Vertical, window.height() < before.height(), down),
    ):
        sizes = {}
        for dock in docks.values():
            limit = most.get(window.dockWidgetArea(dock))
            if limit is None or dock.isHidden() or dock.isFloating():
                continue
            if (dock.width() if most is across else dock.height()) > limit:
                sizes[dock] = limit
        if shrunk and sizes:
            window.resizeDocks(list(sizes), list(sizes.values()), orientation)


def save_layout(window: QMainWindow, settings: Settings) -> None:
    """Note where the window and its docks are."""
    settings.geometry = to_text(window.saveGeometry().data())
    settings.layout = to_text(window.saveState(LAYOUT_VERSION).data())
    settings.layout_version = LAYOUT_VERSION
    settings.layout_width, settings.layout_height = window.width(), window.height()


def restore_layout(window: QMainWindow, settings: Settings) -> bool:
    """Put the docks where they were; False if there is no layout of this version."""
    if settings.layout_version != LAYOUT_VERSION or not settings.layout:
        return False
    return window.restoreState(to_bytes(settings.layout), LAYOUT_VERSION)


def restore_geometry(window: QMainWindow, settings: Settings) -> None:
    """Put the window where it was, or make it as large as is comfortable.

    Either way it ends inside the work area of its screen, which may be a smaller one than last
    time: a status bar below the edge looks as if there were none.
    """
    room = window.screen().availableGeometry()
    if not settings.geometry or not window.restoreGeometry(to_bytes(settings.geometry)):
        window.resize(first_size(room.size()))
        return
    if window.windowState() & (Qt.WindowState.WindowMaximized | Qt.WindowState.WindowFullScreen):
        return  # the system gives it its size
    room = window.screen().availableGeometry()
    window.setGeometry(inside(window.geometry(), room))


def first_size(room: QSize) -> QSize:
    """Size of a first window on a screen with this much room."""
    size = COMFORTABLE.expandedTo((room * SHARE).boundedTo(MOST))
    return size.boundedTo(room - FRAME)


def inside(wanted: QRect, room: QRect) -> QRect:
    """Where a window without its frame can be so that the frame lies in the work area, too."""
    side = FRAME.width() // 2
    free = room.adjusted(side, FRAME.height() - side, -side, -side)
    size = wanted.size().boundedTo(free.size())
    left = min(max(wanted.left(), free.left()), free.right() + 1 - size.width())
    top = min(max(wanted.top(), free.top()), free.bottom() + 1 - size.height())
    return QRect(left, top, size.width(), size.height())


def dress_tabs(window: QMainWindow) -> None:
    """Tabs of docks carry their full names and sit at the left."""
    for bar in window.findChildren(QTabBar, options=Qt.FindChildOption.FindDirectChildrenOnly):
        bar.setExpanding(False)
        bar.setElideMode(Qt.TextElideMode.ElideNone)
        bar.setDrawBase(False)
        bar.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
