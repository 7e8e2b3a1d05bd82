"""The log of a run: what happened when, and what the worker wrote on its error output."""

from __future__ import annotations

from datetime import datetime

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from graphstudio.i18n import tr
from graphstudio.ui.style import code_font

MAX_LINES = 5000
WRITE_MS = 100


class LogPane(QPlainTextEdit):
    """Read-only lines, written in batches so that a chatty worker costs little."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("runLog")
        self.setReadOnly(True)
        self.setMaximumBlockCount(MAX_LINES)
        self.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.setFont(code_font(9.0))
        self._waiting: list[str] = []
        self._timer = QTimer(self, singleShot=True, interval=WRITE_MS)
        self._timer.timeout.connect(self.flush)
        self.retranslate()

    def event_line(self, text: str) -> None:
        """Something that happened, with the time of day."""
        self._add(f"{datetime.now():%H:%M:%S}  {text}")

    def worker_line(self, text: str) -> None:
        """A line of the worker's error output."""
        self._add(f"          {text}")

    def flush(self) -> None:
        """Write what is waiting; the view follows unless the reader has scrolled up."""
        lines, self._waiting = self._waiting, []
        if not lines:
            return
        bar = self.verticalScrollBar()
        at_end = bar.value() >= bar.maximum() - 2
        before = bar.value()
        self.appendPlainText("\n".join(lines[-MAX_LINES:]))
        bar.setValue(bar.maximum() if at_end else before)

    def retranslate(self) -> None:
        self.setAccessibleName(tr("Log"))
        self.setPlaceholderText(tr("What a run does and what its process writes appears here."))

    def _add(self, line: str) -> None:
        self._waiting.append(line)
        if not self._timer.isActive():
            self._timer.start()
