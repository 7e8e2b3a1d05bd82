"""Which panels are in sight: switching them one by one, hiding all, bringing them back."""

from __future__ import annotations

from PySide6.QtCore import QByteArray, QObject, QSize, Qt, QTimer
from PySide6.QtWidgets import QApplication, QMainWindow, QWidget

from graphstudio.i18n import render
from graphstudio.nodes.types import Message
from graphstudio.ui import docks as layout
from graphstudio.ui.docks import LAYOUT_VERSION, Dock
from graphstudio.ui.settings import Settings
from graphstudio.ui.theme import Theme

DOCKS = {
    "palette": Message("Nodes"),
    "inspector": Message("Inspector"),
    "training": Message("Training"),
    "problems": Message("Problems"),
    "code": Message("Code"),
}
SIDES = ("palette", "inspector")


class Workspace(QObject):
    """Owns the docks of a window and their layout.

    While it is at rest (the start page is shown) no dock is in sight, and the layout that is
    saved is the one of before.
    """

    def __init__(self, window: QMainWindow, theme: Theme, settings: Settings) -> None:
        super().__init__(window)
        self._window, self._settings = window, settings
        self.docks = {name: Dock(name, theme, window) for name in DOCKS}
        self.in_focus_mode = False
        self._before_focus: QByteArray | None = None
        self._before_rest: QByteArray | None = None
        self._before_sides: set[str] = set()
        self._fresh = False
        """True while the layout is the default one and the window may still grow."""
        self._restored = False
        """True while the layout is the last one, in a window that may be smaller than then."""

    def open(self) -> None:
        """Restore the last layout, or make the one of a first start."""
        layout.restore_geometry(self._window, self._settings)
        layout.arrange(self._window, self.docks)
        self._restored = layout.restore_layout(self._window, self._settings)
        self._fresh = not self._restored
        layout.dress_tabs(self._window)

    def save(self) -> None:
        """Note geometry and layout in the settings."""
        if self.in_focus_mode:
            self.toggle_focus()
        at_rest = self._before_rest
        if at_rest is not None:
            self.rest(False)
        layout.save_layout(self._window, self._settings)
        if at_rest is not None:
            self.rest(True)

    def reset(self) -> None:
        """Put every panel where it is at a first start."""
        self.in_focus_mode = False
        layout.arrange(self._window, self.docks)
        layout.dress_tabs(self._window)

    def rest(self, at_rest: bool) -> None:
        """Hide every panel, or bring back those that were there."""
        if at_rest == (self._before_rest is not None):
            return
        if at_rest:
            if self.in_focus_mode:
                self.toggle_focus()
            self._before_rest = self._window.saveState(LAYOUT_VERSION)
            for dock in self.docks.values():
                dock.hide()
            return
        state, self._before_rest = self._before_rest, None
        self._window.restoreState(state, LAYOUT_VERSION)
        if self._fresh:
            # Sizes of docks count only once the window has its own.
            self._fresh = False
            QTimer.singleShot(0, self, self.reset)
        elif self._restored:
            self._restored = False
            before = QSize(self._settings.layout_width, self._settings.layout_height)
            QTimer.singleShot(0, self, lambda: layout.give_way(self._window, self.docks, before))
        layout.dress_tabs(self._window)

    def retranslate(self) -> None:
        for name, title in DOCKS.items():
            self.docks[name].set_title(render(title))

    def show_count(self, name: str, count: int) -> None:
        """Put a number behind the title of a dock."""
        title = render(DOCKS[name])
        self.docks[name].set_title(f"{title} ({count})" if count else title)

    def toggle(self, name: str) -> None:
        """Hide a dock, or show it in front of others."""
        dock = self.docks[name]
        if dock.isHidden() or dock.visibleRegion().isEmpty():
            dock.bring_up()
        else:
            dock.hide()

    def sides_shown(self) -> bool:
        return any(not self.docks[name].isHidden() for name in SIDES)

    def toggle_sides(self) -> None:
        """Hide the panels at the sides, or show those that were hidden."""
        if self.sides_shown():
            self._before_sides = {n for n in SIDES if not self.docks[n].isHidden()}
            for name in SIDES:
                self.docks[name].hide()
        else:
            for name in self._before_sides or SIDES:
                self.docks[name].show()

    def toggle_focus(self) -> None:
        """Leave nothing but the canvas, or bring back what there was."""
        self.in_focus_mode = not self.in_focus_mode
        if self.in_focus_mode:
            self._before_focus = self._window.saveState(LAYOUT_VERSION)
            for dock in self.docks.values():
                dock.hide()
        elif self._before_focus is not None:
            self._window.restoreState(self._before_focus, LAYOUT_VERSION)
            layout.dress_tabs(self._window)

    def step_pane(self, step: int, center: QWidget) -> None:
        """Move the keyboard to the next panel that is in sight, the centre being the first."""
        panes = [center]
        panes += [
            d.panel
            for d in self.docks.values()
            if d.panel is not None and d.isVisible() and not d.visibleRegion().isEmpty()
        ]
        focus = QApplication.focusWidget()
        here = next(
            (i for i, p in enumerate(panes) if focus and (p is focus or p.isAncestorOf(focus))),
            -step,
        )
        pane = panes[(here + step) % len(panes)]
        target = pane if pane.focusPolicy() != Qt.FocusPolicy.NoFocus else _first_field(pane)
        if target is not None:
            target.setFocus(Qt.FocusReason.ShortcutFocusReason)


def _first_field(pane: QWidget) -> QWidget | None:
    """The first widget in a panel that takes the keyboard."""
    for child in pane.findChildren(QWidget):
        takes_keys = child.focusPolicy() & Qt.FocusPolicy.TabFocus
        if takes_keys and child.isVisible() and child.isEnabled():
            return child
    return None
