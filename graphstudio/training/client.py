"""Drives a training process from code that has no event loop, such as the command line."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, cast

import graphstudio
from graphstudio import i18n
from graphstudio.nodes.types import Message
from graphstudio.training import files, messages
from graphstudio.training.messages import Control, Failed, Finished, Start

_SIGKILL = 9
_HINT_KILLED = Message(
    "The system ends a process that takes too much memory: try a smaller batch size."
)
_HINT_DIED = Message("Train again; if it happens again, look at the log.")

_KEPT_LINES = 200
"""Lines of the worker's standard error that are kept for a report."""
GRACE_S = 5.0
"""How long a worker that is told to go may take to save its weights."""


def worker_command() -> list[str]:
    """Program and arguments of a training process, from an environment or a frozen program.

    ``-P`` keeps the working folder off the module search path: a ``numpy.py`` beside the project
    is not what the worker imports.
    """
    if getattr(sys, "frozen", False):
        return [sys.executable, "--worker"]
    return [sys.executable, "-P", "-m", "graphstudio.training.worker"]


def worker_environment() -> dict[str, str]:
    """Environment of a training process: this one's, with graphstudio on the search path."""
    root = str(Path(graphstudio.__file__).resolve().parents[1])
    paths = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return dict(os.environ) | {
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
        "PYTHONIOENCODING": "utf-8",
        "GRAPHSTUDIO_LANGUAGE": i18n.language(),
    }


class TrainingClient:
    """A training process. Iterate over it for its messages; the last is Finished or Failed.

    A process that dies is reported as Failed with its exit code or signal and the end of what it
    wrote on standard error. Use it as a context manager: leaving the block ends the process.
    """

    def __init__(
        self,
        start: Start,
        *,
        command: list[str] | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.start = start
        self._over = self._told_end = False
        self._stderr: collections.deque[str] = collections.deque(maxlen=_KEPT_LINES)
        self._lines: queue.Queue[str | None] = queue.Queue(maxsize=10_000)
        self._process = subprocess.Popen(
            command or worker_command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment or worker_environment(),
            cwd=start.run_dir,
            encoding="utf-8",
            errors="replace",
        )
        self._in, self._out, self._err = (
            cast("IO[str]", stream)
            for stream in (self._process.stdin, self._process.stdout, self._process.stderr)
        )
        self._threads = [
            threading.Thread(target=target, daemon=True)
            for target in (self._read_messages, self._read_errors)
        ]
        for thread in self._threads:
            thread.start()
        self._write(start)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How the process ended, negative for a signal; None while it runs."""
        return self._process.poll()

    @property
    def log(self) -> str:
        """The end of what the worker wrote on standard error."""
        return "\n".join(self._stderr)

    def pause(self) -> None:
        self._write(Control(action="pause"))

    def resume(self) -> None:
        self._write(Control(action="resume"))

    def stop(self) -> None:
        """Ask it to save and end; it goes on sending until Finished."""
        self._write(Control(action="stop"))

    def kill(self) -> None:
        """End the process at once; nothing more is saved."""
        self._process.kill()

    def __enter__(self) -> TrainingClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process: closing its input asks it to save and go, then it is killed."""
        with contextlib.suppress(OSError):
            self._in.close()
        try:
            self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._drain()
        for thread in self._threads:
            thread.join()
        self._out.close()
        self._err.close()

    def __iter__(self) -> Iterator[messages.Message]:
        return iter(self.receive, None)

    def receive(self) -> messages.Message | None:
        """The next message, waiting for it; None after the last. Can be interrupted and resumed."""
        while not self._over:
            line = self._lines.get()
            if line is None:
                self._over = True
                code = self._process.wait()
                self._threads[1].join()  # its last words
                return None if self._told_end else self._died(code)
            try:
                message = messages.decode(line)
            except ValueError as error:
                self._stderr.append(str(error))
                continue
            self._told_end = self._told_end or isinstance(message, Finished | Failed)
            return message
        return None

    def _died(self, code: int) -> Failed:
        how = exit_text(code)
        failure = Failed(
            reason="died",
            message=i18n.sentence(
                Message("the training process ended unexpectedly ({how})", {"how": how})
            ),
            hint=i18n.render(_HINT_KILLED if code == -_SIGKILL else _HINT_DIED),
            details=self.log,
        )
        note_death(Path(self.start.run_dir), failure.message)
        return failure

    def _write(self, message: messages.Message) -> None:
        self.write_line(messages.encode(message))

    def write_line(self, line: str) -> None:
        """Put a line into the worker's input; no harm is done if the worker is gone."""
        try:
            self._in.write(line + "\n")
            self._in.flush()
        except (OSError, ValueError):
            pass  # it is gone; the reader reports how

    def _read_messages(self) -> None:
        for line in self._out:
            self._lines.put(line)
        self._lines.put(None)

    def _read_errors(self) -> None:
        for line in self._err:
            self._stderr.append(line.rstrip("\n"))

    def _drain(self) -> None:
        """Empty the queue, so that the reader is not stuck at a full one."""
        while self._threads[0].is_alive():
            with contextlib.suppress(queue.Empty):
                self._lines.get(timeout=0.05)


def exit_text(code: int) -> str:
    """How a process ended, such as ``exit code 1`` or ``signal SIGKILL``."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"


def note_death(run_dir: Path, message: str) -> None:
    """Correct the ``run.json`` of a worker that could not do it itself."""
    info = files.read_run(run_dir)
    if info is not None and info.status == "running":
        with contextlib.suppress(OSError):
            files.write_run(run_dir, dataclasses.replace(info, status="died", error=message))
