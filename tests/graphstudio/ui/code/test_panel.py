"""The script follows the graph, keeps the last valid text, and knows whose line is whose."""

from __future__ import annotations

import ast
from threading import Event
from types import SimpleNamespace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication

from graphstudio.document import commands
from graphstudio.document.model import Document
from graphstudio.services import projects
from graphstudio.ui.code.panel import DELAY_MS, CodePanel
from graphstudio.ui.project import Project


@pytest.fixture
def project(qapp):
    return Project(projects.from_example("digits_cnn"))


@pytest.fixture
def panel(project, theme, qtbot):
    made = CodePanel(project, theme)
    qtbot.addWidget(made)
    made.resize(700, 500)
    with qtbot.waitSignal(made.updated, timeout=10_000):
        made.show()
    return made


def node_of(project, type_id):
    return next(i for i, n in project.document.main.nodes.items() if n.type == type_id)


def lines_of(panel, node):
    """The text of the lines that belong to a node in the shown file."""
    lines = panel.view.toPlainText().split("\n")
    places = [p for p in panel.script.line_map[node] if p[0] == panel.current_file]
    return "\n".join("\n".join(lines[first - 1 : last]) for _, first, last in places)


@pytest.mark.parametrize("target", ["pytorch", "tensorflow", "keras"])
def test_every_target_is_shown_as_python_that_parses(panel, qtbot, target):
    if target != panel.target:
        with qtbot.waitSignal(panel.updated, timeout=10_000):
            panel.set_target(target)
    assert panel.script.target == target
    assert panel.problem == ""
    files = [panel.tabs.tabText(i) for i in range(panel.tabs.count())]
    assert files[:3] == ["model.py", "train.py", "data.py"]
    for name in files:
        panel.show_file(name)
        ast.parse(panel.view.toPlainText())


def test_an_empty_canvas_is_invited_not_scolded(theme, qtbot):
    empty = Project(Document())
    made = CodePanel(empty, theme)
    qtbot.addWidget(made)
    made.show()
    qtbot.wait(20)
    assert made.problem == ""
    assert made.view.placeholderText() == "The code of the model appears here as you draw it."
    empty.push(commands.add_node(empty.document, "main", "layer.dense", (0, 0)))
    empty.check_now()
    qtbot.waitUntil(lambda: "no loss" in made.problem)
    assert made.view.placeholderText() == ""


def test_the_script_follows_an_edit(panel, project, qtbot):
    dense = node_of(project, "layer.dense")
    conv = node_of(project, "layer.conv2d")
    with qtbot.waitSignal(panel.updated, timeout=10_000):
        project.push(commands.set_param(project.document, "main", [conv], "filters", 24))
    assert "24" in lines_of(panel, conv)
    assert dense in panel.script.line_map


def test_selecting_a_node_marks_its_lines(panel, project):
    conv = node_of(project, "layer.conv2d")
    project.select([conv])
    marked = {n for first, last in panel.view.marks for n in range(first, last + 1)}
    text = panel.view.toPlainText().split("\n")
    assert marked
    assert any("Conv2d" in text[n - 1] for n in marked)
    project.select([])
    assert panel.view.marks == ()


def test_clicking_a_line_selects_its_node(panel, project, qtbot):
    conv = node_of(project, "layer.conv2d")
    line = min(first for file, first, _ in panel.script.line_map[conv] if file == "model.py")
    panel.view.reveal_line(line)
    block = panel.view.document().findBlockByNumber(line - 1)
    box = panel.view.blockBoundingGeometry(block).translated(panel.view.contentOffset())
    place = box.center().toPoint()
    place.setX(60)
    with qtbot.waitSignal(panel.node_activated):
        qtbot.mouseClick(panel.view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert project.selection == {conv}


def test_a_line_of_no_node_selects_nothing(panel, project):
    panel.view.line_clicked.emit(1)
    assert project.selection == frozenset()


def test_the_last_valid_script_stays_dimmed_while_the_graph_is_wrong(panel, project, qtbot):
    before = panel.view.toPlainText()
    flatten = node_of(project, "shape.flatten")
    project.push(commands.remove_nodes(project.document, "main", [flatten], heal=True))
    panel.refresh()
    assert panel.view.toPlainText() == before
    assert "last valid graph" in panel.problem
    assert project.result.first_error is not None
    with qtbot.waitSignal(panel.updated, timeout=10_000):
        project.undo()
    assert panel.problem == ""


def test_copying_takes_the_shown_file(panel, qtbot):
    panel.show_file("train.py")
    qtbot.mouseClick(panel.copy_button, Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == panel.script.files["train.py"]


def test_what_is_copied_is_never_old(panel, project, qtbot):
    panel.hide()
    conv = node_of(project, "layer.conv2d")
    project.push(commands.set_param(project.document, "main", [conv], "filters", 24))
    with qtbot.waitSignal(panel.copied, timeout=10_000):
        panel.copy_code()
    assert "24" in QGuiApplication.clipboard().text()


def test_a_fault_of_an_exporter_is_said_and_harms_nothing(project, theme, qtbot):
    def broken(_graph, _target):
        raise RuntimeError("on purpose")

    panel = CodePanel(project, theme, preview=broken)
    qtbot.addWidget(panel)
    panel.show()
    qtbot.waitUntil(lambda: "on purpose" in panel.problem, timeout=5000)


def test_only_the_latest_answer_counts(project, theme, qtbot):
    made = []

    def slow(_graph, target):
        made.append(target)
        return SimpleNamespace(files={"model.py": f"# {target}"}, line_map={})

    panel = CodePanel(project, theme, preview=slow)
    qtbot.addWidget(panel)
    panel.show()
    panel.refresh()
    with qtbot.waitSignal(panel.updated, timeout=5000):
        panel.set_target("keras")
        panel.refresh()
    qtbot.wait(50)
    assert panel.view.toPlainText() == "# keras"


def test_a_burst_of_edits_makes_two_scripts_at_most_one_at_a_time(project, theme, qtbot):
    """The first, which is old when done, and the last: threads that pile up halt the window."""
    gate, running, made = Event(), [], []

    def slow(graph, target):
        running.append(1)
        assert len(running) == 1
        gate.wait(10)
        running.pop()
        conv = next(n for n in graph.nodes if n.spec.type_id == "layer.conv2d")
        made.append(conv.spec.filters)
        return SimpleNamespace(files={"model.py": f"# {conv.spec.filters}"}, line_map={})

    panel = CodePanel(project, theme, preview=slow)
    qtbot.addWidget(panel)
    panel.show()
    qtbot.waitUntil(lambda: running == [1], timeout=5000)
    conv = node_of(project, "layer.conv2d")
    for filters in (20, 21, 22):
        project.push(commands.set_param(project.document, "main", [conv], "filters", filters))
        panel.refresh()
    gate.set()
    qtbot.waitUntil(lambda: panel.view.toPlainText() == "# 22", timeout=5000)
    qtbot.wait(DELAY_MS + 50)  # nor does a timer begin a third
    assert len(made) == 2


def test_a_drag_makes_no_new_script(panel, project, qtbot):
    told = []
    panel.updated.connect(lambda: told.append(1))
    conv = node_of(project, "layer.conv2d")
    project.push(commands.move_nodes(project.document, "main", {conv: (999.0, 9.0)}))
    project.check_now()
    qtbot.wait(DELAY_MS + 100)
    assert told == []
    with qtbot.waitSignal(panel.updated, timeout=10_000):
        project.push(commands.rename(project.document, "main", conv, "Edges"))
    assert "edges" in panel.view.toPlainText()


def test_a_script_that_comes_after_a_mistake_is_that_of_before(project, theme, qtbot):
    gate = Event()

    def slow(_graph, _target):
        gate.wait(10)
        return SimpleNamespace(files={"model.py": "# before"}, line_map={})

    panel = CodePanel(project, theme, preview=slow)
    qtbot.addWidget(panel)
    panel.show()
    qtbot.waitUntil(lambda: panel._busy, timeout=5000)
    flatten = node_of(project, "shape.flatten")
    project.push(commands.remove_nodes(project.document, "main", [flatten], heal=True))
    panel.refresh()
    with qtbot.waitSignal(panel.updated, timeout=5000):
        gate.set()
    assert panel.view.toPlainText() == "# before"
    assert panel.view._colors.stale
    assert panel.problem


def test_nothing_is_generated_while_nobody_looks(project, theme, qtbot):
    made = []

    def count(_graph, target):
        made.append(target)
        return SimpleNamespace(files={"model.py": "x = 1"}, line_map={})

    panel = CodePanel(project, theme, preview=count)
    qtbot.addWidget(panel)
    conv = node_of(project, "layer.conv2d")
    project.push(commands.set_param(project.document, "main", [conv], "filters", 24))
    project.check_now()
    qtbot.wait(250)
    assert made == []
    with qtbot.waitSignal(panel.updated, timeout=5000):
        panel.show()
    assert made == ["pytorch"]
