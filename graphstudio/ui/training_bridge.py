"""The window's end of the training worker: starts it, speaks its protocol, survives its death."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PySide6.QtCore import QCoreApplication, QObject, QProcess, QTimer, Signal

from graphstudio.document.format import dumps
from graphstudio.document.model import Document
from graphstudio.i18n import tr
from graphstudio.training import messages
from graphstudio.training.client import worker_command
from graphstudio.training.messages import (
    Control,
    EpochEnd,
    Evaluated,
    Failed,
    Finished,
    Preparing,
    Start,
    Started,
    StateChanged,
    StepMetrics,
)
from graphstudio.ui.processes import child_environment

IDLE, PREPARING, RUNNING, PAUSED, STOPPING = "idle", "preparing", "running", "paused", "stopping"

STOP_TIMEOUT_S = 3.0
"""Silence after a stop request that counts as a hang."""
FINISH_TIMEOUT_S = 20.0
"""The same once the worker has answered, and saves and evaluates; a second stop ends it at once."""
EXIT_TIMEOUT_S = 3.0
"""Time between the worker's last word and the end of its process."""
PARSE_BUDGET_S = 0.006
"""Time one turn of the event loop may spend on messages; the rest waits for the next frame."""
PARSE_PAUSE_MS = 8
MAX_LINE_BYTES = 4 << 20
MAX_BACKLOG_BYTES = 64 << 20
LOG_LINES = 400
LOG_LINES_PER_READ = 200


class TrainingBridge(QObject):
    """Runs one training at a time in a process of its own.

    Whatever becomes of the worker, exactly one of ``finished`` and ``failed`` is emitted for each
    ``start``, and the state ends as ``idle``, ready for the next one.
    """

    begun = Signal(str)
    """A run was started; its folder."""
    state_changed = Signal(str)
    preparing = Signal(object)
    started = Signal(object)
    stepped = Signal(object)
    epoch_ended = Signal(object)
    evaluated = Signal(object)
    finished = Signal(object)
    failed = Signal(object)
    logged = Signal(str)
    """A line of the worker's error output."""

    def __init__(self, parent: QObject | None = None, *, command: list[str] | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("trainingBridge")
        self._command = command
        self._process: QProcess | None = None
        self._state = IDLE
        self._run_dir = ""
        self._buffer = bytearray()
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._log_rest = b""
        self._outcome: Finished | Failed | None = None
        self._step_s = 0.0
        self._batch_size = 0
        self._ended: tuple[int, QProcess.ExitStatus] | None = None
        self._training = False
        self._kept: list[tuple[str, object]] | None = []
        self._stop_timer = QTimer(self, singleShot=True)
        self._stop_timer.timeout.connect(self._on_stop_timeout)
        self._exit_timer = QTimer(self, singleShot=True, interval=round(EXIT_TIMEOUT_S * 1000))
        self._exit_timer.timeout.connect(self._kill)
        self._parse_timer = QTimer(self, singleShot=True, interval=PARSE_PAUSE_MS)
        self._parse_timer.timeout.connect(self._parse)
        if (app := QCoreApplication.instance()) is not None:
            app.aboutToQuit.connect(self.shutdown)

    # -- what the window asks for ---------------------------------------------------------------

    @property
    def state(self) -> str:
        """``idle``, ``preparing``, ``running``, ``paused`` or ``stopping``."""
        return self._state

    @property
    def run_dir(self) -> str:
        """Folder of the present or the last run, empty before the first."""
        return self._run_dir

    @property
    def pid(self) -> int:
        """Process id of the worker, 0 while there is none."""
        return int(self._process.processId()) if self._process is not None else 0

    @property
    def log_tail(self) -> str:
        """The last lines of the worker's error output."""
        return "\n".join(self._log)

    def take_kept(self) -> list[tuple[str, object]]:
        """Names and arguments of the signals of the present run, for one who begins to listen.

        They are kept until the first who asks; from then on, listening is enough.
        """
        kept, self._kept = self._kept or [], None
        return kept

    def start(
        self,
        document: Document | Mapping[str, Any],
        project_dir: str | Path,
        run_dir: str | Path,
        *,
        num_threads: int = 0,
    ) -> None:
        """Train a document as it is now; later edits do not reach the run.

        Parameters
        ----------
        document : Document or mapping
            The project, or the JSON object of its file.
        project_dir, run_dir : path
            Where relative data paths begin; the folder that takes all the run leaves.

        Raises
        ------
        RuntimeError
            If a run is still going on.
        """
        if self._process is not None:
            raise RuntimeError("a run is going on; stop it before the next one is started")
        body = json.loads(dumps(document)) if isinstance(document, Document) else dict(document)
        self._run_dir = str(run_dir)
        self._buffer.clear()
        self._log.clear()
        self._log_rest = b""
        self._outcome = None
        self._step_s, self._batch_size = 0.0, 0
        self._ended, self._training = None, False
        program, *arguments = self._command or worker_command()
        process = self._process = QProcess(self)
        process.setProcessEnvironment(child_environment())
        if Path(project_dir).is_dir():
            process.setWorkingDirectory(str(project_dir))
        process.readyReadStandardOutput.connect(self._on_output)
        process.readyReadStandardError.connect(self._on_log)
        process.finished.connect(self._on_finished)
        process.errorOccurred.connect(self._on_error)
        if self._kept is not None:
            self._kept.clear()
        self._tell("begun", self._run_dir)
        self._set_state(PREPARING)
        process.start(program, arguments)
        self._send(
            Start(
                document=body,
                project_dir=str(project_dir),
                run_dir=self._run_dir,
                num_threads=num_threads,
            )
        )

    def pause(self) -> None:
        """Ask for a pause at the next batch boundary."""
        if self._state == RUNNING:
            self._send(Control(action="pause"))

    def resume(self) -> None:
        if self._state == PAUSED:
            self._send(Control(action="resume"))

    def stop(self) -> None:
        """Ask the worker to end at the next batch boundary; asked twice, or on silence, end it."""
        if self._process is None or self._outcome is not None:
            return
        if self._state == STOPPING:
            self._on_stop_timeout()
            return
        self._send(Control(action="stop"))
        self._set_state(STOPPING)
        # A large batch may well take longer than the time-out: allow for two of them.
        self._stop_timer.start(round(1000 * max(STOP_TIMEOUT_S, 2.0 * self._step_s + 1.0)))

    def shutdown(self) -> None:
        """Kill the worker and wait until it is gone, as the program ends."""
        process, self._process = self._process, None
        for timer in (self._stop_timer, self._exit_timer, self._parse_timer):
            timer.stop()
        if process is not None:
            process.blockSignals(True)  # nobody is to hear of this death
            process.kill()
            process.waitForFinished(2000)
            process.deleteLater()
            self._set_state(IDLE)

    # -- what the worker says -------------------------------------------------------------------

    def _on_output(self) -> None:
        if self._process is None:
            return
        self._buffer += self._process.readAllStandardOutput().data()
        if len(self._buffer) > MAX_BACKLOG_BYTES:
            self._give_up(
                "flood",
                tr("The training process wrote more than the window can read, and was ended."),
            )
        elif not self._parse_timer.isActive():
            self._parse()

    def _parse(self) -> None:
        if self._read_lines(time.perf_counter() + PARSE_BUDGET_S):
            self._parse_timer.start()
        elif self._ended is not None and self._process is not None:
            self._end(*self._ended)

    def _read_lines(self, deadline: float) -> bool:
        """Handle whole lines until the deadline; True if some are left."""
        start = 0
        buffer = self._buffer
        while (end := buffer.find(b"\n", start)) >= 0:
            line = bytes(buffer[start:end])
            start = end + 1
            if line.strip() and not self._read_line(line):
                return False
            if time.perf_counter() >= deadline:
                break
        del buffer[:start]
        if len(buffer) > MAX_LINE_BYTES and buffer.find(b"\n", 0, MAX_LINE_BYTES) < 0:
            self._garbage(bytes(buffer[:200]))
            return False
        return b"\n" in buffer

    def _read_line(self, line: bytes) -> bool:
        try:
            message = messages.decode(line.decode("utf-8"))
            _require_sound(message)
        except ValueError:
            self._garbage(line[:200])
            return False
        if self._state == STOPPING and not isinstance(message, StepMetrics):
            self._stop_timer.start(round(1000 * FINISH_TIMEOUT_S))
        self._handle(message)
        return self._process is not None

    def _handle(self, message: object) -> None:
        match message:
            case StepMetrics():
                if message.samples_per_s > 0:
                    self._step_s = self._batch_size / message.samples_per_s
                self._tell("stepped", message)
            case EpochEnd():
                self._tell("epoch_ended", message)
            case StateChanged(state=state):
                if self._state != STOPPING:
                    self._set_state(state)
            case Preparing():
                self._tell("preparing", message)
            case Started():
                self._batch_size, self._training = message.batch_size, True
                if self._state == PREPARING:
                    self._set_state(RUNNING)
                self._tell("started", message)
            case Evaluated():
                self._tell("evaluated", message)
            case Finished() | Failed():
                self._conclude(message)
                self._exit_timer.start()

    def _on_log(self) -> None:
        if self._process is None:
            return
        data = self._log_rest + self._process.readAllStandardError().data()
        *lines, self._log_rest = data.split(b"\n")
        left_out = len(lines) - LOG_LINES_PER_READ
        if left_out > 0:
            lines = lines[left_out:]
            self._log_line(tr("… {count} lines left out", count=left_out))
        for line in lines:
            self._log_line(line.decode("utf-8", "replace").rstrip("\r"))

    def _log_line(self, line: str) -> None:
        self._log.append(line)
        self._tell("logged", line)

    # -- how it ends ----------------------------------------------------------------------------

    def _on_finished(self, code: int, status: QProcess.ExitStatus) -> None:
        process = self._process
        if process is None:
            return
        self._on_log()
        if self._log_rest:
            self._log_line(self._log_rest.decode("utf-8", "replace"))
            self._log_rest = b""
        self._exit_timer.stop()
        self._buffer += process.readAllStandardOutput().data()
        self._ended = (code, status)
        if not self._parse_timer.isActive():
            self._parse()

    def _end(self, code: int, status: QProcess.ExitStatus) -> None:
        """The process is gone and its last word is read."""
        if self._outcome is None:
            reason, message, hint = _why_ended(code, status)
            self._conclude(Failed(reason=reason, message=message, hint=hint, details=self.log_tail))
        self._release()

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error is not QProcess.ProcessError.FailedToStart or self._process is None:
            return  # a crash is reported by finished, with its code
        details = self._process.errorString()
        self._conclude(
            Failed(
                reason="start",
                message=tr("The training process could not be started."),
                hint=tr("Check that the program is installed completely, then press Train again."),
                details=details,
            )
        )
        self._release()

    def _on_stop_timeout(self) -> None:
        if not self._training:  # nothing is lost that would be worth a complaint
            self._log_line(tr("Stopped before the first step"))
            self._conclude(Finished(status="stopped", epochs=0, seconds=0.0, weights=""))
            self._kill()
            return
        self._give_up(
            "hang",
            tr("The training process did not answer the request to stop, and was ended."),
            tr("The weights of this run may be missing; the curves up to here are kept."),
        )

    def _garbage(self, line: bytes) -> None:
        shown = line.decode("utf-8", "replace")
        self._log_line(shown)
        self._give_up(
            "garbage",
            tr("The training process sent something that is no message, and was ended."),
            tr("Press Train to try again. The log shows what it sent."),
            details=shown,
        )

    def _give_up(self, reason: str, message: str, hint: str = "", *, details: str = "") -> None:
        """Report a worker that is of no more use, and kill it."""
        self._buffer.clear()
        self._conclude(
            Failed(reason=reason, message=message, hint=hint, details=details or self.log_tail)
        )
        self._kill()

    def _conclude(self, outcome: Finished | Failed) -> None:
        self._stop_timer.stop()
        if self._outcome is not None:
            return
        self._outcome = outcome
        self._tell("finished" if isinstance(outcome, Finished) else "failed", outcome)

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def _release(self) -> None:
        process, self._process = self._process, None
        for timer in (self._stop_timer, self._exit_timer, self._parse_timer):
            timer.stop()
        self._buffer.clear()
        if process is not None:
            process.deleteLater()
        self._set_state(IDLE)

    def _send(self, message: messages.Message) -> None:
        if self._process is not None:
            self._process.write(messages.encode(message).encode() + b"\n")

    def _set_state(self, state: str) -> None:
        if state != self._state:
            self._state = state
            self._tell("state_changed", state)

    def _tell(self, name: str, argument: object) -> None:
        if self._kept is not None:
            self._kept.append((name, argument))
        getattr(self, name).emit(argument)


WORDLESS = ("exit", "killed", "crash")
"""Reasons of a failure that the worker could not tell itself."""


def _why_ended(code: int, status: QProcess.ExitStatus) -> tuple[str, str, str]:
    """Reason, sentence and hint for a process that ended without a last word."""
    if status is not QProcess.ExitStatus.CrashExit:
        return (
            "exit",
            tr("The training process ended with code {code} before the run was over.", code=code),
            tr("The log says more. Press Train to try again."),
        )
    if os.name == "posix" and code == signal.SIGKILL:
        return (
            "killed",
            tr("The training process was killed (signal 9)."),
            tr("The system does this when memory runs out: try a smaller batch size."),
        )
    if os.name == "posix":
        try:
            name = signal.strsignal(code) or str(code)
        except ValueError:
            name = str(code)
        return (
            "crash",
            tr("The training process crashed ({signal}).", signal=f"{name}, {code}"),
            tr("The log says more. Press Train to try again."),
        )
    return (
        "crash",
        tr("The training process crashed ({signal}).", signal=f"0x{code & 0xFFFFFFFF:08x}"),
        tr("The log says more. Press Train to try again."),
    )


def _require_sound(message: object) -> None:
    """Refuse with ValueError what decodes but would break a view: wrong types, uneven lists."""
    match message:
        case StepMetrics():
            columns = [message.steps, message.epochs, message.learning_rate]
            columns += list(message.values.values()) if isinstance(message.values, dict) else [None]
            _require(all(isinstance(c, list) and _numbers(c) for c in columns))
            _require(len({len(c) for c in columns}) == 1)
            _require(isinstance(message.seconds, list) and _numbers(message.seconds))
            _require(_numbers([message.samples_per_s, message.time_left_s]))
        case EpochEnd():
            _require(_numbers([message.epoch, message.step, message.seconds]))
            for values in (message.train, message.validation):
                _require(isinstance(values, dict) and _numbers(values.values()))
        case Started():
            _require(_numbers([message.epochs, message.steps_per_epoch, message.batch_size]))
        case Evaluated():
            rows = message.confusion
            _require(isinstance(message.values, dict) and _numbers(message.values.values()))
            _require(isinstance(rows, list) and all(isinstance(r, list) for r in rows))
            _require(all(len(r) == len(rows) and _numbers(r) for r in rows))
        case StateChanged():
            _require(message.state in (RUNNING, PAUSED, STOPPING))
        case Start() | Control():
            raise ValueError("a message to the worker, not from it")


def _require(condition: bool) -> None:
    if not condition:
        raise ValueError("a message with parts of the wrong type")


def _numbers(values: Any) -> bool:
    return all(isinstance(v, int | float) for v in values)
