"""Pictures of nodes while the view zooms, and when it has come to rest."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QImage, QPainter
from PySide6.QtWidgets import QApplication

from graphstudio.document.model import Document, Node
from graphstudio.ui.canvas import node_paint
from graphstudio.ui.canvas.face import FaceState, NodeFace
from graphstudio.ui.canvas.node_paint import Shells, paint_node
from graphstudio.ui.canvas.style import CanvasStyle
from graphstudio.ui.canvas.view import GraphView
from graphstudio.ui.project import Project
from graphstudio.ui.theme import DARK


def pixels(image: QImage) -> np.ndarray:
    """RGB of an image, shape (height, width, 3), int16."""
    image = image.convertToFormat(QImage.Format.Format_RGBA8888)
    flat = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.width(), 4)
    return flat[..., :3].astype(np.int16)


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """Mean absolute difference of two pictures, of 255."""
    return float(np.abs(a - b).mean())


@pytest.fixture
def crowd(qtbot, theme):
    """A view at zoom 0.7 that is full of nodes and at rest."""
    document = Document()
    for i in range(100):
        place = (i % 10 * 200.0, i // 10 * 160.0)
        document.main.nodes[f"n{i}"] = Node(
            id=f"n{i}", type="act.relu", label=f"Node {i}", position=place
        )
    view = GraphView(Project(document), theme)
    qtbot.addWidget(view)
    view.resize(1200, 860)
    view.show()
    QApplication.processEvents()  # it fits everything in once more after it is shown
    view.set_zoom(0.7)
    view.center_on(QPointF(1000, 800))
    come_to_rest(qtbot, view)
    return view


def come_to_rest(qtbot, view: GraphView) -> None:
    shells = view.graph_scene.shells
    view.viewport().update()
    QApplication.processEvents()
    qtbot.waitUntil(lambda: not shells.moving and not shells.wanted)


def seen(view: GraphView) -> np.ndarray:
    return pixels(view.viewport().grab().toImage())


@pytest.mark.parametrize("factor", [1.15, 1 / 1.1])
def test_pictures_follow_a_zoom_and_are_sharp_again_at_rest(qtbot, crowd, factor):
    shells = crowd.graph_scene.shells
    before = seen(crowd)
    crowd.zoom_by(factor)
    moving = seen(crowd)
    assert shells.scale == pytest.approx(0.7)
    qtbot.waitUntil(lambda: shells.scale == pytest.approx(0.7 * factor))  # by itself
    come_to_rest(qtbot, crowd)
    sharp = seen(crowd)
    shells.clear()
    come_to_rest(qtbot, crowd)
    assert np.array_equal(sharp, seen(crowd))
    assert difference(moving, sharp) < difference(before, sharp) / 5


def test_a_long_zoom_in_is_never_stretched_out_of_shape(crowd):
    shells = crowd.graph_scene.shells
    for _ in range(8):
        crowd.zoom_by(1.15)
        seen(crowd)
        assert 0.6 < shells.scale / crowd.zoom < 1.05


def test_what_changes_during_a_zoom_is_shown(crowd):
    crowd.zoom_by(1.1)
    before = seen(crowd)
    crowd.project.select(["n55"])
    after = seen(crowd)
    assert crowd.graph_scene.shells.scale == pytest.approx(0.7)
    at = crowd.graph_scene.nodes["n55"].pos() + QPointF(60, 0)  # on its upper edge
    x, y = crowd.mapFromScene(at).toTuple()
    assert np.abs(after[y - 4 : y + 5, x] - before[y - 4 : y + 5, x]).max() > 40


def test_few_nodes_stay_sharp_while_zooming(view):
    for zoom in (0.9, 0.8, 0.7):
        view.set_zoom(zoom)
        seen(view)
        assert view.graph_scene.shells.moving
        assert view.graph_scene.shells.scale == zoom


@pytest.mark.parametrize("dpr", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("zoom", [0.62, 0.8, 1.2])
def test_a_stretched_node_lies_where_the_sharp_one_does(qapp, monkeypatch, dpr, zoom):
    monkeypatch.setattr(node_paint, "_FEW_PIXELS", 0)
    style = CanvasStyle(DARK)
    face = NodeFace(Node(id="n", type="layer.dense", label="Scores"), style)

    def painted(shells: Shells, scale: float) -> np.ndarray:
        image = QImage(round(320 * dpr), round(240 * dpr), QImage.Format.Format_RGB32)
        image.setDevicePixelRatio(dpr)
        image.fill(Qt.GlobalColor.black)
        painter = QPainter(image)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.translate(20, 20)
        painter.scale(scale, scale)
        paint_node(painter, face, style, FaceState(), shells)
        painter.end()
        return pixels(image)

    shells = Shells()
    painted(shells, 1.0)
    shells.make(10.0)
    shells.moving = True
    stretched, sharp = painted(shells, zoom), painted(Shells(), zoom)
    assert shells.scale == 1.0
    assert shells.rest()
    assert difference(stretched, sharp) < 2.5
    shifted = np.roll(sharp, 2, axis=1)
    assert difference(stretched, sharp) < difference(shifted, sharp) / 2
    assert np.array_equal(painted(shells, zoom), sharp)


def test_pictures_kept_do_not_grow_without_end(crowd, monkeypatch):
    monkeypatch.setattr(node_paint, "_MOST_PIXELS", 300_000)
    shells = crowd.graph_scene.shells
    shells.clear()
    seen(crowd)
    assert shells.wanted
    shells.make(10.0)
    assert not shells.wanted
    assert 200_000 < shells.num_pixels <= 300_000
