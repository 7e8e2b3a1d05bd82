"""Training a project from code without an event loop: a worker process, watched to its end."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from graphstudio.document import format as file_format
from graphstudio.document.model import Document
from graphstudio.training import messages
from graphstudio.training.client import TrainingClient
from graphstudio.training.messages import EpochEnd, Evaluated, Failed, Finished, Start, Started

Listen = Callable[[messages.Message, TrainingClient], None]


@dataclass(kw_only=True)
class TrainResult:
    """What came of a run."""

    run_dir: Path
    started: Started | None = None
    epochs: list[EpochEnd] = field(default_factory=list)
    evaluated: Evaluated | None = None
    finished: Finished | None = None
    failed: Failed | None = None

    @property
    def weights(self) -> Path | None:
        return Path(self.finished.weights) if self.finished else None


def start_message(
    document: Document,
    project: Path | None,
    run_dir: Path,
    *,
    num_threads: int = 0,
    resume_from: Path | None = None,
) -> Start:
    """What a worker needs to be told, for the window and the command line alike."""
    return Start(
        document=json.loads(file_format.dumps(document)),
        project_dir=str(project.resolve().parent) if project else "",
        run_dir=str(run_dir.resolve()),
        num_threads=num_threads,
        resume_from=str(resume_from.resolve()) if resume_from else "",
    )


def train(start: Start, listen: Listen | None = None) -> TrainResult:
    """Train to the end and return what came of it.

    Ctrl+C asks the worker to save and stop; a second one ends it at once.

    Parameters
    ----------
    listen : callable, optional
        Told every message as it comes, with the client, through which it may pause or stop.
    """
    result = TrainResult(run_dir=Path(start.run_dir))
    with TrainingClient(start) as client:
        asked = False
        while True:
            try:
                message = client.receive()
                if message is None:
                    return result
                _note(result, message)
                if listen is not None:
                    listen(message, client)
            except KeyboardInterrupt:
                if asked:
                    raise
                asked = True
                client.stop()


def _note(result: TrainResult, message: messages.Message) -> None:
    match message:
        case Started():
            result.started = message
        case EpochEnd():
            result.epochs.append(message)
        case Evaluated():
            result.evaluated = message
        case Finished():
            result.finished = message
        case Failed():
            result.failed = message
        case _:
            pass
