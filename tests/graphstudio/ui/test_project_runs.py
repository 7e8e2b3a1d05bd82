"""Which runs belong to a project that has no file yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphstudio.document import format as file_format
from graphstudio.document.changes import SetNode
from graphstudio.nodes.types import Message
from graphstudio.services.projects import open_project
from graphstudio.services.runs import new_run
from graphstudio.training import files
from graphstudio.ui.project import Project
from graphstudio.ui.project_runs import runs_of, weights_of


@pytest.fixture
def two(qapp, root) -> tuple[Project, Project]:
    """Two projects that were never saved."""
    names = ("digits_mlp", "digits_cnn")
    paths = [root / "projects" / name / f"{name}.gsproj" for name in names]
    made = tuple(Project(open_project(path).document) for path in paths)
    yield made
    for project in made:
        project.check_now()


def leave_run(project: Project) -> Path:
    folder = new_run(project.path)
    files.write_run(folder, files.RunInfo(status="completed"))
    file_format.save(project.document, folder / files.PROJECT)
    (folder / files.WEIGHTS).write_bytes(b"")
    return folder


def test_an_unsaved_project_has_its_own_runs_only(two):
    one, other = two
    mine, theirs = leave_run(one), leave_run(other)
    assert [r.path for r in runs_of(one)] == [mine]
    assert [r.path for r in runs_of(other)] == [theirs]
    assert weights_of(one) == mine / files.WEIGHTS


@pytest.mark.parametrize("name", ["digits_cnn", "digits_mlp"])
def test_examples_of_one_form_keep_their_runs_apart(qapp, root, name):
    """The same network on MNIST has nodes of the same names."""
    names = (name, name.replace("digits", "mnist"))
    paths = [root / "projects" / n / f"{n}.gsproj" for n in names]
    one, other = (Project(open_project(path).document) for path in paths)
    mine, theirs = leave_run(one), leave_run(other)
    assert [r.path for r in runs_of(one)] == [mine]
    assert [r.path for r in runs_of(other)] == [theirs]


def test_a_small_edit_keeps_the_runs_but_not_their_weights(two):
    project, _other = two
    folder = leave_run(project)
    dense = next(n for n in project.document.main.nodes.values() if n.type == "layer.dense")
    change = SetNode("main", dense.id, {"params": {**dense.params, "units": 77}})
    assert project.push((Message("Edit"), [change]))
    assert [r.path for r in runs_of(project)] == [folder]
    assert weights_of(project) is None
    project.undo()
    assert weights_of(project) == folder / files.WEIGHTS


def test_a_run_without_its_project_belongs_to_nobody(two):
    folder = leave_run(two[0])
    (folder / files.PROJECT).write_text("{broken", encoding="utf-8")
    assert runs_of(two[0]) == []
    assert weights_of(two[0]) is None


def test_a_saved_project_has_the_runs_beside_it(two, tmp_path):
    project, other = two
    leave_run(other)
    project.saved(tmp_path / "mine.gsproj")
    folder = leave_run(project)
    assert folder.parent == tmp_path / "mine.runs"
    assert [r.path for r in runs_of(project)] == [folder]
