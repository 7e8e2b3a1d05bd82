"""The page of curves: a plot for each quantity of the runs that are drawn."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtWidgets import QStackedWidget, QWidget

from graphstudio.ui.dashboard import formats
from graphstudio.ui.dashboard.empty_state import EmptyState
from graphstudio.ui.dashboard.plot import MetricPlot
from graphstudio.ui.dashboard.plot_grid import PlotGrid
from graphstudio.ui.dashboard.run_data import LEARNING_RATE, LOSS, THROUGHPUT, RunData, Track
from graphstudio.ui.dashboard.texts import quantity_title
from graphstudio.ui.theme import Theme

COMPARED = 64
"""Points by which two curves are told to be one and the same."""
_ORDER = {LOSS: 0, LEARNING_RATE: 8, THROUGHPUT: 9}


class CurvesPage(QStackedWidget):
    """Plots, or an invitation while there is nothing to plot."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._axis = "step"
        self.plots: dict[str, MetricPlot] = {}
        self.empty = EmptyState("chart", theme)
        self.empty.setObjectName("dashboardEmpty")
        self.grid = PlotGrid()
        self.addWidget(self.empty)
        self.addWidget(self.grid)

    def set_runs(self, runs: Sequence[RunData]) -> None:
        """Make the plots that these runs need, and give them the runs; the last is in front."""
        wanted = list(dict.fromkeys(q for run in reversed(runs) for q in quantities(run)))
        wanted.sort(key=_rank)
        if list(self.plots) != wanted:
            for name in [n for n in self.plots if n not in wanted]:
                plot = self.plots.pop(name)
                plot.hide()
                plot.deleteLater()
            self.plots = {n: self.plots.get(n) or self._make_plot(n) for n in wanted}
            self.grid.set_plots(list(self.plots.values()))
        for plot in self.plots.values():
            plot.set_runs(runs)
        self.setCurrentWidget(self.grid if wanted else self.empty)

    def lacks(self, run: RunData) -> bool:
        """True if the run has a curve by now that no plot draws."""
        return any(name not in self.plots for name in quantities(run)) or any(
            plot.missing(run) for plot in self.plots.values()
        )

    def refresh(self) -> None:
        """Draw what has come since the last time; Qt paints no more of it than can be seen."""
        for plot in self.plots.values():
            plot.refresh()

    def invalidate(self) -> None:
        """Draw all curves anew: their points have changed."""
        for plot in self.plots.values():
            plot.invalidate()

    def set_axis(self, name: str) -> None:
        self._axis = name
        for plot in self.plots.values():
            plot.set_axis(name)

    def retranslate(self) -> None:
        for plot in self.plots.values():
            plot.retranslate()

    def _make_plot(self, name: str) -> MetricPlot:
        plain = name in (LEARNING_RATE, THROUGHPUT)
        plot = MetricPlot(
            name,
            quantity_title(name),
            self._theme,
            number=formats.rate if plain else formats.short,
            token="curve_rate" if plain else "curve_train",
        )
        plot.set_axis(self._axis)
        plot.hovered.connect(self._on_hover)
        return plot

    def _on_hover(self, x: object) -> None:
        for plot in self.plots.values():
            plot.show_at(x)


def quantities(run: RunData) -> list[str]:
    """What a run has curves of. A lone loss that equals the total is not shown twice."""
    names = dict.fromkeys([*run.step_tracks, *(name for _part, name in run.epoch_tracks)])
    total = run.step_tracks.get(LOSS)
    return [n for n in names if n == LOSS or not _same(run.step_tracks.get(n), total)]


def _same(track: Track | None, total: Track | None) -> bool:
    if track is None or total is None or not len(total):
        return False
    return bool((track.drawn.values[:COMPARED] == total.drawn.values[:COMPARED]).all())


def _rank(name: str) -> tuple[int, str]:
    return (1 if "accuracy" in name else _ORDER.get(name, 5), name)
