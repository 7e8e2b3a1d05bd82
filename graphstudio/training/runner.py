"""The training loop: epochs of batches through a plan, told to whoever listens."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from engine.plan import Plan
from graphstudio.data import DataSet
from graphstudio.ir.graph import Graph
from graphstudio.nodes.types import Message
from graphstudio.training.batches import Batches, Mean, take
from graphstudio.training.controls import Controls, Stopwatch
from graphstudio.training.evaluate import Evaluation, evaluate, fields_of
from graphstudio.training.history import HistoryWriter
from graphstudio.training.messages import EpochEnd, StateChanged, StepMetrics

MESSAGE_S = 0.05
"""Shortest time between two messages with step metrics: 20 a second."""

Send = Callable[[StepMetrics | EpochEnd | StateChanged], None]


class NotFiniteError(Exception):
    """A loss is NaN or infinite: the weights are of no use from here on."""

    def __init__(self, name: str, value: float, node: str, step: int) -> None:
        self.node = node
        self.message = Message(
            "the loss '{name}' became {value} in step {step}",
            {"name": name, "value": repr(value), "step": step},
        )
        self.hint = Message(
            "Lower the learning rate, or look for a division by zero, a logarithm of zero or a bad "
            "value in the data."
        )
        super().__init__(str(self.message))


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    status: Literal["completed", "stopped"]
    epochs: int
    """Epochs that were completed."""
    steps: int
    seconds: float


class Runner:
    """Trains one plan on one data set, one epoch after the other.

    What is sent, logged, paused or measured never enters the arithmetic: a run that was paused
    leaves the same weights, bit for bit, as one that was not.
    """

    def __init__(
        self,
        plan: Plan,
        graph: Graph,
        data: DataSet,
        *,
        send: Send,
        history: HistoryWriter,
        controls: Controls | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        training = graph.training
        fields = fields_of(graph)
        self._plan, self._graph = plan, graph
        self._train = {name: data.train[name] for name in fields}
        self._validation = {name: data.validation[name] for name in fields}
        self._send, self._history = send, history
        self._controls = controls or Controls()
        self._clock = clock
        self.num_epochs = training.phases[0].epochs
        self.batches = Batches(
            count=DataSet.size_of(self._train),
            batch_size=training.batch_size,
            shuffle=training.shuffle,
            seed=training.seed,
            drop_single=any(n.spec.type_id == "layer.batch_norm" for n in graph.nodes),
        )
        self._losses = {n.name: n for n in graph.with_role("loss")}
        self._step = 0

    def run(self) -> Outcome:
        """Train to the last epoch, or until it is told to stop.

        Raises
        ------
        NotFiniteError
            If a loss is NaN or infinite.
        OSError
            If the log cannot be written.
        """
        self._watch = Stopwatch(self._clock)
        self._pending = _Pending(self._send, self._clock, len(self.batches) * self.num_epochs)
        done = 0
        while done < self.num_epochs and not self._controls.stopped:
            if not self._run_epoch(done):
                break
            done += 1
        self._pending.flush()
        status: Literal["completed", "stopped"] = "completed"
        if done < self.num_epochs:
            status = "stopped"
            self._history.event("stop", self._step)
        return Outcome(status, done, self._step, self._watch.seconds)

    def _run_epoch(self, epoch: int) -> bool:
        began, mean = self._watch.seconds, Mean()
        for index, rows in enumerate(self.batches.rows(epoch)):
            if not self._may_go_on():
                return False
            values = self._plan.train_step(take(self._train, rows))
            self._step += 1
            mean.add(values, len(rows))
            self._log(values, epoch + (index + 1) / len(self.batches), len(rows))
        validation = self._validate()
        if validation is None:
            return False
        seconds = self._watch.seconds - began
        self._history.epoch(epoch + 1, self._step, seconds, mean.result(), validation)
        self._send(
            EpochEnd(
                epoch=epoch + 1,
                step=self._step,
                train=mean.result(),
                validation=validation,
                seconds=seconds,
            )
        )
        return True

    def _log(self, values: Mapping[str, float], position: float, count: int) -> None:
        rate = float(self._plan.learning_rate)
        plain = {name: float(value) for name, value in values.items()}
        seconds = self._watch.seconds
        self._history.step(self._step, position, seconds, rate, plain)
        self._pending.add(self._step, position, seconds, rate, plain, count)
        for name in (*self._losses, "loss"):
            value = plain.get(name, 0.0)
            if not math.isfinite(value):
                self._pending.flush()
                loss = self._losses.get(name) or next(iter(self._losses.values()), None)
                raise NotFiniteError(
                    loss.label if loss else name, value, loss.id if loss else "", self._step
                )

    def _validate(self) -> dict[str, float] | None:
        """Means over the validation split, empty without one; None if told to stop meanwhile."""
        mean = Mean()
        count = DataSet.size_of(self._validation)
        batches = Batches(count=count, batch_size=self.batches.batch_size)
        for rows in batches.rows(0):
            if not self._may_go_on():
                return None
            mean.add(self._plan.evaluate(take(self._validation, rows)), len(rows))
        return mean.result()

    def _may_go_on(self) -> bool:
        """Obey the controls; False to stop."""
        if self._controls.wants_pause:
            self._pending.flush()
            self._history.event("pause", self._step)
            self._send(StateChanged(state="paused"))
            self._watch.exclude(self._controls.wait_while_paused)
            if not self._controls.stopped:
                self._history.event("resume", self._step)
                self._send(StateChanged(state="running"))
        return not self._controls.stopped


class _Pending:
    """Steps that were not sent yet, so that a fast model does not drown the window."""

    def __init__(self, send: Send, clock: Callable[[], float], num_steps: int) -> None:
        self._send, self._clock, self._num_steps = send, clock, num_steps
        self._sent = -math.inf
        self._sent_seconds = 0.0
        self._clear()

    def _clear(self) -> None:
        self._steps: list[int] = []
        self._epochs: list[float] = []
        self._times: list[float] = []
        self._rates: list[float] = []
        self._values: dict[str, list[float]] = {}
        self._samples = 0

    def add(
        self,
        step: int,
        position: float,
        seconds: float,
        rate: float,
        values: Mapping[str, float],
        samples: int,
    ) -> None:
        self._steps.append(step)
        self._epochs.append(position)
        self._times.append(seconds)
        self._rates.append(rate)
        for name, value in values.items():
            self._values.setdefault(name, []).append(value)
        self._samples += samples
        if self._clock() - self._sent >= MESSAGE_S:
            self.flush()

    def flush(self) -> None:
        if not self._steps:
            return
        last, seconds = self._steps[-1], self._times[-1]
        elapsed = seconds - self._sent_seconds
        self._send(
            StepMetrics(
                steps=self._steps,
                epochs=self._epochs,
                values=self._values,
                learning_rate=self._rates,
                samples_per_s=self._samples / elapsed if elapsed > 0 else 0.0,
                time_left_s=seconds / last * (self._num_steps - last),
                seconds=self._times,
            )
        )
        self._sent, self._sent_seconds = self._clock(), seconds
        self._clear()


def evaluate_held_out(
    plan: Plan,
    graph: Graph,
    data: DataSet,
    *,
    between: Callable[[int], bool],
) -> tuple[str, Evaluation] | None:
    """Name of the split and result on it: the test samples, or else the validation samples.

    None if there is neither, or if ``between`` gave up.
    """
    fields = fields_of(graph)
    splits: tuple[tuple[str, Mapping[str, Any]], ...] = (
        ("test", data.test),
        ("validation", data.validation),
    )
    for name, arrays in splits:
        used = {field: arrays[field] for field in fields if field in arrays}
        if DataSet.size_of(used):
            result = evaluate(plan, graph, used, graph.training.batch_size, between)
            return None if result is None else (name, result)
    return None
