"""The registry refuses double owners; letters act on the canvas alone."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLineEdit, QSpinBox, QVBoxLayout, QWidget

from graphstudio.nodes.types import Message
from graphstudio.ui.actions import ActionRegistry, Command


@pytest.fixture
def place(qtbot, theme):
    """A window with a canvas and a text field, and an empty registry."""
    window = QWidget()
    column = QVBoxLayout(window)
    window.canvas, window.field = QWidget(), QLineEdit()
    window.canvas.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    column.addWidget(window.canvas)
    column.addWidget(window.field)
    qtbot.addWidget(window)
    window.registry = ActionRegistry(window, theme)
    window.registry.set_canvas(window.canvas)
    window.show()
    qtbot.waitExposed(window)
    window.activateWindow()
    return window


def command(done, **fields):
    defaults = {"id": "x.do", "text": Message("Do it"), "group": "edit"}
    return Command(**defaults | fields, handler=lambda: done.append(1))


def test_a_letter_acts_on_the_canvas_and_is_text_in_a_field(place, qtbot):
    done = []
    place.registry.add(command(done, keys=("M",), canvas_only=True))
    place.canvas.setFocus()
    qtbot.keyClick(place.canvas, Qt.Key.Key_M)
    assert done == [1]
    place.field.setFocus()
    qtbot.keyClick(place.field, Qt.Key.Key_M)
    assert done == [1]
    assert place.field.text() == "m"


def test_delete_in_a_field_deletes_text(place, qtbot):
    done = []
    place.registry.add(command(done, keys=("Del",), canvas_only=True))
    place.field.setText("ab")
    place.field.setFocus()
    place.field.setCursorPosition(0)
    qtbot.keyClick(place.field, Qt.Key.Key_Delete)
    assert (place.field.text(), done) == ("b", [])


def test_a_window_key_acts_from_everywhere(place, qtbot):
    done = []
    place.registry.add(command(done, keys=("Ctrl+E",)))
    place.field.setFocus()
    qtbot.keyClick(place.field, Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier)
    assert done == [1]


@pytest.mark.parametrize("key", [Qt.Key.Key_E, Qt.Key.Key_K, Qt.Key.Key_D, Qt.Key.Key_U])
def test_a_field_does_not_take_keys_of_the_window(place, qtbot, key):
    """Some of them move or delete text in a field on Linux."""
    done = []
    place.registry.add(command(done, keys=(f"Ctrl+{chr(key)}",)))
    place.field.setText("text")
    place.field.setFocus()
    qtbot.keyClick(place.field, key, Qt.KeyboardModifier.ControlModifier)
    assert done == [1]
    assert place.field.text() == "text"


@pytest.mark.parametrize("key", [Qt.Key.Key_Z, Qt.Key.Key_A, Qt.Key.Key_V])
def test_a_field_keeps_the_keys_of_text(place, qtbot, key):
    done = []
    place.registry.add(command(done, keys=(f"Ctrl+{chr(key)}",)))
    place.field.setFocus()
    qtbot.keyClicks(place.field, "ab")
    qtbot.keyClick(place.field, key, Qt.KeyboardModifier.ControlModifier)
    assert done == []


def test_tab_leaves_a_field_of_the_tool_bar(digits, qtbot):
    field = digits.run_controls.findChild(QSpinBox, "epochs_field")
    digits.activateWindow()
    field.setFocus()
    qtbot.keyClick(field, Qt.Key.Key_Tab)
    assert not digits.canvas.search.isVisible()
    assert not field.hasFocus()


def test_ids_and_keys_have_one_owner(place):
    place.registry.add(command([], keys=("Ctrl+E",)))
    with pytest.raises(ValueError, match="exists already"):
        place.registry.add(command([]))
    with pytest.raises(ValueError, match=r"belongs to 'x\.do'"):
        place.registry.add(command([], id="x.other", keys=("Ctrl+E",)))


def test_keys_must_be_spelt_as_qt_spells_them(place):
    with pytest.raises(ValueError, match="portable spelling"):
        place.registry.add(command([], keys=("control+e",)))


def test_a_disabled_command_does_nothing(place):
    done = []
    action = place.registry.add(command(done, enabled=lambda: False))
    action.trigger()
    place.registry.refresh()
    assert not action.isEnabled()
    assert done == []


def test_a_switch_shows_its_state(place):
    state = {"on": False}
    action = place.registry.add(command([], checked=lambda: state["on"]))
    place.registry.refresh()
    assert not action.isChecked()
    state["on"] = True
    place.registry.refresh()
    assert action.isChecked()


def test_of_several_switches_one_is_on(window):
    dark, light = (window.actions_by_id[f"view.{name}"] for name in ("dark", "light"))
    assert dark.actionGroup() is light.actionGroup() is not None
    for _ in range(2):  # again: what is on already stays on
        light.trigger()
        assert (dark.isChecked(), light.isChecked()) == (False, True)
        assert window.theme.tokens.name == "light"


def test_every_command_of_the_window_is_sound(window):
    """The real table: texts, groups, menus and keys."""
    from graphstudio.ui.actions import GROUPS
    from graphstudio.ui.menus import MENUS, SEPARATOR

    commands = list(window.actions_by_id)
    assert len(commands) > 60
    assert {c.group for c in commands} <= set(GROUPS)
    ids = {c.id for c in commands}
    built = {"file.recent", "file.examples", "file.versions", "view.panels", "view.language"}
    entries = {e for _, menu in MENUS.values() for e in menu if e != SEPARATOR}
    assert entries - built <= ids
    for c in commands:
        for key in c.keys:
            modified = any(m in key for m in ("Ctrl", "Alt"))
            function_key = key.split("+")[-1].startswith("F") and len(key.split("+")[-1]) > 1
            assert c.canvas_only or modified or function_key, f"{c.id}: {key} would eat typing"
