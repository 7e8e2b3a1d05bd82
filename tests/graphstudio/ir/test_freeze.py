from graphstudio.document import commands
from graphstudio.document.format import dumps, loads
from graphstudio.document.model import MAIN
from graphstudio.ir.check import Checker
from graphstudio.ir.graph import Source
from tests.graphstudio.ir.drawing import Drawing, classifier, digits


def test_nodes_come_after_what_feeds_them():
    d, _ = classifier()
    graph = d.checker.freeze()
    seen = set()
    for node in graph.nodes:
        assert all(s.node in seen for s in node.inputs if s is not None)
        seen.add(node.id)


def test_order_and_names_do_not_depend_on_how_the_graph_was_drawn():
    d, ids = classifier()
    reloaded = loads(dumps(d.document)).document
    again = Checker(reloaded, digits).freeze()
    assert again == d.checker.freeze()
    assert [n.name for n in again.nodes] == [
        "input_1",
        "conv2d",
        "relu",
        "max_pool2d",
        "flatten",
        "dense",
        "target",
        "cross_entropy",
    ]
    assert ids


def test_the_predictions_are_what_the_loss_reads():
    d, ids = classifier()
    softmax = d.add("act.softmax", after=ids["dense"])
    graph = d.checker.freeze()
    assert {n.id for n in graph.predictions} == {ids["dense"], softmax}


def test_bypassed_nodes_are_left_out_and_their_wires_joined():
    d, ids = classifier()
    more = [d.add("act.relu", after=ids["relu"])]
    more.append(d.add("act.tanh", after=more[0]))
    d.wire(more[-1], ids["pool"])
    bypassed = [ids["relu"], *more]
    d.push(commands.set_fields(d.document, MAIN, bypassed, bypass=True))
    graph = d.checker.freeze()
    assert graph.by_id[ids["pool"]].inputs == (Source(ids["conv"]),)
    assert set(bypassed).isdisjoint(graph.by_id)


def test_a_long_chain_of_bypassed_nodes_is_no_recursion():
    d = Drawing()
    last = d.add("io.input")
    changes = []
    from graphstudio.document.changes import AddNode, AddWire
    from graphstudio.document.model import Node, Wire

    for i in range(3000):
        node = Node(id=f"r{i}", type="act.relu", label=f"r{i}", bypass=True)
        wire = Wire(source=last, source_port="y", target=node.id, target_port="x")
        changes += [AddNode(MAIN, node), AddWire(MAIN, wire)]
        last = node.id
    for change in changes:  # one by one the document would look for cycles each time
        if isinstance(change, AddNode):
            d.document.main.nodes[change.node.id] = change.node
        else:
            d.document.main.wires[change.wire.key] = change.wire
    d.result = d.checker.check()
    flat = d.add("shape.flatten", after=last)
    dense = d.add("layer.dense", after=flat, units=10)
    loss = d.add("loss.cross_entropy", after=dense)
    d.wire(d.add("io.target"), loss, "target")
    graph = d.checker.freeze()
    assert [n.name for n in graph.nodes[:3]] == ["input_1", "flatten", "dense"]


def test_types_are_those_that_were_shown():
    d, ids = classifier()
    node = d.checker.freeze().by_id[ids["pool"]]
    shown = d.result.nodes[ids["pool"]].output_types["y"]
    assert node.output_types == (shown,)
    assert node.input_types == (d.result.nodes[ids["relu"]].output_types["y"],)
