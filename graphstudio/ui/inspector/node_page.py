"""The inspector's page for the selected nodes."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)

from graphstudio.document import commands
from graphstudio.document.model import Node
from graphstudio.i18n import render, sentence, tr
from graphstudio.nodes.spec import NodeType, build, find_type, params_of
from graphstudio.nodes.types import Message, TensorType
from graphstudio.services.check import describe_data
from graphstudio.ui.icons import icon, pixmap
from graphstudio.ui.inspector.editors import LineEdit, TextEditor
from graphstudio.ui.inspector.facts import Facts
from graphstudio.ui.inspector.form import Form
from graphstudio.ui.inspector.section import Section
from graphstudio.ui.problem_row import ProblemRow
from graphstudio.ui.project import Project
from graphstudio.ui.quantities import data_size, exact, flops
from graphstudio.ui.style import set_property, set_role
from graphstudio.ui.theme import Theme


class NodePage(QWidget):
    """Name, parameters, shapes, sizes, problems and comment; several nodes of a type at once."""

    fixed = Signal()
    """A problem of the node was mended by a button."""

    def __init__(self, project: Project, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("nodePage")
        self._project, self._theme = project, theme
        self._nodes: list[Node] = []
        self._type: type[NodeType] | None = None

        self._header = _Header(theme)
        self._header.name.committed.connect(self._rename)
        self._header.bypass.clicked.connect(self._set_bypass)
        self.form = Form(theme)
        self.form.edited.connect(self._set_param)
        self.form.reset.connect(self._reset_param)
        self.form.burst_ended.connect(project.history.close_merge)
        self._about = QLabel()
        self._about.setWordWrap(True)
        self._about.setTextFormat(Qt.TextFormat.PlainText)
        self._about.setContentsMargins(12, 0, 12, 8)
        set_role(self._about, "dim")
        self._facts = Facts()
        self.comment = _Comment()
        self.comment.setObjectName("nodeComment")
        self.comment.committed.connect(self._set_comment)

        self.parameters = Section("parameters", theme)
        self.parameters.add(self._about)
        self.parameters.add(self.form)
        self.problems = Section("problems", theme)
        self.shapes = Section("shapes", theme)
        self.shapes.add(self._facts)
        self.note = Section("note", theme)
        holder = QWidget()
        margins = QVBoxLayout(holder)
        margins.setContentsMargins(12, 0, 12, 8)
        margins.addWidget(self.comment)
        self.note.add(holder)
        self._problem_rows: list[ProblemRow] = []

        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._header)
        for section in (self.problems, self.parameters, self.shapes, self.note):
            column.addWidget(section)
        column.addStretch(1)
        theme.changed.connect(self._recolor)

    @property
    def name_field(self) -> LineEdit:
        """The editor of the node's name."""
        return self._header.name

    @property
    def bypass_box(self) -> QCheckBox:
        return self._header.bypass

    def show_nodes(self, nodes: Sequence[Node]) -> None:
        """Show one node, or several; parameters appear if all are of one type."""
        self._nodes = list(nodes)
        types = {n.type for n in nodes}
        self._type = find_type(nodes[0].type) if len(types) == 1 else None
        one = nodes[0] if len(nodes) == 1 else None
        self._header.show_nodes(nodes, self._type)
        self.form.set_specs(params_of(self._type) if self._type else ())
        self._fill_form()
        self.note.setVisible(one is not None)
        if one is not None:
            self.comment.show_text(one.comment)
        self._show_about()
        self.show_result()

    def show_result(self) -> None:
        """Show what the checker says about the nodes."""
        one = self._nodes[0] if len(self._nodes) == 1 else None
        result = self._project.result
        diagnostics = result.of_node(one.id) if one else ()
        wanted = tuple(diagnostics)
        if wanted != tuple(r.diagnostic for r in self._problem_rows):
            for row in self._problem_rows:
                row.hide()
                row.deleteLater()
            self._problem_rows = [
                ProblemRow(self._project, d, self._theme, show_place=False) for d in wanted
            ]
            for row in self._problem_rows:
                row.fixed.connect(self.fixed)
                self.problems.add(row)
        self.problems.setVisible(bool(wanted))
        self.form.show_problems({d.param: sentence(d.message) for d in wanted if d.param})
        self._show_facts(one)

    def retranslate(self) -> None:
        self.parameters.set_title(tr("Parameters"))
        self.problems.set_title(tr("Problems"))
        self.shapes.set_title(tr("Shapes and sizes"))
        self.note.set_title(tr("Comment"))
        self.comment.setPlaceholderText(tr("What a reader should know about this node"))
        self.comment.setAccessibleName(tr("Comment"))
        self.form.retranslate()
        self._header.retranslate()
        for row in self._problem_rows:
            row.retranslate()
        if self._nodes:
            self.show_nodes(self._nodes)

    def _ids(self) -> list[str]:
        return [n.id for n in self._nodes]

    def _fill_form(self) -> None:
        values = {
            spec.name: [spec.coerce(n.params.get(spec.name, spec.default)) for n in self._nodes]
            for spec in self.form.specs
        }
        self.form.show_values(values)
        self._hide_idle_params()
        self._suggest_fields()

    def _hide_idle_params(self) -> None:
        """Explicit pads mean nothing unless padding is explicit."""
        names = {s.name for s in self.form.specs}
        if {"padding", "pads"} <= names:
            words = {n.params.get("padding", _default(self.form, "padding")) for n in self._nodes}
            self.form.hide_rows(set() if "explicit" in words else {"pads"})
        else:
            self.form.hide_rows(set())

    def _suggest_fields(self) -> None:
        """Inputs and targets name a field of the data: offer the names that there are."""
        if self._type is None or self._type.role not in ("input", "target"):
            return
        fields, _ = describe_data(self._project.document.data)
        editor = self.form.editor("field")
        if isinstance(editor, TextEditor):
            arrow = icon("chevron-down", self._theme.tokens.text_dim)
            editor.set_suggestions([f.name for f in fields], arrow)

    def _show_about(self) -> None:
        if self._type is not None:
            doc = (self._type.__doc__ or "").strip().splitlines()
            text = render(Message(doc[0])) if doc else ""
        elif len({n.type for n in self._nodes}) > 1:
            text = tr("These nodes are of several types; select nodes of one type to edit them.")
        else:
            kind = self._nodes[0].type if self._nodes else ""
            text = tr(
                "This version does not know the type '{type}'; it is kept as it is.", type=kind
            )
        self._about.setText(text.replace("``", ""))

    def _show_facts(self, one: Node | None) -> None:
        result = self._project.result
        rows: list[tuple[str, str]] = []
        if one is not None and self._type is not None:
            spec = build(self._type, one.params)[0]
            graph = self._project.document.graph(self._project.graph_id)
            if spec is not None:
                single = len(spec.input_ports()) == 1
                for port in spec.input_ports():
                    wire = graph.wires.get((one.id, port.name))
                    name = tr("Input") if single else render(Message(port.label))
                    found = result.wire_type(wire) if wire else None
                    rows.append((name, _type_text(found) if wire else tr("not connected")))
                report = result.nodes.get(one.id)
                single = len(spec.output_ports()) == 1
                for port in spec.output_ports():
                    name = tr("Output") if single else render(Message(port.label))
                    found = report.output_types.get(port.name) if report else None
                    rows.append((name, _type_text(found)))
        reports = [
            r for n in self._nodes if (r := result.nodes.get(n.id)) is not None and r.output_types
        ]
        if reports:
            rows.append((tr("Trainable"), exact(sum(r.num_parameters for r in reports))))
            rows.append(
                (
                    tr("Compute"),
                    tr("{flops} per sample", flops=flops(sum(r.num_flops for r in reports))),
                )
            )
            size = data_size(sum(r.activation_bytes for r in reports))
            rows.append((tr("Output memory"), tr("{size} per sample", size=size)))
        self._facts.show_rows(rows)
        self.shapes.setVisible(bool(rows))

    def _push(self, command, merge: str = "") -> None:
        self._project.push(command, merge=merge)

    def _set_param(self, name: str, value: object, burst: bool) -> None:
        project = self._project
        merge = f"param:{name}:{','.join(sorted(self._ids()))}" if burst else ""
        if not burst:
            project.history.close_merge()
        command = commands.set_param(project.document, project.graph_id, self._ids(), name, value)
        self._push(command, merge)

    def _reset_param(self, name: str) -> None:
        project = self._project
        project.history.close_merge()
        self._push(commands.reset_param(project.document, project.graph_id, self._ids(), name))

    def _rename(self, text: str) -> None:
        project = self._project
        node = self._nodes[0]
        if not text.strip():
            self._header.name.setModified(False)
            self._header.name.show_text(node.label)
            return
        command = commands.rename(project.document, project.graph_id, node.id, text.strip())
        if not project.push(command):
            set_property(self._header.name, "invalid", True)

    def _set_bypass(self, value: bool) -> None:
        project = self._project
        self._push(
            commands.set_fields(project.document, project.graph_id, self._ids(), bypass=value)
        )

    def _set_comment(self, text: str) -> None:
        project = self._project
        self._push(
            commands.set_fields(project.document, project.graph_id, self._ids(), comment=text)
        )

    def _recolor(self) -> None:
        if self._nodes:
            self._header.show_nodes(self._nodes, self._type)


class _Header(QWidget):
    """Icon of the type, name that can be edited, type and bypass."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._icon = QLabel()
        self._icon.setFixedSize(36, 36)
        self._icon.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.name = LineEdit()
        self.name.setObjectName("nodeName")
        self._kind = QLabel()
        self._kind.setTextFormat(Qt.TextFormat.PlainText)
        set_role(self._kind, "dim")
        self.bypass = QCheckBox()
        self.bypass.setObjectName("nodeBypass")
        grid = QGridLayout(self)
        grid.setContentsMargins(12, 12, 12, 10)
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(6)
        grid.addWidget(self._icon, 0, 0)
        grid.addWidget(self.name, 0, 1)
        line = QHBoxLayout()
        line.addWidget(self._kind, 1)
        line.addWidget(self.bypass)
        grid.addLayout(line, 1, 0, 1, 2)
        grid.setColumnStretch(1, 1)

    def show_nodes(self, nodes: Sequence[Node], cls: type[NodeType] | None) -> None:
        tokens = self._theme.tokens
        color = tokens.category(cls.category if cls else "unknown").name()
        name = cls.type_id if cls else "unknown"
        folder = "nodes" if cls else "categories"
        try:
            picture = pixmap(name, "#ffffff", 22, self.devicePixelRatioF(), folder=folder)
        except FileNotFoundError:
            picture = pixmap(
                "unknown", "#ffffff", 22, self.devicePixelRatioF(), folder="categories"
            )
        self._icon.setPixmap(picture)
        self._icon.setStyleSheet(f"background: {color}; border-radius: 8px;")
        one = len(nodes) == 1
        self.name.setReadOnly(not one)
        set_property(self.name, "invalid", False)
        self.name.show_text(nodes[0].label if one else tr("{count} nodes", count=len(nodes)))
        if cls is not None:
            kind = f"{render(Message(cls.label))} · {render(Message(cls.category))}"
        else:
            kind = nodes[0].type if one else ""
        self._kind.setText(kind)
        self.bypass.setVisible(cls is not None and cls.role == "layer")
        self.bypass.setTristate(len({n.bypass for n in nodes}) > 1)
        if len({n.bypass for n in nodes}) > 1:
            self.bypass.setCheckState(Qt.CheckState.PartiallyChecked)
        else:
            self.bypass.setChecked(nodes[0].bypass)

    def retranslate(self) -> None:
        self.name.setAccessibleName(tr("Name"))
        self.name.setToolTip(
            tr("Name of the node: shown on the canvas, and its variable in exported code")
        )
        self.bypass.setText(tr("Bypass"))
        self.bypass.setToolTip(tr("Leave the node out: what comes in goes out unchanged"))


class _Comment(QPlainTextEdit):
    """A few lines of plain text that are committed when the field is left."""

    committed = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._shown = ""
        self.setTabChangesFocus(True)
        self.setFixedHeight(64)

    def show_text(self, text: str) -> None:
        if self.hasFocus() and self.document().isModified():
            return
        self._shown = text
        if text != self.toPlainText():
            self.setPlainText(text)
        self.document().setModified(False)

    def focusOutEvent(self, event) -> None:
        super().focusOutEvent(event)
        if self.toPlainText() != self._shown:
            self._shown = self.toPlainText()
            self.document().setModified(False)
            self.committed.emit(self._shown)


def _type_text(found: TensorType | None) -> str:
    if found is None:
        return tr("unknown yet")
    text = f"{found}  {found.dtype}"
    if found.classes:
        text += "  " + tr("{count} classes", count=found.classes)
    return text


def _default(form: Form, name: str):
    return next(s.default for s in form.specs if s.name == name)
