import dataclasses
import json

import pytest

from graphstudio.document import commands
from graphstudio.document.changes import AddNode
from graphstudio.document.format import dumps, loads
from graphstudio.document.history import History
from graphstudio.document.model import MAIN, Choice, DataSpec, Document, DocumentError, Phase


class Editor:
    """A document edited by commands."""

    def __init__(self) -> None:
        self.document = Document()
        self.history = History(self.document)

    @property
    def graph(self):
        return self.document.main

    def do(self, command: commands.Command) -> list[str]:
        """Carry out a command; ids of the nodes that it added."""
        self.history.push(*command)
        return [c.node.id for c in command[1] if isinstance(c, AddNode)]

    def add(self, type_id: str, **options) -> str:
        return self.do(commands.add_node(self.document, MAIN, type_id, (0, 0), **options))[0]

    def ends(self) -> set[tuple[str, str, str]]:
        """(source label, target label, port) of all wires."""
        nodes = self.graph.nodes
        return {
            (nodes[w.source].label, nodes[w.target].label, w.target_port)
            for w in self.graph.wires.values()
        }

    def labels(self) -> list[str]:
        return [n.label for n in self.graph.nodes.values()]


@pytest.fixture
def editor() -> Editor:
    return Editor()


@pytest.fixture
def chain(editor) -> tuple[Editor, dict[str, str]]:
    """Input > Dense > ReLU > Dense 2 > CrossEntropy, and a Target."""
    x = editor.add("io.input")
    a = editor.add("layer.dense", connect_from=(x, "y"))
    r = editor.add("act.relu", connect_from=(a, "y"))
    b = editor.add("layer.dense", connect_from=(r, "y"))
    loss = editor.add("loss.cross_entropy", connect_from=(b, "y"))
    t = editor.add("io.target", connect_from=(loss, "target"))
    return editor, {"x": x, "a": a, "r": r, "b": b, "loss": loss, "t": t}


def test_labels_are_made_unique(editor):
    for _ in range(3):
        editor.add("layer.conv2d")
    editor.add("layer.conv2d", label="stem")
    editor.add("layer.conv2d", label="stem")
    assert editor.labels() == ["Conv2D", "Conv2D 2", "Conv2D 3", "stem", "stem 2"]


def test_a_new_node_is_wired_to_the_port_it_was_drawn_from(chain):
    editor, ids = chain
    assert editor.ends() == {
        ("Input", "Dense", "x"),
        ("Dense", "ReLU", "x"),
        ("ReLU", "Dense 2", "x"),
        ("Dense 2", "CrossEntropy", "prediction"),
        ("Target", "CrossEntropy", "target"),
    }
    loss = editor.add("loss.mse", connect_from=(ids["t"], "y"))
    assert (loss, "target") in editor.graph.wires


def test_a_node_drawn_from_an_input_replaces_its_wire(chain):
    editor, ids = chain
    tanh = editor.add("act.tanh", connect_from=(ids["b"], "x"))
    assert editor.graph.wires[ids["b"], "x"].source == tanh


def test_an_unknown_type_is_refused_when_pushed(editor):
    command = commands.add_node(editor.document, MAIN, "layer.warp", (0, 0))
    with pytest.raises(DocumentError, match=r"layer\.warp"):
        editor.do(command)


def test_deleting_takes_the_wires_along(chain):
    editor, ids = chain
    editor.do(commands.remove_nodes(editor.document, MAIN, [ids["r"], ids["r"], "gone"]))
    assert editor.ends() == {
        ("Input", "Dense", "x"),
        ("Dense 2", "CrossEntropy", "prediction"),
        ("Target", "CrossEntropy", "target"),
    }


def test_healing_joins_what_the_deleted_nodes_stood_between(chain):
    editor, ids = chain
    editor.do(commands.remove_nodes(editor.document, MAIN, [ids["a"], ids["r"]], heal=True))
    assert ("Input", "Dense 2", "x") in editor.ends()
    assert len(editor.graph.wires) == 3


def test_healing_a_merge_keeps_its_first_input(editor):
    x = editor.add("io.input")
    z = editor.add("io.input")
    total = editor.add("merge.add", connect_from=(x, "y"))
    editor.do(commands.connect(editor.document, MAIN, z, "y", total, "b"))
    editor.add("act.relu", connect_from=(total, "y"))
    editor.do(commands.remove_nodes(editor.document, MAIN, [total], heal=True))
    assert editor.ends() == {("Input", "ReLU", "x")}


def test_deleted_nodes_are_forgotten_by_the_training(chain):
    editor, ids = chain
    phase = Phase(losses={ids["loss"]: 2.0}, frozen=(ids["a"],))
    editor.do(commands.set_phase(editor.document, 0, losses=phase.losses, frozen=phase.frozen))
    before = dumps(editor.document)
    editor.do(commands.remove_nodes(editor.document, MAIN, [ids["loss"], ids["a"]]))
    assert editor.document.training.phases[0].losses == {}
    assert editor.document.training.phases[0].frozen == ()
    editor.history.undo()
    assert dumps(editor.document) == before


def test_connecting_replaces_the_wire_in_one_step(chain):
    editor, ids = chain
    editor.do(commands.connect(editor.document, MAIN, ids["x"], "y", ids["b"], "x"))
    assert ("Input", "Dense 2", "x") in editor.ends()
    editor.history.undo()
    assert ("ReLU", "Dense 2", "x") in editor.ends()
    again = commands.connect(editor.document, MAIN, ids["r"], "y", ids["b"], "x")
    assert again[1] == []


def test_a_cycle_is_refused_and_the_old_wire_stays(chain):
    editor, ids = chain
    before = dumps(editor.document)
    with pytest.raises(DocumentError, match="cycle"):
        editor.do(commands.connect(editor.document, MAIN, ids["b"], "y", ids["a"], "x"))
    assert dumps(editor.document) == before


def test_inserting_a_new_node_on_a_wire(chain):
    editor, ids = chain
    key = (ids["b"], "x")
    new = editor.do(commands.insert_on_wire(editor.document, MAIN, "layer.dropout", key, (50, 60)))[
        0
    ]
    assert editor.graph.nodes[new].position == (50.0, 60.0)
    assert ("ReLU", "Dropout", "x") in editor.ends()
    assert ("Dropout", "Dense 2", "x") in editor.ends()


def test_a_node_on_a_led_wire_has_the_dots_before_it_before_it(chain):
    editor, ids = chain
    key = (ids["b"], "x")
    source, target = (0.0, 0.0), (400.0, 0.0)
    editor.do(commands.move_nodes(editor.document, MAIN, {ids["r"]: source, ids["b"]: target}))
    dots = [(source[0], 300.0), (target[0], 300.0)]
    editor.do(commands.set_route(editor.document, MAIN, key, dots))
    before = dumps(editor.document)
    middle = ((source[0] + target[0]) / 2, 290.0)
    command = commands.insert_on_wire(editor.document, MAIN, "layer.dropout", key, middle)
    (new,) = editor.do(command)
    assert editor.graph.wires[new, "x"].route == (dots[0],)
    assert editor.graph.wires[key].route == (dots[1],)
    editor.history.undo()
    assert dumps(editor.document) == before
    at_the_end = (target[0] + 1.0, 20.0)
    command = commands.insert_on_wire(editor.document, MAIN, "layer.dropout", key, at_the_end)
    (new,) = editor.do(command)
    assert editor.graph.wires[new, "x"].route == tuple(dots)
    assert editor.graph.wires[key].route == ()


def test_inserting_an_existing_node_moves_it_there(chain):
    editor, ids = chain
    drop = editor.add("layer.dropout")
    editor.do(commands.insert_on_wire(editor.document, MAIN, drop, (ids["r"], "x"), (5, 6)))
    assert ("Dense", "Dropout", "x") in editor.ends()
    assert ("Dropout", "ReLU", "x") in editor.ends()
    assert editor.graph.nodes[drop].position == (5.0, 6.0)


@pytest.mark.parametrize("what", ["io.input", "layer.warp"])
def test_what_has_no_input_cannot_be_inserted(chain, what):
    editor, ids = chain
    with pytest.raises(DocumentError):
        editor.do(commands.insert_on_wire(editor.document, MAIN, what, (ids["r"], "x"), (0, 0)))


def test_a_parameter_at_its_default_is_not_stored(chain):
    editor, ids = chain
    editor.do(commands.set_param(editor.document, MAIN, [ids["a"], ids["b"]], "units", 7))
    assert [editor.graph.nodes[ids[k]].params for k in "ab"] == [{"units": 7}] * 2
    editor.do(commands.set_param(editor.document, MAIN, [ids["a"]], "units", 64))
    assert editor.graph.nodes[ids["a"]].params == {}
    editor.do(commands.reset_param(editor.document, MAIN, [ids["b"]], "units"))
    assert editor.graph.nodes[ids["b"]].params == {}


def test_setting_what_is_set_already_is_no_step(chain):
    editor, ids = chain
    assert commands.set_param(editor.document, MAIN, [ids["a"]], "units", 64)[1] == []
    assert commands.set_param(editor.document, MAIN, [ids["x"]], "units", 3)[1] == []
    assert commands.reset_param(editor.document, MAIN, [ids["a"]], "units")[1] == []
    assert commands.move_nodes(editor.document, MAIN, {ids["a"]: (0, 0)})[1] == []
    assert commands.set_fields(editor.document, MAIN, [ids["a"]], bypass=False)[1] == []
    assert commands.set_data(editor.document, editor.document.data)[1] == []


def test_fewer_inputs_take_their_wires_along(editor):
    x = editor.add("io.input")
    total = editor.add("merge.add", params={"num_inputs": 3}, connect_from=(x, "y"))
    for port in "bc":
        editor.do(commands.connect(editor.document, MAIN, x, "y", total, port))
    editor.do(commands.reset_param(editor.document, MAIN, [total], "num_inputs"))
    assert {key[1] for key in editor.graph.wires} == {"a", "b"}
    editor.history.undo()
    assert {key[1] for key in editor.graph.wires} == {"a", "b", "c"}


def test_renaming(chain):
    editor, ids = chain
    editor.do(commands.rename(editor.document, MAIN, ids["a"], "  stem \n of it "))
    assert editor.graph.nodes[ids["a"]].label == "stem of it"
    with pytest.raises(DocumentError, match="taken"):
        editor.do(commands.rename(editor.document, MAIN, ids["b"], "stem of it"))
    editor.do(commands.rename(editor.document, MAIN, ids["a"], "  "))
    assert editor.graph.nodes[ids["a"]].label == "Dense"


def test_half_a_character_never_reaches_the_file(chain):
    editor, ids = chain
    editor.do(commands.rename(editor.document, MAIN, ids["a"], "a\ud800b"))
    editor.do(commands.set_fields(editor.document, MAIN, [ids["a"]], comment="\udfff"))
    text = dumps(editor.document)
    assert loads(text).document.main == editor.graph
    text.encode("utf-8")


def test_positions_are_tidy_and_finite(editor):
    a = editor.add("act.relu")
    positions = {a: (float("nan"), 1e300)}
    editor.do(commands.move_nodes(editor.document, MAIN, positions))
    assert editor.graph.nodes[a].position == (0.0, 1e7)
    editor.do(commands.move_nodes(editor.document, MAIN, {a: (-0.01, 1.26)}))
    assert repr(editor.graph.nodes[a].position) == "(0.0, 1.3)"


def test_copies_keep_inner_wires_and_get_new_ids_and_names(chain):
    editor, ids = chain
    text = commands.copy(editor.document, MAIN, [ids["a"], ids["r"]])
    new = editor.do(commands.paste(editor.document, MAIN, text, (300, 100)))
    assert set(new).isdisjoint(ids.values())
    assert editor.labels()[-2:] == ["Dense 3", "ReLU 2"]
    assert ("Dense 3", "ReLU 2", "x") in editor.ends()
    assert not any(target == "Dense 3" for _, target, _ in editor.ends())
    assert min(editor.graph.nodes[n].position for n in new) == (300.0, 100.0)


def test_pasting_with_inputs_joins_the_old_sources(chain):
    editor, ids = chain
    text = commands.copy(editor.document, MAIN, [ids["a"]])
    editor.do(commands.paste(editor.document, MAIN, text, (0, 0), keep_inputs=True))
    assert ("Input", "Dense 3", "x") in editor.ends()


def test_pasting_into_another_project_leaves_foreign_sources_out(chain):
    editor, ids = chain
    text = commands.copy(editor.document, MAIN, [ids["a"]])
    other = Editor()
    other.do(commands.paste(other.document, MAIN, text, (0, 0), keep_inputs=True))
    assert other.labels() == ["Dense"]
    assert other.ends() == set()


def test_duplicating_keeps_the_arrangement(chain):
    editor, ids = chain
    editor.do(commands.move_nodes(editor.document, MAIN, {ids["r"]: (40, 50)}))
    chosen = [ids["a"], ids["r"]]
    new = editor.do(commands.duplicate(editor.document, MAIN, chosen, (10, 20)))
    assert [editor.graph.nodes[n].position for n in new] == [(10.0, 20.0), (50.0, 70.0)]
    assert ("Dense 3", "ReLU 2", "x") in editor.ends()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "[1, 2]",
        "{}",
        '{"kind": "graphstudio/nodes", "nodes": {"a": 1}}',
        '{"kind": "graphstudio/nodes", "nodes": {"a": {"type": "act.relu"}}}',
        '{"kind": "graphstudio/nodes", "wires": [1]}',
        '{"kind": "graphstudio/nodes", "nodes": ' + "[" * 100_000,
    ],
)
def test_a_clipboard_with_anything_else_is_refused(editor, text):
    with pytest.raises(commands.ClipboardError):
        commands.paste(editor.document, MAIN, text, (0, 0))


def test_wires_of_a_clipboard_that_end_nowhere_are_dropped(editor):
    node = {"type": "act.relu", "label": "ReLU"}
    wires = [{"from": ["zz", "y"], "to": ["a", "x"]}]
    body = {"kind": "graphstudio/nodes", "nodes": {"a": node}, "wires": wires}
    editor.do(commands.paste(editor.document, MAIN, json.dumps(body), (0, 0)))
    assert editor.labels() == ["ReLU"]
    assert editor.ends() == set()


def test_frames_are_added_moved_and_removed(editor):
    a = editor.add("act.relu")
    editor.do(commands.add_frame(editor.document, MAIN, (0, 0, 100, 80), title="Stem"))
    frame = next(iter(editor.graph.frames))
    moved = {a: (30.0, 40.0)}
    editor.do(commands.move_frame(editor.document, MAIN, frame, (30, 40, 100, 5), nodes=moved))
    assert editor.graph.frames[frame].rect == (30.0, 40.0, 100.0, 20.0)
    assert editor.graph.nodes[a].position == (30.0, 40.0)
    editor.do(commands.set_frame(editor.document, MAIN, frame, title="Head", color="#123456"))
    assert editor.graph.frames[frame].title == "Head"
    editor.do(commands.remove_frame(editor.document, MAIN, frame))
    assert editor.graph.frames == {}
    for _ in range(4):
        editor.history.undo()
    assert editor.graph.frames == {}
    assert editor.graph.nodes[a].position == (0.0, 0.0)


def test_rerouting_a_wire_keeps_its_ends(chain):
    editor, ids = chain
    key = (ids["r"], "x")
    ends = editor.ends()
    editor.do(commands.set_route(editor.document, MAIN, key, [(10.04, 20.0)]))
    assert editor.graph.wires[key].route == ((10.0, 20.0),)
    editor.do(commands.set_route(editor.document, MAIN, key, [(10.0, 20.0)] * 100))
    with pytest.raises(DocumentError, match="101 dots; at most 100"):
        editor.do(commands.set_route(editor.document, MAIN, key, [(10.0, 20.0)] * 101))
    assert editor.ends() == ends


def test_data_training_and_settings(editor):
    data = DataSpec(source="digits", options={"list": [1, 2]})
    editor.do(commands.set_data(editor.document, data))
    assert editor.document.data.options == {"list": (1, 2)}
    training = dataclasses.replace(editor.document.training, batch_size=7)
    editor.do(commands.set_training(editor.document, training))
    editor.do(commands.set_phase(editor.document, 0, optimizer=Choice(kind="sgd"), epochs=3))
    editor.do(commands.set_settings(editor.document, {"a": 1}))
    assert editor.document.training.batch_size == 7
    assert editor.document.training.phases[0].epochs == 3
    while editor.history.undo_name is not None:
        editor.history.undo()
    assert dumps(editor.document) == dumps(Document())


def test_names_of_steps_say_what_was_done(chain):
    editor, ids = chain
    names = [
        str(commands.remove_nodes(editor.document, MAIN, [ids["a"]])[0]),
        str(commands.remove_nodes(editor.document, MAIN, [ids["a"], ids["r"]])[0]),
        str(commands.set_param(editor.document, MAIN, [ids["a"]], "units", 3)[0]),
        str(commands.connect(editor.document, MAIN, ids["x"], "y", ids["r"], "x")[0]),
    ]
    assert names == [
        "Delete 'Dense'",
        "Delete 2 nodes",
        "Set Units",
        "Connect 'Input' to 'ReLU'",
    ]
