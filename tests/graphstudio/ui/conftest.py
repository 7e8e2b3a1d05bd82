"""What every test of windows shares: no display, folders of its own, and nothing left behind."""

from __future__ import annotations

import gc
import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QProcess, QThread, QThreadPool, QTimer
from PySide6.QtWidgets import QApplication
from shiboken6 import isValid

from graphstudio import i18n
from graphstudio.document.model import Document
from graphstudio.ui.project import Project
from graphstudio.ui.theme import Theme

CAN_BE_LEFT = (QTimer, QThread, QProcess)


@pytest.fixture(autouse=True)
def user_dirs(tmp_path, monkeypatch):
    """Settings and recovery files of a test lie in its own folder."""
    for kind in ("CONFIG", "STATE"):
        monkeypatch.setenv(f"GRAPHSTUDIO_{kind}_DIR", str(tmp_path / f"user-{kind.lower()}"))
    return tmp_path


@pytest.fixture(autouse=True)
def english():
    """Every test begins and ends in English."""
    i18n.set_language("en")
    yield
    i18n.set_language("en")


@pytest.fixture(autouse=True)
def nothing_left_behind(request):
    """Fail on windows that stay, and on timers, threads and processes that still run.

    ``qtbot`` closes the widgets given to it before fixtures end, so it must not be asked for
    here: its clean-up has to have happened when this one looks.
    """
    if "qapp" not in request.fixturenames:
        yield
        return
    qapp = request.getfixturevalue("qapp")
    windows_before = {id(w) for w in qapp.topLevelWidgets()}
    yield
    flush_deletes()
    left = _left_behind(windows_before)
    if left:
        gc.collect()  # what only a cycle of references holds is not left behind
        flush_deletes()
        left = _left_behind(windows_before)
    if not left:
        return
    for w in QApplication.topLevelWidgets():
        if id(w) not in windows_before and isValid(w) and w.parent() is None:
            w.close()
            w.deleteLater()
    flush_deletes()
    _excused.update(id(o) for o in _running())  # the next test is not to blame for them
    pytest.fail(f"left behind: {', '.join(left)}; give windows to qtbot.addWidget")


def _left_behind(windows_before: set[int]) -> list[str]:
    windows = [
        w
        for w in QApplication.topLevelWidgets()
        if id(w) not in windows_before and isValid(w) and w.parent() is None
    ]
    running = [o for o in _running() if id(o) not in _excused]
    return [f"{type(o).__name__} {o.objectName()!r}" for o in (*windows, *running)]


_excused: set[int] = set()


@pytest.fixture
def theme(qapp) -> Theme:
    return Theme()


@pytest.fixture
def project(qapp) -> Project:
    """An empty project; it listens to no window and needs no closing."""
    made = Project(Document())
    yield made
    made.check_now()


class Answers:
    """Stands in for the user in front of the questions of a window; notes what was asked."""

    def __init__(self) -> None:
        self.on_unsaved = "discard"
        self.on_overwrite = "cancel"
        self.on_stop = True
        self.on_recover = "later"
        self.to_open = None
        self.to_save = None
        self.suggested = None
        self.why = ""
        self.asked: list[str] = []
        self.told: list[tuple[str, list[str]]] = []

    def unsaved(self, name, *, gone=False):
        self.asked.append(f"{'gone' if gone else 'unsaved'} {name}")
        return self.on_unsaved

    def overwrite_changed(self, name):
        self.asked.append(f"overwrite {name}")
        return self.on_overwrite

    def stop_training(self):
        self.asked.append("stop")
        return self.on_stop

    def recover(self, name, when):
        self.asked.append(f"recover {name}")
        return self.on_recover

    def open_path(self, folder):
        self.asked.append("open")
        return self.to_open

    def save_path(self, suggested, title=""):
        self.asked.append(f"save {suggested.name}")
        self.suggested, self.why = suggested, title
        return self.to_save

    def picture_path(self, suggested):
        self.asked.append(f"picture {suggested.name}")
        return self.to_save

    def show_problems(self, title, problems):
        self.told.append((title, [i18n.render(p) for p in problems]))


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def window(qtbot, theme, answers):
    """The real main window, at the start page, with a user who answers as told."""
    from graphstudio.ui import style
    from graphstudio.ui.main_window import MainWindow
    from graphstudio.ui.settings import Settings

    style.apply(theme)
    made = MainWindow(Settings(), theme, questions=answers)
    made.resize(1440, 900)
    qtbot.addWidget(made)
    made.show()
    return made


@pytest.fixture
def digits(window):
    """The main window with a copy of the digits CNN, which is not saved anywhere."""
    assert window.files.new_from_example("digits_cnn")
    window.project.check_now()
    flush_deletes()  # the views of the empty project before
    return window


def node_of(project, type_id: str) -> str:
    """Id of the first node of a type."""
    return next(i for i, n in project.document.main.nodes.items() if n.type == type_id)


def flush_deletes() -> None:
    """Carry out every pending ``deleteLater``, those that deletions bring about included."""
    QThreadPool.globalInstance().waitForDone(5000)
    for _ in range(3):
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        QCoreApplication.processEvents()


def _running() -> list:
    # issubclass, not isinstance: asking a lazy proxy for its __class__ could wake it up
    found = (o for o in gc.get_objects() if issubclass(type(o), CAN_BE_LEFT))
    return [o for o in found if isValid(o) and _runs(o)]


def _runs(thing) -> bool:
    if isinstance(thing, QTimer):
        return thing.isActive()
    if isinstance(thing, QProcess):
        return thing.state() != QProcess.ProcessState.NotRunning
    return thing.isRunning() and thing is not QThread.currentThread()
