"""The form: what it offers comes from declarations, and only acceptable values leave it."""

from __future__ import annotations

import dataclasses

import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QHelpEvent
from PySide6.QtWidgets import QApplication, QToolTip

from graphstudio.nodes.spec import ParamSpec
from graphstudio.ui.inspector.editors import stepped
from graphstudio.ui.inspector.form import SCRUB_PIXELS, FieldLabel, Form

UNITS = ParamSpec("units", "int", 64, "How many.", "Units", low=1, high=100, unit="px")
RATE = ParamSpec("rate", "float", 0.5, "Share.", "Rate", low=0.0, high=0.95)
BIAS = ParamSpec("use_bias", "bool", True, "Add one.", "Bias")
MODE = ParamSpec("mode", "choice", "same", "How.", "Mode", choices=("same", "valid"))
KERNEL = ParamSpec("kernel", "ints", (3, 3), "Size.", "Kernel", low=1, length=(2, 2))
SHAPE = ParamSpec("shape", "ints", (1, 8, 8), "Shape.", "Shape", low=1, length=(0, 6))
FIELD = ParamSpec("field", "str", "image", "Name.", "Field")
ALL = (UNITS, RATE, BIAS, MODE, KERNEL, SHAPE, FIELD)


@pytest.fixture
def form(qtbot, theme):
    made = Form(theme)
    made.set_specs(ALL)
    made.show_values({s.name: [s.default] for s in ALL})
    made.heard = []
    made.edited.connect(lambda name, value, burst: made.heard.append((name, value, burst)))
    qtbot.addWidget(made)
    made.show()
    return made


def type_in(qtbot, field, text):
    field.setFocus()
    field.selectAll()
    qtbot.keyClicks(field, text)
    qtbot.keyClick(field, Qt.Key.Key_Return)


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("units", "32", 32), ("units", "=2*16", 32), ("rate", "0.25", 0.25), ("rate", "0", 0.0),
        ("shape", "3, 32, 32", (3, 32, 32)), ("shape", "(3 32 32)", (3, 32, 32)),
        ("shape", "3×32×32", (3, 32, 32)), ("shape", "", ()), ("field", "label", "label"),
    ],
)  # fmt: skip
def test_typed_values_arrive_in_their_types(form, qtbot, name, typed, value):
    editor = form.editor(name)
    field = editor.fields[0] if name == "shape" else editor.field
    field.setFocus()
    field.clear()
    type_in(qtbot, field, typed) if typed else field.setModified(True)
    if not typed:
        qtbot.keyClick(field, Qt.Key.Key_Return)
    assert form.heard == [(name, value, False)]
    assert type(form.heard[0][1]) is type(value)


@pytest.mark.parametrize(
    ("name", "typed", "part"),
    [
        ("units", "0", "at least 1"), ("units", "101", "at most 100"), ("units", "2.5", "whole"),
        ("units", "many", "whole"), ("rate", "0.99", "at most 0.95"), ("rate", "x", "number"),
        ("shape", "3, a", "whole numbers"), ("shape", "1,2,3,4,5,6,7", "0 to 6"),
        ("shape", "0", "at least 1"),
    ],
)  # fmt: skip
def test_what_is_not_acceptable_is_explained_in_place(form, qtbot, name, typed, part):
    editor = form.editor(name)
    type_in(qtbot, editor.fields[0] if name == "shape" else editor.field, typed)
    assert form.heard == []
    assert part in form.problem_text(name)


def test_a_problem_goes_once_the_value_is_right(form, qtbot):
    field = form.editor("units").field
    type_in(qtbot, field, "0")
    assert form.problem_text("units")
    type_in(qtbot, field, "8")
    assert form.problem_text("units") == ""


def test_a_range_is_checked_while_typing(form, qtbot):
    field = form.editor("units").field
    field.setFocus()
    field.selectAll()
    qtbot.keyClicks(field, "500")
    assert "at most 100" in form.problem_text("units")
    assert form.heard == []


def test_escape_takes_back_what_is_typed(form, qtbot):
    field = form.editor("units").field
    field.setFocus()
    field.selectAll()
    qtbot.keyClicks(field, "500")
    qtbot.keyClick(field, Qt.Key.Key_Escape)
    assert field.text() == "64"
    assert form.problem_text("units") == ""
    assert form.heard == []


def test_arrow_keys_step_within_the_limits(form, qtbot):
    field = form.editor("units").field
    qtbot.keyClick(field, Qt.Key.Key_Up)
    qtbot.keyClick(field, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    for _ in range(5):
        qtbot.keyClick(field, Qt.Key.Key_Up, Qt.KeyboardModifier.ShiftModifier)
    assert [v for _, v, _ in form.heard] == [65, 55, 65, 75, 85, 95, 100]
    assert all(burst for _, _, burst in form.heard)


def test_dragging_the_name_turns_the_number(form, qtbot):
    label = next(w for w in form.findChildren(FieldLabel) if w.text() == "Units")
    ended = []
    form.burst_ended.connect(lambda: ended.append(1))
    start = QPoint(5, 5)
    qtbot.mousePress(label, Qt.MouseButton.LeftButton, pos=start)
    for i in range(1, 4):
        qtbot.mouseMove(label, start + QPoint(i * SCRUB_PIXELS, 0))
    qtbot.mouseRelease(label, Qt.MouseButton.LeftButton, pos=start)
    assert form.heard[-1][:2] == ("units", 67)
    assert ended == [1]


def test_pairs_have_a_field_each(form, qtbot):
    first, second = form.editor("kernel").fields
    type_in(qtbot, second, "5")
    assert form.heard == [("kernel", (3, 5), False)]
    form.show_values({"kernel": [(3, 5)]})
    qtbot.keyClick(first, Qt.Key.Key_Up)
    assert form.heard[-1] == ("kernel", (4, 5), True)


def test_boxes_and_choices_speak_at_once(form, qtbot):
    form.editor("use_bias").box.click()
    box = form.editor("mode").box
    box.setFocus()
    qtbot.keyClick(box, Qt.Key.Key_Down)
    assert form.heard == [("use_bias", False, False), ("mode", "valid", False)]


def test_values_that_differ_are_shown_as_several(form, qtbot):
    form.show_values({"units": [1, 2], "use_bias": [True, False], "mode": ["same", "valid"]})
    assert form.editor("units").field.text() == ""
    assert form.editor("units").field.placeholderText() == "several values"
    assert form.editor("use_bias").box.checkState() == Qt.CheckState.PartiallyChecked
    assert form.editor("mode").box.currentIndex() == -1
    assert form.editor("mode").box.shown_text() == "several values"
    qtbot.keyClick(form.editor("units").field, Qt.Key.Key_Up)
    assert form.heard == []


def test_the_arrow_offers_the_default_only_where_it_differs(form, qtbot):
    arrows = [w for w in form.children() if w.objectName() == "resetButton"]
    assert not any(a.isVisible() for a in arrows)
    form.show_values({"units": [7], "rate": [0.5]})
    (shown,) = [a for a in arrows if a.isVisible()]
    assert shown.toolTip() == "Reset to 64"
    asked = []
    form.reset.connect(asked.append)
    shown.click()
    assert asked == ["units"]


def test_help_names_the_limits(form):
    assert form.editor("units").toolTip() == "How many.\nFrom 1 to 100"
    assert form.editor("kernel").toolTip() == "Size.\nAt least 1"


def test_the_wheel_scrolls_the_page_not_the_value(form):
    assert form.editor("mode").box.focusPolicy() == Qt.FocusPolicy.StrongFocus


@pytest.mark.parametrize(
    ("spec", "value", "steps", "after"),
    [
        (RATE, 0.5, 1, 0.51), (RATE, 0.95, 1, 0.95), (RATE, 0.0, -1, 0.0), (UNITS, 1, -1, 1),
        (ParamSpec("lr", "float", 0.001, "", "", low=0.0, low_open=True), 0.001, 1, 0.0011),
        (ParamSpec("lr", "float", 0.001, "", "", low=0.0, low_open=True), 0.001, -10, 0.001),
        (UNITS, 5, 0.1, 6),
    ],
)  # fmt: skip
def test_steps_follow_the_size_of_a_number(spec, value, steps, after):
    assert stepped(spec, value, steps) == pytest.approx(after)


def test_the_keyboard_stays_in_a_field_whose_choices_change(form, qtbot):
    form.editor("mode").box.setFocus()
    fewer = dataclasses.replace(MODE, choices=("same",))
    form.set_specs((UNITS, RATE, fewer))
    assert form.window().focusWidget() is form.editor("mode").box


def tip_over(widget) -> str:
    """The tool tip that rest over the widget brings; nothing is shown any more afterwards."""
    QToolTip.hideText()
    place = widget.rect().center()
    QApplication.sendEvent(
        widget, QHelpEvent(QEvent.Type.ToolTip, place, widget.mapToGlobal(place))
    )
    text = QToolTip.text()
    QToolTip.hideText()
    return text


@pytest.mark.qt_log_ignore("This plugin does not support", extend=True)
def test_a_choice_that_is_cut_is_whole_in_the_tool_tip_above_the_help(form, qtbot):
    box = form.editor("mode").box
    box.setItemText(0, "the very long name of a choice")
    box.setCurrentIndex(0)
    box.setFixedWidth(90)
    qtbot.wait(10)
    assert box.shown_text().endswith("…")
    assert tip_over(box) == "the very long name of a choice\nHow."


@pytest.mark.qt_log_ignore("This plugin does not support", extend=True)
@pytest.mark.parametrize("values", [["same"], ["same", "valid"], [""]])
def test_a_choice_that_is_not_cut_has_its_help(form, qtbot, values):
    box = form.editor("mode").box
    form.show_values({"mode": values})
    box.setFixedWidth(240)
    qtbot.wait(10)
    assert box.shown_text() in ("same", "several values", "Choose…")
    assert tip_over(box) == "How."
