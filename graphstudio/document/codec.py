"""The records of a document as JSON objects, and back. Defaults are left out of the file."""

from __future__ import annotations

from typing import Any

from graphstudio.document.limits import MAX_DOTS, too_many_dots
from graphstudio.document.model import (
    BlockInterface,
    Choice,
    DataSpec,
    Frame,
    GraphRecord,
    Node,
    Phase,
    Split,
    Training,
    Wire,
)
from graphstudio.document.reading import (
    Fields,
    Problems,
    is_id,
    is_number,
    is_point,
    thaw,
    thaw_mapping,
)
from graphstudio.nodes.types import Message

JsonObject = dict[str, Any]

MAX_COORDINATE = 1e7


def node_to_json(node: Node) -> JsonObject:
    """A node without its id, which is its key."""
    body: JsonObject = {
        "type": node.type,
        "label": node.label,
        "position": [_plain(v) for v in node.position],
    }
    _put(body, "params", thaw(node.params))
    _put(body, "color", node.color)
    _put(body, "bypass", node.bypass)
    _put(body, "comment", node.comment)
    return thaw_mapping(node.extra) | body


def read_node(problems: Problems, node_id: str, value: Any, place: str) -> Node:
    """The node that an object describes; what is wrong with it is added to ``problems``."""
    f = Fields(problems, value, place)
    type_id = f.required_text("type")
    if not is_id(type_id) and type_id not in ("", "?"):  # those two are reported already
        # icons and exports look things up by it: it must never be a path
        problems.add(f.at("type"), Message("a type has 1 to 64 letters, digits, '_', '.' or '-'"))
    return Node(
        id=node_id,
        type=type_id,
        label=f.required_text("label"),
        position=_position(f),
        params=f.mapping("params"),
        color=f.text("color"),
        bypass=f.flag("bypass", False),
        comment=f.text("comment"),
        extra=f.rest(),
    )


def _position(f: Fields) -> tuple[float, float]:
    x, y = f.numbers("position", (0.0, 0.0))
    return _near(x), _near(y)


def _near(value: float) -> float:
    """A coordinate that a canvas can show; absurd ones are brought back."""
    return min(max(value, -MAX_COORDINATE), MAX_COORDINATE)


def wire_to_json(wire: Wire) -> JsonObject:
    """A wire as ``from`` and ``to``, each a node id and a port name."""
    body: JsonObject = {
        "from": [wire.source, wire.source_port],
        "to": [wire.target, wire.target_port],
    }
    _put(body, "route", [[_plain(v) for v in point] for point in wire.route])
    return thaw_mapping(wire.extra) | body


def read_wire(problems: Problems, value: Any, place: str) -> Wire | None:
    """The wire that an object describes, or None if it has no two ends."""
    f = Fields(problems, value, place)
    source, target = f.take_any("from"), f.take_any("to")
    ends_ok = True
    for name, end in (("from", source), ("to", target)):
        if not (isinstance(end, list) and len(end) == 2 and all(isinstance(v, str) for v in end)):
            ends_ok = False
            if f.valid:
                problems.add(f.at(name), Message("expected a list of a node id and a port name"))
    route = f.items("route")
    if not all(is_point(p, 2) for p in route):
        problems.add(f.at("route"), Message("expected a list of pairs of numbers"))
        route = []
    if len(route) > MAX_DOTS:
        problems.add(f.at("route"), too_many_dots(len(route)))
        route = []
    if not ends_ok:
        return None
    return Wire(
        source=source[0],
        source_port=source[1],
        target=target[0],
        target_port=target[1],
        route=tuple((_near(float(x)), _near(float(y))) for x, y in route),
        extra=f.rest(),
    )


def frame_to_json(frame: Frame) -> JsonObject:
    """A frame without its id, which is its key."""
    body: JsonObject = {"title": frame.title, "rect": [_plain(v) for v in frame.rect]}
    _put(body, "color", frame.color)
    _put(body, "note", frame.note)
    return thaw_mapping(frame.extra) | body


def read_frame(problems: Problems, frame_id: str, value: Any, place: str) -> Frame:
    """The frame that an object describes."""
    f = Fields(problems, value, place)
    left, top, width, height = map(_near, f.numbers("rect", (0.0, 0.0, 100.0, 100.0)))
    if width <= 0 or height <= 0:
        problems.add(f.at("rect"), Message("width and height must be above 0"))
    return Frame(
        id=frame_id,
        title=f.text("title"),
        rect=(left, top, width, height),
        color=f.text("color"),
        note=f.text("note"),
        extra=f.rest(),
    )


def graph_to_json(graph: GraphRecord) -> JsonObject:
    """A graph without its id; nodes and frames by id, wires in the order of their targets."""
    body: JsonObject = {
        "nodes": {i: node_to_json(graph.nodes[i]) for i in sorted(graph.nodes)},
        "wires": [wire_to_json(graph.wires[k]) for k in sorted(graph.wires)],
    }
    _put(body, "frames", {i: frame_to_json(graph.frames[i]) for i in sorted(graph.frames)})
    _put(body, "name", graph.name)
    if graph.interface is not None:
        body["interface"] = thaw_mapping(graph.interface.extra) | {
            "inputs": list(graph.interface.inputs),
            "outputs": list(graph.interface.outputs),
            "params": thaw(graph.interface.params),
        }
    return thaw_mapping(graph.extra) | body


def read_graph(problems: Problems, graph_id: str, value: Any, place: str) -> GraphRecord:
    """The graph that an object describes; its rules are checked apart."""
    f = Fields(problems, value, place)
    graph = GraphRecord(id=graph_id, name=f.text("name"))
    nodes = f.raw_mapping("nodes")
    for node_id, body in nodes.items():
        at = f"{f.at('nodes')}.{node_id[:80]}"
        if not is_id(node_id):
            problems.add(at, _bad_id())
        graph.nodes[node_id] = read_node(problems, node_id, body, at)
    for index, body in enumerate(f.items("wires")):
        at = f"{f.at('wires')}[{index}]"
        wire = read_wire(problems, body, at)
        if wire is None:
            continue
        if wire.key in graph.wires:
            problems.add(
                at,
                Message(
                    "the input '{port}' of node '{node}' has another wire already",
                    {"port": wire.target_port[:80], "node": wire.target[:80]},
                ),
            )
        graph.wires[wire.key] = wire
    for frame_id, body in f.raw_mapping("frames").items():
        at = f"{f.at('frames')}.{frame_id[:80]}"
        if not is_id(frame_id):
            problems.add(at, _bad_id())
        graph.frames[frame_id] = read_frame(problems, frame_id, body, at)
    interface = f.take_any("interface")
    if interface is not None:
        graph.interface = _read_interface(problems, interface, f.at("interface"))
    graph.extra = f.rest()
    return graph


def _read_interface(problems: Problems, value: Any, place: str) -> BlockInterface:
    f = Fields(problems, value, place)
    ports = []
    for name in ("inputs", "outputs"):
        found = f.items(name)
        if not all(isinstance(v, str) for v in found):
            problems.add(f.at(name), Message("expected a list of port names"))
            found = []
        ports.append(tuple(found))
    return BlockInterface(
        inputs=ports[0], outputs=ports[1], params=f.mapping("params"), extra=f.rest()
    )


def data_to_json(data: DataSpec) -> JsonObject:
    """The data specification; the split is always written out, so that it never changes unseen."""
    split = data.split
    return thaw_mapping(data.extra) | {
        "source": data.source,
        "options": thaw(data.options),
        "split": thaw_mapping(split.extra)
        | {"validation": split.validation, "test": split.test, "seed": split.seed},
    }


def read_data(problems: Problems, value: Any, place: str) -> DataSpec:
    """The data specification that an object describes."""
    f = Fields(problems, value, place)
    source, options = f.text("source"), f.mapping("options")
    shares = f.take_any("split")
    s = Fields(problems, {} if shares is None else shares, f.at("split"))
    split = Split(
        validation=s.number("validation", Split.validation, low=0.0, high=1.0),
        test=s.number("test", Split.test, low=0.0, high=1.0),
        seed=s.whole("seed", Split.seed, low=0),
        extra=s.rest(),
    )
    if split.validation + split.test >= 1.0:
        problems.add(
            s.place,
            Message(
                "validation and test take {share} of the samples; nothing is left to train on",
                {"share": f"{split.validation + split.test:g}"},
            ),
        )
    return DataSpec(source=source, options=options, split=split, extra=f.rest())


def training_to_json(training: Training) -> JsonObject:
    """The training specification, written out in full."""
    return thaw_mapping(training.extra) | {
        "batch_size": training.batch_size,
        "seed": training.seed,
        "shuffle": training.shuffle,
        "phases": [_phase_to_json(p) for p in training.phases],
    }


def _phase_to_json(phase: Phase) -> JsonObject:
    body: JsonObject = {
        "name": phase.name,
        "optimizer": _choice_to_json(phase.optimizer),
        "epochs": phase.epochs,
    }
    _put(body, "losses", dict(phase.losses))
    _put(body, "frozen", list(phase.frozen))
    if phase.schedule is not None:
        body["schedule"] = _choice_to_json(phase.schedule)
    if phase.steps_per_batch != 1:
        body["steps_per_batch"] = phase.steps_per_batch
    return thaw_mapping(phase.extra) | body


def _choice_to_json(choice: Choice) -> JsonObject:
    return thaw_mapping(choice.extra) | {"kind": choice.kind, "params": thaw(choice.params)}


def read_training(problems: Problems, value: Any, place: str) -> Training:
    """The training specification that an object describes."""
    f = Fields(problems, value, place)
    phases = tuple(
        _read_phase(problems, body, f"{f.at('phases')}[{i}]")
        for i, body in enumerate(f.items("phases"))
    )
    return Training(
        phases=phases or (Phase(),),
        batch_size=f.whole("batch_size", Training.batch_size, low=1),
        seed=f.whole("seed", Training.seed, low=0),
        shuffle=f.flag("shuffle", Training.shuffle),
        extra=f.rest(),
    )


def _read_phase(problems: Problems, value: Any, place: str) -> Phase:
    f = Fields(problems, value, place)
    losses = f.mapping("losses")
    for node_id, weight in losses.items():
        if not is_number(weight):
            problems.add(f"{f.at('losses')}.{node_id[:80]}", Message("expected a number"))
    frozen = f.items("frozen")
    if not all(isinstance(n, str) for n in frozen):
        problems.add(f.at("frozen"), Message("expected a list of node ids"))
        frozen = []
    optimizer, schedule = f.take_any("optimizer"), f.take_any("schedule")
    return Phase(
        name=f.text("name", "train"),
        losses={k: v for k, v in losses.items() if is_number(v)},
        frozen=tuple(frozen),
        optimizer=Phase.optimizer
        if optimizer is None
        else _read_choice(problems, optimizer, f.at("optimizer")),
        schedule=None if schedule is None else _read_choice(problems, schedule, f.at("schedule")),
        epochs=f.whole("epochs", Phase.epochs, low=1),
        steps_per_batch=f.whole("steps_per_batch", 1, low=1),
        extra=f.rest(),
    )


def _read_choice(problems: Problems, value: Any, place: str) -> Choice:
    f = Fields(problems, value, place)
    return Choice(kind=f.required_text("kind"), params=f.mapping("params"), extra=f.rest())


def _put(body: JsonObject, name: str, value: Any) -> None:
    if value:
        body[name] = value


def _plain(value: float) -> float | int:
    """A whole number without its ``.0``, so that files stay short."""
    return int(value) if value == int(value) else value


def _bad_id() -> Message:
    return Message("an id has 1 to 64 letters, digits, '_', '.' or '-'")
