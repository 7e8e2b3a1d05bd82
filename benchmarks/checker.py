"""How long the checker takes: the whole graph, one edit of it, and a wire being dragged."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from benchmarks.graphs import residual_document
from benchmarks.measure import Measure, median_ms
from graphstudio.document import commands
from graphstudio.document.history import History
from graphstudio.document.model import MAIN, ChangeSet
from graphstudio.ir.check import Checker
from graphstudio.services.check import describe_data

INPUT_LAYER, LATER_LAYER = 2, 3
"""Places of two Dense nodes in the graph: every shape depends on the units of the first."""


class EditedGraph:
    """A large graph, edited through its history and checked as the editor does."""

    def __init__(self, num_nodes: int) -> None:
        self.document = residual_document(num_nodes)
        self.ids = list(self.document.main.nodes)
        self.history = History(self.document)
        self._pending: list[ChangeSet] = []
        self.history.subscribe(self._pending.append)
        self.checker = Checker(self.document, describe_data)
        if not self.checker.check().ok:
            raise RuntimeError("the graph to measure with has errors")
        self._biases = itertools.cycle((False, True))
        self._units = itertools.cycle((32, 64))

    def edit(self, place: int, name: str, value: object) -> None:
        """Set a parameter and check again what that touches."""
        node_id = self.ids[place]
        self.history.push(*commands.set_param(self.document, MAIN, [node_id], name, value))
        self.checker.update(self._pending.pop())

    def small_edit(self) -> None:
        """An edit that changes no shape, as most do."""
        self.edit(LATER_LAYER, "use_bias", next(self._biases))

    def breaking_edit(self) -> None:
        """Makes everything behind it wrong, and mends it the next time."""
        self.edit(INPUT_LAYER, "units", next(self._units))

    def drag_wire(self) -> None:
        """Ask where a wire may go."""
        self.checker.legal_targets(self.ids[LATER_LAYER], "y")


def measures() -> Iterator[Measure]:
    """All measures, for a large and a very large graph."""
    for num_nodes, edit_bar in ((1_000, 10.0), (5_000, None)):
        graph = EditedGraph(num_nodes)
        of = f"{num_nodes} nodes"
        full = median_ms(graph.checker.check, repeats=10, warm_up=2)
        yield Measure(f"whole graph, {of}", full, "ms")
        yield Measure(
            f"edit that changes no shape, {of}", median_ms(graph.small_edit), "ms", edit_bar
        )
        worst = median_ms(graph.breaking_edit, repeats=20)
        yield Measure(f"edit that all others depend on, {of}", worst, "ms", edit_bar)
        yield Measure(f"legal targets of a wire, {of}", median_ms(graph.drag_wire), "ms", 2.0)
