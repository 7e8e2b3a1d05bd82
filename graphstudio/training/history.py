"""Every number of a run, appended to one file as it happens: one JSON object a line."""

from __future__ import annotations

import csv
import json
import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

_FLUSH_S = 0.5
"""How much of the log a dead worker may take with it."""


class HistoryWriter:
    """Appends to the log of a run. Its methods raise OSError when the disk is full."""

    def __init__(self, path: Path) -> None:
        self._file: TextIO = path.open("a", encoding="utf-8", newline="\n")
        self._flushed = time.monotonic()

    def step(
        self,
        step: int,
        epoch: float,
        seconds: float,
        learning_rate: float,
        values: Mapping[str, float],
    ) -> None:
        """One training step.

        Parameters
        ----------
        epoch : float
            Position in epochs, fractional.
        seconds : float
            Training time so far, without pauses.
        """
        self._write(
            {
                "kind": "step",
                "step": step,
                "epoch": epoch,
                "seconds": seconds,
                "learning_rate": learning_rate,
            },
            values=values,
        )

    def epoch(
        self,
        epoch: int,
        step: int,
        seconds: float,
        train: Mapping[str, float],
        validation: Mapping[str, float],
    ) -> None:
        """The means of one epoch."""
        self._write(
            {"kind": "epoch", "epoch": epoch, "step": step, "seconds": seconds},
            train=train,
            validation=validation,
        )
        self.flush()

    def event(self, what: str, step: int) -> None:
        """Something that the user did: paused, resumed, stopped."""
        self._write({"kind": "event", "what": what, "step": step})
        self.flush()

    def flush(self) -> None:
        self._file.flush()
        self._flushed = time.monotonic()

    def close(self) -> None:
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        finally:
            self._file.close()

    def _write(self, record: dict[str, Any], **numbers: Mapping[str, float]) -> None:
        for name, values in numbers.items():
            record[name] = {k: v if math.isfinite(v) else repr(v) for k, v in values.items()}
        self._file.write(json.dumps(record, separators=(",", ":"), allow_nan=False) + "\n")
        if time.monotonic() - self._flushed > _FLUSH_S:
            self.flush()


@dataclass(frozen=True)
class EpochRecord:
    """The means of one epoch, as logged."""

    epoch: int
    step: int
    seconds: float
    train: dict[str, float]
    validation: dict[str, float]


@dataclass(frozen=True)
class History:
    """A log read back. The lists of steps run in parallel."""

    steps: list[int] = field(default_factory=list)
    positions: list[float] = field(default_factory=list)
    """In epochs, fractional."""
    seconds: list[float] = field(default_factory=list)
    """Training time without pauses."""
    learning_rates: list[float] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=dict)
    epochs: list[EpochRecord] = field(default_factory=list)
    events: list[tuple[str, int]] = field(default_factory=list)


def read_history(path: Path) -> History:
    """The log of a run; a last line that a dying worker left unfinished is not part of it.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If a line other than the last is damaged; it is named.
    """
    history = History()
    pending: str | None = None
    with path.open(encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            if pending is not None:
                raise ValueError(f"{path.name} is damaged in line {number - 1}: {pending}")
            try:
                _read_line(json.loads(line), history)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                pending = f"{error}"
    return history


def export_csv(history: History, path: Path) -> None:
    """Write every step, one row each, numbers in full precision, to a CSV file."""
    columns: dict[str, list[Any]] = {
        "step": history.steps,
        "epoch": history.positions,
        "seconds": history.seconds,
        "learning_rate": history.learning_rates,
    }
    for name, values in history.values.items():
        columns[name if name not in columns else f"{name}_value"] = values
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(map(repr, row) for row in zip(*columns.values(), strict=True))


def _read_line(record: dict[str, Any], history: History) -> None:
    match record["kind"]:
        case "step":
            values = _numbers(record["values"])
            if history.steps and values.keys() != history.values.keys():
                raise ValueError("its metrics differ from those before")
            position, seconds = float(record["epoch"]), float(record["seconds"])
            rate = float(record["learning_rate"])
            history.steps.append(int(record["step"]))
            history.positions.append(position)
            history.seconds.append(seconds)
            history.learning_rates.append(rate)
            for name, value in values.items():
                history.values.setdefault(name, []).append(value)
        case "epoch":
            history.epochs.append(
                EpochRecord(
                    epoch=int(record["epoch"]),
                    step=int(record["step"]),
                    seconds=float(record["seconds"]),
                    train=_numbers(record["train"]),
                    validation=_numbers(record["validation"]),
                )
            )
        case "event":
            history.events.append((str(record["what"]), int(record["step"])))
        case _:
            pass  # a later version's record


def _numbers(values: dict[str, Any]) -> dict[str, float]:
    return {str(name): float(value) for name, value in values.items()}
