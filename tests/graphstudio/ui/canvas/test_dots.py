"""Reroute dots: they lead a wire, go along with its nodes, and mean nothing."""

from __future__ import annotations

from itertools import pairwise

import pytest
from PySide6.QtCore import QPointF, Qt

from graphstudio.document import commands, format
from graphstudio.services.export import preview
from graphstudio.ui.canvas.hit import Hit, hit_test

CTRL, ALT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.AltModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def key(model):
    """The wire from the convolution to the ReLU."""
    return (model["relu"], "x")


@pytest.fixture
def lead(model, key):
    """Leads that wire over these dots."""

    def put(*points) -> None:
        project = model.project
        project.push(commands.set_route(project.document, "main", key, points))

    return put


def middle(view, key) -> QPointF:
    path = view.graph_scene.wires[key].path
    return path.pointAtPercent(0.5)


def route(model, key):
    return model.graph.wires[key].route


def test_a_double_click_puts_a_dot_on_the_wire_and_another_takes_it_away(hand, view, model, key):
    view.toggle_labels()  # the label in the middle would be hit
    before, steps = model.text(), model.steps
    at = middle(view, key)
    hand.double_click(at)
    ((x, y),) = route(model, key)
    assert (x, y) == pytest.approx((at.x(), at.y()), abs=6)
    assert model.steps == steps + 1
    assert (x, y) in view.graph_scene.wires[key].points()
    hand.double_click(QPointF(x, y))
    assert route(model, key) == ()
    model.project.undo()
    model.project.undo()
    assert model.text() == before


def test_a_label_too_small_to_be_drawn_is_not_in_the_way_of_a_dot(view, key):
    rect = view.graph_scene.wires[key].label_rect
    at = rect.center()
    assert hit_test(view.graph_scene, at, 0.6).kind == "label"
    assert hit_test(view.graph_scene, at, 0.5) == Hit("wire", wire=key)


def test_dots_keep_the_order_in_which_the_wire_runs(view, model, key, lead):
    lead((520.0, 160.0), (570.0, 220.0))
    scene = view.graph_scene
    ends = [c[0] for c in scene.wires[key].curves] + [scene.wires[key].curves[-1][3]]
    for place, (a, b) in enumerate(pairwise(ends)):
        between = QPointF((a[0] + b[0]) / 2, (a[1] + b[1]) / 2)
        view.edits.add_dot(key, between)
        new = route(model, key)
        assert len(new) == 3
        assert new[:place] + new[place + 1 :] == ((520.0, 160.0), (570.0, 220.0))
        model.project.undo()


def test_a_wire_that_leads_back_stays_around_its_nodes(view, model):
    key = (model["flatten"], "x")
    assert len(view.graph_scene.wires[key].curves) > 1
    view.edits.add_dot(key, QPointF(400, 190))
    first, dot, last = route(model, key)
    assert dot == (400.0, 200.0)
    assert first[1] == last[1] == 200.0
    assert last[0] < 0 < 400 < first[0]
    bodies = [i.body_rect().adjusted(4, 4, -4, -4) for i in view.graph_scene.nodes.values()]
    for x, y in view.graph_scene.wires[key].points():
        assert not any(body.contains(x, y) for body in bodies)


def test_a_wire_has_no_corner_and_no_loop_at_its_dots(view, model, key, lead):
    lead((520.0, 80.0), (560.0, 90.0))
    before, at, behind = view.graph_scene.wires[key].curves
    for one, next_ in ((before, at), (at, behind)):
        (ax, ay), (bx, by) = one[2], next_[0]
        cx, cy = next_[1]
        assert (bx - ax) * (cy - by) == pytest.approx((by - ay) * (cx - bx), abs=1e-6)
    xs = [x for x, _ in view.graph_scene.wires[key].points()]
    assert xs == sorted(xs)


def test_a_dot_is_dragged_on_the_grid_in_one_step(hand, view, model, key, lead):
    lead((540.0, 160.0))
    steps, before = model.steps, model.text()
    hand.drag(QPointF(540, 160), QPointF(533, 227))
    assert route(model, key) == ((540.0, 220.0),)
    assert model.steps == steps + 1
    model.project.undo()
    assert model.text() == before
    hand.drag(QPointF(540, 160), QPointF(533, 227), modifiers=CTRL)
    assert route(model, key) == ((533.0, 227.0),)


def test_a_dot_near_the_height_of_a_port_makes_the_wire_level(hand, view, model, key, lead):
    lead((540.0, 160.0))
    port = view.graph_scene.nodes[model["conv"]].port_pos("y", True).y()
    hand.drag(QPointF(540, 160), QPointF(540, port + 7))
    assert route(model, key) == ((540.0, port),)


def test_escape_leaves_the_dot_where_it_was(hand, view, model, key, lead):
    lead((540.0, 160.0))
    before = model.text()
    hand.drag(QPointF(540, 160), QPointF(533, 300), drop=False)
    assert (540.0, 300.0) in view.graph_scene.wires[key].points()
    hand.key(Qt.Key.Key_Escape)
    hand.release(QPointF(533, 300))
    assert model.text() == before
    assert (540.0, 160.0) in view.graph_scene.wires[key].points()


def test_a_click_on_a_dot_selects_its_wire_and_alt_removes_the_dot(hand, view, model, key, lead):
    lead((540.0, 160.0))
    hand.click(QPointF(541, 161))
    assert view.selecting.wires == {key}
    assert route(model, key) == ((540.0, 160.0),)
    hand.click(QPointF(541, 161), modifiers=ALT)
    assert route(model, key) == ()
    assert key in model.graph.wires


def test_of_two_dots_in_reach_the_nearest_is_meant(view, model, key, lead):
    lead((540.0, 160.0), (550.0, 160.0))
    scene = view.graph_scene
    assert hit_test(scene, QPointF(543, 161), 1.0) == Hit("dot", wire=key, dot=0)
    assert hit_test(scene, QPointF(547, 161), 1.0) == Hit("dot", wire=key, dot=1)
    other = (model["dense"], "x")
    lead_other = commands.set_route(model.project.document, "main", other, [(545.0, 165.0)])
    model.project.push(lead_other)
    assert hit_test(scene, QPointF(545, 166), 1.0) == Hit("dot", wire=other, dot=0)
    assert hit_test(scene, QPointF(548, 161), 1.0) == Hit("dot", wire=key, dot=1)


def test_dots_go_along_when_both_ends_move(hand, view, model, key, lead, at):
    lead((540.0, 160.0))
    model.project.select({model["conv"], model["relu"]})
    steps = model.steps
    start = at("conv")
    hand.drag(start, start + QPointF(40, -60), drop=False)
    wire = view.graph_scene.wires[key]
    assert wire.mapToScene(QPointF(540, 160)) == QPointF(580, 100)
    hand.release(start + QPointF(40, -60))
    assert route(model, key) == ((580.0, 100.0),)
    assert view.graph_scene.wires[key].pos() == QPointF()
    assert model.steps == steps + 1
    model.project.undo()
    assert route(model, key) == ((540.0, 160.0),)


def test_dots_stay_when_one_end_moves(hand, model, key, lead, at):
    lead((540.0, 160.0))
    hand.drag(at("conv"), at("conv") + QPointF(0, -60))
    assert route(model, key) == ((540.0, 160.0),)


def test_arrows_move_dots_along_too(view, model, key, lead):
    lead((540.0, 160.0))
    model.project.select({model["conv"], model["relu"]})
    view.nudge(1, 0)
    assert route(model, key) == ((560.0, 160.0),)


def test_dots_go_along_by_a_distance_that_no_float_holds(view, model, key, lead):
    lead((540.0, 160.0))
    nodes = model.graph.nodes
    view.edits.move({model["conv"]: (0.1, 7.3), model["relu"]: (901.7, 11.9)})
    ends = (model["conv"], model["relu"])
    places = {n: (nodes[n].position[0] + 33.7, nodes[n].position[1] + 33.7) for n in ends}
    shifts = {places[n][0] - nodes[n].position[0] for n in ends}
    assert len(shifts) == 2  # they differ in the last bits
    view.edits.move(places)
    assert route(model, key) == ((573.7, 193.7),)


def test_an_arranged_graph_has_no_dots_of_the_old_drawing(view, model, key, lead):
    lead((540.0, 160.0))
    steps = model.steps
    view.auto_layout()
    assert route(model, key) == ()
    assert model.steps == steps + 1


def test_a_key_puts_dots_on_selected_wires(hand, view, model, key):
    said = []
    view.status_message.connect(said.append)
    view.add_dots()
    assert said == ["Select a wire, or two nodes that are connected."]
    model.project.select({model["conv"], model["relu"]})
    steps = model.steps
    hand.key(Qt.Key.Key_R, Qt.KeyboardModifier.ShiftModifier, "R")
    (dot,) = route(model, key)
    assert dot == pytest.approx(middle(view, key).toTuple(), abs=1)
    view.selecting.wire(key)
    view.add_dots()
    assert len(route(model, key)) == 2
    assert model.steps == steps + 2


def test_arrows_move_the_chosen_dot_and_a_burst_is_one_step(hand, view, model, key, lead):
    lead((540.0, 160.0), (570.0, 220.0))
    before, steps = model.text(), model.steps
    hand.click(QPointF(570, 220))
    assert view.selecting.dot == 1
    hand.key(Qt.Key.Key_Right)
    hand.key(Qt.Key.Key_Down, SHIFT)
    assert route(model, key) == ((540.0, 160.0), (590.0, 320.0))
    assert model.steps == steps + 1
    model.project.undo()
    assert model.text() == before
    view.selecting.wire(key)
    hand.key(Qt.Key.Key_Up)
    assert route(model, key) == ((540.0, 140.0), (570.0, 200.0)), "without one, all of the wire"


def test_brackets_lead_along_the_dots_of_a_wire_to_its_nodes(hand, view, model, key, lead):
    lead((540.0, 160.0), (570.0, 220.0))
    before, after = (Qt.Key.Key_BracketLeft, "["), (Qt.Key.Key_BracketRight, "]")

    def step(way) -> int | None:
        hand.key(way[0], text=way[1])
        return view.selecting.dot

    view.selecting.wire(key)
    assert [step(after), step(after), step(before)] == [0, 1, 0]
    assert step(before) is None
    assert model.project.selection == {model["conv"]}
    assert view.selecting.wires == frozenset()
    view.selecting.wire(key)
    assert [step(before), step(after)] == [1, None]
    assert model.project.selection == {model["relu"]}


def test_a_new_dot_is_led_and_deleted_by_keys_alone(hand, view, model, key):
    model.project.select({model["conv"], model["relu"]})
    hand.key(Qt.Key.Key_R, SHIFT, "R")
    ((x, y),) = route(model, key)
    assert (view.selecting.wires, view.selecting.dot) == ({key}, 0)
    hand.key(Qt.Key.Key_Down, SHIFT)
    assert route(model, key) == ((x, y + 100),)
    hand.key(Qt.Key.Key_Delete)
    assert route(model, key) == ()
    assert view.selecting.dot is None
    hand.key(Qt.Key.Key_Delete)
    assert key not in model.graph.wires


@pytest.mark.parametrize("zoom", [1.0, 0.35])
def test_the_chosen_dot_is_marked_and_forgotten_when_it_goes(view, model, key, lead, zoom):
    lead((540.0, 160.0), (570.0, 220.0))
    view.set_zoom(zoom)
    view.selecting.wire(key, dot=1)
    view.centerOn(570, 220)
    marked = view.grab().toImage()
    view.selecting.wire(key)
    assert view.grab().toImage() != marked
    view.selecting.wire(key, dot=1)
    lead((540.0, 160.0))
    assert view.selecting.dot is None
    view.grab()


@pytest.mark.parametrize("fresh", [True, False], ids=["new", "old"])
def test_a_node_on_a_led_wire_leaves_the_dots_before_and_behind_it(view, model, key, fresh):
    """The wire is led under its row and up again; the node is put on the stretch below."""
    scene = view.graph_scene
    route = [(540.0, 300.0), (900.0, 300.0), (1100.0, 300.0), (1500.0, 300.0)]
    project = model.project
    project.push(commands.move_nodes(project.document, "main", {model["relu"]: (1600.0, 0.0)}))
    project.push(commands.set_route(project.document, "main", key, route))
    end, steps = model.position("relu")[0], model.steps
    what = "act.tanh" if fresh else model["dropout"]
    view.edits.insert_on_wire(what, key, (920.0, 260.0))
    (node,) = model.new_nodes() if fresh else [what]
    assert model.steps == steps + 1
    assert model.graph.wires[node, "x"].route == ((540.0, 300.0),)
    assert model.graph.wires[key].source == node
    assert model.graph.wires[key].route == ((1500.0, 300.0),)
    body = scene.nodes[node].body_rect()
    assert not any(body.contains(QPointF(*dot)) for dot in route if dot[0] in (540.0, 1500.0))
    assert model.position("relu")[0] == end


def test_dots_behind_an_inserted_node_go_along_with_the_end_of_the_wire(view, model, key, lead):
    """Room is made by moving the target, so the stretch before it moves, too."""
    document = model.project.document
    model.project.push(commands.move_nodes(document, "main", {model["relu"]: (800.0, 0.0)}))
    lead((790.0, 64.0))
    view.edits.insert_on_wire("act.tanh", key, (600.0, 0.0))
    assert model.position("relu") == (820.0, 0.0)
    assert model.graph.wires[key].route == ((810.0, 64.0),)


@pytest.mark.qt_log_ignore("This plugin does not support")  # offscreen popups
def test_the_menu_of_a_dot_removes_it(hand, view, model, key, lead):
    lead((540.0, 160.0))
    menu = hand.menu(QPointF(540, 160))
    next(a for a in menu.actions() if a.text() == "Remove the dot").trigger()
    menu.close()
    assert route(model, key) == ()


def test_dots_are_saved_and_absent_from_shapes_and_code(model, key, lead):
    project = model.project
    document = project.document
    source = (model["dense"], "y")
    _, changes = commands.add_node(
        document, "main", "loss.cross_entropy", (600, 300), connect_from=source
    )
    project.push(("loss", changes))
    loss = next(n.id for n in document.main.nodes.values() if n.type == "loss.cross_entropy")
    _, changes = commands.add_node(document, "main", "io.target", (300, 500))
    project.push(("target", changes))
    target = next(n.id for n in document.main.nodes.values() if n.type == "io.target")
    project.push(commands.connect(document, "main", target, "y", loss, "target"))
    types = project.check_now().nodes
    scripts = {t: preview(project.checker.freeze(), t).files for t in ("pytorch", "keras")}
    lead((540.0, 160.0), (560.0, 200.0))
    assert project.check_now().nodes == types
    assert {t: preview(project.checker.freeze(), t).files for t in scripts} == scripts
    again = format.loads(format.dumps(document)).document
    assert again.main.wires[key].route == ((540.0, 160.0), (560.0, 200.0))
