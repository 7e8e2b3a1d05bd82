"""The real questions: buttons, answers, and Esc that never loses work."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QApplication, QFileDialog, QMessageBox

from graphstudio.nodes.types import Message
from graphstudio.ui.dialogs.questions import ProblemList, Questions

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support", extend=True)


@pytest.fixture
def questions(window, theme):
    return Questions(window, theme)


def answer(qtbot, ask, press):
    """What a question returns when the button with this text is pressed, or Esc."""

    def act() -> None:
        box = QApplication.activeModalWidget()
        assert isinstance(box, QMessageBox)
        if press == "Esc":
            qtbot.keyClick(box, Qt.Key.Key_Escape)
        else:
            next(b for b in box.buttons() if b.text() == press).click()

    QTimer.singleShot(20, act)
    return ask()


@pytest.mark.parametrize(
    ("press", "result"),
    [("Save", "save"), ("Don't save", "discard"), ("Cancel", "cancel"), ("Esc", "cancel")],
)
def test_unsaved_work(questions, qtbot, press, result):
    assert answer(qtbot, lambda: questions.unsaved("x"), press) == result
    assert answer(qtbot, lambda: questions.unsaved("x", gone=True), press) == result


@pytest.mark.parametrize(
    ("press", "result"), [("Overwrite", "overwrite"), ("Save as…", "save as"), ("Esc", "cancel")]
)
def test_a_file_changed_by_others(questions, qtbot, press, result):
    assert answer(qtbot, lambda: questions.overwrite_changed("x"), press) == result


@pytest.mark.parametrize(
    ("press", "result"), [("Recover", "recover"), ("Discard", "discard"), ("Esc", "later")]
)
def test_recovery(questions, qtbot, press, result):
    assert answer(qtbot, lambda: questions.recover("x", "today"), press) == result


@pytest.mark.parametrize(("press", "result"), [("Stop training", True), ("Esc", False)])
def test_stopping_a_run(questions, qtbot, press, result):
    assert answer(qtbot, questions.stop_training, press) is result


@pytest.mark.parametrize(
    ("typed", "kind", "saved"),
    [
        ("a.svg", "", "a.svg"), ("a.png", "", "a.png"), ("a", "(*.png)", "a.png"),
        ("a", "(*.svg)", "a.svg"), ("a.b", "", "a.b.svg"),
    ],
)  # fmt: skip
def test_a_picture_gets_the_suffix_of_its_kind(
    questions, monkeypatch, tmp_path, typed, kind, saved
):
    def choose(_parent, _title, _suggested, filters):
        shown = next(f for f in filters.split(";;") if kind in f) if kind else ""
        return str(tmp_path / typed), shown

    monkeypatch.setattr(QFileDialog, "getSaveFileName", choose)
    assert questions.picture_path(tmp_path / "x.svg") == tmp_path / saved


def test_problems_are_listed_as_plain_text(qtbot, theme):
    problems = [Message("<b>{x}</b> is missing", {"x": "a"}), Message("second")]
    dialog = ProblemList("'x' cannot be opened", problems, theme)
    qtbot.addWidget(dialog)
    assert dialog.list.toPlainText().splitlines() == ["•  <b>a</b> is missing.", "•  Second."]


@pytest.mark.parametrize(
    ("typed", "saved"), [("foo", "foo.gsproj"), ("v1.2", "v1.2.gsproj"), ("a.gsproj", "a.gsproj")]
)
def test_a_name_gets_the_ending_of_projects(questions, tmp_path, monkeypatch, typed, saved):
    name = str(tmp_path / typed)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (name, ""))
    assert questions.save_path(tmp_path / "x.gsproj") == tmp_path / saved


@pytest.mark.parametrize(("press", "result"), [("Replace", "foo.gsproj"), ("Esc", None)])
def test_a_file_the_dialog_did_not_ask_about_is_not_just_replaced(
    questions, qtbot, tmp_path, monkeypatch, press, result
):
    (tmp_path / "foo.gsproj").write_text("mine")
    names = iter([str(tmp_path / "foo"), ""])
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (next(names), ""))
    got = answer(qtbot, lambda: questions.save_path(tmp_path / "x.gsproj"), press)
    assert got == (tmp_path / result if result else None)
