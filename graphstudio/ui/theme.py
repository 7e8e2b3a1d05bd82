"""Colours of both themes, in one table; palette and style sheet are made from it."""

from __future__ import annotations

from dataclasses import dataclass, fields

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QColor


@dataclass(frozen=True)
class Tokens:
    """Named colours as ``#rrggbb``; ``color`` gives a QColor."""

    name: str
    window: str
    panel: str
    base: str
    border: str
    text: str
    text_dim: str
    accent: str
    accent_text: str
    error: str
    warning: str
    ok: str
    canvas: str
    grid: str
    grid_major: str
    node_body: str
    node_border: str
    node_title: str
    wire: str
    wire_label: str
    blocked: str
    cat_inputs: str
    cat_layers: str
    cat_convolution: str
    cat_pooling: str
    cat_normalisation: str
    cat_regularisation: str
    cat_activations: str
    cat_merge: str
    cat_shape: str
    cat_losses: str
    cat_metrics: str
    cat_unknown: str
    curve_train: str
    curve_validation: str
    curve_rate: str
    raised: str
    """Fields and buttons."""
    hover: str
    selection: str
    """Selected rows and text; ``text`` is written on it."""
    focus: str
    code_keyword: str
    code_string: str
    code_number: str
    code_comment: str
    code_name: str
    code_builtin: str
    code_mark: str
    """Background of the lines that belong to the selected node."""

    def color(self, token: str) -> QColor:
        return QColor(getattr(self, token))

    def category(self, category: str) -> QColor:
        """Header colour of a node category; unknown ones share a neutral colour."""
        token = f"cat_{category.lower()}"
        known = {f.name for f in fields(self)}
        return QColor(getattr(self, token if token in known else "cat_unknown"))


DARK = Tokens(
    name="dark",
    window="#1e2127", panel="#252931", base="#1a1d22", border="#3a414d",
    text="#e6e8ec", text_dim="#9fa8b7", accent="#57a5ff", accent_text="#0b1521",
    error="#ff7b72", warning="#f0b54a", ok="#56d391",
    canvas="#1a1d22", grid="#22262d", grid_major="#2a2f38",
    node_body="#2a2f38", node_border="#454d5b", node_title="#ffffff",
    wire="#8390a3", wire_label="#c2cad6", blocked="#6d7686",
    cat_inputs="#1f7a6d", cat_layers="#2f62b3", cat_convolution="#4a4fb8", cat_pooling="#1f7391",
    cat_normalisation="#8a6414", cat_regularisation="#5d6675", cat_activations="#a8521f",
    cat_merge="#7b46a6", cat_shape="#4a5a70", cat_losses="#ab3350", cat_metrics="#2f7a3c",
    cat_unknown="#5a5f69",
    curve_train="#4c9fff", curve_validation="#f0b54a", curve_rate="#b48cff",
    raised="#2e343e", hover="#30363f", selection="#243d5c", focus="#4c9fff",
    code_keyword="#c9a0ff", code_string="#9ad68b", code_number="#f0b072", code_comment="#98a2b1",
    code_name="#7cc0ff", code_builtin="#6ad3c5", code_mark="#25364d",
)  # fmt: skip

LIGHT = Tokens(
    name="light",
    window="#f3f4f6", panel="#ffffff", base="#ffffff", border="#cfd5dd",
    text="#1c2128", text_dim="#59636f", accent="#1a63d4", accent_text="#ffffff",
    error="#c4202d", warning="#8f5f00", ok="#1a7433",
    canvas="#eceff3", grid="#e2e6eb", grid_major="#d5dae1",
    node_body="#ffffff", node_border="#b5bdc8", node_title="#ffffff",
    wire="#66717f", wire_label="#38424e", blocked="#848e9a",
    cat_inputs="#1f7a6d", cat_layers="#2f62b3", cat_convolution="#4a4fb8", cat_pooling="#1f7391",
    cat_normalisation="#8a6414", cat_regularisation="#5d6675", cat_activations="#a8521f",
    cat_merge="#7b46a6", cat_shape="#4a5a70", cat_losses="#ab3350", cat_metrics="#2f7a3c",
    cat_unknown="#5a5f69",
    curve_train="#1a63d4", curve_validation="#b26b00", curve_rate="#7a3fd1",
    raised="#ffffff", hover="#e6eaf0", selection="#d9e8fd", focus="#1a63d4",
    code_keyword="#7a2fb8", code_string="#1a6b2c", code_number="#9a4300", code_comment="#5c6672",
    code_name="#0b57c2", code_builtin="#0b6b60", code_mark="#dceafc",
)  # fmt: skip


class Theme(QObject):
    """The active theme; ``changed`` tells every painter to read the tokens again."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.tokens = DARK

    def use(self, name: str) -> None:
        """Switch to ``dark`` or ``light``."""
        self.tokens = LIGHT if name == "light" else DARK
        self.changed.emit()
