"""The export dialog: what it asks of the command line, and how it shows the answers."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication

from graphstudio import i18n
from graphstudio.document.format import loads
from graphstudio.services.projects import open_project
from graphstudio.ui.dialogs.export_dialog import ExportDialog
from graphstudio.ui.dialogs.verification import CurvesView, verdict_of
from graphstudio.ui.project import Project

SCRIPT = Path(__file__).with_name("scripted_command.py")


@pytest.fixture
def digits(qapp, root, tmp_path) -> Project:
    """The bundled example, as if it lay in a folder of the user."""
    document = open_project(root / "projects" / "digits_mlp" / "digits_mlp.gsproj").document
    made = Project(document, tmp_path / "digits_mlp.gsproj")
    yield made
    made.check_now()


@pytest.fixture
def make(qtbot, digits, theme, tmp_path):
    """Makes a dialog whose commands are answered by the script."""

    def dialog(how: str = "", project: Project | None = None) -> ExportDialog:
        command = [sys.executable, str(SCRIPT), how, str(tmp_path / "notes.json")] if how else None
        made = ExportDialog(project or digits, theme, command=command)
        qtbot.addWidget(made)
        made.show()
        return made

    return dialog


def finish(qtbot, dialog: ExportDialog, *, timeout: int = 20_000) -> None:
    qtbot.waitUntil(lambda: not dialog.busy, timeout=timeout)


def text(dialog: ExportDialog, name: str) -> str:
    return dialog.findChild(object, name).text()


def badges(dialog: ExportDialog) -> list[str]:
    return [text(dialog, f"verdict_{t}") for t in ("pytorch", "tensorflow", "keras")]


def test_verify_shows_a_badge_a_target_and_the_curves(make, qtbot):
    dialog = make("same")
    assert not dialog.curves.isVisible()
    dialog.verify()
    assert dialog.busy
    assert badges(dialog) == ["waiting for its numbers"] * 3
    finish(qtbot, dialog)
    assert badges(dialog) == ["same numbers"] * 3
    assert text(dialog, "detail_keras") == (
        "largest relative difference: outputs 2.0e−07, loss 0, gradients 3.1e−06"
    )
    assert text(dialog, "exportMessage") == "The exports give the same numbers as the engine."
    assert dialog.curves.isVisible()
    names = [e.text for e in dialog.curves.legend.entries]
    assert names == ["Engine", "PyTorch", "TensorFlow", "Keras 3"]


def test_rounding_does_not_fill_the_plot_of_losses(qtbot, theme):
    """A model that has learned all there is has losses of rounding alone, far apart in relation."""
    view = CurvesView(theme)
    qtbot.addWidget(view)
    curves = {"engine": [1e-7, 6e-8, 0.0], "target": [1e-7, 1e-7, 4e-8]}
    view.add("keras", curves, 4e-8, resolution=1e-5)
    _, (low, high) = view.view.viewRange()
    assert low <= 0.0
    assert (high - low) / 1000 > 4e-8, "less than a pixel"
    view.clear()
    view.add("keras", {"engine": [2.0, 1.0, 0.5], "target": [2.0, 1.0, 0.5]}, 0.0, resolution=1e-5)
    _, (low, high) = view.view.viewRange()
    assert 1.5 <= high - low < 2.0, "what was learned is seen as before"


def test_the_curves_never_push_the_buttons_off_the_screen(make, qtbot):
    dialog = make("same")
    room = dialog.screen().availableGeometry()
    dialog.move(dialog.x(), room.bottom() - dialog.height())
    dialog.verify()
    finish(qtbot, dialog)
    assert dialog.curves.isVisible()
    assert dialog.frameGeometry().bottom() <= room.bottom()
    assert dialog.frameGeometry().top() >= room.top()


def test_differences_missing_frameworks_and_failures_are_told_apart(make, qtbot):
    dialog = make("mixed")
    dialog.verify()
    finish(qtbot, dialog)
    assert badges(dialog) == ["not installed", "the numbers differ", "failed"]
    assert 'pip install "graphstudio[exports]"' in text(dialog, "detail_pytorch")
    assert "gradients 2.5e−01" in text(dialog, "detail_tensorflow")
    assert text(dialog, "detail_keras") == "it broke"
    assert text(dialog, "exportMessage").startswith("Not every export")
    copy = dialog.findChild(object, "copy_pip_pytorch")
    assert copy.isVisible()
    copy.click()
    assert QApplication.clipboard().text() == 'pip install "graphstudio[exports]"'
    assert not dialog.findChild(object, "copy_pip_keras").isVisible()


def test_a_refusal_is_shown_at_every_target(make, qtbot):
    dialog = make("refused")
    dialog.verify()
    finish(qtbot, dialog)
    assert badges(dialog) == ["failed"] * 3
    assert text(dialog, "detail_pytorch") == "the weights belong to another model Train it."


def test_the_project_as_it_is_now_is_verified_not_the_file(make, digits, qtbot, tmp_path):
    dialog = make("hang")
    dialog.set_target("keras")
    dialog.verify()
    notes = tmp_path / "notes.json"
    qtbot.waitUntil(lambda: notes.exists() and "child" in notes.read_text())
    argv = json.loads(notes.read_text())["argv"]
    assert argv[argv.index("--project-dir") + 1] == str(tmp_path)  # where relative data lies
    copy = Path(dialog._copy_dir.path()) / "digits_mlp.gsproj"
    assert loads(copy.read_text(encoding="utf-8")).document.graphs == digits.document.graphs
    dialog.reject()
    assert not digits.path.exists()


def test_the_command_is_told_targets_folder_and_weights(make, qtbot, tmp_path):
    run = tmp_path / "digits_mlp.runs" / "2026-03-01_14-05-09"
    run.mkdir(parents=True)
    (run / "run.json").write_text('{"status": "completed"}')
    (run / "weights.safetensors").write_bytes(b"")
    dialog = make("exported")
    dialog.rows["tensorflow"].box.setChecked(False)
    dialog.folder.setText(str(tmp_path / "out put"))
    dialog.export()
    finish(qtbot, dialog)
    argv = json.loads((tmp_path / "notes.json").read_text())["argv"]
    weights = str(run / "weights.safetensors")
    assert argv[0] == "export"
    assert Path(argv[1]).name == "digits_mlp.gsproj"
    assert argv[2:] == [
        "--json", "--out", str(tmp_path / "out put"),
        "--target", "pytorch", "--target", "keras", "--weights", weights,
    ]  # fmt: skip
    assert "2026-03-01 14:05:09" in dialog.weights.currentText()
    assert badges(dialog) == ["exported", "", "exported"]


def test_half_an_export_is_no_success(make, qtbot):
    dialog = make("half")
    dialog.export()
    finish(qtbot, dialog)
    assert badges(dialog) == ["exported", "failed", "exported"]
    assert text(dialog, "detail_tensorflow") == "no room left on the disk"
    assert text(dialog, "exportMessage") == "Not everything could be exported."


@pytest.mark.parametrize(("how", "part"), [("die", "code 9"), ("abort", "crashed")])
def test_a_command_that_dies_is_reported_and_can_be_tried_again(make, qtbot, how, part):
    dialog = make(how)
    dialog.verify()
    finish(qtbot, dialog)
    assert part in text(dialog, "exportMessage")
    if how == "die":
        assert "here is why" in text(dialog, "exportMessage")
    assert dialog.verify_button.isEnabled()


def test_cancel_ends_the_command_and_what_it_started(make, qtbot, tmp_path):
    dialog = make("hang")
    dialog.verify()
    notes = tmp_path / "notes.json"
    qtbot.waitUntil(lambda: notes.exists() and "child" in notes.read_text())
    qtbot.waitUntil(lambda: "40 %" in text(dialog, "exportMessage"))
    found = json.loads(notes.read_text())
    dialog.reject()
    assert dialog.isVisible()
    assert not dialog.busy
    assert text(dialog, "exportMessage") == "Cancelled."
    for pid in (found["pid"], found["child"]):
        assert gone(pid)
    dialog.reject()
    assert not dialog.isVisible()


def gone(pid: int) -> bool:
    """True if a process ends within a second; one that nobody waited for counts as ended."""
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        stat = Path(f"/proc/{pid}/stat")
        if stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.01)
    return False


def test_a_wrong_graph_says_what_to_mend(make, project):
    dialog = make(project=project)
    assert not dialog.export_button.isEnabled()
    assert not dialog.verify_button.isEnabled()
    assert text(dialog, "exportMessage").startswith("Mend this first: ")


def test_without_a_target_there_is_nothing_to_do(make):
    dialog = make()
    for row in dialog.rows.values():
        row.box.setChecked(False)
    assert not dialog.export_button.isEnabled()
    assert text(dialog, "exportMessage") == "Choose at least one framework."
    dialog.set_target("keras")
    assert dialog.targets == ["keras"]
    assert dialog.export_button.isEnabled()


def test_numbers_are_judged_by_the_verdict_of_verify():
    numbers = {"outputs": 1e-7, "loss": 1e-7, "gradients": 1e-6}
    assert verdict_of(numbers | {"ok": True}) == "same"
    assert verdict_of(numbers | {"ok": False}) == "differ"
    assert verdict_of({"outputs": 1e-7, "ok": True}) == "error"
    assert verdict_of({"error": "x"}) == "error"


def test_it_speaks_chinese(make):
    i18n.set_language("zh")
    dialog = make()
    dialog.retranslate()
    assert dialog.windowTitle() == "导出为代码"


def test_the_real_export_writes_a_folder_for_each_target(make, qtbot, tmp_path):
    dialog = make()
    dialog.folder.setText(str(tmp_path / "out"))
    assert not dialog.open_button.isEnabled()
    dialog.export()
    finish(qtbot, dialog, timeout=60_000)
    assert badges(dialog) == ["exported"] * 3, text(dialog, "exportMessage")
    for target in ("pytorch", "tensorflow", "keras"):
        assert (tmp_path / "out" / target / "model.py").is_file()
    assert dialog.open_button.isEnabled()
