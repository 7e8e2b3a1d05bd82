"""Names of metrics and lines about an evaluation, as a reader writes them."""

from __future__ import annotations

from graphstudio.i18n import render, tr
from graphstudio.nodes.types import Message
from graphstudio.training.messages import Evaluated
from graphstudio.ui.dashboard import formats
from graphstudio.ui.dashboard.run_data import LEARNING_RATE, LOSS, THROUGHPUT


def plain_tip(text: str) -> str:
    """Text for a tool tip that Qt does not take for markup, whatever names it holds."""
    return text.replace("<", "<\u200b")


def quantity_title(name: str) -> Message:
    """Title of a plot; names of the project's own metrics are shown as they are."""
    known = {
        LOSS: Message("Loss"),
        "accuracy": Message("Accuracy"),
        LEARNING_RATE: Message("Learning rate"),
        THROUGHPUT: Message("Samples/s"),
    }
    return known.get(name) or Message("{name}", {"name": name.replace("_", " ").capitalize()})


def evaluation_texts(evaluated: Evaluated) -> list[tuple[str, str]]:
    """Name and value of each measure of an evaluation: accuracy first, the total loss next."""
    values = dict(evaluated.values)
    shown: list[tuple[str, str]] = []
    total = values.pop(LOSS, None)
    for name in [n for n in values if "accuracy" in n]:
        shown.append((render(quantity_title(name)), formats.percent(values.pop(name))))
    if total is not None:
        shown.append((tr("Loss"), formats.short(total)))
    # A lone loss equals the total; it is not shown twice.
    rest = [(n, v) for n, v in values.items() if v != total]
    return shown + [(render(quantity_title(n)), formats.short(v)) for n, v in rest]
