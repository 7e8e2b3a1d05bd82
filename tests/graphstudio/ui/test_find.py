"""Find in graph: what is looked through, and going from hit to hit with the keyboard alone."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtWidgets import QApplication

from graphstudio import i18n
from graphstudio.document import commands
from graphstudio.ui.find import find_nodes

SHIFT = Qt.KeyboardModifier.ShiftModifier


def found(window, query) -> list[str]:
    """Types of the nodes that fit, in order."""
    nodes = window.project.document.main.nodes
    return [nodes[i].type for i in find_nodes(window.project, query)]


@pytest.fixture
def bar(digits, qtbot):
    digits.activateWindow()
    qtbot.waitExposed(digits)
    digits.canvas.setFocus()
    qtbot.keyClick(digits.canvas, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    assert digits.find.isVisible()
    return digits.find


@pytest.mark.parametrize("query", ["CONV2D", "layer.conv2d", "二维卷积", "conv 2d"])
def test_a_type_is_found_by_each_of_its_names(digits, query):
    project = digits.project
    for i, (node_id, node) in enumerate(project.document.main.nodes.items()):
        if node.type == "layer.conv2d":  # so that it is not the label that is found
            project.push(commands.rename(project.document, "main", node_id, f"x{i}"))
    expected = [n for n in project.document.main.nodes.values() if n.type == "layer.conv2d"]
    assert found(digits, query) == ["layer.conv2d"] * len(expected)
    assert expected


def test_labels_values_and_shapes_are_looked_through(digits):
    project = digits.project
    assert project.push(
        commands.add_node(
            project.document, "main", "layer.dense", (0, 0), params={"units": 4711}, label="Ärger"
        )
    )
    project.check_now()
    assert found(digits, "ärger") == ["layer.dense"]
    assert found(digits, "4711") == ["layer.dense"]
    assert found(digits, "nowhere") == []
    assert found(digits, "  ") == []
    shape = "(N, 1, 8, 8)"
    assert "io.input" in found(digits, shape)
    shapes = project.result.nodes
    for node_id in find_nodes(project, shape):
        types = shapes[node_id].output_types.values()
        assert any(t.shape[1:] == (1, 8, 8) for t in types)
    assert find_nodes(project, "(n,1,8,8)") == find_nodes(project, shape)


def test_hits_come_in_reading_order(digits):
    nodes = digits.project.document.main.nodes
    places = [nodes[i].position for i in find_nodes(digits.project, "n")]
    assert len(places) > 3
    assert places == sorted(places, key=lambda p: (p[1], p[0]))


def test_enter_goes_through_the_hits_and_around(bar, digits, qtbot):
    qtbot.keyClicks(bar.field, "relu")
    hits = find_nodes(digits.project, "relu")
    assert len(hits) > 1
    assert digits.project.selection == {hits[0]}  # the first one as soon as it is typed
    seen = []
    for _ in hits:
        qtbot.keyClick(bar.field, Qt.Key.Key_Return)
        seen += digits.project.selection
    assert seen == [*hits[1:], hits[0]]
    qtbot.keyClick(bar.field, Qt.Key.Key_Return, SHIFT)
    assert digits.project.selection == {hits[-1]}
    assert bar.count.text() == f"{len(hits)} of {len(hits)}"
    assert QApplication.focusWidget() is bar.field


def test_a_hit_is_brought_into_view(bar, digits, qtbot):
    digits.canvas.center_on(QPointF(50_000, 50_000))
    qtbot.keyClicks(bar.field, "flatten")
    (hit,) = digits.project.selection
    body = digits.canvas.graph_scene.nodes[hit].body_rect()
    assert digits.canvas.visible_rect().contains(body)


def test_a_hit_is_not_left_below_the_box(bar, digits, qtbot):
    qtbot.keyClicks(bar.field, "re")
    (hit,) = digits.project.selection
    item, canvas = digits.canvas.graph_scene.nodes[hit], digits.canvas
    middle = canvas.mapToScene(canvas.viewport().rect().center())
    below = canvas.mapToScene(
        bar.mapTo(digits, bar.rect().center()) - canvas.mapTo(digits, QPoint())
    )
    canvas.center_on(middle + item.body_rect().center() - below)
    on_screen = canvas.mapFromScene(item.body_rect().center()) + canvas.mapTo(digits, QPoint())
    assert bar.rect().translated(bar.mapTo(digits, QPoint())).contains(on_screen)
    qtbot.keyClicks(bar.field, "lu")
    qtbot.keyClick(bar.field, Qt.Key.Key_Return)
    qtbot.keyClick(bar.field, Qt.Key.Key_Return, SHIFT)
    assert digits.project.selection == {hit}
    on_screen = canvas.mapFromScene(item.body_rect().center()) + canvas.mapTo(digits, QPoint())
    assert not bar.rect().translated(bar.mapTo(digits, QPoint())).contains(on_screen)


def test_esc_closes_and_gives_the_keyboard_back(bar, digits, qtbot):
    qtbot.keyClicks(bar.field, "flatten")
    chosen = digits.project.selection
    qtbot.keyClick(bar.field, Qt.Key.Key_Escape)
    assert not bar.isVisible()
    assert QApplication.focusWidget() is digits.canvas
    assert digits.project.selection == chosen


def test_letters_and_delete_in_the_box_edit_its_text_alone(bar, digits, qtbot):
    count = len(digits.project.document.main.nodes)
    digits.project.select(list(digits.project.document.main.nodes)[:1])
    qtbot.keyClicks(bar.field, "zzm")
    qtbot.keyClick(bar.field, Qt.Key.Key_Home)
    qtbot.keyClick(bar.field, Qt.Key.Key_Delete)
    assert bar.field.text() == "zm"
    assert bar.count.text() == "Nothing found"
    assert not bar.next_button.isEnabled()
    assert len(digits.project.document.main.nodes) == count


def test_a_deleted_hit_is_no_hit_any_more(bar, digits, qtbot):
    qtbot.keyClicks(bar.field, "relu")
    before = len(bar.hits)
    digits.canvas.delete_selection()
    digits.project.check_now()
    assert len(bar.hits) == before - 1
    assert bar.count.text() == f"{before - 1} found"


def test_the_box_lies_in_the_corner_of_the_canvas_and_closes_with_the_project(bar, digits, qtbot):
    for width in (1440, 1180):
        digits.resize(width, 900)
        qtbot.wait(20)
        area = digits.canvas.rect().translated(digits.canvas.mapTo(digits, digits.canvas.pos()))
        corner = bar.mapTo(digits, bar.rect().topRight())
        assert area.contains(corner)
        assert area.right() - corner.x() < 30
    digits.close_project()
    assert not bar.isVisible()
    assert not digits.actions_by_id["find.node"].isEnabled()


def test_texts_follow_the_language(bar, digits, qtbot):
    qtbot.keyClicks(bar.field, "flatten")
    digits.use_language("zh")
    assert bar.count.text() == "第 1 个，共 1 个"
    assert bar.field.placeholderText() == i18n.catalogue("zh")["Find by name, type, value or shape"]


def test_find_is_in_the_edit_menu(digits):
    edit = next(
        a.menu() for a in digits.menuBar().actions() if a.menu().objectName() == "menu_edit"
    )
    assert digits.actions_by_id["find.node"] in edit.actions()
