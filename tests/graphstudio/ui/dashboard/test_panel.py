"""The dashboard as a whole: what a run tells is what it shows."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QWheelEvent
from PySide6.QtWidgets import QApplication, QLabel, QVBoxLayout, QWidget

from graphstudio import i18n
from graphstudio.document.model import DataSpec, Document
from graphstudio.training import files
from graphstudio.training.messages import Failed, Finished, Preparing
from graphstudio.ui.dashboard.legend import Entry, Legend
from graphstudio.ui.dashboard.panel import CONFUSION as CONFUSION_TAB
from graphstudio.ui.dashboard.panel import DashboardPanel
from graphstudio.ui.dashboard.status import StatusStrip
from graphstudio.ui.project import Project
from graphstudio.ui.training_bridge import TrainingBridge
from tests.graphstudio.ui.dashboard.conftest import (
    epoch_end,
    evaluated,
    started,
    step_metrics,
    store_run,
)

FIRST, SECOND = "2026-03-01_14-05-09", "2026-03-02_08-00-00"
SCRIPT = Path(__file__).with_name("scripted_worker.py")


@pytest.fixture
def panel(qtbot, bridge, theme, saved) -> DashboardPanel:
    made = DashboardPanel(bridge, theme, saved)
    qtbot.addWidget(made)
    made.resize(1100, 600)
    made.show()
    qtbot.waitExposed(made)
    return made


def begin(bridge: TrainingBridge, folder: Path) -> None:
    """What a bridge says when a run begins."""
    bridge.begun.emit(str(folder))
    bridge._set_state("preparing")
    bridge.preparing.emit(Preparing(what="Loading data"))
    bridge._set_state("running")
    bridge.started.emit(started())


def label(panel: DashboardPanel, name: str) -> str:
    return panel.findChild(object, name).text()


def settle(panel: DashboardPanel) -> None:
    panel.redraw()
    QApplication.processEvents()


def test_without_runs_it_says_what_to_press(panel):
    assert panel.findChild(object, "dashboardEmpty").text == "Press Train (F5) to see curves here"
    assert panel.findChild(object, "dashboardEmpty").isVisible()
    assert label(panel, "runState") == "No run yet"


def test_a_live_run_is_shown_as_it_goes(panel, bridge, tmp_path, qtbot):
    panel.resize(1500, 600)
    begin(bridge, tmp_path / "demo.runs" / FIRST)
    for first in range(1, 101, 20):
        bridge.stepped.emit(step_metrics(first, 20))
    bridge.epoch_ended.emit(epoch_end(1))
    qtbot.waitUntil(lambda: list(panel.curves.plots) != [])
    settle(panel)
    assert list(panel.curves.plots) == ["loss", "accuracy", "learning_rate", "samples_per_s"]
    assert label(panel, "runState") == "Running"
    assert label(panel, "runProgressText") == "epoch 2 of 4 · step 100 of 200"
    assert panel.status.bar.share == 0.5
    assert panel.status.left.value.text() == "0:12"
    assert panel.status.speed.value.text() == "4,321"
    assert panel.status.learning_rate.value.text() == "0.001"
    loss = panel.curves.plots["loss"]
    assert [e.text for e in loss.legend.entries] == ["train", "validation"]
    assert loss.legend.entries[1].value == "0.6000"


def test_the_list_of_runs_knows_of_a_pause(panel, bridge, tmp_path):
    begin(bridge, tmp_path / "demo.runs" / FIRST)
    for state, shown in (("paused", "Paused"), ("running", "Running"), ("stopping", "Stopping")):
        bridge._set_state(state)
        row = panel.runs.view.model().index(0, 0)
        assert shown in row.data(Qt.ItemDataRole.AccessibleTextRole)


@pytest.mark.parametrize("width", [700, 240, 130])
def test_every_entry_of_a_legend_has_its_row(qtbot, theme, width):
    """Also after the legend was wider, with all in one row."""
    window = QWidget()
    qtbot.addWidget(window)
    column = QVBoxLayout(window)
    legend = Legend(theme)
    column.addWidget(legend)
    column.addWidget(QWidget(), 1)
    legend.set_entries([Entry(t, t, QColor("red")) for t in ("train", "validation", "more")])
    for wide in (700, width):
        window.resize(wide, 300)
        window.show()
        QApplication.processEvents()
    assert legend.height() == legend.heightForWidth(legend.width())
    assert all(
        legend.rect().top() <= r.top() <= r.bottom() <= legend.rect().bottom()
        for r in legend._rects
    )


def test_redraws_are_at_most_twenty_a_second(panel, bridge, tmp_path, qtbot):
    begin(bridge, tmp_path / "demo.runs" / FIRST)
    bridge.stepped.emit(step_metrics(1, 1))
    settle(panel)
    drawn = []
    plot = panel.curves.plots["loss"]
    refresh, plot.refresh = plot.refresh, lambda: (drawn.append(1), refresh())
    for step in range(2, 402):
        bridge.stepped.emit(step_metrics(step, 1))
        if step % 4 == 0:
            qtbot.wait(1)
    assert 1 <= len(drawn) <= 40


def test_nothing_is_drawn_while_it_cannot_be_seen(panel, bridge, tmp_path, qtbot):
    begin(bridge, tmp_path / "demo.runs" / FIRST)
    bridge.stepped.emit(step_metrics(1, 10))
    settle(panel)
    panel.hide()
    drawn = []
    plot = panel.curves.plots["loss"]
    refresh, plot.refresh = plot.refresh, lambda: (drawn.append(1), refresh())
    bridge.stepped.emit(step_metrics(11, 10))
    panel.redraw()
    assert not drawn
    panel.show()
    qtbot.waitUntil(lambda: bool(drawn))


def test_the_end_of_a_run_is_shown(panel, bridge, saved, tmp_path):
    folder = store_run(saved.path, FIRST)
    begin(bridge, folder)
    bridge.stepped.emit(step_metrics(1, 200))
    bridge.evaluated.emit(evaluated())
    bridge.finished.emit(
        Finished(status="completed", epochs=4, seconds=2.0, weights=str(folder / files.WEIGHTS))
    )
    bridge._set_state("idle")
    settle(panel)
    assert label(panel, "runState") == "Completed"
    assert panel.runs.ids == [FIRST]
    assert panel.confusion.evaluated == evaluated()
    panel.log.flush()
    log = panel.log.toPlainText()
    for part in ("Run started", "Loading data", "4 epochs of 50 steps", "Accuracy 92.22 %"):
        assert part in log
    (x0, x1), _ = panel.curves.plots["loss"].view.viewRange()
    assert x0 == 0.0
    assert 200 <= x1 <= 205


def test_a_failure_is_told_with_hint_details_and_node(panel, bridge, tmp_path, qtbot):
    begin(bridge, tmp_path / "demo.runs" / FIRST)
    failure = Failed(
        reason="not-finite", message="the loss became nan", hint="Lower the learning rate.",
        node="abc", details="Traceback <b>bold</b>",
    )  # fmt: skip
    bridge.failed.emit(failure)
    bridge._set_state("idle")
    assert panel.banner.isVisible()
    assert label(panel, "failureMessage") == "the loss became nan"
    assert label(panel, "failureHint") == "Lower the learning rate."
    panel.findChild(object, "failureDetailsButton").click()
    details = panel.findChild(object, "failureDetails")
    assert details.isVisible()
    assert details.toPlainText() == "Traceback <b>bold</b>"
    with qtbot.waitSignal(panel.node_activated) as asked:
        panel.findChild(object, "failureNode").click()
    assert asked.args == ["abc"]
    assert label(panel, "runState") == "Failed"
    begin(bridge, tmp_path / "demo.runs" / SECOND)
    assert not panel.banner.isVisible()


@pytest.mark.parametrize(
    ("reason", "state"), [("killed", "Broken off"), ("crash", "Broken off"), ("data", "Failed")]
)
def test_a_run_is_called_now_what_it_is_called_later(panel, bridge, tmp_path, reason, state):
    """Its folder says ``died`` where the worker could not write why, ``failed`` where it did."""
    begin(bridge, tmp_path / "demo.runs" / FIRST)
    bridge.failed.emit(Failed(reason=reason, message="it is over"))
    bridge._set_state("idle")
    assert label(panel, "runState") == state


def test_reopening_a_project_shows_its_latest_run(qtbot, bridge, theme, saved):
    store_run(saved.path, FIRST)
    store_run(saved.path, SECOND, status="stopped", num_steps=150)
    panel = DashboardPanel(bridge, theme, saved)
    qtbot.addWidget(panel)
    panel.show()
    qtbot.waitUntil(lambda: panel.front is not None)
    assert panel.front.id == SECOND
    assert label(panel, "runState") == "Stopped"
    assert panel.confusion.evaluated == evaluated()


def test_what_came_while_it_was_hidden_is_drawn_when_it_is_shown(panel, bridge, tmp_path, qtbot):
    begin(bridge, tmp_path / "demo.runs" / FIRST)
    bridge.stepped.emit(step_metrics(1, 20))
    settle(panel)
    panel.hide()
    for first in range(21, 201, 20):
        bridge.stepped.emit(step_metrics(first, 20))
        qtbot.wait(5)
    bridge.finished.emit(Finished(status="completed", epochs=4, seconds=2.0, weights=""))
    bridge._set_state("idle")
    panel.show()
    plot = panel.curves.plots["loss"]
    qtbot.waitUntil(lambda: plot.view.viewRange()[0][1] >= 200)
    qtbot.waitUntil(lambda: plot._curves[0].main._painted == 200)
    assert plot.legend.entries[0].value == plot._value_text(plot._curves[0].track(), 199)


def test_missing_data_can_be_fetched_from_the_banner(qtbot, bridge, theme, tmp_path):
    mnist = Project(Document(data=DataSpec(source="mnist")), tmp_path / "demo.gsproj")
    panel = DashboardPanel(bridge, theme, mnist)
    qtbot.addWidget(panel)
    panel.show()
    begin(bridge, tmp_path / "demo.runs" / FIRST)
    bridge.failed.emit(Failed(reason="data", message="MNIST is not here"))
    with qtbot.waitSignal(panel.data_asked) as asked:
        panel.findChild(object, "failureData").click()
    assert asked.args == ["mnist"]
    begin(bridge, tmp_path / "demo.runs" / SECOND)
    bridge.failed.emit(Failed(reason="memory", message="no room"))
    assert not panel.findChild(object, "failureData").isVisible()


def test_past_runs_are_listed_and_brought_to_the_front(panel, saved, qtbot):
    store_run(saved.path, FIRST)
    store_run(saved.path, SECOND, status="stopped", num_steps=150)
    panel.refresh_runs()
    assert panel.runs.ids == [SECOND, FIRST]
    panel.show_in_front(SECOND)
    qtbot.waitUntil(lambda: panel.front is not None)
    assert label(panel, "runState") == "Stopped"
    assert label(panel, "runProgressText") == "epoch 3 of 3 · step 150 of 150"
    assert panel.confusion.evaluated == evaluated()
    assert "samples_per_s" not in panel.curves.plots


def test_runs_are_laid_over_each_other_and_taken_off_again(panel, saved, qtbot):
    store_run(saved.path, FIRST)
    store_run(saved.path, SECOND)
    panel.refresh_runs()
    panel.show_in_front(SECOND)
    qtbot.waitUntil(lambda: panel.front is not None)
    panel.runs.set_checked(FIRST, True)
    qtbot.waitUntil(
        lambda: len(panel.curves.plots["loss"].legend.entries) == 2 and FIRST in panel.shelf.loaded
    )
    loss = panel.curves.plots["loss"]
    assert len(loss._curves) == 4
    colors = {e.color.name() for e in loss.legend.entries}
    assert len(colors) == 2
    panel.runs.set_checked(FIRST, False)
    assert len(loss._curves) == 2
    panel.runs.set_checked(SECOND, False)  # the run in front stays
    assert len(loss._curves) == 2


def test_the_box_and_the_row_of_a_run_are_two_things(panel, saved, qtbot):
    store_run(saved.path, FIRST)
    store_run(saved.path, SECOND)
    panel.refresh_runs()
    panel.show_in_front(SECOND)
    qtbot.waitUntil(lambda: panel.front is not None)
    view = panel.runs.view
    rect = view.visualRect(view.model().index(1, 0))
    box = QPoint(rect.left() + 16, rect.center().y())
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=box)
    qtbot.waitUntil(lambda: FIRST in panel.shelf.loaded)
    assert panel.front.id == SECOND
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=rect.center())
    qtbot.waitUntil(lambda: panel.front.id == FIRST)


def test_a_damaged_log_is_reported_and_harms_nothing(panel, saved, qtbot):
    folder = store_run(saved.path, FIRST)
    lines = (folder / files.METRICS).read_text().splitlines()
    lines[3] = "{broken"
    (folder / files.METRICS).write_text("\n".join(lines))
    panel.refresh_runs()
    with qtbot.waitSignal(panel.status_message) as said:
        panel.show_in_front(FIRST)
    assert "cannot be read" in said.args[0]
    assert panel.front is None


def test_smoothing_changes_the_line_and_keeps_the_raw_one(panel, bridge, tmp_path):
    begin(bridge, tmp_path / "demo.runs" / FIRST)
    bridge.stepped.emit(step_metrics(1, 100))
    settle(panel)
    track = panel.front.step_tracks["loss"]
    panel.smoothing.setValue(90)
    assert track.smoothed.values[-1] > track.value(99)
    np.testing.assert_array_equal(track.raw(), step_metrics(1, 100).values["loss"])
    panel.smoothing.setValue(0)
    assert track.smoothed is None


@pytest.mark.parametrize(("axis", "end"), [("step", 100.0), ("epoch", 2.0), ("time", 1.0)])
def test_the_x_axis_can_be_step_epoch_or_time(panel, bridge, tmp_path, axis, end):
    begin(bridge, tmp_path / "demo.runs" / FIRST)
    bridge.stepped.emit(step_metrics(1, 100))
    bridge.epoch_ended.emit(epoch_end(1))
    bridge.epoch_ended.emit(epoch_end(2))
    settle(panel)
    panel.axis.setCurrentIndex(panel.axis.findData(axis))
    (low, high), _ = panel.curves.plots["loss"].view.viewRange()
    assert low == 0.0
    assert end <= high <= 1.2 * end


def test_crosshair_names_the_values_at_the_pointer_in_all_plots(panel, bridge, tmp_path):
    begin(bridge, tmp_path / "demo.runs" / FIRST)
    bridge.stepped.emit(step_metrics(1, 100))
    settle(panel)
    panel.smoothing.setValue(0)
    panel.curves.plots["accuracy"].hovered.emit(49.6)
    loss = panel.curves.plots["loss"]
    assert loss.legend.entries[0].value == "0.2828"
    assert loss._where.text() == "step 50"
    loss.hovered.emit(None)
    assert loss.legend.entries[0].value == "0.2000"


def test_wheel_zooms_and_double_click_resets(panel, bridge, tmp_path, qtbot):
    begin(bridge, tmp_path / "demo.runs" / FIRST)
    bridge.stepped.emit(step_metrics(1, 100))
    settle(panel)
    plot = panel.curves.plots["loss"]
    before = plot.view.viewRange()
    viewport = plot.plot.viewport()
    center = QPointF(viewport.rect().center())
    wheel = QWheelEvent(
        center, viewport.mapToGlobal(center), QPoint(), QPoint(0, 240),
        Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase,
        False,
    )  # fmt: skip
    QApplication.sendEvent(viewport, wheel)
    assert not plot.following
    zoomed = plot.view.viewRange()
    assert zoomed[0][1] - zoomed[0][0] < before[0][1] - before[0][0]
    bridge.stepped.emit(step_metrics(101, 10))
    settle(panel)
    assert plot.view.viewRange() == zoomed
    qtbot.mouseDClick(viewport, Qt.MouseButton.LeftButton, pos=center.toPoint())
    assert plot.following
    assert plot.view.viewRange()[0][0] == 0.0


def test_a_line_that_grows_never_lies_on_the_edge_of_the_plot(panel, bridge, tmp_path):
    begin(bridge, tmp_path / "demo.runs" / FIRST)
    plot = None
    for i, accuracy in enumerate((0.1, 0.95, 0.98, 1.0, 1.0)):
        told = step_metrics(i + 1, 1)
        bridge.stepped.emit(replace(told, values=told.values | {"accuracy": [accuracy]}))
        settle(panel)
        plot = plot or panel.curves.plots["accuracy"]
        _, (low, high) = plot.view.viewRange()
        assert high - accuracy >= 0.02 * (high - low), accuracy
        assert 0.1 - low >= 0.02 * (high - low), accuracy


def test_log_scale_keeps_all_positive_values_in_view(panel, bridge, tmp_path):
    begin(bridge, tmp_path / "demo.runs" / FIRST)
    bridge.stepped.emit(step_metrics(1, 100))
    settle(panel)
    plot = panel.curves.plots["loss"]
    plot.set_log(True)
    _, (low, high) = plot.view.viewRange()
    assert 10**low <= 0.2 <= 2.0 <= 10**high
    QApplication.processEvents()
    plot.set_log(False)
    _, (low, high) = plot.view.viewRange()
    assert low <= 0.2 <= 2.0 <= high


def test_a_click_in_the_legend_hides_a_curve_and_it_stays_hidden(panel, bridge, tmp_path, qtbot):
    begin(bridge, tmp_path / "demo.runs" / FIRST)
    bridge.stepped.emit(step_metrics(1, 100))
    settle(panel)
    plot = panel.curves.plots["loss"]
    qtbot.mouseClick(plot.legend, Qt.MouseButton.LeftButton, pos=plot.legend._rects[0].center())
    assert not plot._curves[0].main.isVisible()
    bridge.epoch_ended.emit(epoch_end(1))
    settle(panel)
    assert [e.shown for e in plot.legend.entries] == [False, True]
    assert not plot._curves[0].main.isVisible()


def test_csv_of_the_run_in_front(panel, bridge, tmp_path):
    begin(bridge, tmp_path / "demo.runs" / FIRST)
    bridge.stepped.emit(step_metrics(1, 100))
    assert panel.export_csv(panel.front, tmp_path / "rows.csv")
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 101
    assert not panel.export_csv(panel.front, tmp_path / "missing" / "rows.csv")


def test_a_dashboard_made_during_a_run_shows_it_from_its_first_step(qtbot, theme, saved, tmp_path):
    bridge = TrainingBridge(command=[sys.executable, str(SCRIPT), "good"])
    bridge.start(Document(), tmp_path, tmp_path / "demo.runs" / FIRST)
    qtbot.waitUntil(lambda: bridge.state == "idle", timeout=10_000)
    late = DashboardPanel(bridge, theme, saved)
    qtbot.addWidget(late)
    late.show()
    settle(late)
    assert len(late.front.step_axes) == 100
    assert label(late, "runState") == "Completed"
    bridge.deleteLater()


def test_another_project_shows_its_own_runs(panel, saved, tmp_path, qtbot):
    store_run(saved.path, FIRST)
    panel.refresh_runs()
    panel.show_in_front(FIRST)
    qtbot.waitUntil(lambda: panel.front is not None)
    (tmp_path / "other").mkdir()
    other = Project(Document(), tmp_path / "other" / "o.gsproj")
    panel.set_project(other)
    assert panel.front is None
    assert panel.runs.ids == []
    assert label(panel, "runState") == "No run yet"
    other.check_now()


def test_language_and_theme_change_while_it_is_open(panel, bridge, theme, tmp_path):
    begin(bridge, tmp_path / "demo.runs" / FIRST)
    bridge.stepped.emit(step_metrics(1, 100))
    bridge.epoch_ended.emit(epoch_end(1))
    bridge.evaluated.emit(evaluated())
    settle(panel)
    i18n.set_language("zh")
    panel.retranslate()
    theme.use("light")
    settle(panel)
    assert panel.tabs.tabText(CONFUSION_TAB) != "Confusion matrix"
    for index in range(3):
        panel.tabs.setCurrentIndex(index)
        assert not panel.grab().isNull()


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("status", ["running", "completed"])
@pytest.mark.parametrize("width", [240, 330, 420, 520, 700, 900])
def test_the_epoch_is_whole_and_the_rest_as_there_is_room(qtbot, theme, width, status, language):
    i18n.set_language(language)
    window = QWidget()
    qtbot.addWidget(window)
    window.resize(1000, 100)
    strip = StatusStrip(theme, window)
    strip.set_length(15, 600)
    strip.set_state(status)
    strip.set_figures(3.0, 12.0, 10_941.0, 0.001)
    strip.set_progress(15.0, 600)
    strip.resize(width, 40)
    window.show()
    qtbot.waitExposed(window)
    place = strip.findChild(QLabel, "runProgressText")
    assert place.fontMetrics().horizontalAdvance(place.text()) <= place.width()
    assert "15" in place.text()
    assert "600" in place.toolTip()
    figures = [strip.left, strip.elapsed, strip.speed, strip.learning_rate]
    if status == "completed":
        assert strip.left.isHidden(), "no time is left of a run that has ended"
        del figures[0]
    shown = [figure.isVisible() for figure in figures]
    assert shown == sorted(shown, reverse=True), "what matters least goes first"
    assert all(shown) or width < 700
    assert ("600" in place.text()) == (place.text() == place.toolTip())
    assert "600" in place.text() or width < 900


@pytest.mark.parametrize("width", [760, 960, 1500])
def test_the_slider_never_stands_alone(panel, bridge, tmp_path, width):
    """Where there is no room for its word, a picture says what it is for."""
    begin(bridge, tmp_path / "demo.runs" / FIRST)
    bridge.stepped.emit(step_metrics(1, 100))
    settle(panel)
    panel.resize(width, 420)
    QApplication.processEvents()
    sign = panel.findChild(QLabel, "smoothingIcon")
    assert sign.isVisible() == panel.smoothing.isVisible()
    assert not sign.pixmap().isNull()
    assert "Smoothing" in sign.toolTip()
    assert panel.smoothing.isVisible() or width < 900


@pytest.mark.parametrize("width", [420, 600, 760, 1500])
def test_the_names_of_the_pages_are_whole_at_any_width(panel, bridge, tmp_path, width):
    begin(bridge, tmp_path / "demo.runs" / FIRST)
    bridge.stepped.emit(step_metrics(1, 100))
    settle(panel)
    panel.resize(width, 420)
    QApplication.processEvents()
    assert panel.width() <= max(width, panel.minimumSizeHint().width())
    metrics = panel.tabs.fontMetrics()
    for index in range(3):
        rect = panel.tabs.tabRect(index)
        assert rect.width() >= metrics.horizontalAdvance(panel.tabs.tabText(index))
        assert rect.right() <= panel.tabs.width()


@pytest.mark.parametrize("state", ["idle", "failed", "died"])
def test_a_run_that_never_stepped_shows_no_figures(qtbot, theme, state):
    window = QWidget()
    qtbot.addWidget(window)
    strip = StatusStrip(theme, window)
    strip.resize(1200, 40)
    window.show()
    figures = (strip.left, strip.elapsed, strip.speed, strip.learning_rate)
    strip.set_state("preparing", "data")
    assert all(figure.isVisible() for figure in figures)  # they are to come
    strip.set_state(state)
    assert not any(figure.isVisible() for figure in figures)
    strip.set_figures(3.0, float("nan"), 1200.0, float("nan"))
    assert [figure.isVisible() for figure in figures] == [False, True, True, False]
