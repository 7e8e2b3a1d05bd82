"""How long the node editor takes for a frame, a drag, a hit test, and to open a graph.

``python -m benchmarks.editor_frames`` prints its measures as JSON. A frame is one full repaint of
a 1600 by 1000 canvas: ``viewport().update()`` and ``processEvents()``, at device pixel ratio 1.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QEvent, QEventLoop, QPointF, Qt, QTimer
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication

from benchmarks.graphs import residual_document
from benchmarks.measure import Measure
from graphstudio.document import commands
from graphstudio.document.model import MAIN
from graphstudio.ui.canvas.hit import hit_test
from graphstudio.ui.canvas.view import GraphView
from graphstudio.ui.project import Project
from graphstudio.ui.theme import Theme

EVENTS = 120
"""Frames a measure; its 95th percentile is reported."""
ZOOMS = (("0.5", 0.5), ("0.7", 0.7), ("actual size", 1.0))
WHEEL = (1.15, 1 / 1.07, 1.04, 1 / 1.15, 1 / 1.03, 1.06)
"""Steps of a zoom, large and small; a round ends a little off, so that no zoom comes twice."""
REST_MS = 250
"""Longer than the view takes to notice that it has come to rest."""
_BUTTON = Qt.MouseButton.LeftButton


class Editor:
    """A canvas on a large graph, in a window that nobody sees."""

    def __init__(self, num_nodes: int) -> None:
        self.app = QApplication.instance() or QApplication(sys.argv[:1])
        document = residual_document(num_nodes)
        start = time.perf_counter()
        self.project = Project(document)
        self.checked_ms = (time.perf_counter() - start) * 1000
        self.view = GraphView(self.project, Theme())
        self.view.resize(1600, 1000)
        self.view.show()
        self.frame()
        self.opened_ms = (time.perf_counter() - start) * 1000
        self.ids = list(document.main.nodes)

    def frame(self) -> None:
        """Repaint all of the canvas."""
        self.view.viewport().update()
        self.app.processEvents()

    def look_at(self, zoom: float) -> None:
        """Look at the middle of the graph at a zoom, everything laid out and at rest."""
        self.view.set_zoom(zoom)
        self.view.center_on(self.view.content_rect().center())
        self.view.graph_scene.place_labels(60.0)
        self.rest()
        for _ in range(5):
            self.frame()

    def rest(self) -> None:
        """Leave the view alone until it has done all that it does when idle."""
        waiting = QEventLoop()
        QTimer.singleShot(REST_MS, waiting.quit)
        waiting.exec()

    def pan(self) -> Callable[[], None]:
        """One step of a pan that goes round in a circle."""
        steps = itertools.cycle(((7, 0), (0, 7), (-7, 0), (0, -7)))

        def step() -> None:
            self.view.pan_by(*next(steps))
            self.frame()

        return step

    def zoom(self) -> Callable[[], None]:
        """One step of the wheel, in and out around where the view is."""
        factors = itertools.cycle(WHEEL)

        def step() -> None:
            self.view.zoom_by(next(factors))
            self.frame()

        return step

    def sharpen(self) -> list[float]:
        """Milliseconds of the first frame at rest after a zoom, in which all is painted anew."""
        times = []
        for factor in (1.01, 1 / 1.01) * 5:
            self.view.zoom_by(factor)
            self.frame()
            self.rest()
            self.view.graph_scene.shells.clear()  # it was painted within the rest: once more
            times.append(timed(self.frame))
        return times

    def mouse(self, kind: QEvent.Type, pos: QPointF, pressed: bool) -> None:
        """Send the canvas a mouse event at a place in the scene."""
        at = QPointF(self.view.mapFromScene(pos))
        target = self.view.viewport()
        held = _BUTTON if pressed else Qt.MouseButton.NoButton
        none = Qt.KeyboardModifier.NoModifier
        event = QMouseEvent(kind, at, target.mapToGlobal(at), _BUTTON, held, none)
        self.app.sendEvent(target, event)

    def drag(self, count: int) -> list[float]:
        """Milliseconds of each step of dragging the nodes nearest to the middle of the view."""
        center = self.view.visible_rect().center()
        nodes = self.view.graph_scene.nodes

        def distance(node_id: str) -> float:
            return (nodes[node_id].body_rect().center() - center).manhattanLength()

        chosen = sorted(self.ids, key=distance)[:count]
        self.project.select(chosen)
        start = nodes[chosen[0]].body_rect().center()
        self.mouse(QEvent.Type.MouseButtonPress, start, True)
        self.mouse(QEvent.Type.MouseMove, start + QPointF(40, 0), True)
        self.frame()
        offsets = itertools.cycle(((20, 0), (20, 20), (0, 20), (0, 0)))

        def step() -> None:
            dx, dy = next(offsets)
            self.mouse(QEvent.Type.MouseMove, start + QPointF(40 + dx, dy), True)
            self.app.processEvents()

        times = [timed(step) for _ in range(EVENTS)]
        self.view.escape()
        self.mouse(QEvent.Type.MouseButtonRelease, start, False)
        return times

    def hover(self) -> list[float]:
        """Milliseconds to say what lies at points all over the graph."""
        area = self.view.content_rect()
        points = [
            QPointF(
                area.left() + area.width() * (i * 37 % EVENTS) / EVENTS,
                area.top() + area.height() * (i * 61 % EVENTS) / EVENTS,
            )
            for i in range(EVENTS)
        ]
        scene, zoom = self.view.graph_scene, self.view.zoom
        return [timed(lambda p=p: hit_test(scene, p, zoom)) for p in points]

    def edit(self, node_id: str, units: tuple[int, int]) -> float:
        """Milliseconds from an edit of a Dense node until shapes and badges are painted."""
        values = itertools.cycle(units)

        def change() -> None:
            command = commands.set_param(
                self.project.document, MAIN, [node_id], "units", next(values)
            )
            if not self.project.push(command):
                raise RuntimeError("the edit was refused")
            self.project.check_now()
            self.frame()

        return percentile([timed(change) for _ in range(20)])

    def close(self) -> None:
        """Take the window down."""
        self.view.close()
        self.view.deleteLater()
        self.app.processEvents()


def timed(action: Callable[[], object]) -> float:
    """Milliseconds of one call."""
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1000


def percentile(times: list[float], share: float = 0.95) -> float:
    """The time that this share of all calls stays below."""
    return sorted(times)[min(int(len(times) * share), len(times) - 1)]


def repeated(action: Callable[[], None]) -> float:
    """95th percentile of the milliseconds of an action."""
    for _ in range(5):
        action()
    return percentile([timed(action) for _ in range(EVENTS)])


def measures() -> Iterator[Measure]:
    """All measures, p95 where a frame is meant."""
    for num_nodes, opening, fit in ((1_000, 500.0, 8.0), (5_000, 2_000.0, 12.0)):
        editor = Editor(num_nodes)
        of = f"{num_nodes} nodes"
        yield Measure(f"open to the first frame, {of}", editor.opened_ms, "ms", opening)
        editor.view.fit_all()
        editor.frame()
        yield Measure(f"pan, everything in view, {of}", repeated(editor.pan()), "ms", fit)
        yield Measure(f"zoom, everything in view, {of}", repeated(editor.zoom()), "ms", fit)
        for name, zoom in ZOOMS:
            editor.look_at(zoom)
            yield Measure(f"pan at {name}, {of}", repeated(editor.pan()), "ms", 16.0)
            yield Measure(f"zoom at {name}, {of}", repeated(editor.zoom()), "ms", 16.0)
            editor.look_at(zoom)
            yield Measure(f"sharp again at {name}, {of}", percentile(editor.sharpen()), "ms")
        for name, zoom in (("actual size", 1.0), ("0.2", 0.2)):
            editor.look_at(zoom)
            one, many = percentile(editor.drag(1)), percentile(editor.drag(200))
            yield Measure(f"drag one node at {name}, {of}", one, "ms", 8.0)
            yield Measure(f"drag 200 nodes at {name}, {of}", many, "ms", 33.0)
        yield Measure(f"hit test, {of}", percentile(editor.hover()), "ms", 2.0)
        large = num_nodes > 1_000  # the bars below are stated for 1,000 nodes only
        prompt, arranged = (None, None) if large else (50.0, 300.0)
        last, first = editor.ids[-3], editor.ids[2]
        took = editor.edit(last, (11, 10))
        yield Measure(f"edit to shapes and badges, {of}", took, "ms", prompt)
        took = editor.edit(first, (32, 64))
        yield Measure(f"edit that all others depend on, {of}", took, "ms", prompt)
        took = timed(editor.view.auto_layout)  # 200 nodes are selected since the drag
        yield Measure(f"arrange 200 nodes, {of}", took, "ms", arranged)
        editor.project.undo()
        editor.view.selecting.clear()
        took = timed(editor.view.auto_layout)
        yield Measure(f"arrange all, {of}", took, "ms", arranged)
        took = timed(editor.project.undo)
        yield Measure(f"undo the arrangement, {of}", took, "ms", prompt)
        editor.close()


if __name__ == "__main__":
    print(json.dumps([m.as_json() for m in measures()], indent=2))
