"""Runs as the dashboard meets them: told live by a bridge, or left in their folders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from graphstudio.document.model import Document
from graphstudio.training import files
from graphstudio.training.history import HistoryWriter
from graphstudio.training.messages import EpochEnd, Evaluated, Started, StepMetrics
from graphstudio.ui.project import Project
from graphstudio.ui.training_bridge import TrainingBridge

CONFUSION = [[28, 2, 0], [4, 26, 0], [0, 1, 29]]
CLASSES = ["cat", "dog", "owl"]


@pytest.fixture
def bridge(qapp):
    """A bridge without a process: tests emit its signals in a worker's place."""
    made = TrainingBridge()
    yield made
    made.shutdown()
    made.deleteLater()


@pytest.fixture
def saved(qapp, tmp_path) -> Project:
    """A project with a file, beside which runs can lie."""
    made = Project(Document(), tmp_path / "demo.gsproj")
    yield made
    made.check_now()


def started(*, epochs: int = 4, steps: int = 50) -> Started:
    return Started(
        epochs=epochs,
        steps_per_epoch=steps,
        batch_size=16,
        num_parameters=1234,
        num_train=800,
        num_validation=100,
        num_test=90,
        metrics=("cross_entropy", "accuracy"),
        pid=1,
    )


def step_metrics(first: int, count: int, *, per_epoch: int = 50) -> StepMetrics:
    steps = list(range(first, first + count))
    loss = [2.0 / s**0.5 for s in steps]
    return StepMetrics(
        steps=steps,
        epochs=[s / per_epoch for s in steps],
        values={"loss": loss, "cross_entropy": loss, "accuracy": [1 - 1 / (s + 1) for s in steps]},
        learning_rate=[1e-3] * count,
        samples_per_s=4321.0,
        time_left_s=12.0,
        seconds=[s * 0.01 for s in steps],
    )


def epoch_end(number: int, *, per_epoch: int = 50) -> EpochEnd:
    return EpochEnd(
        epoch=number,
        step=number * per_epoch,
        train={"loss": 0.5 / number, "accuracy": 0.9},
        validation={"loss": 0.6 / number, "accuracy": 0.85},
        seconds=0.5,
    )


def evaluated() -> Evaluated:
    return Evaluated(
        split="test",
        num_samples=90,
        values={"loss": 0.25, "cross_entropy": 0.25, "accuracy": 83 / 90},
        confusion=CONFUSION,
        class_names=CLASSES,
    )


def store_run(project: Path, name: str, *, status: str = "completed", num_steps: int = 200) -> Path:
    """A run folder as a worker leaves it."""
    folder = project.with_name(f"{project.stem}.runs") / name
    folder.mkdir(parents=True)
    writer = HistoryWriter(folder / files.METRICS)
    rng = np.random.default_rng(7)
    for step in range(1, num_steps + 1):
        loss = 2.0 / step**0.5 + 0.1 * float(rng.random())
        values = {"loss": loss, "cross_entropy": loss, "accuracy": 1 - 1 / (step + 1)}
        writer.step(step, step / 50, step * 0.01, 1e-3, values)
        if step % 50 == 0:
            end = epoch_end(step // 50)
            writer.epoch(end.epoch, end.step, end.seconds, end.train, end.validation)
    writer.close()
    (folder / files.RUN).write_text(
        json.dumps({"status": status, "epochs": num_steps // 50, "steps": num_steps})
    )
    result = evaluated()
    files.write_json(
        folder / files.EVALUATION,
        {
            "split": result.split,
            "num_samples": result.num_samples,
            "values": result.values,
            "confusion": result.confusion,
            "class_names": result.class_names,
        },
    )
    (folder / files.WEIGHTS).write_bytes(b"")
    return folder
