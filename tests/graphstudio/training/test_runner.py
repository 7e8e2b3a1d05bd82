"""The loop itself, on the real engine: its means, its evaluation, its pauses."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphstudio import data
from graphstudio.compiler.lower import compile_graph
from graphstudio.document.model import Choice, Document
from graphstudio.ir.check import Checker
from graphstudio.ir.graph import Graph
from graphstudio.services.projects import from_example
from graphstudio.training.controls import Controls
from graphstudio.training.evaluate import classifier_of, fields_of
from graphstudio.training.history import History, HistoryWriter, read_history
from graphstudio.training.messages import EpochEnd, StateChanged, StepMetrics
from graphstudio.training.runner import NotFiniteError, Outcome, Runner, evaluate_held_out
from tests.graphstudio.training.conftest import with_phase


def freeze(document: Document) -> Graph:
    return Checker(document, data.describe).freeze()


class Trial:
    """One run in this process, with everything that it said."""

    def __init__(self, document: Document, folder: Path, controls: Controls | None = None) -> None:
        self.graph = freeze(document)
        self.data = data.load(document.data)
        self.plan = compile_graph(self.graph, max_threads=1)
        self.sent: list[Any] = []
        self.log = folder / "metrics.jsonl"
        self.log.unlink(missing_ok=True)
        self._controls = controls
        self.on_send = lambda message: None

    def run(self) -> Outcome:
        def send(message: object) -> None:
            self.sent.append(message)
            self.on_send(message)

        history = HistoryWriter(self.log)
        self.runner = Runner(
            self.plan,
            self.graph,
            self.data,
            send=send,
            history=history,
            controls=self._controls,
        )
        try:
            return self.runner.run()
        finally:
            history.close()

    @property
    def history(self) -> History:
        return read_history(self.log)

    def of(self, kind: type) -> list[Any]:
        return [m for m in self.sent if isinstance(m, kind)]


def test_epoch_means_weigh_each_batch_by_its_samples(project: Document, tmp_path: Path) -> None:
    trial = Trial(project, tmp_path)
    outcome = trial.run()
    assert (outcome.status, outcome.epochs, outcome.steps) == ("completed", 2, 80)
    sizes = np.array([32] * 39 + [1258 - 39 * 32])
    for n, epoch in enumerate(trial.of(EpochEnd)):
        losses = np.array(trial.history.values["loss"][n * 40 : (n + 1) * 40])
        assert epoch.train["loss"] == pytest.approx((losses * sizes).sum() / 1258, rel=1e-12)
    logged = trial.history.epochs
    assert [e.validation for e in logged] == [e.validation for e in trial.of(EpochEnd)]


def test_validation_is_the_mean_over_all_its_samples_with_the_weights_of_then(
    project: Document, tmp_path: Path
) -> None:
    trial = Trial(project, tmp_path)
    trial.run()
    logits = trial.plan.forward({"image": trial.data.validation["image"]})["scores"]
    labels = trial.data.validation["label"]
    shifted = logits - logits.max(axis=1, keepdims=True)
    rows = np.arange(len(labels))
    losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[rows, labels]
    last = trial.of(EpochEnd)[-1].validation
    assert last["loss"] == pytest.approx(losses.mean(), rel=1e-5)
    assert last["accuracy"] == pytest.approx((logits.argmax(axis=1) == labels).mean())


def test_every_step_is_sent_once_and_in_order(project: Document, tmp_path: Path) -> None:
    trial = Trial(project, tmp_path)
    trial.run()
    sent = trial.of(StepMetrics)
    assert [n for m in sent for n in m.steps] == list(range(1, 81))
    assert [v for m in sent for v in m.values["loss"]] == trial.history.values["loss"]
    assert [v for m in sent for v in m.seconds] == trial.history.seconds
    assert sent[-1].time_left_s == 0
    assert sent[-1].epochs[-1] == 2.0
    assert all(len(m.learning_rate) == len(m.steps) for m in sent)


@pytest.mark.parametrize("name", ["digits_mlp", "digits_cnn"])
def test_pausing_at_any_batch_leaves_the_weights_bit_equal(name: str, tmp_path: Path) -> None:
    project = with_phase(from_example(name), epochs=1)
    straight = Trial(project, tmp_path)
    straight.run()
    controls = Controls()
    paused = Trial(project, tmp_path, controls)
    take_step, count = paused.plan.train_step, 0

    def step(batch: dict[str, Any]) -> dict[str, float]:
        nonlocal count
        count += 1
        if count % 7 == 0:
            controls.submit("pause")
        return take_step(batch)

    def resume(message: object) -> None:
        if message == StateChanged(state="paused"):
            paused.plan.forward({"image": paused.data.test["image"][:3]})  # somebody looks
            controls.submit("resume")

    paused.plan.train_step = step  # type: ignore[method-assign]
    paused.on_send = resume
    paused.run()
    states = [m.state for m in paused.of(StateChanged)]
    assert states == ["paused", "running"] * (40 // 7)
    assert paused.history.values == straight.history.values
    left, right = straight.plan.state_dict(), paused.plan.state_dict()
    assert left.keys() == right.keys()
    for key, array in left.items():
        assert array.tobytes() == right[key].tobytes(), key
    assert [what for what, _ in paused.history.events] == ["pause", "resume"] * (40 // 7)


def test_the_time_of_a_pause_is_not_training_time(project: Document, tmp_path: Path) -> None:
    now, controls = [0.0], Controls()
    trial = Trial(project, tmp_path, controls)

    def on_send(message: object) -> None:
        if message == StateChanged(state="paused"):
            now[0] += 1000.0
            controls.submit("resume")

    history = HistoryWriter(trial.log)
    runner = Runner(
        trial.plan, trial.graph, trial.data,
        send=on_send, history=history, controls=controls, clock=lambda: now[0],
    )  # fmt: skip
    controls.submit("pause")
    outcome = runner.run()
    history.close()
    assert now[0] == 1000.0
    assert outcome.seconds == 1000.0  # only what passed before the wait began


def test_stopping_ends_between_two_batches(project: Document, tmp_path: Path) -> None:
    controls = Controls()
    trial = Trial(project, tmp_path, controls)
    trial.on_send = lambda message: controls.submit("stop")
    outcome = trial.run()
    assert (outcome.status, outcome.epochs, outcome.steps) == ("stopped", 0, 1)
    assert trial.history.steps == [1]
    assert trial.history.events == [("stop", 1)]


def test_a_loss_that_is_not_finite_is_named(tmp_path: Path) -> None:
    sgd = Choice(kind="sgd", params={"learning_rate": 100.0})
    project = with_phase(from_example("digits_mlp"), epochs=1, optimizer=sgd)
    trial = Trial(project, tmp_path)
    trial.plan.learning_rate = 1e30
    with pytest.raises(NotFiniteError) as caught:
        trial.run()
    assert caught.value.node == "loss"
    assert "Cross-entropy" in str(caught.value)
    assert not math.isfinite(trial.history.values["loss"][-1])
    assert f"step {trial.history.steps[-1]}" in str(caught.value)


def test_a_last_batch_of_one_is_left_out_only_with_batch_norm(tmp_path: Path) -> None:
    for name, steps in (("digits_cnn", 1), ("digits_mlp", 2)):
        project = with_phase(from_example(name), epochs=1)
        project.training = dataclasses.replace(project.training, batch_size=1257)
        assert Trial(project, tmp_path).run().steps == steps


def test_the_same_seed_gives_the_same_run_and_another_seed_another(tmp_path: Path) -> None:
    losses = []
    for seed in (0, 0, 1):
        project = with_phase(from_example("digits_mlp"), epochs=1)
        project.training = dataclasses.replace(project.training, seed=seed)
        trial = Trial(project, tmp_path)
        trial.run()
        losses.append(trial.history.values["loss"])
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


def test_evaluation_counts_who_was_taken_for_whom(project: Document, tmp_path: Path) -> None:
    trial = Trial(project, tmp_path)
    trial.run()
    found = evaluate_held_out(trial.plan, trial.graph, trial.data, between=lambda done: True)
    assert found is not None
    split, evaluation = found
    assert (split, evaluation.num_samples) == ("test", 359)
    guesses = trial.plan.forward({"image": trial.data.test["image"]})["scores"].argmax(axis=1)
    labels = trial.data.test["label"]
    expected = np.zeros((10, 10), int)
    np.add.at(expected, (labels, guesses), 1)
    np.testing.assert_array_equal(evaluation.confusion, expected)
    assert evaluation.values["accuracy"] == (labels == guesses).mean()
    assert evaluation.values["loss"] > 0


def test_evaluation_falls_back_to_validation_and_can_be_given_up(
    project: Document, tmp_path: Path
) -> None:
    trial = Trial(project, tmp_path)
    empty = {name: array[:0] for name, array in trial.data.test.items()}
    without = data.DataSet(trial.data.train, trial.data.validation, empty)
    found = evaluate_held_out(trial.plan, trial.graph, without, between=lambda done: True)
    assert found is not None
    assert found[0] == "validation"
    nothing = data.DataSet(trial.data.train, empty, empty)
    assert evaluate_held_out(trial.plan, trial.graph, nothing, between=lambda done: True) is None
    trial_data = trial.data
    assert (
        evaluate_held_out(trial.plan, trial.graph, trial_data, between=lambda done: done < 100)
        is None
    )


def test_the_classifier_is_found_in_the_graph(project: Document) -> None:
    graph = freeze(project)
    found = classifier_of(graph)
    assert found is not None
    assert (found.output, found.field, found.num_classes) == ("scores", "label", 10)
    assert fields_of(graph) == ("image", "label")
