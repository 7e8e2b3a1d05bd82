"""Train, pause, stop and the number of epochs: the part of the tool bar that starts runs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSpinBox, QToolButton, QWidget

from graphstudio.document.changes import SetTraining
from graphstudio.i18n import sentence, tr
from graphstudio.nodes.types import Message
from graphstudio.services.projects import ProjectError
from graphstudio.services.runs import new_run
from graphstudio.ui.dashboard.texts import plain_tip
from graphstudio.ui.icons import icon
from graphstudio.ui.project import Project
from graphstudio.ui.project_runs import weights_of
from graphstudio.ui.style import set_role
from graphstudio.ui.theme import Theme
from graphstudio.ui.training_bridge import IDLE, PAUSED, RUNNING, STOPPING, TrainingBridge

TRAIN_KEY, PAUSE_KEY, STOP_KEY = "F5", "Ctrl+F5", "Shift+F5"
"""Bound by the window's command registry; here they are only named in tool tips."""
MAX_EPOCHS = 100_000


class RunControls(QWidget):
    """Starts and steers the runs of a project through the bridge.

    A disabled button says why in its tool tip: the first problem of the graph, or the run that
    is going on.
    """

    state_changed = Signal()
    """What may be done has changed; ask ``can_train``, ``can_pause`` and ``can_stop``."""
    failed_to_start = Signal(str)

    def __init__(
        self, project: Project, bridge: TrainingBridge, theme: Theme, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName("runControls")
        self._project, self._bridge, self._theme = project, bridge, theme
        self._weights: Path | None = None
        self._train = QPushButton()
        self._train.setObjectName("train_button")
        set_role(self._train, "primary")
        self._train.clicked.connect(self.train)
        self._pause, self._stop = QToolButton(), QToolButton()
        self._pause.setObjectName("pause_button")
        self._stop.setObjectName("stop_button")
        self._pause.clicked.connect(self.toggle_pause)
        self._stop.clicked.connect(self.stop)
        self._label = QLabel()
        set_role(self._label, "dim")
        self._epochs = QSpinBox()
        self._epochs.setObjectName("epochs_field")
        self._epochs.setRange(1, MAX_EPOCHS)
        self._epochs.setKeyboardTracking(False)
        self._epochs.setFixedWidth(
            self._epochs.fontMetrics().horizontalAdvance(str(MAX_EPOCHS)) + 34
        )
        self._epochs.setAlignment(Qt.AlignmentFlag.AlignRight)
        self._epochs.valueChanged.connect(self._set_epochs)
        self._label.setBuddy(self._epochs)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(4, 0, 4, 0)
        layout.setSpacing(6)
        for widget in (self._train, self._pause, self._stop, self._label, self._epochs):
            layout.addWidget(widget)
        project.checked.connect(self.refresh)
        project.changed.connect(self._on_changed)
        project.path_changed.connect(self._find_weights)
        bridge.state_changed.connect(self._on_state)
        theme.changed.connect(self._dress)
        self._dress()
        self.retranslate()
        self._show_epochs()
        self._find_weights()

    # -- what can be done -----------------------------------------------------------------------

    def can_train(self) -> tuple[bool, str]:
        """Whether a run can be started, and if not, why."""
        if self._bridge.state != IDLE:
            return False, tr("A run is going on")
        problem = self._project.result.first_error
        if problem is not None:
            return False, tr("Mend this first: {problem}", problem=sentence(problem.message))
        return True, ""

    def can_pause(self) -> bool:
        """Whether ``toggle_pause`` does something."""
        return self._bridge.state in (RUNNING, PAUSED)

    def can_stop(self) -> bool:
        return self._bridge.state != IDLE

    @property
    def paused(self) -> bool:
        return self._bridge.state == PAUSED

    @property
    def latest_weights(self) -> Path | None:
        """Weights of the project's latest run that left some."""
        return self._weights

    # -- doing it -------------------------------------------------------------------------------

    def train(self) -> bool:
        """Start a run of the project as it is now, in a folder of its own; False if it cannot."""
        self._epochs.interpretText()
        self._project.check_now()
        allowed, why = self.can_train()
        if not allowed:
            self.failed_to_start.emit(why)
            return False
        path = self._project.path
        try:
            run_dir = new_run(path)
        except ProjectError as error:
            self.failed_to_start.emit(" ".join(sentence(p) for p in error.problems))
            return False
        folder = path.resolve().parent if path is not None else ""
        self._bridge.start(self._project.document, folder, run_dir.resolve())
        return True

    def toggle_pause(self) -> None:
        """Pause, or go on."""
        if self.paused:
            self._bridge.resume()
        else:
            self._bridge.pause()

    def stop(self) -> None:
        """End the run after the present batch; pressed again, at once."""
        self._bridge.stop()

    # -- keeping up -----------------------------------------------------------------------------

    def refresh(self, *_: object) -> None:
        """Read again what may be done."""
        allowed, why = self.can_train()
        self._train.setEnabled(allowed)
        tip = why or tr("Train on the data of the project")
        self._train.setToolTip(plain_tip(f"{tip}  ({_key(TRAIN_KEY)})"))
        self._train.setAccessibleDescription(why)
        self._pause.setEnabled(self.can_pause())
        text = tr("Resume") if self.paused else tr("Pause")
        self._pause.setToolTip(f"{text}  ({_key(PAUSE_KEY)})")
        self._pause.setAccessibleName(text)
        self._stop.setEnabled(self.can_stop())
        stopping = self._bridge.state == STOPPING
        text = tr("End at once, without saving") if stopping else tr("Stop and keep the weights")
        self._stop.setToolTip(f"{text}  ({_key(STOP_KEY)})")
        self._epochs.setEnabled(self._bridge.state == IDLE)
        self._dress()
        self.state_changed.emit()

    def retranslate(self) -> None:
        self.setAccessibleName(tr("Run controls"))
        self._train.setText(" " + tr("Train"))  # Qt leaves no room between icon and text
        self._stop.setAccessibleName(tr("Stop"))
        self._label.setText(tr("Epochs"))
        self._epochs.setAccessibleName(tr("Epochs"))
        self._epochs.setToolTip(tr("How many times training goes through the training samples"))
        self.refresh()

    def _on_state(self, state: str) -> None:
        if state == IDLE:
            self._find_weights()
        self.refresh()

    def _on_changed(self, changes) -> None:
        if changes.training:
            self._show_epochs()

    def _find_weights(self) -> None:
        self._weights = weights_of(self._project)

    def _show_epochs(self) -> None:
        phases = self._project.document.training.phases
        self._epochs.blockSignals(True)
        self._epochs.setValue(phases[0].epochs if phases else 1)
        self._epochs.blockSignals(False)

    def _set_epochs(self, epochs: int) -> None:
        training = self._project.document.training
        if not training.phases or training.phases[0].epochs == epochs:
            return
        first = dataclasses.replace(training.phases[0], epochs=epochs)
        changed = dataclasses.replace(training, phases=(first, *training.phases[1:]))
        self._project.push((Message("Set the epochs"), [SetTraining(changed)]), merge="epochs")

    def _dress(self) -> None:
        tokens = self._theme.tokens
        self._train.setIcon(icon("play", tokens.accent_text))
        self._pause.setIcon(icon("play" if self.paused else "pause", tokens.text))
        self._stop.setIcon(icon("stop", tokens.text))


def _key(sequence: str) -> str:
    return QKeySequence(sequence).toString(QKeySequence.SequenceFormat.NativeText)
