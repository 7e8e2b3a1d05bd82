"""The whole loop without a window: ``graphstudio run`` on a fresh project folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from graphstudio.services.projects import examples

PROJECTS = {example.name: example.path for example in examples()}
LIMITS = {"outputs": 1e-5, "loss": 1e-5, "gradients": 1e-4}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of an example with few epochs, in a folder of its own."""
    return short(PROJECTS["digits_cnn"], tmp_path, epochs=2)


def short(source: Path, folder: Path, *, epochs: int) -> Path:
    path = Path(shutil.copy(source, folder))
    body = json.loads(path.read_text(encoding="utf-8"))
    body["training"]["phases"][0]["epochs"] = epochs
    path.write_text(json.dumps(body), encoding="utf-8")
    return path


def command(root: Path, *words: object) -> list[str]:
    return [sys.executable, "-m", "graphstudio", *map(str, words)]


def call(root: Path, *words: object, timeout: float = 500) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(root, *words),
        capture_output=True,
        encoding="utf-8",
        env=dict(os.environ) | {"PYTHONPATH": str(root)},
        timeout=timeout,
        check=False,
    )


@pytest.mark.torch
@pytest.mark.tensorflow
@pytest.mark.slow
def test_run_checks_trains_evaluates_exports_and_verifies(root: Path, copy: Path) -> None:
    for name in ("torch", "tensorflow", "keras"):
        if not (Path(pytest.__file__).parent.parent / name).is_dir():
            pytest.skip(f"{name} is not installed")
    done = call(root, "run", copy, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["check"]["problems"] == []
    assert report["train"]["epochs"] == 2
    assert report["train"]["seconds"] > 0
    assert 0.2 < report["evaluate"]["accuracy"] <= 1
    assert report["evaluate"]["loss"] > 0
    for target in ("pytorch", "tensorflow", "keras"):
        for name, limit in LIMITS.items():
            assert report["verify"][target][name] <= limit, (target, name)
    (run_dir,) = (copy.parent / "digits_cnn.runs").iterdir()
    assert str(run_dir) in done.stderr
    assert {p.name for p in (run_dir / "exports").iterdir()} == {"pytorch", "tensorflow", "keras"}
    for folder in (run_dir / "exports").iterdir():
        assert (folder / "weights.safetensors").is_file()


def test_train_then_export_uses_the_trained_weights(root: Path, copy: Path) -> None:
    trained = call(root, "train", copy)
    assert trained.returncode == 0, trained.stderr
    assert "On 359 held-out samples" in trained.stdout
    (run_dir,) = (copy.parent / "digits_cnn.runs").iterdir()
    done = call(root, "export", copy, "--target", "pytorch", "--json")
    assert done.returncode == 0, done.stderr
    folder = Path(json.loads(done.stdout)["export"]["pytorch"]["folder"])
    assert folder == copy.parent / "digits_cnn.export" / "pytorch"
    from engine import checkpoint

    ours, _ = checkpoint.load(run_dir / "weights.safetensors")
    exported, _ = checkpoint.load(folder / "weights.safetensors")
    key = "conv_1.weight"
    assert ours[key].tobytes() == exported[key].tobytes()


def test_missing_data_ends_the_run_with_what_to_do(root: Path, tmp_path: Path) -> None:
    path = short(PROJECTS["mnist_mlp"], tmp_path, epochs=1)
    done = call(root, "run", path, "--json", "--out", tmp_path / "out")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert report["check"]["problems"] == []
    assert "train-images-idx3-ubyte" in report["error"]["message"]
    assert "graphstudio data fetch mnist" in report["error"]["hint"]
    assert not (tmp_path / "out" / "weights.safetensors").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_keeps_what_was_learnt(root: Path, tmp_path: Path) -> None:
    path = short(PROJECTS["digits_mlp"], tmp_path, epochs=100_000)
    process = subprocess.Popen(
        command(root, "train", path, "--out", tmp_path / "out", "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=dict(os.environ) | {"PYTHONPATH": str(root)},
        start_new_session=True,
    )
    assert process.stderr is not None
    while "Epoch 2" not in process.stderr.readline():
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the worker too
    out, _err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert json.loads(out)["train"]["status"] == "stopped"
    assert (tmp_path / "out" / "weights.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits_mlp", "digits_cnn"])
def test_an_example_reaches_what_it_promises(root: Path, tmp_path: Path, name: str) -> None:
    expected = json.loads((PROJECTS[name].parent / "expected.json").read_text())
    done = call(root, "train", PROJECTS[name], "--json", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["evaluate"]["accuracy"] >= expected["evaluate"]["accuracy"]["at_least"]
    assert report["train"]["seconds"] < 60
