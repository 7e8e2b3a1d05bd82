"""Training in the real window, with a training process that is killed under it."""

from __future__ import annotations

import os
import signal

import pytest

from graphstudio.resources import data_dir
from tests.integration.desktop import Desktop

pytestmark = [pytest.mark.window, pytest.mark.slow]


@pytest.fixture
def app(desktop, tmp_path) -> Desktop:
    """The digits CNN, as a copy beside which runs may be kept."""
    project = tmp_path / "digits.gsproj"
    source = data_dir("projects") / "digits_cnn" / "digits_cnn.gsproj"
    project.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    program = desktop(str(project))
    program.wait(lambda s: len(s["nodes"]) > 3, "the project")
    return program


def test_a_killed_worker_is_reported_and_the_next_run_works(app, tmp_path):
    app.press("train_button")
    state = app.wait(lambda s: s["training"]["state"] == "running", "the training", timeout_s=60)
    os.kill(state["training"]["pid"], signal.SIGKILL)
    app.wait(lambda s: s["training"]["state"] not in ("running", "preparing"), "the report")
    app.shot("killed")
    shown = [w.get("text") or "" for w in app.state()["widgets"].values() if w["visible"]]
    assert any("killed" in text for text in shown), "the window says what happened"

    app.press("train_button")
    app.wait(lambda s: s["training"]["state"] == "running", "the next run", timeout_s=60)
    app.press("stop_button")
    app.wait(lambda s: s["training"]["state"] == "idle", "the stop", timeout_s=30)
    app.shot("stopped")
    assert len(list((tmp_path / "digits.runs").glob("*/run.json"))) == 2


def test_the_window_is_edited_while_it_trains(app):
    app.press("train_button")
    app.wait(lambda s: s["training"]["state"] == "running", "the training", timeout_s=60)
    state = app.state()
    canvas = state["widgets"]["graph-view"]["rect"]
    node_id, node = next(iter(state["nodes"].items()))
    x, y, width, _ = node["rect"]
    app.drag((x + width / 2, y + 8), (x + width / 2 + 30, canvas[1] + canvas[3] - 60))
    moved = app.wait(
        lambda s: s["document"]["graphs"] != state["document"]["graphs"], "the node to move"
    )
    old, new = (s["document"]["graphs"]["main"]["nodes"][node_id] for s in (state, moved))
    assert old["position"] != new["position"]
    app.press("stop_button")
    app.wait(lambda s: s["training"]["state"] == "idle", "the stop", timeout_s=30)
