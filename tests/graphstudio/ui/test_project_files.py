"""No road leads to lost work without a question, and a bad file leaves what is open alone."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from graphstudio import resources
from graphstudio.document import commands
from graphstudio.document import format as file_format
from graphstudio.document.model import Document
from graphstudio.services.runs import new_run
from graphstudio.training import files as run_files
from graphstudio.ui.project_files import ProjectFiles
from graphstudio.ui.project_runs import weights_of
from graphstudio.ui.settings import Settings


@pytest.fixture
def files(qapp, answers):
    made = ProjectFiles(Settings(), answers)
    yield made
    made.project.check_now()


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "saved.gsproj"
    file_format.save(Document(), path)
    return path


def edit(files) -> None:
    document = files.project.document
    assert files.project.push(commands.add_node(document, "main", "layer.dense", (0, 0)))
    files.project.check_now()


def test_unsaved_changes_are_asked_about(files, answers, saved):
    edit(files)
    project = files.project
    answers.on_unsaved = "cancel"
    assert not files.new()
    assert not files.open(saved)
    assert files.project is project
    assert answers.asked == ["unsaved New project"] * 2


def test_saving_on_the_way_out_needs_a_name(files, answers, tmp_path):
    edit(files)
    answers.on_unsaved = "save"
    answers.to_save = None
    assert not files.may_close()
    answers.to_save = tmp_path / "kept.gsproj"
    assert files.may_close()
    assert len(file_format.load(answers.to_save).document.main.nodes) == 1


def test_a_clean_project_closes_without_a_word(files, answers, saved):
    assert files.open(saved)
    assert files.new()
    assert answers.asked == []


def test_a_broken_file_is_explained_and_the_open_document_stays(files, answers, tmp_path):
    edit(files)
    project, before = files.project, file_format.dumps(files.project.document)
    bad = tmp_path / "bad.gsproj"
    bad.write_text('{"format": 1, "graphs": {"main": {"nodes": [{"id": 3}]}}}')
    assert not files.open(bad)
    ((title, problems),) = answers.told
    assert "bad.gsproj" in title
    assert problems
    assert files.project is project
    assert file_format.dumps(project.document) == before
    assert answers.asked == []


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"[]", b'{"format": 99}', b"{" * 9999])
def test_foreign_files_are_refused_with_a_reason(files, answers, tmp_path, content):
    path = tmp_path / "x.gsproj"
    path.write_bytes(content)
    assert not files.open(path)
    assert answers.told[0][1][0]


def test_a_missing_file_leaves_the_recent_list(files, answers, tmp_path):
    gone = tmp_path / "gone.gsproj"
    files._settings.recent = [str(gone)]
    assert not files.open(gone)
    assert files._settings.recent == []


def test_a_file_changed_by_others_is_not_overwritten_silently(files, answers, saved):
    files.open(saved)
    edit(files)
    theirs = saved.read_text() + "\n"
    saved.write_text(theirs)
    os.utime(saved, ns=(1, 1))
    assert files.changed_on_disk()
    assert not files.save()
    assert saved.read_text() == theirs
    assert answers.asked == ["overwrite saved.gsproj"]
    answers.on_overwrite = "overwrite"
    assert files.save()
    assert len(file_format.load(saved).document.main.nodes) == 1
    assert not files.changed_on_disk()


def test_save_as_instead_keeps_both_versions(files, answers, saved, tmp_path):
    files.open(saved)
    edit(files)
    saved.write_text(saved.read_text() + "\n")
    answers.on_overwrite, answers.to_save = "save as", tmp_path / "mine.gsproj"
    assert files.save()
    assert files.project.path == tmp_path / "mine.gsproj"
    assert not file_format.load(saved).document.main.nodes


def test_a_project_whose_file_has_gone_is_not_let_go_silently(files, answers, saved):
    files.open(saved)
    assert not files.gone()
    saved.unlink()
    assert files.gone()
    answers.on_unsaved = "cancel"
    assert not files.may_close()
    assert answers.asked == ["gone saved"]
    answers.on_unsaved = "save"
    assert files.may_close()
    assert file_format.load(saved).document == files.project.document
    assert not files.gone()


def test_a_file_in_a_folder_that_has_gone_is_saved_elsewhere(files, answers, tmp_path):
    folder = tmp_path / "stick"
    folder.mkdir()
    file_format.save(Document(), folder / "x.gsproj")
    files.open(folder / "x.gsproj")
    folder.rename(tmp_path / "unplugged")
    answers.to_save = tmp_path / "x.gsproj"
    assert files.save()
    assert answers.suggested.parent.is_dir()
    assert files.project.path == answers.to_save


def test_what_may_only_be_read_is_saved_where_there_is_a_way(files, answers, saved, monkeypatch):
    """Permissions do not bind every user, so the system's answer is replaced."""
    files.open(saved)
    monkeypatch.setattr(os, "access", lambda path, mode: saved.parent not in (path, path.parent))
    edit(files)
    assert not files.save()
    assert "saved.gsproj" in answers.why
    assert "only be read" in answers.why
    assert answers.suggested.parent != saved.parent


def test_a_disk_that_refuses_is_told_and_nothing_is_marked_saved(files, answers, tmp_path):
    edit(files)
    answers.to_save = tmp_path / "no" / "such" / "folder.gsproj"
    assert not files.save()
    assert answers.told
    assert not files.project.history.clean
    assert files.project.path is None


def test_a_saved_project_is_remembered(files, answers, tmp_path):
    edit(files)
    answers.to_save = tmp_path / "new.gsproj"
    assert files.save()
    assert Settings.load().recent == [str(answers.to_save.resolve())]
    assert files.project.history.clean


def test_an_example_is_a_copy_with_its_name(files, answers, tmp_path):
    assert files.new_from_example("digits_cnn")
    assert files.project.path is None
    assert files.name == "digits_cnn"
    edit(files)
    answers.to_save = tmp_path / "mine.gsproj"
    assert files.save()
    assert answers.asked == ["save digits_cnn.gsproj"]
    assert files.name == "mine"
    assert len(files.project.document.main.nodes) > 5


def test_what_was_trained_before_the_first_save_is_beside_the_project(files, answers, tmp_path):
    assert files.new_from_example("digits_mlp")
    done, going = new_run(None), new_run(None)
    for folder, status in ((done, "completed"), (going, "running")):
        run_files.write_run(folder, run_files.RunInfo(status=status, pid=os.getpid()))
        file_format.save(files.project.document, folder / run_files.PROJECT)
    (done / run_files.WEIGHTS).write_bytes(b"learnt")
    answers.to_save = tmp_path / "mine.gsproj"
    told = []
    files.project.path_changed.connect(lambda: told.append(weights_of(files.project)))
    assert files.save()
    beside = tmp_path / "mine.runs" / done.name
    assert (beside / run_files.WEIGHTS).read_bytes() == b"learnt"
    assert told == [beside / run_files.WEIGHTS], "who lists the runs now finds it"
    assert not (tmp_path / "mine.runs" / going.name).exists(), "its process writes elsewhere"
    (beside / run_files.WEIGHTS).write_bytes(b"later")
    edit(files)
    assert files.save()
    assert (beside / run_files.WEIGHTS).read_bytes() == b"later"


def test_a_run_that_cannot_be_copied_does_not_stop_the_saving(
    files, answers, tmp_path, monkeypatch, caplog
):
    assert files.new_from_example("digits_mlp")
    folder = new_run(None)
    run_files.write_run(folder, run_files.RunInfo(status="completed"))
    file_format.save(files.project.document, folder / run_files.PROJECT)

    def full(source, target):
        Path(target).mkdir(parents=True)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copytree", full)
    answers.to_save = tmp_path / "mine.gsproj"
    assert files.save()
    assert files.project.history.clean
    assert "No space left" in caplog.text
    assert not (tmp_path / "mine.runs" / folder.name).exists()


def test_an_installed_example_is_saved_elsewhere(files, answers, saved, tmp_path, monkeypatch):
    package = tmp_path / "graphstudio"
    installed = package / "_data" / "example.gsproj"
    installed.parent.mkdir(parents=True)
    before = saved.read_bytes()
    installed.write_bytes(before)
    monkeypatch.setattr(resources, "_PACKAGE", package)
    assert files.open(installed)
    edit(files)
    answers.to_save = tmp_path / "mine.gsproj"
    assert files.save()
    assert answers.asked == ["save example.gsproj"]
    assert not resources.is_installed(answers.suggested)
    assert installed.read_bytes() == before
    assert files.project.path == answers.to_save


def test_training_can_keep_a_project_open(qapp, answers):
    files = ProjectFiles(Settings(), answers, may_leave=lambda: False)
    assert not files.new()


def test_a_run_goes_on_if_its_project_is_not_let_go(qapp, answers):
    """The run is the only thing that no answer brings back, so it is asked about last."""
    ended = []
    files = ProjectFiles(Settings(), answers, may_leave=lambda: ended.append(1) or True)
    edit(files)
    answers.on_unsaved = "cancel"
    assert not files.may_close()
    assert ended == []
    answers.on_unsaved = "discard"
    assert files.may_close()
    assert ended == [1]
    files.project.check_now()
