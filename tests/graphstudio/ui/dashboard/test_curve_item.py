"""What is really painted, pixel by pixel, against the points of the curve."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
import pytest
from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor, QImage

from graphstudio.ui.dashboard.curve_item import CurveItem
from graphstudio.ui.dashboard.plot_view import View
from graphstudio.ui.dashboard.pyramid import MinMaxPyramid

WIDTH, HEIGHT = 640, 300


class Stage:
    """A view without axes, one view pixel a widget pixel, with one white curve on black."""

    def __init__(self, qtbot, x, pyramid: MinMaxPyramid, *, log: bool = False, **options) -> None:
        self.widget = pg.GraphicsView(background="k")
        self.view = View()
        self.widget.setCentralItem(self.view)
        qtbot.addWidget(self.widget)
        self.item = CurveItem(lambda: x, lambda: pyramid, **options)
        self.item.set_color(QColor("white"))
        self.item.set_log(log)
        self.view.addItem(self.item, ignoreBounds=True)
        self.widget.resize(WIDTH, HEIGHT)
        self.widget.show()
        qtbot.waitExposed(self.widget)

    def paint(self, left: float, right: float, low: float, high: float) -> np.ndarray:
        """Brightness of every pixel, as (row, column)."""
        self.view.setRange(QRectF(left, low, right - left, high - low), padding=0)
        image = self.widget.grab().toImage().convertToFormat(QImage.Format.Format_Grayscale8)
        rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), -1)
        return rows[:, : image.width()].copy()

    def column_edges(self, left: float, right: float) -> tuple[np.ndarray, int]:
        """X coordinates between the pixel columns of the view, and where it begins."""
        rect = self.view.sceneBoundingRect()
        first = round(rect.left())
        return np.linspace(left, right, round(rect.width()) + 1), first

    def row_of(self, value: float) -> float:
        return self.view.mapViewToScene(pg.Point(0.0, value)).y()


@pytest.mark.parametrize("count", [20_000, 300_000])
def test_each_column_is_painted_from_its_minimum_to_its_maximum(qtbot, count):
    rng = np.random.default_rng(1)
    x = np.arange(float(count))
    y = rng.normal(size=count)
    y[rng.integers(0, count, 12)] = 9.0
    y[rng.integers(0, count, 12)] = -9.0
    stage = Stage(qtbot, x, MinMaxPyramid(y))
    left, right = 0.0, float(count)
    pixels = stage.paint(left, right, -10.0, 10.0)
    edges, first = stage.column_edges(left, right)
    bounds = np.searchsorted(x, edges)
    low = np.minimum.reduceat(y, bounds[:-1])
    high = np.maximum.reduceat(y, bounds[:-1])
    for k in range(1, edges.size - 2):
        lit = np.flatnonzero(pixels[:, first + k] > 128)
        # Columns that do not overlap their neighbours reach half-way towards them.
        apart = max(low[k - 1], low[k], low[k + 1]) > min(high[k - 1], high[k], high[k + 1])
        if not apart:
            assert abs(lit[0] - stage.row_of(high[k])) <= 1.5, k
            assert abs(lit[-1] - stage.row_of(low[k])) <= 1.5, k
        assert lit[0] - 1.5 <= stage.row_of(high[k]), k
        assert lit[-1] + 1.5 >= stage.row_of(low[k]), k
        assert lit.size == lit[-1] - lit[0] + 1, k


def test_columns_equal_the_true_extremes_at_any_zoom(qtbot):
    rng = np.random.default_rng(2)
    x = np.sort(rng.random(100_000)) * 1000  # uneven, as a time axis is
    y = rng.normal(size=x.size)
    pyramid = MinMaxPyramid(y)
    item = CurveItem(lambda: x, lambda: pyramid)
    for _ in range(30):
        left, right = np.sort(rng.random(2)) * 1000
        edges = np.linspace(left, right, 701)
        columns = item.columns(x, pyramid, edges)
        index = np.searchsorted(x, edges)
        for k in range(700):
            part = y[index[k] : index[k + 1]]
            if part.size:
                assert columns.low[k] == part.min()
                assert columns.high[k] == part.max()
            else:
                assert np.isnan(columns.low[k])


def test_columns_of_a_curve_that_grows_equal_those_made_anew(qtbot):
    rng = np.random.default_rng(4)
    y = rng.normal(size=60_000)
    x = np.cumsum(rng.random(60_000))
    pyramid = MinMaxPyramid(y[:30_000])
    growing = CurveItem(lambda: x, lambda: pyramid)
    edges = np.linspace(0.0, x[-1] * 1.1, 801)
    size = 30_000
    growing.columns(x[:size], pyramid, edges)
    while size < 60_000:
        step = int(rng.integers(1, 3000))
        pyramid.extend(y[size : size + step])
        size = min(size + step, 60_000)
        got = growing.columns(x[:size], pyramid, edges)
        anew = CurveItem(lambda: x, lambda: pyramid).columns(x[:size], pyramid, edges)
        np.testing.assert_array_equal(got.low, anew.low)
        np.testing.assert_array_equal(got.high, anew.high)


def test_one_spike_among_many_points_is_seen(qtbot):
    y = np.zeros(1_000_000)
    y[654_321] = 1.0
    stage = Stage(qtbot, np.arange(1e6), MinMaxPyramid(y))
    pixels = stage.paint(0.0, 1e6, -0.1, 1.1)
    top = pixels[: int(stage.row_of(0.9))]
    assert (top > 100).any()
    _edges, first = stage.column_edges(0.0, 1e6)
    column = int(np.flatnonzero((top > 100).any(axis=0))[0])
    assert abs(column - first - 0.654321 * stage.view.width()) <= 1.5


def test_few_points_are_joined_by_a_line(qtbot):
    stage = Stage(qtbot, np.array([0.0, 1.0, 2.0]), MinMaxPyramid([0.0, 1.0, 0.0]))
    pixels = stage.paint(0.0, 2.0, -0.2, 1.2)
    assert (pixels[:, 2:-2].max(axis=0) > 60).all()


def test_a_gap_of_nan_stays_a_gap_and_a_lone_point_is_seen(qtbot):
    y = [0.5, 0.5, np.nan, 0.5, np.nan, 0.5, 0.5]
    stage = Stage(qtbot, np.arange(7.0), MinMaxPyramid(y))
    pixels = stage.paint(0.0, 6.0, 0.0, 1.0)
    lit = pixels.max(axis=0) > 60
    at = lambda value: round(value / 6.0 * WIDTH)  # noqa: E731
    assert not lit[at(2.0)]
    assert lit[at(3.0)]
    assert lit[at(0.5)]


def test_a_log_axis_draws_powers_of_ten_and_leaves_downwards_at_zero(qtbot):
    count = 50_000
    y = np.full(count, 10.0)
    y[::2] = 0.0
    stage = Stage(qtbot, np.arange(float(count)), MinMaxPyramid(y), log=True)
    pixels = stage.paint(0.0, float(count), -2.0, 2.0)
    lit = np.flatnonzero(pixels[:, WIDTH // 2] > 128)
    assert abs(lit[0] - stage.row_of(1.0)) <= 1.5
    assert lit[-1] >= HEIGHT - 3


def test_markers_are_drawn_on_every_point(qtbot):
    x = np.array([1.0, 2.0, 3.0])
    stage = Stage(qtbot, x, MinMaxPyramid([0.2, 0.8, 0.4]), markers=True, dashed=True)
    pixels = stage.paint(0.0, 4.0, 0.0, 1.0)
    for px, py in zip(x, (0.2, 0.8, 0.4), strict=True):
        row, column = round(stage.row_of(py)), round(px / 4.0 * WIDTH)
        assert (pixels[row - 1 : row + 2, column - 1 : column + 2] > 200).all()


@pytest.mark.parametrize("count", [300, 4000, 60_000])
def test_growing_paints_what_painting_anew_would(qtbot, count):
    rng = np.random.default_rng(5)
    x = np.arange(3.0 * count)
    pyramid = MinMaxPyramid(np.cumsum(rng.normal(size=count)) * 0.01)
    stage = Stage(qtbot, x, pyramid)
    stage.view.setRange(QRectF(0.0, -10.0, 1.5 * count, 20.0), padding=0)
    handle = stage.widget.winId()

    def on_screen() -> np.ndarray:
        qtbot.wait(30)
        image = stage.widget.screen().grabWindow(handle).toImage()
        return np.frombuffer(image.constBits(), np.uint8).copy()

    on_screen()
    for turn in range(6):
        pyramid.extend(pyramid.values[-1] + np.cumsum(rng.normal(size=count // 10)) * 0.01)
        if turn == 3:
            stage.view.setRange(QRectF(0.0, -10.0, 2.0 * count, 20.0), padding=0)
        stage.item.grow()
        grown = on_screen()
        assert stage.item._painted == len(pyramid)
        stage.item.update()
        np.testing.assert_array_equal(grown, on_screen())
