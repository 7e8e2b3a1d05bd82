"""The log of a run: complete, exact, and readable after a crash."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest

from graphstudio.training.history import HistoryWriter, export_csv, read_history


def write(path: Path, count: int) -> list[float]:
    losses = [math.sqrt(n + 0.1) / 3 for n in range(count)]
    writer = HistoryWriter(path)
    for n, loss in enumerate(losses, start=1):
        writer.step(n, n / 10, n * 0.001, 0.1 / n, {"loss": loss, "accuracy": 1 / n})
    writer.epoch(1, count, 0.5, {"loss": 0.1}, {"loss": 0.2})
    writer.event("pause", count)
    writer.close()
    return losses


def test_every_step_is_read_back_bit_for_bit(tmp_path: Path) -> None:
    losses = write(tmp_path / "log", 1000)
    history = read_history(tmp_path / "log")
    assert history.steps == list(range(1, 1001))
    assert history.values["loss"] == losses
    assert history.seconds[41] == 42 * 0.001
    assert history.positions[41] == 4.2
    assert history.learning_rates[41] == 0.1 / 42
    assert history.epochs[0].validation == {"loss": 0.2}
    assert history.events == [("pause", 1000)]


def test_a_later_writer_appends(tmp_path: Path) -> None:
    write(tmp_path / "log", 3)
    write(tmp_path / "log", 2)
    assert read_history(tmp_path / "log").steps == [1, 2, 3, 1, 2]


def test_numbers_that_are_not_finite_survive(tmp_path: Path) -> None:
    writer = HistoryWriter(tmp_path / "log")
    writer.step(1, 0.1, 0.1, 0.1, {"loss": math.nan, "up": math.inf, "down": -math.inf})
    writer.close()
    values = read_history(tmp_path / "log").values
    assert math.isnan(values["loss"][0])
    assert (values["up"], values["down"]) == ([math.inf], [-math.inf])


@pytest.mark.parametrize("torn", [1, 10, 60])
def test_an_unfinished_last_line_is_left_out(tmp_path: Path, torn: int) -> None:
    write(tmp_path / "log", 5)
    text = (tmp_path / "log").read_text()
    (tmp_path / "log").write_text(text + text[:torn])
    assert read_history(tmp_path / "log").steps == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("bad", ["{}", "nonsense", '{"kind":"step","step":"x"}', "[1]", "[" * 9999])
def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path, bad: str) -> None:
    write(tmp_path / "log", 5)
    lines = (tmp_path / "log").read_text().splitlines()
    (tmp_path / "log").write_text("\n".join([*lines[:2], bad, *lines[3:]]) + "\n")
    with pytest.raises(ValueError, match="damaged in line 3"):
        read_history(tmp_path / "log")


def test_a_kind_of_a_later_version_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "log", 1)
    with (tmp_path / "log").open("a") as file:
        file.write('{"kind":"histogram","node":"a"}\n')
    assert read_history(tmp_path / "log").steps == [1]


def test_csv_has_every_row_in_full_precision(tmp_path: Path) -> None:
    losses = write(tmp_path / "log", 50)
    export_csv(read_history(tmp_path / "log"), tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == losses
    assert [int(row["step"]) for row in rows] == list(range(1, 51))
    assert set(rows[0]) == {"step", "epoch", "seconds", "learning_rate", "loss", "accuracy"}
