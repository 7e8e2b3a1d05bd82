"""The graph as a file: whole, in the colours of the theme, whatever the window shows of it."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QGuiApplication, QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

from graphstudio.document import commands
from graphstudio.document.model import GraphRecord
from graphstudio.ir.result import CheckResult
from graphstudio.ui.canvas import picture as pictures
from graphstudio.ui.canvas.picture import Picture, PictureError
from graphstudio.ui.canvas.style import CanvasStyle
from graphstudio.ui.theme import DARK, LIGHT

NAMESPACE = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def draw(view):
    """Makes pictures of the test's graph; the scene of each ends with the test."""
    made = []

    def make(tokens=DARK) -> Picture:
        project = view.project
        made.append(Picture(project.document.main, CanvasStyle(tokens), project.check_now()))
        return made[-1]

    yield make
    for picture in made:
        picture.close()


def rendered(svg: bytes) -> QImage:
    """The SVG as a viewer shows it, at its own size."""
    renderer = QSvgRenderer(svg)
    assert renderer.isValid()
    image = QImage(renderer.defaultSize(), QImage.Format.Format_RGB32)
    painter = QPainter(image)
    renderer.render(painter)
    painter.end()
    return image


def decoded(png: bytes) -> QImage:
    image = QImage.fromData(png, "PNG")
    assert not image.isNull()
    return image


def near(found: QColor, wanted: QColor) -> bool:
    parts = zip(found.getRgb()[:3], wanted.getRgb()[:3], strict=True)
    return all(abs(a - b) <= 2 for a, b in parts)


@pytest.mark.parametrize("tokens", [DARK, LIGHT], ids=["dark", "light"])
@pytest.mark.parametrize("kind", ["svg", "png"])
def test_every_node_is_drawn_in_the_colours_of_the_theme(draw, view, kind, tokens):
    picture = draw(tokens)
    image = rendered(picture.svg()) if kind == "svg" else decoded(picture.png())
    scale = image.width() / picture.rect.width()
    assert scale == pytest.approx(1.0 if kind == "svg" else 2.0, abs=0.01)

    def color(at: QPointF) -> QColor:
        return image.pixelColor(((at - picture.rect.topLeft()) * scale).toPoint())

    style = CanvasStyle(tokens)
    assert near(color(picture.rect.topLeft() + QPointF(5, 5)), style.canvas)
    for item in view.graph_scene.nodes.values():
        body = item.body_rect()
        assert near(color(body.topLeft() + QPointF(body.width() - 12, 12)), item.face.color)
        assert near(color(body.topLeft() + QPointF(body.width() / 2, 72)), style.body)


def test_an_svg_has_its_texts_as_texts_and_its_title(draw, view):
    view.project.push(
        commands.add_frame(view.project.document, "main", (-60, -60, 400, 220), title="A & <b>")
    )
    root = ET.fromstring(draw().svg("digits & more"))
    assert root.findtext(f"{NAMESPACE}title") == "digits & more"
    texts = {"".join(t.itertext()).strip() for t in root.iter(f"{NAMESPACE}text")}
    labels = {n.label for n in view.project.document.main.nodes.values()}
    assert labels <= texts
    assert {"A & <b>", "(N, 1, 8, 8)"} <= texts


def test_nothing_is_cut_at_the_edges(draw, view):
    """Not even a wire that leads back around the nodes."""
    picture = draw()
    drawn = [i.body_rect() for i in view.graph_scene.nodes.values()]
    drawn += [w.path.boundingRect() for w in view.graph_scene.wires.values()]
    for rect in drawn:
        assert picture.rect.adjusted(30, 30, -30, -30).contains(rect.adjusted(-1, -1, 1, 1))
    around = QRectF()
    for rect in drawn:
        around = around.united(rect)
    assert picture.rect.width() <= around.width() + 66
    assert picture.rect.height() <= around.height() + 66


def test_zoom_and_selection_of_the_window_change_nothing(draw, view):
    before = draw()
    svg, png = before.svg(), before.png()
    view.project.select(view.project.document.main.nodes)
    view.set_zoom(0.1)
    after = draw()
    assert after.svg() == svg
    assert after.png() == png


def test_a_huge_graph_gets_a_picture_that_can_be_opened(draw, monkeypatch):
    picture = draw()
    whole = picture.png_size()
    monkeypatch.setattr(pictures, "MAX_SIDE", 500)
    size = picture.png_size()
    assert max(size.width(), size.height()) == 500
    assert size.width() / size.height() == pytest.approx(whole.width() / whole.height(), rel=0.01)
    assert decoded(picture.png()).size() == size
    monkeypatch.setattr(pictures, "MAX_PIXELS", 40_000)
    size = picture.png_size()
    assert 39_000 <= size.width() * size.height() <= 40_000


def test_an_empty_graph_is_an_empty_picture(qapp):
    graph = GraphRecord(id="main")
    picture = Picture(graph, CanvasStyle(DARK), CheckResult())
    image = rendered(picture.svg())
    assert image.width() == picture.rect.width() == 2 * pictures.MARGIN
    assert near(image.pixelColor(3, 3), CanvasStyle(DARK).canvas)
    picture.close()


@pytest.mark.parametrize("written", [(True, b""), (False, b"half")])
def test_a_png_that_cannot_be_encoded_leaves_the_old_file(draw, monkeypatch, tmp_path, written):
    ok, data = written

    def save(_image, buffer, _kind):
        buffer.write(data)
        return ok

    path = tmp_path / "graph.png"
    path.write_bytes(b"old")
    picture = draw()
    monkeypatch.setattr(pictures.QImage, "save", save)
    with pytest.raises(PictureError, match="save the picture as SVG"):
        picture.save(path)
    assert path.read_bytes() == b"old"
    assert QGuiApplication.overrideCursor() is None


@pytest.mark.qt_log_ignore("QImage", extend=True)
def test_a_png_without_room_says_how_large_it_would_be(draw, monkeypatch):
    picture = draw()
    picture.rect = QRectF(0, 0, 200_000, 150_000)
    monkeypatch.setattr(pictures, "MAX_SIDE", 10**9)
    monkeypatch.setattr(pictures, "MAX_PIXELS", 10**18)
    with pytest.raises(PictureError, match="400000 x 300000 pixels"):
        picture.png()


def test_a_very_flat_graph_has_a_row_of_pixels(draw):
    picture = draw()
    picture.rect = QRectF(0, 0, 100_000, 2)
    assert picture.png_size().toTuple() == (pictures.MAX_SIDE, 1)
    assert decoded(picture.png()).height() == 1


def test_characters_that_xml_lacks_are_left_out(draw, view):
    view.project.push(
        commands.add_frame(
            view.project.document, "main", (-60, -60, 400, 220), title="a\x01b\ufffe\ufffdc"
        )
    )
    root = ET.fromstring(draw().svg("x\x0by"))
    assert root.findtext(f"{NAMESPACE}title") == "xy"
    texts = {"".join(t.itertext()).strip() for t in root.iter(f"{NAMESPACE}text")}
    assert "ab\ufffdc" in texts


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_the_cursor_waits_while_a_picture_is_saved(draw, monkeypatch, tmp_path, suffix):
    seen = []

    def replace_file(_path, data):
        seen.append((QGuiApplication.overrideCursor().shape(), bool(data)))

    monkeypatch.setattr(pictures, "replace_file", replace_file)
    draw().save(tmp_path / f"graph{suffix}")
    assert seen == [(Qt.CursorShape.WaitCursor, True)]
    assert QGuiApplication.overrideCursor() is None
