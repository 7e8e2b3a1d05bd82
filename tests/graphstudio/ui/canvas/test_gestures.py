"""What the pointer does: each gesture changes what it should, Esc leaves everything as it was."""

from __future__ import annotations

from itertools import pairwise

import pytest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtWidgets import QApplication

from graphstudio.document import commands
from graphstudio.ir.diagnostics import Diagnostic
from graphstudio.nodes.types import Message, SetParam
from graphstudio.ui.palette.delegate import HINT_ROLE

CTRL, SHIFT, ALT = (
    Qt.KeyboardModifier.ControlModifier,
    Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.AltModifier,
)
MIDDLE, RIGHT = Qt.MouseButton.MiddleButton, Qt.MouseButton.RightButton
EMPTY = QPointF(300, 250)


# -- selecting -----------------------------------------------------------------------------------


def test_click_selects_shift_adds_and_ctrl_toggles(hand, model, at):
    hand.click(at("conv"))
    assert model.project.selection == {model["conv"]}
    hand.click(at("relu"), modifiers=SHIFT)
    assert model.project.selection == {model["conv"], model["relu"]}
    hand.click(at("conv"), modifiers=CTRL)
    assert model.project.selection == {model["relu"]}
    hand.click(EMPTY)
    assert model.project.selection == set()


def test_click_on_one_of_many_selected_leaves_only_that_one(hand, model, at):
    model.project.select(model.graph.nodes)
    hand.click(at("conv"))
    assert model.project.selection == {model["conv"]}


def test_rubber_band_replaces_adds_and_toggles(hand, model):
    hand.drag(QPointF(290, -30), QPointF(620, 60))
    assert model.project.selection == {model["conv"], model["relu"]}
    hand.drag(QPointF(-60, 280), QPointF(20, 420), modifiers=SHIFT)
    assert model.project.selection == {model["conv"], model["relu"], model["flatten"]}
    hand.drag(QPointF(590, -30), QPointF(820, 60), modifiers=CTRL)
    assert model.project.selection == {model["conv"], model["flatten"]}


def test_escape_calls_off_a_rubber_band(hand, view, model):
    model.project.select({model["dense"]})
    hand.drag(QPointF(290, -30), QPointF(620, 60), drop=False)
    assert model["conv"] in model.project.selection
    hand.key(Qt.Key.Key_Escape)
    assert model.project.selection == {model["dense"]}


# -- moving --------------------------------------------------------------------------------------


def test_drag_moves_on_the_grid_in_one_step(hand, model, at):
    steps = model.steps
    hand.drag(at("dense"), at("dense") + QPointF(47, 31))
    assert model.position("dense") == (340, 340)
    assert model.steps == steps + 1
    model.project.undo()
    assert model.position("dense") == (300, 300)
    model.project.redo()
    assert model.position("dense") == (340, 340)


def test_ctrl_ignores_the_grid_and_shift_locks_an_axis(hand, model, at):
    hand.drag(at("dense"), at("dense") + QPointF(47, 31), modifiers=CTRL)
    assert model.position("dense") == (347, 331)
    model.project.undo()
    start = at("dense")
    hand.press(start)
    hand.move(start + QPointF(47, 31), SHIFT)
    hand.release(start + QPointF(87, 31), modifiers=SHIFT)
    assert model.position("dense") == (380, 300)


def test_dragging_one_of_several_moves_all(hand, model, at):
    model.project.select({model["conv"], model["relu"]})
    hand.drag(at("conv"), at("conv") + QPointF(0, -40))
    assert model.position("conv") == (300, -40)
    assert model.position("relu") == (600, -40)
    assert model.project.selection == {model["conv"], model["relu"]}


def test_wires_follow_during_a_drag_and_escape_puts_all_back(hand, view, model, at):
    before = model.text()
    wire = view.graph_scene.wires[model["relu"], "x"]
    start = wire.curves[0][0]
    hand.drag(at("conv"), at("conv") + QPointF(60, 80), drop=False)
    assert wire.curves[0][0] == (start[0] + 60, start[1] + 80)
    hand.key(Qt.Key.Key_Escape)
    assert wire.curves[0][0] == start
    assert view.graph_scene.nodes[model["conv"]].pos() == QPointF(300, 0)
    hand.release(at("conv"))
    assert model.text() == before
    assert model.steps == 0


def test_drag_without_moving_far_enough_is_a_click(hand, model, at):
    hand.drag(at("conv"), at("conv") + QPointF(2, 1))
    assert model.position("conv") == (300, 0)
    assert model.steps == 0


def test_overview_drag_moves_too(hand, view, model, at):
    view.set_zoom(0.3)
    hand.drag(at("dense"), at("dense") + QPointF(200, 40))
    assert model.position("dense") == (500, 340)


# -- wiring --------------------------------------------------------------------------------------


def test_drag_from_an_output_connects(hand, model, at):
    hand.drag(at("relu", "y", output=True), at("add", "a"))
    assert ("relu", "y", "add", "a") in model.wires()
    model.project.undo()
    assert ("relu", "y", "add", "a") not in model.wires()


def test_drag_from_a_free_input_connects_backwards(hand, model, at):
    hand.drag(at("add", "b"), at("relu", "y", output=True))
    assert ("relu", "y", "add", "b") in model.wires()


def test_drop_on_a_body_takes_the_first_free_port(hand, model, at):
    hand.drag(at("relu", "y", output=True), at("add"))
    hand.drag(at("conv", "y", output=True), at("add"))
    assert {("relu", "y", "add", "a"), ("conv", "y", "add", "b")} <= model.wires()


def test_click_port_then_port_connects(hand, view, model, at):
    hand.click(at("relu", "y", output=True))
    assert view.gestures
    hand.move(at("add", "a"))
    hand.click(at("add", "a"))
    assert ("relu", "y", "add", "a") in model.wires()
    assert not view.gestures


def test_a_connected_input_is_plugged_elsewhere_in_one_step(hand, model, at):
    steps = model.steps
    hand.drag(at("dense", "x"), at("add", "a"))
    assert ("flatten", "y", "add", "a") in model.wires()
    assert not any(w[2] == "dense" for w in model.wires())
    assert model.steps == steps + 1
    model.project.undo()
    assert ("flatten", "y", "dense", "x") in model.wires()


def test_a_connected_input_dropped_on_empty_is_disconnected(hand, view, model, at):
    hand.drag(at("dense", "x"), EMPTY)
    assert not any(w[2] == "dense" for w in model.wires())
    assert not view.search.isVisible()
    model.project.undo()
    assert ("flatten", "y", "dense", "x") in model.wires()


def test_a_wire_dropped_where_it_was_changes_nothing(hand, model, at):
    before = model.text()
    start = at("dense", "x")
    hand.press(start)
    hand.move(start + QPointF(0, 60))
    hand.move(start)
    hand.release(start)
    assert model.text() == before
    assert model.steps == 0


def test_a_wire_replaces_the_one_that_is_there(hand, model, at):
    hand.drag(at("input", "y", output=True), at("dense", "x"))
    assert ("input", "y", "dense", "x") in model.wires()
    assert ("flatten", "y", "dense", "x") not in model.wires()


def test_a_cycle_is_refused_with_its_reason_at_the_pointer(hand, view, model, at):
    before = model.text()
    said = []
    view.status_message.connect(said.append)
    hand.drag(at("dense", "y", output=True), at("conv", "x"), drop=False)
    assert view.hovering.card.isVisible()
    assert any("cycle" in text for text in view.hovering.card.texts)
    hand.release(at("conv", "x"))
    assert model.text() == before
    assert "cycle" in said[-1]
    assert not view.hovering.card.isVisible()


def test_a_shape_that_does_not_fit_is_explained_but_allowed(hand, view, model, at):
    hand.drag(at("conv", "y", output=True), at("dense", "x"), drop=False)
    texts = " ".join(view.hovering.card.texts)
    assert "(N, 8, 8, 8)" in texts
    hand.release(at("dense", "x"))
    assert ("conv", "y", "dense", "x") in model.wires()
    assert not model.project.check_now().ok


def test_illegal_targets_fade_while_a_wire_is_dragged(hand, view, model, at):
    nodes = view.graph_scene.nodes
    hand.drag(at("dense", "y", output=True), EMPTY, drop=False)
    assert nodes[model["input"]].state.dimmed
    assert nodes[model["conv"]].state.dimmed
    assert not nodes[model["add"]].state.dimmed
    assert nodes[model["add"]].state.legal == {("a", False), ("b", False)}
    hand.key(Qt.Key.Key_Escape)
    assert not any(i.state.dimmed or i.state.legal for i in nodes.values())


def test_escape_while_wiring_changes_nothing(hand, view, model, at):
    before = model.text()
    hand.drag(at("relu", "y", output=True), at("add", "a"), drop=False)
    hand.key(Qt.Key.Key_Escape)
    hand.release(at("add", "a"))
    assert model.text() == before
    assert not view.gestures
    assert not view.search.isVisible()


def test_drop_on_empty_offers_what_fits_and_wires_it(hand, view, model, at):
    hand.drag(at("relu", "y", output=True), QPointF(900, 100))
    assert view.search.isVisible()
    offered = view.search.shown()
    assert "layer.max_pool2d" in offered
    assert "io.input" not in offered
    assert offered.index("layer.dense") > offered.index("layer.max_pool2d"), "it takes no images"
    hand.type("maxpool", view.search.line)
    hand.key(Qt.Key.Key_Return, target=view.search.line)
    (new,) = model.new_nodes()
    wire = model.graph.wires[new, "x"]
    assert wire.source == model["relu"]
    assert model.graph.nodes[new].position[0] == pytest.approx(900, abs=20)
    model.project.undo()
    assert not model.new_nodes()


def test_what_does_not_fit_in_shape_is_added_for_its_fix(hand, view, model, at):
    hand.drag(at("relu", "y", output=True), QPointF(900, 100))
    hand.type("dense", view.search.line)
    assert view.search.list.item(0).data(HINT_ROLE) == "another shape"
    hand.key(Qt.Key.Key_Return, target=view.search.line)
    (new,) = model.new_nodes()
    (problem,) = (d for d in model.project.check_now().of_node(new) if d.code == "shape")
    assert [str(fix.title) for fix in problem.fixes] == ["Insert Flatten"]


def test_the_target_of_a_loss_is_offered_a_target_first(hand, view, model, at):
    model.ids["loss"] = view.edits.add("loss.cross_entropy", (900, 100))
    hand.drag(at("loss", "target"), QPointF(560, 420))
    assert view.search.shown()[0] == "io.target"


def test_backward_drop_on_empty_feeds_the_input(hand, view, model, at):
    hand.drag(at("dropout", "x"), QPointF(560, 420))
    hand.type("tanh", view.search.line)
    hand.key(Qt.Key.Key_Return, target=view.search.line)
    (new,) = model.new_nodes()
    assert model.graph.wires[model["dropout"], "x"].source == new


def test_a_node_from_a_dropped_wire_lies_on_no_other(hand, view, model, at):
    """A wire is dropped near the node it comes from, and the new one is as wide as the way."""
    hand.drag(at("dropout", "x"), at("dropout", "x") + QPointF(-20, 30))
    hand.type("tanh", view.search.line)
    hand.key(Qt.Key.Key_Return, target=view.search.line)
    (before,) = model.new_nodes()
    hand.drag(at("conv", "y", output=True), at("conv", "y", output=True) + QPointF(20, 60))
    hand.type("sigmoid", view.search.line)
    hand.key(Qt.Key.Key_Return, target=view.search.line)
    after = next(n for n in model.new_nodes() if n != before)
    assert model.graph.wires[model["dropout"], "x"].source == before
    assert model.graph.wires[after, "x"].source == model["conv"]
    bodies = {n: item.body_rect() for n, item in view.graph_scene.nodes.items()}
    for new in (before, after):
        assert not [n for n, b in bodies.items() if n != new and b.intersects(bodies[new])]


def test_ctrl_drag_moves_all_wires_of_an_output(hand, model, at):
    hand.drag(at("relu", "y", output=True), at("add", "a"))
    hand.drag(at("relu", "y", output=True), at("conv", "y", output=True), modifiers=CTRL)
    assert {("conv", "y", "add", "a"), ("conv", "y", "flatten", "x")} <= model.wires()
    assert not any(w[0] == "relu" for w in model.wires())


def test_alt_click_disconnects_port_and_wire(hand, view, model, at):
    hand.click(at("relu", "x"), modifiers=ALT)
    assert ("conv", "y", "relu", "x") not in model.wires()
    path = view.graph_scene.wires[model["dense"], "x"].path
    hand.click(path.pointAtPercent(0.5), modifiers=ALT)
    assert ("flatten", "y", "dense", "x") not in model.wires()


def test_swipe_cuts_every_wire_it_crosses(hand, view, model):
    before = model.text()
    hand.drag(QPointF(540, -40), QPointF(540, 110), RIGHT, CTRL, drop=False)
    hand.key(Qt.Key.Key_Escape)
    hand.release(QPointF(540, 110), RIGHT, CTRL)
    assert model.text() == before
    hand.drag(QPointF(540, -40), QPointF(540, 110), RIGHT, CTRL)
    assert ("conv", "y", "relu", "x") not in model.wires()
    assert ("input", "y", "conv", "x") in model.wires()
    assert model.steps == 1
    model.project.undo()
    assert model.text() == before


# -- dropping on a wire --------------------------------------------------------------------------


def test_a_node_dropped_on_a_wire_is_inserted_and_makes_room(hand, model, at):
    steps = model.steps
    hand.drag(at("dropout"), QPointF(240, 75) + QPointF(0, 0), steps=8)
    assert {("input", "y", "dropout", "x"), ("dropout", "y", "conv", "x")} <= model.wires()
    assert ("input", "y", "conv", "x") not in model.wires()
    assert model.steps == steps + 1
    dropout_right = model.position("dropout")[0] + 180
    assert model.position("conv")[0] >= dropout_right + 20
    model.project.undo()
    assert ("input", "y", "conv", "x") in model.wires()
    assert model.position("conv") == (300, 0)


def test_alt_keeps_a_node_off_the_wire(hand, model, at):
    hand.press(at("dropout"))
    hand.move(QPointF(240, 75), ALT)
    hand.release(QPointF(240, 75), modifiers=ALT)
    assert ("input", "y", "conv", "x") in model.wires()
    assert model.position("dropout")[0] < 300


def test_a_wired_node_is_not_inserted(hand, model, at):
    hand.drag(at("dense"), QPointF(240, 75))
    assert ("input", "y", "conv", "x") in model.wires()


def test_palette_drag_shows_a_ghost_and_drops_a_node(hand, view, model):
    assert hand.palette_drag("act.tanh", QPointF(900, 200), drop=False)
    assert view.gestures.place is not None
    assert not model.new_nodes()
    hand.palette_leave()
    assert view.gestures.place is None
    hand.palette_drag("act.tanh", QPointF(900, 200))
    (new,) = model.new_nodes()
    assert model.graph.nodes[new].type == "act.tanh"
    assert model.project.selection == {new}
    x, y = model.graph.nodes[new].position
    assert (x % 20, y % 20) == (0, 0)
    model.project.undo()
    assert not model.new_nodes()


def test_palette_drag_onto_a_wire_inserts(hand, view, model):
    a, b = (
        QPointF(*p)
        for p in (view.graph_scene.wires[model["relu"], "x"].curves[0][k] for k in (0, 3))
    )
    hand.palette_drag("layer.batch_norm", (a + b) / 2 + QPointF(0, -50))
    (new,) = model.new_nodes()
    assert model.graph.wires[new, "x"].source == model["conv"]
    assert model.graph.wires[model["relu"], "x"].source == new


def overlaps(view) -> set[frozenset[str]]:
    """Pairs of nodes that cover each other."""
    bodies = {n: item.body_rect() for n, item in view.graph_scene.nodes.items()}
    return {
        frozenset((a, b))
        for a in bodies
        for b in bodies
        if a < b and bodies[a].intersects(bodies[b])
    }


@pytest.mark.parametrize("dx", [-80, -30, 0, 30, 55])
def test_a_node_on_a_short_wire_covers_nothing_and_is_one_step(hand, view, model, dx):
    """Between the two is a gap of 120, and the new node is 180 wide."""
    before, steps = model.text(), model.steps
    hand.palette_drag("layer.batch_norm", QPointF(540 + dx, 50))
    (new,) = model.new_nodes()
    assert model.graph.wires[model["relu"], "x"].source == new
    assert not overlaps(view)
    rects = [view.graph_scene.nodes[n].body_rect() for n in (model["conv"], new, model["relu"])]
    for left, right in pairwise(rects):
        assert right.left() >= left.right() + 20
    assert all(x % 20 == 0 for x, _ in (n.position for n in model.graph.nodes.values()))
    assert model.position("flatten") == (0, 300), "the wire to the next row leads back"
    assert model.position("dense") == (300, 300)
    assert model.steps == steps + 1
    model.project.undo()
    assert model.text() == before


def test_a_node_dropped_below_its_source_goes_below_it(hand, view, model):
    """The wire to the next row leads back under its source."""
    project = model.project
    project.push(commands.move_nodes(project.document, "main", {model["flatten"]: (560, 200)}))
    hand.palette_drag("layer.batch_norm", QPointF(670, 105))
    (new,) = model.new_nodes()
    assert model.graph.wires[model["flatten"], "x"].source == new
    assert not overlaps(view)
    relu = view.graph_scene.nodes[model["relu"]].body_rect()
    assert view.graph_scene.nodes[new].body_rect().top() == relu.bottom() + 40


def test_frames_stay_around_their_nodes_when_room_is_made(hand, view, model):
    project = model.project
    around = {
        "both": (280, -40, 540, 200),
        "end": (560, -60, 260, 240),
        "apart": (-20, 240, 500, 240),
    }
    ids = {}
    for title, rect in around.items():
        project.push(commands.add_frame(project.document, "main", rect, title=title))
        ids[title] = next(i for i, f in model.graph.frames.items() if f.title == title)
    inside = {t: set(view.graph_scene.children_of(i)) for t, i in ids.items()}
    assert inside["both"] == {model["conv"], model["relu"]}
    assert inside["end"] == {model["relu"]}
    steps = model.steps
    hand.palette_drag("layer.batch_norm", QPointF(540, 50))
    (new,) = model.new_nodes()
    dx = model.position("relu")[0] - 600
    assert dx > 0
    after = {t: model.graph.frames[i].rect for t, i in ids.items()}
    assert after["both"] == (280, -40, 540 + dx, 200), "it grows by what is new in it"
    assert after["end"] == (560 + dx, -60, 260, 240), "it moves with its nodes"
    assert after["apart"] == around["apart"]
    inside["both"].add(new)
    assert {t: set(view.graph_scene.children_of(i)) for t, i in ids.items()} == inside
    assert model.steps == steps + 1


def test_a_foreign_drag_is_not_taken(hand, model):
    assert not hand.palette_drag("no.such_type", QPointF(900, 200))
    assert not model.new_nodes()


# -- navigation ----------------------------------------------------------------------------------


def test_wheel_zooms_at_the_pointer(hand, view):
    pos = QPointF(500, 100)
    before = view.mapFromScene(pos)
    hand.wheel(pos, 1)
    assert view.zoom == pytest.approx(1.15)
    after = view.mapFromScene(pos)
    assert (after - before).manhattanLength() <= 2


def test_zoom_stays_in_its_limits(hand, view):
    for _ in range(60):
        hand.wheel(QPointF(400, 300), -1)
    assert view.zoom == pytest.approx(0.05)
    for _ in range(60):
        hand.wheel(QPointF(400, 300), 1)
    assert view.zoom == pytest.approx(4.0)


def test_shift_wheel_pans_sideways(hand, view):
    before = view.mapToScene(0, 0)
    hand.wheel(QPointF(400, 300), 1, SHIFT)
    assert view.zoom == 1.0
    after = view.mapToScene(0, 0)
    assert after.x() != before.x()
    assert after.y() == before.y()


def test_middle_drag_pans(hand, view):
    before = view.mapToScene(0, 0)
    start = view.mapToScene(300, 300)
    hand.press(start, MIDDLE)
    hand.move(start + QPointF(50, 30))
    hand.release(view.mapToScene(350, 330), MIDDLE)
    moved = before - view.mapToScene(0, 0)
    assert (moved.x(), moved.y()) == (50, 30)


def test_space_drag_pans_and_a_space_tap_searches(hand, view, model):
    before = view.mapToScene(0, 0)
    hand.key_down(Qt.Key.Key_Space, text=" ")
    start = view.mapToScene(400, 300)
    hand.press(start)
    hand.move(start + QPointF(40, 0))
    hand.release(view.mapToScene(440, 300))
    hand.key_up(Qt.Key.Key_Space)
    assert view.mapToScene(0, 0).x() == before.x() - 40
    assert not view.search.isVisible()
    hand.key(Qt.Key.Key_Space, text=" ")
    assert view.search.isVisible()


def test_panning_in_the_middle_of_a_wire_keeps_the_wire(hand, view, model, at):
    hand.drag(at("relu", "y", output=True), EMPTY, drop=False)
    place = view.mapToScene(500, 500)
    hand.press(place, MIDDLE)
    hand.move(place + QPointF(30, 0))
    hand.release(place + QPointF(30, 0), MIDDLE)
    assert view.gestures
    hand.move(at("add", "a"))
    hand.release(at("add", "a"))
    assert ("relu", "y", "add", "a") in model.wires()


def test_a_wire_that_runs_back_goes_between_the_rows(view, model):
    """From the end of one row to the start of the next: around the nodes, not through them."""
    wire = view.graph_scene.wires[model["flatten"], "x"]
    for name, item in view.graph_scene.nodes.items():
        inner = item.body_rect().adjusted(2, 2, -2, -2)
        samples = (wire.path.pointAtPercent(i / 200) for i in range(201))
        assert not any(inner.contains(p) for p in samples), name
    assert wire.path.pointAtPercent(0.5).y() == pytest.approx(200)
    view.graph_scene.place_labels(5.0)
    assert wire.label_rect.center().y() == pytest.approx(200, abs=1)


# -- frames --------------------------------------------------------------------------------------


def test_frame_moves_its_nodes_and_resizes(hand, view, model, at):
    model.project.select({model["conv"], model["relu"]})
    frame_id = view.edits.frame_around(model.project.selection)
    rect = view.graph_scene.frames[frame_id].body_rect()
    steps = model.steps
    grip = rect.topLeft() + QPointF(40, 14)
    hand.drag(grip, grip + QPointF(0, -60))
    assert model.position("conv") == (300, -60)
    assert model.graph.frames[frame_id].rect[1] == rect.top() - 60
    assert model.steps == steps + 1
    model.project.undo()
    assert model.position("conv") == (300, 0)
    assert view.graph_scene.frames[frame_id].body_rect() == rect

    corner = rect.bottomLeft()
    hand.drag(corner, corner + QPointF(-40, 60))
    assert model.graph.frames[frame_id].rect[2:] == (
        pytest.approx(rect.width() + 40, abs=20),
        pytest.approx(rect.height() + 60, abs=20),
    )
    before = model.text()
    corner = view.graph_scene.frames[frame_id].body_rect().bottomLeft()
    hand.drag(corner, corner + QPointF(-80, 80), drop=False)
    hand.key(Qt.Key.Key_Escape)
    hand.release(corner)
    assert model.text() == before


# -- double clicks and menus ---------------------------------------------------------------------


def test_double_click_on_the_title_renames(hand, view, model, at):
    title = view.graph_scene.nodes[model["conv"]].pos() + QPointF(80, 15)
    hand.double_click(title)
    assert view.rename_editor.isVisible()
    view.rename_editor.selectAll()
    hand.type("Stem", view.rename_editor)
    hand.key(Qt.Key.Key_Return, target=view.rename_editor)
    assert model.graph.nodes[model["conv"]].label == "Stem"
    model.project.undo()
    assert model.graph.nodes[model["conv"]].label == "Conv2D"


def test_escape_in_the_name_keeps_the_old_one(hand, view, model):
    view.rename(model["conv"])
    hand.type("x", view.rename_editor)
    hand.key(Qt.Key.Key_Escape, target=view.rename_editor)
    assert model.graph.nodes[model["conv"]].label == "Conv2D"
    assert not view.rename_editor.isVisible()


def test_double_click_on_a_body_asks_for_the_inspector(hand, view, model, at, qtbot):
    with qtbot.waitSignal(view.node_activated) as heard:
        hand.double_click(at("conv"))
    assert heard.args == [model["conv"]]


def test_double_click_on_empty_searches_there(hand, view, model):
    hand.double_click(QPointF(880, 100))
    assert view.search.isVisible()
    hand.type("relu", view.search.line)
    hand.key(Qt.Key.Key_Return, target=view.search.line)
    (new,) = model.new_nodes()
    assert model.graph.nodes[new].type == "act.relu"


def test_double_click_on_the_label_of_a_wire_inserts_there(hand, view, model):
    hand.double_click(view.graph_scene.wires[model["relu"], "x"].label_rect.center())
    hand.type("batchnorm", view.search.line)
    hand.key(Qt.Key.Key_Return, target=view.search.line)
    (new,) = model.new_nodes()
    assert model.graph.wires[model["relu"], "x"].source == new


NO_GRAB = pytest.mark.qt_log_ignore("This plugin does not support")  # offscreen popups


@NO_GRAB
@pytest.mark.parametrize(
    ("where", "wanted"),
    [
        (lambda at: at("conv"), "Rename"),
        (lambda at: at("relu", "x"), "Add a node before this port…"),
        (lambda at: at("relu", "y", output=True), "Add a node after this port…"),
        (lambda at: EMPTY, "Add node…"),
    ],
)
def test_context_menus(hand, view, at, where, wanted):
    menu = hand.menu(where(at))
    assert menu is not None
    texts = [a.text().split("\t")[0] for a in menu.actions()]
    assert wanted in texts
    menu.close()
    QApplication.processEvents()


@NO_GRAB
def test_the_ampersand_of_a_fix_is_no_shortcut_in_the_menu(hand, view, model, at):
    """A fix can name a field of the data, and a field can have any name."""
    title = "Read the field 'a & b'"
    fix = SetParam(Message(title), "units", 3)
    problem = Diagnostic("x", "error", Message("no"), node=model["dense"], fixes=(fix,))
    view.graph_scene._problems = {model["dense"]: (problem,)}
    menu = hand.menu(at("dense"))
    assert menu.actions()[0].text() == title.replace("&", "&&")
    menu.actions()[0].trigger()
    menu.close()
    QApplication.processEvents()
    assert model.graph.nodes[model["dense"]].params["units"] == 3


@NO_GRAB
def test_context_menu_offers_the_fix(hand, view, model, at):
    hand.drag(at("conv", "y", output=True), at("dense", "x"))
    assert not model.project.check_now().ok
    menu = hand.menu(at("dense"))
    fix = next(a for a in menu.actions() if "Flatten" in a.text())
    fix.trigger()
    menu.close()
    QApplication.processEvents()
    assert not any(
        d.severity == "error" and d.node == model["dense"]
        for d in model.project.check_now().diagnostics
    )


def test_hover_lights_up_the_wires_and_explains(hand, view, model, at):
    hand.move(at("relu"))
    assert view.graph_scene.wires[model["relu"], "x"].hovered
    view.hovering.show_card()
    assert view.hovering.card.isVisible()
    texts = " ".join(view.hovering.card.texts)
    assert "ReLU" in texts
    assert "(N, 8, 8, 8)" in texts
    hand.move(EMPTY)
    assert not view.graph_scene.wires[model["relu"], "x"].hovered
    assert not view.hovering.card.isVisible()


def test_a_drag_resting_at_the_edge_scrolls_but_a_short_visit_does_not(
    hand, view, model, at, qtbot
):
    before = view.mapToScene(0, 0)
    edge = view.mapToScene(view.viewport().width() // 2, view.viewport().height() - 4)
    hand.drag(at("dense"), edge, drop=False)
    qtbot.wait(60)
    assert view.mapToScene(0, 0) == before
    qtbot.waitUntil(lambda: view.mapToScene(0, 0).y() > before.y() + 100)
    hand.key(Qt.Key.Key_Escape)
    assert model.position("dense") == (300, 300)


def test_the_view_keeps_still_while_a_wire_aims_at_a_port_near_the_edge(hand, view, at, qtbot):
    goal = at("add", "a")
    view.center_on(goal - QPointF(0, view.viewport().height() / 2 - 8))
    before = view.mapToScene(0, 0)
    hand.drag(at("relu", "y", output=True), goal, drop=False)
    qtbot.wait(700)
    assert view.mapToScene(0, 0) == before
    hand.key(Qt.Key.Key_Escape)
