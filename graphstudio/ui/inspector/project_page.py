"""The inspector's page while nothing is selected: data, training, and what the model adds up to."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFileDialog, QLabel, QPushButton, QVBoxLayout, QWidget

from graphstudio.data import source as data_sources
from graphstudio.data.folders import name_folder
from graphstudio.document import commands
from graphstudio.document.model import Choice, Training
from graphstudio.i18n import render, sentence, tr
from graphstudio.nodes.optimizers import optimizers
from graphstudio.nodes.spec import ParamSpec, params_of
from graphstudio.nodes.types import Message
from graphstudio.ui.inspector.facts import Facts
from graphstudio.ui.inspector.form import Form
from graphstudio.ui.inspector.section import Section
from graphstudio.ui.project import Project
from graphstudio.ui.quantities import data_size, exact, flops
from graphstudio.ui.style import plain_tip, set_role
from graphstudio.ui.theme import Theme

FETCHABLE = ("mnist",)
"""Sources whose files can be fetched on request."""

SPLIT = (
    ParamSpec(
        name="validation", kind="float", default=0.1, low=0.0, high=0.9,
        label=Message("Validation share").template,
        doc=Message("Share of the samples that watches the training and never teaches.").template,
    ),
    ParamSpec(
        name="test", kind="float", default=0.2, low=0.0, high=0.9,
        label=Message("Test share").template,
        doc=Message("Share of the samples that is held out until training has ended.").template,
    ),
    ParamSpec(
        name="seed", kind="int", default=0, low=0, high=2**31 - 1,
        label=Message("Split seed").template,
        doc=Message("The same seed always gives the same split.").template,
    ),
)  # fmt: skip

TRAINING = (
    ParamSpec(
        name="epochs", kind="int", default=10, low=1, high=100_000,
        label=Message("Epochs").template,
        doc=Message("How often training goes through all training samples.").template,
    ),
    ParamSpec(
        name="batch_size", kind="int", default=64, low=1, high=1_000_000,
        label=Message("Batch size").template,
        doc=Message("Samples in one step of the optimiser.").template,
    ),
    ParamSpec(
        name="shuffle", kind="bool", default=True,
        label=Message("Shuffle").template,
        doc=Message("Take the training samples in a new random order in every epoch.").template,
    ),
    ParamSpec(
        name="seed", kind="int", default=0, low=0, high=2**31 - 1,
        label=Message("Seed").template,
        doc=Message("Start of all random numbers: weights, sample order, dropout.").template,
    ),
)  # fmt: skip


class ProjectPage(QWidget):
    """Forms for the data and the training specification, generated from their declarations."""

    download_requested = Signal(str)
    """Kind of data source whose files are to be fetched."""

    def __init__(self, project: Project, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("projectPage")
        self._project = project

        self.source = Form(theme)
        self.options = Form(theme)
        self.split = Form(theme)
        self.training = Form(theme)
        self.optimizer = Form(theme)
        self.optimizer_options = Form(theme)
        self.split.set_specs(SPLIT)
        self.training.set_specs(TRAINING)

        self._about_data = self._dim_label("aboutData")
        self._data_problem = self._dim_label("dataProblem")
        set_role(self._data_problem, "warning")
        self.browse_button = QPushButton()
        self.browse_button.setObjectName("browseFolder")
        self.download_button = QPushButton()
        self.download_button.setObjectName("downloadData")
        buttons = QWidget()
        column = QVBoxLayout(buttons)
        column.setContentsMargins(12, 0, 12, 8)
        column.setSpacing(6)
        column.addWidget(self.browse_button, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self.download_button, 0, Qt.AlignmentFlag.AlignLeft)
        self._buttons = buttons
        self._totals = Facts()

        self._data_section = Section("data", theme)
        for widget in (
            self.source, self._about_data, self.options, self._data_problem, buttons, self.split
        ):  # fmt: skip
            self._data_section.add(widget)
        self._training_section = Section("training", theme)
        for widget in (self.training, self.optimizer, self.optimizer_options):
            self._training_section.add(widget)
        self._totals_section = Section("totals", theme)
        self._totals_section.add(self._totals)
        self._title = QLabel()
        self._title.setContentsMargins(12, 12, 12, 2)
        set_role(self._title, "heading")
        self._hint = self._dim_label("projectHint")

        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        for widget in (
            self._title, self._hint,
            self._data_section, self._training_section, self._totals_section,
        ):  # fmt: skip
            column.addWidget(widget)
        column.addStretch(1)

        for form, edit in (
            (self.source, self._set_source),
            (self.options, self._set_option),
            (self.split, self._set_split),
            (self.training, self._set_training),
            (self.optimizer, self._set_optimizer),
            (self.optimizer_options, self._set_optimizer_option),
        ):
            form.edited.connect(edit)
            form.reset.connect(lambda name, form=form, edit=edit: self._reset(form, edit, name))
            form.burst_ended.connect(project.history.close_merge)
        self.browse_button.clicked.connect(self._browse)
        self.download_button.clicked.connect(
            lambda: self.download_requested.emit(project.document.data.source)
        )
        project.path_changed.connect(self.show_project)

    def show_project(self) -> None:
        """Show data, training and totals as they are now."""
        self._title.setText(self._project.name)
        self._show_data()
        self._show_training()
        self.show_result()

    def show_result(self) -> None:
        """Show the totals of the last check."""
        reports = self._project.result.nodes.values()
        work = flops(sum(r.num_flops for r in reports))
        nodes = self._project.document.main.nodes
        rows = [
            (tr("Nodes"), exact(len(nodes))),
            (tr("Trainable"), exact(sum(r.num_parameters for r in reports))),
            (tr("Weights"), data_size(4 * sum(r.num_parameters for r in reports))),
            (
                tr("Compute"),
                tr("{flops} per sample", flops=work),
            ),
            (
                tr("Output memory"),
                tr("{size} per sample", size=data_size(sum(r.activation_bytes for r in reports))),
            ),
        ]
        self._totals.show_rows(rows)

    def retranslate(self) -> None:
        self._hint.setText(tr("Select a node to edit it."))
        self._data_section.set_title(tr("Data"))
        self._training_section.set_title(tr("Training"))
        self._totals_section.set_title(tr("Model"))
        self.browse_button.setText(tr("Choose folder…"))
        for form in (self.options, self.split, self.training, self.optimizer_options):
            form.retranslate()
        self.show_project()

    def refresh_data(self) -> None:
        """Look again whether the files are there (after a download)."""
        self._show_data()

    def _show_data(self) -> None:
        spec = self._project.document.data
        known = data_sources.sources()
        self.source.set_specs((_source_spec(spec.source),))
        self.source.retranslate()
        _name_choices(self.source, "source", {k: c.label for k, c in known.items()})
        self.source.show_values({"source": [spec.source]})
        cls = known.get(spec.source)
        self.options.set_specs(params_of(cls) if cls else ())
        self.options.show_values(_values(self.options, spec.options))
        self.options.setVisible(bool(self.options.specs))
        doc = (cls.__doc__ or "").strip().splitlines() if cls else []
        self._about_data.setText(render(Message(doc[0])) if doc else "")
        self._about_data.setVisible(bool(doc))
        self.split.show_values({s.name: [getattr(spec.split, s.name)] for s in SPLIT})
        self.split.hide_rows({"test"} if cls is not None and cls.has_test_split else set())
        self.split.setVisible(bool(spec.source))
        folder = self._project.path.parent if self._project.path else None
        problem = data_sources.missing(spec, folder) if spec.source else None
        details = [sentence(m) for m in (problem.message, problem.hint) if m] if problem else []
        has_folder = any(s.name == "folder" for s in self.options.specs)
        invalid = data_sources.problem_of(spec) if spec.source else None
        fetchable = problem is not None and invalid is None and spec.source in FETCHABLE
        text = "\n".join(details)
        if fetchable:  # the buttons below say what the command line's hint says at length
            text = tr(
                "The files are not on this computer yet: download them, or choose their folder."
            )
        self._data_problem.setText(text)
        self._data_problem.setToolTip(plain_tip("\n".join(details)))
        self._data_problem.setVisible(bool(text))
        self.browse_button.setVisible(has_folder)
        self.download_button.setVisible(fetchable)
        if fetchable:
            label = render(Message(cls.label)).split(" (")[0].split("（")[0]
            self.download_button.setText(tr("Download {data}…", data=label))
        self._buttons.setVisible(has_folder or fetchable)

    def _show_training(self) -> None:
        training = self._project.document.training
        phase = training.phases[0]
        values = {s.name: [getattr(training, s.name)] for s in TRAINING if s.name != "epochs"}
        self.training.show_values(values | {"epochs": [phase.epochs]})
        known = optimizers()
        self.optimizer.set_specs((_optimizer_spec(phase.optimizer.kind),))
        self.optimizer.retranslate()
        _name_choices(self.optimizer, "kind", {k: c.label for k, c in known.items()})
        self.optimizer.show_values({"kind": [phase.optimizer.kind]})
        cls = known.get(phase.optimizer.kind)
        self.optimizer_options.set_specs(params_of(cls) if cls else ())
        options = _values(self.optimizer_options, phase.optimizer.params)
        self.optimizer_options.show_values(options)
        problems = {}
        if cls is not None:
            problem = _instance_problem(cls, phase.optimizer.params)
            if problem is not None and self.optimizer_options.specs:
                problems = {self.optimizer_options.specs[-1].name: sentence(problem)}
        self.optimizer_options.show_problems(problems)

    def _push(self, command, form: Form, name: str, burst: bool) -> None:
        """Carry out a command that sets one field; the step is called after the field."""
        label = next(s.label for s in form.specs if s.name == name)
        step = Message("Set {param}", {"param": Message(label)}), command[1]
        if not burst:
            self._project.history.close_merge()
        self._project.push(step, merge=f"project:{id(form)}:{name}" if burst else "")

    def _set_source(self, name: str, value: Any, burst: bool = False) -> None:
        document = self._project.document
        if value != document.data.source:
            spec = dataclasses.replace(document.data, source=value, options={})
            self._push(commands.set_data(document, spec), self.source, name, burst)

    def _set_option(self, name: str, value: Any, burst: bool = False) -> None:
        document = self._project.document
        default = next(s.default for s in self.options.specs if s.name == name)
        options = _with(document.data.options, name, value, default)
        spec = dataclasses.replace(document.data, options=options)
        self._push(commands.set_data(document, spec), self.options, name, burst)

    def _set_split(self, name: str, value: Any, burst: bool = False) -> None:
        document = self._project.document
        split = dataclasses.replace(document.data.split, **{name: value})
        spec = dataclasses.replace(document.data, split=split)
        self._push(commands.set_data(document, spec), self.split, name, burst)

    def _set_training(self, name: str, value: Any, burst: bool = False) -> None:
        training = self._project.document.training
        if name == "epochs":
            training = _with_phase(training, epochs=value)
        else:
            training = dataclasses.replace(training, **{name: value})
        self._push(
            commands.set_training(self._project.document, training), self.training, name, burst
        )

    def _set_optimizer(self, name: str, value: Any, burst: bool = False) -> None:
        document = self._project.document
        if value != document.training.phases[0].optimizer.kind:
            training = _with_phase(document.training, optimizer=Choice(kind=value))
            self._push(commands.set_training(document, training), self.optimizer, name, burst)

    def _set_optimizer_option(self, name: str, value: Any, burst: bool = False) -> None:
        document = self._project.document
        now = document.training.phases[0].optimizer
        default = next(s.default for s in self.optimizer_options.specs if s.name == name)
        choice = Choice(kind=now.kind, params=_with(now.params, name, value, default))
        training = _with_phase(document.training, optimizer=choice)
        self._push(commands.set_training(document, training), self.optimizer_options, name, burst)

    def _reset(self, form: Form, edit, name: str) -> None:
        edit(name, next(s.default for s in form.specs if s.name == name))

    def _browse(self) -> None:
        start = self._project.path.parent if self._project.path else Path.home()
        folder = QFileDialog.getExistingDirectory(self, tr("Folder of the data"), str(start))
        if folder:
            self.choose_folder(Path(folder))

    def choose_folder(self, folder: Path) -> None:
        """Use a folder for the data: named relative to the project where it lies inside."""
        project_dir = self._project.path.parent.resolve() if self._project.path else None
        if project_dir is not None and folder.resolve().is_relative_to(project_dir):
            self._set_option("folder", folder.resolve().relative_to(project_dir).as_posix())
        else:
            # A project never names a folder outside of its own: this is kept for the machine.
            try:
                name_folder(self._project.document.data.source, folder)
            except OSError as error:
                reason = error.strerror or str(error)
                self._project.refused.emit(
                    tr("The folder cannot be remembered: {reason}", reason=reason)
                )
            self._show_data()

    def _dim_label(self, name: str) -> QLabel:
        label = QLabel()
        label.setObjectName(name)
        label.setTextFormat(Qt.TextFormat.PlainText)
        label.setWordWrap(True)
        label.setContentsMargins(12, 0, 12, 8)
        set_role(label, "dim")
        return label


def _source_spec(current: str) -> ParamSpec:
    kinds = tuple(data_sources.sources())
    extra = () if current in ("", *kinds) else (current,)
    return ParamSpec(
        name="source", kind="choice", default="", choices=(*extra, *kinds),
        label=Message("Source").template,
        doc=Message("Where the samples come from.").template,
    )  # fmt: skip


def _optimizer_spec(current: str) -> ParamSpec:
    kinds = tuple(optimizers())
    extra = () if current in kinds else (current,)
    return ParamSpec(
        name="kind", kind="choice", default="adam", choices=(*extra, *kinds),
        label=Message("Optimiser").template,
        doc=Message("How a gradient becomes a step of the weights.").template,
    )  # fmt: skip


def _name_choices(form: Form, name: str, labels: Mapping[str, str]) -> None:
    """Show the names of kinds, which are not words of the choice itself."""
    box = form.editor(name).box
    for i in range(box.count()):
        kind = box.itemData(i)
        box.setItemText(i, render(Message(labels[kind])) if labels.get(kind) else kind)


def _values(form: Form, stored: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {s.name: [stored.get(s.name, s.default)] for s in form.specs}


def _with(stored: Mapping[str, Any], name: str, value: Any, default: Any) -> dict[str, Any]:
    """The mapping with a value set, or left out if it is the default."""
    rest = {k: v for k, v in stored.items() if k != name}
    return rest if value == default else rest | {name: value}


def _with_phase(training: Training, **changes: Any) -> Training:
    first = dataclasses.replace(training.phases[0], **changes)
    return dataclasses.replace(training, phases=(first, *training.phases[1:]))


def _instance_problem(cls: type, params: Mapping[str, Any]) -> Message | None:
    known = {s.name: s for s in params_of(cls)}
    for name, spec in known.items():
        if name in params and (problem := spec.problem(params[name])) is not None:
            return problem
    made = cls(**{n: known[n].coerce(v) for n, v in params.items() if n in known})
    return made.check_params()
