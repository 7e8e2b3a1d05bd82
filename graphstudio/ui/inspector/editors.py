"""One editor for each kind of declared parameter. None of them knows a limit: the declaration does.

An editor shows a value (or that several differ), says when its user has chosen another one, and
when what is typed is no value at all. Whether the value is acceptable is asked of the ParamSpec.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QEvent, QSignalBlocker, Qt, Signal
from PySide6.QtGui import (
    QAction,
    QIcon,
    QKeyEvent,
    QKeySequence,
    QPaintEvent,
    QPalette,
    QWheelEvent,
)
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QToolTip,
    QWidget,
)

from graphstudio.i18n import render, tr
from graphstudio.nodes.spec import ParamSpec
from graphstudio.nodes.types import Message
from graphstudio.ui.inspector.arithmetic import evaluate
from graphstudio.ui.style import plain_tip, set_property, set_role

MIXED = object()
"""Stands for "the selected nodes differ"."""


class LineEdit(QLineEdit):
    """Line edit that commits on Enter or when left, reverts on Esc, and lends Ctrl+Z to the window
    while it has nothing of its own to undo."""

    committed = Signal(str)
    stepped = Signal(float)
    """Up or down was pressed: +1 or -1, times 10 with Shift, a tenth with Ctrl."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown = ""
        self.editingFinished.connect(self._finish)

    def show_text(self, text: str) -> None:
        """Show a value that comes from the document, unless the user is in the middle of typing."""
        if self.isModified() and self.hasFocus() and text == self._shown:
            return
        self._shown = text
        if text != self.text():
            position = self.cursorPosition()
            self.setText(text)
            self.setCursorPosition(position)
        self.setModified(False)

    def _finish(self) -> None:
        if self.isModified() and self.text() != self._shown:
            self.committed.emit(self.text())

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ShortcutOverride:
            undo = event.matches(QKeySequence.StandardKey.Undo) and not self.isUndoAvailable()
            redo = event.matches(QKeySequence.StandardKey.Redo) and not self.isRedoAvailable()
            if undo or redo:
                event.ignore()
                return False
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = event.key()
        if key == Qt.Key.Key_Escape and self.isModified():
            self.setText(self._shown)
            self.setModified(False)
            self.textEdited.emit(self._shown)
            event.accept()
        elif key in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            amount = 1.0 if key == Qt.Key.Key_Up else -1.0
            if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
                amount *= 10
            elif event.modifiers() & Qt.KeyboardModifier.ControlModifier:
                amount /= 10
            self.stepped.emit(amount)
            event.accept()
        else:
            super().keyPressEvent(event)
            if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self.selectAll()


class Editor(QWidget):
    """Base: ``chosen`` carries a value that the user wants, ``bad`` a text that is no value."""

    chosen = Signal(object, bool)
    """(value, whether it is one of a burst, such as a held arrow key)."""
    bad = Signal(str)
    typing = Signal(object)
    """Value of the text while it is typed, or None while it is no value."""

    def __init__(self, spec: ParamSpec, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.spec = spec
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(6)
        self._has_unit = bool(spec.unit)
        if spec.unit:
            unit = QLabel(spec.unit)
            set_role(unit, "dim")
            self._row.addWidget(unit)

    def show_value(self, value: Any) -> None:
        raise NotImplementedError

    def set_invalid(self, invalid: bool) -> None:
        """Mark the field as holding something that cannot be."""

    def retranslate(self) -> None:
        """Read translated texts again."""

    def scrub(self, steps: float) -> None:
        """The label is dragged; numbers follow."""

    def _take(self, field: QWidget) -> None:
        self._row.insertWidget(self._row.count() - self._has_unit, field, 1)
        self.setFocusProxy(field)
        field.setAccessibleName(render(Message(self.spec.label)))


class TextEditor(Editor):
    """A line of text, with suggestions where there are some."""

    def __init__(self, spec: ParamSpec, parent: QWidget | None = None) -> None:
        super().__init__(spec, parent)
        self.field = LineEdit()
        self.field.committed.connect(lambda text: self.chosen.emit(text, False))
        self.field.textEdited.connect(lambda text: self.typing.emit(text))
        self._take(self.field)
        self._menu = QMenu(self)
        self._arrow: QAction | None = None

    def show_value(self, value: Any) -> None:
        self.field.setPlaceholderText(tr("several values") if value is MIXED else "")
        self.field.show_text("" if value is MIXED else str(value))

    def set_suggestions(self, texts: Sequence[str], arrow: QIcon) -> None:
        """Offer texts under an arrow in the field; what is typed need not be one of them."""
        self._menu.clear()
        for text in texts:
            action = self._menu.addAction(text.replace("&", "&&"))
            action.triggered.connect(lambda _=False, t=text: self.chosen.emit(t, False))
        if self._arrow is None:
            self._arrow = self.field.addAction(arrow, QLineEdit.ActionPosition.TrailingPosition)
            self._arrow.triggered.connect(self._open_menu)
        self._arrow.setIcon(arrow)
        self._arrow.setVisible(bool(texts))

    @property
    def suggestions(self) -> list[str]:
        return [a.text().replace("&&", "&") for a in self._menu.actions()]

    def _open_menu(self) -> None:
        self._menu.setMinimumWidth(self.field.width())
        self._menu.popup(self.field.mapToGlobal(self.field.rect().bottomLeft()))

    def set_invalid(self, invalid: bool) -> None:
        set_property(self.field, "invalid", invalid)


class NumberEditor(Editor):
    """A whole or real number: typed, calculated, stepped with the arrow keys or dragged."""

    def __init__(self, spec: ParamSpec, parent: QWidget | None = None) -> None:
        super().__init__(spec, parent)
        self.field = LineEdit()
        self.field.committed.connect(self._commit)
        self.field.textEdited.connect(self._type)
        self.field.stepped.connect(self.scrub)
        self._value: Any = None
        self._take(self.field)

    def show_value(self, value: Any) -> None:
        self._value = value
        self.field.setPlaceholderText(tr("several values") if value is MIXED else "")
        self.field.show_text("" if value is MIXED else number_text(value))

    def set_invalid(self, invalid: bool) -> None:
        set_property(self.field, "invalid", invalid)

    def scrub(self, steps: float) -> None:
        if isinstance(self._value, bool) or not isinstance(self._value, int | float):
            return
        value = stepped(self.spec, self._value, steps)
        if value != self._value:
            self._value = value
            self.chosen.emit(value, True)

    def _parse(self, text: str) -> int | float:
        value = evaluate(text)
        if self.spec.kind == "float":
            return float(value)
        return int(value) if float(value).is_integer() else value

    def _type(self, text: str) -> None:
        try:
            self.typing.emit(self._parse(text))
        except (ValueError, OverflowError):
            self.typing.emit(None)

    def _commit(self, text: str) -> None:
        try:
            value = self._parse(text)
        except (ValueError, OverflowError):
            self.bad.emit(text)
            return
        self.chosen.emit(value, False)


class IntsEditor(Editor):
    """Several whole numbers: a field each when their count is fixed and small, else one line."""

    MAX_FIELDS = 4

    def __init__(self, spec: ParamSpec, parent: QWidget | None = None) -> None:
        super().__init__(spec, parent)
        low, high = spec.length or (0, 10**6)
        self._count = low if low == high and low <= self.MAX_FIELDS else 0
        self._value: Any = None
        self.fields = [LineEdit() for _ in range(self._count or 1)]
        for i, field in enumerate(self.fields):
            field.committed.connect(self._commit)
            field.textEdited.connect(self._type)
            if self._count:
                field.setMinimumWidth(36)
                field.stepped.connect(lambda amount, i=i: self._step(i, amount))
            self._take(field)
        self.setFocusProxy(self.fields[0])

    def show_value(self, value: Any) -> None:
        self._value = value
        mixed = value is MIXED
        texts = (
            [""] * len(self.fields) if mixed else _ints_texts(value, len(self.fields), self._count)
        )
        for field, text in zip(self.fields, texts, strict=True):
            field.setPlaceholderText("…" if mixed else "")
            field.show_text(text)

    def set_invalid(self, invalid: bool) -> None:
        for field in self.fields:
            set_property(field, "invalid", invalid)

    def scrub(self, steps: float) -> None:
        if (
            self._count
            and isinstance(self._value, tuple | list)
            and len(self._value) == self._count
        ):
            one = ParamSpec(**{**vars(self.spec), "kind": "int"})
            self._choose(tuple(stepped(one, v, steps) for v in self._value))

    def _step(self, index: int, amount: float) -> None:
        if isinstance(self._value, tuple | list) and len(self._value) == self._count:
            one = ParamSpec(**{**vars(self.spec), "kind": "int"})
            values = list(self._value)
            values[index] = stepped(one, values[index], amount)
            self._choose(tuple(values))

    def _choose(self, value: tuple[int, ...]) -> None:
        if value != tuple(self._value):
            self._value = value
            self.chosen.emit(value, True)

    def _parse(self) -> tuple[int, ...]:
        if self._count:
            parts = [f.text() for f in self.fields]
        else:
            text = self.fields[0].text().strip().strip("()[]")
            for separator in ("×", "x", ";", "，"):
                text = text.replace(separator, ",")
            parts = [p for p in text.split(",") if p.strip()] if "," in text else text.split()
        values = [evaluate(p) for p in parts]
        if any(not float(v).is_integer() for v in values):
            raise ValueError("no whole number")
        return tuple(int(v) for v in values)

    def _type(self) -> None:
        try:
            self.typing.emit(self._parse())
        except (ValueError, OverflowError):
            self.typing.emit(None)

    def _commit(self) -> None:
        if self._count and self._value is MIXED and any(not f.text() for f in self.fields):
            return  # the other fields of nodes that differ are still to be filled
        try:
            value = self._parse()
        except (ValueError, OverflowError):
            self.bad.emit(", ".join(f.text() for f in self.fields))
            return
        self.chosen.emit(value, False)


class BoolEditor(Editor):
    """A check box."""

    def __init__(self, spec: ParamSpec, parent: QWidget | None = None) -> None:
        super().__init__(spec, parent)
        self.box = QCheckBox()
        self.box.clicked.connect(lambda: self.chosen.emit(self.box.isChecked(), False))
        self._take(self.box)

    def show_value(self, value: Any) -> None:
        with QSignalBlocker(self.box):
            self.box.setTristate(value is MIXED)
            if value is MIXED:
                self.box.setCheckState(Qt.CheckState.PartiallyChecked)
            else:
                self.box.setChecked(bool(value))


class ComboBox(QComboBox):
    """Drop-down that scrolls past under the wheel unless it has been clicked."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumContentsLength(4)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)

    def shown_text(self) -> str:
        """The text as there is room for it."""
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        field = self.style().subControlRect(
            QStyle.ComplexControl.CC_ComboBox,
            option,
            QStyle.SubControl.SC_ComboBoxEditField,
            self,
        )
        mode = Qt.TextElideMode.ElideRight
        return self.fontMetrics().elidedText(self._whole_text(), mode, field.width() - 4)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and self.shown_text() != self._whole_text():
            lines = [self._whole_text(), self._help()]
            tip = plain_tip("\n".join(line for line in lines if line))
            QToolTip.showText(event.globalPos(), tip, self)
            return True
        return super().event(event)

    def _whole_text(self) -> str:
        return self.currentText() if self.currentIndex() >= 0 else self.placeholderText()

    def _help(self) -> str:
        """The tool tip that Qt would show: its own, or that of the nearest widget around it."""
        widget: QWidget | None = self
        while widget is not None and not widget.toolTip():
            widget = None if widget.isWindow() else widget.parentWidget()
        return widget.toolTip() if widget is not None else ""

    def paintEvent(self, event: QPaintEvent) -> None:
        # A style sheet cuts long texts where they end; three dots say that there is more.
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        option.currentText = self.shown_text()
        if self.currentIndex() < 0:
            color = option.palette.color(QPalette.ColorRole.PlaceholderText)
            option.palette.setColor(QPalette.ColorRole.ButtonText, color)
        painter = QStylePainter(self)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)
        painter.end()

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


class ChoiceEditor(Editor):
    """One of several words."""

    def __init__(self, spec: ParamSpec, parent: QWidget | None = None) -> None:
        super().__init__(spec, parent)
        self.box = ComboBox()
        for choice in spec.choices:
            self.box.addItem(choice, choice)
        self.box.activated.connect(lambda index: self.chosen.emit(self.box.itemData(index), False))
        self._take(self.box)
        self.retranslate()

    def show_value(self, value: Any) -> None:
        with QSignalBlocker(self.box):
            several = tr("several values")
            self.box.setPlaceholderText(several if value is MIXED else str(value) or tr("Choose…"))
            self.box.setCurrentIndex(-1 if value is MIXED else self.box.findData(value))

    def set_invalid(self, invalid: bool) -> None:
        set_property(self.box, "invalid", invalid)

    def retranslate(self) -> None:
        for i, choice in enumerate(self.spec.choices):
            self.box.setItemText(i, choice_text(choice))


_EDITORS = {
    "int": NumberEditor,
    "float": NumberEditor,
    "bool": BoolEditor,
    "str": TextEditor,
    "choice": ChoiceEditor,
    "ints": IntsEditor,
}


def make_editor(spec: ParamSpec) -> Editor:
    """The editor for a declared parameter."""
    return _EDITORS[spec.kind](spec)


def choice_text(choice: str) -> str:
    """A word of a choice as it is shown: translated, without underscores."""
    shown = render(Message(choice))
    return shown if shown != choice else choice.replace("_", " ")


def number_text(value: Any) -> str:
    """A number as it is typed back: ``0.001``, ``1e-07``, ``64``."""
    if isinstance(value, float):
        if value.is_integer() and abs(value) < 1e9:
            return str(int(value))
        return f"{value:.10g}"
    return str(value)


def stepped(spec: ParamSpec, value: int | float, steps: float) -> int | float:
    """The value some steps on, within the declared limits.

    Whole numbers move by one. Real numbers move by a twentieth of their own power of ten, so that
    a learning rate and a dropout rate can both be dragged.
    """
    if spec.kind == "float":
        size = 10.0 ** math.floor(math.log10(abs(value))) if value else 0.1
        moved = round(value + steps * size / 10, 12)
        moved = float(f"{moved:.3g}")
    else:
        moved = value + (round(steps) or int(math.copysign(1, steps)))
    if spec.high is not None:
        moved = min(moved, type(moved)(spec.high))
    if spec.low is not None and (moved < spec.low or (spec.low_open and moved == spec.low)):
        moved = value if spec.low_open else type(moved)(spec.low)
    return moved


def _ints_texts(value: Any, fields: int, count: int) -> list[str]:
    if not isinstance(value, tuple | list):
        return [str(value)] + [""] * (fields - 1)
    if count:
        return [str(value[i]) if i < len(value) else "" for i in range(fields)]
    return [", ".join(str(v) for v in value)]
