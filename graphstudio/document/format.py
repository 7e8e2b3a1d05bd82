"""The project file: one readable JSON text, checked wholly before anything is built from it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphstudio.document import codec
from graphstudio.document.limits import (
    MAX_FILE_BYTES,
    MAX_NODES,
    MAX_WIRES,
    FormatError,
    parse_json,
)
from graphstudio.document.migrations import migrate
from graphstudio.document.model import FORMAT, MAIN, Document, GraphRecord
from graphstudio.document.reading import Fields, Problems, is_id, thaw, thaw_mapping
from graphstudio.document.storage import OS_FILES, Files, replace_file
from graphstudio.nodes.spec import find_type
from graphstudio.nodes.types import Message

__all__ = ["FormatError", "LoadedDocument", "dumps", "load", "loads", "save"]


@dataclass(frozen=True)
class LoadedDocument:
    """A document, and what was odd in its file but could be kept."""

    document: Document
    warnings: list[Message]


def loads(text: str) -> LoadedDocument:
    """The document that a text describes.

    Raises
    ------
    FormatError
        With every problem and its place; nothing is built from a text with problems.
    """
    body = parse_json(text)
    if not isinstance(body, dict):
        raise FormatError([Message("this is not a project: expected an object")])
    body = migrate(body)
    problems = Problems()
    document = _read(problems, body)
    if problems.found:
        raise FormatError(problems.found)
    return LoadedDocument(document, _warnings(document))


def load(path: Path) -> LoadedDocument:
    """The document in a file. View state is read from beside it, if it is there.

    Raises
    ------
    FormatError
        If the file is no project of this program.
    OSError
        If it cannot be read.
    """
    with path.open("rb") as file:
        raw = file.read(MAX_FILE_BYTES + 1)
    if len(raw) > MAX_FILE_BYTES:
        raise FormatError(
            [
                Message(
                    "the file is larger than {limit} MB, which no project is",
                    {"limit": MAX_FILE_BYTES // 2**20},
                )
            ]
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(
            [
                Message(
                    "byte {position} is not UTF-8 text; the file is damaged or not a project",
                    {"position": error.start},
                )
            ]
        ) from None
    loaded = loads(text)
    loaded.document.view = _load_view(path)
    return loaded


def dumps(document: Document) -> str:
    """The document as the text of its file: sorted, indented, the same every time.

    View state is not in it, so that panning makes no difference.
    """
    body = thaw_mapping(document.extra) | {
        "format": FORMAT,
        "graphs": {i: codec.graph_to_json(document.graphs[i]) for i in sorted(document.graphs)},
        "data": codec.data_to_json(document.data),
        "training": codec.training_to_json(document.training),
        "settings": thaw(document.settings),
    }
    return _pretty(body) + "\n"


def save(document: Document, path: Path, *, files: Files = OS_FILES) -> bytes:
    """Write the document and return what the file holds; until it is verified, the old one stays.

    Raises
    ------
    OSError
        If the disk is full, the folder not writable, and the like; the old file is as it was.
    FormatError
        If the document could not be read back.
    """
    text = dumps(document)
    written = loads(text).document
    if dumps(written) != text:
        raise FormatError([Message("the project would not read back as it is; it was not saved")])
    data = text.encode("utf-8")
    replace_file(path, data, files=files)
    _save_view(document, path)
    return data


def _read(problems: Problems, body: dict[str, Any]) -> Document:
    f = Fields(problems, body, "")
    f.take_any("format")
    graphs = f.raw_mapping("graphs")
    if MAIN not in graphs:
        problems.add("graphs", Message("the main graph is missing"))
    _check_counts(graphs)
    document = Document(graphs={})
    for graph_id, graph_body in graphs.items():
        place = f"graphs.{graph_id[:80]}"
        if not is_id(graph_id):
            problems.add(place, Message("an id has 1 to 64 letters, digits, '_', '.' or '-'"))
        graph = codec.read_graph(problems, graph_id, graph_body, place)
        _check_rules(problems, graph, place)
        document.graphs[graph_id] = graph
    data, training = f.take_any("data"), f.take_any("training")
    if data is not None:
        document.data = codec.read_data(problems, data, "data")
    if training is not None:
        document.training = codec.read_training(problems, training, "training")
    document.settings = f.mapping("settings")
    document.extra = f.rest()
    return document


def _check_counts(graphs: dict[str, Any]) -> None:
    bodies = [g for g in graphs.values() if isinstance(g, dict)]
    for name, limit in (("nodes", MAX_NODES), ("wires", MAX_WIRES)):
        count = sum(len(g[name]) for g in bodies if isinstance(g.get(name), dict | list))
        if count > limit:
            raise FormatError(
                [
                    Message(
                        "graphs: there are {count} {what}, more than the {limit} that a project "
                        "may have",
                        {"count": count, "what": name, "limit": limit},
                    )
                ]
            )


def _check_rules(problems: Problems, graph: GraphRecord, place: str) -> None:
    """Wires join nodes that exist, names are unique, nothing goes round in a circle."""
    labels: dict[str, str] = {}
    for node in graph.nodes.values():
        if node.label in labels:
            problems.add(
                f"{place}.nodes.{node.id[:80]}",
                Message(
                    "the name '{label}' is taken by the node '{other}'",
                    {"label": node.label[:80], "other": labels[node.label][:80]},
                ),
            )
        labels[node.label] = node.id
    dangling = False
    for wire in graph.wires.values():
        for end in (wire.source, wire.target):
            if end not in graph.nodes:
                dangling = True
                problems.add(
                    f"{place}.wires",
                    Message(
                        "a wire ends at the node '{node}', which does not exist", {"node": end[:80]}
                    ),
                )
    if not dangling and (cycle := find_cycle(graph)):
        names = " > ".join(graph.nodes[n].label[:40] for n in cycle[:8])
        problems.add(
            f"{place}.wires", Message("the wires go round in a circle: {nodes}", {"nodes": names})
        )


def find_cycle(graph: GraphRecord) -> list[str]:
    """Ids of nodes that feed each other in a circle, the first one again at the end, or nothing."""
    after: dict[str, list[str]] = {n: [] for n in graph.nodes}
    waiting = dict.fromkeys(graph.nodes, 0)
    for wire in graph.wires.values():
        after[wire.source].append(wire.target)
        waiting[wire.target] += 1
    ready = [n for n, count in waiting.items() if not count]
    while ready:
        for follower in after[ready.pop()]:
            waiting[follower] -= 1
            if not waiting[follower]:
                ready.append(follower)
    left = {n for n, count in waiting.items() if count}
    if not left:
        return []
    # every node that is left has a source that is left, so walking back must come round
    before = {w.target: w.source for w in graph.wires.values() if w.source in left}
    path = [next(iter(left))]
    while path[-1] not in path[:-1]:
        path.append(before[path[-1]])
    return path[path.index(path[-1]) :][::-1]


def _warnings(document: Document) -> list[Message]:
    found: list[Message] = []
    unknown: dict[str, list[str]] = {}
    for graph in document.graphs.values():
        for node in graph.nodes.values():
            if find_type(node.type) is None:
                unknown.setdefault(node.type, []).append(node.label)
    for type_id, labels in sorted(unknown.items()):
        found.append(
            Message(
                "the node type '{type}' is not known to this version; its nodes are kept as they "
                "are: {nodes}",
                {"type": type_id[:80], "nodes": ", ".join(label[:40] for label in labels[:5])},
            )
        )
    if document.extra:
        found.append(
            Message(
                "the file has fields that this version does not know and keeps: {fields}",
                {"fields": ", ".join(f[:40] for f in sorted(document.extra)[:8])},
            )
        )
    return found


def _view_path(path: Path) -> Path:
    return path.with_suffix(".runs") / "view.json"


def _load_view(path: Path) -> dict[str, Any]:
    """View state, or nothing: it is never worth an error."""
    try:
        with _view_path(path).open("rb") as file:
            value = parse_json(file.read(2**20).decode("utf-8"))
    except (OSError, FormatError, UnicodeDecodeError):
        return {}
    return value if isinstance(value, dict) else {}


def _save_view(document: Document, path: Path) -> None:
    if not document.view:
        return
    try:
        view = _view_path(path)
        view.parent.mkdir(exist_ok=True)
        replace_file(view, (_pretty(thaw(document.view)) + "\n").encode("utf-8"))
    except (OSError, ValueError):
        return


def _pretty(value: Any) -> str:
    parts: list[str] = []
    _write(parts, value, "\n")
    return "".join(parts)


def _write(parts: list[str], value: Any, newline: str) -> None:
    """Indented JSON with sorted keys, in which a list without objects stays on its line."""
    inner = newline + "  "
    if isinstance(value, dict) and value:
        opening = "{"
        for key in sorted(value):
            parts.append(f"{opening}{inner}{_scalar(key)}: ")
            _write(parts, value[key], inner)
            opening = ","
        parts.append(newline + "}")
    elif isinstance(value, list) and any(isinstance(v, dict) for v in value):
        opening = "["
        for item in value:
            parts.append(opening + inner)
            _write(parts, item, inner)
            opening = ","
        parts.append(newline + "]")
    else:
        parts.append(_scalar(value))


def _scalar(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True)
