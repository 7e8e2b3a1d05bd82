"""Unsaved work comes back after a crash, and only then."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys

import pytest

from graphstudio.document import commands
from graphstudio.document import format as file_format
from graphstudio.document.model import Document
from graphstudio.document.storage import OS_FILES
from graphstudio.ui import recovery
from graphstudio.ui.app import offer_recovery
from graphstudio.ui.recovery import Autosave, left_behind

CRASH = """
import os
from PySide6.QtCore import QCoreApplication
qt = QCoreApplication([])
from pathlib import Path
from graphstudio.document import commands, format as f
from graphstudio.document.model import Document
from graphstudio.ui.project import Project
from graphstudio.ui.project_files import Stamp
from graphstudio.ui.recovery import Autosave
path = {path!r}
document = f.load(Path(path)).document if path else Document()
project = Project(document, Path(path) if path else None, example={example!r})
autosave = Autosave(lambda: Stamp.of(Path(path)) if path else None)
autosave.watch(project)
project.push(commands.add_node(document, "main", "layer.dense", (10, 20), label="Kept"))
while autosave.file is None:
    qt.processEvents()
os._exit(9)
"""


def crash(path: str = "", example: str = "") -> None:
    """A process that edits a project, is left alone for a moment, and dies."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", CRASH.format(path=path, example=example)],
        env=env,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 9, done.stderr.decode()


def labels(document) -> set[str]:
    return {n.label for n in document.main.nodes.values()}


@pytest.fixture
def edited(project, qapp):
    """An autosave that watches a project with one unsaved edit."""
    autosave = Autosave()
    autosave.watch(project)
    project.push(commands.add_node(project.document, "main", "layer.dense", (0, 0)))
    yield autosave
    autosave.discard()


def test_work_of_a_killed_process_is_found(tmp_path):
    crash()
    (found,) = left_behind()
    assert found.path is None
    assert labels(found.document) == {"Kept"}


def test_the_copy_is_written_soon(edited, qtbot):
    assert edited.file is None
    qtbot.waitUntil(lambda: edited.file is not None, timeout=recovery.DELAY_MS + 1000)
    assert recovery.DELAY_MS <= 1500


def test_a_window_that_lives_is_not_offered(edited):
    edited.write()
    assert edited.file is not None
    assert left_behind() == []


def test_saving_removes_the_copy(edited, project, tmp_path):
    edited.write()
    project.saved(tmp_path / "x.gsproj")
    assert edited.file is None


def test_nothing_is_offered_if_the_file_has_it_all(tmp_path):
    path = tmp_path / "p.gsproj"
    file_format.save(Document(), path)
    crash(str(path))
    (found,) = left_behind()
    assert found.path == path
    file_format.save(found.document, path)
    assert left_behind() == []
    assert list(recovery.recovery_dir().glob("*.json")) == []


def test_a_copy_that_makes_no_sense_is_kept_aside():
    folder = recovery.recovery_dir()
    folder.mkdir(parents=True)
    (folder / "abc.json").write_text('{"document": 3}')
    told = []
    assert left_behind(told.append) == []
    assert told == [folder / "abc.broken"]
    assert told[0].read_text() == '{"document": 3}'
    assert left_behind(told.append) == []
    assert len(told) == 1


def test_a_copy_that_cannot_be_read_waits_where_it_is():
    folder = recovery.recovery_dir()
    (folder / "abc.json").mkdir(parents=True)  # reading it is an OSError for every user
    told = []
    assert left_behind(told.append) == []
    assert (folder / "abc.json").exists()
    assert told == []


def test_the_user_is_told_where_unreadable_work_is_kept(window):
    folder = recovery.recovery_dir()
    folder.mkdir(parents=True)
    (folder / "abc.json").write_text("{")
    offer_recovery(window)
    assert str(folder / "abc.broken") in window.notices.shown[-1].text


def test_a_full_disk_is_told_once(edited, project, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GRAPHSTUDIO_STATE_DIR", str(tmp_path / "file"))
    told = []
    edited.failed.connect(told.append)
    edited.write()
    edited.write()
    assert len(told) == 1


def test_a_copy_that_does_not_reach_the_disk_is_told_and_the_last_one_stays(
    edited, project, monkeypatch
):
    edited.write()
    before = edited.file.read_bytes()
    project.push(commands.add_node(project.document, "main", "act.relu", (0, 90)))
    told = []
    edited.failed.connect(told.append)
    monkeypatch.setattr(OS_FILES, "sync", full)
    edited.write()
    assert told == [os.strerror(errno.ENOSPC)]
    assert edited.file.read_bytes() == before


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_nobody_else_may_read_a_copy(edited):
    edited.write()
    assert stat.S_IMODE(edited.file.stat().st_mode) == 0o600


def full(_descriptor):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_work_recovered_onto_a_full_disk_is_offered_again(window, answers, monkeypatch):
    crash()
    answers.on_recover = "recover"
    with monkeypatch.context() as patched:
        patched.setattr(OS_FILES, "sync", full)
        offer_recovery(window)
    assert labels(window.project.document) == {"Kept"}
    assert window.autosave.file is None
    assert any("against a crash" in notice.text for notice in window.notices.shown)
    (found,) = left_behind()
    assert labels(found.document) == {"Kept"}


def test_recovered_work_asks_to_be_saved(window, answers):
    crash()
    answers.on_recover = "recover"
    offer_recovery(window)
    assert labels(window.project.document) == {"Kept"}
    assert window.isWindowModified()
    assert window.autosave.file is not None
    assert left_behind() == []
    window.files.new()
    assert any(a.startswith("unsaved") for a in answers.asked)


def test_a_file_that_others_wrote_after_the_crash_is_not_overwritten_silently(
    window, answers, tmp_path
):
    path = tmp_path / "p.gsproj"
    file_format.save(Document(), path)
    crash(str(path))
    theirs = path.read_text() + "\n"
    path.write_text(theirs)
    answers.on_recover = "recover"
    offer_recovery(window)
    assert any("changed by another program" in notice.text for notice in window.notices.shown)
    assert not window.files.save()
    assert "overwrite p.gsproj" in answers.asked
    assert path.read_text() == theirs


def test_a_file_that_nobody_touched_since_the_crash_is_saved_without_a_word(
    window, answers, tmp_path
):
    path = tmp_path / "p.gsproj"
    file_format.save(Document(), path)
    crash(str(path))
    answers.on_recover = "recover"
    offer_recovery(window)
    assert window.files.save()
    assert labels(file_format.load(path).document) == {"Kept"}
    assert answers.asked == ["recover p"]


def test_a_recovered_example_has_its_name_again(window, answers):
    crash(example="digits_cnn")
    answers.on_recover = "recover"
    offer_recovery(window)
    assert answers.asked == ["recover digits_cnn"]
    assert window.windowTitle().startswith("digits_cnn")
    assert window.project.path is None


def test_discarded_work_is_not_offered_again(window, answers):
    crash()
    answers.on_recover = "discard"
    offer_recovery(window)
    assert left_behind() == []
    assert not window.has_project()


def test_undecided_work_is_offered_again(window, answers):
    crash()
    answers.on_recover = "later"
    offer_recovery(window)
    assert len(left_behind()) == 1
