"""Says that a run failed: what happened, how to mend it, and the details on request."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from graphstudio.i18n import tr
from graphstudio.training.messages import Failed
from graphstudio.ui.icons import icon, pixmap
from graphstudio.ui.style import code_font, set_role
from graphstudio.ui.theme import Theme


class FailureBanner(QFrame):
    """Hidden until ``show_failure``."""

    node_activated = Signal(str)
    data_asked = Signal(str)
    """The files of this kind of data source are to be fetched."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("notice")
        self._theme = theme
        self._failure: Failed | None = None
        self._icon = QLabel()
        self._message, self._hint = QLabel(), QLabel()
        self._message.setObjectName("failureMessage")
        self._hint.setObjectName("failureHint")
        for label in (self._message, self._hint):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        set_role(self._message, "heading")
        set_role(self._hint, "dim")
        self._node = QPushButton()
        self._node.setObjectName("failureNode")
        self._node.clicked.connect(self._show_node)
        self._data = QPushButton()
        self._data.setObjectName("failureData")
        self._data.clicked.connect(lambda: self.data_asked.emit(self._source))
        self._source = ""
        self._details_button = QPushButton(checkable=True)
        self._details_button.setObjectName("failureDetailsButton")
        self._details_button.toggled.connect(self._show_details)
        self._copy = QPushButton()
        self._copy.setObjectName("failureCopy")
        self._copy.clicked.connect(self._copy_all)
        self._close = QToolButton()
        self._close.setObjectName("failureClose")
        self._close.clicked.connect(self.hide)
        self._details = QPlainTextEdit(readOnly=True)
        self._details.setObjectName("failureDetails")
        self._details.setFont(code_font(9.0))
        self._details.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self._details.setFixedHeight(130)
        self._details.hide()

        texts = QVBoxLayout()
        texts.setSpacing(2)
        texts.addWidget(self._message)
        texts.addWidget(self._hint)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(texts, 1)
        for button in (self._data, self._node, self._details_button, self._copy, self._close):
            row.addWidget(button, 0, Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 8, 8, 8)
        layout.addLayout(row)
        layout.addWidget(self._details)
        theme.changed.connect(self._dress)
        self.retranslate()
        self.hide()

    def minimumSizeHint(self) -> QSize:
        return QSize(240, super().minimumSizeHint().height())

    @property
    def failure(self) -> Failed | None:
        return self._failure

    def show_failure(self, failure: Failed, *, fetchable: str = "") -> None:
        """Show what went wrong; ``fetchable`` names a data source whose files can be fetched."""
        self._failure = failure
        self._source = fetchable
        self._data.setVisible(bool(fetchable))
        self._message.setText(failure.message)
        # The button beside it does what the command line's hint says at length.
        hint = tr("The data is not on this computer yet.") if fetchable else failure.hint
        self._hint.setText(hint)
        self._hint.setVisible(bool(hint))
        self._node.setVisible(bool(failure.node))
        self._details.setPlainText(failure.details)
        self._details_button.setVisible(bool(failure.details))
        self._details_button.setChecked(False)
        self.setAccessibleName(tr("Training failed"))
        self.setAccessibleDescription(f"{failure.message} {failure.hint}".strip())
        self.show()

    def retranslate(self) -> None:
        self._node.setText(tr("Show node"))
        self._data.setText(tr("Get the data…"))
        self._details_button.setText(tr("Details"))
        self._copy.setText(tr("Copy"))
        self._copy.setToolTip(tr("Copy message and details"))
        self._close.setToolTip(tr("Close"))
        self._close.setAccessibleName(tr("Close"))
        self._dress()

    def _dress(self) -> None:
        tokens = self._theme.tokens
        self._icon.setPixmap(pixmap("error", tokens.error, 20, self.devicePixelRatioF()))
        self._close.setIcon(icon("close", tokens.text_dim))

    def _show_node(self) -> None:
        if self._failure is not None:
            self.node_activated.emit(self._failure.node)

    def _show_details(self, shown: bool) -> None:
        self._details.setVisible(shown)

    def _copy_all(self) -> None:
        if self._failure is not None:
            parts = (self._failure.message, self._failure.hint, self._failure.details)
            QGuiApplication.clipboard().setText("\n\n".join(p for p in parts if p))
