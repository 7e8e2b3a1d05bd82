"""What every test of windows shares: no display, folders of its own, and nothing left behind."""

from __future__ import annotations

import gc
import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QProcess, QThread, QTimer
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
def nothing_left_behind(qapp, user_dirs):
    """Fail on windows that stay, and on timers, threads and processes that still run.

    ``qtbot`` closes the widgets given to it before fixtures end, so it must not be asked for
    here: its clean-up has to have happened when this one looks.
    """
    windows_before = {id(w) for w in QApplication.topLevelWidgets()}
    running_before = {id(o) for o in _running()}
    yield
    flush_deletes()
    windows = [
        w
        for w in QApplication.topLevelWidgets()
        if id(w) not in windows_before and isValid(w) and w.parent() is None
    ]
    names = [f"{type(w).__name__} {w.objectName()!r}" for w in windows]
    for w in windows:
        w.close()
        w.deleteLater()
    flush_deletes()
    assert not names, f"left open: {', '.join(names)}; give it to qtbot.addWidget or close it"
    running = [o for o in _running() if id(o) not in running_before]
    kinds = [f"{type(o).__name__} {o.objectName()!r} of {o.parent()!r}" for o in running]
    assert not running, f"still running: {', '.join(kinds)}"


@pytest.fixture
def theme(qapp) -> Theme:
    return Theme()


@pytest.fixture
def project(qapp) -> Project:
    """An empty project; it listens to no window and needs no closing."""
    made = Project(Document())
    yield made
    made.check_now()


def flush_deletes() -> None:
    """Carry out every pending ``deleteLater``, those that deletions bring about included."""
    for _ in range(3):
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        QCoreApplication.processEvents()
    gc.collect()


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
