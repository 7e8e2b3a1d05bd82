"""How long the dashboard takes to draw twelve curves, from ten thousand to ten million points.

``python -m benchmarks.dashboard_redraw [POINTS ...]`` prints its measures as JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from PySide6.QtCore import QEvent, QEventLoop, QObject
from PySide6.QtWidgets import QApplication, QGridLayout, QWidget

from benchmarks.measure import Measure
from graphstudio.nodes.types import Message
from graphstudio.ui.dashboard.plot import MetricPlot
from graphstudio.ui.dashboard.run_data import LEARNING_RATE, RunData
from graphstudio.ui.dashboard.run_shelf import OVERLAY_COLORS
from graphstudio.ui.theme import Theme

METRICS = ("loss", "accuracy", "f1", LEARNING_RATE)
RUNS = 3
SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
APPENDED = 200
"""Steps that have come since the last redraw: a fast model at twenty redraws a second."""
REPEATS = 25


class Painted(QObject):
    """Notes which widgets were painted."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[int] = set()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Paint:
            self.seen.add(id(watched))
        return False


class Bench:
    """Four plots of three runs each in a window of 1600 by 1000 pixels."""

    def __init__(self, points: int) -> None:
        rng = np.random.default_rng(0)
        theme = Theme()
        self.runs = []
        for index in range(RUNS):
            run = RunData(f"run{index}", f"run {index}", color=OVERLAY_COLORS[index])
            steps = np.arange(1.0, points + 1)
            trend = np.exp(-steps / points * 4)
            values = {
                name: trend + 0.2 * rng.standard_normal(points, dtype=np.float32)
                for name in METRICS
            }
            run.add_step_columns(steps, steps / 500, steps * 1e-3, values)
            self.runs.append(run)
        self.window = QWidget()
        grid = QGridLayout(self.window)
        self.plots = [
            MetricPlot(name, Message("{name}", {"name": name}), theme) for name in METRICS
        ]
        for index, plot in enumerate(self.plots):
            plot.set_runs(self.runs)
            grid.addWidget(plot, index // 2, index % 2)
        self.painted = Painted()
        for plot in self.plots:
            plot.plot.viewport().installEventFilter(self.painted)
        self.window.resize(1600, 1000)
        self.window.show()
        QApplication.processEvents()

    def append(self, _turn: int) -> None:
        """New steps in every run; not part of the time."""
        rng = np.random.default_rng(len(self.runs[0].step_axes))
        for run in self.runs:
            first = len(run.step_axes) + 1.0
            steps = np.arange(first, first + APPENDED)
            noise = {name: 0.2 * rng.standard_normal(APPENDED) for name in METRICS}
            run.add_step_columns(steps, steps / 500, steps * 1e-3, noise)

    def redraw(self, _turn: int) -> None:
        """What one turn of the dashboard's timer does, painting included."""
        for plot in self.plots:
            plot.refresh()
        self.wait_painted()

    def zoom(self, turn: int) -> None:
        """Show another part of the x axis, so that no pixel column can be used again."""
        end, share = len(self.runs[0].step_axes), 0.5 + 0.01 * turn
        for plot in self.plots:
            plot._on_manual()
            plot.view.setXRange(0.0, end * share, padding=0)
        self.wait_painted()

    def wait_painted(self) -> None:
        """Let Qt paint every plot; it collects updates for some milliseconds before it does."""
        self.painted.seen.clear()
        while len(self.painted.seen) < len(self.plots):
            QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)


def median_ms(before: Callable[[int], None], action: Callable[[int], None]) -> float:
    """Median processor time of ``action``, after ``before``, which is not counted.

    The time of this thread, not of the clock: waiting for Qt's update timer is no work, and other
    programs on the machine do not count.
    """
    times = []
    for turn in range(REPEATS + 3):
        before(turn)
        start = time.thread_time()
        action(turn)
        times.append(time.thread_time() - start)
    return statistics.median(times[3:]) * 1000


def measures(sizes: tuple[int, ...] = SIZES[:3]) -> Iterator[Measure]:
    """Redraw after new steps, and after a zoom, for 12 curves of each length."""
    app = QApplication.instance() or QApplication([])
    for points in sizes:
        bench = Bench(points)
        live = median_ms(bench.append, bench.redraw)
        zoomed = median_ms(lambda _: None, bench.zoom)
        yield Measure(f"redraw 12 curves x {points:,} points, 200 new steps", live, "ms", 10.0)
        yield Measure(f"zoom 12 curves x {points:,} points", zoomed, "ms", 33.0)
        bench.window.close()
        bench.window.deleteLater()
        app.processEvents()


if __name__ == "__main__":
    asked = tuple(int(a) for a in sys.argv[1:]) or SIZES
    print(json.dumps([m.as_json() for m in measures(asked)], indent=2))
