"""Garbage is looked for when a project was opened, and its own objects are left alone later."""

from __future__ import annotations

import gc
import weakref

import pytest

from graphstudio.ui.tidying import Tidying


class Ring:
    """Refers to itself, so that only a search for garbage finds it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def tidy(window):
    """Begins to tidy; what it froze does not stay so for other tests."""
    busy = []

    def begin() -> list:
        Tidying(window, rest_ms=10, busy=lambda: bool(busy))
        return busy

    yield begin
    gc.unfreeze()


def test_what_a_project_begins_with_is_searched_once(window, tidy, qtbot):
    assert gc.get_freeze_count() == 0
    lost = Ring()
    found = weakref.ref(lost)
    del lost
    tidy()
    qtbot.waitUntil(lambda: gc.get_freeze_count() > 10_000)
    assert found() is None
    gc.collect()
    assert gc.get_freeze_count() > 10_000


def test_what_the_last_project_leaves_is_found_after_the_next_was_opened(window, tidy, qtbot):
    ring = Ring()
    found = weakref.ref(ring)
    tidy()
    qtbot.waitUntil(lambda: gc.get_freeze_count() > 10_000)
    del ring
    gc.collect()
    assert found() is not None
    window.files.new_from_example("digits_mlp")
    qtbot.waitUntil(lambda: found() is None)


def test_nobody_is_halted_in_the_middle_of_a_drag(window, tidy, qtbot):
    busy = tidy()
    busy.append("a drag")
    qtbot.wait(60)
    assert gc.get_freeze_count() == 0
    busy.clear()
    qtbot.waitUntil(lambda: gc.get_freeze_count() > 10_000)
