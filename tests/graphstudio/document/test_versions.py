"""The last five versions of a project are kept, whatever else happens to its files."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime, timedelta

import pytest

from graphstudio.document import versions
from graphstudio.document.versions import NUM_KEPT, Content, keep_version, versions_dir, versions_of

START = datetime(2026, 3, 1, 12, 0, 0).timestamp()


class Clock(datetime):
    """A clock that the test sets."""

    time = datetime(2026, 3, 2, tzinfo=UTC)

    @classmethod
    def now(cls, tz=None):
        return cls.time.astimezone(tz)


@pytest.fixture
def project(tmp_path):
    return tmp_path / "model.gsproj"


def save(project, text: str, second: float) -> None:
    """Save as the program does, at this time."""
    before = Content.of(project)
    project.write_text(text)
    os.utime(project, (START + second, START + second))
    if before is not None:
        keep_version(project, before, project.read_bytes())


def kept(project) -> list[str]:
    return [version.path.read_text() for version in versions_of(project)]


def test_the_last_five_are_kept_and_the_latest_comes_first(project):
    for number in range(9):
        save(project, f"text {number}", 60.0 * number)
    assert kept(project) == ["text 7", "text 6", "text 5", "text 4", "text 3"]
    assert len(list(versions_dir(project).iterdir())) == NUM_KEPT
    times = [version.saved for version in versions_of(project)]
    assert times[0] == datetime(2026, 3, 1, 12, 7, 0).astimezone()
    assert project.read_text() == "text 8"


def test_saving_the_same_again_keeps_nothing(project):
    save(project, "one", 0)
    save(project, "one", 60)
    save(project, "one", 120)
    assert kept(project) == []
    assert not versions_dir(project).exists()


def test_of_nine_saves_in_one_second_the_last_five_are_kept(project):
    for number in range(9):
        save(project, f"text {number}", 0.1 * number)
    assert kept(project) == ["text 7", "text 6", "text 5", "text 4", "text 3"]


@pytest.mark.parametrize("step", [timedelta(0), timedelta(hours=-1)])
def test_a_clock_that_stands_still_or_is_put_back_leaves_the_order(project, monkeypatch, step):
    monkeypatch.setattr(versions, "datetime", Clock)
    monkeypatch.setattr(Clock, "time", Clock.time)
    for number in range(15):
        save(project, f"text {number}", 0)
        Clock.time += step
    assert kept(project) == ["text 13", "text 12", "text 11", "text 10", "text 9"]


def test_a_file_that_says_it_is_old_is_kept_like_any_other(project):
    for number in range(8):
        save(project, f"text {number}", 60.0 * number)
    save(project, "out of an archive", -1e9)
    save(project, "text 9", 600)
    assert kept(project) == ["out of an archive", "text 7", "text 6", "text 5", "text 4"]
    when = versions_of(project)[0].saved
    assert when.timestamp() == START - 1e9


@pytest.mark.parametrize("mtime", [-1e15, -6e10, 1e15, 2.534e11])
def test_a_file_of_no_known_time_is_kept_as_of_now(project, mtime):
    keep_version(project, Content(b"old", mtime, 0o644), b"new")
    (version,) = versions_of(project)
    assert version.path.read_bytes() == b"old"
    assert abs(version.saved - version.replaced) < timedelta(seconds=1)


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_whoever_may_not_read_the_project_may_not_read_its_versions(project, mode):
    save(project, "one", 0)
    project.chmod(mode)
    save(project, "two", 60)
    (version,) = versions_of(project)
    assert stat.S_IMODE(version.path.stat().st_mode) == mode


def test_a_new_file_has_no_earlier_version(project):
    assert Content.of(project) is None
    assert versions_of(project) == []


def test_foreign_files_stay_and_are_not_listed(project):
    folder = versions_dir(project)
    folder.mkdir(parents=True)
    (folder / "mine.gsproj").write_text("mine")
    for number in range(8):
        save(project, f"text {number}", 60.0 * number)
    assert len(kept(project)) == NUM_KEPT
    assert (folder / "mine.gsproj").read_text() == "mine"
