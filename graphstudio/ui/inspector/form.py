"""A form made from declarations: a row for each parameter, with help, unit, reset and problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import QPoint, QSize, Qt, Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QGridLayout, QLabel, QSizePolicy, QToolButton, QWidget

from graphstudio.i18n import render, sentence, tr
from graphstudio.nodes.spec import ParamSpec
from graphstudio.nodes.types import Message
from graphstudio.ui.icons import icon
from graphstudio.ui.inspector.editors import MIXED, Editor, make_editor, number_text
from graphstudio.ui.style import set_role
from graphstudio.ui.theme import Theme

LABEL_WIDTH = 114
SCRUB_PIXELS = 6
"""Pixels that the label is dragged for one step."""


class FieldLabel(QLabel):
    """Name of a field. Dragging it to the side turns a number, as in other node editors."""

    dragged = Signal(float)
    released = Signal()

    def __init__(self, scrubs: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scrubs = scrubs
        self._last: QPoint | None = None
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.setFixedWidth(LABEL_WIDTH)
        set_role(self, "dim")
        if scrubs:
            self.setCursor(Qt.CursorShape.SizeHorCursor)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if self._scrubs and event.button() == Qt.MouseButton.LeftButton:
            self._last = event.position().toPoint()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._last is None:
            return
        steps = int((event.position().x() - self._last.x()) / SCRUB_PIXELS)
        if steps:
            self._last = QPoint(self._last.x() + steps * SCRUB_PIXELS, 0)
            fine = event.modifiers() & Qt.KeyboardModifier.ControlModifier
            coarse = event.modifiers() & Qt.KeyboardModifier.ShiftModifier
            self.dragged.emit(steps * (0.1 if fine else 10.0 if coarse else 1.0))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._last is not None:
            self._last = None
            self.released.emit()


class Form(QWidget):
    """Rows for a list of ParamSpecs. It knows nothing of nodes or documents.

    ``edited(name, value, burst)`` is emitted with acceptable values only; what is not acceptable
    is explained under the field and goes nowhere.
    """

    edited = Signal(str, object, bool)
    reset = Signal(str)
    burst_ended = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(12, 2, 6, 8)
        self._grid.setHorizontalSpacing(6)
        self._grid.setVerticalSpacing(6)
        self._grid.setColumnStretch(1, 1)
        self._rows: dict[str, _Row] = {}
        self._specs: tuple[ParamSpec, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        theme.changed.connect(self._recolor)

    @property
    def specs(self) -> tuple[ParamSpec, ...]:
        return self._specs

    def editor(self, name: str) -> Editor:
        """The editor of one parameter."""
        return self._rows[name].editor

    def problem_text(self, name: str) -> str:
        """What is said under a field; empty while nothing is wrong."""
        return self._rows[name].problem.text()

    def set_specs(self, specs: Sequence[ParamSpec]) -> None:
        """Build the rows; nothing happens if they are the same as before."""
        if tuple(specs) == self._specs:
            return
        focused = next((name for name, row in self._rows.items() if row.has_focus), None)
        for row in self._rows.values():
            row.remove()
        self._rows.clear()
        self._specs = tuple(specs)
        for i, spec in enumerate(self._specs):
            self._rows[spec.name] = _Row(self, self._grid, i, spec, self._theme)
        if focused in self._rows:  # hiding the old field gave the keyboard to some other one
            self._rows[focused].editor.setFocus()

    def show_values(self, values: Mapping[str, Sequence[Any]]) -> None:
        """Show one value a parameter, or that several differ. Reset arrows follow the defaults."""
        for name, row in self._rows.items():
            row.show_values(values.get(name, ()))

    def show_problems(self, problems: Mapping[str, str]) -> None:
        """Texts under the fields, from the checker."""
        for name, row in self._rows.items():
            row.show_outer_problem(problems.get(name, ""))

    def hide_rows(self, names: set[str]) -> None:
        """Leave rows out that mean nothing at the moment."""
        for name, row in self._rows.items():
            row.set_visible(name not in names)

    def retranslate(self) -> None:
        for row in self._rows.values():
            row.retranslate()

    def _recolor(self) -> None:
        for row in self._rows.values():
            row.recolor()


class _Row:
    """One parameter in the grid: name, editor, unit, reset arrow; a line for problems below."""

    def __init__(self, form: Form, grid: QGridLayout, index: int, spec: ParamSpec, theme: Theme):
        self.form, self.spec, self._theme, self._grid = form, spec, theme, grid
        self._outer = ""
        self._visible = True
        self.label = FieldLabel(spec.kind in ("int", "float") or spec.kind == "ints")
        self.editor = make_editor(spec)
        self.editor.setObjectName(f"param_{spec.name}")
        self.reset_button = QToolButton()
        self.reset_button.setObjectName("resetButton")
        self.reset_button.setIconSize(QSize(14, 14))
        policy = self.reset_button.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.reset_button.setSizePolicy(policy)
        self.problem = QLabel()
        self.problem.setTextFormat(Qt.TextFormat.PlainText)
        self.problem.setWordWrap(True)
        self.problem.setObjectName(f"problem_{spec.name}")
        set_role(self.problem, "error")
        self.problem.hide()
        top = Qt.AlignmentFlag.AlignVCenter
        grid.addWidget(self.label, 2 * index, 0, top)
        grid.addWidget(self.editor, 2 * index, 1)
        grid.addWidget(self.reset_button, 2 * index, 2, top)
        grid.addWidget(self.problem, 2 * index + 1, 1, 1, 2)
        self.label.setBuddy(self.editor)
        self.label.dragged.connect(self.editor.scrub)
        self.label.released.connect(form.burst_ended)
        self.editor.chosen.connect(self._choose)
        self.editor.bad.connect(self._refuse_text)
        self.editor.typing.connect(self._judge)
        self.reset_button.clicked.connect(lambda: form.reset.emit(spec.name))
        self.recolor()
        self.retranslate()

    @property
    def has_focus(self) -> bool:
        """True while the keyboard writes into this row's editor."""
        holder = self.editor.window().focusWidget()
        return holder is self.editor or (holder is not None and self.editor.isAncestorOf(holder))

    def _widgets(self) -> tuple[QWidget, ...]:
        return (self.label, self.editor, self.reset_button, self.problem)

    def remove(self) -> None:
        for widget in self._widgets():
            self._grid.removeWidget(widget)
            widget.hide()
            widget.deleteLater()

    def set_visible(self, visible: bool) -> None:
        self._visible = visible
        self.label.setVisible(visible)
        self.editor.setVisible(visible)
        policy = self.reset_button.sizePolicy()
        policy.setRetainSizeWhenHidden(visible)
        self.reset_button.setSizePolicy(policy)
        if not visible:
            self.reset_button.hide()
            self.problem.hide()

    def show_values(self, values: Sequence[Any]) -> None:
        distinct = list({repr(v): v for v in values}.values())
        value = distinct[0] if len(distinct) == 1 else MIXED
        self.editor.show_value(value if distinct else self.spec.default)
        changed = any(self.spec.coerce(v) != self.spec.default for v in values)
        self.reset_button.setVisible(changed and self._visible)
        self._say("")

    def show_outer_problem(self, text: str) -> None:
        self._outer = text
        self._say("")

    def _choose(self, value: Any, burst: bool) -> None:
        problem = self.spec.problem(value)
        if problem is not None:
            self._say(sentence(problem))
            return
        self._say("")
        self.form.edited.emit(self.spec.name, self.spec.coerce(value), burst)

    def _refuse_text(self, text: str) -> None:
        problem = self.spec.problem(text)
        self._say(sentence(problem) if problem else "")

    def _judge(self, value: Any) -> None:
        problem = None if value is None else self.spec.problem(value)
        self._say(sentence(problem) if problem else "")

    def _say(self, text: str) -> None:
        shown = text or self._outer
        self.problem.setText(shown)
        self.problem.setVisible(bool(shown) and self._visible)
        self.editor.set_invalid(bool(shown))

    def recolor(self) -> None:
        self.reset_button.setIcon(icon("reset", self._theme.tokens.text_dim))

    def retranslate(self) -> None:
        spec = self.spec
        name = render(Message(spec.label))
        self.label.setText(name)
        self.editor.setAccessibleName(name)
        self.editor.retranslate()
        lines = [render(Message(spec.doc)), limits_text(spec)]
        tip = "\n".join(line for line in lines if line)
        for widget in (self.label, self.editor):
            widget.setToolTip(tip)
        default = default_text(spec)
        self.reset_button.setToolTip(tr("Reset to {value}", value=default))
        self.reset_button.setAccessibleName(tr("Reset {name}", name=name))


def limits_text(spec: ParamSpec) -> str:
    """The declared limits in words, for the tool tip."""
    if spec.low is not None and spec.high is not None:
        return tr("From {low} to {high}", low=f"{spec.low:g}", high=f"{spec.high:g}")
    if spec.low is not None:
        if spec.low_open:
            return tr("Above {low}", low=f"{spec.low:g}")
        return tr("At least {low}", low=f"{spec.low:g}")
    if spec.high is not None:
        return tr("At most {high}", high=f"{spec.high:g}")
    return ""


def default_text(spec: ParamSpec) -> str:
    """The default as it would be typed."""
    match spec.kind:
        case "ints":
            return ", ".join(str(v) for v in spec.default)
        case "int" | "float":
            return number_text(spec.default)
        case "bool":
            return tr("on") if spec.default else tr("off")
    return str(spec.default)
