"""The window on the screen of a small laptop, at the first start and after a larger screen."""

from __future__ import annotations

import pytest

from graphstudio.resources import data_dir
from tests.integration.desktop import Desktop, Screen, State, missing_packages

pytestmark = [pytest.mark.window, pytest.mark.slow]

LARGE, SMALL = (1600, 1000), (1280, 720)


@pytest.fixture
def start(tmp_path):
    """Starts the program on a screen of the given size, which ends with the program before it."""
    if missing := missing_packages():
        pytest.fail(f"the real window needs: sudo apt-get install {' '.join(missing)}")
    project = tmp_path / "digits.gsproj"
    source = data_dir("projects") / "digits_mlp" / "digits_mlp.gsproj"
    project.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    opened: list[tuple[Desktop, Screen]] = []

    def close() -> None:
        for program, screen in opened:
            program.close()
            screen.close()
        opened.clear()

    def begin(size: tuple[int, int]) -> Desktop:
        close()
        screen = Screen(size)
        opened.append((Desktop(screen, tmp_path, str(project)), screen))
        return opened[0][0]

    yield begin
    close()


def status_bar_end(state: State) -> tuple[int, int]:
    """Right and bottom of the status bar on the screen."""
    x, y, width, height = state["widgets"]["statusBar"]["rect"]
    return x + width, y + height


def is_whole(state: State) -> bool:
    right, bottom = status_bar_end(state)
    _, top, *_ = state["widgets"]["mainWindow"]["rect"]
    return right <= SMALL[0] and bottom <= SMALL[1] and top > 0


def test_the_first_window_is_whole_on_a_small_screen(start):
    app = start(SMALL)
    app.wait(is_whole, "the status bar to be on the screen")


def test_the_window_of_a_large_screen_is_whole_on_a_small_one(start):
    app = start(LARGE)
    app.wait(lambda s: status_bar_end(s)[1] > SMALL[1], "a window too large for the small screen")
    app.key("ctrl+q")
    assert app.process.wait(timeout=10) == 0
    app = start(SMALL)
    app.wait(is_whole, "the status bar to be on the screen")
