import copy
import time

import networkx
from hypothesis import given, settings
from hypothesis import strategies as st

from graphstudio.document import commands
from graphstudio.document.history import History
from graphstudio.document.model import MAIN, Document, GraphRecord, Node, Wire
from graphstudio.document.tables import NodeTable, WireTable


def wire(source: str, target: str, port: str = "x") -> Wire:
    return Wire(source=source, source_port="y", target=target, target_port=port)


def node(name: str, label: str) -> Node:
    return Node(id=name, type="act.relu", label=label)


names = st.sampled_from("abcdef")
operations = st.lists(st.tuples(st.sampled_from(["set", "del", "pop", "update"]), names, names))


@given(operations)
def test_wires_are_found_from_both_ends_after_any_operations(steps):
    table = WireTable()
    for what, source, target in steps:
        new = wire(source, target)
        match what:
            case "set":
                table[new.key] = new
            case "update":
                table.update({new.key: new})
            case "del" if new.key in table:
                del table[new.key]
            case "pop":
                table.pop(new.key, None)
    for index, end in ((table.leaving, "source"), (table.entering, "target")):
        expected: dict[str, dict] = {}
        for key, value in table.items():
            expected.setdefault(getattr(value, end), {})[key] = value
        assert index == expected


@given(operations)
def test_labels_are_counted_after_any_operations(steps):
    table = NodeTable()
    for what, name, label in steps:
        match what:
            case "set" | "update":
                table[name] = node(name, label)
            case "del" if name in table:
                del table[name]
            case "pop":
                table.pop(name, None)
    labels = [n.label for n in table.values()]
    assert table.labels == {label: labels.count(label) for label in labels}


@settings(max_examples=200)
@given(st.lists(st.tuples(names, names), max_size=12), names, names)
def test_reaching_is_what_networkx_says(pairs, start, goal):
    table = WireTable()
    for port, (source, target) in enumerate(pairs):
        new = wire(source, target, f"x{port}")
        table[new.key] = new
    graph = networkx.DiGraph(pairs)
    graph.add_nodes_from("abcdef")
    assert table.reaches(start, goal) == networkx.has_path(graph, start, goal)


def test_a_plain_dictionary_handed_to_a_graph_is_indexed():
    graph = GraphRecord(id=MAIN, nodes={"a": node("a", "A")}, wires={})
    assert graph.nodes.labels == {"A": 1}
    graph.wires = {("b", "x"): wire("a", "b")}
    assert list(graph.wires_of("a")) == [wire("a", "b")]


def test_copies_have_their_own_index():
    table = NodeTable({"a": node("a", "A"), "b": node("b", "B")})
    for other in (copy.copy(table), copy.deepcopy(table), table.copy()):
        del other["a"]
        assert other.labels == {"B": 1}
    assert table.labels == {"A": 1, "B": 1}
    assert table.popitem()[0] == "b"
    assert table.setdefault("a") == node("a", "A")
    table.clear()
    assert table.labels == {}


def test_thousands_of_nodes_are_edited_in_a_moment():
    """Every edit must cost what it touches: quadratic ones took minutes here."""
    document = Document()
    history = History(document)
    graph = document.main
    for i in range(3000):
        graph.nodes[f"n{i}"] = node(f"n{i}", f"ReLU {i + 2}")
        if i:
            graph.wires[f"n{i}", "x"] = wire(f"n{i - 1}", f"n{i}")
    ids = list(graph.nodes)
    started = time.perf_counter()
    history.push(*commands.paste(document, MAIN, commands.copy(document, MAIN, ids), (0, 0)))
    history.push(*commands.remove_nodes(document, MAIN, ids[1:-1], heal=True))
    history.push(*commands.duplicate(document, MAIN, list(graph.nodes), (10, 10)))
    while history.undo_name is not None:
        history.undo()
    assert time.perf_counter() - started < 10.0  # 1 to 2 s; quadratic: over 100 s
    assert list(graph.nodes) != []
    assert len(graph.wires) == 2999
