"""Runs read back from their folders, and the CSV that is written of them."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest

from graphstudio.services.runs import list_runs
from graphstudio.training import files
from graphstudio.training.history import HistoryWriter, read_history
from graphstudio.training.messages import StepMetrics
from graphstudio.ui.dashboard.run_data import LEARNING_RATE, RunData
from graphstudio.ui.dashboard.stored_runs import load_run, read_evaluation, run_title, write_csv
from tests.graphstudio.ui.dashboard.conftest import epoch_end, started, step_metrics, store_run


def the_run(project):
    return list_runs(project)[0]


def test_every_step_and_epoch_is_read_back(tmp_path):
    folder = store_run(tmp_path / "demo.gsproj", "2026-03-01_14-05-09")
    run = load_run(the_run(tmp_path / "demo.gsproj"))
    history = read_history(folder / files.METRICS)
    np.testing.assert_array_equal(run.step_tracks["loss"].raw(), history.values["loss"])
    np.testing.assert_array_equal(run.step_axes["step"], history.steps)
    np.testing.assert_array_equal(run.step_axes["time"], history.seconds)
    np.testing.assert_array_equal(run.epoch_axes["step"], [50, 100, 150, 200])
    np.testing.assert_array_equal(run.epoch_axes["time"], [0.5, 1.0, 1.5, 2.0])
    validation = run.epoch_tracks["validation", "loss"].raw()
    np.testing.assert_array_equal(validation, [e.validation["loss"] for e in history.epochs])
    assert run.evaluations["test"].class_names == ["cat", "dog", "owl"]
    assert run.title == "2026-03-01 14:05:09"


def test_csv_has_every_row_bit_equal_not_finite_ones_too(tmp_path):
    run = RunData("r", "r")
    run.begin(started(epochs=2, steps=3))
    odd = [0.1 + 0.2, math.nan, math.inf, -math.inf, 1e-310, 3.0]
    run.add_steps(
        StepMetrics(
            steps=[1, 2, 3, 4, 5, 6],
            epochs=[s / 3 for s in range(1, 7)],
            values={"loss": odd},
            learning_rate=[1 / 3] * 6,
            samples_per_s=1.0,
            time_left_s=0.0,
            seconds=[s / 7 for s in range(6)],
        )
    )
    run.add_epoch(epoch_end(2, per_epoch=3))
    path = tmp_path / "rows.csv"
    assert write_csv(run, path) == 6
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(r["step"]) for r in rows] == [1, 2, 3, 4, 5, 6]
    read = [float(r["loss"]) for r in rows]
    np.testing.assert_array_equal(read, odd)
    assert [float(r["seconds"]) for r in rows] == [s / 7 for s in range(6)]
    assert {r["learning_rate"] for r in rows} == {repr(1 / 3)}
    assert [r["validation_epoch_loss"] for r in rows] == ["", "", "", "", "", "0.3"]


def test_csv_of_a_live_run_equals_the_csv_of_the_same_run_read_back(tmp_path):
    live = RunData("r", "r")
    live.begin(started())
    writer_path = tmp_path / "demo.runs" / "r"
    writer_path.mkdir(parents=True)
    writer = HistoryWriter(writer_path / files.METRICS)
    for first in range(1, 201, 10):
        message = step_metrics(first, 10)
        live.add_steps(message)
        for i, step in enumerate(message.steps):
            values = {name: column[i] for name, column in message.values.items()}
            writer.step(step, message.epochs[i], message.seconds[i], 1e-3, values)
        if (first + 9) % 50 == 0:
            end = epoch_end((first + 9) // 50)
            live.add_epoch(end)
            writer.epoch(end.epoch, end.step, end.seconds, end.train, end.validation)
    writer.close()
    (writer_path / files.RUN).write_text('{"status": "completed"}')
    write_csv(live, tmp_path / "live.csv")
    write_csv(load_run(the_run(tmp_path / "demo.gsproj")), tmp_path / "stored.csv")
    assert (tmp_path / "live.csv").read_bytes() == (tmp_path / "stored.csv").read_bytes()


def test_a_metric_that_comes_later_keeps_its_place():
    run = RunData("r", "r")
    for first, values in ((1, {"loss": [1.0]}), (2, {"loss": [2.0], "f1": [0.5]})):
        run.add_step_columns([first], [first / 2], [first], values | {LEARNING_RATE: [0.1]})
    np.testing.assert_array_equal(run.step_tracks["f1"].raw(), [np.nan, 0.5])


def test_pauses_are_no_training_time(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("graphstudio.ui.dashboard.run_data.time.monotonic", lambda: now[0])
    run = RunData("r", "r")
    run.begin(started())
    now[0] = 102.0
    run.pause(True)
    now[0] = 150.0
    assert run.elapsed_s == pytest.approx(2.0)
    run.pause(False)
    now[0] = 151.0
    assert run.elapsed_s == pytest.approx(3.0)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"split": 1}', '{"split": "test", "num_samples": 1, "values": 3}']
)
def test_a_damaged_evaluation_is_none(tmp_path, text):
    (tmp_path / files.EVALUATION).write_text(text)
    assert read_evaluation(tmp_path) is None


def test_titles():
    assert run_title("2026-03-01_14-05-09") == "2026-03-01 14:05:09"
    assert run_title("2026-03-01_14-05-09_2") == "2026-03-01 14:05:09 2"
    assert run_title("mine") == "mine"
