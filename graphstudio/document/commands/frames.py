"""Frames: coloured backdrops with a title."""

from __future__ import annotations

import dataclasses

from graphstudio.document.changes import Change, PutFrame
from graphstudio.document.commands.base import Command, clean_position, clean_text, fresh_id
from graphstudio.document.commands.nodes import move_nodes
from graphstudio.document.model import Document, Frame
from graphstudio.nodes.types import Message

MIN_SIDE = 20.0
Rect = tuple[float, float, float, float]


def add_frame(
    document: Document, graph: str, rect: Rect, *, title: str = "", color: str = ""
) -> Command:
    """Add a frame; ``rect`` is left, top, width, height."""
    document.graph(graph)
    frame_id = fresh_id(document)
    frame = Frame(id=frame_id, title=clean_text(title), rect=_clean(rect), color=color)
    return Message("Add frame"), [PutFrame(graph, frame_id, frame)]


def move_frame(
    document: Document,
    graph: str,
    frame_id: str,
    rect: Rect,
    *,
    nodes: dict[str, tuple[float, float]] | None = None,
) -> Command:
    """Move or resize a frame, and with it the nodes whose new places are given."""
    changes = _replace(document, graph, frame_id, rect=_clean(rect))
    if nodes:
        changes += move_nodes(document, graph, nodes)[1]
    return Message("Move frame"), changes


def set_frame(
    document: Document,
    graph: str,
    frame_id: str,
    *,
    title: str | None = None,
    color: str | None = None,
    note: str | None = None,
) -> Command:
    """Set a frame's title, colour or note; what is None stays as it is."""
    given = {"title": title, "color": color, "note": note}
    values = {k: clean_text(v) for k, v in given.items() if v is not None}
    return Message("Change frame"), _replace(document, graph, frame_id, **values)


def remove_frame(document: Document, graph: str, frame_id: str) -> Command:
    """Delete a frame, not what lies on it."""
    known = frame_id in document.graph(graph).frames
    return Message("Delete frame"), [PutFrame(graph, frame_id, None)] if known else []


def _replace(document: Document, graph: str, frame_id: str, **values: object) -> list[Change]:
    frame = document.graph(graph).frames.get(frame_id)
    if frame is None:
        return []
    changed = dataclasses.replace(frame, **values)  # type: ignore[arg-type]  # fields by name
    return [] if changed == frame else [PutFrame(graph, frame_id, changed)]


def _clean(rect: Rect) -> Rect:
    left, top = clean_position(rect[0], rect[1])
    width, height = clean_position(rect[2], rect[3])
    return left, top, max(width, MIN_SIDE), max(height, MIN_SIDE)
