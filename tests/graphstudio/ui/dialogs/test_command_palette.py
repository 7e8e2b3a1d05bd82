"""The command palette finds commands in both languages and runs them from the keyboard."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction

from graphstudio.ui.dialogs.command_palette import CommandPalette, Entry

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support", extend=True)

NAMES = (
    ("保存", "Save", "Ctrl+S"),
    ("另存为…", "Save as…", ""),
    ("撤销", "Undo", "Ctrl+Z"),
    ("训练", "Train", "F5"),
)


@pytest.fixture
def palette(qtbot, theme, window):
    window.done = []
    entries = []
    for text, english, keys in NAMES:
        action = QAction(window)
        action.triggered.connect(lambda _=False, e=english: window.done.append(e))
        action.setEnabled(english != "Undo")
        entries.append(Entry(text, "文件", keys, action, english))
    box = CommandPalette(entries, theme, window)
    qtbot.addWidget(box)
    box.open_at_top()
    return box


def test_all_commands_are_offered_at_first(palette):
    assert palette.texts == [text for text, _, _ in NAMES]


@pytest.mark.parametrize(
    ("query", "best"), [("tra", "训练"), ("训", "训练"), ("save as", "另存为…"), ("sa", "保存")]
)
def test_letters_of_either_language_find_it(palette, qtbot, query, best):
    palette.field.setText(query)
    assert palette.texts[0] == best


def test_nothing_fits_nonsense(palette):
    palette.field.setText("zzzz")
    assert palette.texts == []


def test_enter_runs_the_best(palette, qtbot, window):
    palette.field.setText("train")
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert window.done == ["Train"]
    assert not palette.isVisible()


def test_arrow_keys_choose(palette, qtbot, window):
    qtbot.keyClick(palette.field, Qt.Key.Key_Down)
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert window.done == ["Save as…"]


def test_a_disabled_command_does_not_run(palette, qtbot, window):
    palette.field.setText("undo")
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert window.done == []
    assert palette.isVisible()


def test_the_window_offers_each_command_once(digits, qtbot):
    digits.dialogs.commands()
    box = digits.findChild(CommandPalette)
    texts = box.texts
    assert len(texts) > 60
    assert len(set(texts)) == len(texts)
    box.close()
