"""Context menus of the canvas, a node, a wire, a port and a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, QSize
from PySide6.QtGui import QAction, QIcon, QKeySequence, QPainter, QPixmap
from PySide6.QtWidgets import QMenu

from graphstudio.i18n import render, tr
from graphstudio.ui.canvas.hit import Hit
from graphstudio.ui.canvas.style import tinted_svg

if TYPE_CHECKING:
    from graphstudio.ui.canvas.view import GraphView

COLORS = ("", "cat_inputs", "cat_layers", "cat_pooling", "cat_normalisation", "cat_losses")


def build_menu(view: GraphView, hit: Hit, pos: QPointF) -> QMenu:
    """Menu for what was hit at ``pos`` (scene coordinates)."""
    menu = QMenu(view)
    menu.setObjectName("canvas-menu")
    match hit.kind:
        case "port":
            _port_menu(view, menu, hit, pos)
        case "node" | "title":
            _node_menu(view, menu, hit)
        case "wire" | "label" | "dot":
            _wire_menu(view, menu, hit, pos)
        case "frame" | "edge":
            _frame_menu(view, menu, hit)
        case _:
            _canvas_menu(view, menu, pos)
    return menu


def _add(
    menu: QMenu, view: GraphView, text: str, method, icon: str = "", keys: str = ""
) -> QAction:
    action = menu.addAction(text.replace("&", "&&"))
    if icon:
        pixmap = tinted_svg(("icons", "actions", f"{icon}.svg"), 32, view.style_.text)
        if pixmap is not None:
            action.setIcon(QIcon(pixmap))
    if keys:  # shown, not bound: the key itself belongs to the registry or to the view
        shown = QKeySequence(keys).toString(QKeySequence.SequenceFormat.NativeText)
        action.setText(f"{action.text()}\t{shown}")
    action.triggered.connect(lambda *_: method())
    return action


def _command(menu: QMenu, view: GraphView, action_id: str) -> QAction:
    command = view.action(action_id)
    keys = command.keys[0] if command.keys else ""
    action = _add(menu, view, render(command.text), command.method, command.icon, keys)
    if command.checked is not None:
        action.setCheckable(True)
        action.setChecked(command.checked())
    return action


def _canvas_menu(view: GraphView, menu: QMenu, pos: QPointF) -> None:
    _add(menu, view, tr("Add node…"), lambda: view.open_search(pos), "plus", "Tab")
    _add(menu, view, tr("Paste"), lambda: view.paste(pos), "paste", "Ctrl+V")
    menu.addSeparator()
    _command(menu, view, "edit.select_all")
    _command(menu, view, "view.fit_all")
    _command(menu, view, "canvas.layout")
    menu.addSeparator()
    _command(menu, view, "view.labels")
    _command(menu, view, "view.minimap")


def _node_menu(view: GraphView, menu: QMenu, hit: Hit) -> None:
    for problem in view.graph_scene.problems_of(hit.node):
        for fix in problem.fixes:
            _add(
                menu,
                view,
                render(fix.title),
                lambda p=problem, f=fix: view.apply_fix(p, f),
                "fix",
            )
    if menu.actions():
        menu.addSeparator()
    for action_id in ("canvas.rename", "canvas.bypass"):
        _command(menu, view, action_id)
    bypassed = view.graph_scene.graph.nodes[hit.node].bypass
    bypass = menu.actions()[-1]
    bypass.setCheckable(True)
    bypass.setChecked(bypassed)
    colors = menu.addMenu(tr("Colour"))
    for token in COLORS:
        _color_action(view, colors, token)
    menu.addSeparator()
    for action_id in ("edit.cut", "edit.copy", "edit.duplicate"):
        _command(menu, view, action_id)
    menu.addSeparator()
    for action_id in ("canvas.frame", "canvas.layout", "canvas.all_before", "canvas.all_after"):
        _command(menu, view, action_id)
    menu.addSeparator()
    wires = view.graph_scene.wires_at(hit.node)
    disconnect = _add(
        menu, view, tr("Disconnect all"), lambda: view.edits.disconnect(sorted(wires)), "cut"
    )
    disconnect.setEnabled(bool(wires))
    for action_id in ("edit.delete", "edit.delete_heal"):
        _command(menu, view, action_id)


def _color_action(view: GraphView, menu: QMenu, token: str) -> None:
    names = {
        "": tr("Colour of the category"),
        "cat_inputs": tr("Green"),
        "cat_layers": tr("Blue"),
        "cat_pooling": tr("Teal"),
        "cat_normalisation": tr("Ochre"),
        "cat_losses": tr("Red"),
    }
    value = getattr(view.theme.tokens, token) if token else ""
    action = _add(
        menu, view, names[token], lambda: view.edits.set_color(view.project.selection, value)
    )
    if token:
        pixmap = QPixmap(QSize(32, 32))
        pixmap.fill("transparent")
        painter = QPainter(pixmap)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(view.theme.tokens.color(token))
        painter.drawRoundedRect(QRectF(4, 4, 24, 24), 6, 6)
        painter.end()
        action.setIcon(QIcon(pixmap))


def _wire_menu(view: GraphView, menu: QMenu, hit: Hit, pos: QPointF) -> None:
    key = hit.wire
    assert key is not None
    _add(menu, view, tr("Insert node…"), lambda: view.open_search(pos, wire=key), "insert")
    if hit.dot is None:
        _add(menu, view, tr("Add a dot"), lambda: view.edits.add_dot(key, pos))
    else:
        dot = hit.dot
        _add(menu, view, tr("Remove the dot"), lambda: view.edits.remove_dot(key, dot))
    wire = view.graph_scene.graph.wires[key]
    _add(menu, view, tr("Go to its source"), lambda: view.reveal(wire.source))
    _add(menu, view, tr("Go to its target"), lambda: view.reveal(wire.target))
    menu.addSeparator()
    _add(menu, view, tr("Disconnect"), lambda: view.edits.disconnect([key]), "cut")
    menu.addSeparator()
    _command(menu, view, "view.labels")


def _port_menu(view: GraphView, menu: QMenu, hit: Hit, pos: QPointF) -> None:
    assert hit.port is not None
    name, is_output = hit.port
    end = (hit.node, name)
    if is_output:
        _add(
            menu,
            view,
            tr("Add a node after this port…"),
            lambda: view.open_search(pos + QPointF(60, -40), connect_from=end),
            "plus",
        )
    else:
        _add(
            menu,
            view,
            tr("Add a node before this port…"),
            lambda: view.open_search(pos + QPointF(-240, -40), connect_to=end),
            "plus",
        )
    wires = view.selecting.wires_of_port(hit.node, name, is_output)
    action = _add(menu, view, tr("Disconnect"), lambda: view.edits.disconnect(sorted(wires)), "cut")
    action.setEnabled(bool(wires))


def _frame_menu(view: GraphView, menu: QMenu, hit: Hit) -> None:
    _add(menu, view, tr("Rename"), lambda: view.rename_frame(hit.frame), "rename", "F2")
    _add(
        menu,
        view,
        tr("Select its nodes"),
        lambda: view.selecting.only(view.graph_scene.children_of(hit.frame)),
    )
    _add(
        menu,
        view,
        tr("Remove the frame"),
        lambda: view.edits.delete([], frames=[hit.frame]),
        "trash",
    )
