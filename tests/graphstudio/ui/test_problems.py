"""The problems panel: order, texts, steps and fixes."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt

from graphstudio import i18n
from graphstudio.document import commands
from graphstudio.services import projects
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
    from graphstudio.document.model import Document

    panel = ProblemsPanel(Project(Document()), theme)
    qtbot.addWidget(panel)
    assert {r.diagnostic.node for r in panel.rows} == {None}
