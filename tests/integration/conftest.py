"""Screens for the stories that are told in the real window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.desktop import Desktop, Screen, missing_packages


@pytest.fixture(scope="session")
def screen() -> Iterator[Screen]:
    """One X server for all stories; failing, not skipping, where there is none to be had."""
    if missing := missing_packages():
        pytest.fail(f"the real window needs: sudo apt-get install {' '.join(missing)}")
    made = Screen()
    yield made
    made.close()


@pytest.fixture
def desktop(screen: Screen, tmp_path: Path) -> Iterator[Callable[..., Desktop]]:
    """Starts the program with the given arguments; ends it after the story."""
    started: list[Desktop] = []

    def start(*arguments: str, **env: str) -> Desktop:
        started.append(Desktop(screen, tmp_path, *arguments, **env))
        return started[-1]

    yield start
    for program in started:
        program.close()
