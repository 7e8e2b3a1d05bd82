"""The commands of the canvas in one table: the shell registers it, keys and menus read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphstudio.nodes.types import Message

if TYPE_CHECKING:
    from graphstudio.ui.canvas.view import GraphView


@dataclass(frozen=True, kw_only=True)
class CanvasAction:
    """Something that the canvas does when it is asked to."""

    id: str
    text: Message
    method: Callable[[], object]
    keys: tuple[str, ...] = ()
    """Key sequences in Qt's portable spelling."""
    icon: str = ""
    """Name in ``icons/actions``."""
    group: str = "edit"
    canvas_only: bool = True
    """True if the keys may act only while the canvas has the focus."""
    checked: Callable[[], bool] | None = None
    """State of a switch."""


def canvas_actions(view: GraphView) -> list[CanvasAction]:
    """Every command of a canvas, in the order of the menus."""
    a = CanvasAction
    return [
        a(id="edit.undo", text=Message("Undo"), keys=("Ctrl+Z",), method=view.undo, icon="undo"),
        a(
            id="edit.redo",
            text=Message("Redo"),
            keys=("Ctrl+Shift+Z", "Ctrl+Y"),
            method=view.redo,
            icon="redo",
        ),
        a(
            id="canvas.add",
            text=Message("Add node…"),
            keys=("Tab",),
            method=view.open_search,
            icon="plus",
        ),
        a(id="edit.cut", text=Message("Cut"), keys=("Ctrl+X",), method=view.cut, icon="cut"),
        a(id="edit.copy", text=Message("Copy"), keys=("Ctrl+C",), method=view.copy, icon="copy"),
        a(
            id="edit.paste",
            text=Message("Paste"),
            keys=("Ctrl+V",),
            method=view.paste,
            icon="paste",
        ),
        a(
            id="edit.paste_wired",
            text=Message("Paste keeping inputs"),
            keys=("Ctrl+Shift+V",),
            method=view.paste_keeping_inputs,
        ),
        a(
            id="edit.duplicate",
            text=Message("Duplicate"),
            keys=("Ctrl+D",),
            method=view.duplicate,
            icon="duplicate",
        ),
        a(
            id="edit.delete",
            text=Message("Delete"),
            keys=("Del", "Backspace"),
            method=view.delete_selection,
            icon="trash",
        ),
        a(
            id="edit.delete_heal",
            text=Message("Delete and reconnect"),
            keys=("Ctrl+Del", "Ctrl+Backspace"),
            method=view.delete_and_heal,
        ),
        a(
            id="canvas.rename",
            text=Message("Rename"),
            keys=("F2",),
            method=view.rename_selected,
            icon="rename",
        ),
        a(
            id="canvas.bypass",
            text=Message("Bypass"),
            keys=("M",),
            method=view.toggle_bypass,
            icon="bypass",
        ),
        a(
            id="canvas.connect",
            text=Message("Connect in order"),
            keys=("J",),
            method=view.connect_in_order,
        ),
        a(
            id="canvas.frame",
            text=Message("Frame around selection"),
            keys=("Shift+C",),
            method=view.frame_selection,
            icon="frame",
        ),
        a(
            id="canvas.dots",
            text=Message("Add dots to wires"),
            keys=("Shift+R",),
            method=view.add_dots,
        ),
        *_selection(view),
        *_arrange(view),
        *_navigation(view),
    ]


def _selection(view: GraphView) -> list[CanvasAction]:
    a = CanvasAction
    return [
        a(
            id="edit.select_all",
            text=Message("Select all"),
            keys=("Ctrl+A",),
            method=view.select_all,
        ),
        a(
            id="edit.select_none",
            text=Message("Select nothing"),
            keys=("Ctrl+Shift+A",),
            method=view.clear_selection,
        ),
        a(
            id="edit.select_invert",
            text=Message("Invert selection"),
            keys=("Ctrl+I",),
            method=view.invert_selection,
        ),
        a(
            id="canvas.before",
            text=Message("Select what feeds it"),
            keys=("[",),
            method=lambda: view.selecting.neighbours(forward=False),
        ),
        a(
            id="canvas.after",
            text=Message("Select what it feeds"),
            keys=("]",),
            method=lambda: view.selecting.neighbours(forward=True),
        ),
        a(
            id="canvas.all_before",
            text=Message("Select everything upstream"),
            keys=("{", "Shift+["),
            method=lambda: view.selecting.neighbours(forward=False, far=True),
        ),
        a(
            id="canvas.all_after",
            text=Message("Select everything downstream"),
            keys=("}", "Shift+]"),
            method=lambda: view.selecting.neighbours(forward=True, far=True),
        ),
        *(
            a(id=f"canvas.go_{name.lower()}", text=text, keys=(f"Alt+{name}",), method=method)
            for name, text, method in (
                (
                    "Left",
                    Message("Go to the node on the left"),
                    lambda: view.selecting.towards(-1, 0),
                ),
                (
                    "Right",
                    Message("Go to the node on the right"),
                    lambda: view.selecting.towards(1, 0),
                ),
                ("Up", Message("Go to the node above"), lambda: view.selecting.towards(0, -1)),
                ("Down", Message("Go to the node below"), lambda: view.selecting.towards(0, 1)),
            )
        ),
    ]


def _arrange(view: GraphView) -> list[CanvasAction]:
    a = CanvasAction
    out = [
        a(
            id="canvas.layout",
            text=Message("Arrange automatically"),
            keys=("Ctrl+L",),
            method=view.auto_layout,
            icon="layout",
        ),
        a(
            id="canvas.layout_after",
            text=Message("Arrange downstream"),
            keys=("Ctrl+Shift+L",),
            method=view.layout_downstream,
        ),
    ]
    for name, text in (
        ("left", Message("Align left edges")),
        ("right", Message("Align right edges")),
        ("up", Message("Align top edges")),
        ("down", Message("Align bottom edges")),
    ):
        out.append(
            a(
                id=f"canvas.align_{name}",
                text=text,
                keys=(f"Ctrl+Alt+{name.capitalize()}",),
                method=lambda side=name: view.align(side),
            )
        )
    for name, dx, dy, text, far in (
        ("Left", -1, 0, Message("Nudge left"), Message("Nudge left by five")),
        ("Right", 1, 0, Message("Nudge right"), Message("Nudge right by five")),
        ("Up", 0, -1, Message("Nudge up"), Message("Nudge up by five")),
        ("Down", 0, 1, Message("Nudge down"), Message("Nudge down by five")),
    ):
        for keys, words, steps in ((name, text, 1), (f"Shift+{name}", far, 5)):
            out.append(
                a(
                    id=f"canvas.nudge_{keys.lower().replace('+', '_')}",
                    text=words,
                    keys=(keys,),
                    method=lambda x=dx * steps, y=dy * steps: view.nudge(x, y),
                )
            )
    return out


def _navigation(view: GraphView) -> list[CanvasAction]:
    def a(**fields) -> CanvasAction:
        return CanvasAction(group="view", **fields)

    return [
        a(
            id="view.zoom_in",
            text=Message("Zoom in"),
            keys=("Ctrl++", "Ctrl+="),
            method=view.zoom_in,
            icon="zoom-in",
        ),
        a(
            id="view.zoom_out",
            text=Message("Zoom out"),
            keys=("Ctrl+-",),
            method=view.zoom_out,
            icon="zoom-out",
        ),
        a(
            id="view.zoom_reset",
            text=Message("Actual size"),
            keys=("Ctrl+0", "Ctrl+1"),
            method=view.zoom_reset,
            icon="zoom-reset",
        ),
        a(
            id="view.fit_all",
            text=Message("Fit everything"),
            keys=("Home", "A"),
            method=view.fit_all,
            icon="fit",
        ),
        a(
            id="view.fit_selection",
            text=Message("Fit selection"),
            keys=("F", "."),
            method=view.fit_selection,
        ),
        a(
            id="view.labels",
            text=Message("Shapes on wires"),
            keys=("T",),
            method=view.toggle_labels,
            checked=lambda: view.graph_scene.show_labels,
        ),
        a(
            id="view.minimap",
            text=Message("Minimap"),
            keys=("Ctrl+M",),
            method=view.toggle_minimap,
            checked=lambda: view.minimap.wanted,
        ),
    ]
