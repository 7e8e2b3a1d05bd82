"""Every command of the main window in one table, and the menus that are made of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from graphstudio.nodes.types import Message
from graphstudio.ui.actions import Command
from graphstudio.ui.workspace import DOCKS

if TYPE_CHECKING:
    from graphstudio.ui.main_window import MainWindow


def window_commands(w: MainWindow) -> Iterator[Command]:
    """The commands that the window itself carries out."""
    yield from _file(w)
    yield from _edit(w)
    yield from _view(w)
    yield from _run(w)
    yield from _help(w)


def _file(w: MainWindow) -> Iterator[Command]:
    files = w.files
    yield Command(
        id="file.new", text=Message("New project"), group="file", keys=("Ctrl+N",),
        icon="new", handler=files.new,
    )  # fmt: skip
    yield Command(
        id="file.open", text=Message("Open…"), group="file", keys=("Ctrl+O",),
        icon="open", handler=files.open, help=Message("Open a project"),
    )  # fmt: skip
    yield Command(
        id="file.save", text=Message("Save"), group="file", keys=("Ctrl+S",),
        icon="save", handler=files.save, enabled=w.has_project,
    )  # fmt: skip
    yield Command(
        id="file.save_as", text=Message("Save as…"), group="file", keys=("Ctrl+Shift+S",),
        icon="save-as", handler=files.save_as, enabled=w.has_project,
    )  # fmt: skip
    yield Command(
        id="file.export", text=Message("Export code…"), group="file", keys=("Ctrl+E",),
        icon="export", handler=w.dialogs.export, enabled=w.has_project,
        help=Message("Export the model as a PyTorch, TensorFlow or Keras project"),
    )  # fmt: skip
    yield Command(
        id="file.export_picture", text=Message("Export picture…"), group="file",
        handler=w.dialogs.export_picture, enabled=w.has_nodes,
        help=Message("Draw the whole graph as SVG or PNG"),
    )  # fmt: skip
    yield Command(
        id="file.settings", text=Message("Settings…"), group="file", keys=("Ctrl+,",),
        icon="settings", handler=w.dialogs.settings,
    )  # fmt: skip
    yield Command(
        id="file.close", text=Message("Close project"), group="file", keys=("Ctrl+W",),
        handler=w.close_project, enabled=w.has_project,
    )  # fmt: skip
    yield Command(
        id="file.quit", text=Message("Quit"), group="file", keys=("Ctrl+Q",), handler=w.close
    )


def _edit(w: MainWindow) -> Iterator[Command]:
    yield Command(
        id="edit.undo", text=Message("Undo"), group="edit", keys=("Ctrl+Z",), icon="undo",
        handler=w.undo, enabled=lambda: w.has_project() and w.project.history.undo_name is not None,
    )  # fmt: skip
    yield Command(
        id="edit.redo", text=Message("Redo"), group="edit", keys=("Ctrl+Shift+Z", "Ctrl+Y"),
        icon="redo", handler=w.redo,
        enabled=lambda: w.has_project() and w.project.history.redo_name is not None,
    )  # fmt: skip
    yield Command(
        id="canvas.parameter", text=Message("Edit first parameter"), group="edit",
        keys=("Return",), canvas_only=True, handler=w.edit_first_parameter,
        enabled=w.has_selection,
    )  # fmt: skip


def _view(w: MainWindow) -> Iterator[Command]:
    yield Command(
        id="view.sides", text=Message("Side panels"), group="view", keys=("Ctrl+B",),
        handler=w.workspace.toggle_sides, checked=w.workspace.sides_shown,
    )  # fmt: skip
    yield Command(
        id="view.focus", text=Message("Canvas only"), group="view",
        keys=("F11", "Ctrl+Shift+F"), handler=w.workspace.toggle_focus,
        checked=lambda: w.workspace.in_focus_mode,
    )  # fmt: skip
    yield Command(
        id="view.reset_layout", text=Message("Reset layout"), group="view",
        handler=w.workspace.reset,
    )  # fmt: skip
    yield Command(
        id="view.dark", text=Message("Dark theme"), group="view",
        handler=lambda: w.use_theme("dark"), checked=lambda: w.theme.tokens.name == "dark",
        one_of="theme",
    )  # fmt: skip
    yield Command(
        id="view.light", text=Message("Light theme"), group="view",
        handler=lambda: w.use_theme("light"), checked=lambda: w.theme.tokens.name == "light",
        one_of="theme",
    )  # fmt: skip
    yield Command(
        id="view.toggle_theme", text=Message("Switch dark and light"), group="view",
        icon="theme", handler=w.toggle_theme,
    )  # fmt: skip
    yield Command(
        id="view.start", text=Message("Start page"), group="view", handler=w.show_start_page
    )
    for name, title in DOCKS.items():
        yield Command(
            id=f"view.dock_{name}", text=title, group="view",
            handler=lambda n=name: w.workspace.toggle(n),
            checked=lambda n=name: not w.docks[n].isHidden(),
        )  # fmt: skip
    yield Command(
        id="view.next_pane", text=Message("Next pane"), group="view", keys=("F6",),
        handler=lambda: w.step_pane(1),
    )  # fmt: skip
    yield Command(
        id="view.previous_pane", text=Message("Previous pane"), group="view",
        keys=("Shift+F6",), handler=lambda: w.step_pane(-1),
    )  # fmt: skip


def _run(w: MainWindow) -> Iterator[Command]:
    yield Command(
        id="run.train", text=Message("Train"), group="run", keys=("F5",), icon="play",
        handler=w.train, enabled=w.can_train,
    )  # fmt: skip
    yield Command(
        id="run.pause", text=Message("Pause or resume"), group="run", keys=("Ctrl+F5",),
        icon="pause", handler=w.toggle_pause, enabled=w.is_training,
    )  # fmt: skip
    yield Command(
        id="run.stop", text=Message("Stop training"), group="run", keys=("Shift+F5",),
        icon="stop", handler=w.stop_training, enabled=w.is_training,
    )  # fmt: skip
    yield Command(
        id="run.copy_code", text=Message("Copy code"), group="run", keys=("Ctrl+Shift+C",),
        icon="copy", handler=w.copy_code, enabled=w.has_project,
    )  # fmt: skip
    yield Command(
        id="find.next_problem", text=Message("Next problem"), group="find", keys=("F8",),
        handler=lambda: w.step_problem(1), enabled=w.has_problems,
    )  # fmt: skip
    yield Command(
        id="find.previous_problem", text=Message("Previous problem"), group="find",
        keys=("Shift+F8",), handler=lambda: w.step_problem(-1), enabled=w.has_problems,
    )  # fmt: skip
    yield Command(
        id="find.node", text=Message("Find in graph…"), group="find", keys=("Ctrl+F",),
        icon="search", handler=w.find.open_bar, enabled=w.has_project,
    )  # fmt: skip
    yield Command(
        id="find.add_node", text=Message("Search a node to add…"), group="find",
        keys=("Ctrl+K",), icon="search", handler=w.search_node, enabled=w.has_project,
    )  # fmt: skip


def _help(w: MainWindow) -> Iterator[Command]:
    yield Command(
        id="help.commands", text=Message("All commands…"), group="help",
        keys=("Ctrl+P", "Ctrl+Shift+P"), icon="search", handler=w.dialogs.commands,
    )  # fmt: skip
    yield Command(
        id="help.keys", text=Message("Keyboard and mouse…"), group="help",
        keys=("Ctrl+/", "F1"), icon="keyboard", handler=w.dialogs.keys,
    )  # fmt: skip
    yield Command(
        id="help.keys_canvas", text=Message("Keyboard and mouse…"), group="help", keys=("?",),
        canvas_only=True, handler=w.dialogs.keys,
    )  # fmt: skip
    yield Command(
        id="help.about", text=Message("About graphstudio…"), group="help", icon="info",
        handler=w.dialogs.about,
    )  # fmt: skip


def canvas_commands(w: MainWindow) -> Iterator[Command]:
    """The canvas's own table as commands that always speak to the canvas of the open project."""
    for action in w.canvas_table().values():
        if action.id in ("edit.undo", "edit.redo"):
            continue  # they serve the whole window
        wide = action.group == "view" and all("Ctrl" in k for k in action.keys)
        yield Command(
            id=action.id,
            text=action.text,
            group=action.group,
            keys=action.keys,
            icon=action.icon,
            canvas_only=action.canvas_only and not wide,
            handler=lambda i=action.id: w.canvas_table()[i].method(),
            enabled=w.has_project,
            checked=(
                None
                if action.checked is None
                else lambda i=action.id: w.has_project() and w.canvas_table()[i].checked()
            ),
        )
