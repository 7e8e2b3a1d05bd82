"""Parts of the export dialog: a framework with its badge, and the losses laid over each other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QGuiApplication
from PySide6.QtWidgets import (
    QCheckBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from graphstudio.i18n import render, tr
from graphstudio.nodes.types import Message
from graphstudio.ui.dashboard.axis import PlotArea
from graphstudio.ui.dashboard.curve_item import CurveItem
from graphstudio.ui.dashboard.legend import Entry, Legend
from graphstudio.ui.dashboard.pyramid import MinMaxPyramid
from graphstudio.ui.icons import pixmap
from graphstudio.ui.style import set_role
from graphstudio.ui.theme import Theme

NAMES = {"pytorch": "PyTorch", "tensorflow": "TensorFlow", "keras": "Keras 3"}
ABOUT = {
    "pytorch": Message("nn.Module, DataLoader, a plain training loop"),
    "tensorflow": Message("tf.data, compiled GradientTape step, SavedModel"),
    "keras": Message("functional model, compile and fit"),
}
INSTALL = 'pip install "graphstudio[exports]"'
"""Brings all three; part of what verify says, in any language, where one is missing."""
COMPARED = ("outputs", "loss", "gradients")
FLAT = 300.0
"""The least height of the plot of losses, in units of what rounding alone may change in them.

Else the losses of a model that has learned all there is, rounding and nothing more, fill the plot
and seem to be far apart under a sentence that calls them the same.
"""
CURVE_COLORS = {"pytorch": "#d0568c", "tensorflow": "#d9772f", "keras": "#2a9d8f"}


def verdict_of(numbers: Mapping[str, Any]) -> str:
    """``same``, ``differ``, ``missing`` (framework not installed) or ``error``."""
    if error := numbers.get("error"):
        return "missing" if INSTALL in str(error) else "error"
    if not all(isinstance(numbers.get(name), int | float) for name in COMPARED):
        return "error"
    return "same" if numbers.get("ok") is True else "differ"


class TargetRow(QFrame):
    """One framework: a box to choose it, what it gets, and a badge once it was verified."""

    def __init__(self, target: str, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.target, self._theme = target, theme
        self.setObjectName("card")
        self._badge = ("", "", "")
        self.box = QCheckBox(NAMES[target])
        self.box.setObjectName(f"target_{target}")
        self.box.setChecked(True)
        self._about = QLabel()
        set_role(self._about, "dim")
        self._icon = QLabel()
        self._icon.setFixedWidth(20)
        self._verdict = QLabel()
        self._verdict.setObjectName(f"verdict_{target}")
        self._detail = QLabel()
        self._detail.setObjectName(f"detail_{target}")
        self._detail.setWordWrap(True)
        self._detail.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        set_role(self._detail, "dim")
        for label in (self._about, self._verdict, self._detail):
            label.setTextFormat(Qt.TextFormat.PlainText)
        self._copy = QPushButton()
        self._copy.setObjectName(f"copy_pip_{target}")
        set_role(self._copy, "link")
        self._copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(INSTALL))
        top = QHBoxLayout()
        top.setSpacing(8)
        top.addWidget(self.box)
        top.addWidget(self._about, 1)
        top.addWidget(self._icon)
        top.addWidget(self._verdict)
        under = QHBoxLayout()
        under.setContentsMargins(24, 0, 0, 0)
        under.addWidget(self._detail, 1)
        under.addWidget(self._copy)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 8, 12, 8)
        layout.setSpacing(4)
        layout.addLayout(top)
        layout.addLayout(under)
        theme.changed.connect(self._dress)
        self.retranslate()
        self.clear()

    def retranslate(self) -> None:
        self._about.setText(render(ABOUT[self.target]))
        self._copy.setText(tr("Copy the command"))

    def clear(self) -> None:
        self._show("", "", "text_dim", "")

    def show_busy(self, what: str) -> None:
        text = tr("exporting") if what == "export" else tr("waiting for its numbers")
        self._show("clock", text, "text_dim", "")

    def show_exported(self, folder: str) -> None:
        self._show("ok", tr("exported"), "ok", folder)

    def show_problem(self, text: str) -> None:
        self._show("error", tr("failed"), "error", text)

    def show_verdict(self, numbers: Mapping[str, Any]) -> None:
        """The badge: same numbers or not, with the largest relative differences."""
        match verdict_of(numbers):
            case "missing":
                error = str(numbers["error"])
                self._show("warning", tr("not installed"), "warning", error, install=True)
            case "error":
                self.show_problem(str(numbers.get("error") or tr("it gave no numbers")))
            case verdict:
                same = verdict == "same"
                names = {
                    "outputs": tr("outputs"),
                    "loss": tr("loss"),
                    "gradients": tr("gradients"),
                }
                parts = (f"{names[k]} {_tiny(float(numbers[k]))}" for k in COMPARED)
                detail = tr("largest relative difference: {parts}", parts=", ".join(parts))
                text = tr("same numbers") if same else tr("the numbers differ")
                self._show(*(("ok", text, "ok") if same else ("error", text, "error")), detail)

    def _show(
        self, icon: str, text: str, token: str, detail: str, *, install: bool = False
    ) -> None:
        self._badge = (icon, text, token)
        self._verdict.setText(text)
        role = token if token in ("ok", "warning", "error") else "dim"
        set_role(self._verdict, role)
        self._detail.setText(detail)
        self._detail.setVisible(bool(detail))
        self._copy.setVisible(install)
        self.setAccessibleName(" ".join(p for p in (NAMES[self.target], text, detail) if p))
        self._dress()

    def _dress(self) -> None:
        icon, _text, token = self._badge
        if icon:
            color = getattr(self._theme.tokens, token)
            self._icon.setPixmap(pixmap(icon, color, 16, self.devicePixelRatioF()))
        self._icon.setVisible(bool(icon))


class CurvesView(QWidget):
    """Losses of the same few training steps, the engine's and each framework's."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("verifyCurves")
        self._theme = theme
        self._curves: dict[str, tuple[MinMaxPyramid, CurveItem]] = {}
        self._differences: dict[str, float] = {}
        self._resolution = 0.0
        self._title = QLabel()
        set_role(self._title, "heading")
        self._apart = QLabel()
        self._apart.setTextFormat(Qt.TextFormat.PlainText)
        set_role(self._apart, "dim")
        self.legend = Legend(theme)
        self.legend.toggled.connect(self._on_toggled)
        self.view = pg.ViewBox(enableMenu=False, enableMouse=False, defaultPadding=0.0)
        self.view.disableAutoRange()
        self.plot = PlotArea(self.view, "count")
        self.plot.setMinimumHeight(150)
        head = QHBoxLayout()
        head.addWidget(self._title)
        head.addSpacing(8)
        head.addWidget(self._apart, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(head)
        layout.addWidget(self.legend)
        layout.addWidget(self.plot, 1)
        theme.changed.connect(self._dress)
        self.retranslate()

    @property
    def has_data(self) -> bool:
        return bool(self._curves)

    def clear(self) -> None:
        for _values, item in self._curves.values():
            self.view.removeItem(item)
        self._curves.clear()
        self._differences.clear()
        self._resolution = 0.0
        self.legend.set_entries([])
        self._apart.setText("")

    def add(
        self,
        target: str,
        curves: Mapping[str, Any],
        difference: float,
        resolution: float = 0.0,
    ) -> None:
        """Lay the losses of a framework over the engine's.

        Parameters
        ----------
        difference : float
            Largest relative difference between the two.
        resolution : float
            How far apart two losses may be by rounding alone.
        """
        for name, key in (("engine", "engine"), ("target", target)):
            values = _numbers(curves.get(name))
            if values and key not in self._curves:
                self._add(key, values)
        self._differences[target] = difference
        if math.isfinite(resolution):
            self._resolution = max(self._resolution, resolution)
        self._fit()
        self._dress()

    def retranslate(self) -> None:
        self._title.setText(tr("Loss of the first training steps"))
        self.plot.setAccessibleName(tr("Loss of the first training steps"))
        self._dress()

    def _add(self, key: str, values: list[float]) -> None:
        x = np.arange(1.0, len(values) + 1)
        pyramid = MinMaxPyramid(values)
        # Markers on dashed lines stay visible where the curves coincide, as they should.
        other = key != "engine"
        item = CurveItem(lambda: x, lambda: pyramid, markers=other, dashed=other)
        item.setZValue(10 + len(self._curves))
        self.view.addItem(item, ignoreBounds=True)
        self._curves[key] = (pyramid, item)

    def _fit(self) -> None:
        arrays = [p.values for p, _ in self._curves.values()]
        every = np.concatenate(arrays) if arrays else np.empty(0)
        every = every[np.isfinite(every)]
        if not every.size:
            return
        low, high = float(every.min()), float(every.max())
        high = max(high, low + FLAT * self._resolution)
        pad = 0.08 * (high - low) or max(abs(high), 1e-6) * 0.5
        self.view.setXRange(0.0, max(a.size for a in arrays) + 1.0, padding=0)
        self.view.setYRange(low - pad, high + pad, padding=0)

    def _dress(self) -> None:
        tokens = self._theme.tokens
        self.plot.dress(tokens, "window", self.font())
        entries = []
        for key, (_values, item) in self._curves.items():
            color = QColor(CURVE_COLORS.get(key, tokens.curve_train))
            item.set_color(color)
            name = tr("Engine") if key == "engine" else NAMES.get(key, key)
            entries.append(Entry(key, name, color, marked=key != "engine"))
        self.legend.set_entries(entries)
        known = [d for d in self._differences.values() if d == d]
        if known:
            text = tr("largest relative difference {difference}", difference=_tiny(max(known)))
            self._apart.setText(text)

    def _on_toggled(self, key: str, shown: bool) -> None:
        self._curves[key][1].setVisible(shown)


def _numbers(values: object) -> list[float]:
    if not isinstance(values, Sequence) or isinstance(values, str):
        return []
    return [float(v) if isinstance(v, int | float) else math.nan for v in values]


def _tiny(value: float) -> str:
    return "0" if value == 0 else f"{value:.1e}".replace("-", "−")
