import pytest

from graphstudio.document import commands
from graphstudio.document.model import MAIN, DocumentError
from graphstudio.ir.diagnostics import Diagnostic
from graphstudio.ir.fixes import fix_changes
from graphstudio.nodes.types import Message, SetParam, TensorType
from tests.graphstudio.ir.drawing import Drawing, classifier


def mend(d: Drawing, number: int = 0, code: str | None = None) -> None:
    """Apply the first fix of the first diagnostic (with this code), as a click does."""
    diagnostic = next(x for x in d.result.diagnostics if x.fixes and code in (None, x.code))
    d.push(fix_changes(d.document, MAIN, diagnostic, diagnostic.fixes[number]))


def test_insert_flatten():
    d = Drawing()
    x = d.add("io.input")
    conv = d.add("layer.conv2d", after=x)
    dense = d.add("layer.dense", after=conv)
    mend(d)
    wire = d.document.main.wires[dense, "x"]
    assert d.document.main.nodes[wire.source].type == "shape.flatten"
    assert d.result.nodes[dense].output_types["y"] == TensorType(("N", 64))
    d.follow(d.history.undo())
    assert d.document.main.wires[dense, "x"].source == conv


def test_an_inserted_node_lies_on_nobody_and_everything_moves_back_by_one_undo():
    d = Drawing()
    ids = [d.add("io.input")]
    for type_id in ("layer.conv2d", "layer.dense", "act.relu"):
        ids.append(d.add(type_id, after=ids[-1]))
    aside = d.add("act.tanh")
    d.push(commands.move_nodes(d.document, MAIN, {aside: (320.0, 0.0)}))
    before = {n.id: n.position for n in d.document.main.nodes.values()}
    mend(d)
    after = {n.id: n.position for n in d.document.main.nodes.values()}
    (new,) = after.keys() - before.keys()
    for other in before:
        across, down = (abs(p - q) for p, q in zip(after[new], after[other], strict=True))
        assert across > 180 or down > 80
    assert after[ids[1]][0] + 180 < after[new][0]
    assert after[new][0] + 180 < after[ids[2]][0]
    assert after[ids[3]][0] - after[ids[2]][0] == before[ids[3]][0] - before[ids[2]][0]
    assert after[aside] == before[aside]
    d.follow(d.history.undo())
    assert {n.id: n.position for n in d.document.main.nodes.values()} == before


def test_dots_go_along_when_room_is_made():
    d = Drawing()
    ids = [d.add("io.input")]
    for type_id in ("layer.conv2d", "layer.dense", "act.relu"):
        ids.append(d.add(type_id, after=ids[-1]))
    nodes, wires = d.document.main.nodes, d.document.main.wires
    behind, before = (ids[3], "x"), (ids[1], "x")
    x = nodes[ids[3]].position[0]
    d.push(commands.set_route(d.document, MAIN, behind, [(x - 20.0, 90.0), (x - 10.0, 50.0)]))
    d.push(commands.set_route(d.document, MAIN, before, [(10.0, 90.0)]))
    mend(d)
    moved = nodes[ids[3]].position[0]
    assert moved > x
    assert wires[behind].route == ((moved - 20.0, 90.0), (moved - 10.0, 50.0))
    assert wires[before].route == ((10.0, 90.0),)


def test_a_fix_keeps_the_dots_of_the_wire_that_it_mends():
    d = Drawing()
    x = d.add("io.input")
    conv = d.add("layer.conv2d", after=x)
    dense = d.add("layer.dense", after=conv)
    nodes, wires = d.document.main.nodes, d.document.main.wires
    start, end = nodes[conv].position, nodes[dense].position
    dots = [(start[0] + 1.0, 200.0), (end[0] - 1.0, 200.0)]
    d.push(commands.set_route(d.document, MAIN, (dense, "x"), dots))
    mend(d)
    flatten = wires[dense, "x"].source
    moved = nodes[dense].position[0] - end[0]
    assert moved > 0
    assert wires[flatten, "x"].route + wires[dense, "x"].route == (
        (start[0] + 1.0, 200.0),
        (end[0] - 1.0 + moved * bool(wires[dense, "x"].route), 200.0),
    )


def test_room_for_an_inserted_node_is_made_in_its_row_and_frames_keep_their_nodes():
    d = Drawing()
    x = d.add("io.input")
    conv = d.add("layer.conv2d", after=x)
    dense = d.add("layer.dense", after=conv)
    relu = d.add("act.relu", after=dense)
    below = d.add("act.tanh", after=relu)
    end = d.add("act.tanh", after=below)
    ids = (x, conv, dense, relu, below, end)
    places = [(0.0, 0.0), (300.0, 0.0), (560.0, 0.0), (860.0, 0.0), (0.0, 300.0), (860.0, 300.0)]
    d.push(commands.move_nodes(d.document, MAIN, dict(zip(ids, places, strict=True))))
    frames = {}
    for title, rect in {
        "around both": (280.0, -60.0, 500.0, 200.0),
        "what moves": (840.0, -60.0, 240.0, 200.0),
        "next row": (-20.0, 240.0, 1200.0, 200.0),
    }.items():
        d.push(commands.add_frame(d.document, MAIN, rect, title=title))
        frames[title] = next(i for i, f in d.document.main.frames.items() if f.title == title)
    mend(d)
    nodes = d.document.main.nodes
    dx = nodes[dense].position[0] - 560
    assert dx > 0
    assert nodes[relu].position == (860 + dx, 0)
    assert [nodes[n].position for n in (below, end)] == places[4:], "the next row stays"
    rects = {title: d.document.main.frames[i].rect for title, i in frames.items()}
    assert rects == {
        "around both": (280, -60, 500 + dx, 200),
        "what moves": (840 + dx, -60, 240, 200),
        "next row": (-20, 240, 1200, 200),
    }


@pytest.mark.parametrize("number", [0, 1])
def test_project_a_shortcut_of_another_size(number):
    d = Drawing()
    x = d.add("io.input")
    a = d.add("layer.conv2d", after=x, filters=8)
    b = d.add("layer.conv2d", after=a, filters=16, stride=[2, 2])
    total = d.add("merge.add", after=b)
    d.wire(a, total, "b")
    assert [e.node for e in d.result.diagnostics if e.code == "shape"] == [total]
    titles = [str(fix.title) for fix in d.result.first_error.fixes]
    assert titles[0] == "Insert 1x1 Conv2D (16) on B"  # short, and the port as the node shows it
    if number == 1:  # a smaller image cannot be projected to a larger one by a 1x1 window
        assert len(d.result.first_error.fixes) == 1
        return
    mend(d)
    assert d.result.nodes[total].output_types["y"] == TensorType(("N", 16, 4, 4))
    new = d.document.main.nodes[d.document.main.wires[total, "b"].source]
    assert new.params == {
        "filters": 16,
        "kernel_size": (1, 1),
        "stride": (2, 2),
        "padding": "valid",
        "use_bias": False,
    }


def test_project_either_branch_when_only_channels_differ():
    for number, size in ((0, 8), (1, 16)):
        d = Drawing()
        x = d.add("io.input")
        a = d.add("layer.conv2d", after=x, filters=8)
        b = d.add("layer.conv2d", after=x, filters=16)
        total = d.add("merge.multiply", after=a)
        d.wire(b, total, "b")
        mend(d, number)
        assert d.result.nodes[total].output_types["y"].shape == ("N", size, 8, 8)


def test_project_a_dense_shortcut():
    d = Drawing()
    x = d.add("io.input", shape=[5])
    a = d.add("layer.dense", after=x, units=7)
    total = d.add("merge.add", after=a)
    d.wire(x, total, "b")
    mend(d, code="shape")
    assert d.result.nodes[total].output_types["y"] == TensorType(("N", 7))


def test_set_the_number_of_classes_reaches_through_activation_and_pooling():
    d = Drawing()
    x = d.add("io.input")
    conv = d.add("layer.conv2d", after=x, filters=3)
    relu = d.add("act.relu", after=conv)
    pool = d.add("layer.global_average_pool2d", after=relu)
    loss = d.add("loss.cross_entropy", after=pool)
    target = d.add("io.target")
    d.wire(target, loss, "target")
    mend(d)
    assert d.document.main.nodes[conv].params["filters"] == 10
    assert d.result.ok


def test_a_target_takes_the_number_of_classes_of_the_data():
    d, ids = classifier()
    d.set(ids["target"], num_classes=4)
    mend(d, code="data-num-classes")
    assert d.result.ok


def test_softmax_is_skipped():
    d, ids = classifier()
    softmax = d.add("act.softmax", after=ids["dense"])
    d.wire(softmax, ids["loss"], "prediction")
    mend(d, code="softmax-before-loss")
    assert d.document.main.wires[ids["loss"], "prediction"].source == ids["dense"]
    assert d.result.diagnostics == ()


def test_pooling_brings_a_concatenation_to_one_size():
    d = Drawing()
    x = d.add("io.input")
    small = d.add("layer.max_pool2d", after=x)
    joined = d.add("merge.concatenate", after=small)
    d.wire(x, joined, "b")
    assert "upsample" in str(d.result.first_error.hint)
    mend(d)
    assert d.result.nodes[joined].output_types["y"].shape == ("N", 2, 4, 4)


def test_a_wire_to_a_port_that_is_gone_can_be_cut():
    d = Drawing()
    x = d.add("io.input", shape=[5])
    total = d.add("merge.add", after=x, num_inputs=3)
    d.wire(x, total, "b")
    d.wire(x, total, "c")
    assert d.result.nodes[total].output_types
    # as a file edited by hand may have it: the port is gone, the wire is not
    from graphstudio.document.changes import SetNode

    d.follow(d.history.push("x", [SetNode(MAIN, total, {"params": {}})]))
    assert "unknown-port" in d.codes("error")
    mend(d, code="unknown-port")
    assert (total, "c") not in d.document.main.wires


def test_a_loss_without_its_target_gets_one_that_suits_the_data():
    d = Drawing()
    x = d.add("io.input")
    flat = d.add("shape.flatten", after=x)
    dense = d.add("layer.dense", after=flat, units=10)
    loss = d.add("loss.cross_entropy", after=dense)
    diagnostic = next(p for p in d.result.diagnostics if p.port == "target")
    (fix,) = diagnostic.fixes
    asked = []

    def params_for(type_id):
        asked.append(type_id)
        return {"field": "label", "num_classes": 10}

    d.push(fix_changes(d.document, MAIN, diagnostic, fix, params_for))
    nodes, wires = d.document.main.nodes, d.document.main.wires
    target = wires[loss, "target"].source
    assert nodes[target].type == "io.target"
    assert nodes[target].params == {"field": "label", "num_classes": 10}
    assert asked == ["io.target"]
    assert d.result.ok
    assert nodes[target].position[0] < nodes[loss].position[0]
    for other in (x, flat, dense, loss):
        across, down = (
            abs(p - q) for p, q in zip(nodes[target].position, nodes[other].position, strict=True)
        )
        assert across > 180 or down > 80, "it lies on nobody"
    d.follow(d.history.undo())
    assert target not in nodes


def test_a_metric_takes_the_target_that_is_there():
    d, ids = classifier()
    metric = d.add("metric.accuracy", after=ids["dense"])
    count = len(d.document.main.nodes)
    mend(d, code="missing-input")
    assert d.document.main.wires[metric, "target"].source == ids["target"]
    assert len(d.document.main.nodes) == count
    assert d.result.ok


def test_a_fix_that_comes_too_late_is_refused_with_a_sentence():
    d, ids = classifier()
    title = Message("Switch the bias off")
    stale = Diagnostic("x", "warning", title, node=ids["conv"])
    fix = SetParam(title, "use_bias", False)
    d.push(fix_changes(d.document, MAIN, stale, fix))
    with pytest.raises(DocumentError, match="nothing left"):
        d.push(fix_changes(d.document, MAIN, stale, fix))
    d.push(commands.remove_nodes(d.document, MAIN, [ids["conv"]]))
    with pytest.raises(DocumentError, match="not there any more"):
        d.push(fix_changes(d.document, MAIN, stale, fix))


def test_every_fix_of_every_example_mistake_removes_its_diagnostic():
    d, ids = classifier()
    mistakes = [
        (ids["input"], "field", "nothing"),
        (ids["input"], "shape", (1, 4, 4)),
        (ids["dense"], "units", 3),
        (ids["target"], "num_classes", 4),
        (ids["conv"], "filters", 0),
    ]
    for node, name, value in mistakes:
        d.set(node, **{name: value})
        assert not d.result.ok
        mend(d)
        if not d.result.ok:
            mend(d)
        assert d.result.ok, (name, d.codes())
