"""The training process: ``python -m graphstudio.training.worker``, JSON lines in and out.

It reads one Start, then Controls, on its standard input, and writes messages on its standard
output; both belong to the protocol alone. Whatever a library prints goes to standard error.
NumPy is imported only once it is known how many threads it may use.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING

from graphstudio import i18n
from graphstudio.nodes.types import Message
from graphstudio.training import messages
from graphstudio.training.controls import Controls
from graphstudio.training.messages import Control, Failed, Preparing, Start, StateChanged

if TYPE_CHECKING:
    from graphstudio.training.session import Session

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


class Channel:
    """The protocol's end of the two pipes; the usual descriptors are moved out of harm's way."""

    def __init__(self) -> None:
        self.incoming: IO[str] = os.fdopen(os.dup(0), encoding="utf-8", errors="replace")
        self._outgoing: IO[str] = os.fdopen(
            os.dup(1), "w", encoding="utf-8", errors="backslashreplace", newline="\n"
        )
        with open(os.devnull, encoding="utf-8") as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(2, 1)  # prints of C libraries too
        sys.stdout = sys.stderr
        self._lock = threading.Lock()
        self.on_lost: Callable[[], None] = lambda: None
        """Called once, when nobody reads any more."""

    def send(self, message: messages.Message) -> None:
        """Write one message; once the reader is gone, messages go nowhere."""
        line = messages.encode(message)
        lost = False
        with self._lock:
            if self._outgoing.closed:
                return
            try:
                self._outgoing.write(line + "\n")
                self._outgoing.flush()
            except OSError:
                with contextlib.suppress(OSError):  # what is still buffered fails once more
                    self._outgoing.close()
                lost = True
        if lost:
            self.on_lost()


def default_threads() -> int:
    """One fewer than the cores that this process may use, at least one."""
    usable = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return max(1, usable - 1)


def main() -> int:
    """Train as told on standard input; 0 if the run was completed or stopped, 1 if it failed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the parent, which then asks
    channel = Channel()
    language = os.environ.get("GRAPHSTUDIO_LANGUAGE", "en")
    i18n.set_language(language if language in i18n.LANGUAGES else "en")
    try:
        start = messages.decode(channel.incoming.readline())
        if not isinstance(start, Start):
            raise ValueError(f"expected Start, got {type(start).__name__}")
    except ValueError as error:
        channel.send(Failed(reason="protocol", message=str(error)))
        return 1
    num_threads = start.num_threads or default_threads()
    for variable in _THREAD_VARIABLES:
        os.environ[variable] = str(num_threads)
    controls = Controls()
    channel.on_lost = controls.abandon  # a window that crashed must not cost the weights
    threading.Thread(target=_listen, args=(channel, controls), daemon=True, name="stdin").start()
    return _train(channel, controls, start, num_threads)


def _train(channel: Channel, controls: Controls, start: Start, num_threads: int) -> int:
    channel.send(Preparing(what=i18n.render(Message("Starting the engine"))))
    session: Session | None = None
    try:
        from graphstudio.training.session import Session

        session = Session(start, num_threads, controls, channel.send)
        session.run()
    except MemoryError:
        message = Message("the computer has not enough memory for this model and batch size")
        hint = Message("Make the batch size or the layers smaller.")
        failure = Failed(reason="memory", message=i18n.sentence(message), hint=i18n.sentence(hint))
    except Exception as error:
        failure = failure_of(error, Path(start.run_dir))
    else:
        return 0
    with contextlib.suppress(OSError):  # the disk may be what failed
        if session is not None:
            session.note_failure(failure)
    channel.send(failure)
    return 1


def failure_of(error: Exception, run_dir: Path) -> Failed:
    """What to tell the user of an error that ended a run."""
    details = "".join(traceback.format_exception(error))
    reason = getattr(error, "reason_code", "")
    text: Message | None = getattr(error, "message", None)
    if isinstance(text, Message):
        hint: Message | None = getattr(error, "hint", None)
        return Failed(
            reason=reason or type(error).__name__.removesuffix("Error").lower(),
            message=i18n.sentence(text),
            hint=i18n.sentence(hint) if hint is not None else "",
            node=getattr(error, "node", "") or "",
        )
    if isinstance(error, OSError):
        text = Message(
            "the run cannot be written to {folder}: {reason}",
            {"folder": str(run_dir), "reason": error.strerror or str(error)},
        )
        hint = Message("Make room on the disk or save the project elsewhere, then train again.")
        return Failed(
            reason="disk", message=i18n.sentence(text), hint=i18n.sentence(hint), details=details
        )
    text = Message(
        "training ended with an error of the program: {error}", {"error": repr(error)[:500]}
    )
    return Failed(reason="internal", message=i18n.sentence(text), details=details)


def _listen(channel: Channel, controls: Controls) -> None:
    """Pass controls on; the end of the input means that nobody is there, so training stops."""
    for line in channel.incoming:
        try:
            message = messages.decode(line)
        except ValueError as error:
            print(f"ignored: {error}", file=sys.stderr)  # noqa: T201
            continue
        if isinstance(message, Control):
            if message.action == "stop" and not controls.stopped:
                channel.send(StateChanged(state="stopping"))
            controls.submit(message.action)
    controls.abandon()


if __name__ == "__main__":
    sys.exit(main())
