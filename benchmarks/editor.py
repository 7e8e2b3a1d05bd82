"""How long a frame of the canvas takes while a large graph is panned, zoomed and edited."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from PySide6.QtWidgets import QApplication

from benchmarks.graphs import residual_document
from benchmarks.measure import Measure, median_ms
from graphstudio.document import commands
from graphstudio.document.model import MAIN
from graphstudio.ui import app as application
from graphstudio.ui.canvas.view import GraphView
from graphstudio.ui.project import Project
from graphstudio.ui.theme import Theme

SIZE = (1600, 1000)
PAN_STEP = 7
"""Pixels a frame; small enough that most of the picture stays, as with a hand."""


class Canvas:
    """A canvas on a large graph, shown off screen."""

    def __init__(self, num_nodes: int) -> None:
        self.project = Project(residual_document(num_nodes))
        self.view = GraphView(self.project, Theme())
        self.view.resize(*SIZE)
        self.view.show()
        self.settle()
        self.sign = 1

    def settle(self) -> None:
        """Let timers and layouts come to rest."""
        for _ in range(20):
            QApplication.processEvents()

    def frame(self, change: Callable[[], object]) -> None:
        """Change something and paint the whole viewport, as one frame does."""
        change()
        self.view.viewport().update()
        QApplication.processEvents()

    def pan(self) -> None:
        """Pan a little, to and fro."""
        self.sign = -self.sign
        bar = self.view.horizontalScrollBar()
        bar.setValue(bar.value() + self.sign * PAN_STEP)

    def zoom(self) -> None:
        """Zoom in and out again by one step."""
        self.sign = -self.sign
        (self.view.zoom_in if self.sign > 0 else self.view.zoom_out)()

    def move_node(self) -> None:
        """Move one node, as a drag does."""
        self.sign = -self.sign
        node = next(iter(self.project.document.main.nodes.values()))
        x, y = node.position
        command = commands.move_nodes(
            self.project.document, MAIN, {node.id: (x + self.sign * PAN_STEP, y)}
        )
        self.project.push(command, merge="drag")

    def close(self) -> None:
        """Give everything back."""
        self.view.close()
        self.view.deleteLater()
        self.settle()


def measures() -> Iterator[Measure]:
    """Frames with the whole graph in view, at half size and at full size."""
    app = application.make_app()
    for num_nodes, bar in ((1_000, 16.0), (10_000, 16.0)):
        canvas = Canvas(num_nodes)
        of = f"{num_nodes} nodes"
        canvas.view.fit_all()
        canvas.settle()
        whole = median_ms(lambda c=canvas: c.frame(c.pan))
        yield Measure(f"frame, panning, all of {of} in view", whole, "ms", bar)
        yield Measure(
            f"frame, zooming, all of {of} in view",
            median_ms(lambda c=canvas: c.frame(c.zoom)),
            "ms",
            bar,
        )
        canvas.view.zoom_reset()
        canvas.settle()
        near = median_ms(lambda c=canvas: c.frame(c.pan))
        yield Measure(f"frame, panning at 1:1, {of}", near, "ms", bar)
        drag = median_ms(lambda c=canvas: c.frame(c.move_node))
        yield Measure(f"frame, dragging a node at 1:1, {of}", drag, "ms", 25.0)
        canvas.close()
    app.processEvents()
