"""Reads runs back from their folders, and writes what is known of one as CSV."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np

from graphstudio.services.runs import Run
from graphstudio.training import files
from graphstudio.training.history import History, read_history
from graphstudio.training.messages import EpochEnd, Evaluated
from graphstudio.ui.dashboard.run_data import LEARNING_RATE, THROUGHPUT, RunData


def load_run(run: Run) -> RunData:
    """The curves and the evaluation of a run.

    Raises
    ------
    OSError
        If its log cannot be read.
    ValueError
        If the log is damaged; the line is named.
    """
    path = run.path / files.METRICS
    history = read_history(path) if path.is_file() else History()
    data = RunData(run.path.name, run_title(run.path.name), status=run.info.status)
    data.metrics = tuple(history.values)
    data.epochs = run.info.epochs
    last = history.epochs[-1].epoch if history.epochs else 0
    data.steps_per_epoch = history.epochs[-1].step // last if last else 0
    times = history.seconds
    if history.steps:
        data.add_step_columns(
            history.steps,
            history.positions,
            times,
            {**history.values, LEARNING_RATE: history.learning_rates},
        )
    ends = np.searchsorted(np.asarray(history.steps), [e.step for e in history.epochs])
    for record, index in zip(history.epochs, ends.tolist(), strict=True):
        known = index < len(times)
        data.add_epoch(
            EpochEnd(
                epoch=record.epoch,
                step=record.step,
                train=record.train,
                validation=record.validation,
                seconds=record.seconds,
            ),
            now_s=float(times[index]) if known else record.seconds,
        )
    evaluation = read_evaluation(run.path)
    if evaluation is not None:
        data.evaluations[evaluation.split] = evaluation
    return data


def read_evaluation(folder: Path) -> Evaluated | None:
    """The held-out evaluation of a run, or None if it left none or it is damaged."""
    try:
        body = json.loads((folder / files.EVALUATION).read_text(encoding="utf-8"))
        values = {str(k): float(v) for k, v in body["values"].items()}
        confusion = [[int(n) for n in row] for row in body.get("confusion", [])]
        if any(len(row) != len(confusion) for row in confusion):
            return None
        return Evaluated(
            split=str(body["split"]),
            num_samples=int(body["num_samples"]),
            values=values,
            confusion=confusion,
            class_names=[str(n) for n in body.get("class_names", [])],
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def run_title(name: str) -> str:
    """Name of a run folder (``2026-03-01_14-05-09``) as date and time."""
    day, _, clock = name.partition("_")
    parts = clock.split("_")
    time = parts[0].replace("-", ":")
    return " ".join([day, time, *parts[1:]]).strip()


def write_csv(run: RunData, path: Path) -> int:
    """Write every step of a run, numbers in full precision; returns the number of rows.

    The means of an epoch stand in the row of its last step.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    axes = run.step_axes
    names = [n for n in run.step_tracks if n not in (LEARNING_RATE, THROUGHPUT)]
    columns = [run.step_tracks[n].raw().tolist() for n in names]
    rates = (
        run.step_tracks[LEARNING_RATE].raw().tolist() if LEARNING_RATE in run.step_tracks else []
    )
    ends: dict[int, int] = {int(s): i for i, s in enumerate(run.epoch_axes["step"].tolist())}
    means = {k: t.raw().tolist() for k, t in run.epoch_tracks.items()}
    steps = axes["step"].astype(np.int64).tolist()
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        heads = [f"{part}_epoch_{name}" for part, name in means]
        writer.writerow(["step", "epoch", "seconds", LEARNING_RATE, *names, *heads])
        epochs, times = axes["epoch"].tolist(), axes["time"].tolist()
        for index, step in enumerate(steps):
            end = ends.pop(step, None)
            row = [epochs[index], times[index], rates[index] if rates else math.nan]
            row += [column[index] for column in columns]
            row += [column[end] if end is not None else None for column in means.values()]
            writer.writerow([step, *("" if v is None else repr(v) for v in row)])
    return len(steps)
