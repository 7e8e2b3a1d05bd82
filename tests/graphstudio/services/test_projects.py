"""Opening, saving, and the examples that come along."""

from __future__ import annotations

import errno
import json
import os
import re
from pathlib import Path

import pytest

from graphstudio.document import format as file_format
from graphstudio.document.versions import versions_of
from graphstudio.services import check as check_service
from graphstudio.services.projects import (
    ProjectError,
    examples,
    from_example,
    new_project,
    open_project,
    save_project,
)

EXAMPLES = {example.name: example.path for example in examples()}


def test_the_examples_of_the_first_day_are_there() -> None:
    assert {"digits_mlp", "digits_cnn", "mnist_mlp", "mnist_cnn"} <= set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_written_as_the_program_writes_it(name: str) -> None:
    text = EXAMPLES[name].read_text(encoding="utf-8")
    loaded = file_format.loads(text)
    assert file_format.dumps(loaded.document) == text
    assert loaded.warnings == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_has_no_problem_and_is_laid_out_to_be_read(name: str) -> None:
    document = open_project(EXAMPLES[name]).document
    assert check_service.check(document).diagnostics == ()
    places = [node.position for node in document.main.nodes.values()]
    for i, (x, y) in enumerate(places):
        for other_x, other_y in places[:i]:
            assert abs(x - other_x) >= 200 or abs(y - other_y) >= 110


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_has_a_readme_with_its_true_size_and_an_expectation(name: str) -> None:
    folder = EXAMPLES[name].parent
    result = check_service.check(open_project(EXAMPLES[name]).document)
    size = sum(report.num_parameters for report in result.nodes.values())
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\(([\d,]+)\s+parameters\)", readme) == [f"{size:,}"]
    expected = json.loads((folder / "expected.json").read_text())["evaluate"]["accuracy"]
    assert f"at least {expected['at_least']}" in readme


def test_mnist_examples_are_the_ones_that_frameworks_are_compared_with() -> None:
    document = open_project(EXAMPLES["mnist_mlp"]).document
    types = sorted(n.type for n in document.main.nodes.values() if n.type.startswith("layer."))
    assert types == ["layer.dense", "layer.dense"]
    phase = document.training.phases[0]
    assert (phase.optimizer.kind, phase.epochs, document.training.batch_size) == ("adam", 5, 64)


def test_a_folder_with_one_project_stands_for_it(tmp_path: Path) -> None:
    path = save_project(new_project(), tmp_path / "only")
    assert path == tmp_path / "only.gsproj"
    assert open_project(tmp_path).path == path
    save_project(new_project(), tmp_path / "second.gsproj")
    with pytest.raises(ProjectError, match="2 project files"):
        open_project(tmp_path)


def test_saving_and_opening_give_the_same_project(tmp_path: Path) -> None:
    document = from_example("digits_cnn")
    path = save_project(document, tmp_path / "copy.gsproj")
    assert file_format.dumps(open_project(path).document) == file_format.dumps(document)
    with pytest.raises(ProjectError, match="no example 'nope'"):
        from_example("nope")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"format": 99}', b"[]"])
def test_what_is_no_project_is_explained(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.gsproj"
    path.write_bytes(content)
    with pytest.raises(ProjectError) as caught:
        open_project(path)
    assert caught.value.problems
    assert path.read_bytes() == content


def test_a_place_that_cannot_be_written_is_named_and_nothing_is_lost(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ProjectError, match=r"cannot be saved.*Not a directory"):
        save_project(new_project(), tmp_path / "file" / "x.gsproj")
    with pytest.raises(ProjectError, match=r"cannot be opened.*No such file"):
        open_project(tmp_path / "missing.gsproj")


def test_what_saving_replaces_is_kept(tmp_path) -> None:
    path = tmp_path / "model.gsproj"
    first, second = from_example("digits_mlp"), from_example("digits_cnn")
    save_project(first, path)
    save_project(second, path)
    (version,) = versions_of(path)
    assert open_project(version.path).document == first
    assert open_project(path).document.main == second.main


def test_a_project_is_saved_even_if_its_earlier_version_cannot_be_kept(tmp_path, caplog) -> None:
    path = tmp_path / "model.gsproj"
    save_project(new_project(), path)
    (tmp_path / "model.runs").write_text("in the way")
    document = from_example("digits_mlp")
    save_project(document, path)
    assert open_project(path).document.main == document.main
    assert "cannot be kept" in caplog.text


def test_a_project_is_saved_even_if_what_it_replaces_cannot_be_read(
    tmp_path, caplog, monkeypatch
) -> None:
    path = tmp_path / "model.gsproj"
    save_project(new_project(), path)
    document = from_example("digits_mlp")

    def refuse(self: Path, *_args: object, **_options: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", refuse)
        save_project(document, path)
    assert open_project(path).document.main == document.main
    assert versions_of(path) == []
    assert "cannot be kept" in caplog.text
