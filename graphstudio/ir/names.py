"""Names for nodes in weights files and exported code: ASCII identifiers, unique, never reserved."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable

from graphstudio.nodes.emit import RESERVED_NAMES

RESERVED = (
    RESERVED_NAMES
    | {*keyword.kwlist, *keyword.softkwlist, *dir(builtins)}
    | {"true", "false", "none", "total"}
)
"""``loss`` is among them: the weighted total of all losses has this name in every log."""

MAX_LENGTH = 40


def short_name(type_id: str) -> str:
    """Last part of a type id, as an identifier: ``layer.conv2d`` gives ``conv2d``."""
    return _identifier(type_id.rsplit(".", 1)[-1]) or "node"


def base_name(label: str, type_id: str, type_label: str) -> str:
    """The identifier that a label suggests, not yet unique.

    A default label (``Conv2D 2``) gives the type's own short name (``conv2d_2``); a label without
    any ASCII letter gives the type's short name alone.
    """
    default = re.fullmatch(re.escape(type_label) + r"(?: ([0-9]{1,9}))?", label)
    if default:
        number = default.group(1)
        return short_name(type_id) + (f"_{number}" if number else "")
    name = _identifier(label)
    if not re.search("[a-z]", name):
        digits = name.strip("_")
        return f"{short_name(type_id)}_{digits}" if digits else short_name(type_id)
    if not name[0].isalpha():
        name = f"{short_name(type_id)}_{name.strip('_')}"
    return name[:MAX_LENGTH].rstrip("_")


def unique_names(wanted: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Node id to identifier; the first to want a name has it, the next gets ``_2``.

    Parameters
    ----------
    wanted : iterable of (str, str)
        Node ids with their base names.
    """
    pairs = list(wanted)
    claimed = {name for _, name in pairs}
    taken: set[str] = set()
    names: dict[str, str] = {}
    for node_id, base in pairs:
        name, number = base, 1
        if base in RESERVED:
            name = f"{base}_1"
        while name in taken or name in RESERVED or (name != base and name in claimed):
            number += 1
            name = f"{base}_{number}"
        taken.add(name)
        names[node_id] = name
    return names


def _identifier(text: str) -> str:
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", text)
    text = "".join(c if c.isascii() and c.isalnum() else "_" for c in text).lower()
    return re.sub("_+", "_", text).strip("_")
