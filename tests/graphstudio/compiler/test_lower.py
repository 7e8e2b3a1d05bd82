import numpy as np
import pytest

from graphstudio.compiler.lower import CompileError, compile_graph, field_of, make_optimizer
from graphstudio.document import commands
from graphstudio.document.model import MAIN, Choice, Phase
from tests.graphstudio.ir.drawing import Drawing, classifier


def batch(size: int = 12, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(size, 1, 8, 8)).astype(np.float32)
    return {"image": image, "label": rng.integers(0, 10, size)}


def test_parameters_outputs_and_losses_are_named_by_their_node():
    d, ids = classifier()
    accuracy = d.add("metric.accuracy", after=ids["dense"])
    d.wire(ids["target"], accuracy, "target")
    plan = compile_graph(d.checker.freeze())
    assert set(plan.parameters) == {"conv2d.weight", "conv2d.bias", "dense.weight", "dense.bias"}
    assert set(plan.evaluate(batch())) == {"loss", "cross_entropy", "accuracy"}
    assert {k: v.shape for k, v in plan.forward(batch(5)).items()} == {"dense": (5, 10)}


def test_the_number_of_parameters_is_what_the_checker_says():
    d, _ = classifier()
    said = sum(report.num_parameters for report in d.result.nodes.values())
    assert compile_graph(d.checker.freeze()).num_parameters == said


def test_the_loss_is_the_formula_s():
    d, _ = classifier()
    plan = compile_graph(d.checker.freeze())
    given = batch()
    logits = plan.forward(given)["dense"].astype(np.float64)
    shifted = logits - logits.max(1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    expected = -log_probabilities[np.arange(len(logits)), given["label"]].mean()
    assert plan.evaluate(given)["loss"] == pytest.approx(expected, rel=1e-5)


def test_training_lowers_the_loss():
    d, _ = classifier()
    optimizer = Choice(kind="adam", params={"learning_rate": 0.01})
    d.push(commands.set_phase(d.document, 0, optimizer=optimizer))
    plan = compile_graph(d.checker.freeze())
    given = batch(32)
    first = plan.train_step(given)["loss"]
    for _ in range(60):
        last = plan.train_step(given)["loss"]
    assert last < first / 3


def test_the_seed_decides_the_weights():
    d, _ = classifier()
    graph = d.checker.freeze()
    weights = [compile_graph(graph, seed=s).parameters["dense.weight"].copy() for s in (1, 1, 2)]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])
    own = compile_graph(graph).parameters["dense.weight"]
    np.testing.assert_array_equal(own, compile_graph(graph, seed=0).parameters["dense.weight"])


def test_frozen_nodes_do_not_move():
    d, ids = classifier()
    d.push(commands.set_phase(d.document, 0, frozen=(ids["conv"],)))
    plan = compile_graph(d.checker.freeze())
    before = {k: np.array(v) for k, v in plan.parameters.items()}
    plan.train_step(batch())
    for name, value in plan.parameters.items():
        assert np.array_equal(value, before[name]) == name.startswith("conv2d.")


def test_inputs_that_read_one_field_share_it():
    d, ids = classifier()
    again = d.add("io.input")
    flat = d.add("shape.flatten", after=again)
    head = d.add("layer.dense", after=flat, units=10)
    total = d.add("merge.add", after=ids["dense"])
    d.wire(head, total, "b")
    d.wire(total, ids["loss"], "prediction")
    assert d.result.ok
    plan = compile_graph(d.checker.freeze())
    assert set(plan.inputs) == {"image", "label"}
    assert np.isfinite(plan.train_step(batch())["loss"])


def test_fields_read_in_two_ways_are_an_error_with_the_node():
    d, ids = classifier()
    again = d.add("io.input", shape=[64])
    head = d.add("layer.dense", after=again, units=10)
    total = d.add("merge.add", after=ids["dense"])
    d.wire(head, total, "b")
    d.wire(total, ids["loss"], "prediction")
    # the checker refuses it; without its view of the data the compiler still does
    assert "data-shape" in d.codes("error")
    d.checker._describe = lambda spec: ((), None)
    d.checker.check()
    with pytest.raises(CompileError, match="another node reads it") as caught:
        compile_graph(d.checker.freeze())
    assert caught.value.node in (again, ids["input"])


def test_weights_of_losses_and_losses_that_only_watch():
    d, ids = classifier()
    second = d.add("loss.cross_entropy", after=ids["dense"])
    d.wire(ids["target"], second, "target")
    d.push(commands.set_phase(d.document, 0, losses={ids["loss"]: 2.0, second: 0.5}))
    values = compile_graph(d.checker.freeze()).evaluate(batch())
    assert values["loss"] == pytest.approx(2.5 * values["cross_entropy"], rel=1e-6)
    d.push(commands.set_phase(d.document, 0, losses={second: 1.0}))
    values = compile_graph(d.checker.freeze()).evaluate(batch())
    assert values["loss"] == pytest.approx(values["cross_entropy_2"], rel=1e-6)
    assert "cross_entropy" in values


def test_a_bypassed_node_computes_what_a_graph_without_it_does():
    d, ids = classifier()
    given = batch(3)
    plain = compile_graph(d.checker.freeze())
    d.push(commands.set_fields(d.document, MAIN, [ids["relu"]], bypass=True))
    bypassed = compile_graph(d.checker.freeze())
    d.push(commands.remove_nodes(d.document, MAIN, [ids["relu"]], heal=True))
    without = compile_graph(d.checker.freeze())
    for plan in (bypassed, without):
        plan.load_state_dict(plain.state_dict())
    y = bypassed.forward(given)["dense"]
    np.testing.assert_array_equal(y, without.forward(given)["dense"])
    assert not np.allclose(y, plain.forward(given)["dense"])


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (Choice(kind="sgd", params={"learning_rate": 1, "momentum": 0.9}), ("SGD", 1.0)),
        (Choice(kind="adam", params={"later": 3}), ("Adam", 0.001)),
    ],
)
def test_optimisers(choice, expected):
    made = make_optimizer(Phase(optimizer=choice))
    assert (type(made).__name__, made.learning_rate) == expected


def test_sgd_takes_the_step_of_the_formula():
    d, _ = classifier()
    optimizer = Choice(kind="sgd", params={"learning_rate": 0.1})
    d.push(commands.set_phase(d.document, 0, optimizer=optimizer))
    plan = compile_graph(d.checker.freeze())
    given = batch()
    _, gradients = plan.gradients(given)
    before = {k: np.array(v) for k, v in plan.parameters.items()}
    plan.train_step(given)
    for name, value in plan.parameters.items():
        expected = before[name] - 0.1 * gradients[name]
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-7)


def test_fields_of_nodes():
    d, ids = classifier()
    graph = d.checker.freeze()
    assert field_of(graph.by_id[ids["input"]]) == "image"
    assert field_of(graph.by_id[ids["target"]]) == "label"


@pytest.mark.torch
def test_gradients_of_a_whole_graph_are_torch_s():
    import torch

    d = Drawing()
    x = d.add("io.input")
    conv = d.add("layer.conv2d", after=x, filters=3, use_bias=False, stride=[2, 2], padding="valid")
    norm = d.add("layer.batch_norm", after=conv)
    act = d.add("act.gelu", after=norm)
    pool = d.add("layer.average_pool2d", after=act, kernel_size=[3, 3], stride=[1, 1])
    flat = d.add("shape.flatten", after=pool)
    dense = d.add("layer.dense", after=flat, units=10)
    loss = d.add("loss.cross_entropy", after=dense)
    d.wire(d.add("io.target"), loss, "target")
    assert d.result.ok
    plan = compile_graph(d.checker.freeze())
    given = batch()
    values, gradients = plan.gradients(given)

    leaves = {k: torch.tensor(np.array(v), requires_grad=True) for k, v in plan.parameters.items()}
    y = torch.nn.functional.conv2d(torch.tensor(given["image"]), leaves["conv2d.weight"], stride=2)
    y = torch.nn.functional.batch_norm(
        y, None, None, leaves["batch_norm.weight"], leaves["batch_norm.bias"], training=True
    )
    y = torch.nn.functional.avg_pool2d(torch.nn.functional.gelu(y), 3, stride=1)
    y = y.flatten(1) @ leaves["dense.weight"].T + leaves["dense.bias"]
    expected = torch.nn.functional.cross_entropy(y, torch.tensor(given["label"]))
    expected.backward()
    assert values["loss"] == pytest.approx(float(expected.detach()), rel=1e-5)
    for name, leaf in leaves.items():
        reference = leaf.grad.numpy()
        scale = np.abs(reference).max()
        np.testing.assert_allclose(gradients[name], reference, atol=1e-5 * max(scale, 1e-3), rtol=0)
