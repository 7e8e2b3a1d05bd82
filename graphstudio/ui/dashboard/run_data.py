"""What is drawn of one run: its axes, its curves and its events, growing while it runs."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from graphstudio.training.messages import EpochEnd, Evaluated, Started, StepMetrics
from graphstudio.ui.dashboard.pyramid import GrowingArray, MinMaxPyramid
from graphstudio.ui.dashboard.smoothing import DebiasedEma

Floats = NDArray[np.float64]

AXES = ("step", "epoch", "time")
TRAIN, VALIDATION = "train", "validation"
LOSS, LEARNING_RATE, THROUGHPUT = "loss", "learning_rate", "samples_per_s"


class Axes:
    """The three x coordinates that all curves of one kind of event share."""

    def __init__(self) -> None:
        self._columns = {name: GrowingArray() for name in AXES}

    def __len__(self) -> int:
        return len(self._columns["step"])

    def __getitem__(self, name: str) -> Floats:
        return self._columns[name].values

    def extend(
        self, steps: Sequence[float], epochs: Sequence[float], times: Sequence[float]
    ) -> None:
        for name, values in zip(AXES, (steps, epochs, times), strict=True):
            self._columns[name].extend(values)


class Track:
    """One curve: raw values, drawable values with their pyramid, and a smoothed twin.

    The pyramid holds NaN where a value is not finite; those are remembered beside it, drawn as
    marks and written to CSV as they were.
    """

    def __init__(self, axes: Axes) -> None:
        self.axes = axes
        self.drawn = MinMaxPyramid()
        self.smoothed: MinMaxPyramid | None = None
        self.not_finite: dict[int, float] = {}
        self.low = self.high = self.least_positive = math.nan
        """Of all finite values so far."""
        self._average: DebiasedEma | None = None

    def __len__(self) -> int:
        return len(self.drawn)

    @property
    def last(self) -> float:
        """The latest value, NaN before the first."""
        n = len(self)
        return self.value(n - 1) if n else math.nan

    def value(self, index: int) -> float:
        return self.not_finite.get(index, float(self.drawn.values[index]))

    def raw(self) -> Floats:
        """A copy of all values as they came."""
        values = self.drawn.values.copy()
        for index, value in self.not_finite.items():
            values[index] = value
        return values

    def extend(self, values: Iterable[float]) -> None:
        new = np.array(list(values) if not isinstance(values, np.ndarray) else values, dtype=float)
        bad = np.flatnonzero(~np.isfinite(new))
        first = len(self)
        for index in bad.tolist():
            self.not_finite[first + index] = float(new[index])
        new[bad] = np.nan
        self.low = float(np.fmin.reduce(new, initial=self.low))
        self.high = float(np.fmax.reduce(new, initial=self.high))
        least = np.fmin.reduce(new[new > 0.0], initial=self.least_positive)
        self.least_positive = float(least)
        self.drawn.extend(new)
        if self.smoothed is not None and self._average is not None:
            self.smoothed.extend(self._average.feed(new))

    def smooth(self, weight: float) -> None:
        """Make the smoothed twin anew; weight 0 does without one."""
        if weight <= 0.0:
            self.smoothed = self._average = None
            return
        self._average = DebiasedEma(weight)
        self.smoothed = MinMaxPyramid(self._average.feed(self.drawn.values))


@dataclass
class RunData:
    """One run as the dashboard knows it, live or read back from its folder."""

    id: str
    title: str
    color: str = ""
    """Colour in overlays; empty for the run in front, which has the theme's curve colours."""
    visible: bool = True
    status: str = "running"
    epochs: int = 0
    steps_per_epoch: int = 0
    metrics: tuple[str, ...] = ()
    step_axes: Axes = field(default_factory=Axes)
    epoch_axes: Axes = field(default_factory=Axes)
    step_tracks: dict[str, Track] = field(default_factory=dict)
    """By metric name, learning rate and throughput included."""
    epoch_tracks: dict[tuple[str, str], Track] = field(default_factory=dict)
    """By (``train`` or ``validation``, metric name): means over an epoch."""
    evaluations: dict[str, Evaluated] = field(default_factory=dict)
    smoothing: float = 0.0
    clock: float = field(default_factory=time.monotonic)
    """When training began, moved on by every pause."""
    paused_at: float | None = None

    @property
    def last_step(self) -> int:
        return int(self.step_axes["step"][-1]) if len(self.step_axes) else 0

    @property
    def num_steps(self) -> int:
        return self.epochs * self.steps_per_epoch

    def begin(self, message: Started) -> None:
        self.epochs, self.steps_per_epoch = message.epochs, message.steps_per_epoch
        self.metrics = tuple(message.metrics)
        self.clock = time.monotonic()

    def pause(self, on: bool) -> None:
        """Stop the clock, or let it run again."""
        if on and self.paused_at is None:
            self.paused_at = time.monotonic()
        elif not on and self.paused_at is not None:
            self.clock += time.monotonic() - self.paused_at
            self.paused_at = None

    @property
    def elapsed_s(self) -> float:
        """Seconds of training so far, without the pauses."""
        return (self.paused_at or time.monotonic()) - self.clock

    def add_steps(self, message: StepMetrics, now_s: float | None = None) -> None:
        """Append a batch of steps.

        Parameters
        ----------
        now_s : float, optional
            Seconds of training so far, for a message without times of its own; the clock's if left
            out. The steps are spread evenly between the last message and this one.
        """
        count = len(message.steps)
        if not count:
            return
        now = self.elapsed_s if now_s is None else now_s
        known = self.step_axes["time"]
        before = float(known[-1]) if known.size else 0.0
        times = before + (max(now, before) - before) * np.arange(1, count + 1) / count
        if len(message.seconds) == count:
            times = np.asarray(message.seconds, dtype=float)
        self.add_step_columns(
            message.steps,
            message.epochs,
            times,
            {
                **message.values,
                LEARNING_RATE: message.learning_rate,
                THROUGHPUT: [message.samples_per_s] * count,
            },
        )

    def add_step_columns(
        self,
        steps: Sequence[float],
        epochs: Sequence[float],
        times: Sequence[float],
        values: Mapping[str, Sequence[float]],
    ) -> None:
        count, before = len(steps), len(self.step_axes)
        self.step_axes.extend(steps, epochs, times)
        for name in [*self.step_tracks, *(n for n in values if n not in self.step_tracks)]:
            track = self.step_tracks.get(name)
            if track is None:
                track = self.step_tracks[name] = Track(self.step_axes)
                track.smooth(self._weight(name))
                track.extend(np.full(before, np.nan))
            track.extend(values[name] if name in values else np.full(count, np.nan))

    def add_epoch(self, message: EpochEnd, now_s: float | None = None) -> None:
        known = self.step_axes["time"]
        now = now_s if now_s is not None else (float(known[-1]) if known.size else message.seconds)
        before = len(self.epoch_axes)
        self.epoch_axes.extend([message.step], [message.epoch], [now])
        values = {(TRAIN, k): v for k, v in message.train.items()}
        values |= {(VALIDATION, k): v for k, v in message.validation.items()}
        for key in [*self.epoch_tracks, *(k for k in values if k not in self.epoch_tracks)]:
            track = self.epoch_tracks.get(key)
            if track is None:
                track = self.epoch_tracks[key] = Track(self.epoch_axes)
                track.extend(np.full(before, np.nan))
            track.extend([values.get(key, math.nan)])

    def smooth(self, weight: float) -> None:
        """Weight of the moving average for every metric measured each step."""
        if weight == self.smoothing:
            return
        self.smoothing = weight
        for name, track in self.step_tracks.items():
            track.smooth(self._weight(name))

    def _weight(self, name: str) -> float:
        return 0.0 if name == LEARNING_RATE else self.smoothing
