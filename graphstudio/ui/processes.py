"""How this program starts itself again for one of its commands, from an environment or frozen."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sys
from typing import Any

from PySide6.QtCore import QObject, QProcess, QProcessEnvironment, Signal

from graphstudio.i18n import tr
from graphstudio.training.client import worker_environment

MAX_OUTPUT_BYTES = 32 << 20
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


def program_command(*arguments: str) -> list[str]:
    """Program and arguments of ``graphstudio ARGUMENTS...`` on the command line."""
    if getattr(sys, "frozen", False):
        return [sys.executable, *arguments]
    # -P: a torch.py that lies beside the project is not what gets imported.
    return [sys.executable, "-P", "-m", "graphstudio", *arguments]


def child_environment() -> QProcessEnvironment:
    """Environment of a process that runs graphstudio's own code."""
    environment = QProcessEnvironment()
    for name, value in worker_environment().items():
        environment.insert(name, value)
    environment.insert("PYTHONFAULTHANDLER", "1")  # a segfault leaves a traceback for the log
    return environment


class CommandProcess(QObject):
    """Runs one command of this program with ``--json``, away from the window.

    ``command`` takes the place of the program itself. Exactly one of ``done`` and ``failed`` is
    emitted for each ``start``, unless it is cancelled.
    """

    progress = Signal(str)
    """The last line of what the command says of its progress."""
    done = Signal(object, int)
    """The JSON object that it printed last, and its exit code."""
    failed = Signal(str, str)
    """It ended without one: why, and the end of what it wrote."""

    def __init__(self, parent: QObject | None = None, *, command: list[str] | None = None) -> None:
        super().__init__(parent)
        self._command = command
        self._process: QProcess | None = None
        self._out = bytearray()
        self._err = ""

    @property
    def running(self) -> bool:
        return self._process is not None

    def start(self, *arguments: str) -> None:
        """Run ``graphstudio ARGUMENTS...``; a command still running is cancelled."""
        self.cancel()
        self._out.clear()
        self._err = ""
        program, *rest = [*(self._command or program_command()), *arguments]
        process = self._process = QProcess(self)
        process.setProcessEnvironment(child_environment())
        process.readyReadStandardOutput.connect(self._read_out)
        process.readyReadStandardError.connect(self._read_err)
        process.finished.connect(self._on_finished)
        process.errorOccurred.connect(self._on_error)
        if os.name == "posix":
            own_session = QProcess.UnixProcessParameters()
            own_session.flags = QProcess.UnixProcessFlag.CreateNewSession
            process.setUnixProcessParameters(own_session)
        process.start(program, rest)

    def cancel(self) -> None:
        """End the command and what it has started, silently; returns when it is gone."""
        process, self._process = self._process, None
        if process is not None:
            process.blockSignals(True)
            if os.name == "posix" and process.processId():
                with contextlib.suppress(OSError):
                    os.killpg(process.processId(), signal.SIGKILL)
            process.kill()
            process.waitForFinished(2000)
            process.deleteLater()

    def _read_out(self) -> None:
        if self._process is None:
            return
        self._out += self._process.readAllStandardOutput().data()
        if len(self._out) > MAX_OUTPUT_BYTES:
            self.cancel()
            self.failed.emit(tr("The command wrote more than the window can read."), "")

    def _read_err(self) -> None:
        if self._process is None:
            return
        text = self._process.readAllStandardError().data().decode("utf-8", "replace")
        self._err = (self._err + text)[-20_000:]
        lines = [_CONTROL.sub("", part).strip() for part in re.split(r"[\r\n]+", text)]
        if shown := [line for line in lines if line]:
            self.progress.emit(shown[-1])

    def _on_finished(self, code: int, status: QProcess.ExitStatus) -> None:
        if self._process is None:
            return
        self._read_out()
        self._read_err()
        if self._process is None:
            return
        self._process.deleteLater()
        self._process = None
        lines = self._out.decode("utf-8", "replace").strip().splitlines()
        report: Any = None
        with contextlib.suppress(ValueError):
            report = json.loads(lines[-1]) if lines else None
        if status is QProcess.ExitStatus.NormalExit and isinstance(report, dict):
            self.done.emit(report, code)
            return
        tail = "\n".join(_CONTROL.sub("", self._err).strip().splitlines()[-30:])
        if status is QProcess.ExitStatus.CrashExit:
            why = tr("The command crashed (code {code}).", code=code)
        else:
            why = tr("The command ended with code {code} and no result.", code=code)
        self.failed.emit(why, tail)

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error is QProcess.ProcessError.FailedToStart and self._process is not None:
            details = self._process.errorString()
            self._process.deleteLater()
            self._process = None
            self.failed.emit(tr("The command could not be started."), details)
