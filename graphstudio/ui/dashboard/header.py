"""The row on top of the dashboard: names of the pages, status, and controls as room allows."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QHBoxLayout, QTabBar, QWidget

from graphstudio.ui.dashboard.status import StatusStrip

SPACING, MARGINS = 6, (6, 2, 10, 2)


class Header(QWidget):
    """Tabs to the left, always whole; the status; controls to the right, which go one by one.

    Parameters
    ----------
    tools : sequence of QWidget
        The controls, from left to right.
    spare : sequence of QWidget
        Those of them that go before the status loses a figure, in this order.
    needed : sequence of QWidget
        Those that go only when the status has no figure left, in this order.
    """

    def __init__(
        self,
        tabs: QTabBar,
        status: StatusStrip,
        tools: Sequence[QWidget],
        *,
        spare: Sequence[QWidget],
        needed: Sequence[QWidget],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._tabs, self._status, self._tools = tabs, status, tools
        self._spare, self._needed = spare, needed
        self._shown = True
        layout = QHBoxLayout(self)
        layout.setContentsMargins(*MARGINS)
        layout.setSpacing(SPACING)
        layout.addWidget(tabs)
        layout.addSpacing(SPACING)
        layout.addWidget(status, 1)
        layout.addSpacing(SPACING)
        for tool in tools:
            layout.addWidget(tool)

    def set_tools_shown(self, shown: bool) -> None:
        """Whether the page in front has a use for the controls."""
        self._shown = shown
        self.arrange()

    def arrange(self) -> None:
        """Show as many controls as fit beside the pages' names and the status."""
        self._tabs.setMinimumWidth(self._tabs.sizeHint().width())
        room = self.width() - self.minimumSizeHint().width() + self._status.LEAST_WIDTH
        hidden = set() if self._shown else set(self._tools)
        left = room - sum(_width(tool) for tool in self._tools)
        for tools, status_width in (
            (self._spare, self._status.GOOD_WIDTH),
            (self._needed, self._status.FAIR_WIDTH),
        ):
            for tool in tools:
                if left >= status_width:
                    break
                hidden.add(tool)
                left += _width(tool)
        for tool in self._tools:
            tool.setVisible(tool not in hidden)

    def resizeEvent(self, event) -> None:
        super().resizeEvent(event)
        self.arrange()

    def minimumSizeHint(self) -> QSize:
        width = self._tabs.sizeHint().width() + self._status.LEAST_WIDTH
        width += MARGINS[0] + MARGINS[2] + 4 * SPACING
        return QSize(width, super().minimumSizeHint().height())


def _width(tool: QWidget) -> int:
    return max(tool.sizeHint().width(), tool.minimumWidth()) + SPACING
