import copy
import json
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphstudio.document import limits
from graphstudio.document.format import FormatError, dumps, load, loads
from graphstudio.document.migrations import migrate
from graphstudio.document.model import (
    MAIN,
    BlockInterface,
    Choice,
    DataSpec,
    Document,
    Frame,
    GraphRecord,
    Node,
    Phase,
    Split,
    Training,
    Wire,
)


def full_document() -> Document:
    """One of everything that a file can hold."""
    main = GraphRecord(id=MAIN)
    main.nodes = {
        "b2": Node(
            id="b2",
            type="layer.conv2d",
            label="Conv2D",
            position=(10.5, -3.0),
            params={"filters": 8, "kernel_size": (3, 3)},
            color="#aabbcc",
            bypass=True,
            comment="why\nso",
            extra={"future": {"a": (1, 2)}},
        ),
        "a1": Node(id="a1", type="io.input", label="输入"),
        "c3": Node(id="c3", type="layer.warp", label="Warp", params={"deep": {"x": (1, None)}}),
    }
    for source, target in (("a1", "b2"), ("b2", "c3")):
        wire = Wire(
            source=source,
            source_port="y",
            target=target,
            target_port="x",
            route=((1.0, 2.5),),
            extra={"style": "thick"},
        )
        main.wires[wire.key] = wire
    main.frames["f1"] = Frame(
        id="f1", title="Stem", rect=(0.0, 0.0, 50.0, 40.0), color="#fff", note="n", extra={"z": 1}
    )
    main.extra = {"later": True}
    block = GraphRecord(
        id="stem",
        name="Stem",
        interface=BlockInterface(inputs=("x",), outputs=("y",), params={"filters": 16}),
    )
    phase = Phase(
        losses={"a1": 0.5},
        frozen=("b2",),
        optimizer=Choice(kind="sgd", params={"momentum": 0.9}, extra={"note": "x"}),
        schedule=Choice(kind="cosine"),
        epochs=3,
        steps_per_batch=2,
        extra={"clip": 1.0},
    )
    return Document(
        graphs={MAIN: main, "stem": block},
        data=DataSpec(
            source="digits",
            options={"flat": False},
            split=Split(validation=0.2, test=0.25, seed=7, extra={"by": "class"}),
            extra={"augment": ()},
        ),
        training=Training(phases=(phase, Phase()), batch_size=8, seed=3, shuffle=False),
        settings={"units": "metric"},
        extra={"plugins": ("a",)},
    )


def body() -> dict:
    return json.loads(dumps(full_document()))


def problems(value) -> list[str]:
    with pytest.raises(FormatError) as caught:
        loads(value if isinstance(value, str) else json.dumps(value))
    return [str(p) for p in caught.value.problems]


def test_everything_survives_a_round_trip():
    document = full_document()
    again = loads(dumps(document)).document
    assert again == document
    assert dumps(again) == dumps(document)


def test_the_text_does_not_depend_on_the_order_of_edits():
    one, other = full_document(), full_document()
    other.main.nodes = dict(reversed(one.main.nodes.items()))
    other.main.wires = dict(reversed(one.main.wires.items()))
    assert dumps(one) == dumps(other)


def test_one_changed_parameter_is_one_changed_line():
    document = full_document()
    before = dumps(document).splitlines()
    node = document.main.nodes["b2"]
    document.main.nodes["b2"] = Node(
        **{**node.__dict__, "params": {"filters": 9, "kernel_size": (3, 3)}}
    )
    after = dumps(document).splitlines()
    assert len(before) == len(after)
    changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert changed == [('            "filters": 8,', '            "filters": 9,')]


def test_view_state_is_not_in_the_text():
    document = full_document()
    before = dumps(document)
    document.view = {"zoom": 2.0}
    assert dumps(document) == before


def test_a_minimal_file_gives_the_defaults():
    document = loads('{"format": 1, "graphs": {"main": {}}}').document
    assert document == Document()


def test_unknown_types_and_fields_are_kept_and_named():
    loaded = loads(dumps(full_document()))
    text = " ".join(map(str, loaded.warnings))
    assert "layer.warp" in text
    assert "Warp" in text
    assert "plugins" in text


@pytest.mark.parametrize(
    ("path", "value", "where", "what"),
    [
        ("format", 2, "", "newer version"),
        ("format", "1", "format", "expected the number"),
        ("format", True, "format", "expected the number"),
        ("graphs", [], "graphs", "expected an object"),
        ("graphs.main", None, "graphs.main", "expected an object, found null"),
        ("graphs.main.nodes.a1", 7, "graphs.main.nodes.a1", "expected an object, found 7"),
        ("graphs.main.nodes.a1.type", "", "graphs.main.nodes.a1.type", "empty"),
        ("graphs.main.nodes.a1.label", 5, "graphs.main.nodes.a1.label", "expected text"),
        ("graphs.main.nodes.a1.label", "Warp", "graphs.main.nodes.c3", "taken"),
        ("graphs.main.nodes.a1.position", [1], "graphs.main.nodes.a1.position", "2 numbers"),
        ("graphs.main.nodes.a1.position", [1, True], "graphs.main.nodes.a1.position", "numbers"),
        ("graphs.main.nodes.a1.bypass", 1, "graphs.main.nodes.a1.bypass", "true or false"),
        ("graphs.main.nodes.a1.params", [], "graphs.main.nodes.a1.params", "an object"),
        ("graphs.main.nodes.b/d", {}, "graphs.main.nodes.b/d", "an id has"),
        ("graphs.main.nodes.a1.type", "../../x", "graphs.main.nodes.a1.type", "a type has"),
        ("graphs.main.nodes.a1.type", "a" * 65, "graphs.main.nodes.a1.type", "a type has"),
        ("graphs.main.nodes.a1.type", "x\0y", "graphs.main.nodes.a1.type", "a type has"),
        ("graphs.main.wires", {}, "graphs.main.wires", "a list"),
        ("graphs.main.wires.0", 3, "graphs.main.wires[0]", "an object"),
        ("graphs.main.wires.0.from", ["a1"], "graphs.main.wires[0].from", "node id and a port"),
        ("graphs.main.wires.0.from", ["zz", "y"], "graphs.main.wires", "does not exist"),
        ("graphs.main.wires.0.route", [[1]], "graphs.main.wires[0].route", "pairs of numbers"),
        ("graphs.main.wires.0.route", [[1, 2]] * 101, "graphs.main.wires[0].route", "101 dots"),
        ("graphs.main.frames.f1.rect", [0, 0, 0, 1], "graphs.main.frames.f1.rect", "above 0"),
        ("graphs.stem.interface.inputs", [1], "graphs.stem.interface.inputs", "port names"),
        ("data.split.test", 0.9, "data.split", "nothing is left"),
        ("data.split.seed", -1, "data.split.seed", "at least 0"),
        ("data.split.seed", 2**70, "data.split.seed", "at least 0"),
        ("data.split", [], "data.split", "an object"),
        ("data.split", 0, "data.split", "an object"),
        ("data.options", 1, "data.options", "an object"),
        ("training.batch_size", 0, "training.batch_size", "at least 1"),
        ("training.phases.0.optimizer", {}, "training.phases[0].optimizer", "'kind' is missing"),
        ("training.phases.0.epochs", 1.5, "training.phases[0].epochs", "whole number"),
        ("training.phases.0.losses", {"a1": "x"}, "training.phases[0].losses.a1", "a number"),
        ("training.phases.0.losses", {"a1": True}, "training.phases[0].losses.a1", "a number"),
        ("training.phases.0.losses", {"a1": 10**400}, "training.phases[0].losses.a1", "a number"),
        ("training.phases.0.frozen", [1], "training.phases[0].frozen", "node ids"),
        ("settings", 3, "settings", "an object"),
    ],
)
def test_each_problem_is_named_with_its_place(path, value, where, what):
    changed = body()
    at = changed
    *way, last = path.split(".")
    for step in way:
        at = at[int(step) if isinstance(at, list) else step]
    at[int(last) if isinstance(at, list) else last] = value
    found = problems(changed)
    assert any(where in p and what in p for p in found), found


def test_every_problem_is_reported_not_only_the_first():
    changed = body()
    changed["graphs"]["main"]["nodes"]["a1"]["bypass"] = "no"
    changed["graphs"]["main"]["nodes"]["b2"]["position"] = None
    changed["training"]["batch_size"] = "many"
    assert len(problems(changed)) == 3


def test_two_wires_into_one_input_are_refused():
    changed = body()
    wires = changed["graphs"]["main"]["wires"]
    wires.append({"from": ["c3", "y"], "to": wires[0]["to"]})
    assert any("another wire already" in p for p in problems(changed))


def test_a_cycle_is_named_with_its_nodes():
    changed = body()
    changed["graphs"]["main"]["wires"].append({"from": ["c3", "y"], "to": ["b2", "z"]})
    (found,) = problems(changed)
    assert found.startswith("graphs.main.wires: the wires go round")
    assert "Conv2D > Warp" in found or "Warp > Conv2D" in found


def test_a_missing_main_graph_is_reported():
    assert problems({"format": 1, "graphs": {}}) == ["graphs: the main graph is missing"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "line 1, column 1"),
        ("{", "not valid JSON"),
        ("null", "expected an object"),
        ("[]", "expected an object"),
        ('{"format": 1, "format": 1}', "given twice"),
        ('{"format": 1, "x": NaN}', "NaN"),
        ('{"format": 1, "x": -Infinity}', "Infinity"),
        ('{"format": 1, "x": 1e999}', "too large"),
        ('{"format": 1, "x": ' + "9" * 5000 + "}", "cannot be read"),
        ('{"format": 1, "x": "\\ud800"}', "half a character"),
        ('{"format": 1, "x": ' + "[" * 70 + "]" * 70 + "}", "64 deep"),
        ('{"format": 1, "x": ' + "[" * 500_000, "64 deep"),
        ('{"a":' * 200_000, "64 deep"),
        ('{"format": 1, "x": "' + "a" * 1_000_001 + '"}', "1000001 characters"),
        ('{"format": 1, "' + "a" * 1_000_001 + '": 1}', "1000001 characters"),
        ('{"format": ' + "9" * 400 + "}", "newer version"),
        ("PK\x03\x04", "not valid JSON"),
        ("[" + "[]," * 2_000_001 + "0]", "more than the 4000000"),
    ],
)
def test_texts_that_are_no_projects_are_refused_with_a_sentence(text, what):
    found = problems(text)
    assert what in found[0]
    assert len(found[0]) < 400


def test_nesting_up_to_the_limit_is_read():
    deep = "[" * 61 + "]" * 61
    assert loads('{"format": 1, "graphs": {"main": {}}, "x": ' + deep + "}")


def test_a_file_that_is_too_large_is_not_even_parsed(tmp_path, monkeypatch):
    monkeypatch.setattr("graphstudio.document.format.MAX_FILE_BYTES", 1000)
    path = tmp_path / "big.gsproj"
    path.write_bytes(b"{" + b" " * 2000)
    with pytest.raises(FormatError, match="larger than"):
        load(path)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "x.gsproj"
    path.write_bytes(b'{"format": 1, "x": "\xff"}')
    with pytest.raises(FormatError, match="UTF-8"):
        load(path)


def test_a_byte_order_mark_does_no_harm(tmp_path):
    path = tmp_path / "x.gsproj"
    path.write_bytes(b"\xef\xbb\xbf" + dumps(full_document()).encode("utf-8"))
    assert load(path).document.main == full_document().main


def test_too_many_nodes_are_refused(monkeypatch):
    monkeypatch.setattr("graphstudio.document.format.MAX_NODES", 2)
    assert "more than the 2" in problems(body())[0]


def test_a_file_full_of_errors_gives_a_readable_number_of_them():
    nodes = {f"n{i}": 1 for i in range(5000)}
    found = problems({"format": 1, "graphs": {"main": {"nodes": nodes}}})
    assert len(found) == limits.MAX_PROBLEMS


def test_every_truncation_is_refused():
    text = dumps(full_document())
    for end in range(0, len(text.rstrip()) - 1, 37):
        with pytest.raises(FormatError):
            loads(text[:end])


def test_migrations_run_one_after_the_other():
    steps = {
        1: lambda b: {**b, "trail": "1"},
        2: lambda b: {**b, "trail": b["trail"] + "2"},
    }
    assert migrate({"format": 1}, steps=steps, newest=3) == {"format": 3, "trail": "12"}
    assert migrate({"format": 3}, steps=steps, newest=3) == {"format": 3}
    with pytest.raises(FormatError, match="too old"):
        migrate({"format": 1}, steps={}, newest=2)


class Mutator:
    """Changes a project in ways that a broken or hostile writer would."""

    VALUES = (
        None,
        True,
        -1,
        0,
        1e308,
        2**60,
        "",
        "x" * 5000,
        "a1",
        [],
        {},
        [[]],
        {"": 0},
        ["a1", "y"],
        "\x00",
        "../../etc",
        "layer.conv2d",
        "__class__",
        {"$float": "nan"},
    )

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def places(self, value, found):
        if isinstance(value, dict):
            for key in value:
                found.append((value, key))
                self.places(value[key], found)
        elif isinstance(value, list):
            for index in range(len(value)):
                found.append((value, index))
                self.places(value[index], found)
        return found

    def mutate(self, value):
        value = copy.deepcopy(value)
        for _ in range(self.random.randint(1, 4)):
            places = self.places(value, [])
            if not places:
                break
            holder, key = self.random.choice(places)
            match self.random.randint(0, 4):
                case 0:
                    del holder[key]
                case 1:
                    holder[key] = self.random.choice(self.VALUES)
                case 2:
                    other, at = self.random.choice(places)
                    if (isinstance(other, dict) and at in other) or (
                        isinstance(other, list) and at < len(other)
                    ):
                        holder[key] = copy.deepcopy(other[at])
                case 3 if isinstance(holder, dict):
                    holder[self.random.choice(["x", "", "nodes", "a1"])] = holder.pop(key)
                case _:
                    if isinstance(holder, list):
                        holder.insert(key, self.random.choice(self.VALUES))
                    else:
                        holder[f"{key}_"] = self.random.choice(self.VALUES)
        return value


def never_raises_anything_else(text: str) -> None:
    started = time.perf_counter()
    found = None
    try:
        document = loads(text).document
    except FormatError as error:
        found = [str(p) for p in error.problems]
    if found is not None:
        assert found
        assert all(found)
    else:
        written = dumps(document)
        assert dumps(loads(written).document) == written
        written.encode("utf-8")
    assert time.perf_counter() - started < 2.0


@settings(max_examples=600)
@given(st.integers(0, 2**32))
def test_mutated_projects_never_raise_anything_but_format_error(seed):
    never_raises_anything_else(json.dumps(Mutator(seed).mutate(body())))


@settings(max_examples=300)
@given(st.binary(max_size=40), st.integers(0, 10_000), st.integers(0, 30))
def test_damaged_bytes_never_raise_anything_but_format_error(data, start, length):
    raw = dumps(full_document()).encode("utf-8")
    start %= len(raw)
    damaged = raw[:start] + data + raw[start + length :]
    try:
        text = damaged.decode("utf-8")
    except UnicodeDecodeError:
        return  # ``load`` refuses these before they are parsed
    never_raises_anything_else(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=20,
)


@settings(max_examples=200)
@given(st.sampled_from(["graphs", "data", "training", "settings", "view", "x"]), json_values)
def test_any_json_in_any_place_is_read_or_refused(name, value):
    changed = body()
    changed[name] = value
    never_raises_anything_else(json.dumps(changed))
