"""The inspector in the real window: nodes, several nodes, problems with fixes, and the project."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt

from graphstudio import i18n
from graphstudio.document import commands
from graphstudio.document.model import Choice, Document
from graphstudio.i18n import render
from graphstudio.nodes.optimizers import optimizers
from graphstudio.nodes.spec import catalog, params_of
from graphstudio.nodes.types import Message
from graphstudio.ui.inspector.panel import InspectorPanel
from graphstudio.ui.project import Project


@pytest.fixture
def panel(project, theme, qtbot):
    made = InspectorPanel(project, theme)
    qtbot.addWidget(made)
    made.resize(340, 900)
    made.show()
    return made


def add(project, type_id, **params):
    """Id of a new node."""
    before = set(project.document.main.nodes)
    assert project.push(commands.add_node(project.document, "main", type_id, (0, 0), params=params))
    project.check_now()
    return (set(project.document.main.nodes) - before).pop()


def facts(page) -> dict[str, str]:
    labels = page._facts._labels
    return {n.text(): v.text() for n, v in labels if not n.isHidden()}


def steps(project) -> int:
    return len(list(project.history.names))


@pytest.mark.parametrize("type_id", sorted(catalog()))
def test_every_node_type_has_an_editor_for_each_parameter(panel, project, type_id):
    node = add(project, type_id)
    project.select([node])
    shown = panel.node_page.form.specs
    assert shown == params_of(catalog()[type_id])
    for spec in shown:
        assert panel.node_page.form.editor(spec.name).accessibleName()


def test_editing_a_parameter_is_a_step_that_can_be_undone(panel, project, qtbot):
    node = add(project, "layer.dense")
    project.select([node])
    field = panel.node_page.form.editor("units").field
    field.selectAll()
    qtbot.keyClicks(field, "=4*8")
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert project.document.main.nodes[node].params["units"] == 32
    assert field.text() == "32"
    project.undo()
    assert "units" not in project.document.main.nodes[node].params
    assert field.text() == "64"


def test_a_burst_is_one_step(panel, project, qtbot):
    node = add(project, "layer.dense")
    project.select([node])
    before = steps(project)
    for _ in range(10):
        qtbot.keyClick(panel.node_page.form.editor("units").field, Qt.Key.Key_Up)
    assert project.document.main.nodes[node].params["units"] == 74
    assert steps(project) == before + 1


def test_bursts_on_two_nodes_are_two_steps(panel, project, qtbot):
    nodes = [add(project, "layer.dense") for _ in range(2)]
    before = steps(project)
    for node in (*nodes, nodes[0]):
        project.select([node])
        qtbot.keyClick(panel.node_page.form.editor("units").field, Qt.Key.Key_Up)
    assert steps(project) == before + 3


def test_reset_returns_to_the_default(panel, project):
    node = add(project, "layer.dense", units=7)
    project.select([node])
    panel.node_page.form.reset.emit("units")
    assert "units" not in project.document.main.nodes[node].params


def test_nodes_of_one_type_are_edited_together(panel, project, qtbot):
    nodes = [add(project, "layer.dense", units=u) for u in (3, 5)]
    project.select(nodes)
    page = panel.node_page
    assert page.name_field.text() == "2 nodes"
    assert page.name_field.isReadOnly()
    field = page.form.editor("units").field
    assert field.text() == ""
    before = steps(project)
    qtbot.keyClicks(field, "9")
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert {project.document.main.nodes[n].params["units"] for n in nodes} == {9}
    assert steps(project) == before + 1


def test_nodes_of_several_types_have_no_form(panel, project):
    project.select([add(project, "layer.dense"), add(project, "act.relu")])
    assert panel.node_page.form.specs == ()
    assert "several types" in panel.node_page._about.text()


def test_a_node_is_renamed(panel, project, qtbot):
    node = add(project, "layer.dense")
    project.select([node])
    field = panel.node_page.name_field
    field.selectAll()
    qtbot.keyClicks(field, "Scores")
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert project.document.main.nodes[node].label == "Scores"


def test_a_taken_name_never_makes_two_nodes_alike(panel, project, qtbot):
    first, second = (add(project, "layer.dense") for _ in range(2))
    taken = project.document.main.nodes[first].label
    project.select([second])
    field = panel.node_page.name_field
    field.selectAll()
    qtbot.keyClicks(field, taken)
    qtbot.keyClick(field, Qt.Key.Key_Return)
    labels = [n.label for n in project.document.main.nodes.values()]
    assert len(set(labels)) == 2


def test_bypass_and_comment_are_commands(panel, project):
    node = add(project, "act.relu")
    project.select([node])
    page = panel.node_page
    page.bypass_box.click()
    assert project.document.main.nodes[node].bypass
    page.comment.setFocus()
    page.comment.setPlainText("<b>plain</b>")
    page.comment.document().setModified(True)
    page.name_field.setFocus()
    assert project.document.main.nodes[node].comment == "<b>plain</b>"
    project.undo()
    project.undo()
    assert not project.document.main.nodes[node].bypass


def test_inputs_have_no_bypass(panel, project):
    project.select([add(project, "io.input")])
    assert panel.node_page.bypass_box.isHidden()


def test_pads_are_offered_only_where_they_count(panel, project):
    node = add(project, "layer.conv2d")
    project.select([node])
    editor = panel.node_page.form.editor("pads")
    assert editor.isHidden()
    project.push(commands.set_param(project.document, "main", [node], "padding", "explicit"))
    assert not editor.isHidden()


def test_the_fields_of_the_data_are_offered(panel, project):
    panel.project_page.source.edited.emit("source", "digits", False)
    node = add(project, "io.target", field="nothing")
    project.select([node])
    editor = panel.node_page.form.editor("field")
    assert editor.suggestions == ["image", "label"]
    editor._menu.actions()[1].trigger()
    assert project.document.main.nodes[node].params.get("field", "label") == "label"


def test_shapes_and_sizes_follow_the_check(digits):
    project = digits.project
    dense = next(i for i, n in project.document.main.nodes.items() if n.type == "layer.dense")
    project.select([dense])
    shown = facts(digits.inspector.node_page)
    assert shown["Output"].startswith("(N, 10)")
    report = project.result.nodes[dense]
    assert shown["Trainable"] == f"{report.num_parameters:,}"
    project.push(commands.set_param(project.document, "main", [dense], "units", 7))
    project.check_now()
    assert facts(digits.inspector.node_page)["Output"].startswith("(N, 7)")


def test_a_problem_is_shown_on_its_node_and_its_fix_mends_it(digits, qtbot):
    project = digits.project
    document = project.document
    flatten = next(i for i, n in document.main.nodes.items() if n.type == "shape.flatten")
    project.push(commands.remove_nodes(document, "main", [flatten], heal=True))
    project.check_now()
    broken = project.result.first_error
    assert broken is not None
    project.select([broken.node])
    page = digits.inspector.node_page
    (row,) = page._problem_rows
    assert row.fix_buttons[0].text() == "Insert Flatten"
    qtbot.mouseClick(row.fix_buttons[0], Qt.MouseButton.LeftButton)
    assert project.result.ok
    assert page.problems.isHidden()
    project.undo()
    assert not project.check_now().ok


def test_a_wrong_parameter_is_explained_under_its_field(panel, project):
    node = add(project, "layer.dense", units=0)
    project.select([node])
    project.check_now()
    assert "at least 1" in panel.node_page.form.problem_text("units")


def test_unknown_types_are_kept_and_named(panel, project):
    from graphstudio.document.changes import AddNode
    from graphstudio.document.model import Node

    project.push(("add", [AddNode("main", Node(id="aaaa2222", type="x.alien", label="Alien"))]))
    project.check_now()
    project.select(["aaaa2222"])
    assert "x.alien" in panel.node_page._about.text()


def test_nothing_selected_shows_the_project(panel, project):
    node = add(project, "layer.dense")
    project.select([node])
    assert panel.shows_nodes
    project.select([])
    assert not panel.shows_nodes


def test_a_new_project_asks_for_a_source(theme, qtbot):
    empty = Project(Document())
    made = InspectorPanel(empty, theme)
    qtbot.addWidget(made)
    box = made.project_page.source.editor("source").box
    assert box.shown_text() == "Choose…"
    assert all(box.itemText(i) for i in range(box.count())), "no row without a name"
    made.project_page.source.edited.emit("source", "digits", False)
    assert box.currentData() == "digits"
    empty.check_now()


def test_a_source_is_chosen_and_its_options_appear(panel, project):
    page = panel.project_page
    page.source.edited.emit("source", "mnist", False)
    assert project.document.data.source == "mnist"
    assert {s.name for s in page.options.specs} == {"folder", "normalise"}
    assert page._data_problem.text()
    assert not page.download_button.isHidden()
    assert page.split.editor("test").isHidden()
    page.source.edited.emit("source", "digits", False)
    assert page.options.specs == ()
    assert page.download_button.isHidden()
    assert project.check_now().of_node("none") == ()


def test_training_is_edited_in_place(panel, project, qtbot):
    page = panel.project_page
    for form, name, text in (
        (page.training, "epochs", "3"),
        (page.training, "batch_size", "16"),
        (page.optimizer_options, "learning_rate", "0.02"),
    ):
        field = form.editor(name).field
        field.selectAll()
        qtbot.keyClicks(field, text)
        qtbot.keyClick(field, Qt.Key.Key_Return)
    training = project.document.training
    assert (training.phases[0].epochs, training.batch_size) == (3, 16)
    assert training.phases[0].optimizer == Choice(kind="adam", params={"learning_rate": 0.02})
    page.optimizer_options.reset.emit("learning_rate")
    assert project.document.training.phases[0].optimizer == Choice(kind="adam")


def test_every_optimiser_has_its_parameters(panel, project):
    page = panel.project_page
    for kind, cls in optimizers().items():
        page.optimizer.edited.emit("kind", kind, False)
        assert page.optimizer_options.specs == params_of(cls)
        assert page.optimizer.editor("kind").box.currentText() == cls.label


def test_rules_between_parameters_are_told(panel, project):
    page = panel.project_page
    page.optimizer.edited.emit("kind", "sgd", False)
    page.optimizer_options.edited.emit("nesterov", True, False)
    told = [page.optimizer_options.problem_text(s.name) for s in page.optimizer_options.specs]
    assert any("momentum" in t for t in told)


def test_a_folder_inside_the_project_is_named_relative_to_it(panel, project, tmp_path):
    page = panel.project_page
    page.source.edited.emit("source", "mnist", False)
    project.saved(tmp_path / "p.gsproj")
    (tmp_path / "in").mkdir()
    page.choose_folder(tmp_path / "in")
    assert project.document.data.options["folder"] == "in"


def test_the_language_reaches_every_label(panel, project):
    from graphstudio import i18n

    project.select([add(project, "layer.dense")])
    i18n.set_language("zh")
    panel.retranslate()
    assert panel.node_page.parameters._header.text() == "参数"
    label = render(Message(params_of(catalog()["layer.dense"])[0].label))
    assert label != "Units"
    assert panel.node_page.form.editor("units").accessibleName() == label


@pytest.mark.parametrize(
    ("form", "field", "value", "name", "chinese"),
    [
        ("optimizer_options", "learning_rate", 0.5, "Set Learning rate", "设置学习率"),
        ("training", "batch_size", 7, "Set Batch size", None),
        ("optimizer", "kind", "sgd", "Set Optimiser", None),
        ("split", "validation", 0.3, "Set Validation share", None),
        ("source", "source", "digits", "Set Source", None),
    ],
)
def test_a_step_of_data_or_training_is_called_after_its_field(
    panel, project, form, field, value, name, chinese
):
    getattr(panel.project_page, form).edited.emit(field, value, False)
    assert render(project.history.undo_name) == name
    i18n.set_language("zh")
    assert render(project.history.undo_name).startswith("设置")
    assert chinese in (None, render(project.history.undo_name))
    assert not any(word in render(project.history.undo_name) for word in name.split())
