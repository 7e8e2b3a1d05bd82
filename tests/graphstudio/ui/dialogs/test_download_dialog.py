"""Fetching data: only on request, beside the window, with progress, failures and a way out."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from graphstudio.data.source import DataError
from graphstudio.nodes.types import Message
from graphstudio.ui.dialogs.download_dialog import DownloadDialog


@pytest.fixture
def make(qtbot, tmp_path):
    def build(fetch):
        dialog = DownloadDialog("mnist", folder=tmp_path, fetch=fetch)
        qtbot.addWidget(dialog)
        dialog.show()
        return dialog

    return build


def test_nothing_is_fetched_before_it_is_asked_for(make, qtbot):
    calls = []
    dialog = make(lambda *a: calls.append(a))
    qtbot.wait(50)
    assert calls == []
    dialog.reject()
    assert calls == []


def test_progress_is_shown_and_success_accepts(make, qtbot, tmp_path):
    asked = []
    go_on = threading.Event()

    def fetch(kind: str, folder: Path, report) -> None:
        asked.append((kind, folder))
        report("train-images.gz", 500_000, 1_000_000)
        go_on.wait(5)

    dialog = make(fetch)
    dialog.start_button.click()
    qtbot.waitUntil(lambda: "train-images.gz" in dialog.status)
    assert "500 KB of 1 MB" in dialog.status
    with qtbot.waitSignal(dialog.accepted):
        go_on.set()
    assert asked == [("mnist", tmp_path)]


def test_a_failure_is_explained_and_can_be_tried_again(make, qtbot):
    attempts = []

    def fetch(*_args) -> None:
        attempts.append(1)
        if len(attempts) == 1:
            raise DataError(Message("no route"), Message("Check the cable."))

    dialog = make(fetch)
    dialog.start_button.click()
    qtbot.waitUntil(lambda: "No route." in dialog.status)
    assert "Check the cable." in dialog.status
    assert dialog.isVisible()
    with qtbot.waitSignal(dialog.accepted):
        dialog.start_button.click()
    assert len(attempts) == 2


def test_cancelling_ends_the_transfer(make, qtbot):
    ended = []

    def fetch(_kind, _folder, report) -> None:
        try:
            while True:
                report("x", 1, 10)
                threading.Event().wait(0.005)
        finally:
            ended.append(1)

    dialog = make(fetch)
    dialog.start_button.click()
    qtbot.waitUntil(lambda: "x:" in dialog.status)
    dialog.reject()
    assert ended == [1]
    assert not dialog.isVisible()
