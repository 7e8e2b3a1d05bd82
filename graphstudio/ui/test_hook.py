"""Tells a script that drives the real window where things are, so that it aims at nodes.

Off unless ``GRAPHSTUDIO_TEST_HOOK`` names a folder. A file ``ask`` there, whose text is a nonce,
is answered by ``answer.json``. Nothing can be done through it, only seen.
"""

from __future__ import annotations

import json
import os
import time
from collections import deque
from pathlib import Path
from typing import Any

from PySide6.QtCore import QEvent, QObject, QPoint, QRect, QTimer
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractScrollArea,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QMenu,
    QPlainTextEdit,
    QTabBar,
    QWidget,
)

from graphstudio import i18n
from graphstudio.document import format as file_format
from graphstudio.i18n import render
from graphstudio.nodes.spec import build, find_type
from graphstudio.ui.main_window import MainWindow
from graphstudio.ui.settings import write_atomic

VARIABLE = "GRAPHSTUDIO_TEST_HOOK"
POLL_MS = 30
MAX_FRAMES = 500


def install(window: MainWindow) -> TestHook | None:
    """Start answering if the environment asks for it."""
    folder = os.environ.get(VARIABLE)
    return TestHook(window, Path(folder)) if folder else None


class TestHook(QObject):
    """Answers questions about the window."""

    __test__ = False  # its name is no invitation to pytest

    def __init__(self, window: MainWindow, folder: Path) -> None:
        super().__init__(window)
        self._window, self._folder = window, folder
        self._frames: deque[float] = deque(maxlen=MAX_FRAMES)
        self._begun = 0.0
        self._last_metrics: dict[str, Any] = {}
        self._timer = QTimer(self, interval=POLL_MS)
        self._timer.timeout.connect(self._look)
        self._timer.start()
        window.project_opened.connect(lambda _project: self._watch_canvas())
        window.bridge.epoch_ended.connect(self._on_epoch)
        self._watch_canvas()

    def answer(self, nonce: str = "") -> dict[str, Any]:
        """Everything that a script may want to know."""
        w = self._window
        project = w.project
        focus = QApplication.focusWidget()
        modal = QApplication.activeModalWidget() or QApplication.activePopupWidget()
        return {
            "nonce": nonce,
            "document": json.loads(file_format.dumps(project.document)),
            "path": str(project.path) if project.path else None,
            "clean": project.history.clean,
            "title": w.windowTitle(),
            "has_project": w.has_project(),
            "selection": sorted(project.selection),
            "nodes": self._nodes(),
            "wires": self._wires(),
            "widgets": self._widgets(),
            "menus": self._menus(),
            "problems": [
                {
                    "code": d.code,
                    "severity": d.severity,
                    "node": d.node,
                    "message": render(d.message),
                    "fixes": [render(f.title) for f in d.fixes],
                }
                for d in project.result.diagnostics
            ],
            "training": {"state": w.bridge.state, "pid": w.bridge.pid, **self._last_metrics},
            "focus": focus.objectName() if focus is not None else None,
            "modal": modal.objectName() if modal is not None else None,
            "frame_ms": list(self._frames),
            "theme": w.theme.tokens.name,
            "language": i18n.language(),
            "zoom": w.canvas.zoom,
        }

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Paint and not self._begun:
            self._begun = time.perf_counter()
            QTimer.singleShot(0, self, self._note_frame)
        return False

    def _note_frame(self) -> None:
        self._frames.append(round((time.perf_counter() - self._begun) * 1000, 3))
        self._begun = 0.0

    def _watch_canvas(self) -> None:
        self._window.canvas.viewport().installEventFilter(self)

    def _on_epoch(self, message: Any) -> None:
        self._last_metrics = {
            "epoch": message.epoch,
            "history": {"train": message.train, "validation": message.validation},
        }

    def _look(self) -> None:
        question = self._folder / "ask"
        try:
            nonce = question.read_text(encoding="utf-8")
            question.unlink()
        except OSError:
            return
        text = json.dumps(self.answer(nonce), ensure_ascii=False)
        write_atomic(self._folder / "answer.json", text)

    def _nodes(self) -> dict[str, Any]:
        view = self._window.canvas
        graph = self._window.project.document.graph(self._window.project.graph_id)
        found = {}
        for node_id, item in view.graph_scene.nodes.items():
            node = graph.nodes.get(node_id)
            if node is None:
                continue
            cls = find_type(node.type)
            spec = build(cls, node.params)[0] if cls else None
            ends = {
                side: {
                    p.name: self._point(item.port_pos(p.name, out)) for p in (ports if spec else ())
                }
                for side, out, ports in (
                    ("inputs", False, spec.input_ports() if spec else ()),
                    ("outputs", True, spec.output_ports() if spec else ()),
                )
            }
            found[node_id] = {
                "label": node.label,
                "type": node.type,
                "rect": self._rect(view.mapFromScene(item.body_rect()).boundingRect()),
                **ends,
            }
        return found

    def _wires(self) -> list[dict[str, Any]]:
        view = self._window.canvas
        found = []
        for key, item in view.graph_scene.wires.items():
            path = item.shape()
            middle = item.mapToScene(path.boundingRect().center())
            found.append({"key": list(key), "middle": self._point(middle)})
        return found

    def _point(self, scene_pos: Any) -> list[int]:
        view = self._window.canvas
        place = view.viewport().mapToGlobal(view.mapFromScene(scene_pos))
        return [place.x(), place.y()]

    def _rect(self, rect: QRect) -> list[int]:
        corner = self._window.canvas.viewport().mapToGlobal(rect.topLeft())
        return [corner.x(), corner.y(), rect.width(), rect.height()]

    def _widgets(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for top in QApplication.topLevelWidgets():
            if not top.isVisible():
                continue
            for widget in (top, *top.findChildren(QWidget)):
                name = widget.objectName()
                if not name or name.startswith("qt_") or not widget.isVisible():
                    continue
                while name in found:  # rows of a list share a name: the later ones get a number
                    name += "+"
                found[name] = _describe(widget)
        return found

    def _menus(self) -> list[dict[str, Any]]:
        """Entries of the menus that are open or in the bar."""
        found = []
        bar = self._window.menuBar()
        menus: list[tuple[Any, str]] = [(bar, "menuBar")]
        menus += [
            (t, t.objectName()) for t in QApplication.topLevelWidgets() if isinstance(t, QMenu)
        ]
        for menu, name in menus:
            if not menu.isVisible():
                continue
            for action in menu.actions():
                rect = menu.actionGeometry(action)
                found.append(
                    {
                        "menu": name,
                        "text": action.text().replace("&", ""),
                        "enabled": action.isEnabled(),
                        "checked": action.isChecked(),
                        "rect": _global(menu, rect),
                    }
                )
        return found


def _describe(widget: QWidget) -> dict[str, Any]:
    told: dict[str, Any] = {
        "class": type(widget).__name__,
        "rect": _global(widget, widget.rect()),
        "visible": not _surface(widget).visibleRegion().isEmpty(),
        "enabled": widget.isEnabled(),
    }
    if isinstance(widget, QAbstractButton):
        told |= {"text": widget.text(), "checked": widget.isChecked()}
    elif isinstance(widget, QLabel | QLineEdit):
        told["text"] = widget.text()
    elif isinstance(widget, QComboBox):
        told["text"] = widget.currentText()
    elif isinstance(widget, QPlainTextEdit):
        told["text"] = widget.toPlainText()
    elif isinstance(widget, QTabBar):
        told["rows"] = [
            {"text": widget.tabText(i), "rect": _global(widget, widget.tabRect(i))}
            for i in range(widget.count())
        ]
    elif isinstance(widget, QAbstractItemView):
        told["rows"] = _rows(widget)
    return told


def _surface(widget: QWidget) -> QWidget:
    """What of a widget is seen: the viewport of a scrolling one."""
    return widget.viewport() if isinstance(widget, QAbstractScrollArea) else widget


def _rows(view: QAbstractItemView) -> list[dict[str, Any]]:
    rows = []
    model = view.model()
    pending = [model.index(i, 0, view.rootIndex()) for i in range(model.rowCount(view.rootIndex()))]
    while pending:
        index = pending.pop(0)
        rect = view.visualRect(index)
        if rect.isValid() and view.viewport().rect().intersects(rect):
            rows.append({"text": str(index.data()), "rect": _global(view.viewport(), rect)})
        pending[:0] = [model.index(i, 0, index) for i in range(model.rowCount(index))]
    return rows


def _global(widget: QWidget, rect: QRect) -> list[int]:
    corner = widget.mapToGlobal(QPoint(rect.x(), rect.y()))
    return [corner.x(), corner.y(), rect.width(), rect.height()]
