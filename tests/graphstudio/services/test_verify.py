"""Verifying: it runs the real frameworks, sees what is wrong, and never passes in silence."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphstudio import data
from graphstudio.data import python_loader
from graphstudio.document.model import Document
from graphstudio.exporters import TARGETS
from graphstudio.ir.graph import Graph
from graphstudio.nodes.types import Message
from graphstudio.services import verify as service
from graphstudio.services.export import freeze, new_weights
from graphstudio.services.projects import open_project
from graphstudio.services.verify import LIMITS, Measured, VerifyError, differences, verify

Array = np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def document(root: Path) -> Document:
    return open_project(root / "projects" / "digits_cnn" / "digits_cnn.gsproj").document


@pytest.fixture(scope="module")
def graph(document: Document) -> Graph:
    return service.without_noise(freeze(document))


def needs(*modules: str) -> None:
    for module in modules:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")


@pytest.mark.torch
@pytest.mark.tensorflow
@pytest.mark.slow
def test_the_example_gives_the_same_numbers_everywhere(document: Document) -> None:
    needs("torch", "tensorflow", "keras")
    told: list[tuple[Message, float]] = []
    found = verify(document, progress=lambda what, share: told.append((what, share)))
    assert list(found) == list(TARGETS)
    for target, entry in found.items():
        assert entry["ok"], (target, entry)
        for name, limit in LIMITS.items():
            assert 0 <= entry[name] <= limit
        assert len(entry["curves"]["engine"]) == len(entry["curves"]["target"]) == service.STEPS
        assert entry["curves"]["engine"][-1] < entry["curves"]["engine"][0]
        # Keras's Adam has its epsilon elsewhere.
        assert entry["curve"] < (1e-2 if target == "keras" else 1e-4)
    assert found["pytorch"]["oracle"]["outputs"] < 1e-5
    assert [share for _, share in told] == sorted(share for _, share in told)
    assert told[-1][1] == pytest.approx(1.0)
    json.dumps(found, allow_nan=False)


def small(graph: Graph, steps: int = 1) -> tuple[dict[str, Array], dict[str, Array]]:
    samples = service.chosen_samples(graph, None, steps)
    few = {k: v[: (steps + 1) * 4] for k, v in samples.items()}
    return few, {k: np.asarray(v) for k, v in new_weights(graph).items()}


@pytest.fixture(scope="module")
def engine(graph: Graph) -> Measured:
    return service.measure_engine(graph, *small(graph), 1)


def changed(engine: Measured, **parts: Any) -> Measured:
    given = {
        "outputs": engine.outputs,
        "loss": engine.loss,
        "gradients": engine.gradients,
        "state": engine.state,
        "curve": engine.curve,
        "resolution": 0.0,
    }
    return Measured(**{**given, **parts})


def test_equal_numbers_pass(graph: Graph, engine: Measured) -> None:
    entry = differences(graph, engine, "pytorch", engine, {})
    assert entry["ok"]
    assert entry["outputs"] == entry["loss"] == entry["gradients"] == 0.0


@pytest.mark.parametrize(
    ("part", "factor", "ok"),
    [
        ("outputs", 1 + 2e-5, False),
        ("outputs", 1 + 2e-6, True),
        ("gradients", 1 + 2e-4, False),
        ("gradients", 1 + 2e-5, True),
    ],
)
def test_a_difference_beyond_the_limit_fails(
    part: str, factor: float, ok: bool, graph: Graph, engine: Measured
) -> None:
    arrays = {k: np.asarray(v, np.float64) * factor for k, v in getattr(engine, part).items()}
    entry = differences(graph, engine, "pytorch", changed(engine, **{part: arrays}), {})
    assert entry["ok"] is ok
    assert entry[part] == pytest.approx(factor - 1, rel=0.05)


def test_one_wrong_weight_gradient_is_named(graph: Graph, engine: Measured) -> None:
    name = next(k for k in engine.gradients if k.endswith("weight"))
    wrong = {**engine.gradients, name: np.flip(engine.gradients[name])}
    entry = differences(graph, engine, "keras", changed(engine, gradients=wrong), {})
    assert not entry["ok"]
    worst = max(entry["tensors"]["gradients"], key=entry["tensors"]["gradients"].get)
    assert worst == name


def test_rounding_noise_in_place_of_a_zero_gradient_is_no_difference(
    graph: Graph, engine: Measured
) -> None:
    name = next(k for k in engine.gradients if k.endswith("weight"))
    shape = engine.gradients[name].shape
    one, two = (
        changed(engine, gradients={**engine.gradients, name: np.full(shape, v, np.float32)})
        for v in (3e-9, -2e-9)
    )
    assert differences(graph, one, "pytorch", two, {})["gradients"] < 1e-6


def test_a_loss_next_to_nothing_is_held_to_what_float32_resolves(
    graph: Graph, engine: Measured
) -> None:
    # Logits of 15 are known to 2e-6, and so is their cross-entropy, however small it is.
    outputs = {k: np.full_like(v, 15.0) for k, v in engine.outputs.items()}
    names = [n.name for n in graph.with_role("loss")]
    resolution = service._resolution(graph, outputs, dict.fromkeys(names, 1e-4))
    assert 1e-6 < resolution < 1e-5
    sure = changed(engine, loss=1e-4, resolution=resolution)
    assert differences(graph, sure, "pytorch", sure, {})["resolution"] == resolution
    off_by = {1e-6: True, 5e-6: False}
    for gap, ok in off_by.items():
        found = changed(engine, loss=1e-4 + gap)
        assert differences(graph, sure, "pytorch", found, {})["ok"] is ok
    unsure = changed(engine, loss=2.0, resolution=resolution)
    assert differences(graph, unsure, "pytorch", changed(engine, loss=2.0 + 1.9e-5), {})["ok"]
    assert not differences(graph, unsure, "pytorch", changed(engine, loss=2.0 + 2.1e-5), {})["ok"]


def test_the_measured_batch_is_held_out_and_the_others_are_not(graph: Graph) -> None:
    split = data.load(graph.data)
    samples = service.chosen_samples(graph, None, 2)
    size = graph.training.batch_size
    for name, array in samples.items():
        assert np.array_equal(array[:size], split.test[name][:size])
        assert np.array_equal(array[size:], split.train[name][: 2 * size])


@pytest.mark.parametrize("part", ["outputs", "gradients"])
def test_missing_extra_and_misshapen_arrays_fail(part: str, graph: Graph, engine: Measured) -> None:
    arrays = dict(getattr(engine, part))
    name = next(iter(arrays))
    less = {k: v for k, v in arrays.items() if k != name}
    for wrong in (less, {**arrays, "odd": arrays[name]}, {**arrays, name: arrays[name][:1]}):
        with pytest.raises(VerifyError, match="TensorFlow script"):
            differences(graph, engine, "tensorflow", changed(engine, **{part: wrong}), {})


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none_fail(value: float, graph: Graph, engine: Measured) -> None:
    with pytest.raises(VerifyError, match="NaN or infinity"):
        differences(graph, engine, "keras", changed(engine, loss=value), {})
    outputs = {k: np.full_like(v, value) for k, v in engine.outputs.items()}
    with pytest.raises(VerifyError, match="NaN or infinity"):
        differences(graph, engine, "keras", changed(engine, outputs=outputs), {})


def test_a_missing_framework_is_said_and_how_to_get_it(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "torch" else find(name, *a)
    )
    given = (*small(graph), python_loader(graph.data))
    found = service.compare(graph, *given, targets=("pytorch",), steps=1)
    assert found["pytorch"]["ok"] is False
    assert 'pip install "graphstudio[exports]"' in found["pytorch"]["error"]
    assert "PyTorch" in found["pytorch"]["error"]
    assert found["pytorch"]["missing"] == "torch"


BROKEN = '"""Broken."""\n\nraise RuntimeError("no samples here")\n'
ENDLESS = '"""Endless."""\n\nwhile True:\n    pass\n'


@pytest.mark.torch
def test_a_script_that_fails_is_reported_with_its_last_words(graph: Graph) -> None:
    needs("torch")
    found = service.compare(graph, *small(graph), BROKEN, targets=("pytorch",), steps=1)
    assert found["pytorch"]["ok"] is False
    assert "no samples here" in found["pytorch"]["error"]


@pytest.mark.torch
def test_a_script_that_does_not_end_is_ended(graph: Graph) -> None:
    needs("torch")
    given = (*small(graph), ENDLESS)
    found = service.compare(graph, *given, targets=("pytorch",), steps=1, timeout_s=8)
    assert "took longer than 8 s" in found["pytorch"]["error"]


SPY = '''"""Looks about."""

import os
import sys

import numpy as np

import torch

FOUND = [os.environ.get("SECRET_TOKEN"), os.environ.get("PYTHONPATH"), torch.__file__]
FOUND += [p for p in sys.path if p in ("", os.getcwd())]
raise RuntimeError(f"FOUND {FOUND}")


def load_data() -> dict[str, dict[str, np.ndarray]]:
    """Nothing."""
    return {}
'''


@pytest.mark.torch
def test_the_script_sees_no_secrets_and_imports_no_torch_that_lies_about(
    graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("torch")
    (tmp_path / "torch.py").write_text("raise SystemExit('shadowed')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = service.compare(graph, *small(graph), SPY, targets=("pytorch",), steps=1)
    error = found["pytorch"]["error"]
    assert "FOUND [None, None, '" in error
    assert "hunter2" not in error
    assert str(tmp_path) not in error
    assert str(Path(sys.prefix)) in error


def test_frozen_weights_are_left_out_of_the_comparison(document: Document) -> None:
    phase = document.training.phases[0]
    node = next(n.id for n in freeze(document).nodes if n.spec.type_id == "layer.dense")
    training = dataclasses.replace(
        document.training, phases=(dataclasses.replace(phase, frozen=(node,)),)
    )
    frozen = dataclasses.replace(service.without_noise(freeze(document)), training=training)
    measured = service.measure_engine(frozen, *small(frozen), 1)
    name = frozen.by_id[node].name
    assert f"{name}.weight" not in measured.gradients
    every = {**measured.gradients, f"{name}.weight": np.ones(3), f"{name}.bias": np.ones(3)}
    assert differences(frozen, measured, "keras", changed(measured, gradients=every), {})["ok"]
