"""The key sheet is the registry, in both languages, and can be searched."""

from __future__ import annotations

import pytest

from graphstudio.i18n import render
from graphstudio.ui.dialogs.key_sheet import KeySheet


@pytest.fixture
def sheet(digits, qtbot):
    made = KeySheet(digits.actions_by_id, digits)
    qtbot.addWidget(made)
    made.show()
    return made


def test_every_command_with_keys_is_on_it(sheet, digits):
    shown = sheet.shown
    for command in digits.actions_by_id:
        if command.keys:
            assert render(command.text).rstrip(".…") in shown, command.id


def test_typing_narrows_it(sheet):
    sheet.field.setText("ctrl+z")
    assert sheet.shown == ["Undo"]
    sheet.field.clear()
    assert len(sheet.shown) > 40


def test_gestures_are_on_it(sheet):
    sheet.field.setText("port")
    assert "Connect; on empty canvas: search what fits" in sheet.shown
