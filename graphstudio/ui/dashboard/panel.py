"""The dashboard: watches the training bridge, shows the run in front and others laid over it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
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
from graphstudio.ui.dashboard.confusion import ConfusionView
from graphstudio.ui.dashboard.curves_page import CurvesPage
from graphstudio.ui.dashboard.header import Header
from graphstudio.ui.dashboard.log_pane import LogPane
from graphstudio.ui.dashboard.run_data import AXES, LEARNING_RATE, LOSS, THROUGHPUT, RunData
from graphstudio.ui.dashboard.run_shelf import RunShelf
from graphstudio.ui.dashboard.runs_list import RunRow, RunsList
from graphstudio.ui.dashboard.status import STATES, StatusStrip
from graphstudio.ui.dashboard.stored_runs import load_run, run_title, write_csv
from graphstudio.ui.dashboard.texts import evaluation_texts
from graphstudio.ui.icons import icon, pixmap
from graphstudio.ui.inspector.project_page import FETCHABLE
from graphstudio.ui.project import Project
from graphstudio.ui.quantities import exact
from graphstudio.ui.style import set_role
from graphstudio.ui.theme import Theme
from graphstudio.ui.training_bridge import (
    IDLE,
    PAUSED,
    PREPARING,
    RUNNING,
    STOPPING,
    WORDLESS,
    TrainingBridge,
)

REDRAW_MS = 50
DEFAULT_SMOOTHING = 0.6
CURVES, CONFUSION, LOG = range(3)


class DashboardPanel(QWidget):
    """Status, curves, confusion matrix and log of the runs of one project."""

    node_activated = Signal(str)
    status_message = Signal(str)
    data_asked = Signal(str)
    """The files of this kind of data source are missing and to be fetched."""

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
        self.shelf = RunShelf(self)
        self.shelf.smoothing = DEFAULT_SMOOTHING
        self._dirty = False
        self._step: StepMetrics | None = None
        self._build()
        self._timer = QTimer(self, singleShot=True, interval=REDRAW_MS)
        self._timer.timeout.connect(self.redraw)
        self.shelf.front_changed.connect(self._show_front)
        self.shelf.drawn_changed.connect(self._show_curves)
        self.shelf.listed.connect(self._list_runs)
        self.shelf.unreadable.connect(self._say)
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
        self.banner.data_asked.connect(self.data_asked)
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
        # The word goes first where room is short; a slider without a sign would be a riddle.
        self._smoothing_icon = QLabel()
        self._smoothing_icon.setObjectName("smoothingIcon")
        smoothing = QWidget()
        row = QHBoxLayout(smoothing)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(5)
        row.addWidget(self._smoothing_icon)
        row.addWidget(self.smoothing)
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
            self.status,
            (
                self._smoothing_label,
                smoothing,
                self._smoothing_value,
                self._axis_label,
                self.axis,
                self._csv,
                self._runs_button,
            ),
            spare=(self._axis_label, self._smoothing_label, self._smoothing_value),
            needed=(self._runs_button, self._csv, smoothing, self.axis),
        )
        self.curves = CurvesPage(theme)
        self.runs = RunsList(theme)
        self.runs.front_chosen.connect(self.shelf.show_in_front)
        self.runs.overlay_changed.connect(self.shelf.set_overlay)
        self.runs.export_asked.connect(self._ask_csv_of)
        self._runs_button.toggled.connect(self._show_runs_list)
        splitter = QSplitter(Qt.Orientation.Horizontal)
        splitter.setObjectName("dashboardSplitter")
        splitter.addWidget(self.runs)
        splitter.addWidget(self.curves)
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
        layout.addWidget(self._header)
        layout.addWidget(self.status.bar)
        layout.addWidget(self.banner)
        layout.addWidget(self._pages, 1)

    def retranslate(self) -> None:
        """Read all texts again after the language has changed."""
        self.setAccessibleName(tr("Training dashboard"))
        for index, text in enumerate((tr("Curves"), tr("Confusion matrix"), tr("Log"))):
            self.tabs.setTabText(index, text)
        self._header.arrange()
        self._smoothing_label.setText(tr("Smoothing"))
        self.smoothing.setAccessibleName(tr("Smoothing"))
        about = tr(
            "Smoothing: weight of the moving average over training steps; the raw line stays "
            "behind it"
        )
        for widget in (self.smoothing, self._smoothing_icon, self._smoothing_label):
            widget.setToolTip(about)
        self._axis_label.setText(tr("X axis"))
        self.axis.setAccessibleName(tr("X axis"))
        self.axis.setToolTip(tr("X axis"))
        for index, text in enumerate((tr("Step"), tr("Epoch"), tr("Time"))):
            self.axis.setItemText(index, text)
        self._csv.setToolTip(tr("Export every row as CSV"))
        self._csv.setAccessibleName(tr("Export CSV"))
        self._runs_button.setToolTip(tr("Show the list of runs"))
        self._runs_button.setAccessibleName(tr("Show the list of runs"))
        self._show_invitation()
        self._on_smoothing_shown()
        parts = (self.status, self.banner, self.runs, self.curves, self.confusion, self.log)
        for part in parts:
            part.retranslate()
        self.shelf.forget_details()

    def _show_invitation(self) -> None:
        if self._bridge.state != "idle":
            return
        self.curves.empty.set_texts(
            tr("Press Train (F5) to see curves here"),
            tr("Loss and accuracy are drawn while the model learns."),
        )

    def _dress(self) -> None:
        tokens = self._theme.tokens
        self._csv.setIcon(icon("download", tokens.text))
        self._runs_button.setIcon(icon("clock", tokens.text))
        ratio = self.devicePixelRatioF()
        self._smoothing_icon.setPixmap(pixmap("smooth", tokens.text_dim, 18, ratio))

    # -- project and runs -----------------------------------------------------------------------

    def set_project(self, project: Project | None) -> None:
        """Show the runs of another project."""
        if self._project is not None:
            self._project.path_changed.disconnect(self.refresh_runs)
        self._project = project
        if project is not None:
            project.path_changed.connect(self.refresh_runs)
        self.shelf.open(project)

    def refresh_runs(self) -> None:
        """Read the list of the project's runs again."""
        self.shelf.refresh()

    @property
    def front(self) -> RunData | None:
        """The run whose status, evaluation and main curves are shown."""
        return self.shelf.front

    def show_in_front(self, run_id: str) -> None:
        """Put a run of the list in front, reading it from its folder if need be."""
        self.shelf.show_in_front(run_id)

    def _show_front(self) -> None:
        """Status and evaluation of the run in front."""
        self.banner.hide()
        self.status.clear()
        run = self.shelf.front
        if run is None:
            self.status.set_state("idle")
            self.confusion.show_evaluation(None)
            return
        evaluations = list(run.evaluations.values())
        self.confusion.show_evaluation(evaluations[-1] if evaluations else None)
        self.status.set_length(run.epochs, run.num_steps)
        self.status.set_state(self._bridge.state if run.status == "running" else run.status)
        self._show_place(run)

    def _show_curves(self) -> None:
        """Plots of the runs that are drawn, and their marks in the list."""
        self.curves.set_runs(self.shelf.drawn())
        front = self.shelf.front
        self._csv.setEnabled(front is not None and len(front.step_axes) > 0)
        self._list_runs()

    def _list_runs(self) -> None:
        shelf, live = self.shelf, self.shelf.live
        rows = []
        now = live.status if live is not None else ""
        if now == RUNNING and self._bridge.state != IDLE:
            now = self._bridge.state  # which is more exact: paused, say
        if live is not None and live.id not in shelf.stored:
            rows.append(RunRow(live.id, live.title, now, ""))
        for name, run in shelf.stored.items():
            state = now if live is not None and name == live.id else run.info.status
            state = state if state in STATES else "died"
            rows.append(RunRow(name, run_title(name), state, shelf.detail(run), str(run.path)))
        shown = {run.id: run.color or self._theme.tokens.curve_train for run in shelf.drawn()}
        for name in shelf.overlays:
            shown.setdefault(name, "")  # still being read
        self.runs.set_rows(rows, shelf.front.id if shelf.front is not None else "", shown)

    def _say(self, text: str) -> None:
        self.log.event_line(text)
        self.status_message.emit(text)

    # -- what the bridge tells ------------------------------------------------------------------

    def _on_begun(self, run_dir: str) -> None:
        self._step = None
        self.log.event_line(tr("Run started"))
        self.shelf.begin(Path(run_dir).name)
        self.curves.empty.set_texts(tr("The run is being prepared"), "")
        if self.tabs.currentIndex() == CONFUSION:
            self.tabs.setCurrentIndex(CURVES)

    def _on_state(self, state: str) -> None:
        if self.shelf.live is None:
            return
        self.shelf.live.pause(state == PAUSED)
        if self._live_in_front and state in (PREPARING, RUNNING, PAUSED, STOPPING):
            self.status.set_state(state)
        self._list_runs()
        if state == PAUSED:
            self.log.event_line(tr("Paused"))
        elif state == STOPPING:
            self.log.event_line(tr("Asked to stop"))
        elif state == "idle":
            self._show_invitation()
            self.refresh_runs()

    def _on_preparing(self, message: Preparing) -> None:
        self.log.event_line(message.what)
        self.curves.empty.set_texts(tr("The run is being prepared"), message.what)
        if self._live_in_front:
            self.status.set_state(self._bridge.state, message.what)

    def _on_started(self, message: Started) -> None:
        if self.shelf.live is None:
            return
        self.shelf.live.begin(message)
        self.log.event_line(
            tr(
                "{epochs} epochs of {steps} steps, {samples} training samples, "
                "{parameters} parameters",
                epochs=message.epochs, steps=message.steps_per_epoch,
                samples=exact(message.num_train),
                parameters=exact(message.num_parameters),
            )
        )  # fmt: skip
        if self._live_in_front:
            self.status.set_length(message.epochs, self.shelf.live.num_steps)
            self.status.set_state(self._bridge.state)
        self.refresh_runs()

    def _on_steps(self, message: StepMetrics) -> None:
        if self.shelf.live is None:
            return
        self.shelf.live.add_steps(message)
        self._step = message
        self._note_change()

    def _on_epoch(self, message: EpochEnd) -> None:
        if self.shelf.live is None:
            return
        self.shelf.live.add_epoch(message)
        parts = [f"{tr('loss')} {formats.short(message.train.get(LOSS, float('nan')))}"]
        if LOSS in message.validation:
            parts.append(f"{tr('validation')} {formats.short(message.validation[LOSS])}")
        self.log.event_line(
            tr("Epoch {epoch}: {values}", epoch=message.epoch, values=", ".join(parts))
        )
        self._note_change()

    def _on_evaluated(self, message: Evaluated) -> None:
        if self.shelf.live is None:
            return
        self.shelf.live.evaluations[message.split] = message
        texts = ", ".join(f"{name} {value}" for name, value in evaluation_texts(message))
        self.log.event_line(tr("Held-out evaluation: {values}", values=texts))
        if self._live_in_front:
            self.confusion.show_evaluation(message)

    def _on_finished(self, message: Finished) -> None:
        if self.shelf.live is None:
            return
        self.shelf.live.status = message.status
        done = tr("Completed") if message.status == "completed" else tr("Stopped")
        self.log.event_line(
            tr("{done} after {epochs} epochs, {time}", done=done, epochs=message.epochs,
               time=formats.duration(message.seconds))
        )  # fmt: skip
        self._end()

    def _on_failed(self, message: Failed) -> None:
        if self.shelf.live is None:
            return
        # As its folder will say: the worker writes down a failure, not its own death.
        self.shelf.live.status = "died" if message.reason in WORDLESS else "failed"
        self.log.event_line(message.message)
        if message.hint:
            self.log.event_line(message.hint)
        if not self._live_in_front:
            self.shelf.show_in_front(self.shelf.live.id)
        self._end()
        source = self._project.document.data.source if self._project is not None else ""
        missing = message.reason == "data" and source in FETCHABLE
        self.banner.show_failure(message, fetchable=source if missing else "")

    def _end(self) -> None:
        """The last drawing of a run: axes end where the data ends."""
        if self._live_in_front:
            self.status.set_state(self.shelf.live.status)
        self._dirty = True
        self.redraw()
        self.log.flush()
        self.refresh_runs()

    @property
    def _live_in_front(self) -> bool:
        return self.shelf.live is not None and self.shelf.front is self.shelf.live

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
        live = self.shelf.live
        if live is None:
            return
        if self.curves.lacks(live):
            self._show_curves()
        elif self.tabs.currentIndex() == CURVES:
            self.curves.refresh()
        if self._live_in_front:
            self._show_place(live)

    def _show_place(self, run: RunData) -> None:
        if not len(run.step_axes):
            return
        epoch = float(run.step_axes["epoch"][-1])
        self.status.set_progress(epoch, run.last_step)
        rate = run.step_tracks[LEARNING_RATE].last if LEARNING_RATE in run.step_tracks else 0.0
        elapsed = float(run.step_axes["time"][-1])
        if run is self.shelf.live and run.status == "running" and self._step is not None:
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
        self._note_change()  # of what has come while nobody could see it

    def _on_tab(self, index: int) -> None:
        self._pages.setCurrentIndex(index)
        self._header.set_tools_shown(index == CURVES)
        if index == CURVES:
            self.curves.refresh()

    def _weight(self) -> float:
        return self.smoothing.value() / 100.0

    def _on_smoothing(self) -> None:
        self._on_smoothing_shown()
        self.shelf.smooth(self._weight())
        self.curves.invalidate()

    def _on_smoothing_shown(self) -> None:
        self._smoothing_value.setText(f"{self._weight():.2f}")

    def _on_axis(self) -> None:
        self.curves.set_axis(self.axis.currentData())

    # -- CSV ------------------------------------------------------------------------------------

    def export_csv(self, run: RunData, path: Path) -> bool:
        """Write every row of a run to a file; False, with a message, if that fails."""
        try:
            count = write_csv(run, path)
        except OSError as error:
            reason = error.strerror or str(error)
            self._say(tr("{file} cannot be written: {reason}", file=path.name, reason=reason))
            return False
        self.status_message.emit(
            tr("{count} rows written to {file}", count=exact(count), file=path.name)
        )
        return True

    def _ask_csv(self) -> None:
        if self.shelf.front is not None:
            self._ask_csv_for(self.shelf.front)

    def _ask_csv_of(self, run_id: str) -> None:
        run = self.shelf.known(run_id)
        if run is None and run_id in self.shelf.stored:
            try:
                run = load_run(self.shelf.stored[run_id])
            except (OSError, ValueError) as error:
                self._say(str(error))
        if run is not None:
            self._ask_csv_for(run)

    def _ask_csv_for(self, run: RunData) -> None:
        name, _kind = QFileDialog.getSaveFileName(
            self, tr("Export CSV"), f"{run.id}.csv", tr("CSV files (*.csv)")
        )
        if name:
            self.export_csv(run, Path(name))
