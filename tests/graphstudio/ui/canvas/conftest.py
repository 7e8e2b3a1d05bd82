"""A canvas on a small model, and a hand that drives it with real events."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt
from PySide6.QtGui import (
    QContextMenuEvent,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDragMoveEvent,
    QDropEvent,
    QKeyEvent,
    QMouseEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QApplication

from graphstudio.document import commands, format
from graphstudio.document.changes import AddNode
from graphstudio.document.model import DataSpec, Document
from graphstudio.ui.canvas.view import GraphView
from graphstudio.ui.palette.entries import NODE_MIME
from graphstudio.ui.project import Project

NONE = Qt.KeyboardModifier.NoModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
CTRL = Qt.KeyboardModifier.ControlModifier
ALT = Qt.KeyboardModifier.AltModifier
LEFT, MIDDLE, RIGHT = (
    Qt.MouseButton.LeftButton,
    Qt.MouseButton.MiddleButton,
    Qt.MouseButton.RightButton,
)


class Hand:
    """Mouse and keyboard of a test. Positions are scene coordinates."""

    def __init__(self, view: GraphView) -> None:
        self.view = view
        self._buttons = Qt.MouseButton.NoButton

    def _send(self, kind: QEvent.Type, pos: QPointF, button, modifiers) -> None:
        at = QPointF(self.view.mapFromScene(pos))
        target = self.view.viewport()
        event = QMouseEvent(kind, at, target.mapToGlobal(at), button, self._buttons, modifiers)
        QApplication.sendEvent(target, event)
        QApplication.processEvents()

    def press(self, pos, button=LEFT, modifiers=NONE) -> None:
        self._buttons |= button
        self._send(QEvent.Type.MouseButtonPress, pos, button, modifiers)

    def move(self, pos, modifiers=NONE) -> None:
        self._send(QEvent.Type.MouseMove, pos, Qt.MouseButton.NoButton, modifiers)

    def release(self, pos, button=LEFT, modifiers=NONE) -> None:
        self._buttons &= ~button
        self._send(QEvent.Type.MouseButtonRelease, pos, button, modifiers)

    def click(self, pos, button=LEFT, modifiers=NONE) -> None:
        self.press(pos, button, modifiers)
        self.release(pos, button, modifiers)

    def double_click(self, pos) -> None:
        self.click(pos)
        self._buttons |= LEFT
        self._send(QEvent.Type.MouseButtonDblClick, pos, LEFT, NONE)
        self.release(pos)

    def drag(self, start, end, button=LEFT, modifiers=NONE, *, steps=4, drop=True) -> None:
        """Press, move in steps and (unless told otherwise) release."""
        self.press(start, button, modifiers)
        for i in range(1, steps + 1):
            self.move(start + (end - start) * (i / steps), modifiers)
        if drop:
            self.release(end, button, modifiers)

    def key(self, key, modifiers=NONE, text="", target=None) -> None:
        self.key_down(key, modifiers, text, target)
        self.key_up(key, modifiers, target)

    def key_down(self, key, modifiers=NONE, text="", target=None) -> None:
        event = QKeyEvent(QEvent.Type.KeyPress, key, modifiers, text)
        QApplication.sendEvent(target or self.view, event)
        QApplication.processEvents()

    def key_up(self, key, modifiers=NONE, target=None) -> None:
        event = QKeyEvent(QEvent.Type.KeyRelease, key, modifiers)
        QApplication.sendEvent(target or self.view, event)
        QApplication.processEvents()

    def type(self, words: str, target) -> None:
        for letter in words:
            self.key(Qt.Key(0), text=letter, target=target)

    def wheel(self, pos, steps: int, modifiers=NONE) -> None:
        at = QPointF(self.view.mapFromScene(pos))
        event = QWheelEvent(
            at,
            self.view.viewport().mapToGlobal(at),
            QPoint(),
            QPoint(0, 120 * steps),
            self._buttons,
            modifiers,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(self.view.viewport(), event)
        QApplication.processEvents()

    def menu(self, pos):
        """Open the context menu at a place and return it."""
        at = self.view.mapFromScene(pos)
        event = QContextMenuEvent(
            QContextMenuEvent.Reason.Mouse, at, self.view.viewport().mapToGlobal(at)
        )
        QApplication.sendEvent(self.view.viewport(), event)
        return QApplication.activePopupWidget()

    def palette_drag(self, type_id: str, pos, *, drop=True, modifiers=NONE) -> bool:
        """Drag a node type over the canvas; True if it was taken."""
        data = QMimeData()
        data.setData(NODE_MIME, type_id.encode())
        at = self.view.mapFromScene(pos)
        copy = Qt.DropAction.CopyAction
        viewport = self.view.viewport()
        enter = QDragEnterEvent(at, copy, data, LEFT, modifiers)
        QApplication.sendEvent(viewport, enter)
        move = QDragMoveEvent(at, copy, data, LEFT, modifiers)
        QApplication.sendEvent(viewport, move)
        QApplication.processEvents()
        if drop:
            end = QDropEvent(QPointF(at), copy, data, LEFT, modifiers)
            QApplication.sendEvent(viewport, end)
            QApplication.processEvents()
        return enter.isAccepted()

    def palette_leave(self) -> None:
        QApplication.sendEvent(self.view.viewport(), QDragLeaveEvent())


class Model:
    """The project under test: names for its nodes, and ways to look at it."""

    def __init__(self, project: Project, names: dict[str, str]) -> None:
        self.project = project
        self.ids = names

    @property
    def graph(self):
        return self.project.document.main

    def __getitem__(self, name: str) -> str:
        return self.ids[name]

    def text(self) -> str:
        """The document as it would be saved, without the view's own state."""
        shown = self.project.document.view
        self.project.document.view = {}
        try:
            return format.dumps(self.project.document)
        finally:
            self.project.document.view = shown

    def wires(self) -> set[tuple[str, str, str, str]]:
        back = {v: k for k, v in self.ids.items()}
        return {
            (back.get(w.source, "?"), w.source_port, back.get(w.target, "?"), w.target_port)
            for w in self.graph.wires.values()
        }

    def position(self, name: str) -> tuple[float, float]:
        return self.graph.nodes[self.ids[name]].position

    def new_nodes(self) -> list[str]:
        """Ids of nodes that were not there at the start."""
        known = set(self.ids.values())
        return [n for n in self.graph.nodes if n not in known]

    @property
    def steps(self) -> int:
        return len(list(self.project.history.names))


def _document() -> tuple[Document, dict[str, str]]:
    """Input, conv, relu, flatten, dense in a row; a lone dropout and an add below."""
    document = Document(data=DataSpec(source="digits"))
    names: dict[str, str] = {}

    def add(name, type_id, x, y, source=None, **params):
        end = (names[source], "y") if source else None
        _, changes = commands.add_node(
            document, "main", type_id, (x, y), params=params, connect_from=end
        )
        for change in changes:
            change.apply(document)
            if isinstance(change, AddNode):
                names[name] = change.node.id

    add("input", "io.input", 0, 0, shape=(1, 8, 8))
    add("conv", "layer.conv2d", 300, 0, "input", filters=8)
    add("relu", "act.relu", 600, 0, "conv")
    add("flatten", "shape.flatten", 0, 300, "relu")
    add("dense", "layer.dense", 300, 300, "flatten", units=10)
    add("dropout", "layer.dropout", 600, 300)
    add("add", "merge.add", 600, 500)
    return document, names


@pytest.fixture
def model(qapp):
    document, names = _document()
    project = Project(document)
    yield Model(project, names)
    project.check_now()


@pytest.fixture
def view(qtbot, model, theme):
    made = GraphView(model.project, theme)
    qtbot.addWidget(made)
    made.resize(1200, 860)
    made.show()
    qtbot.waitExposed(made)
    made.set_zoom(1.0)
    made.center_on(QPointF(400, 330))
    QApplication.processEvents()
    return made


@pytest.fixture
def hand(view):
    return Hand(view)


@pytest.fixture
def at(view, model):
    """Scene points: of a node's body, or of one of its ports."""

    def point(name: str, port: str = "", *, output: bool = False) -> QPointF:
        item = view.graph_scene.nodes[model[name]]
        if port:
            return item.port_pos(port, output)
        return item.body_rect().center() + QPointF(0, 10)

    return point
