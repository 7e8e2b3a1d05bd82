"""The row between status and page: names of the pages, and controls as far as there is room."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QHBoxLayout, QTabBar, QWidget

SPACING, MARGINS = 6, (6, 0, 10, 0)


class Header(QWidget):
    """Tabs to the left, always whole; controls to the right, which go one by one.

    Parameters
    ----------
    tools : sequence of QWidget
        The controls, from left to right.
    first_to_go : sequence of QWidget
        The same, in the order in which they are hidden as the room gets less.
    """

    def __init__(
        self,
        tabs: QTabBar,
        tools: Sequence[QWidget],
        *,
        first_to_go: Sequence[QWidget],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._tabs, self._tools, self._first_to_go = tabs, tools, first_to_go
        self._shown = True
        layout = QHBoxLayout(self)
        layout.setContentsMargins(*MARGINS)
        layout.setSpacing(SPACING)
        layout.addWidget(tabs)
        layout.addStretch(1)
        for tool in tools:
            layout.addWidget(tool)

    def set_tools_shown(self, shown: bool) -> None:
        """Whether the page in front has a use for the controls."""
        self._shown = shown
        self.arrange()

    def arrange(self) -> None:
        """Show as many controls as fit beside the names of the pages."""
        self._tabs.setMinimumWidth(self._tabs.sizeHint().width())
        room = self.width() - self._tabs.sizeHint().width() - MARGINS[0] - MARGINS[2]
        needed = sum(max(t.sizeHint().width(), t.minimumWidth()) + SPACING for t in self._tools)
        hidden = set() if self._shown else set(self._tools)
        for tool in self._first_to_go:
            if needed + SPACING <= room:
                break
            hidden.add(tool)
            needed -= max(tool.sizeHint().width(), tool.minimumWidth()) + SPACING
        for tool in self._tools:
            tool.setVisible(tool not in hidden)

    def resizeEvent(self, event) -> None:
        super().resizeEvent(event)
        self.arrange()

    def minimumSizeHint(self) -> QSize:
        width = self._tabs.sizeHint().width() + MARGINS[0] + MARGINS[2]
        return QSize(width, super().minimumSizeHint().height())
