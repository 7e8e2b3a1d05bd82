import dataclasses

import pytest

from graphstudio.document import commands
from graphstudio.document.changes import SetData, SetTraining
from graphstudio.document.model import MAIN, Choice, DataSpec, Document, Node, Phase, Wire
from graphstudio.ir.check import Checker, CheckFailed
from graphstudio.ir.graph import DataField
from graphstudio.nodes.types import InsertNode, SetParam, SetProducerSize, TensorType
from tests.graphstudio.ir.drawing import Drawing, classifier, digits


def test_a_right_graph_has_no_diagnostics_and_a_type_on_every_wire():
    d, ids = classifier()
    assert d.result.diagnostics == ()
    assert d.result.ok
    for wire in d.document.main.wires.values():
        assert d.result.wire_type(wire) is not None
    assert d.result.nodes[ids["pool"]].output_types["y"] == TensorType(("N", 4, 4, 4))


def test_sizes_of_a_node_are_those_of_the_formulas():
    d, ids = classifier()
    conv = d.result.nodes[ids["conv"]]
    assert conv.num_parameters == 4 * 1 * 3 * 3 + 4
    assert conv.num_flops == 2 * 9 * 4 * 8 * 8
    assert conv.activation_bytes == 4 * 4 * 8 * 8
    assert d.result.nodes[ids["dense"]].num_parameters == 64 * 10 + 10


def test_an_empty_project_says_what_is_missing():
    result = Checker(Document(), digits).check()
    assert [d.code for d in result.diagnostics] == ["no-loss", "data"]
    assert not result.ok


def test_the_first_wrong_node_is_named_with_found_expected_and_a_fix():
    d = Drawing()
    x = d.add("io.input")
    conv = d.add("layer.conv2d", after=x)
    relu = d.add("act.relu", after=conv)
    dense = d.add("layer.dense", after=relu)
    d.add("act.tanh", after=dense)
    error = d.result.first_error
    assert error is not None
    assert error.node == dense
    text = str(error.message)
    assert "'Dense'" in text
    assert "(N, 32, 8, 8)" in text
    assert "(N, D)" in text
    assert error.fixes == (InsertNode(error.fixes[0].title, "x", "shape.flatten"),)
    assert error.chain == (conv, relu, dense)


def test_nodes_behind_a_wrong_one_are_blocked_not_wrong():
    d, ids = classifier()
    d.set(ids["input"], shape=[3])
    assert d.result.first_error.node == ids["input"]  # the data says otherwise
    assert [e.node for e in d.result.diagnostics if e.severity == "error"] == [
        ids["input"],
        ids["conv"],
    ]
    blocked = {e.node for e in d.result.diagnostics if e.severity == "blocked"}
    assert blocked == {ids[n] for n in ("relu", "pool", "flatten", "dense", "loss")}
    assert "'Conv2D'" in str(d.result.of_node(ids["loss"])[0].message)


def test_all_problems_are_collected_in_one_check():
    d, ids = classifier()
    d.set(ids["conv"], filters=0)
    d.set(ids["target"], num_classes=7)
    d.push(commands.disconnect(d.document, MAIN, [(ids["dense"], "x")]))
    assert sorted(d.codes("error")) == ["data-num-classes", "missing-input", "param"]


def test_renaming_the_cause_changes_what_the_blocked_nodes_say():
    d, ids = classifier()
    d.set(ids["conv"], filters=0)
    d.push(commands.rename(d.document, MAIN, ids["conv"], "stem"))
    assert "'stem'" in str(d.result.of_node(ids["loss"])[0].message)


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"filters": 0}, "at least 1"),
        ({"filters": "many"}, "whole number"),
        ({"padding": "round"}, "one of"),
        ({"kernel_size": [3]}, "2 to 2 numbers"),
        ({"filters": 5, "groups": 2}, "multiple of the groups"),
    ],
)
def test_wrong_parameters_are_errors_on_the_node(params, problem):
    d = Drawing()
    x = d.add("io.input")
    conv = d.add("layer.conv2d", after=x, **params)
    found = d.result.of_node(conv)
    assert [e.code for e in found] == ["param"]
    assert problem in str(found[0].message)


def test_a_wrong_parameter_can_be_set_back():
    d = Drawing()
    x = d.add("io.input")
    conv = d.add("layer.conv2d", after=x, filters=0)
    fix = d.result.of_node(conv)[0].fixes[0]
    assert isinstance(fix, SetParam)
    assert (fix.name, fix.value) == ("filters", 32)


def test_unknown_types_and_parameters_are_reported_and_kept():
    document = Document(data=DataSpec(source="digits"))
    document.main.nodes["a"] = Node(id="a", type="layer.warp", label="Warp")
    document.main.nodes["b"] = Node(id="b", type="block.stem", label="Stem")
    document.main.nodes["c"] = Node(
        id="c", type="io.input", label="Input", params={"brightness": 1}
    )
    result = Checker(document, digits).check()
    assert [d.code for d in result.of_node("a")] == ["unknown-type"]
    assert "block" in str(result.of_node("b")[0].message)
    assert "unknown-param" in [d.code for d in result.of_node("c")]


def test_a_node_without_wires_is_left_out_with_a_warning():
    d, _ = classifier()
    extra = d.add("layer.conv2d")
    assert d.codes() == ["unconnected"]
    assert d.result.ok
    assert extra not in d.checker.freeze().by_id


def test_a_part_without_a_loss_is_left_out_with_one_warning():
    d, _ = classifier()
    x = d.add("io.input")
    y = d.add("act.relu", after=x)
    assert d.codes() == ["island"]
    assert {x, y}.isdisjoint(d.checker.freeze().by_id)


def test_a_layer_that_no_loss_reaches_is_not_trained():
    d, ids = classifier()
    head = d.add("layer.dense", after=ids["flatten"])
    assert [(w.code, w.node) for w in d.result.diagnostics] == [("untrained", head)]


def test_a_branch_without_weights_may_end_anywhere():
    d, ids = classifier()
    d.add("act.softmax", after=ids["dense"])
    assert d.result.diagnostics == ()


def test_data_fields_and_nodes_must_agree():
    d, ids = classifier()
    d.set(ids["input"], field="picture")
    assert d.codes() == ["data-field"]
    assert [f.value for f in d.result.first_error.fixes] == ["image"]
    d.set(ids["input"], field="image", shape=[1, 28, 28])
    assert d.codes() == ["data-shape"]
    assert d.result.first_error.fixes[0].value == (1, 8, 8)
    d.set(ids["input"], shape=[1, 8, 8])
    d.set(ids["target"], num_classes=12)
    assert d.codes("error")[0] == "classes" or "data-num-classes" in d.codes("error")
    d.set(ids["target"], num_classes=10, kind="values")
    assert "data-kind" in d.codes("error")


def test_data_that_cannot_be_described_is_one_error():
    d, _ = classifier()
    d.follow(d.history.push("data", [SetData(DataSpec(source="missing"))]))
    assert d.codes() == ["data"]
    d.follow(d.history.undo())
    assert d.codes() == []


def test_too_few_scores_can_be_mended_at_the_layer_that_makes_them():
    d, ids = classifier()
    d.set(ids["dense"], units=7)
    error = d.result.first_error
    assert error.node == ids["loss"]
    assert error.code == "classes"
    assert isinstance(error.fixes[0], SetProducerSize)
    assert error.fixes[0].size == 10


def test_without_a_layer_to_change_a_dense_is_offered():
    d = Drawing()
    x = d.add("io.input")
    flat = d.add("shape.flatten", after=x)
    loss = d.add("loss.cross_entropy", after=flat)
    target = d.add("io.target")
    d.wire(target, loss, "target")
    fix = d.result.first_error.fixes[0]
    assert isinstance(fix, InsertNode)
    assert fix.type_id == "layer.dense"
    assert fix.params == {"units": 10}


def test_bypass_is_allowed_only_where_the_shape_stays():
    d, ids = classifier()
    d.push(commands.set_fields(d.document, MAIN, [ids["relu"]], bypass=True))
    assert d.result.diagnostics == ()
    assert d.result.nodes[ids["relu"]].output_types["y"] == TensorType(("N", 4, 8, 8))
    d.push(commands.set_fields(d.document, MAIN, [ids["conv"]], bypass=True))
    assert d.codes("error") == ["bypass"]
    assert "(N, 1, 8, 8)" in str(d.result.first_error.message)
    assert "(N, 4, 8, 8)" in str(d.result.first_error.message)


def test_a_bias_before_batch_norm_is_a_warning_with_a_fix():
    d, ids = classifier()
    norm = d.add("layer.batch_norm", after=ids["conv"])
    # the ReLU reads the convolution as well, so its bias counts
    assert d.codes() == ["untrained"]
    d.push(commands.connect(d.document, MAIN, norm, "y", ids["relu"], "x"))
    assert [(w.code, w.node) for w in d.result.diagnostics] == [("bias-before-norm", ids["conv"])]
    d.push(commands.set_fields(d.document, MAIN, [norm], bypass=True))
    assert d.codes() == []
    d.follow(d.history.undo())
    assert d.codes() == ["bias-before-norm"]
    d.set(ids["conv"], use_bias=False)
    assert d.codes() == []


def test_softmax_before_cross_entropy_is_a_warning():
    d, ids = classifier()
    softmax = d.add("act.softmax", after=ids["dense"])
    d.wire(softmax, ids["loss"], "prediction")
    assert d.codes() == ["softmax-before-loss"]
    assert d.result.ok
    d.push(commands.set_fields(d.document, MAIN, [softmax], bypass=True))
    assert d.codes() == []


def test_mse_refuses_to_broadcast():
    d = Drawing()
    x = d.add("io.input")
    flat = d.add("shape.flatten", after=x)
    dense = d.add("layer.dense", after=flat, units=1)
    target = d.add("io.target", kind="values")
    loss = d.add("loss.mse", after=dense)
    d.wire(target, loss, "target")
    error = next(e for e in d.result.diagnostics if e.node == loss)
    assert "(N, 1)" in str(error.message)
    assert "(N,)" in str(error.message)
    assert error.fixes[0].type_id == "shape.reshape"


@pytest.mark.parametrize(
    ("phase", "code"),
    [
        (Phase(optimizer=Choice(kind="magic")), "optimizer"),
        (Phase(optimizer=Choice(kind="sgd", params={"learning_rate": -1.0})), "optimizer-param"),
        (Phase(optimizer=Choice(kind="sgd", params={"nesterov": True})), "optimizer-param"),
        (Phase(schedule=Choice(kind="cosine")), "schedule"),
        (Phase(losses={"gone": 1.0}), "phase-loss"),
        (Phase(epochs=0), "epochs"),
        (Phase(steps_per_batch=2), "steps-per-batch"),
    ],
)
def test_the_training_specification_is_checked(phase, code):
    d, _ = classifier()
    training = dataclasses.replace(d.document.training, phases=(phase,))
    d.follow(d.history.push("training", [SetTraining(training)]))
    assert d.codes("error") == [code]


def test_a_batch_of_one_before_batch_norm_is_a_warning():
    d, ids = classifier()
    d.add("layer.batch_norm", after=ids["dense"])
    training = dataclasses.replace(d.document.training, batch_size=1)
    d.follow(d.history.push("training", [SetTraining(training)]))
    assert "batch-of-one" in d.codes("warning")
    d.follow(d.history.undo())
    assert "batch-of-one" not in d.codes()


def test_batch_norm_over_an_image_can_work_with_one_sample():
    d, ids = classifier()
    norm = d.add("layer.batch_norm", after=ids["input"])
    training = dataclasses.replace(d.document.training, batch_size=1)
    d.follow(d.history.push("training", [SetTraining(training)]))
    assert d.codes("error") == []
    assert d.result.nodes[norm].input_types[0].rank == 4
    assert "batch-of-one" not in d.codes()


@pytest.mark.parametrize(("seed", "fine"), [(2**32 - 1, True), (2**32, False), (-1, False)])
def test_a_seed_is_one_that_every_framework_takes(seed, fine):
    d, _ = classifier()
    training = dataclasses.replace(d.document.training, seed=seed)
    d.follow(d.history.push("training", [SetTraining(training)]))
    assert d.codes("error") == ([] if fine else ["seed"])


def test_a_loss_that_moves_no_weight_is_an_error():
    d, ids = classifier()
    trainable = (ids["conv"], ids["dense"])
    for frozen, codes in ((trainable[:1], []), (trainable, ["nothing-to-train"])):
        training = dataclasses.replace(d.document.training, phases=(Phase(frozen=frozen),))
        d.follow(d.history.push("training", [SetTraining(training)]))
        assert d.codes("error") == codes
    d.follow(d.history.undo())
    d.follow(d.history.undo())
    # the only loss left depends on a branch without weights
    d.push(commands.remove_nodes(d.document, MAIN, [ids["loss"]]))
    loss = d.add("loss.mse", after=d.add("act.tanh", after=ids["input"]))
    d.wire(ids["input"], loss, "target")
    assert d.codes("error") == ["nothing-to-train"]


def test_several_phases_are_not_supported_yet():
    d, _ = classifier()
    training = dataclasses.replace(d.document.training, phases=(Phase(), Phase(name="b")))
    d.follow(d.history.push("training", [SetTraining(training)]))
    assert d.codes("error") == ["phases"]


def test_cycles_that_slip_past_the_document_are_reported():
    document = Document(data=DataSpec(source="digits"))
    graph = document.main
    for name in "abc":
        graph.nodes[name] = Node(id=name, type="act.relu", label=name)
    for source, target in ("ab", "ba", "bc"):
        wire = Wire(source=source, source_port="y", target=target, target_port="x")
        graph.wires[wire.key] = wire
    result = Checker(document, digits).check()
    assert {d.node for d in result.diagnostics if d.code == "cycle"} == {"a", "b", "c"}


def test_freezing_a_wrong_graph_raises_with_its_errors():
    d, ids = classifier()
    d.set(ids["dense"], units=3)
    with pytest.raises(CheckFailed, match="10 classes") as caught:
        d.checker.freeze()
    assert caught.value.diagnostics == (d.result.first_error,)


def test_moving_a_node_checks_nothing():
    d, ids = classifier()
    before = d.result
    d.push(commands.move_nodes(d.document, MAIN, {ids["conv"]: (5.0, 5.0)}))
    assert d.result is before


def test_a_loss_without_target_asks_for_a_target_node():
    d, ids = classifier()
    d.push(commands.disconnect(d.document, MAIN, [(ids["loss"], "target")]))
    (missing,) = (e for e in d.result.of_node(ids["loss"]) if e.code == "missing-input")
    assert "Target node" in str(missing.hint)


def test_new_inputs_and_targets_suit_the_data():
    def flowers(_spec):
        names = TensorType(("N",), "int64", 3)
        fields = (DataField("features", TensorType(("N", 4))), DataField("species", names))
        return fields, None

    checker = Checker(Document(data=DataSpec(source="flowers")), flowers)
    checker.check()
    assert checker.params_for("io.input") == {"field": "features", "shape": (4,)}
    assert checker.params_for("io.target") == {"field": "species", "num_classes": 3}
    assert checker.params_for("layer.dense") == {}
    assert Drawing().checker.params_for("io.input") == {}  # the defaults suit the digits
    assert Drawing("missing").checker.params_for("io.target") == {}
