"""Where the window is put: inside the work area, whatever screen it was on last."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QRect, QSize
from PySide6.QtWidgets import QMainWindow

from graphstudio.ui.docks import FRAME, first_size, inside, restore_geometry, save_layout
from graphstudio.ui.settings import Settings

SCREENS = [(1280, 720), (1366, 768), (1440, 900), (1920, 1080)]


def framed(window: QRect) -> QRect:
    """The window with the largest frame that is counted on: a title bar, and thin borders."""
    side = FRAME.width() // 2
    return window.adjusted(-side, -(FRAME.height() - side), side, side)


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("panel", [0, 40])
@pytest.mark.parametrize(
    "wanted",
    [(0, 0, 1440, 900), (2400, 1300, 1600, 1000), (-500, -300, 700, 500), (200, 150, 900, 500)],
)
def test_window_and_frame_lie_in_the_work_area(screen, panel, wanted):
    room = QRect(0, panel, screen[0], screen[1] - panel)
    found = inside(QRect(*wanted), room)
    assert room.contains(framed(found))
    assert found.width() == min(wanted[2], room.width() - FRAME.width())
    assert found.height() == min(wanted[3], room.height() - FRAME.height())


def test_a_window_that_fits_stays_where_it_was():
    wanted = QRect(200, 150, 900, 500)
    assert inside(wanted, QRect(0, 0, 1280, 720)) == wanted


def test_the_first_window_leaves_room_for_its_frame(qtbot):
    window = QMainWindow()
    qtbot.addWidget(window)
    restore_geometry(window, Settings())
    room = window.screen().availableSize()
    assert window.size() == first_size(room)


@pytest.mark.parametrize(
    ("screen", "size"),
    [
        ((1280, 720), (1264, 672)), ((1366, 768), (1350, 720)), ((1440, 900), (1424, 852)),
        ((1920, 1080), (1440, 900)), ((2560, 1440), (1920, 1080)), ((5120, 2880), (2000, 1250)),
        ((3440, 1440), (2000, 1080)),
    ],
)  # fmt: skip
def test_the_first_window_suits_its_screen(screen, size):
    assert first_size(QSize(*screen)).toTuple() == size


def test_a_window_of_a_larger_screen_is_made_to_fit(qtbot):
    large, settings = QMainWindow(), Settings()
    qtbot.addWidget(large)
    room = large.screen().availableGeometry()
    large.setGeometry(room.right() - 100, room.bottom() - 100, 2 * room.width(), 300)
    save_layout(large, settings)
    window = QMainWindow()
    qtbot.addWidget(window)
    restore_geometry(window, settings)
    assert room.contains(framed(window.geometry()))
