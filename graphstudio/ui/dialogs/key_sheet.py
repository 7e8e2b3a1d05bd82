"""All keys and gestures on one sheet, made from the registry."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from graphstudio.i18n import render, tr
from graphstudio.nodes.types import Message
from graphstudio.ui.actions import GROUPS, ActionRegistry, keys_text
from graphstudio.ui.style import set_role

GESTURES = (
    (Message("Middle-drag, or Space and drag"), Message("Move the view")),
    (Message("Wheel, pinch"), Message("Zoom at the pointer")),
    (Message("Drag on empty canvas"), Message("Select with a frame")),
    (Message("Shift+click, Ctrl+click"), Message("Add to the selection, toggle")),
    (Message("Double-click empty canvas"), Message("Search a node to add")),
    (Message("Drag from a port"), Message("Connect; on empty canvas: search what fits")),
    (Message("Drag a connected input"), Message("Plug the wire elsewhere, or pull it out")),
    (Message("Drop a node on a wire"), Message("Insert it there")),
    (Message("Double-click a wire"), Message("Add a dot that leads it; on a dot: remove it")),
    (Message("Drag a field's name"), Message("Turn the number; Shift coarse, Ctrl fine")),
)


class KeySheet(QDialog):
    """Two columns of groups; typing narrows them."""

    def __init__(self, registry: ActionRegistry, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("keySheet")
        self.setWindowTitle(tr("Keyboard and mouse"))
        self.resize(860, 600)
        self.field = QLineEdit()
        self.field.setObjectName("keySearch")
        self.field.setPlaceholderText(tr("Search"))
        self.field.setClearButtonEnabled(True)
        self.field.textChanged.connect(self._narrow)
        self._rows: list[tuple[str, QLabel, QLabel]] = []
        self._groups: list[tuple[QFrame, list[int]]] = []
        columns = [QVBoxLayout(), QVBoxLayout()]
        heights = [0, 0]
        for title, rows in self._content(registry):
            side = 0 if heights[0] <= heights[1] else 1
            columns[side].addWidget(self._group(title, rows))
            heights[side] += len(rows) + 2
        body = QWidget()
        body.setObjectName("scrollBody")
        row = QHBoxLayout(body)
        row.setContentsMargins(4, 4, 12, 4)
        row.setSpacing(24)
        for column in columns:
            column.addStretch(1)
            column.setSpacing(12)
            row.addLayout(column, 1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidget(body)
        buttons = QDialogButtonBox()
        close = buttons.addButton(tr("Close"), QDialogButtonBox.ButtonRole.RejectRole)
        close.setAutoDefault(False)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 14, 16, 14)
        column.setSpacing(10)
        column.addWidget(self.field)
        column.addWidget(area, 1)
        column.addWidget(buttons)

    @property
    def shown(self) -> list[str]:
        """Texts of the rows that are visible."""
        return [text.text() for _, text, _ in self._rows if not text.isHidden()]

    def _content(self, registry: ActionRegistry) -> list[tuple[str, list[tuple[str, str]]]]:
        content = []
        for group, title in GROUPS.items():
            rows = [
                (render(c.text).rstrip(".…"), keys_text(c, all_keys=True))
                for c in registry
                if c.group == group and c.keys
            ]
            if rows:
                content.append((render(title), rows))
        gestures = [(render(what), render(how)) for how, what in GESTURES]
        content.append((tr("Mouse"), gestures))
        return content

    def _group(self, title: str, rows: Sequence[tuple[str, str]]) -> QFrame:
        frame = QFrame()
        grid = QGridLayout(frame)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(5)
        grid.setHorizontalSpacing(12)
        heading = QLabel(title)
        set_role(heading, "heading")
        grid.addWidget(heading, 0, 0, 1, 2)
        indices = []
        for i, (text, keys) in enumerate(rows, start=1):
            left, right = QLabel(text), QLabel(keys)
            for label in (left, right):
                label.setTextFormat(Qt.TextFormat.PlainText)
            left.setWordWrap(True)
            set_role(right, "dim")
            right.setWordWrap(len(keys) > 24)
            right.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            grid.addWidget(left, i, 0)
            grid.addWidget(right, i, 1)
            indices.append(len(self._rows))
            self._rows.append((f"{text} {keys}".casefold(), left, right))
        grid.setColumnStretch(0, 1)
        self._groups.append((frame, indices))
        return frame

    def _narrow(self, query: str) -> None:
        words = query.casefold().split()
        for text, left, right in self._rows:
            fits = all(w in text for w in words)
            left.setVisible(fits)
            right.setVisible(fits)
        for frame, indices in self._groups:
            frame.setVisible(any(not self._rows[i][1].isHidden() for i in indices))
