"""Commands: what a user does, as a named list of primitive changes for the undo history.

A command looks at the document and changes nothing. ``History.push`` (or ``Project.push``)
carries it out as one step, or refuses it as a whole.
"""

from graphstudio.document.commands.base import Command
from graphstudio.document.commands.clipboard import ClipboardError, copy, duplicate, paste
from graphstudio.document.commands.frames import add_frame, move_frame, remove_frame, set_frame
from graphstudio.document.commands.nodes import add_node, move_nodes, remove_nodes
from graphstudio.document.commands.params import rename, reset_param, set_fields, set_param
from graphstudio.document.commands.project import set_data, set_phase, set_settings, set_training
from graphstudio.document.commands.wires import (
    connect,
    disconnect,
    insert_on_wire,
    set_route,
    split_route,
)

__all__ = [
    "ClipboardError",
    "Command",
    "add_frame",
    "add_node",
    "connect",
    "copy",
    "disconnect",
    "duplicate",
    "insert_on_wire",
    "move_frame",
    "move_nodes",
    "paste",
    "remove_frame",
    "remove_nodes",
    "rename",
    "reset_param",
    "set_data",
    "set_fields",
    "set_frame",
    "set_param",
    "set_phase",
    "set_route",
    "set_settings",
    "set_training",
    "split_route",
]
