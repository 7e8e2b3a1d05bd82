"""Names and values that are shown, not edited."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QGridLayout, QLabel

from graphstudio.ui.inspector.form import LABEL_WIDTH
from graphstudio.ui.style import set_role


class Facts(QFrame):
    """Two columns of names and values that can be copied."""

    def __init__(self) -> None:
        super().__init__()
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(12, 0, 12, 8)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(5)
        self._grid.setColumnStretch(1, 1)
        self._labels: list[tuple[QLabel, QLabel]] = []

    def show_rows(self, rows: Sequence[tuple[str, str]]) -> None:
        while len(self._labels) < len(rows):
            name, value = QLabel(), QLabel()
            set_role(name, "dim")
            name.setFixedWidth(LABEL_WIDTH)
            for label in (name, value):
                label.setTextFormat(Qt.TextFormat.PlainText)
                label.setWordWrap(True)
            value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            self._grid.addWidget(name, len(self._labels), 0, Qt.AlignmentFlag.AlignTop)
            self._grid.addWidget(value, len(self._labels), 1)
            self._labels.append((name, value))
        for i, (name, value) in enumerate(self._labels):
            name.setVisible(i < len(rows))
            value.setVisible(i < len(rows))
            if i < len(rows):
                name.setText(rows[i][0])
                value.setText(rows[i][1])
