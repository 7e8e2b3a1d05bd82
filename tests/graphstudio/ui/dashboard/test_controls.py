"""The run controls: when they can be pressed, why not, and what they then do."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from graphstudio import i18n
from graphstudio.services.projects import open_project
from graphstudio.services.runs import runs_dir
from graphstudio.ui.dashboard.controls import RunControls
from graphstudio.ui.project import Project
from graphstudio.ui.training_bridge import TrainingBridge

SCRIPT = Path(__file__).with_name("scripted_worker.py")


@pytest.fixture
def digits(qapp, root, tmp_path) -> Project:
    """The bundled example, as if it lay in a folder of the user."""
    document = open_project(root / "projects" / "digits_mlp" / "digits_mlp.gsproj").document
    made = Project(document, tmp_path / "digits_mlp.gsproj")
    yield made
    made.check_now()


@pytest.fixture
def steered(qapp):
    made = TrainingBridge(command=[sys.executable, str(SCRIPT), "steer"])
    yield made
    made.shutdown()
    made.deleteLater()


def controls(qtbot, project, bridge, theme) -> RunControls:
    made = RunControls(project, bridge, theme)
    qtbot.addWidget(made)
    made.show()
    return made


def button(made: RunControls, name: str):
    return made.findChild(object, name)


def test_a_wrong_graph_disables_train_and_says_its_first_problem(qtbot, project, steered, theme):
    made = controls(qtbot, project, steered, theme)
    train = button(made, "train_button")
    assert not train.isEnabled()
    assert "Mend this first" in train.toolTip()
    assert i18n.sentence(project.result.first_error.message) in train.toolTip()
    with qtbot.waitSignal(made.failed_to_start):
        assert not made.train()
    assert steered.state == "idle"


def test_train_pause_resume_stop(qtbot, digits, steered, theme):
    made = controls(qtbot, digits, steered, theme)
    assert button(made, "train_button").isEnabled()
    assert not button(made, "pause_button").isEnabled()
    button(made, "train_button").click()
    qtbot.waitUntil(lambda: steered.state == "running")
    assert Path(steered.run_dir).parent == runs_dir(digits.path).resolve()
    assert made.can_train()[0] is False
    button(made, "pause_button").click()
    qtbot.waitUntil(lambda: made.paused)
    assert "Resume" in button(made, "pause_button").toolTip()
    button(made, "pause_button").click()
    qtbot.waitUntil(lambda: steered.state == "running")
    assert not button(made, "epochs_field").isEnabled()
    button(made, "stop_button").click()
    qtbot.waitUntil(lambda: steered.state == "idle")
    assert button(made, "train_button").isEnabled()
    assert button(made, "epochs_field").isEnabled()


def test_the_number_of_epochs_is_an_edit_that_can_be_undone(qtbot, digits, steered, theme):
    made = controls(qtbot, digits, steered, theme)
    field = button(made, "epochs_field")
    before = field.value()
    assert before == digits.document.training.phases[0].epochs
    field.setValue(before + 5)
    assert digits.document.training.phases[0].epochs == before + 5
    digits.undo()
    assert field.value() == before
    assert digits.document.training.phases[0].epochs == before


def test_a_folder_that_cannot_be_made_is_told(qtbot, digits, steered, theme, monkeypatch):
    from graphstudio.nodes.types import Message
    from graphstudio.services.projects import ProjectError

    def refuse(_path):
        raise ProjectError([Message("the disk is full")])

    monkeypatch.setattr("graphstudio.ui.dashboard.controls.new_run", refuse)
    made = controls(qtbot, digits, steered, theme)
    with qtbot.waitSignal(made.failed_to_start) as told:
        assert not made.train()
    assert told.args == ["The disk is full."]


def test_the_real_worker_trains_and_leaves_weights(qtbot, digits, theme):
    bridge = TrainingBridge()
    made = controls(qtbot, digits, bridge, theme)
    button(made, "epochs_field").setValue(1)
    outcomes = []
    bridge.finished.connect(outcomes.append)
    bridge.failed.connect(outcomes.append)
    assert made.train()
    qtbot.waitUntil(lambda: bridge.state == "idle", timeout=60_000)
    assert [type(o).__name__ for o in outcomes] == ["Finished"], outcomes
    assert made.latest_weights == Path(outcomes[0].weights)
    bridge.deleteLater()


def test_the_real_worker_killed_in_the_middle_is_told_and_the_next_run_works(qtbot, digits, theme):
    bridge = TrainingBridge()
    made = controls(qtbot, digits, bridge, theme)
    failures, steps = [], []
    bridge.failed.connect(failures.append)
    bridge.stepped.connect(steps.append)
    assert made.train()
    qtbot.waitUntil(lambda: len(steps) > 2, timeout=60_000)
    os.kill(bridge.pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: bridge.state == "idle", timeout=2_000)
    assert [f.reason for f in failures] == ["killed"]
    finished = []
    bridge.finished.connect(finished.append)
    button(made, "epochs_field").setValue(1)
    assert made.train()
    qtbot.waitUntil(lambda: bridge.state == "idle", timeout=60_000)
    assert len(failures) == 1
    assert finished[0].status == "completed"
    bridge.deleteLater()
