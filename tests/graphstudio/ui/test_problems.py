"""The problems panel: order, texts, steps and fixes."""

from __future__ import annotations

import dataclasses

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QHelpEvent
from PySide6.QtWidgets import QApplication, QLabel, QToolTip, QVBoxLayout, QWidget

from graphstudio import i18n
from graphstudio.document import commands
from graphstudio.document.model import DataSpec, Document
from graphstudio.nodes.types import Message, SetParam
from graphstudio.services import projects
from graphstudio.ui.fix_button import FixButton
from graphstudio.ui.problem_row import ProblemRow
from graphstudio.ui.problems import ProblemsPanel
from graphstudio.ui.project import Project


@pytest.fixture
def project(qapp):
    """The digits CNN without its Flatten, and with a wrong filter count."""
    made = Project(projects.from_example("digits_cnn"))
    document = made.document
    nodes = document.main.nodes
    flatten = next(i for i, n in nodes.items() if n.type == "shape.flatten")
    made.push(commands.remove_nodes(document, "main", [flatten], heal=True))
    made.check_now()
    return made


@pytest.fixture
def panel(project, theme, qtbot):
    made = ProblemsPanel(project, theme)
    made.node_activated.connect(lambda node: project.select([node]))
    qtbot.addWidget(made)
    made.resize(700, 300)
    made.show()
    return made


def test_errors_come_before_what_they_block(panel):
    order = [r.diagnostic.severity for r in panel.rows]
    assert order == sorted(order, key=["error", "warning", "blocked"].index)
    assert order[0] == "error"
    assert "blocked" in order


def test_rows_are_named_for_screen_readers(panel, project):
    first = panel.rows[0]
    label = project.document.main.nodes[first.diagnostic.node].label
    assert first.accessibleName().startswith("Error: ")
    assert label in first.accessibleName()


def test_a_click_leads_to_the_node(panel, project, qtbot):
    row = panel.rows[0]
    qtbot.mouseClick(row, Qt.MouseButton.LeftButton)
    assert project.selection == {row.diagnostic.node}


def test_enter_leads_to_the_node(panel, project, qtbot):
    row = panel.rows[0]
    row.setFocus()
    qtbot.keyClick(row, Qt.Key.Key_Return)
    assert project.selection == {row.diagnostic.node}


def test_a_fix_mends_and_can_be_undone(panel, project, qtbot):
    (button, *_) = panel.rows[0].fix_buttons
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert project.result.ok
    assert panel.rows == ()
    assert panel._empty.isVisible()
    project.undo()
    project.check_now()
    assert panel.rows


def test_a_problem_of_the_data_leads_to_the_data(digits, qtbot):
    """No node shows it, so the inspector does: with no node selected, at the source of the data."""
    project = digits.project
    project.select([next(iter(project.document.main.nodes))])
    project.push(commands.set_data(project.document, DataSpec()))
    project.check_now()
    digits.docks["problems"].bring_up()
    row = next(r for r in digits.problems.rows if r.diagnostic.code == "data")
    qtbot.mouseClick(row, Qt.MouseButton.LeftButton)
    assert project.selection == frozenset()
    source = digits.inspector.project_page.source.editor("source")
    assert source.isAncestorOf(QApplication.focusWidget()) or source.hasFocus()


def test_steps_go_round_the_problems(panel, project):
    document = project.document
    conv = next(i for i, n in document.main.nodes.items() if n.type == "layer.conv2d")
    project.push(commands.set_param(document, "main", [conv], "filters", 0))
    project.check_now()
    wrong = [d.node for d in panel.diagnostics if d.severity != "blocked" and d.node]
    assert wrong
    seen = []
    for _ in range(len(wrong) + 1):
        panel.step(1)
        seen.append(next(iter(project.selection)))
    assert seen[: len(wrong)] == wrong
    assert seen[len(wrong)] == wrong[0]
    panel.step(-1)
    assert next(iter(project.selection)) == wrong[-1]


def test_rows_of_old_problems_stay(panel, project):
    first = panel.rows[0]
    document = project.document
    relu = next(i for i, n in document.main.nodes.items() if n.type == "act.relu")
    project.push(commands.rename(document, "main", relu, "Other name"))
    project.check_now()
    assert panel.rows[0] is first


def test_texts_change_with_the_language(panel):
    before = panel.rows[0].accessibleName()
    i18n.set_language("zh")
    panel.retranslate()
    assert panel.rows[0].accessibleName() != before
    assert panel.rows[0].accessibleName().startswith("错误")


def test_an_empty_project_says_what_is_missing(theme, qtbot):
    panel = ProblemsPanel(Project(Document()), theme)
    qtbot.addWidget(panel)
    assert {r.diagnostic.node for r in panel.rows} == {None}


LONG = "Read the field 'the measured temperature of the left half of the picture'"


@pytest.mark.parametrize("show_place", [True, False])
@pytest.mark.parametrize("width", [200, 320, 700, 1600])
@pytest.mark.parametrize("titles", [("Insert Flatten",), ("Insert Flatten", LONG), (LONG,) * 3])
def test_words_and_fixes_fit_in_their_row(project, theme, qtbot, width, titles, show_place):
    diagnostic = next(d for d in project.result.diagnostics if d.fixes)
    fixes = tuple(SetParam(Message(title), "units", i + 1) for i, title in enumerate(titles))
    diagnostic = dataclasses.replace(diagnostic, fixes=fixes)
    panel = QWidget()
    qtbot.addWidget(panel)
    column = QVBoxLayout(panel)
    column.setContentsMargins(0, 0, 0, 0)
    row = ProblemRow(project, diagnostic, theme, show_place=show_place)
    column.addWidget(row)
    column.addStretch(1)
    panel.resize(width, 500)
    panel.show()
    qtbot.wait(10)
    assert row.width() == width
    words = row.findChildren(QLabel)[1]
    assert words.width() >= min(140, 0.5 * width), "the words keep their room"
    parts = [words, *row.fix_buttons]
    for i, part in enumerate(parts):
        assert row.rect().contains(part.geometry())
        assert not any(part.geometry().intersects(other.geometry()) for other in parts[:i])
    for button, title in zip(row.fix_buttons, titles, strict=True):
        assert button.title == title
        whole = button.shown_text() == title
        assert whole == (button.width() >= button.sizeHint().width())
        assert whole or width < 700


@pytest.mark.qt_log_ignore("This plugin does not support", extend=True)
def test_a_fix_that_is_cut_is_whole_in_the_tool_tip(qtbot):
    button = FixButton()
    button.set_title(LONG)
    button.setFixedWidth(150)
    qtbot.addWidget(button)
    button.show()
    assert button.shown_text().endswith("…")
    place = button.rect().center()
    tip = QHelpEvent(QEvent.Type.ToolTip, place, button.mapToGlobal(place))
    QApplication.sendEvent(button, tip)
    assert QToolTip.text() == LONG
    QToolTip.hideText()


@pytest.mark.parametrize("width", [None, 110])
def test_the_ampersand_of_a_name_is_shown_and_no_shortcut(qtbot, width):
    title = "Read the field 'a&b' && more"
    button, same_width = FixButton(), FixButton()
    button.set_title(title)
    same_width.set_title(title.replace("&", "+"))
    qtbot.addWidget(button)
    qtbot.addWidget(same_width)
    if width:
        button.setFixedWidth(width)
    button.show()
    assert button.shortcut().isEmpty()
    assert button.accessibleName() == button.title == title
    plus, ampersand = (button.fontMetrics().horizontalAdvance(c) for c in "+&")
    wider = 3 * (ampersand - plus)
    assert abs(button.sizeHint().width() - same_width.sizeHint().width() - wider) <= 2
    shown = button.shown_text()
    assert shown.endswith("…") if width else shown == title
