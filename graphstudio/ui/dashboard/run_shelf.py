"""Which runs there are, which is in front and which are laid over it. No widgets."""

from __future__ import annotations

from PySide6.QtCore import QObject, QRunnable, QThreadPool, Signal

from graphstudio.i18n import tr
from graphstudio.services.runs import Run
from graphstudio.ui.dashboard.run_data import RunData
from graphstudio.ui.dashboard.stored_runs import load_run, read_evaluation, run_title
from graphstudio.ui.dashboard.texts import evaluation_texts
from graphstudio.ui.project import Project
from graphstudio.ui.project_runs import runs_of

OVERLAY_COLORS = (
    "#d0568c", "#2a9d8f", "#9b6ef3", "#6a9c2f", "#d9772f", "#3f8efc", "#b8860b", "#8a8f98",
)  # fmt: skip
"""Mid tones, told apart on a dark and on a light ground."""


class RunShelf(QObject):
    """The runs of one project: the live one, those on disk, and those that are drawn."""

    front_changed = Signal()
    """Another run is in front, or none."""
    drawn_changed = Signal()
    """Other runs are drawn."""
    listed = Signal()
    """The list has changed, or what it says of a run."""
    unreadable = Signal(str)
    """A run could not be read; the sentence says why."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.live: RunData | None = None
        self.front: RunData | None = None
        self.stored: dict[str, Run] = {}
        self.loaded: dict[str, RunData] = {}
        self.overlays: list[str] = []
        self.smoothing = 0.0
        self._project: Project | None = None
        self._loading: set[str] = set()
        self._asked_for = ""
        """The run to be put in front once it is read, unless another one is by then."""
        self._details: dict[str, str] = {}

    # -- what there is --------------------------------------------------------------------------

    def open(self, project: Project | None) -> None:
        """Turn to the runs of another project, the latest in front.

        A run that is still going on stays in front, whosever it is.
        """
        if self.live is None or self.live.status != "running":
            self.live = self.front = None
        self.loaded.clear()
        self.overlays.clear()
        self._details.clear()
        self._project = project
        self.refresh()
        self.front_changed.emit()
        self.drawn_changed.emit()
        latest = next((n for n, r in self.stored.items() if r.info.status != "running"), None)
        if self.front is None and latest is not None:
            self._load(latest, front=True)

    def refresh(self) -> None:
        """Read the list of runs again."""
        found = runs_of(self._project) if self._project is not None else []
        self.stored = {run.path.name: run for run in found}
        if self.live is not None:
            self._details.pop(self.live.id, None)
        self.listed.emit()

    def detail(self, run: Run) -> str:
        """Accuracy and epochs of a run on disk, in a few words."""
        name = run.path.name
        if name not in self._details:
            evaluation = read_evaluation(run.path)
            parts = [v for _, v in evaluation_texts(evaluation)[:1]] if evaluation else []
            if run.info.epochs:
                parts.append(tr("{count} epochs", count=run.info.epochs))
            text = " · ".join(parts)
            if run.info.status == "running":
                return text
            self._details[name] = text
        return self._details[name]

    def forget_details(self) -> None:
        """Put them into words again: the language has changed."""
        self._details.clear()
        self.listed.emit()

    # -- what is drawn --------------------------------------------------------------------------

    def begin(self, name: str) -> RunData:
        """Put a new live run in front."""
        if self.live is not None:
            self.loaded[self.live.id] = self.live
        self.live = RunData(name, run_title(name), smoothing=self.smoothing)
        self._bring(self.live)
        return self.live

    def drawn(self) -> list[RunData]:
        """The runs that are drawn, the one in front last."""
        runs = [
            r for i in self.overlays if (r := self.known(i)) is not None and r is not self.front
        ]
        taken = {run.color for run in runs}
        free = [c for c in OVERLAY_COLORS if c not in taken]
        for number, run in enumerate(runs):
            if not run.color:
                run.color = free.pop(0) if free else OVERLAY_COLORS[number % len(OVERLAY_COLORS)]
        return [*runs, self.front] if self.front is not None else runs

    def known(self, run_id: str) -> RunData | None:
        """A run whose curves are in memory."""
        if self.live is not None and self.live.id == run_id:
            return self.live
        return self.loaded.get(run_id)

    def show_in_front(self, run_id: str) -> None:
        """Put a run in front, reading it from its folder if need be."""
        run = self.known(run_id)
        if run is None:
            self._load(run_id, front=True)
        else:
            self._bring(run)

    def set_overlay(self, run_id: str, on: bool) -> None:
        """Lay a run over the one in front, or take it off; the one in front is always drawn."""
        if self.front is not None and run_id == self.front.id:
            self.listed.emit()
            return
        if on and run_id not in self.overlays:
            self.overlays.append(run_id)
            if self.known(run_id) is None:
                self._load(run_id, front=False)
                return
        elif not on and run_id in self.overlays:
            self.overlays.remove(run_id)
        self.drawn_changed.emit()

    def smooth(self, weight: float) -> None:
        self.smoothing = weight
        for run in (*self.loaded.values(), *([self.live] if self.live else ())):
            run.smooth(weight)

    def _bring(self, run: RunData) -> None:
        if run.id in self.overlays:
            self.overlays.remove(run.id)
        run.color = ""
        self.front = run
        self._asked_for = ""
        self.front_changed.emit()
        self.drawn_changed.emit()

    # -- reading --------------------------------------------------------------------------------

    def _load(self, run_id: str, *, front: bool) -> None:
        run = self.stored.get(run_id)
        if run is None or run_id in self._loading:
            return
        self._loading.add(run_id)
        if front:
            self._asked_for = run_id
        job = _Job(run, front)
        job.told.done.connect(self._on_loaded)
        QThreadPool.globalInstance().start(job)

    def _on_loaded(self, run_id: str, front: bool, loaded: object) -> None:
        self._loading.discard(run_id)
        if run_id not in self.stored:
            return  # another project was opened meanwhile
        if isinstance(loaded, Exception):
            if run_id in self.overlays:
                self.overlays.remove(run_id)
            reason = str(loaded)
            self.unreadable.emit(
                tr(
                    "The log of run {run} cannot be read: {reason}",
                    run=run_title(run_id),
                    reason=reason,
                )
            )
            self.listed.emit()
            return
        loaded.smooth(self.smoothing)
        self.loaded[run_id] = loaded
        if front and run_id == self._asked_for:
            self._bring(loaded)
        else:
            self.drawn_changed.emit()


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
