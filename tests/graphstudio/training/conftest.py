"""A small project to train, and what tells a worker to do so."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from graphstudio.document.model import Document, Phase
from graphstudio.services.projects import from_example
from graphstudio.services.train import start_message
from graphstudio.training.messages import Start

MakeStart = Callable[..., Start]


@pytest.fixture(autouse=True)
def worker_folders(own_folders: Path) -> None:
    """Workers that tests start inherit the folders of the test."""
    assert os.environ["XDG_DATA_HOME"].startswith(str(own_folders))


def with_phase(document: Document, **changes: object) -> Document:
    """The document with some fields of its only phase replaced."""
    (phase,) = document.training.phases
    changed: Phase = dataclasses.replace(phase, **changes)  # type: ignore[arg-type]
    document.training = dataclasses.replace(document.training, phases=(changed,))
    return document


@pytest.fixture
def project() -> Document:
    """digits_mlp for two epochs: it has dropout, so that random numbers matter."""
    return with_phase(from_example("digits_mlp"), epochs=2)


@pytest.fixture
def make_start(tmp_path: Path) -> MakeStart:
    """Makes the message that starts a run of a document in a new folder."""

    def make(document: Document, name: str = "run", **more: object) -> Start:
        run_dir = tmp_path / name
        run_dir.mkdir(exist_ok=True)
        start = start_message(document, tmp_path / "project.gsproj", run_dir)
        return dataclasses.replace(start, **more)  # type: ignore[arg-type]

    return make
