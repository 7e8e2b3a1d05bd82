"""Run folders: where they lie, and which of them count."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from graphstudio.services import runs
from graphstudio.services.projects import ProjectError
from graphstudio.training import files
from graphstudio.training.files import RunInfo, write_run

NOBODY = 65534


def test_runs_of_one_second_get_folders_of_their_own(tmp_path: Path) -> None:
    project = tmp_path / "net.gsproj"
    made = [runs.new_run(project) for _ in range(4)]
    assert len(set(made)) == 4
    assert {path.parent for path in made} == {tmp_path / "net.runs"}


def test_a_project_never_saved_has_its_runs_in_the_users_state(own_folders: Path) -> None:
    made = runs.new_run(None)
    assert made.is_relative_to(own_folders)
    write_run(made, RunInfo(status="completed"))
    assert [run.path for run in runs.list_runs(None)] == [made]


@contextlib.contextmanager
def as_a_user() -> Iterator[None]:
    """Root may write anywhere, so for a while it is a user who owns nothing."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no such permissions there")
def test_runs_of_a_read_only_folder_go_to_the_users_data(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as shared:  # those of pytest are closed to other users
        folder, data = Path(shared, "project"), Path(shared, "data")
        for path, mode in ((folder, 0o555), (data, 0o777), (Path(shared), 0o755)):
            path.mkdir(exist_ok=True)
            path.chmod(mode)
        monkeypatch.setenv("XDG_DATA_HOME", str(data))
        with as_a_user():
            assert not os.access(folder, os.W_OK, effective_ids=True)
            made = runs.new_run(folder / "net.gsproj")
        assert made.is_relative_to(data)
        assert list(folder.iterdir()) == []


def test_runs_go_to_the_users_data_where_no_folder_can_be_made(
    tmp_path: Path, own_folders: Path
) -> None:
    (tmp_path / "net.runs").write_text("a file where the folder should be")
    project = tmp_path / "net.gsproj"
    made = runs.new_run(project)
    assert made.is_relative_to(own_folders)
    write_run(made, RunInfo(status="completed"))
    assert [run.path for run in runs.list_runs(project)] == [made]
    other = tmp_path / "elsewhere" / "net.gsproj"
    assert runs.fallback_dir(other) != runs.fallback_dir(project)


def test_a_named_folder_is_used_again_but_foreign_files_are_not_touched(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert runs.new_run(tmp_path / "net.gsproj", out=out) == out
    write_run(out, RunInfo(status="completed"))
    (out / files.METRICS).write_text("old")
    (out / "notes.txt").write_text("mine")
    runs.new_run(tmp_path / "net.gsproj", out=out)
    assert [p.name for p in out.iterdir()] == ["notes.txt"]
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / files.PROJECT).write_text("somebody's work")
    with pytest.raises(ProjectError, match=r"holds 'project\.gsproj' but no run"):
        runs.new_run(tmp_path / "net.gsproj", out=foreign)
    assert (foreign / files.PROJECT).read_text() == "somebody's work"


def test_weights_to_begin_with_are_not_cleared_away(tmp_path: Path) -> None:
    out = tmp_path / "out"
    runs.new_run(None, out=out)
    write_run(out, RunInfo(status="completed"))
    weights = out / files.WEIGHTS
    weights.write_bytes(b"trained")
    (tmp_path / "link.safetensors").symlink_to(weights)
    for named in (weights, tmp_path / "link.safetensors"):
        with pytest.raises(ProjectError, match="which this run begins with"):
            runs.new_run(None, out=out, keep=named)
    assert weights.read_bytes() == b"trained"
    assert runs.new_run(None, out=tmp_path / "other", keep=weights) == tmp_path / "other"


def test_the_folder_of_a_run_that_goes_on_is_left_alone(tmp_path: Path) -> None:
    write_run(tmp_path, RunInfo(pid=os.getpid()))
    with pytest.raises(ProjectError, match="still going on"):
        runs.new_run(None, out=tmp_path)
    assert files.read_run(tmp_path) == RunInfo(pid=os.getpid())


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ProjectError, match=f"{tmp_path / 'file'}"):
        runs.new_run(tmp_path / "net.gsproj", out=tmp_path / "file" / "out")


def test_the_latest_weights_are_those_of_the_latest_run_that_has_some(tmp_path: Path) -> None:
    project = tmp_path / "net.gsproj"
    folder = runs.runs_dir(project)
    for name, weights in (("2026-01-01", True), ("2026-01-02", True), ("2026-01-03", False)):
        (folder / name).mkdir(parents=True)
        write_run(folder / name, RunInfo(status="completed"))
        if weights:
            (folder / name / files.WEIGHTS).write_bytes(b"x")
    (folder / "not-a-run").mkdir()
    assert runs.latest_weights(project) == folder / "2026-01-02" / files.WEIGHTS
    assert len(runs.list_runs(project)) == 3
    assert runs.latest_weights(tmp_path / "other.gsproj") is None


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be asked after there")
def test_a_running_run_without_a_process_has_died(tmp_path: Path) -> None:
    project = tmp_path / "net.gsproj"
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    for name, pid in (("a", os.getpid()), ("b", child.pid), ("c", 0)):
        (runs.runs_dir(project) / name).mkdir(parents=True)
        write_run(runs.runs_dir(project) / name, RunInfo(pid=pid))
    assert {r.path.name: r.info.status for r in runs.list_runs(project)} == {
        "a": "running",
        "b": "died",
        "c": "died",
    }
