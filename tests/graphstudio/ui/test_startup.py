"""What is refused at the start, what is said without a display, and what is never imported."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from graphstudio.ui import app, startup

HEAVY = ("engine", "torch", "tensorflow", "keras", "sklearn", "numba", "llvmlite")


@pytest.mark.parametrize(
    ("python", "pyside", "part"),
    [
        ((3, 11), "6.12.0", "6.12"),
        ((3, 10), "6.12.3", "6.12"),
        ((3, 13), "6.11.0", "panels"),
        ((3, 11), "6.11.1", "panels"),
        ((3, 11), "6.9.3", "too old"),
    ],
)
def test_pairs_that_crash_are_refused_with_a_way_out(python, pyside, part):
    sentence = startup.refusal(python, pyside)
    assert part in sentence
    assert "pip install" in sentence


@pytest.mark.parametrize(
    ("python", "pyside"), [((3, 11), "6.11.3"), ((3, 12), "6.12.0"), ((3, 11), "6.10.2")]
)
def test_pairs_that_work_are_accepted(python, pyside):
    assert startup.refusal(python, pyside) == ""


def test_what_is_installed_here_is_accepted():
    assert startup.versions_problem() == ""


def test_without_display_the_commands_are_named(monkeypatch, capsys):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert app.main(None) == app.EXIT_REFUSED
    said = capsys.readouterr().err
    assert "no display" in said
    assert "graphstudio check|train|export|verify|run" in said


def test_a_window_with_a_project_imports_no_framework(tmp_path):
    """Everything is built, the dashboard and a script included, in a process of its own."""
    script = f"""
import sys
from pathlib import Path
from graphstudio.resources import data_dir
from graphstudio.ui import app
qt = app.make_app()
window = app.make_window()
window.show()
assert window.open_path(data_dir("projects") / "digits_cnn" / "digits_cnn.gsproj")
window.build_dashboard()
from PySide6.QtCore import QThreadPool
window.code.refresh()
QThreadPool.globalInstance().waitForDone()
qt.processEvents()
assert window.code.script.files, window.code.problem
print("loaded:", [m for m in {HEAVY!r} if m in sys.modules])
window.close()
"""
    env = os.environ | {"QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "loaded: []" in done.stdout


def test_an_unexpected_error_keeps_the_work_and_is_told(window, answers):
    window.files.new()
    window.palette_panel.node_activated.emit("layer.dense")
    assert window.autosave.file is None
    report = app.exception_reporter(window)
    try:
        raise ZeroDivisionError("on purpose")
    except ZeroDivisionError as error:
        report(type(error), error, error.__traceback__)
    assert window.autosave.file is not None
    notice = window.notices.shown[-1]
    assert notice.severity == "error"
    assert "on purpose" in notice.text


def test_a_project_that_cannot_be_read_at_the_start_is_told_once(qapp, qtbot, answers, tmp_path):
    broken = tmp_path / "broken.gsproj"
    broken.write_text("{", encoding="utf-8")
    window = app.make_window(broken)
    qtbot.addWidget(window)
    window.files._questions = answers
    window.show()
    app._after_show(window, broken)
    assert not window.has_project()
    assert [title for title, _ in answers.told] == ["'broken.gsproj' cannot be opened"]
    qtbot.wait(450)  # the dashboard, which is built a moment later
