"""``graphstudio export``: which weights, which folder, and what a refusal says."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from engine import checkpoint
from graphstudio.cli.main import main
from graphstudio.document import format as file_format
from graphstudio.services.export import freeze, new_weights
from graphstudio.services.projects import examples, open_project
from graphstudio.training import files
from graphstudio.training.files import RunInfo

DIGITS = next(e.path for e in examples() if e.name == "digits_cnn")


def call(*words: object) -> int:
    def no_window(_path: Path | None) -> int:
        raise AssertionError("no command opens a window")

    return main([str(word) for word in words], no_window)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return Path(shutil.copy(DIGITS, tmp_path / "net.gsproj"))


def test_an_untrained_project_is_exported_with_new_weights_and_says_so(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("export", project, "--target", "keras", "--target", "keras") == 0
    captured = capsys.readouterr()
    assert "not trained yet" in captured.err
    assert str(project.parent / "net.export" / "keras") in captured.out
    assert (project.parent / "net.export" / "keras" / "model.py").is_file()


@pytest.mark.parametrize(
    ("language", "words"), [("en", "another folder."), ("zh", "另一个文件夹。")]
)
def test_a_folder_that_is_a_file_is_said_in_the_users_language(
    project: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    language: str,
    words: str,
) -> None:
    monkeypatch.setenv("GRAPHSTUDIO_LANGUAGE", language)
    (tmp_path / "file").write_text("mine")
    assert call("export", project, "--out", tmp_path / "file", "--json") == 1
    report = json.loads(capsys.readouterr().out)["export"]
    assert len(report) == 3
    for target in report.values():
        assert str(tmp_path / "file") in target["error"]
        assert target["error"].endswith(words)


def test_an_edited_export_is_not_overwritten(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("export", project, "--target", "pytorch", "--out", tmp_path / "out", "--json")
    assert call(*words) == 0
    script = tmp_path / "out" / "pytorch" / "train.py"
    script.write_text("mine")
    capsys.readouterr()
    assert call(*words) == 1
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert "train.py" in report["error"]["message"]
    assert report["error"]["hint"]
    assert report["export"]["pytorch"]["error"]
    assert script.read_text() == "mine"


def test_weights_of_another_model_are_refused(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "weights.safetensors"
    wrong.write_bytes(b"not weights")
    assert call("export", project, "--weights", wrong, "--json") == 1
    assert "weights" in json.loads(capsys.readouterr().out)["error"]["message"]
    assert not list((tmp_path).glob("*.export/*/model.py"))


@pytest.mark.torch
def test_weights_of_a_run_before_the_model_was_changed_are_told_once(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "net.runs" / "2025-01-02_03-04-05"
    run.mkdir(parents=True)
    files.write_run(run, RunInfo(status="completed"))
    document = open_project(project).document
    file_format.save(document, run / files.PROJECT)
    arrays = {k: np.asarray(v) for k, v in new_weights(freeze(document)).items()}
    checkpoint.save(run / files.WEIGHTS, arrays)
    words = ("export", project, "--target", "pytorch", "--target", "keras", "--json")
    assert call(*words) == 0
    assert "was changed" not in capsys.readouterr().err

    relu = next(n for n in document.main.nodes.values() if n.type == "act.relu")
    document.main.nodes[relu.id] = dataclasses.replace(relu, type="act.tanh", params={})
    file_format.save(document, project)
    assert call(*words) == 0
    captured = capsys.readouterr()
    assert captured.err.count("the model was changed after the run '2025-01-02_03-04-05'") == 1
    for target in json.loads(captured.out)["export"].values():
        assert "was changed" in target["warnings"][0]

    assert call("verify", project, "--target", "pytorch", "--json") == 0
    captured = capsys.readouterr()
    assert "the model was changed" in captured.err
    assert "was changed" in json.loads(captured.out)["warnings"][0]
