"""One plot of the dashboard: the curves of one quantity, of every run that is shown."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, Qt, Signal
from PySide6.QtGui import QColor, QContextMenuEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QMenu,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from graphstudio.i18n import render, tr
from graphstudio.nodes.types import Message
from graphstudio.ui.dashboard import formats
from graphstudio.ui.dashboard.axis import PlotArea
from graphstudio.ui.dashboard.curve_item import CurveItem
from graphstudio.ui.dashboard.legend import Entry, Legend
from graphstudio.ui.dashboard.plot_view import Crosshair, View
from graphstudio.ui.dashboard.run_data import TRAIN, VALIDATION, RunData, Track
from graphstudio.ui.icons import icon
from graphstudio.ui.style import mix, set_role
from graphstudio.ui.theme import Theme

Floats = NDArray[np.float64]

VALUES_S = 0.2
"""Between changes of the numbers in the legend: faster ones cannot be read."""
PAD, EDGE = 0.06, 0.03
"""Shares of what is drawn: the room left around it, and the least of it that stays as it grows."""
FAINT = 0.68
"""Share of the background in the colour of the raw line behind a smoothed one."""


@dataclass
class Curve:
    """One line of a plot, with where its points come from."""

    key: str
    run: RunData
    part: str
    track: Callable[[], Track | None]
    main: CurveItem
    faint: CurveItem | None = None

    def items(self) -> list[CurveItem]:
        return [self.main] if self.faint is None else [self.faint, self.main]


class MetricPlot(QFrame):
    """Title, legend and plot of one metric.

    Wheel zooms at the pointer (over an axis: that axis alone), dragging pans, a double click or
    "Reset view" goes back to following the data.
    """

    hovered = Signal(object)
    """X coordinate under the pointer, or None."""

    def __init__(
        self,
        quantity: str,
        title: Message,
        theme: Theme,
        *,
        number: Callable[[float], str] = formats.short,
        token: str = "curve_train",
        log: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.quantity = quantity
        self.setObjectName(f"plot-{quantity}")
        self._title, self._theme, self._number, self._token = title, theme, number, token
        self._axis = "step"
        self._curves: list[Curve] = []
        self._runs: list[RunData] = []
        self._several = False
        self._follow = True
        self._log = False
        self._at: float | None = None
        self._values_at = 0.0

        self._heading = QLabel()
        self._heading.setTextFormat(Qt.TextFormat.PlainText)
        set_role(self._heading, "heading")
        self._where = QLabel()
        self._where.setTextFormat(Qt.TextFormat.PlainText)
        set_role(self._where, "dim")
        self._log_button = QToolButton(checkable=True)
        self._log_button.setObjectName("logButton")
        self._log_button.toggled.connect(self.set_log)
        self._reset_button = QToolButton()
        self._reset_button.setObjectName("resetViewButton")
        self._reset_button.clicked.connect(self.reset_view)
        top = QHBoxLayout()
        top.setSpacing(4)
        top.addWidget(self._heading)
        top.addSpacing(8)
        top.addWidget(self._where, 1)
        top.addWidget(self._log_button)
        top.addWidget(self._reset_button)
        self.legend = Legend(theme)
        self.legend.toggled.connect(self._on_legend)

        self.view = View()
        self.plot = PlotArea(self.view, "count")
        self._crosshair = Crosshair()
        self._crosshair.setZValue(50)
        self.view.addItem(self._crosshair, ignoreBounds=True)
        self.view.sigRangeChangedManually.connect(self._on_manual)
        self.view.reset_asked.connect(self.reset_view)
        self.plot.scene().sigMouseMoved.connect(self._on_mouse)
        self.plot.viewport().installEventFilter(self)

        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 6, 8, 4)
        layout.setSpacing(2)
        layout.addLayout(top)
        layout.addWidget(self.legend)
        layout.addWidget(self.plot, 1)
        theme.changed.connect(self._dress)
        self.retranslate()
        self._dress()
        if log:
            self._log_button.setChecked(True)

    # -- what is shown --------------------------------------------------------------------------

    def set_runs(self, runs: Sequence[RunData]) -> None:
        """Show this metric of these runs, the one in front last."""
        for curve in self._curves:
            for item in curve.items():
                self.view.removeItem(item)
        self._runs = list(runs)
        self._curves = [c for run in runs for c in self._curves_of(run)]
        for curve in self._curves:
            for item in curve.items():
                item.set_log(self._log)
                self.view.addItem(item, ignoreBounds=True)
        self._several = len({c.run.id for c in self._curves}) > 1
        if self._several:  # one entry a run: its colour is the same for both of its curves
            runs = {c.run.id: c.run for c in self._curves}
            parts = {i: {c.part for c in self._curves if c.run.id == i} for i in runs}
            entries = [
                Entry(i, self._name_of_run(run), QColor(), marked=VALIDATION in parts[i])
                for i, run in runs.items()
            ]
        else:
            entries = [
                Entry(c.key, self._name_of(c), QColor(), marked=c.part == VALIDATION)
                for c in self._curves
            ]
        widest = "0.0000e−00 / 0.0000" if self._several else "0.0000e−00"
        self.legend.set_entries(entries, widest=widest)
        for curve in self._curves:  # what was hidden in the legend stays so
            for item in curve.items():
                item.setVisible(self._is_shown(curve))
        self._dress()
        self.refresh()

    def has_data(self) -> bool:
        return any((t := c.track()) is not None and len(t) for c in self._curves)

    def missing(self, run: RunData) -> bool:
        """True if the run has a curve by now that is not drawn yet."""
        drawn = {c.key for c in self._curves if c.run is run}
        return any(key not in drawn for key, *_ in self._wanted(run))

    def refresh(self) -> None:
        """Draw what has come since the last time; numbers change a few times a second."""
        if self._follow:
            self._fit()
        for curve in self._curves:
            for item in curve.items():
                item.grow()
        now = time.monotonic()
        running = any(c.run.status == "running" for c in self._curves)
        if not running or now - self._values_at >= VALUES_S:
            self._values_at = now
            self._show_values()

    def invalidate(self) -> None:
        """Draw everything anew: smoothing or axis have changed."""
        for curve in self._curves:
            for item in curve.items():
                item.invalidate()
        self.refresh()

    def set_axis(self, name: str) -> None:
        """X axis: ``step``, ``epoch`` or ``time``."""
        if name == self._axis:
            return
        self._axis = name
        self.plot.bottom.set_kind({"step": "count", "time": "time"}.get(name, "number"))
        self.show_at(None)
        self._follow = True
        self._refit()
        self.invalidate()

    def set_log(self, on: bool) -> None:
        self._log = on
        self._log_button.setChecked(on)
        self.plot.left.setLogMode(x=False, y=on)
        self._crosshair.set_log(on)
        for curve in self._curves:
            for item in curve.items():
                item.set_log(on)
        self._follow = True
        self._refit()
        self.refresh()

    @property
    def log(self) -> bool:
        return self._log

    def reset_view(self) -> None:
        """Show everything, and follow the data as it grows."""
        self._follow = True
        self._refit()
        self.refresh()

    def show_at(self, x: float | None) -> None:
        """Put the crosshair at an x coordinate; None takes it away."""
        self._at = x
        self._show_values()

    def retranslate(self) -> None:
        title = render(self._title)
        self._heading.setText(title)
        self.setAccessibleName(title)
        self._log_button.setText(tr("log"))
        self._log_button.setToolTip(tr("Logarithmic y axis"))
        self._log_button.setAccessibleName(tr("Logarithmic y axis"))
        self._reset_button.setToolTip(tr("Reset view (double click in the plot)"))
        self._reset_button.setAccessibleName(tr("Reset view"))
        if not self._several:
            for entry, curve in zip(self.legend.entries, self._curves, strict=True):
                entry.text = self._name_of(curve)
            self.legend.set_entries(self.legend.entries)

    # -- curves ---------------------------------------------------------------------------------

    def _wanted(self, run: RunData) -> list[tuple[str, str, Callable[[], Track | None]]]:
        found = []
        if self.quantity in run.step_tracks:
            found.append((f"{run.id}/{TRAIN}", TRAIN, lambda: run.step_tracks.get(self.quantity)))
        elif (TRAIN, self.quantity) in run.epoch_tracks:
            found.append(
                (f"{run.id}/{TRAIN}", TRAIN, lambda: run.epoch_tracks.get((TRAIN, self.quantity)))
            )
        if (VALIDATION, self.quantity) in run.epoch_tracks:
            found.append(
                (
                    f"{run.id}/{VALIDATION}",
                    VALIDATION,
                    lambda: run.epoch_tracks.get((VALIDATION, self.quantity)),
                )
            )
        return found

    def _curves_of(self, run: RunData) -> list[Curve]:
        return [self._curve(run, *wanted) for wanted in self._wanted(run)]

    def _curve(self, run: RunData, key: str, part: str, track: Callable[[], Track | None]) -> Curve:
        def x() -> Floats:
            found = track()
            return found.axes[self._axis] if found is not None else np.empty(0)

        def main():
            found = track()
            return None if found is None else found.smoothed or found.drawn

        def raw():
            found = track()
            return None if found is None or found.smoothed is None else found.drawn

        each_step = part == TRAIN and self.quantity in run.step_tracks
        item = CurveItem(x, main, markers=not each_step, dashed=part == VALIDATION)
        item.setZValue(20 if part == VALIDATION else 10)
        faint = None
        if each_step:
            faint = CurveItem(x, raw)
            faint.setZValue(5)
        return Curve(key, run, part, track, item, faint)

    def _name_of(self, curve: Curve) -> str:
        part = tr("validation") if curve.part == VALIDATION else tr("train")
        if not any(c.part == VALIDATION for c in self._curves):
            part = ""
        return part or render(self._title)

    def _name_of_run(self, run: RunData) -> str:
        """Date and time of a run, or the time alone if all are of one day."""
        day = run.title.partition(" ")[0]
        same_day = all(c.run.title.startswith(f"{day} ") for c in self._curves)
        return run.title.removeprefix(f"{day} ") if same_day else run.title

    def _entry_key(self, curve: Curve) -> str:
        return curve.run.id if self._several else curve.key

    def _is_shown(self, curve: Curve) -> bool:
        return self.legend.is_shown(self._entry_key(curve))

    def _color_of(self, curve: Curve) -> QColor:
        if curve.run.color:
            return QColor(curve.run.color)
        return self._theme.tokens.color(
            "curve_validation" if curve.part == VALIDATION else self._token
        )

    def _dress(self) -> None:
        tokens = self._theme.tokens
        self.plot.dress(tokens, "panel", self.font())
        self._reset_button.setIcon(icon("fit", tokens.text_dim))
        entries = {e.key: e for e in self.legend.entries}
        for curve in reversed(self._curves):
            color = self._color_of(curve)
            entries[self._entry_key(curve)].color = color
            curve.main.set_color(color)
            if curve.faint is not None:
                curve.faint.set_color(QColor(mix(color.name(), tokens.panel, FAINT)))
        self._crosshair.set_colors(tokens.color("text_dim"), tokens.color("panel"))
        self.legend.update()

    def _on_legend(self, key: str, shown: bool) -> None:
        for curve in self._curves:
            if self._entry_key(curve) == key:
                for item in curve.items():
                    item.setVisible(shown)
        self.refresh()

    # -- ranges ---------------------------------------------------------------------------------

    def _refit(self) -> None:
        self._fit(tight=True)

    def _fit(self, *, tight: bool = False) -> None:
        """Follow the data: room to grow while a run goes on, all of it when it is over."""
        x_high, lows, highs = 0.0, [], []
        growing = False
        for curve in self._curves:
            track = curve.track()
            if track is None or not len(track) or not self._is_shown(curve):
                continue
            x = track.axes[self._axis]
            x_high = max(x_high, float(x[-1]))
            growing |= curve.run.status == "running"
            if not math.isnan(track.high):
                lows.append(track.least_positive if self._log else track.low)
                highs.append(track.high)
        if x_high <= 0.0:
            x_high = 1.0
        (_, x_now), (y_low, y_high) = self.view.viewRange()
        if not growing:
            x_now = x_high * 1.015  # room for the last marker
        elif tight or x_high > x_now or x_high < 0.6 * x_now:
            x_now = x_high * 1.15
        self.view.setXRange(0.0, x_now, padding=0)
        lows = [v for v in lows if math.isfinite(v)]
        if not lows or not highs:
            return
        low, high = min(lows), max(highs)
        if self._log:
            if high <= 0.0:
                return
            low, high = math.log10(low), math.log10(high)
        span = high - low
        if span <= 0.0:
            span = max(abs(high), 1e-6)
            low, high = low - span / 2, high + span / 2
        # A line on the very edge is cut in half, and so is the number beside it.
        edge = EDGE * span
        inside = y_low <= low - edge and high + edge <= y_high
        if tight or not inside or not growing or span < 0.55 * (y_high - y_low):
            self.view.setYRange(low - PAD * span, high + PAD * span, padding=0)

    def _on_manual(self, *_: object) -> None:
        self._follow = False

    @property
    def following(self) -> bool:
        return self._follow

    # -- pointer --------------------------------------------------------------------------------

    def eventFilter(self, watched: object, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Leave:
            self.hovered.emit(None)
        elif event.type() == QEvent.Type.ContextMenu and isinstance(event, QContextMenuEvent):
            self._open_menu(event)
            return True
        return super().eventFilter(watched, event)

    def _on_mouse(self, position: QPointF) -> None:
        if self.view.sceneBoundingRect().contains(position):
            self.hovered.emit(float(self.view.mapSceneToView(position).x()))
        else:
            self.hovered.emit(None)

    def _open_menu(self, event: QContextMenuEvent) -> None:
        menu = QMenu(self)
        menu.addAction(tr("Reset view"), self.reset_view)
        log = menu.addAction(tr("Logarithmic y axis"))
        log.setCheckable(True)
        log.setChecked(self._log)
        log.toggled.connect(self.set_log)
        menu.addAction(tr("Copy image"), self._copy_image)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(event.globalPos())

    def _copy_image(self) -> None:
        from PySide6.QtGui import QGuiApplication

        QGuiApplication.clipboard().setPixmap(self.grab())

    def _show_values(self) -> None:
        values, dots = {}, []
        at = self._at
        for curve in self._curves:
            track = curve.track()
            if track is None or not len(track):
                continue
            index = len(track) - 1
            shown = self._is_shown(curve)
            if at is not None:
                x = track.axes[self._axis][: len(track)]
                index = nearest(x, at)
                pyramid = track.smoothed or track.drawn
                if shown:
                    color = self._color_of(curve)
                    dots.append((float(x[index]), float(pyramid.values[index]), color))
            key, text = self._entry_key(curve), self._value_text(track, index)
            values[key] = f"{values[key]} / {text}" if key in values else text
        self.legend.set_values(values)
        self._crosshair.place(at, dots)
        self._where.setText("" if at is None else self._place_text(at))

    def _value_text(self, track: Track, index: int) -> str:
        raw = track.value(index)
        if track.smoothed is None or not math.isfinite(raw):
            return self._number(raw)
        return self._number(float(track.smoothed.values[index]))

    def _place_text(self, at: float) -> str:
        if self._axis == "time":
            return formats.duration(at)
        if self._axis == "epoch":
            return tr("epoch {epoch}", epoch=f"{at:.2f}")
        return tr("step {step}", step=f"{max(0, round(at)):,}")


def nearest(x: Floats, at: float) -> int:
    """Index of the entry of an ascending array that lies nearest to ``at``."""
    index = int(np.clip(np.searchsorted(x, at), 0, x.size - 1))
    if index and at - x[index - 1] < x[index] - at:
        return index - 1
    return index
