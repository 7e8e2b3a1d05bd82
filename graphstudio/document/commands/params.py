"""Changing what nodes say: parameters, names, colours, comments, bypass."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from graphstudio.document.changes import Change, RemoveWire, SetNode
from graphstudio.document.commands.base import (
    Command,
    Labels,
    clean_label,
    clean_text,
    ports_of,
    titled,
)
from graphstudio.document.model import Document, Node
from graphstudio.nodes.spec import ParamSpec, find_type, params_of
from graphstudio.nodes.types import Message


def set_param(document: Document, graph: str, ids: Iterable[str], name: str, value: Any) -> Command:
    """Set a parameter of several nodes; those whose type does not have it are left alone.

    Wires to inputs that vanish (of a merge with fewer inputs) go with it.
    """
    record = document.graph(graph)
    changes: list[Change] = []
    label: Message | str = name
    for node_id in dict.fromkeys(ids):
        node = record.nodes.get(node_id)
        spec = _spec(node, name) if node is not None else None
        if node is None or spec is None:
            continue
        label = Message(spec.label)
        clean = clean_text(value) if isinstance(value, str) else spec.coerce(value)
        params = {k: v for k, v in node.params.items() if k != name}
        if clean != spec.default or type(clean) is not type(spec.default):
            params[name] = clean
        if params != node.params or _types(params) != _types(node.params):
            after = dataclasses.replace(node, params=params)
            changes += [RemoveWire(graph, key) for key in _vanishing(document, graph, node, after)]
            changes.append(SetNode(graph, node_id, {"params": params}))
    return Message("Set {param}", {"param": label}), changes


def reset_param(document: Document, graph: str, ids: Iterable[str], name: str) -> Command:
    """Set a parameter back to its type's default."""
    record = document.graph(graph)
    changes: list[Change] = []
    label: Message | str = name
    for node_id in dict.fromkeys(ids):
        node = record.nodes.get(node_id)
        if node is None or name not in node.params:
            continue
        spec = _spec(node, name)
        label = Message(spec.label) if spec is not None else name
        params = {k: v for k, v in node.params.items() if k != name}
        after = dataclasses.replace(node, params=params)
        changes += [RemoveWire(graph, key) for key in _vanishing(document, graph, node, after)]
        changes.append(SetNode(graph, node_id, {"params": params}))
    return Message("Reset {param}", {"param": label}), changes


def _types(params: Any) -> list[type]:
    """1, 1.0 and True are equal to Python, but not to a file."""
    return [type(params[k]) for k in sorted(params)]


def _spec(node: Node, name: str) -> ParamSpec | None:
    cls = find_type(node.type)
    return next((p for p in params_of(cls) if p.name == name), None) if cls is not None else None


def _vanishing(document: Document, graph: str, before: Node, after: Node) -> list[tuple[str, str]]:
    """Keys of wires at ports that the node has before a change, but not after it."""
    old, new = ports_of(before), ports_of(after)
    inputs = {p.name for p in old[0]} - {p.name for p in new[0]}
    outputs = {p.name for p in old[1]} - {p.name for p in new[1]}
    if not inputs and not outputs:
        return []
    return [
        w.key
        for w in document.graph(graph).wires.values()
        if (w.target == before.id and w.target_port in inputs)
        or (w.source == before.id and w.source_port in outputs)
    ]


def rename(document: Document, graph: str, node_id: str, label: str) -> Command:
    """Give a node another name; an empty one means its type's name. Taken names are refused."""
    record = document.graph(graph)
    node = record.nodes[node_id]
    clean = clean_label(label)
    if not clean:
        cls = find_type(node.type)
        wanted = cls.label if cls is not None else node.type
        clean = wanted if wanted == node.label else Labels(record).unique(wanted)
    name = Message("Rename '{node}' to '{label}'", {"node": node.label, "label": clean})
    if clean == node.label:
        return name, []
    return name, [SetNode(graph, node_id, {"label": clean})]


def set_fields(
    document: Document,
    graph: str,
    ids: Iterable[str],
    *,
    bypass: bool | None = None,
    color: str | None = None,
    comment: str | None = None,
) -> Command:
    """Set bypass, colour or comment of several nodes; what is None stays as it is."""
    record = document.graph(graph)
    wanted: dict[str, Any] = {}
    if bypass is not None:
        wanted["bypass"] = bypass
    if color is not None:
        wanted["color"] = clean_text(color)
    if comment is not None:
        wanted["comment"] = clean_text(comment)
    known = [i for i in dict.fromkeys(ids) if i in record.nodes]
    changes: list[Change] = []
    for node_id in known:
        node = record.nodes[node_id]
        values = {k: v for k, v in wanted.items() if getattr(node, k) != v}
        if values:
            changes.append(SetNode(graph, node_id, values))
    return titled("change", record, known), changes
