"""Exported folders: all or nothing, the right weights, and nothing of the user's lost."""

from __future__ import annotations

import ast
import contextlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine import checkpoint
from graphstudio.document.model import MAIN, Document, GraphRecord
from graphstudio.exporters import TARGETS
from graphstudio.ir.check import CheckFailed
from graphstudio.services import export as service
from graphstudio.services.export import ExportRefusedError, export_project, freeze, new_weights
from graphstudio.services.projects import open_project


@pytest.fixture
def document(root: Path) -> Document:
    return open_project(root / "projects" / "digits_mlp" / "digits_mlp.gsproj").document


@pytest.mark.parametrize("target", TARGETS)
def test_the_folder_is_complete(target: str, document: Document, tmp_path: Path) -> None:
    report = export_project(document, target, tmp_path / "out" / target, name="digits mlp")
    written = {p.name for p in report.folder.iterdir()}
    assert {"model.py", "data.py", "train.py", "requirements.txt", "README.md"} <= written
    assert "weights.safetensors" in written
    assert set(report.files) == written - {".graphstudio.json"}
    assert not report.trained
    for path in report.folder.glob("*.py"):
        ast.parse(path.read_text(encoding="utf-8"))
    assert "DigitsMlp" in (report.folder / "model.py").read_text() or target == "keras"
    leftovers = [p.name for p in (tmp_path / "out").iterdir()]
    assert leftovers == [target]


def test_trained_weights_are_written_as_they_are(document: Document, tmp_path: Path) -> None:
    weights = {k: np.asarray(v) + 1 for k, v in new_weights(freeze(document)).items()}
    checkpoint.save(tmp_path / "run.safetensors", weights)
    given = tmp_path / "run.safetensors"
    report = export_project(document, "keras", tmp_path / "out", given)
    assert report.trained
    found, _ = checkpoint.load(tmp_path / "out" / "weights.safetensors")
    assert found.keys() == weights.keys()
    for name, array in weights.items():
        assert np.array_equal(found[name], array)


def test_weights_of_another_model_are_refused(document: Document, tmp_path: Path) -> None:
    weights = {k: np.asarray(v) for k, v in new_weights(freeze(document)).items()}
    path = tmp_path / "weights.safetensors"
    first = next(iter(weights))

    def refusal(arrays: dict[str, np.ndarray]) -> str:
        checkpoint.save(path, arrays)
        with pytest.raises(ExportRefusedError) as refused:
            export_project(document, "pytorch", tmp_path / "out", path)
        assert refused.value.hint is not None
        assert not (tmp_path / "out").exists()
        return str(refused.value)

    assert "is missing" in refusal({k: v for k, v in weights.items() if k != first})
    assert "it has no 'odd'" in refusal({**weights, "odd": weights[first]})
    assert "not (" in refusal({**weights, first: weights[first][:1]})
    path.write_bytes(b"no weights at all")
    with pytest.raises(ExportRefusedError, match="cannot be read"):
        export_project(document, "pytorch", tmp_path / "out", path)


def test_a_foreign_folder_is_left_alone(document: Document, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ExportRefusedError, match="holds other files"):
        export_project(document, "pytorch", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_in_the_way_is_left_alone(document: Document, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ExportRefusedError, match="not a folder"):
        export_project(document, "pytorch", tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


def test_an_empty_folder_is_filled(document: Document, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    export_project(document, "pytorch", tmp_path / "out")
    assert (tmp_path / "out" / "model.py").is_file()


def test_exporting_again_replaces_our_files_and_keeps_the_users(
    document: Document, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    export_project(document, "tensorflow", out)
    (out / "trained").mkdir()
    (out / "trained" / "weights.safetensors").write_text("hours of work")
    (out / "notes.txt").write_text("mine")
    export_project(document, "pytorch", out)
    assert (out / "trained" / "weights.safetensors").read_text() == "hours of work"
    assert (out / "notes.txt").read_text() == "mine"
    assert not (out / "layers.py").exists()  # of the TensorFlow export
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_file_that_was_edited_is_not_overwritten(document: Document, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export_project(document, "pytorch", out)
    edited = (out / "train.py").read_text() + "\n# my change\n"
    (out / "train.py").write_text(edited)
    with pytest.raises(ExportRefusedError, match=r"'train\.py' .* was changed"):
        export_project(document, "pytorch", out)
    assert (out / "train.py").read_text() == edited


@pytest.mark.parametrize("name", ["layers.py", "optimizers.py", "Layers.PY"])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_file_of_the_users_whose_name_an_export_wants_stays_and_is_named(
    kind: str, name: str, document: Document, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    export_project(document, "pytorch", out)  # has neither of these modules
    if kind == "file":
        (out / name).write_text("mine")
    else:
        (out / name).mkdir()
        (out / name / "__init__.py").write_text("mine")
    (out / "trained").mkdir()
    before = sorted(p.relative_to(out) for p in out.rglob("*"))
    with pytest.raises(ExportRefusedError, match=rf"'{name}' .* would take its name") as refused:
        export_project(document, "tensorflow", out)
    assert refused.value.hint is not None
    assert sorted(p.relative_to(out) for p in out.rglob("*")) == before
    own = out / name if kind == "file" else out / name / "__init__.py"
    assert own.read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    export_project(document, "pytorch", out)  # which does not want the name
    assert own.read_text() == "mine"


def test_a_folder_in_the_place_of_an_exported_file_is_the_users(
    document: Document, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    export_project(document, "pytorch", out)
    (out / "train.py").unlink()
    (out / "train.py").mkdir()
    (out / "train.py" / "mine.txt").write_text("mine")
    with pytest.raises(ExportRefusedError, match=r"'train\.py' .* was changed"):
        export_project(document, "pytorch", out)
    assert (out / "train.py" / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("failing", ["notes.txt", "zeta", "the folder"])
def test_the_users_files_go_back_if_the_swap_fails_half_way(
    failing: str, document: Document, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    export_project(document, "pytorch", out)
    (out / "a.txt").write_text("mine")
    (out / "notes.txt").write_text("mine too")
    (out / "zeta").mkdir()
    (out / "zeta" / "weights.safetensors").write_text("hours of work")
    before = {p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    rename = Path.rename

    def once(self: Path, target: Path) -> Path:
        whole = failing == "the folder" and Path(target) == out and "old" not in self.name
        if whole or (self.name == failing and ".out.old." in str(self)):
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", once)
    with pytest.raises(ExportRefusedError, match="Input/output"):
        export_project(document, "keras", out)
    monkeypatch.undo()
    assert {p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()} == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("body", ["", "[]", '{"files": 3}', '{"files": {"../../x": "y"}}'])
def test_a_damaged_manifest_makes_a_folder_foreign_or_harmless(
    body: str, document: Document, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / ".graphstudio.json").write_text(body)
    (out / "mine.txt").write_text("mine")
    with contextlib.suppress(ExportRefusedError):
        export_project(document, "pytorch", out)
    assert (out / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("failing", ["save", "rename"])
def test_nothing_is_left_of_an_export_that_failed(
    failing: str, document: Document, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    export_project(document, "pytorch", out)
    before = {p.name: p.read_bytes() for p in out.iterdir()}

    def full(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    if failing == "save":
        monkeypatch.setattr(checkpoint, "save", full)
    else:
        rename = Path.rename

        def once(self: Path, target: Path) -> Path:
            if not self.name.startswith(".out.old.") and Path(target).name == "out":
                full()
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", once)
    with pytest.raises(ExportRefusedError, match="No space left"):
        export_project(document, "tensorflow", out)
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("where", ["file", "file/deeper"])
def test_a_folder_that_cannot_be_is_refused_with_a_way_out(
    where: str, document: Document, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ExportRefusedError) as caught:
        export_project(document, "pytorch", tmp_path / where / "pytorch")
    assert str(tmp_path / where) in str(caught.value.message)
    assert "Errno" not in str(caught.value)
    assert "another folder" in str(caught.value.hint)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_project_with_errors_is_not_exported(tmp_path: Path) -> None:
    empty = Document(graphs={MAIN: GraphRecord(id=MAIN)})
    with pytest.raises(CheckFailed):
        export_project(empty, "pytorch", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_manifest_names_every_file_but_itself(document: Document, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export_project(document, "keras", out)
    listed = json.loads((out / service.MANIFEST).read_text())["files"]
    assert set(listed) == {p.name for p in out.iterdir()} - {service.MANIFEST}


def test_the_preview_loads_neither_engine_nor_numpy(root: Path) -> None:
    code = """
import sys
from pathlib import Path
from graphstudio.services.export import preview
from graphstudio.services.projects import open_project
document = open_project(Path(sys.argv[1])).document
for target in ("pytorch", "tensorflow", "keras"):
    assert preview(document, target).files
found = {m.split(".")[0] for m in sys.modules}
assert not found & {"engine", "numpy", "torch", "tensorflow", "keras", "PySide6"}, found
"""
    path = root / "projects" / "digits_cnn" / "digits_cnn.gsproj"
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
