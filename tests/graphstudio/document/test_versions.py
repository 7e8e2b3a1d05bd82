"""The last five versions of a project are kept, whatever else happens to its files."""

from __future__ import annotations

import os
from datetime import datetime

import pytest

from graphstudio.document.versions import NUM_KEPT, Content, keep_version, versions_dir, versions_of

START = datetime(2026, 3, 1, 12, 0, 0).timestamp()


@pytest.fixture
def project(tmp_path):
    return tmp_path / "model.gsproj"


def save(project, text: str, second: float) -> None:
    """Save as the program does, at this time."""
    before = Content.of(project)
    project.write_text(text)
    os.utime(project, (START + second, START + second))
    if before is not None:
        keep_version(project, before)


def kept(project) -> list[str]:
    return [version.path.read_text() for version in versions_of(project)]


def test_the_last_five_are_kept_and_the_latest_comes_first(project):
    for number in range(9):
        save(project, f"text {number}", 60.0 * number)
    assert kept(project) == ["text 7", "text 6", "text 5", "text 4", "text 3"]
    assert len(list(versions_dir(project).iterdir())) == NUM_KEPT
    times = [version.saved for version in versions_of(project)]
    assert times[0] == datetime(2026, 3, 1, 12, 7, 0)
    assert project.read_text() == "text 8"


def test_saving_the_same_again_keeps_nothing(project):
    save(project, "one", 0)
    save(project, "one", 60)
    save(project, "one", 120)
    assert kept(project) == []
    assert not versions_dir(project).exists()


def test_versions_of_one_second_are_told_apart(project):
    for number in range(4):
        save(project, f"text {number}", 0.1 * number)
    assert kept(project) == ["text 2", "text 1", "text 0"]


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
