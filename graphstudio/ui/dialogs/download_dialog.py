"""Fetches the files of a data set, only ever because the user asked for it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, QThread, Signal
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QLabel,
    QProgressBar,
    QVBoxLayout,
    QWidget,
)

from graphstudio.data.folders import default_folder
from graphstudio.data.source import DataError
from graphstudio.i18n import sentence, tr
from graphstudio.ui.quantities import data_size
from graphstudio.ui.style import set_role


class _CancelledError(Exception):
    """The user has changed their mind; what has arrived stays for the next time."""


class _Fetching(QThread):
    """Runs the transfer beside the window."""

    progressed = Signal(str, int, int)
    failed = Signal(object)

    def __init__(self, kind: str, folder: Path, fetch, parent: QWidget) -> None:
        super().__init__(parent)
        self._kind, self._folder, self._fetch = kind, folder, fetch

    def run(self) -> None:
        fetch = self._fetch
        if fetch is None:
            from graphstudio.data.fetch import fetch  # late: brings the network modules
        try:
            fetch(self._kind, self._folder, self._report)
        except _CancelledError:
            return
        except DataError as error:
            self.failed.emit(error)

    def _report(self, name: str, done: int, total: int) -> None:
        if self.isInterruptionRequested():
            raise _CancelledError
        self.progressed.emit(name, done, total)


class DownloadDialog(QDialog):
    """Asks first, then shows how far the transfer is; accepted once all files are there."""

    def __init__(
        self, kind: str, *, folder: Path | None = None, fetch=None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName("downloadDialog")
        self.setWindowTitle(tr("Download data"))
        self.setMinimumWidth(460)
        self._kind, self._fetch = kind, fetch
        self._folder = folder or default_folder(kind)
        self._thread: _Fetching | None = None
        self._text = QLabel(
            tr(
                "The files of {data} will be fetched from the internet (11.6 MB) and kept in "
                "{folder}. Each is accepted only if its SHA-256 is the published one.",
                data=kind.upper(),
                folder=str(self._folder),
            )
        )
        self._status = QLabel()
        for label in (self._text, self._status):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setWordWrap(True)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.hide()
        self._status.hide()
        self._buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.start_button = self._buttons.addButton(
            tr("Download"), QDialogButtonBox.ButtonRole.ActionRole
        )
        self.start_button.setObjectName("startDownload")
        self.start_button.setDefault(True)
        self.start_button.clicked.connect(self.start)
        self._buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(12)
        for widget in (self._text, self._bar, self._status, self._buttons):
            column.addWidget(widget)

    @property
    def status(self) -> str:
        """What is said below the bar."""
        return self._status.text()

    def start(self) -> None:
        """Begin, or begin again after a failure."""
        self.start_button.setEnabled(False)
        set_role(self._status, "dim")
        self._status.setText(tr("Connecting…"))
        self._status.show()
        self._bar.setRange(0, 0)
        self._bar.show()
        self._thread = _Fetching(self._kind, self._folder, self._fetch, self)
        self._thread.progressed.connect(self._on_progress)
        self._thread.failed.connect(self._on_failed)
        self._thread.finished.connect(self._on_end)
        self._thread.start()

    def done(self, result: int) -> None:
        if self._thread is not None:
            self._thread.requestInterruption()
            self._thread.finished.disconnect(self._on_end)
            self._thread.wait()
            self._thread = None
        super().done(result)

    def _on_progress(self, name: str, done: int, total: int) -> None:
        self._bar.setRange(0, max(total, 1))
        self._bar.setValue(done)
        self._status.setText(
            tr("{file}: {done} of {total}", file=name, done=data_size(done), total=data_size(total))
        )

    def _on_failed(self, error: DataError) -> None:
        parts = [sentence(m) for m in (error.message, error.hint) if m is not None]
        set_role(self._status, "error")
        self._status.setText("\n".join(parts))
        self._bar.hide()
        self.start_button.setText(tr("Try again"))
        self.start_button.setEnabled(True)

    def _on_end(self) -> None:
        failed = self.start_button.isEnabled()
        self._thread = None
        if not failed:
            self.accept()
