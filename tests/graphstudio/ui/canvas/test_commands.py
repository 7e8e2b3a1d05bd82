"""What keys do on the canvas: through real key events, each undone again."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QGuiApplication, QKeySequence

from graphstudio.document.changes import AddNode
from graphstudio.document.model import Node
from graphstudio.i18n import set_language
from graphstudio.nodes.types import Message
from graphstudio.ui.canvas.room import free_place
from graphstudio.ui.project import Project

K = Qt.Key
CTRL, SHIFT, ALT = (
    Qt.KeyboardModifier.ControlModifier,
    Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.AltModifier,
)


def test_copy_paste_at_the_pointer_keeps_inner_wires(hand, view, model):
    model.project.select({model["conv"], model["relu"]})
    hand.key(K.Key_C, CTRL)
    hand.move(QPointF(860, 200))
    hand.key(K.Key_V, CTRL)
    new = model.new_nodes()
    assert len(new) == 2
    assert model.project.selection == set(new)
    inner = [w for w in model.graph.wires.values() if w.target in new]
    assert [(w.source in new) for w in inner] == [True]
    left = min(model.graph.nodes[n].position[0] for n in new)
    assert left == 860
    model.project.undo()
    assert not model.new_nodes()


def test_paste_keeping_inputs_wires_the_copy_to_the_same_source(hand, model):
    model.project.select({model["conv"]})
    hand.key(K.Key_C, CTRL)
    hand.move(QPointF(860, 200))
    hand.key(K.Key_V, CTRL | SHIFT)
    (new,) = model.new_nodes()
    assert model.graph.wires[new, "x"].source == model["input"]


def test_cut_removes_and_paste_brings_back(hand, model):
    model.project.select({model["dropout"]})
    hand.key(K.Key_X, CTRL)
    assert model["dropout"] not in model.graph.nodes
    hand.key(K.Key_V, CTRL)
    assert [model.graph.nodes[n].type for n in model.new_nodes()] == ["layer.dropout"]


def test_a_foreign_clipboard_is_refused_with_words(hand, view, model):
    said = []
    view.status_message.connect(said.append)
    QGuiApplication.clipboard().setText("just words {")
    before = model.text()
    hand.key(K.Key_V, CTRL)
    assert model.text() == before
    assert said == ["The clipboard holds no nodes."]


def test_duplicate_shifts_the_copy(hand, model):
    model.project.select({model["conv"]})
    hand.key(K.Key_D, CTRL)
    (new,) = model.new_nodes()
    assert model.graph.nodes[new].position == (340, 40)
    assert model.graph.nodes[new].params == model.graph.nodes[model["conv"]].params


def test_delete_takes_the_wires_along_in_one_step(hand, model):
    before = model.text()
    model.project.select({model["relu"]})
    hand.key(K.Key_Delete)
    assert model["relu"] not in model.graph.nodes
    assert not any("relu" in w for w in model.wires())
    assert model.steps == 1
    model.project.undo()
    assert model.text() == before


def test_delete_and_heal_bridges_the_gap(hand, model):
    model.project.select({model["relu"]})
    hand.key(K.Key_Delete, CTRL)
    assert ("conv", "y", "flatten", "x") in model.wires()


def test_delete_removes_selected_wires_and_frames(hand, view, model):
    frame = view.edits.frame_around({model["conv"]})
    view.selecting.wire((model["dense"], "x"))
    hand.key(K.Key_Backspace)
    assert ("flatten", "y", "dense", "x") not in model.wires()
    view.selecting.frame(frame)
    hand.key(K.Key_Delete)
    assert not model.graph.frames
    assert model["conv"] in model.graph.nodes


def test_arrows_nudge_and_a_burst_is_one_step(hand, model):
    model.project.select({model["conv"]})
    for _ in range(3):
        hand.key(K.Key_Right)
    hand.key(K.Key_Down, SHIFT)
    assert model.position("conv") == (360, 100)
    assert model.steps == 1
    model.project.undo()
    assert model.position("conv") == (300, 0)


def test_two_bursts_are_two_steps(hand, view, model, qtbot):
    model.project.select({model["conv"]})
    hand.key(K.Key_Right)
    qtbot.wait(800)
    hand.key(K.Key_Right)
    assert model.steps == 2


def test_select_all_none_invert(hand, model):
    hand.key(K.Key_A, CTRL)
    assert model.project.selection == set(model.graph.nodes)
    hand.key(K.Key_A, CTRL | SHIFT)
    assert not model.project.selection
    model.project.select({model["conv"]})
    hand.key(K.Key_I, CTRL)
    assert model.project.selection == set(model.graph.nodes) - {model["conv"]}
    hand.key(K.Key_Escape)
    assert not model.project.selection


def test_brackets_walk_along_the_wires(hand, model):
    model.project.select({model["conv"]})
    hand.key(K.Key_BracketRight, text="]")
    assert model.project.selection == {model["relu"]}
    hand.key(K.Key_BracketLeft, text="[")
    assert model.project.selection == {model["conv"]}
    hand.key(K.Key_BraceRight, SHIFT, text="}")
    assert model.project.selection == {model[n] for n in ("conv", "relu", "flatten", "dense")}


def test_alt_arrows_go_to_the_nearest_node(hand, model):
    model.project.select({model["conv"]})
    hand.key(K.Key_Right, ALT)
    assert model.project.selection == {model["relu"]}
    hand.key(K.Key_Down, ALT)
    assert model.project.selection == {model["dropout"]}
    hand.key(K.Key_Left, ALT)
    assert model.project.selection == {model["dense"]}


def test_f2_renames(hand, view, model):
    model.project.select({model["dense"]})
    hand.key(K.Key_F2)
    assert view.rename_editor.isVisible()
    view.rename_editor.setText("Head")
    hand.key(K.Key_Return, target=view.rename_editor)
    assert model.graph.nodes[model["dense"]].label == "Head"


def test_bypass_and_its_refusal(hand, view, model):
    said = []
    view.status_message.connect(said.append)
    model.project.select({model["relu"]})
    hand.key(K.Key_M, text="m")
    assert model.graph.nodes[model["relu"]].bypass
    assert view.graph_scene.nodes[model["relu"]].face.bypass
    hand.key(K.Key_M, text="m")
    assert not model.graph.nodes[model["relu"]].bypass
    model.project.select({model["input"]})
    hand.key(K.Key_M, text="m")
    assert not model.graph.nodes[model["input"]].bypass
    assert "cannot be bypassed" in said[-1]


def test_j_connects_in_order(hand, model):
    model.project.select({model["relu"], model["dropout"]})
    hand.key(K.Key_J, text="j")
    wires = model.wires()
    assert ("relu", "y", "dropout", "x") in wires or ("dropout", "y", "relu", "x") in wires


def test_align(hand, model):
    model.project.select({model["conv"], model["dense"], model["dropout"]})
    hand.key(K.Key_Left, CTRL | ALT)
    assert {model.position(n)[0] for n in ("conv", "dense", "dropout")} == {300}
    model.project.undo()
    assert model.position("dropout") == (600, 300)


def test_shift_c_frames_the_selection_and_asks_for_a_title(hand, view, model):
    model.project.select({model["conv"], model["relu"]})
    hand.key(K.Key_C, SHIFT, text="C")
    (frame,) = model.graph.frames.values()
    assert view.rename_editor.isVisible()
    view.rename_editor.setText("Stem")
    hand.key(K.Key_Return, target=view.rename_editor)
    assert model.graph.frames[frame.id].title == "Stem"
    assert set(view.graph_scene.children_of(frame.id)) == {model["conv"], model["relu"]}


def test_layout_has_no_overlap_and_is_one_step(hand, view, model):
    hand.key(K.Key_L, CTRL)
    assert model.steps == 1
    rects = [i.body_rect() for i in view.graph_scene.nodes.values()]
    assert not any(a.intersects(b) for i, a in enumerate(rects) for b in rects[:i])
    for wire in model.graph.wires.values():
        a, b = view.graph_scene.nodes[wire.source], view.graph_scene.nodes[wire.target]
        assert a.body_rect().right() < b.body_rect().left()
    model.project.undo()
    assert model.position("flatten") == (0, 300)


def test_layout_of_a_selection_leaves_the_others(hand, view, model):
    before = {n: model.position(n) for n in ("input", "dropout", "add")}
    model.project.select({model["conv"], model["relu"], model["flatten"]})
    hand.key(K.Key_L, CTRL)
    assert before == {n: model.position(n) for n in before}
    rects = [i.body_rect() for i in view.graph_scene.nodes.values()]
    assert not any(a.intersects(b) for i, a in enumerate(rects) for b in rects[:i])


def test_fit_and_zoom_keys(hand, view, model):
    hand.key(K.Key_Plus, CTRL)
    assert view.zoom == pytest.approx(1.15)
    hand.key(K.Key_0, CTRL)
    assert view.zoom == 1.0
    hand.key(K.Key_Home)
    assert view.visible_rect().contains(view.content_rect())
    view.set_zoom(2.0)
    model.project.select({model["conv"]})
    hand.key(K.Key_F, text="f")
    assert view.visible_rect().contains(view.graph_scene.nodes[model["conv"]].body_rect())
    assert view.zoom == 1.0
    hand.key(K.Key_A, text="a")
    assert view.visible_rect().contains(view.content_rect())


def test_t_shows_and_hides_the_shapes(hand, view, model):
    wire = view.graph_scene.wires[model["relu"], "x"]
    view.graph_scene.place_labels()
    assert wire.label_rect is not None
    hand.key(K.Key_T, text="t")
    assert wire.label_rect is None
    hand.key(K.Key_T, text="t")
    view.graph_scene.place_labels()
    assert wire.label_rect is not None


def test_undo_scrolls_to_what_it_changed(hand, view, model):
    model.project.select({model["conv"]})
    hand.key(K.Key_Right)
    view.center_on(QPointF(9000, 9000))
    hand.key(K.Key_Z, CTRL)
    assert model.position("conv") == (300, 0)
    assert view.visible_rect().intersects(view.graph_scene.nodes[model["conv"]].body_rect())
    hand.key(K.Key_Z, CTRL | SHIFT)
    assert model.position("conv") == (320, 0)


def test_minimap_shows_only_what_is_out_of_view(hand, view, model):
    view.fit_all()
    assert not view.minimap.isVisible()
    view.set_zoom(2.0)
    assert view.minimap.isVisible()
    hand.key(K.Key_M, CTRL)
    assert not view.minimap.isVisible()


def test_reveal_brings_a_node_into_view(view, model):
    view.set_zoom(0.1)
    view.center_on(QPointF(5000, 5000))
    view.reveal(model["dense"])
    assert view.visible_rect().contains(view.graph_scene.nodes[model["dense"]].body_rect())
    assert view.zoom == 1.0
    assert model.project.selection == {model["dense"]}


def test_view_state_is_kept_without_an_undo_step(view, model, theme, qtbot):
    view.set_zoom(1.5)
    view.center_on(QPointF(111, 222))
    assert not view.visible_rect().contains(view.content_rect())
    qtbot.waitUntil(lambda: model.project.document.view.get("canvas", {}).get("zoom") == 1.5)
    assert model.project.history.clean
    again = type(view)(Project(model.project.document), theme)
    qtbot.addWidget(again)
    again.resize(view.size())
    again.show()
    assert again.zoom == 1.5


@pytest.mark.parametrize(
    "kept", [None, {}, {"zoom": "x", "center": [0, 0]}, {"zoom": 1e99}, {"zoom": 1, "center": [1]}]
)
def test_nonsense_in_the_kept_view_is_passed_over(kept, model, theme, qtbot):
    model.project.document.view["canvas"] = kept
    view = type_of_view()(model.project, theme)
    qtbot.addWidget(view)
    view.resize(900, 700)
    view.show()
    assert view.visible_rect().contains(view.content_rect())


def type_of_view():
    from graphstudio.ui.canvas.view import GraphView

    return GraphView


def test_every_action_has_its_own_keys_in_portable_spelling(view):
    seen = {}
    for action in view.actions_table():
        for key in action.keys:
            assert key not in seen, f"{key} is both {seen[key]} and {action.id}"
            seen[key] = action.id
            assert QKeySequence(key).toString(QKeySequence.SequenceFormat.PortableText) == key
    ids = [a.id for a in view.actions_table()]
    assert len(ids) == len(set(ids))


def test_keys_do_nothing_while_a_name_is_edited(hand, view, model):
    model.project.select({model["conv"]})
    view.rename(model["conv"])
    view.rename_editor.setText("")
    hand.type("max", view.rename_editor)
    assert view.rename_editor.text() == "max"
    assert not model.graph.nodes[model["conv"]].bypass


def test_texts_follow_the_language(view, model):
    face = view.graph_scene.nodes[model["conv"]].face
    assert face.count.shown.endswith("params")
    set_language("zh")
    view.retranslate()
    assert "参数" in view.graph_scene.nodes[model["conv"]].face.count.shown


def test_in_a_drawing_that_is_full_all_around_a_new_node_covers_none(view, model):
    project = model.project
    nodes = [
        Node(
            id=f"full{i}.{j}",
            type="act.relu",
            label=f"full {i} {j}",
            position=(i * 200.0 - 2000, j * 100.0 - 1200),
        )
        for i in range(20)
        for j in range(24)
    ]
    project.push((Message("Add"), [AddNode("main", n) for n in nodes]))
    scene = view.graph_scene
    body = QRectF(scene.nodes["full10.12"].body_rect())
    others = [item.body_rect() for item in scene.nodes.values()]
    place = free_place(scene, body)
    assert not any(other.intersects(QRectF(place, body.size())) for other in others)
    assert place.x() > body.x() + 800  # there was none nearer
    assert place.y() == body.y()
