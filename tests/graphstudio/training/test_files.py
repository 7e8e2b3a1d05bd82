"""Files of a run folder are replaced wholly or not at all."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from graphstudio.training import files
from graphstudio.training.files import RunInfo, read_run, write_json, write_run


def test_a_run_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    info = RunInfo(status="stopped", seconds=1.25, versions={"numpy": "2"}, error="öf\n")
    write_run(tmp_path, info)
    assert read_run(tmp_path) == info
    assert os.listdir(tmp_path) == [files.RUN]


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", "null", '{"status": 3}', "\udcff", "[" * 9999, '{"status"']
)
def test_a_damaged_run_is_as_good_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / files.RUN).write_text(content, encoding="utf-8", errors="surrogateescape")
    assert read_run(tmp_path) is None


def test_fields_of_another_type_or_version_are_passed_over(tmp_path: Path) -> None:
    body = {"status": "failed", "seconds": 3, "epochs": "many", "pid": True, "later": [1]}
    (tmp_path / files.RUN).write_text(json.dumps(body))
    assert read_run(tmp_path) == RunInfo(status="failed", seconds=3)


@pytest.mark.parametrize("call", ["fsync", "replace", "fdopen"])
def test_a_failing_disk_leaves_the_former_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"old": 1})

    def full(*_args: object, **_more: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space"):
        write_json(path, {"new": 2})
    monkeypatch.undo()
    assert json.loads(path.read_text()) == {"old": 1}
    assert os.listdir(tmp_path) == ["x.json"]
