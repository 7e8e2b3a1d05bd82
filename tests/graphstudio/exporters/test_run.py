"""An exported folder is run as its reader would: train, evaluate, save, load again."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import checkpoint
from graphstudio import data
from graphstudio.compiler.lower import compile_graph
from graphstudio.document.model import Choice, Phase, Training
from graphstudio.exporters import TARGETS
from graphstudio.services.export import freeze, new_weights, preview, write_folder

MARKS = {"pytorch": pytest.mark.torch}


@pytest.fixture(scope="module")
def project(graphs: Any) -> Any:
    """A small network on the digits that come with scikit-learn."""
    rows = [
        ("image", "io.input", {}, []),
        ("conv", "layer.conv2d", {"filters": 4, "stride": [2, 2], "use_bias": False}, ["image"]),
        ("norm", "layer.batch_norm", {}, ["conv"]),
        ("act", "act.relu", {}, ["norm"]),
        ("flat", "shape.flatten", {}, ["act"]),
        ("noise", "layer.dropout", {"rate": 0.1}, ["flat"]),
        ("out", "layer.dense", {"units": 10}, ["noise"]),
        ("label", "io.target", {}, []),
        ("cost", "loss.cross_entropy", {"label_smoothing": 0.05}, ["out", "label"]),
        ("accuracy", "metric.accuracy", {}, ["out", "label"]),
    ]
    # With decay, so that the brought-along optimiser and loss of Keras are saved and loaded too.
    options = {"learning_rate": 0.02, "weight_decay": 1e-4}
    phase = Phase(optimizer=Choice(kind="adam", params=options), epochs=1)
    return graphs.document(rows, Training(phases=(phase,), batch_size=32))


@pytest.mark.parametrize(
    "target", [pytest.param(t, marks=MARKS.get(t, pytest.mark.tensorflow)) for t in TARGETS]
)
def test_the_script_trains_evaluates_and_saves_without_a_warning(
    target: str, project: Any, tmp_path: Path
) -> None:
    module = {"pytorch": "torch"}.get(target, target)
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")
    graph = freeze(project)
    weights = new_weights(graph)
    folder = tmp_path / "export"
    write_folder(preview(graph, target).files, weights, folder)
    script = Path(__file__).with_name("run_folder.py")
    strict = ["-W", "error", "-W", "ignore:__array__ implementation:DeprecationWarning"]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    done = subprocess.run(
        [sys.executable, *strict, str(script), target],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    assert "Warning" not in done.stderr
    report = json.loads(done.stdout.splitlines()[-1])

    test = data.load(graph.data).test
    plan = compile_graph(graph)
    plan.load_state_dict(weights)
    expected = plan.evaluate({k: np.asarray(v) for k, v in test.items()})
    shipped = numbers(report["shipped"])
    assert shipped["loss"] == pytest.approx(expected["loss"], abs=2e-4)
    assert shipped["accuracy"] == pytest.approx(expected["accuracy"], abs=2e-4)

    trained = numbers(report["trained"])
    assert trained["accuracy"] > 0.7
    assert numbers(report["again"]) == pytest.approx(trained, abs=2e-4)
    assert report["gap"] < 1e-6


@pytest.mark.parametrize(
    "target", [pytest.param(t, marks=MARKS.get(t, pytest.mark.tensorflow)) for t in TARGETS]
)
def test_layers_that_no_driving_loss_reaches_stay_as_they_are_without_a_warning(
    target: str, graphs: Any, tmp_path: Path
) -> None:
    module = {"pytorch": "torch"}.get(target, target)
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")
    rows = [
        ("image", "io.input", {}, []),
        ("flat", "shape.flatten", {}, ["image"]),
        ("body", "layer.dense", {"units": 6}, ["flat"]),
        ("out", "layer.dense", {"units": 10}, ["body"]),
        ("shown", "layer.dense", {"units": 3}, ["body"]),
        ("norm", "layer.batch_norm", {}, ["shown"]),
        ("seen", "layer.dense", {"units": 10}, ["body"]),
        ("label", "io.target", {}, []),
        ("cost", "loss.cross_entropy", {}, ["out", "label"]),
        ("watched", "loss.cross_entropy", {}, ["seen", "label"]),
    ]
    options = {"learning_rate": 0.05, "weight_decay": 0.1}
    phase = Phase(losses={"cost": 1.0}, optimizer=Choice(kind="sgd", params=options), epochs=1)
    graph = freeze(graphs.document(rows, Training(phases=(phase,), batch_size=128)))
    weights = {k: np.asarray(v) for k, v in new_weights(graph).items()}
    write_folder(preview(graph, target).files, weights, tmp_path / "export")
    done = subprocess.run(
        [
            *(sys.executable, "-W", "error"),
            *("-W", "ignore:__array__ implementation:DeprecationWarning"),
            *("train.py", "--weights", "weights.safetensors"),
        ],
        cwd=tmp_path / "export",
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    assert "Warning" not in done.stderr
    trained, _ = checkpoint.load(tmp_path / "export" / "trained" / "weights.safetensors")
    plan = compile_graph(graph)
    plan.load_state_dict(weights)
    split = data.load(graph.data).train
    plan.train_step({k: np.asarray(v)[:128] for k, v in split.items()})
    kept = {k for k in plan.parameters if np.array_equal(plan.parameters[k], weights[k])}
    assert kept == {k for k in plan.parameters if k.split(".")[0] in ("shown", "norm", "seen")}
    for name in plan.parameters:
        assert np.array_equal(trained[name], weights[name]) == (name in kept), name


def numbers(text: str) -> dict[str, float]:
    """The figures of the last line that a script has printed."""
    return {k: float(v) for k, v in re.findall(r"(\w+) ([\d.]+)", text.strip().splitlines()[-1])}
