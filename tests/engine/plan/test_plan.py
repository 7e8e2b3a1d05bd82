"""Plans: batch sizes, training, saving, memory, determinism, errors."""

import itertools
import tracemalloc

import numpy as np
import pytest

import engine
from engine import ops
from engine.errors import EngineError, PlanError, ShapeError
from engine.plan import PlanBuilder


def small_cnn(optimizer=None, *, dropout=0.0, norm=True, seed=0, frozen=()):
    b = PlanBuilder()
    x, t = b.input("image", ("N", 2, 6, 6)), b.input("label", ("N",), "int64")
    with b.scope("conv"):
        y = b.call(
            "conv2d", x, b.parameter("conv.weight", (4, 2, 3, 3), init="he_normal"), padding=1
        )
    if norm:
        weight, bias = b.parameter("bn.weight", (4,), init="ones"), b.parameter("bn.bias", (4,))
        mean, var = b.state("bn.running_mean", (4,)), b.state("bn.running_var", (4,), value=1.0)
        y = b.call("batch_norm", y, weight, bias, mean, var)
    y = b.call("max_pool2d", b.call("relu", y), kernel_size=2)
    if dropout:
        y = b.call("dropout", y, rate=dropout)
    y = b.call("flatten", y)
    w = b.parameter("dense.weight", (3, 36), init="glorot_uniform")
    y = b.call("add", b.call("matmul", y, w, transpose_b=True), b.parameter("dense.bias", (3,)))
    b.output("logits", y)
    b.loss("ce", b.call("cross_entropy", y, t))
    b.metric("accuracy", b.call("accuracy", y, t))
    return b.build(optimizer=optimizer, seed=seed, frozen=frozen)


def batch_of(n, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "image": rng.normal(size=(n, 2, 6, 6)).astype(np.float32),
        "label": rng.integers(0, 3, n),
    }


def eager(plan, batch, training=True):
    """The same model by tensors: loss, logits, gradients."""
    p = {
        k: engine.tensor(v, requires_grad="running" not in k) for k, v in plan.state_dict().items()
    }
    y = ops.conv2d(engine.tensor(batch["image"]), p["conv.weight"], padding=1)
    if "bn.weight" in p:
        names = ("bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")
        y = ops.batch_norm(y, *(p[k] for k in names), training=training)
    y = ops.flatten(ops.max_pool2d(ops.relu(y), 2))
    y = ops.matmul(y, p["dense.weight"], transpose_b=True) + p["dense.bias"]
    loss = ops.cross_entropy(y, engine.tensor(batch["label"]))
    loss.backward()
    return loss.item(), y.data, {k: v.grad.data for k, v in p.items() if v.grad is not None}, p


@pytest.mark.parametrize("n", [1, 2, 5, 32])
@pytest.mark.parametrize("training", [False, True])
def test_plan_agrees_with_tensors_at_any_batch_size(n, training):
    plan, batch = small_cnn(), batch_of(n)
    loss, logits, gradients, _ = eager(plan, batch, training)
    losses, found = plan.gradients(batch, training=training)
    assert losses["ce"] == pytest.approx(loss, rel=1e-5)
    assert losses["loss"] == losses["ce"]
    assert set(found) == set(gradients)
    for name, gradient in found.items():
        scale = np.abs(gradients[name]).max() + 1e-3
        np.testing.assert_allclose(gradient, gradients[name], atol=1e-5 * scale, err_msg=name)
    output = plan.forward({"image": batch["image"]}, training=training)["logits"]
    np.testing.assert_allclose(output, logits, rtol=1e-4, atol=1e-5)


def test_running_statistics_move_in_train_step_only():
    plan, batch = small_cnn(engine.optim.SGD(0.1)), batch_of(8)
    before = plan.state_dict()
    plan.gradients(batch), plan.evaluate(batch), plan.forward(batch, training=True)
    for name, array in plan.state_dict().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
    *_, p = eager(plan, batch)
    plan.train_step(batch)
    for name in ("bn.running_mean", "bn.running_var"):
        np.testing.assert_allclose(plan.state[name], p[name].data, rtol=1e-6)
        assert not np.array_equal(plan.state[name], before[name])


def test_one_state_updated_twice_in_a_step_holds_both_updates():
    b = PlanBuilder()
    x = b.input("x", ("N", 2))
    ones, zeros = b.parameter("g", (2,), init="ones"), b.parameter("b", (2,))
    mean, var = b.state("m", (2,)), b.state("v", (2,), value=1.0)
    y = b.call("batch_norm", x, ones, zeros, mean, var, momentum=0.5)
    z = b.call("batch_norm", b.call("add", x, 4.0), ones, zeros, mean, var, momentum=0.5)
    b.loss("l", b.call("mean", b.call("multiply", y, z)))
    plan = b.build(optimizer=engine.optim.SGD(0.0))
    plan.train_step({"x": np.array([[0.0, 2.0], [2.0, 4.0]], np.float32)})
    # 0 -> (0 + 1) / 2 -> (0.5 + 5) / 2, and likewise in the second column.
    np.testing.assert_allclose(plan.state["m"], [2.75, 4.25])


def test_it_learns_and_evaluates():
    plan, batch = small_cnn(engine.optim.Adam(0.01), dropout=0.2), batch_of(30)
    first = plan.evaluate(batch)
    for _ in range(60):
        plan.train_step(batch)
    last = plan.evaluate(batch)
    assert last["loss"] < 0.2 * first["loss"]
    assert last["accuracy"] == 1.0


def test_train_step_reports_the_loss_from_before_the_step():
    plan, batch = small_cnn(engine.optim.SGD(0.5)), batch_of(4)
    losses, _ = plan.gradients(batch)
    assert plan.train_step(batch) == losses


def _run(seed, steps=6):
    plan = small_cnn(engine.optim.Adam(0.01), dropout=0.5, seed=seed)
    for i in range(steps):
        plan.train_step(batch_of(7, i))
    return plan


def test_same_seed_same_bytes():
    first, second, other = _run(3), _run(3), _run(4)
    for name, array in first.state_dict().items():
        assert array.tobytes() == second.state_dict()[name].tobytes(), name
    assert (
        first.state_dict()["dense.weight"].tobytes() != other.state_dict()["dense.weight"].tobytes()
    )


def test_a_run_goes_on_from_its_saved_state_byte_by_byte():
    whole, start = _run(1, steps=6), _run(1, steps=3)
    resumed = small_cnn(engine.optim.Adam(0.5), dropout=0.5, seed=99)
    resumed.load_state_dict(start.state_dict())
    resumed.load_optimizer_state_dict(start.optimizer_state_dict())
    resumed.random_state = start.random_state
    for i in range(3, 6):
        resumed.train_step(batch_of(7, i))
    for name, array in whole.state_dict().items():
        assert array.tobytes() == resumed.state_dict()[name].tobytes(), name


def test_dropout_differs_from_step_to_step_and_not_within():
    plan, batch = small_cnn(engine.optim.SGD(0.0), dropout=0.5, norm=False), batch_of(6)
    assert plan.gradients(batch)[0] == plan.gradients(batch)[0]
    losses = {plan.train_step(batch)["loss"] for _ in range(4)}
    assert len(losses) == 4
    assert plan.evaluate(batch) == plan.evaluate(batch)


def test_frozen_parameters_keep_their_bytes():
    plan = small_cnn(engine.optim.Adam(0.1, weight_decay=0.1), frozen=("conv.weight",))
    before = plan.state_dict()
    plan.train_step(batch_of(5))
    after = plan.state_dict()
    np.testing.assert_array_equal(after["conv.weight"], before["conv.weight"])
    assert (after["dense.weight"] != before["dense.weight"]).any()
    assert "conv.weight" not in plan.gradients(batch_of(5))[1]


def test_a_parameter_that_no_loss_needs_is_not_decayed():
    b = PlanBuilder()
    x, w = b.input("x", ("N", 1)), b.parameter("w", (1, 1), init="ones")
    idle = b.parameter("idle", (1,), init="ones")
    b.output("y", b.call("add", x, idle))
    b.loss("l", b.call("mean", b.call("matmul", x, w)))
    plan = b.build(optimizer=engine.optim.SGD(0.1, weight_decay=0.5))
    plan.train_step({"x": np.ones((2, 1), np.float32)})
    assert plan.parameters["idle"].item() == 1.0
    assert plan.parameters["w"].item() == pytest.approx(1 - 0.1 * 1.5)
    assert plan.gradients({"x": np.ones((2, 1), np.float32)})[1]["idle"].tolist() == [0.0]


def test_a_parameter_behind_a_stop_is_not_decayed():
    b = PlanBuilder()
    x, w = b.input("x", ("N", 1)), b.parameter("w", (1, 1), init="ones")
    held = b.parameter("held", (1, 1), init="ones")
    fixed = b.call("stop_gradient", b.call("matmul", x, held))
    b.loss("l", b.call("mean", b.call("multiply", b.call("matmul", x, w), fixed)))
    plan = b.build(optimizer=engine.optim.SGD(0.1, weight_decay=0.5))
    plan.train_step({"x": np.ones((2, 1), np.float32)})
    assert plan.parameters["held"].item() == 1.0
    assert plan.parameters["w"].item() == pytest.approx(1 - 0.1 * 1.5)


def test_losses_add_up_by_weight():
    b = PlanBuilder()
    x, w = b.input("x", ("N", 2)), b.parameter("w", (2, 1), init="ones")
    y = b.call("matmul", x, w)
    b.loss("first", b.call("mean", y), weight=2.0)
    b.loss("second", b.call("mean", b.call("multiply", y, y)), weight=0.5)
    losses, gradients = b.build().gradients({"x": np.array([[1.0, 2.0]], np.float32)})
    assert losses == {"first": 3.0, "second": 9.0, "loss": 2 * 3.0 + 0.5 * 9.0}
    # d/dy (2 y + y^2 / 2) = 2 + y = 5
    assert gradients["w"].ravel().tolist() == [5.0, 10.0]


def test_steady_state_allocates_nothing_of_the_size_of_tensors():
    b = PlanBuilder()
    x, t = b.input("x", ("N", 3, 16, 16)), b.input("t", ("N",), "int64")
    y = b.call("conv2d", x, b.parameter("w", (8, 3, 3, 3), init="he_normal"), padding=1)
    weight, bias = b.parameter("bn.weight", (8,), init="ones"), b.parameter("bn.bias", (8,))
    mean, var = b.state("m", (8,)), b.state("v", (8,), value=1.0)
    y = b.call("relu", b.call("batch_norm", y, weight, bias, mean, var))
    y = b.call("dropout", b.call("max_pool2d", y, kernel_size=2), rate=0.1)
    y = b.call("average_pool2d", b.call("gelu", y), kernel_size=2)
    y = b.call("matmul", b.call("flatten", y), b.parameter("d", (128, 10), init="he_normal"))
    b.loss("ce", b.call("cross_entropy", b.call("leaky_relu", y), t))
    plan = b.build(optimizer=engine.optim.Adam())
    rng = np.random.default_rng(0)
    peaks = []
    for n in (32, 128):
        batch = {
            "x": rng.normal(size=(n, 3, 16, 16)).astype(np.float32),
            "t": rng.integers(0, 10, n),
        }
        for _ in range(2):
            plan.train_step(batch)
        tracemalloc.start()
        plan.train_step(batch)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # One activation of the larger batch is a megabyte; NumPy's fixed buffers are 64 KiB.
    assert max(peaks) < 200_000, peaks
    assert peaks[1] - peaks[0] < 40_000, peaks


def test_memory_is_reused():
    b = PlanBuilder()
    y = b.input("x", ("N", 1000))
    for _ in range(50):
        y = b.call("tanh", y)
    b.output("y", y)
    assert b.build().memory(8, "forward") < 3 * 8 * 1000 * 4


def test_the_gates_of_a_recurrence_and_their_gradients_share_memory():
    b = PlanBuilder()
    x = b.input("x", ("N", 5, 3))
    weights = [b.parameter(k, shape) for k, shape in (("i", (16, 3)), ("h", (16, 4)), ("b", (16,)))]
    y, _, _ = b.call("lstm", x, *weights)
    b.loss("loss", b.call("mean", y))
    steps = {s.name: s for s in b.build(seed=0).steps(2, "gradients")}
    gates, activated = steps["lstm"].inputs[0], steps["lstm"].outputs[3]
    gradients = steps["lstm_gradient"].outputs[0]
    assert np.shares_memory(gates, activated)
    assert np.shares_memory(activated, gradients)


def test_a_thousand_calls_compile_quickly_and_walk_deep():
    b = PlanBuilder()
    y = b.input("x", ("N", 4))
    w = b.parameter("w", (4, 4), init="orthogonal")
    for _ in range(1000):
        y = b.call("tanh", b.call("matmul", y, w))
    b.loss("l", b.call("mean", y))
    losses, gradients = b.build().gradients({"x": np.ones((2, 4), np.float32)})
    assert np.isfinite(losses["l"])
    assert np.isfinite(gradients["w"]).all()


def test_steps_can_be_run_one_by_one():
    plan, batch = small_cnn(engine.optim.SGD(0.1)), batch_of(3)
    expected = plan.gradients(batch)[1]
    steps = plan.steps(3, "gradients")
    assert {"conv", "conv_weight_gradient", "cross_entropy"} <= {s.name for s in steps}
    assert {s.scope for s in steps if s.name.startswith("conv")} == {"conv"}
    for step in steps:
        step.run()
    for name, gradient in plan.gradients(batch)[1].items():
        np.testing.assert_array_equal(gradient, expected[name])


def test_a_traced_step_is_a_training_step():
    whole, traced = (small_cnn(engine.optim.Adam(0.01), dropout=0.3) for _ in range(2))
    for i in range(3):
        losses = whole.train_step(batch_of(4, i))
        names = []
        for step in traced.trace(batch_of(4, i)):
            names.append(step.name)
            if step.name == "cross_entropy":
                assert step.outputs[0] == np.float32(losses["ce"])
        assert names[:2] == ["conv", "batch_norm_training"]
    for name, array in whole.state_dict().items():
        assert array.tobytes() == traced.state_dict()[name].tobytes(), name


def test_a_trace_that_stops_leaves_the_weights():
    plan = small_cnn(engine.optim.SGD(0.1))
    before = plan.state_dict()
    for step in plan.trace(batch_of(4)):
        if step.name == "cross_entropy":
            break
    for name, array in plan.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_the_first_number_that_is_none_is_found_by_its_step():
    plan, batch = small_cnn(norm=False), batch_of(2)
    plan.parameters["dense.weight"][1, 3] = np.inf
    wrong = [
        step.name
        for step in plan.trace(batch, "evaluate")
        if not all(np.isfinite(a).all() for a in step.outputs)
    ]
    assert wrong[0] == "matmul"


def test_an_unknown_program_is_named():
    with pytest.raises(PlanError, match="no program 'training'; expected one of 'train'"):
        small_cnn().steps(4, "training")


def test_a_branch_that_nothing_needs_is_left_out():
    b = PlanBuilder()
    x, z = b.input("x", ("N", 2)), b.input("z", ("N", 3))
    y = b.call("tanh", b.call("matmul", x, b.parameter("w", (2, 2), init="orthogonal")))
    b.call("exp", b.call("matmul", z, b.parameter("v", (3, 3), init="orthogonal")))
    b.output("y", y)
    b.output("sine", b.call("sin", y))
    b.loss("l", b.call("mean", y))
    b.metric("cosine", b.call("mean", b.call("cos", y)))
    plan = b.build(optimizer=engine.optim.SGD(0.1))
    feed = {"x": np.ones((4, 2), np.float32)}
    plan.train_step(feed)  # without z, which only the dead branch reads
    names = {what: {s.name for s in plan.steps(4, what)} for what in ("forward", "train")}
    assert "exp" not in names["forward"] | names["train"]
    assert "sin" in names["forward"]
    assert "cos" not in names["forward"]
    assert "cos" in names["train"]
    assert "sin" not in names["train"]


def test_forward_and_evaluate_hold_no_backward_calls():
    plan = small_cnn()
    for what in ("forward", "evaluate"):
        assert not any("gradient" in s.name for s in plan.steps(4, what))
    assert "accuracy" not in {s.name for s in plan.steps(4, "forward")}


def test_outputs_are_copies():
    plan, batch = small_cnn(), batch_of(2)
    first = plan.forward(batch)["logits"]
    kept = first.copy()
    plan.forward(batch_of(2, 1))
    np.testing.assert_array_equal(first, kept)


def test_not_a_number_goes_through():
    plan, batch = small_cnn(engine.optim.Adam()), batch_of(2)
    batch["image"][0, 0, 0, 0] = np.nan
    assert np.isnan(plan.train_step(batch)["loss"])


def test_shapes_show_the_batch():
    b = PlanBuilder()
    x = b.input("x", ("N", 3, 8, 8))
    assert b.call("flatten", x).shape == ("N", 192)
    assert b.call("reshape", x, shape=(-1, 8)).shape == ("24*N", 8)
    assert b.call("mean", x).shape == ()
    assert b.call("argmax", x, axis=1).dtype == "int64"
    assert [v.shape for v in b.call("split", x, (1, 2), axis=1)] == [("N", 1, 8, 8), ("N", 2, 8, 8)]


def test_shape_errors_come_at_once_and_show_the_batch_as_n():
    b = PlanBuilder()
    x = b.input("x", ("N", 5))
    with b.scope("dense 1"), pytest.raises(ShapeError, match=r"\(N, 5\) and \(4, 2\)") as caught:
        b.call("matmul", x, b.parameter("w", (4, 2)))
    assert "in 'dense 1'" in caught.value.__notes__


def test_a_size_that_only_fits_one_batch_is_refused():
    b = PlanBuilder()
    with pytest.raises(ShapeError, match="N and 32"):
        b.call("add", b.input("x", ("N", 5)), b.parameter("w", (32, 5)))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"image": None}, PlanError, "lacks 'image'"),
        ({"image": np.zeros((4, 2, 6, 6))}, PlanError, "float64; expected float32"),
        ({"image": np.zeros((4, 6, 6, 2), np.float32)}, ShapeError, r"expected \('N', 2, 6, 6\)"),
        ({"label": np.zeros((4, 1), np.int64)}, ShapeError, "'label'"),
        ({"label": np.array([0, 1, 2, 3])}, EngineError, "label 3; expected 0 to 2"),
        ({"image": np.zeros((0, 2, 6, 6), np.float32)}, ShapeError, "empty batch"),
    ],
)
def test_a_wrong_batch_is_named(change, error, words):
    plan = small_cnn(engine.optim.SGD(0.1))
    batch = {k: v for k, v in {**batch_of(4), **change}.items() if v is not None}
    with pytest.raises(error, match=words):
        plan.train_step(batch)


def test_small_whole_numbers_widen():
    plan, batch = small_cnn(), batch_of(4)
    narrow = {**batch, "label": batch["label"].astype(np.int32)}
    assert plan.evaluate(narrow) == plan.evaluate(batch)


def _declare(action):
    b = PlanBuilder()
    x = b.input("x", ("N", 2))
    action(b, x)


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (lambda b, x: b.call("nope", x), "no operation 'nope'"),
        (lambda b, x: b.call("relu", x, slope=1), "called wrongly"),
        (lambda b, x: b.input("x", ("N",)), "has 'x' already"),
        (lambda b, x: b.parameter("p", ("N", 2)), "whole numbers"),
        (lambda b, x: b.parameter("p", (2,), init="nope"), "expected one of"),
        (lambda b, x: b.parameter("p", (2**40, 2**40)), "Make the shape smaller"),
        (lambda b, x: b.parameter("p", (2,), init="normal", std=-1), "finite numbers"),
        (lambda b, x: b.call("broadcast_to", x, shape=(2**40, 2**20, 2)), "expected|agree"),
        (lambda b, x: b.input("y", ("N",), "float33"), "element type 'float33'"),
        (lambda b, x: b.input("y", ("M", 2)), "whole numbers or 'N'"),
        (lambda b, x: b.call("add", x, "y"), "cannot hold it"),
        (lambda b, x: b.loss("l", x), "expected a scalar"),
        (lambda b, x: b.metric("m", x), "expected a scalar"),
        (lambda b, x: (b.output("o", x), b.output("o", x)), "taken already"),
        (lambda b, x: PlanBuilder().call("relu", x), "another plan"),
        (lambda b, x: b.build(frozen=("w",)), "no parameter"),
        (lambda b, x: b.build().train_step({}), "without an optimizer"),
        (lambda b, x: b.build().gradients({"x": np.ones((1, 2), np.float32)}), "no loss"),
    ],
)
def test_a_wrong_description_is_refused(action, words):
    with pytest.raises(EngineError, match=words):
        _declare(action)


def test_weights_must_fit_to_be_loaded_and_nothing_changes_otherwise():
    plan = small_cnn()
    before = plan.state_dict()
    wrong = {**before, "dense.bias": np.zeros(4)}
    with pytest.raises(PlanError, match=r"dense\.bias"):
        plan.load_state_dict(wrong)
    with pytest.raises(PlanError, match="missing"):
        plan.load_state_dict({k: v + 1 for k, v in before.items() if k != "conv.weight"})
    for name, array in plan.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_weights_are_canonical_and_writable():
    plan = small_cnn()
    assert plan.parameters["conv.weight"].shape == (4, 2, 3, 3)
    assert plan.num_parameters == 4 * 2 * 9 + 4 + 4 + 3 * 36 + 3
    plan.parameters["dense.bias"][...] = 100.0
    assert plan.forward(batch_of(1))["logits"].min() > 50


def test_the_learning_rate_can_be_changed():
    plan, batch = small_cnn(engine.optim.SGD(0.1)), batch_of(2)
    plan.learning_rate = 0.0
    before = plan.state_dict()["dense.weight"]
    plan.train_step(batch)
    np.testing.assert_array_equal(plan.state_dict()["dense.weight"], before)
    assert plan.learning_rate == 0.0
    with pytest.raises(EngineError, match="learning_rate=nan; expected a number"):
        plan.learning_rate = float("nan")


@pytest.mark.parametrize(
    ("order", "n"), [*itertools.product([(0, 1, 2, 3), (0, 2, 3, 1), (3, 2, 1, 0)], [1, 3])]
)
def test_inputs_may_have_any_memory_order(order, n):
    plan, batch = small_cnn(), batch_of(n)
    strange = batch["image"].transpose(order).copy().transpose(np.argsort(order))
    np.testing.assert_array_equal(
        plan.forward({"image": strange})["logits"], plan.forward(batch)["logits"]
    )
