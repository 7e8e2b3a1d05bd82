"""``graphstudio data``: what is there, and where it lies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from graphstudio.cli.main import main
from graphstudio.data import fetch
from graphstudio.data.folders import name_folder, named_folder


def call(*words: object) -> int:
    def no_window(_path: Path | None) -> int:
        raise AssertionError("no command opens a window")

    return main([str(word) for word in words], no_window)


def test_list_says_what_is_ready(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("data", "list", "--json") == 0
    listed = json.loads(capsys.readouterr().out)["data"]
    assert listed["digits"]["ready"] is True
    assert listed["mnist"]["ready"] is False


def test_use_remembers_a_folder_only_if_it_has_the_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("data", "use", "mnist", tmp_path) == 1
    assert "train-images-idx3-ubyte" in capsys.readouterr().err
    assert named_folder("mnist") is None
    for file in fetch.MANIFESTS["mnist"].files:
        (tmp_path / file.name).write_bytes(b"")
    assert call("data", "use", "mnist", tmp_path) == 0
    assert named_folder("mnist") == tmp_path
    assert call("data", "use", "nope", tmp_path) == 2


def test_a_failed_fetch_is_explained_and_remembers_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name_folder("mnist", tmp_path)
    unreachable = fetch.Manifest(("http://127.0.0.1:9/",), fetch.MANIFESTS["mnist"].files)
    monkeypatch.setattr(fetch, "MANIFESTS", {"mnist": unreachable})
    assert call("data", "fetch", "mnist", "--to", tmp_path / "new", "--json") == 1
    captured = capsys.readouterr()
    assert "could not be fetched" in json.loads(captured.out)["error"]["message"]
    assert named_folder("mnist") == tmp_path
