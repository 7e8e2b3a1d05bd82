"""Search-to-add with the keyboard alone."""

from __future__ import annotations

from PySide6.QtCore import QLineF, QPointF, Qt

from graphstudio.i18n import set_language

K = Qt.Key
SHIFT = Qt.KeyboardModifier.ShiftModifier


def test_tab_opens_at_the_pointer_and_enter_places(hand, view, model):
    hand.move(QPointF(860, 100))
    hand.key(K.Key_Tab)
    assert view.search.isVisible()
    assert view.search.line.hasFocus()
    hand.type("c2", view.search.line)
    assert view.search.shown()[0] == "layer.conv2d"
    hand.key(K.Key_Return, target=view.search.line)
    assert not view.search.isVisible()
    assert view.hasFocus()
    (new,) = model.new_nodes()
    assert model.graph.nodes[new].type == "layer.conv2d"
    assert view.graph_scene.nodes[new].body_rect().contains(QPointF(860, 100))
    model.project.undo()
    assert not model.new_nodes()


def test_arrows_choose_and_escape_closes(hand, view, model):
    hand.key(K.Key_Tab)
    shown = view.search.shown()
    hand.key(K.Key_Down, target=view.search.line)
    hand.key(K.Key_Down, target=view.search.line)
    hand.key(K.Key_Up, target=view.search.line)
    hand.key(K.Key_Return, target=view.search.line)
    (new,) = model.new_nodes()
    assert model.graph.nodes[new].type == shown[1]
    hand.key(K.Key_Tab)
    hand.key(K.Key_Escape, target=view.search.line)
    assert not view.search.isVisible()
    assert view.hasFocus()
    assert len(model.new_nodes()) == 1


def test_shift_enter_wires_it_after_the_selection(hand, view, model):
    model.project.select({model["relu"]})
    hand.key(K.Key_Tab)
    hand.type("tanh", view.search.line)
    hand.key(K.Key_Return, SHIFT, target=view.search.line)
    (new,) = model.new_nodes()
    assert model.graph.wires[new, "x"].source == model["relu"]
    rects = [i.body_rect() for i in view.graph_scene.nodes.values()]
    assert not any(a.intersects(b) for i, a in enumerate(rects) for b in rects[:i])
    assert model.steps == 1


def test_shift_enter_joins_several_selected(hand, view, model):
    model.project.select({model["relu"], model["conv"]})
    hand.key(K.Key_Tab)
    hand.type("add", view.search.line)
    hand.key(K.Key_Return, SHIFT, target=view.search.line)
    (new,) = model.new_nodes()
    sources = {model.graph.wires[new, p].source for p in ("a", "b")}
    assert sources == {model["relu"], model["conv"]}


def test_keyboard_alone_builds_a_chain(hand, view, model):
    model.project.select({model["dense"]})
    for words in ("relu", "dropout", "dense"):
        hand.key(K.Key_Tab)
        hand.type(words, view.search.line)
        hand.key(K.Key_Return, SHIFT, target=view.search.line)
    (last,) = model.project.selection
    chain = []
    while (last, "x") in model.graph.wires and last != model["dense"]:
        chain.append(model.graph.nodes[last].type)
        last = model.graph.wires[last, "x"].source
    assert chain == ["layer.dense", "layer.dropout", "act.relu"]
    assert last == model["dense"]


def test_recent_types_come_first(hand, view, model):
    hand.key(K.Key_Tab)
    hand.type("gelu", view.search.line)
    hand.key(K.Key_Return, target=view.search.line)
    hand.key(K.Key_Tab)
    assert view.search.shown()[0] == "act.gelu"


def test_nothing_fits_is_said_and_enter_then_does_nothing(hand, view, model):
    hand.key(K.Key_Tab)
    hand.type("zzzzqq", view.search.line)
    assert view.search.shown() == []
    assert view.search.list.item(0).text() == "Nothing fits."
    hand.key(K.Key_Return, target=view.search.line)
    assert view.search.isVisible()
    assert not model.new_nodes()


def test_chinese_names_are_found(hand, view, model):
    set_language("zh")
    view.retranslate()
    hand.key(K.Key_Tab)
    hand.type("卷积", view.search.line)
    assert "layer.conv2d" in view.search.shown()


def test_a_click_elsewhere_closes(hand, view, model):
    hand.key(K.Key_Tab)
    hand.click(QPointF(-60, 700))
    assert not view.search.isVisible()


def test_box_stays_inside_the_view(hand, view, model):
    corner = view.mapToScene(view.viewport().rect().bottomRight())
    view.open_search(corner)
    assert view.rect().contains(view.search.geometry())


def test_nodes_added_at_one_place_lie_side_by_side(hand, view, model):
    """As when the keyboard adds one after the other and the pointer rests."""
    hand.move(QPointF(860, 100))
    for letters in ("dense", "c2", "relu", "tanh", "drop"):
        hand.key(K.Key_Tab)
        hand.type(letters, view.search.line)
        hand.key(K.Key_Return, target=view.search.line)
    for _ in range(3):
        view.add_at_center("act.relu")
    new = model.new_nodes()
    assert len(new) == 8
    bodies = {n: item.body_rect() for n, item in view.graph_scene.nodes.items()}
    for n in new:
        others = [body for other, body in bodies.items() if other != n]
        assert not any(body.intersects(bodies[n]) for body in others)
        assert QLineF(bodies[n].center(), view.visible_rect().center()).length() < 800
        assert bodies[n].left() % 20 == bodies[n].top() % 20 == 0
    last = model.project.selection
    assert all(view.visible_rect().contains(bodies[n]) for n in last)


def test_a_node_that_is_added_is_not_under_the_minimap(hand, view, model):
    view.resize(700, 420)
    view.center_on(QPointF(150, 50))
    model.project.select({model["input"]})
    for _ in range(6):
        hand.key(K.Key_Tab)
        hand.type("relu", view.search.line)
        hand.key(K.Key_Return, SHIFT, target=view.search.line)
        (node,) = model.project.selection
        body = view.mapFromScene(view.graph_scene.nodes[node].body_rect()).boundingRect()
        assert view.minimap.isVisible()
        assert not body.intersects(view.minimap.geometry())
        assert view.viewport().rect().contains(body)
