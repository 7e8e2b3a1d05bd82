"""Training as the command line sees it: one call that returns what came of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from graphstudio.document.model import Document
from graphstudio.services import runs
from graphstudio.services.projects import from_example, save_project
from graphstudio.services.train import start_message, train
from graphstudio.training import files
from graphstudio.training.client import TrainingClient
from graphstudio.training.messages import Message, StepMetrics


def project_of(epochs: int) -> Document:
    document = from_example("digits_mlp")
    (phase,) = document.training.phases
    phases = (dataclasses.replace(phase, epochs=epochs),)
    document.training = dataclasses.replace(document.training, phases=phases)
    return document


def test_a_run_beside_the_project_is_found_again_with_its_weights(tmp_path: Path) -> None:
    document = project_of(1)
    path = save_project(document, tmp_path / "net")
    run_dir = runs.new_run(path)
    heard: list[Message] = []
    result = train(
        start_message(document, path, run_dir), lambda message, client: heard.append(message)
    )
    assert result.failed is None
    assert result.finished is not None
    assert result.evaluated in heard
    assert len(result.epochs) == 1
    assert result.weights == run_dir / files.WEIGHTS == runs.latest_weights(path)
    (run,) = runs.list_runs(path)
    assert (run.info.status, run.info.epochs) == ("completed", 1)


def test_an_interrupt_saves_and_stops(tmp_path: Path) -> None:
    document = project_of(100_000)
    interrupted = []

    def listen(message: Message, client: TrainingClient) -> None:
        if isinstance(message, StepMetrics) and not interrupted:
            interrupted.append(True)
            raise KeyboardInterrupt

    result = train(start_message(document, None, runs.new_run(None)), listen)
    assert result.finished is not None
    assert result.finished.status == "stopped"
    assert result.weights is not None
    assert result.weights.is_file()


def test_a_failure_is_returned_not_raised(tmp_path: Path) -> None:
    document = from_example("mnist_mlp")
    result = train(start_message(document, tmp_path / "net.gsproj", runs.new_run(None)))
    assert result.failed is not None
    assert result.failed.reason == "data"
    assert result.weights is None


def test_the_start_message_names_the_folders_absolutely(tmp_path: Path) -> None:
    start = start_message(project_of(1), Path("some/net.gsproj"), tmp_path)
    assert Path(start.project_dir) == Path("some").resolve()
    assert start_message(project_of(1), None, tmp_path).project_dir == ""
