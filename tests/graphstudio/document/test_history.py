import itertools

import pytest

from graphstudio.document import commands
from graphstudio.document.changes import AddNode, AddWire, RemoveNode, SetNode
from graphstudio.document.format import dumps
from graphstudio.document.history import History
from graphstudio.document.model import MAIN, ChangeSet, Document, DocumentError, Node, Wire


def node(name: str) -> Node:
    return Node(id=name, type="act.relu", label=name)


def wire(source: str, target: str) -> Wire:
    return Wire(source=source, source_port="y", target=target, target_port="x")


def chain(*names: str) -> History:
    history = History(Document())
    history.push("nodes", [AddNode(MAIN, node(n)) for n in names])
    for pair in itertools.pairwise(names):
        history.push("wire", [AddWire(MAIN, wire(*pair))])
    return history


def test_a_transaction_that_fails_half_way_leaves_nothing_behind():
    history = chain("a", "b")
    before = dumps(history.document)
    names = list(history.names)
    with pytest.raises(DocumentError, match="cycle"):
        history.push("two", [SetNode(MAIN, "a", {"label": "z"}), AddWire(MAIN, wire("b", "a"))])
    assert dumps(history.document) == before
    assert list(history.names) == names


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (AddNode(MAIN, node("a")), "exists already"),
        (AddNode(MAIN, Node(id="new", type="act.relu", label="a")), "taken"),
        (RemoveNode(MAIN, "a"), "still has wires"),
        (RemoveNode(MAIN, "gone"), "no node"),
        (AddWire(MAIN, wire("a", "b")), "has a wire already"),
        (AddWire(MAIN, wire("c", "a")), "cycle"),
        (AddWire(MAIN, wire("a", "gone")), "no node"),
        (SetNode(MAIN, "a", {"label": "b"}), "taken"),
        (SetNode(MAIN, "a", {"id": "b"}), "never changes"),
        (AddNode("elsewhere", node("x")), "no graph"),
    ],
)
def test_the_document_refuses_what_would_break_its_rules(change, reason):
    history = chain("a", "b", "c")
    before = dumps(history.document)
    with pytest.raises(DocumentError, match=reason):
        history.push("bad", [change])
    assert dumps(history.document) == before


def test_steps_with_one_merge_key_become_one():
    history = chain("a")
    before = dumps(history.document)
    for x in range(5):
        command = commands.move_nodes(history.document, MAIN, {"a": (x + 1.0, 0.0)})
        history.push(*command, merge="drag")
    assert len(list(history.names)) == 2
    history.undo()
    assert dumps(history.document) == before
    history.redo()
    assert history.document.main.nodes["a"].position == (5.0, 0.0)


def test_a_closed_merge_starts_a_new_step():
    history = chain("a")
    for x in (1.0, 2.0):
        history.push(*commands.move_nodes(history.document, MAIN, {"a": (x, 0.0)}), merge="drag")
        history.close_merge()
    assert len(list(history.names)) == 3


def test_clean_follows_the_saved_state_through_undo_and_redo():
    history = chain("a", "b")
    assert not history.clean
    history.mark_clean()
    assert history.clean
    history.undo()
    assert not history.clean
    history.redo()
    assert history.clean
    history.undo()
    history.push("other", [AddNode(MAIN, node("z"))])
    history.undo()
    assert not history.clean  # the saved state can no longer be reached


def test_a_step_is_not_merged_into_what_was_saved():
    history = chain("a")
    history.push(*commands.move_nodes(history.document, MAIN, {"a": (1.0, 0.0)}), merge="drag")
    history.mark_clean()
    history.push(*commands.move_nodes(history.document, MAIN, {"a": (2.0, 0.0)}), merge="drag")
    assert not history.clean
    history.undo()
    assert history.clean


def test_recovered_work_is_never_clean():
    history = History(Document())
    assert history.clean
    history.mark_unclean()
    assert not history.clean
    history.mark_clean()
    assert history.clean


def test_listeners_hear_one_coalesced_change_set():
    history = History(Document())
    heard: list[ChangeSet] = []
    history.subscribe(heard.append)
    history.push("two", [AddNode(MAIN, node("a")), AddNode(MAIN, node("b"))])
    assert heard == [ChangeSet(nodes=frozenset({(MAIN, "a"), (MAIN, "b")}))]
    history.undo()
    assert heard[1] == heard[0]
    history.unsubscribe(heard.append)
    history.redo()
    assert len(heard) == 2


def test_moving_and_changing_a_node_counts_as_a_change():
    history = chain("a")
    changes = history.push(
        "x", [SetNode(MAIN, "a", {"position": (1.0, 1.0)}), SetNode(MAIN, "a", {"bypass": True})]
    )
    assert changes.nodes == {(MAIN, "a")}
    assert not changes.moved


def test_undo_and_redo_of_nothing_change_nothing():
    history = History(Document())
    assert history.undo().empty
    assert history.redo().empty
    assert history.undo_name is None
    assert history.redo_name is None
