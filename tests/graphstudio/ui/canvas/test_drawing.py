"""What is drawn where: structure that pixels would only hint at."""

from __future__ import annotations

import itertools

import pytest
from PySide6.QtCore import QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QFontMetricsF, QImage

from graphstudio.document import commands
from graphstudio.document.changes import AddNode, PutFrame
from graphstudio.document.model import Document, Node, Wire
from graphstudio.i18n import set_language
from graphstudio.ui.canvas.face import NodeFace
from graphstudio.ui.canvas.lifting import Lift
from graphstudio.ui.canvas.picture import PNG_SCALE, Picture
from graphstudio.ui.canvas.style import CanvasStyle
from graphstudio.ui.canvas.view import GraphView
from graphstudio.ui.project import Project
from graphstudio.ui.theme import DARK, LIGHT


def picture(view: GraphView) -> QImage:
    view.graph_scene.place_labels(5.0)
    return view.grab().toImage()


def test_wires_end_on_port_centres(view, model, hand, at):
    hand.drag(at("conv"), at("conv") + QPointF(130, 90))
    for key, item in view.graph_scene.wires.items():
        wire = model.graph.wires[key]
        a = view.graph_scene.nodes[wire.source].port_pos(wire.source_port, True)
        b = view.graph_scene.nodes[wire.target].port_pos(wire.target_port, False)
        start, end = item.path.pointAtPercent(0), item.path.pointAtPercent(1)
        assert (start - a).manhattanLength() <= 1
        assert (end - b).manhattanLength() <= 1


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_text_is_wider_than_its_box(view, model, language):
    set_language(language)
    view.retranslate()
    view.edits.rename(model["conv"], "A name that is far too long for any node to show " * 3)
    for item in view.graph_scene.nodes.values():
        face = item.face
        assert 33 + face.title.width <= face.width - 12
        assert 12 + face.info.width <= face.width - 8
        used = sum(t.width for t in (face.shape, face.count) if t is not None)
        assert used <= face.width - 24 + 0.5
        for left, right in itertools.zip_longest(face.input_labels, face.output_labels):
            both = (left.width if left else 0) + (right.width if right else 0)
            assert both <= face.width - 24


def test_labels_touch_no_node_and_no_other_label(view, model, hand):
    for _ in range(3):
        view.edits.duplicate([model["conv"], model["relu"]])
    view.auto_layout()
    view.graph_scene.place_labels(5.0)
    rects = [w.label_rect for w in view.graph_scene.wires.values() if w.label_rect is not None]
    assert rects
    bodies = [n.body_rect() for n in view.graph_scene.nodes.values()]
    assert not any(r.intersects(b) for r in rects for b in bodies)
    assert not any(a.intersects(b) for a, b in itertools.combinations(rects, 2))
    for wire in view.graph_scene.wires.values():
        if wire.label_rect is not None:
            assert wire.label.width <= wire.label_rect.width() - 8
            assert wire.boundingRect().contains(wire.label_rect)


def test_a_wire_that_is_too_short_has_no_label(view, model):
    view.edits.move({model["relu"]: (540.0, 0.0)})
    view.graph_scene.place_labels(5.0)
    assert view.graph_scene.wires[model["relu"], "x"].label_rect is None
    view.edits.move({model["relu"]: (640.0, 0.0)})
    view.graph_scene.place_labels(5.0)
    assert view.graph_scene.wires[model["relu"], "x"].label_rect is not None


def test_a_node_dropped_on_a_label_pushes_it_away(view, model):
    view.graph_scene.place_labels(5.0)
    label = view.graph_scene.wires[model["relu"], "x"].label_rect
    view.edits.move({model["dropout"]: (label.center().x() - 90, label.top() - 60)})
    view.graph_scene.place_labels(5.0)
    moved = view.graph_scene.wires[model["relu"], "x"].label_rect
    body = view.graph_scene.nodes[model["dropout"]].body_rect()
    assert moved is None or not moved.intersects(body)


def test_wire_shows_the_shape_that_the_checker_found(view, model):
    assert view.graph_scene.wires[model["relu"], "x"].label.full == "(N, 8, 8, 8)"
    model.project.push(
        commands.set_param(model.project.document, "main", [model["conv"]], "filters", 5)
    )
    model.project.check_now()
    assert view.graph_scene.wires[model["relu"], "x"].label.full == "(N, 5, 8, 8)"
    assert view.graph_scene.nodes[model["conv"]].face.shape.full == "(N, 5, 8, 8)"


def test_errors_and_warnings_have_badges_and_blocked_nodes_are_not_red(view, model):
    model.project.push(
        commands.connect(model.project.document, "main", model["conv"], "y", model["dense"], "x")
    )
    model.project.push(
        commands.connect(model.project.document, "main", model["dense"], "y", model["dropout"], "x")
    )
    model.project.check_now()
    nodes = view.graph_scene.nodes
    assert nodes[model["dense"]].face.badge == "error"
    assert nodes[model["dropout"]].face.badge == "blocked"
    assert view.graph_scene.wires[model["dense"], "x"].state == "error"
    assert view.graph_scene.wires[model["dropout"], "x"].state == "unknown"


def test_unknown_types_and_ports_are_drawn(qtbot, theme):
    document = Document()
    graph = document.main
    graph.nodes["a"] = Node(id="a", type="layer.from_the_future", label="Mystery")
    graph.nodes["b"] = Node(id="b", type="act.relu", label="ReLU", position=(300, 0))
    wire = Wire(source="a", source_port="odd", target="b", target_port="x")
    graph.wires[wire.key] = wire
    view = GraphView(Project(document), theme)
    qtbot.addWidget(view)
    view.resize(800, 500)
    view.show()
    face = view.graph_scene.nodes["a"].face
    assert not face.known
    assert list(face.outputs) == ["odd"]
    assert "layer.from_the_future" in face.info.full
    assert not picture(view).isNull()


def test_nodes_come_and_go_with_their_wires(view, model):
    view.select_all()
    view.delete_selection()
    assert not view.graph_scene.nodes
    assert not view.graph_scene.wires
    model.project.undo()
    assert view.graph_scene.nodes.keys() == model.graph.nodes.keys()
    assert view.graph_scene.wires.keys() == model.graph.wires.keys()


def test_scene_follows_a_long_random_history(view, model):
    """After every step the items say what the document says."""
    import random

    rng = random.Random(7)
    doc = model.project.document
    for _ in range(150):
        nodes = list(model.graph.nodes)
        match rng.randrange(7):
            case 0:
                view.edits.add("act.relu", (rng.randrange(2000), rng.randrange(2000)))
            case 1 if nodes:
                view.edits.delete(rng.sample(nodes, 1), heal=rng.random() < 0.5)
            case 2 if nodes:
                view.edits.move({rng.choice(nodes): (rng.randrange(900), rng.randrange(900))})
            case 3 if model.graph.wires:
                view.edits.disconnect([rng.choice(list(model.graph.wires))])
            case 4 if len(nodes) > 1:
                a, b = rng.sample(nodes, 2)
                face = view.graph_scene.nodes[b].face
                if (
                    face.inputs
                    and model.project.checker.refusal(a, "y", b, next(iter(face.inputs))) is None
                ):
                    view.edits.connect([((a, "y"), (b, next(iter(face.inputs))))])
            case 5:
                model.project.undo()
            case 6:
                model.project.redo()
        model.project.check_now()
        scene = view.graph_scene
        assert scene.nodes.keys() == model.graph.nodes.keys()
        assert scene.wires.keys() == model.graph.wires.keys()
        for node_id, item in scene.nodes.items():
            assert (item.pos().x(), item.pos().y()) == doc.main.nodes[node_id].position
            linked = {
                (w.source_port, True) if w.source == node_id else (w.target_port, False)
                for w in model.graph.wires_of(node_id)
            }
            assert set(item.state.connected) == linked


@pytest.mark.parametrize("zoom", [0.1, 0.44, 0.46, 1.0, 2.0])
@pytest.mark.parametrize("tokens", ["dark", "light"])
def test_every_zoom_and_theme_paints(view, theme, zoom, tokens):
    theme.use(tokens)
    view.set_zoom(zoom)
    image = picture(view)
    colours = {image.pixelColor(x, y).name() for x in range(0, 1200, 7) for y in range(0, 860, 7)}
    assert len(colours) > 8
    canvas = (DARK if tokens == "dark" else LIGHT).canvas
    assert image.pixelColor(3, 3).name() in colours
    assert canvas in colours


def test_theme_switch_repaints_nodes(view, theme, model):
    center = view.graph_scene.nodes[model["conv"]].body_rect().center() + QPointF(0, 14)
    theme.use("dark")
    dark = picture(view).pixelColor(view.mapFromScene(center))
    theme.use("light")
    light = picture(view).pixelColor(view.mapFromScene(center))
    assert light.lightness() > dark.lightness() + 80


def test_header_has_the_colour_of_the_category(view, model):
    pos = view.graph_scene.nodes[model["conv"]].pos() + QPointF(120, 5)
    assert picture(view).pixelColor(view.mapFromScene(pos)).name() == DARK.cat_convolution


@pytest.mark.parametrize("tokens", [DARK, LIGHT], ids=["dark", "light"])
def test_text_contrast(tokens):
    from graphstudio.ui.style import contrast

    for ink, ground in (
        (tokens.text, tokens.node_body),
        (tokens.text_dim, tokens.node_body),
        (tokens.wire_label, tokens.canvas),
        (tokens.text_dim, tokens.panel),
    ):
        assert contrast(ink, ground) >= 4.5, (ink, ground)
    for name in vars(tokens):
        if name.startswith("cat_"):
            assert contrast(tokens.node_title, getattr(tokens, name)) >= 4.5, name


def test_chinese_has_glyphs_in_every_canvas_font(qapp):
    style = CanvasStyle(DARK)
    for role in ("title", "info", "small", "label", "caption", "frame"):
        metrics = QFontMetricsF(style.font(role))
        assert all(metrics.inFontUcs4(ord(c)) for c in "卷积层全连接池化归一化参数")


def test_far_out_a_summary_gives_up_the_name_of_the_type_before_its_own_end(view, model):
    face = view.graph_scene.nodes[model["input"]].face
    assert face.info.full == "Input · image · 1x8x8"
    summary = view.style_.line("image · 1x8x8", "far_info")
    face.width, face.far_texts = 22 + summary.width + 1, None  # whatever font there is
    assert face.texts_for_far(view.style_)[1].shown == "image · 1x8x8"
    _, info, _ = view.graph_scene.nodes[model["dense"]].face.texts_for_far(view.style_)
    assert info.shown == "Dense · 10"  # there is room for all of it


@pytest.mark.parametrize("exported", [False, True])
def test_no_wire_crosses_the_label_of_another(view, model, exported):
    """A later wire led through the label of an earlier one changes nothing within it."""
    project, scene = model.project, view.graph_scene
    label = QRectF(scene.wires[model["relu"], "x"].label_rect)
    inside = label.adjusted(3, 3, -3, -3)

    def shown() -> QImage:
        if not exported:
            corner = view.mapFromScene(inside.topLeft())
            return picture(view).copy(QRect(corner, inside.size().toSize()))
        made = Picture(scene.graph, view.style_, scene.result)
        image = QImage.fromData(made.png())
        made.close()
        corner = (inside.topLeft() - made.rect.topLeft()) * PNG_SCALE
        return image.copy(QRectF(corner, inside.size() * PNG_SCALE).toRect())

    key = (model["dense"], "x")
    x, far = label.center().x() + 20, 150.0
    aside = [(x + 80, -far), (x + 80, far)]
    through = [(x, -far), (x, far)]
    project.push(commands.set_route(project.document, "main", key, aside))
    before = shown()
    project.push(commands.set_route(project.document, "main", key, through))
    scene.place_labels(5.0)
    assert scene.wires[model["relu"], "x"].label_rect == label
    assert shown() == before


def test_a_label_goes_along_with_nodes_that_are_dragged_far_away(view, model):
    scene = view.graph_scene
    key = (model["relu"], "x")
    lifted = Lift(scene, [model["conv"], model["relu"]])
    lifted.move(30_000.0, 0.0)
    center = scene.wires[key].label_rect.center() + QPointF(30_000.0, 0.0)
    view.center_on(center)
    with_label = picture(view)
    scene.wires[key].label_rect = None
    assert picture(view) != with_label
    lifted.drop()


def test_frames_lie_behind_and_are_named(view, model):
    command = commands.add_frame(model.project.document, "main", (280, -60, 560, 200), title="Stem")
    model.project.push(command)
    frame_id = next(c.frame_id for c in command[1] if isinstance(c, PutFrame))
    frame = view.graph_scene.frames[frame_id]
    assert frame.zValue() < min(w.zValue() for w in view.graph_scene.wires.values())
    assert frame.frame.title == "Stem"
    assert view.content_rect().contains(frame.body_rect())


def test_reroute_points_bend_the_wire(view, model):
    key = (model["relu"], "x")
    command = commands.set_route(model.project.document, "main", key, [(540.0, 200.0)])
    model.project.push(command)
    line = view.graph_scene.wires[key].points()
    assert (540.0, 200.0) in line


def test_empty_canvas_says_how_to_begin(qtbot, theme, project):
    view = GraphView(project, theme)
    qtbot.addWidget(view)
    view.resize(800, 500)
    view.show()
    empty = picture(view)
    name, changes = commands.add_node(project.document, "main", "act.relu", (3000.0, 3000.0))
    project.push((name, changes))
    filled = picture(view)
    assert next(c for c in changes if isinstance(c, AddNode))
    middle = [(x, y) for x in range(250, 550, 2) for y in range(200, 300, 2)]
    assert any(empty.pixel(*p) != filled.pixel(*p) for p in middle)


def test_a_face_is_as_wide_as_its_title_needs_up_to_a_limit():
    style = CanvasStyle(DARK)
    narrow = NodeFace(Node(id="n", type="act.relu", label="R"), style)
    wide = NodeFace(Node(id="n", type="act.relu", label="W" * 200), style)
    assert narrow.width == 180
    assert wide.width == 300
    assert wide.title.elided
    assert narrow.width % 20 == wide.width % 20 == 0


def test_painting_keeps_up_after_the_view_moves_by_hand(view, hand):
    """Smart updates must leave no trails: after a pan the picture equals a full repaint."""
    hand.press(QPointF(200, 200), Qt.MouseButton.MiddleButton)
    hand.move(QPointF(260, 240))
    hand.release(QPointF(260, 240), Qt.MouseButton.MiddleButton)
    once = picture(view)
    view.viewport().update()
    assert picture(view) == once


@pytest.mark.parametrize("zoom", [0.5, 0.87, 1.0, 1.5, 3.0])
def test_a_node_looks_the_same_drawn_and_copied(view, zoom):
    """Nodes painted ahead are copied from pictures; nobody may see the difference."""
    view.set_zoom(zoom)
    shells = view.graph_scene.shells
    shells.rest()
    shells.clear()
    drawn = picture(view)
    shells.make(10.0)
    view.viewport().update()
    copied = picture(view)
    worst = max(
        abs(drawn.pixelColor(x, y).lightness() - copied.pixelColor(x, y).lightness())
        for x in range(0, 1200, 3)
        for y in range(0, 860, 3)
    )
    assert worst <= 12


@pytest.mark.parametrize("type_id", ["../actions/open", "x" * 5000, "layer.dense/../layer.dense"])
def test_a_type_out_of_a_file_names_no_icon_file(qtbot, type_id):
    style = CanvasStyle(DARK)
    assert style.has_icon("layer.dense")
    assert not style.has_icon(type_id)


def test_far_out_the_title_of_a_frame_is_seen_over_its_nodes(view, model):
    project = model.project

    def shown(title: str) -> QImage:
        rect = (290, -35, 520, 200)  # its nodes begin 35 units below its edge
        command = commands.add_frame(project.document, "main", rect, title=title)
        project.push(command)
        view.set_zoom(0.2)
        image = view.grab().toImage()
        project.undo()
        return image

    without, named = shown(""), shown("Stem")
    rows = {
        y
        for y in range(named.height())
        for x in range(named.width())
        if named.pixel(x, y) != without.pixel(x, y)
    }
    assert max(rows) - min(rows) >= 6  # all of a capital letter


@pytest.mark.parametrize("zoom", [0.26, 0.31])
@pytest.mark.parametrize("name", ["conv", "add"])
def test_far_out_nodes_of_any_height_have_their_names(view, model, name, zoom):
    """One row of ports or two: a name here and none there would look like a mistake."""
    project = model.project
    view.set_zoom(zoom)
    item = view.graph_scene.nodes[model[name]]
    view.center_on(item.body_rect().center())
    pictures = []
    for label in ("i", "WWW"):
        project.push(commands.rename(project.document, "main", model[name], label))
        place = view.mapFromScene(item.body_rect()).boundingRect()
        pictures.append(view.viewport().grab(place).toImage())
    assert pictures[0].size() == pictures[1].size()
    assert pictures[0] != pictures[1]
