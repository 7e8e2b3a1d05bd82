"""The dashboard: watches the training bridge, shows the run in front and others laid over it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, QRunnable, Qt, QThreadPool, QTimer, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QLabel,
    QSlider,
    QSplitter,
    QStackedWidget,
    QTabBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from graphstudio.i18n import tr
from graphstudio.nodes.types import Message
from graphstudio.services.runs import Run, list_runs
from graphstudio.training.messages import (
    EpochEnd,
    Evaluated,
    Failed,
    Finished,
    Preparing,
    Started,
    StepMetrics,
)
from graphstudio.ui.dashboard import formats
from graphstudio.ui.dashboard.banner import FailureBanner
from graphstudio.ui.dashboard.confusion import ConfusionView, evaluation_texts
from graphstudio.ui.dashboard.empty_state import EmptyState
from graphstudio.ui.dashboard.header import Header
from graphstudio.ui.dashboard.log_pane import LogPane
from graphstudio.ui.dashboard.plot import MetricPlot
from graphstudio.ui.dashboard.plot_grid import PlotGrid
from graphstudio.ui.dashboard.run_data import (
    AXES,
    LEARNING_RATE,
    LOSS,
    THROUGHPUT,
    TRAIN,
    VALIDATION,
    RunData,
)
from graphstudio.ui.dashboard.runs_list import OVERLAY_COLORS, RunRow, RunsList
from graphstudio.ui.dashboard.status import StatusStrip
from graphstudio.ui.dashboard.stored_runs import load_run, read_evaluation, run_title, write_csv
from graphstudio.ui.icons import icon
from graphstudio.ui.project import Project
from graphstudio.ui.style import set_role
from graphstudio.ui.theme import Theme
from graphstudio.ui.training_bridge import PAUSED, PREPARING, RUNNING, STOPPING, TrainingBridge

REDRAW_MS = 50
DEFAULT_SMOOTHING = 0.6
CURVES, CONFUSION, LOG = range(3)


class DashboardPanel(QWidget):
    """Status, curves, confusion matrix and log of the runs of one project."""

    node_activated = Signal(str)
    status_message = Signal(str)

    def __init__(
        self,
        bridge: TrainingBridge,
        theme: Theme,
        project: Project | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("dashboard")
        self._bridge, self._theme = bridge, theme
        self._project: Project | None = None
        self._live: RunData | None = None
        self._front: RunData | None = None
        self._loaded: dict[str, RunData] = {}
        self._stored: dict[str, Run] = {}
        self._overlays: list[str] = []
        self._loading: set[str] = set()
        self._plots: dict[str, MetricPlot] = {}
        self._dirty = False
        self._step: StepMetrics | None = None
        self._build()
        self._timer = QTimer(self, singleShot=True, interval=REDRAW_MS)
        self._timer.timeout.connect(self.redraw)
        theme.changed.connect(self._dress)
        self._dress()
        self.retranslate()
        self.set_project(project)
        handlers = {
            "begun": self._on_begun,
            "state_changed": self._on_state,
            "preparing": self._on_preparing,
            "started": self._on_started,
            "stepped": self._on_steps,
            "epoch_ended": self._on_epoch,
            "evaluated": self._on_evaluated,
            "finished": self._on_finished,
            "failed": self._on_failed,
            "logged": self.log.worker_line,
        }
        for name, argument in bridge.take_kept():  # of a run begun before there was a dashboard
            handlers[name](argument)
        for name, handler in handlers.items():
            getattr(bridge, name).connect(handler)

    # -- widgets --------------------------------------------------------------------------------

    def _build(self) -> None:
        theme = self._theme
        self.status = StatusStrip(theme)
        self.banner = FailureBanner(theme)
        self.banner.node_activated.connect(self.node_activated)
        self.tabs = QTabBar()
        self.tabs.setObjectName("dashboardTabs")
        self.tabs.setExpanding(False)
        self.tabs.setUsesScrollButtons(False)
        self.tabs.setElideMode(Qt.TextElideMode.ElideNone)
        for _ in range(3):
            self.tabs.addTab("")
        self.tabs.currentChanged.connect(self._on_tab)
        self._smoothing_label, self._smoothing_value = QLabel(), QLabel()
        set_role(self._smoothing_label, "dim")
        self._smoothing_value.setMinimumWidth(
            self._smoothing_value.fontMetrics().horizontalAdvance("0.00") + 4
        )
        self.smoothing = QSlider(Qt.Orientation.Horizontal)
        self.smoothing.setObjectName("smoothing")
        self.smoothing.setRange(0, 99)
        self.smoothing.setFixedWidth(110)
        self.smoothing.setValue(round(DEFAULT_SMOOTHING * 100))
        self.smoothing.valueChanged.connect(self._on_smoothing)
        self._axis_label = QLabel()
        set_role(self._axis_label, "dim")
        self.axis = QComboBox()
        self.axis.setObjectName("xAxis")
        for name in AXES:
            self.axis.addItem("", name)
        self.axis.currentIndexChanged.connect(self._on_axis)
        self._csv = QToolButton()
        self._csv.setObjectName("exportCsv")
        self._csv.clicked.connect(self._ask_csv)
        self._runs_button = QToolButton(checkable=True, checked=True)
        self._runs_button.setObjectName("showRuns")
        self._header = Header(
            self.tabs,
            (
                self._smoothing_label, self.smoothing, self._smoothing_value, self._axis_label,
                self.axis, self._csv, self._runs_button,
            ),
            first_to_go=(
                self._axis_label, self._smoothing_label, self._smoothing_value, self._runs_button,
                self._csv, self.smoothing, self.axis,
            ),
        )  # fmt: skip

        self.grid = PlotGrid()
        self._empty = EmptyState("chart", theme)
        self._empty.setObjectName("dashboardEmpty")
        self._curves = QStackedWidget()
        self._curves.addWidget(self._empty)
        self._curves.addWidget(self.grid)
        self.runs = RunsList(theme)
        self.runs.front_chosen.connect(self.show_in_front)
        self.runs.overlay_changed.connect(self._on_overlay)
        self.runs.export_asked.connect(self._ask_csv_of)
        self._runs_button.toggled.connect(self._show_runs_list)
        splitter = QSplitter(Qt.Orientation.Horizontal)
        splitter.setObjectName("dashboardSplitter")
        splitter.addWidget(self.runs)
        splitter.addWidget(self._curves)
        splitter.setStretchFactor(1, 1)
        splitter.setSizes([236, 900])
        splitter.setHandleWidth(1)
        self.confusion = ConfusionView(theme)
        self.log = LogPane()
        self._pages = QStackedWidget()
        for page in (splitter, self.confusion, self.log):
            self._pages.addWidget(page)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.status)
        layout.addWidget(self.banner)
        layout.addWidget(self._header)
        layout.addWidget(self._pages, 1)

    def retranslate(self) -> None:
        """Read all texts again after the language has changed."""
        self.setAccessibleName(tr("Training dashboard"))
        for index, text in enumerate((tr("Curves"), tr("Confusion matrix"), tr("Log"))):
            self.tabs.setTabText(index, text)
        self._header.arrange()
        self._smoothing_label.setText(tr("Smoothing"))
        self.smoothing.setAccessibleName(tr("Smoothing"))
        self.smoothing.setToolTip(
            tr("Weight of the moving average over training steps; the raw line stays behind it")
        )
        self._axis_label.setText(tr("X axis"))
        self.axis.setAccessibleName(tr("X axis"))
        for index, text in enumerate((tr("Step"), tr("Epoch"), tr("Time"))):
            self.axis.setItemText(index, text)
        self._csv.setToolTip(tr("Export every row as CSV"))
        self._csv.setAccessibleName(tr("Export CSV"))
        self._runs_button.setToolTip(tr("Show the list of runs"))
        self._runs_button.setAccessibleName(tr("Show the list of runs"))
        self._show_invitation()
        self._on_smoothing_shown()
        for part in (self.status, self.banner, self.runs, self.confusion, self.log):
            part.retranslate()
        for plot in self._plots.values():
            plot.retranslate()
        self._list_runs()

    def _show_invitation(self) -> None:
        if self._bridge.state != "idle":
            return
        self._empty.set_texts(
            tr("Press Train (F5) to see curves here"),
            tr("Loss and accuracy are drawn while the model learns."),
        )

    def _dress(self) -> None:
        tokens = self._theme.tokens
        self._csv.setIcon(icon("download", tokens.text))
        self._runs_button.setIcon(icon("clock", tokens.text))

    # -- project and runs -----------------------------------------------------------------------

    def set_project(self, project: Project | None) -> None:
        """Show the runs of another project."""
        if self._project is not None:
            self._project.path_changed.disconnect(self.refresh_runs)
        self._project = project
        if project is not None:
            project.path_changed.connect(self.refresh_runs)
        if self._bridge.run_dir == "" or self._live is None or self._live.status != "running":
            self._live = self._front = None
            self._loaded.clear()
            self._overlays.clear()
            self.banner.hide()
            self.status.set_state("idle")
            self.status.clear()
            self.confusion.show_evaluation(None)
        self.refresh_runs()
        self._show_runs()

    def refresh_runs(self) -> None:
        """Read the list of the project's runs again."""
        path = self._project.path if self._project is not None else None
        found = list_runs(path) if self._project is not None else []
        self._stored = {run.path.name: run for run in found}
        self._list_runs()

    @property
    def front(self) -> RunData | None:
        """The run whose status, evaluation and main curves are shown."""
        return self._front

    def show_in_front(self, run_id: str) -> None:
        """Put a run of the list in front, reading it from its folder if need be."""
        if self._live is not None and run_id == self._live.id:
            self._bring(self._live)
        elif run_id in self._loaded:
            self._bring(self._loaded[run_id])
        else:
            self._load(run_id)

    def _bring(self, run: RunData) -> None:
        if run.id in self._overlays:
            self._overlays.remove(run.id)
        self._front = run
        run.color = ""
        self.banner.hide()
        evaluations = list(run.evaluations.values())
        self.confusion.show_evaluation(evaluations[-1] if evaluations else None)
        self.status.clear()
        self.status.set_length(run.epochs, run.num_steps)
        self.status.set_state(self._state_of(run))
        self._show_place(run)
        self._show_runs()

    def _state_of(self, run: RunData) -> str:
        return self._bridge.state if run.status == "running" else run.status

    def _on_overlay(self, run_id: str, on: bool) -> None:
        if self._front is not None and run_id == self._front.id:
            self._list_runs()  # the run in front is always drawn
            return
        if on and run_id not in self._overlays:
            self._overlays.append(run_id)
            if run_id not in self._loaded and (self._live is None or self._live.id != run_id):
                self._load(run_id, front=False)
                return
        elif not on and run_id in self._overlays:
            self._overlays.remove(run_id)
        self._show_runs()

    def _load(self, run_id: str, *, front: bool = True) -> None:
        run = self._stored.get(run_id)
        if run is None or run_id in self._loading:
            return
        self._loading.add(run_id)
        job = _Job(run, front)
        job.told.done.connect(self._on_loaded)
        QThreadPool.globalInstance().start(job)

    def _on_loaded(self, run_id: str, front: bool, loaded: object) -> None:
        self._loading.discard(run_id)
        if run_id not in self._stored:
            return  # another project was opened meanwhile
        if isinstance(loaded, Exception):
            if run_id in self._overlays:
                self._overlays.remove(run_id)
            text = tr("The log of run {run} cannot be read: {reason}", run=run_title(run_id),
                      reason=str(loaded))  # fmt: skip
            self.log.event_line(text)
            self.status_message.emit(text)
            self._list_runs()
            return
        loaded.smooth(self._weight())
        self._loaded[run_id] = loaded
        if front:
            self._bring(loaded)
        else:
            self._show_runs()

    def _shown(self) -> list[RunData]:
        """The runs that are drawn, the one in front last."""
        known = dict(self._loaded)
        if self._live is not None:
            known[self._live.id] = self._live
        runs = [known[i] for i in self._overlays if i in known and known[i] is not self._front]
        taken = {run.color for run in runs}
        free = [c for c in OVERLAY_COLORS if c not in taken] or list(OVERLAY_COLORS)
        for run in runs:
            if not run.color:
                run.color = free.pop(0) if free else OVERLAY_COLORS[len(run.id) % 8]
        return [*runs, self._front] if self._front is not None else runs

    def _show_runs(self) -> None:
        """Make the plots that the shown runs need, and give them their runs."""
        runs = self._shown()
        wanted = list(dict.fromkeys(q for run in reversed(runs) for q in quantities(run)))
        wanted.sort(key=_rank)
        if list(self._plots) != wanted:
            for name in [n for n in self._plots if n not in wanted]:
                plot = self._plots.pop(name)
                plot.hide()
                plot.deleteLater()
            self._plots = {n: self._plots.get(n) or self._make_plot(n) for n in wanted}
            self.grid.set_plots(list(self._plots.values()))
        for plot in self._plots.values():
            plot.set_runs(runs)
        self._curves.setCurrentIndex(1 if wanted else 0)
        self._csv.setEnabled(self._front is not None and len(self._front.step_axes) > 0)
        self._list_runs()

    def _make_plot(self, name: str) -> MetricPlot:
        number = formats.rate if name in (LEARNING_RATE, THROUGHPUT) else formats.short
        token = "curve_rate" if name in (LEARNING_RATE, THROUGHPUT) else "curve_train"
        plot = MetricPlot(name, quantity_title(name), self._theme, number=number, token=token)
        plot.set_axis(self.axis.currentData())
        plot.hovered.connect(self._on_hover)
        return plot

    def _on_hover(self, x: object) -> None:
        for plot in self._plots.values():
            plot.show_at(x)

    def _list_runs(self) -> None:
        rows = []
        live = self._live
        if live is not None and live.id not in self._stored:
            rows.append(RunRow(live.id, live.title, self._row_state(live), ""))
        for name, run in self._stored.items():
            if live is not None and name == live.id:
                rows.append(
                    RunRow(name, live.title, self._row_state(live), _detail(run), str(run.path))
                )
                continue
            state = run.info.status if run.info.status in _STATES else "died"
            rows.append(RunRow(name, run_title(name), state, _detail(run), str(run.path)))
        shown = {run.id: run.color for run in self._shown()}
        front = self._front.id if self._front is not None else ""
        if front in shown:
            shown[front] = self._theme.tokens.curve_train
        for name in self._overlays:
            shown.setdefault(name, "")
        self.runs.set_rows(rows, front, shown)

    def _row_state(self, live: RunData) -> str:
        return "running" if live.status == "running" else live.status

    # -- what the bridge tells ------------------------------------------------------------------

    def _on_begun(self, run_dir: str) -> None:
        name = Path(run_dir).name
        if self._live is not None:
            self._loaded[self._live.id] = self._live
        self._live = RunData(name, run_title(name), smoothing=self._weight())
        self._step = None
        self.banner.hide()
        self.log.event_line(tr("Run started"))
        self._bring(self._live)
        self._empty.set_texts(tr("The run is being prepared"), "")
        if self.tabs.currentIndex() == CONFUSION:
            self.tabs.setCurrentIndex(CURVES)

    def _on_state(self, state: str) -> None:
        if self._live is None:
            return
        self._live.pause(state == PAUSED)
        if self._front is self._live and state in (PREPARING, RUNNING, PAUSED, STOPPING):
            self.status.set_state(state)
        if state == PAUSED:
            self.log.event_line(tr("Paused"))
        elif state == STOPPING:
            self.log.event_line(tr("Asked to stop"))
        elif state == "idle":
            self._show_invitation()
            self.refresh_runs()

    def _on_preparing(self, message: Preparing) -> None:
        self.log.event_line(message.what)
        self._empty.set_texts(tr("The run is being prepared"), message.what)
        if self._front is self._live and self._live is not None:
            self.status.set_state(self._bridge.state, message.what)

    def _on_started(self, message: Started) -> None:
        if self._live is None:
            return
        self._live.begin(message)
        self.log.event_line(
            tr(
                "{epochs} epochs of {steps} steps, {samples} training samples, "
                "{parameters} parameters",
                epochs=message.epochs, steps=message.steps_per_epoch,
                samples=formats.count(message.num_train),
                parameters=formats.count(message.num_parameters),
            )
        )  # fmt: skip
        if self._front is self._live:
            self.status.set_length(message.epochs, self._live.num_steps)
            self.status.set_state(self._bridge.state)
        self.refresh_runs()

    def _on_steps(self, message: StepMetrics) -> None:
        if self._live is None:
            return
        self._live.add_steps(message)
        self._step = message
        self._note_change()

    def _on_epoch(self, message: EpochEnd) -> None:
        if self._live is None:
            return
        self._live.add_epoch(message)
        parts = [f"{tr('loss')} {formats.short(message.train.get(LOSS, float('nan')))}"]
        if LOSS in message.validation:
            parts.append(f"{tr('validation')} {formats.short(message.validation[LOSS])}")
        self.log.event_line(
            tr("Epoch {epoch}: {values}", epoch=message.epoch, values=", ".join(parts))
        )
        self._note_change()

    def _on_evaluated(self, message: Evaluated) -> None:
        if self._live is None:
            return
        self._live.evaluations[message.split] = message
        texts = ", ".join(f"{name} {value}" for name, value in evaluation_texts(message))
        self.log.event_line(tr("Held-out evaluation: {values}", values=texts))
        if self._front is self._live:
            self.confusion.show_evaluation(message)

    def _on_finished(self, message: Finished) -> None:
        if self._live is None:
            return
        self._live.status = message.status
        done = tr("Completed") if message.status == "completed" else tr("Stopped")
        self.log.event_line(
            tr("{done} after {epochs} epochs, {time}", done=done, epochs=message.epochs,
               time=formats.duration(message.seconds))
        )  # fmt: skip
        self._end()

    def _on_failed(self, message: Failed) -> None:
        if self._live is None:
            return
        self._live.status = "failed"
        self.log.event_line(message.message)
        if message.hint:
            self.log.event_line(message.hint)
        if self._front is not self._live:
            self._bring(self._live)
        self._end()
        self.banner.show_failure(message)

    def _end(self) -> None:
        """The last drawing of a run: axes end where the data ends."""
        if self._live is not None and self._front is self._live:
            self.status.set_state(self._live.status)
        self._dirty = True
        self.redraw()
        self.log.flush()
        self.refresh_runs()

    # -- drawing --------------------------------------------------------------------------------

    def _note_change(self) -> None:
        self._dirty = True
        if not self._timer.isActive():
            self._timer.start()

    def redraw(self) -> None:
        """Draw what has come since the last time, if it can be seen."""
        if not self._dirty or not self.isVisible():
            return
        self._dirty = False
        live = self._live
        if live is None:
            return
        if any(name not in self._plots for name in quantities(live)) or any(
            plot.missing(live) for plot in self._plots.values()
        ):
            self._show_runs()
        elif self.tabs.currentIndex() == CURVES:
            for plot in self._plots.values():
                if not plot.visibleRegion().isEmpty():
                    plot.refresh()
        if self._front is live:
            self._show_place(live)

    def _show_place(self, run: RunData) -> None:
        if not len(run.step_axes):
            return
        epoch = float(run.step_axes["epoch"][-1])
        self.status.set_progress(epoch, run.last_step)
        rate = run.step_tracks[LEARNING_RATE].last if LEARNING_RATE in run.step_tracks else 0.0
        elapsed = float(run.step_axes["time"][-1])
        if run is self._live and run.status == "running" and self._step is not None:
            left, speed = self._step.time_left_s, self._step.samples_per_s
        else:
            left = float("nan")
            track = run.step_tracks.get(THROUGHPUT)
            speed = track.last if track is not None else float("nan")
        self.status.set_figures(elapsed, left, speed, rate)

    def resizeEvent(self, event) -> None:
        super().resizeEvent(event)
        self._show_runs_list()

    def _show_runs_list(self) -> None:
        self.runs.setVisible(self._runs_button.isChecked() and self.width() >= 560)

    def showEvent(self, event) -> None:
        super().showEvent(event)
        if self._dirty:
            self.redraw()

    def _on_tab(self, index: int) -> None:
        self._pages.setCurrentIndex(index)
        self._header.set_tools_shown(index == CURVES)
        for plot in self._plots.values():
            plot.refresh()

    def _weight(self) -> float:
        return self.smoothing.value() / 100.0

    def _on_smoothing(self) -> None:
        self._on_smoothing_shown()
        for run in self._shown():
            run.smooth(self._weight())
        for run in self._loaded.values():
            run.smooth(self._weight())
        for plot in self._plots.values():
            plot.invalidate()

    def _on_smoothing_shown(self) -> None:
        self._smoothing_value.setText(f"{self._weight():.2f}")

    def _on_axis(self) -> None:
        for plot in self._plots.values():
            plot.set_axis(self.axis.currentData())

    # -- CSV ------------------------------------------------------------------------------------

    def export_csv(self, run: RunData, path: Path) -> bool:
        """Write every row of a run to a file; False, with a message, if that fails."""
        try:
            count = write_csv(run, path)
        except OSError as error:
            text = tr("{file} cannot be written: {reason}", file=path.name,
                      reason=error.strerror or str(error))  # fmt: skip
            self.status_message.emit(text)
            self.log.event_line(text)
            return False
        self.status_message.emit(
            tr("{count} rows written to {file}", count=formats.count(count), file=path.name)
        )
        return True

    def _ask_csv(self) -> None:
        if self._front is not None:
            self._ask_csv_for(self._front)

    def _ask_csv_of(self, run_id: str) -> None:
        run = self._loaded.get(run_id)
        if run is None and self._live is not None and self._live.id == run_id:
            run = self._live
        if run is None and run_id in self._stored:
            try:
                run = load_run(self._stored[run_id])
            except (OSError, ValueError) as error:
                self.status_message.emit(str(error))
        if run is not None:
            self._ask_csv_for(run)

    def _ask_csv_for(self, run: RunData) -> None:
        name, _kind = QFileDialog.getSaveFileName(
            self, tr("Export CSV"), f"{run.id}.csv", tr("CSV files (*.csv)")
        )
        if name:
            self.export_csv(run, Path(name))


class _Told(QObject):
    done = Signal(str, bool, object)


class _Job(QRunnable):
    """Reads a run away from the window; ``done`` arrives in the window's thread."""

    def __init__(self, run: Run, front: bool) -> None:
        super().__init__()
        self.told = _Told()
        self._run, self._front = run, front

    def run(self) -> None:
        try:
            loaded: object = load_run(self._run)
        except (OSError, ValueError) as error:
            loaded = error
        self.told.done.emit(self._run.path.name, self._front, loaded)


_STATES = ("running", "completed", "stopped", "failed", "died")
_ORDER = {LOSS: 0, "accuracy": 1, LEARNING_RATE: 8, THROUGHPUT: 9}


def quantities(run: RunData) -> list[str]:
    """What a run has curves of. A lone loss that equals the total is not shown twice."""
    names = list(run.step_tracks)
    names += [n for part, n in run.epoch_tracks if part in (TRAIN, VALIDATION) and n not in names]
    total = run.step_tracks.get(LOSS)
    return [n for n in dict.fromkeys(names) if n == LOSS or not _same(run, n, total)]


def _same(run: RunData, name: str, total) -> bool:
    track = run.step_tracks.get(name)
    if track is None or total is None or not len(total):
        return False
    ours, theirs = track.drawn.values[:64], total.drawn.values[:64]
    return bool((ours == theirs).all())


def _rank(name: str) -> tuple[int, str]:
    if "accuracy" in name:
        return (1, name)
    return (_ORDER.get(name, 5), name)


def quantity_title(name: str) -> Message:
    """Title of a plot; names of the project's own metrics are shown as they are."""
    known = {
        LOSS: Message("Loss"),
        "accuracy": Message("Accuracy"),
        LEARNING_RATE: Message("Learning rate"),
        THROUGHPUT: Message("Samples/s"),
    }
    return known.get(name) or Message("{name}", {"name": name.replace("_", " ").capitalize()})


def _detail(run: Run) -> str:
    parts = []
    evaluation = read_evaluation(run.path)
    if evaluation is not None:
        parts += [value for name, value in evaluation_texts(evaluation)[:1]]
    if run.info.epochs:
        parts.append(tr("{count} epochs", count=run.info.epochs))
    return " · ".join(parts)
