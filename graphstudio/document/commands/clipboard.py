"""Copy, paste and duplicate: nodes with the wires between them, as JSON text."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable

from graphstudio.document import codec
from graphstudio.document.changes import AddNode, AddWire, Change, PutFrame
from graphstudio.document.commands.base import (
    Command,
    Labels,
    clean_label,
    clean_position,
    fresh_id,
    ports_of,
    titled,
)
from graphstudio.document.limits import FormatError, parse_json
from graphstudio.document.model import Document, Frame, GraphRecord, Node, Wire
from graphstudio.document.reading import Fields, Problems
from graphstudio.nodes.types import Message

KIND = "graphstudio/nodes"
MAX_PASTED = 10_000


class ClipboardError(ValueError):
    """A text holds no copied nodes."""


@dataclasses.dataclass(frozen=True)
class Fragment:
    """Part of a graph: nodes, wires between them, wires that enter from elsewhere, frames."""

    nodes: tuple[Node, ...]
    inner: tuple[Wire, ...] = ()
    entering: tuple[Wire, ...] = ()
    frames: tuple[Frame, ...] = ()


def copy(document: Document, graph: str, ids: Iterable[str], *, frames: Iterable[str] = ()) -> str:
    """Nodes (and frames) as text for the clipboard, with the wires between them and into them."""
    fragment = _take(document.graph(graph), ids, frames)
    body = {
        "kind": KIND,
        "nodes": {n.id: codec.node_to_json(n) for n in fragment.nodes},
        "wires": [codec.wire_to_json(w) for w in fragment.inner],
        "entering": [codec.wire_to_json(w) for w in fragment.entering],
        "frames": {f.id: codec.frame_to_json(f) for f in fragment.frames},
    }
    return json.dumps(body, ensure_ascii=False, allow_nan=False)


def _take(graph: GraphRecord, ids: Iterable[str], frames: Iterable[str]) -> Fragment:
    chosen = [i for i in dict.fromkeys(ids) if i in graph.nodes]
    inside = set(chosen)
    around = [w for w in graph.wires.values() if w.target in inside]
    return Fragment(
        tuple(graph.nodes[i] for i in chosen),
        tuple(w for w in around if w.source in inside),
        tuple(w for w in around if w.source not in inside),
        tuple(graph.frames[f] for f in dict.fromkeys(frames) if f in graph.frames),
    )


def read_fragment(text: str) -> Fragment:
    """The part of a graph that a clipboard text holds.

    Raises
    ------
    ClipboardError
        If the text is anything else: it may come from any program.
    """
    try:
        body = parse_json(text)
        if not isinstance(body, dict) or body.get("kind") != KIND:
            raise ClipboardError("the text holds no nodes")
        problems = Problems()
        f = Fields(problems, body, "")
        raw_nodes, raw_frames = f.raw_mapping("nodes"), f.raw_mapping("frames")
        wires = {
            name: [codec.read_wire(problems, w, name) for w in f.items(name)]
            for name in ("wires", "entering")
        }
        if len(raw_nodes) > MAX_PASTED:
            raise ClipboardError("the text holds too many nodes")
        nodes = tuple(codec.read_node(problems, i, v, i) for i, v in raw_nodes.items())
        frames = tuple(codec.read_frame(problems, i, v, i) for i, v in raw_frames.items())
    except FormatError as error:
        raise ClipboardError(str(error)) from error
    if problems.found:
        raise ClipboardError(str(problems.found[0]))
    inner = tuple(
        w
        for w in wires["wires"]
        if w is not None and w.source in raw_nodes and w.target in raw_nodes
    )
    entering = tuple(w for w in wires["entering"] if w is not None and w.target in raw_nodes)
    return Fragment(nodes, inner, entering, frames)


def paste(
    document: Document,
    graph: str,
    text: str,
    position: tuple[float, float],
    *,
    keep_inputs: bool = False,
) -> Command:
    """Add what a clipboard text holds, its top left corner at ``position``.

    Parameters
    ----------
    keep_inputs : bool
        Also wire the copies to the nodes outside that fed the originals, where they exist.

    Raises
    ------
    ClipboardError
        If the text holds no copied nodes.
    """
    fragment = read_fragment(text)
    places = [n.position for n in fragment.nodes] + [f.rect[:2] for f in fragment.frames]
    if not places:
        return Message("Paste"), []
    left, top = min(p[0] for p in places), min(p[1] for p in places)
    offset = (position[0] - left, position[1] - top)
    changes = _add_fragment(document, graph, fragment, offset, keep_inputs=keep_inputs)
    return Message("Paste {count} nodes", {"count": len(fragment.nodes)}), changes


def duplicate(
    document: Document,
    graph: str,
    ids: Iterable[str],
    offset: tuple[float, float],
    *,
    keep_inputs: bool = False,
) -> Command:
    """Add copies of nodes at an offset, wired among each other as the originals are."""
    record = document.graph(graph)
    chosen = [i for i in dict.fromkeys(ids) if i in record.nodes]
    fragment = _take(record, chosen, ())
    changes = _add_fragment(document, graph, fragment, offset, keep_inputs=keep_inputs)
    return titled("duplicate", record, chosen), changes


def _add_fragment(
    document: Document,
    graph: str,
    fragment: Fragment,
    offset: tuple[float, float],
    *,
    keep_inputs: bool,
) -> list[Change]:
    record = document.graph(graph)
    labels = Labels(record)
    ids: dict[str, str] = {}
    used: set[str] = set()
    changes: list[Change] = []
    copies: dict[str, Node] = {}
    for node in fragment.nodes:
        ids[node.id] = fresh_id(document, used)
        used.add(ids[node.id])
        label = labels.unique(clean_label(node.label) or node.type)
        place = clean_position(node.position[0] + offset[0], node.position[1] + offset[1])
        copies[node.id] = dataclasses.replace(node, id=ids[node.id], label=label, position=place)
        changes.append(AddNode(graph, copies[node.id]))
    for wire in fragment.inner:
        route = tuple(clean_position(x + offset[0], y + offset[1]) for x, y in wire.route)
        changes.append(
            AddWire(
                graph,
                dataclasses.replace(
                    wire, source=ids[wire.source], target=ids[wire.target], route=route
                ),
            )
        )
    if keep_inputs:
        for wire in fragment.entering:
            source = record.nodes.get(wire.source)
            if source is not None and _has_output(source, wire.source_port):
                entering = dataclasses.replace(wire, target=ids[wire.target], route=())
                changes.append(AddWire(graph, entering))
    for frame in fragment.frames:
        frame_id = fresh_id(document, used)
        used.add(frame_id)
        left, top, width, height = frame.rect
        x, y = clean_position(left + offset[0], top + offset[1])
        moved = dataclasses.replace(frame, id=frame_id, rect=(x, y, width, height))
        changes.append(PutFrame(graph, frame_id, moved))
    return changes


def _has_output(node: Node, port: str) -> bool:
    _, outputs = ports_of(node)
    return any(p.name == port for p in outputs)
