"""Exports the project as code of some frameworks, and shows that it gives the same numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, QTemporaryDir, QUrl
from PySide6.QtGui import QCloseEvent, QDesktopServices
from PySide6.QtWidgets import (
    QDialog,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from graphstudio.cli.export import TARGETS
from graphstudio.document import format as file_format
from graphstudio.i18n import sentence, tr
from graphstudio.services.runs import Run
from graphstudio.ui.dashboard.stored_runs import run_title
from graphstudio.ui.dialogs.verification import CurvesView, TargetRow, verdict_of
from graphstudio.ui.inspector.editors import ComboBox
from graphstudio.ui.processes import CommandProcess
from graphstudio.ui.project import Project
from graphstudio.ui.project_runs import weighted_runs_of
from graphstudio.ui.style import set_role
from graphstudio.ui.theme import Theme

FRESH = ""


class ExportDialog(QDialog):
    """Choose frameworks, folder and weights; export, and verify by running the exports.

    Both run as processes of their own on a copy of the project as it is now, so that the window
    stays fluid and a crash of a framework harms nothing.
    """

    def __init__(
        self,
        project: Project,
        theme: Theme,
        parent: QWidget | None = None,
        *,
        command: list[str] | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("exportDialog")
        self.setMinimumWidth(700)
        self._project, self._theme = project, theme
        self._what = ""
        self._asked: list[str] = []
        self._copy_dir: QTemporaryDir | None = None
        self._process = CommandProcess(self, command=command)
        self._process.progress.connect(self._on_progress)
        self._process.done.connect(self._on_done)
        self._process.failed.connect(self._on_failed)

        self._intro = QLabel()
        self._intro.setWordWrap(True)
        set_role(self._intro, "dim")
        self.rows = {target: TargetRow(target, theme) for target in TARGETS}
        for row in self.rows.values():
            row.box.toggled.connect(self._refresh)
        self.folder = QLineEdit(str(self._default_folder()))
        self.folder.setObjectName("exportFolder")
        self.folder.textChanged.connect(self._refresh)
        self._browse = QPushButton()
        self._browse.setObjectName("exportBrowse")
        self._browse.clicked.connect(self._ask_folder)
        folder_row = QHBoxLayout()
        folder_row.setSpacing(8)
        folder_row.addWidget(self.folder, 1)
        folder_row.addWidget(self._browse)
        self.weights = ComboBox()
        self.weights.setObjectName("exportWeights")
        self._folder_label, self._weights_label = QLabel(), QLabel()
        form = QFormLayout()
        form.setHorizontalSpacing(14)
        form.setVerticalSpacing(10)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(self._folder_label, folder_row)
        form.addRow(self._weights_label, self.weights)
        self.curves = CurvesView(theme)
        self.curves.hide()
        self._message = QLabel()
        self._message.setObjectName("exportMessage")
        self._message.setTextFormat(Qt.TextFormat.PlainText)
        self._message.setWordWrap(True)
        self._message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._bar = QProgressBar()
        self._bar.setObjectName("exportProgress")
        self._bar.setRange(0, 0)
        self._bar.setTextVisible(False)
        self._bar.hide()
        self.verify_button = QPushButton()
        self.verify_button.setObjectName("exportVerify")
        self.verify_button.clicked.connect(self.verify)
        self.open_button = QPushButton()
        self.open_button.setObjectName("exportOpenFolder")
        self.open_button.clicked.connect(self._open_folder)
        self.close_button = QPushButton()
        self.close_button.setObjectName("exportClose")
        self.close_button.clicked.connect(self.reject)
        self.export_button = QPushButton()
        self.export_button.setObjectName("exportRun")
        self.export_button.setDefault(True)
        set_role(self.export_button, "primary")
        self.export_button.clicked.connect(self.export)
        for button in (self._browse, self.verify_button, self.open_button, self.close_button):
            button.setAutoDefault(False)  # Enter exports, wherever the focus is
        buttons = QHBoxLayout()
        buttons.addWidget(self.verify_button)
        buttons.addWidget(self.open_button)
        buttons.addStretch(1)
        buttons.addWidget(self.close_button)
        buttons.addWidget(self.export_button)

        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 16, 20, 16)
        layout.setSpacing(12)
        layout.addWidget(self._intro)
        cards = QVBoxLayout()
        cards.setSpacing(6)
        for row in self.rows.values():
            cards.addWidget(row)
        layout.addLayout(cards)
        layout.addLayout(form)
        layout.addWidget(self.curves, 1)
        layout.addWidget(self._bar)
        layout.addWidget(self._message)
        layout.addLayout(buttons)
        project.checked.connect(self._refresh)
        self.retranslate()

    # -- choices --------------------------------------------------------------------------------

    def set_target(self, target: str) -> None:
        """Choose this framework alone."""
        for name, row in self.rows.items():
            row.box.setChecked(name == target)

    @property
    def targets(self) -> list[str]:
        return [name for name, row in self.rows.items() if row.box.isChecked()]

    @property
    def busy(self) -> bool:
        """True while an export or a verification runs."""
        return self._process.running

    def retranslate(self) -> None:
        self.setWindowTitle(tr("Export as code"))
        self._intro.setText(
            tr(
                "Each framework gets a folder with the model, its data, a training loop and the "
                "weights, ready to run without graphstudio."
            )
        )
        self._folder_label.setText(tr("Folder"))
        self.folder.setAccessibleName(tr("Folder"))
        self._browse.setText(tr("Browse…"))
        self._weights_label.setText(tr("Weights"))
        self.weights.setAccessibleName(tr("Weights"))
        self._list_weights()
        self.verify_button.setText(tr("Verify"))
        self.verify_button.setToolTip(
            tr("Run the exports on the same weights and batch, and compare their numbers")
        )
        self.open_button.setText(tr("Open folder"))
        self.close_button.setText(tr("Close"))
        self.export_button.setText(tr("Export"))
        for row in self.rows.values():
            row.retranslate()
        self.curves.retranslate()
        self._refresh()

    def _default_folder(self) -> Path:
        path = self._project.path
        return path.with_name(f"{path.stem}.export") if path else Path.home() / "model.export"

    def _list_weights(self) -> None:
        chosen = self.weights.currentData()
        runs: list[Run] = weighted_runs_of(self._project)
        self.weights.clear()
        if runs:
            self.weights.addItem(
                tr("Latest run ({run})", run=run_title(runs[0].path.name)), str(runs[0].weights)
            )
        self.weights.addItem(tr("Fresh, as at the start of a training"), FRESH)
        for run in runs[1:21]:
            self.weights.addItem(tr("Run {run}", run=run_title(run.path.name)), str(run.weights))
        if chosen is not None and (index := self.weights.findData(chosen)) >= 0:
            self.weights.setCurrentIndex(index)

    def _refresh(self, *_: object) -> None:
        """Enable what can be done now, and say why not."""
        problem = self._project.result.first_error
        why = ""
        if problem is not None:
            why = tr("Mend this first: {problem}", problem=sentence(problem.message))
        elif not self.targets:
            why = tr("Choose at least one framework.")
        for button in (self.export_button, self.verify_button):
            button.setEnabled(not why and not self.busy)
        if not self.folder.text().strip():
            self.export_button.setEnabled(False)
        for widget in (self.folder, self._browse, self.weights):
            widget.setEnabled(not self.busy)
        for row in self.rows.values():
            row.box.setEnabled(not self.busy)
        self.open_button.setEnabled(Path(self.folder.text().strip() or "-").is_dir())
        self.close_button.setText(tr("Cancel") if self.busy else tr("Close"))
        self._bar.setVisible(self.busy)
        if why:
            self._say(why, "warning")
        elif self._message.property("role") == "warning":
            self._say("", "dim")

    # -- export and verify ----------------------------------------------------------------------

    def export(self) -> None:
        """Write the code of the chosen frameworks."""
        self._start("export", "--out", str(Path(self.folder.text().strip()).expanduser()))

    def verify(self) -> None:
        """Run the chosen exports against the engine and show how far they are apart."""
        self.curves.clear()
        path = self._project.path
        # The copy that is verified lies elsewhere; data beside the project is to be found still.
        self._start("verify", *(("--project-dir", str(path.resolve().parent)) if path else ()))

    def _start(self, what: str, *more: str) -> None:
        if self.busy or not self.targets:
            return
        self._project.check_now()
        try:
            copy = self._copy()
        except OSError as error:
            self._say(tr("The project cannot be copied: {reason}", reason=str(error)), "error")
            return
        self._what, self._asked = what, self.targets
        arguments = [what, str(copy), "--json", *more]
        for target in self._asked:
            arguments += ["--target", target]
            self.rows[target].show_busy(what)
        if self.weights.currentData():
            arguments += ["--weights", self.weights.currentData()]
        self._say(tr("Exporting") if what == "export" else tr("Verifying"), "dim")
        self._process.start(*arguments)
        self._refresh()

    def _copy(self) -> Path:
        """The project as it is now, saved or not, in a folder of its own."""
        self._copy_dir = QTemporaryDir()
        if not self._copy_dir.isValid():
            raise OSError(self._copy_dir.errorString())
        name = self._project.path.stem if self._project.path else "model"
        path = Path(self._copy_dir.path()) / f"{name}.gsproj"
        file_format.save(self._project.document, path)
        return path

    def _on_progress(self, text: str) -> None:
        if self.busy:
            self._say(text[:200], "dim")

    def _on_done(self, report: Mapping[str, Any], _code: int) -> None:
        if self._what == "export":
            self._show_export(report.get("export", {}), report)
        else:
            self._show_verify(report.get("verify", {}), report)
        self._refresh()

    def _show_export(self, done: Mapping[str, Any], report: Mapping[str, Any]) -> None:
        warnings: list[str] = []
        failed = False
        for target in self._asked:
            found = done.get(target)
            if not isinstance(found, dict) or "error" in found:
                failed = True
                self.rows[target].show_problem(str((found or {}).get("error") or _error(report)))
                continue
            self.rows[target].show_exported(str(found.get("folder", "")))
            warnings += [str(w) for w in found.get("warnings", ()) if str(w) not in warnings]
        if failed:
            self._say(tr("Not everything could be exported."), "error")
        elif warnings:
            self._say("\n".join(warnings), "warning")
        else:
            self._say(tr("Exported to {folder}", folder=self.folder.text()), "ok")

    def _show_verify(self, found: Mapping[str, Any], report: Mapping[str, Any]) -> None:
        verdicts = []
        for target in self._asked:
            numbers = found.get(target)
            if not isinstance(numbers, dict):
                self.rows[target].show_problem(_error(report))
                verdicts.append(False)
                continue
            self.rows[target].show_verdict(numbers)
            verdicts.append(verdict_of(numbers) == "same")
            if isinstance(numbers.get("curves"), dict):
                self.curves.add(
                    target,
                    numbers["curves"],
                    _number(numbers.get("curve")),
                    _number(numbers.get("resolution")),
                )
        self.curves.setVisible(self.curves.has_data)
        if self.curves.has_data and self.height() < 640:
            self._grow(700)
        if all(verdicts):
            self._say(tr("The exports give the same numbers as the engine."), "ok")
        else:
            self._say(tr("Not every export could be shown to give the same numbers."), "error")

    def _grow(self, height: int) -> None:
        """Become taller, upwards where the screen ends: the buttons stay within reach."""
        room, frame = self.screen().availableGeometry(), self.frameGeometry()
        border = frame.height() - self.height()
        height = min(height, room.height() - border)
        lowest = room.top() + room.height() - height - border
        self.move(frame.x(), max(room.top(), min(frame.y(), lowest)))
        self.resize(self.width(), height)

    def _on_failed(self, why: str, tail: str) -> None:
        for target in self._asked:
            self.rows[target].show_problem(why)
        self._say("\n".join(part for part in (why, tail[-1500:]) if part), "error")
        self._refresh()

    def _say(self, text: str, role: str) -> None:
        self._message.setText(text)
        set_role(self._message, role)
        self._message.setVisible(bool(text))

    def _ask_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, tr("Folder"), self.folder.text())
        if chosen:
            self.folder.setText(chosen)

    def _open_folder(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(self.folder.text().strip()))

    # -- end ------------------------------------------------------------------------------------

    def reject(self) -> None:
        """Cancel what is running; with nothing running, close."""
        if self.busy:
            self._process.cancel()
            for target in self._asked:
                self.rows[target].clear()
            self._say(tr("Cancelled."), "dim")
            self._refresh()
            return
        super().reject()

    def closeEvent(self, event: QCloseEvent) -> None:
        self._process.cancel()
        super().closeEvent(event)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _error(report: Mapping[str, Any]) -> str:
    """What a command said of its failure."""
    error = report.get("error")
    if isinstance(error, dict) and error.get("message"):
        return " ".join(str(error[k]) for k in ("message", "hint") if error.get(k))
    problems = report.get("check", {}).get("problems", []) if isinstance(report, dict) else []
    if problems and isinstance(problems[0], dict):
        return str(problems[0].get("message", ""))
    return tr("The command gave no result for it.")
