"""Losses and accuracy in native code."""

import numpy as np
import pytest

import engine
from engine.errors import EngineError
from engine.plan import PlanBuilder


def ids(shape, classes, seed=3):
    return np.random.default_rng(seed).integers(0, classes, shape)


def conv(b, x, inputs, filters):
    w = b.parameter("w", (filters, inputs, 1, 1), init="uniform", low=-0.5, high=0.5)
    return b.call("conv2d", x, w)


CASES = [{}, {"label_smoothing": 0.1}, {"ignore_index": 1}, {"ignore_index": -100}]


@pytest.mark.parametrize("options", CASES)
@pytest.mark.parametrize(
    ("size", "classes"), [(1, 2), (5, 7), (37, 3), (600, 8), (33, 16), (9, 35), (700, 10)]
)
def test_cross_entropy(verify, size, classes, options):
    labels = ids(size, classes)
    if options.get("ignore_index") == -100:
        labels[::3] = -100
    verify(
        lambda b, x, t: b.call("cross_entropy", x, t, **options),
        (size, classes),
        {"t": labels},
        spread=4.0,
    )


@pytest.mark.parametrize("dtype", ["int32", "uint8"])
def test_labels_of_other_types(verify, dtype):
    labels = ids(9, 5).astype(dtype)
    verify(lambda b, x, t: b.call("cross_entropy", x, t), (9, 5), {"t": labels})


@pytest.mark.parametrize("options", CASES[:3])
def test_cross_entropy_of_maps(verify, options):
    def make(b, x, t):
        return b.call("cross_entropy", conv(b, x, 3, 5), t, **options)

    verify(make, (4, 3, 6, 7), {"t": ids((4, 6, 7), 5)})


def test_cross_entropy_of_maps_in_row_major_order(verify):
    def make(b, x, t):
        return b.call("cross_entropy", b.call("exp", x), t)

    verify(make, (4, 5, 6, 7), {"t": ids((4, 6, 7), 5)})


def test_cross_entropy_of_sequences(verify):
    def make(b, x, t):
        labels = b.call("transpose", b.call("transpose", t, axes=(1, 0)), axes=(1, 0))
        return b.call("cross_entropy", b.call("transpose", x, axes=(0, 2, 1)), labels)

    verify(make, (4, 6, 9), {"t": ids((4, 6), 9)})


def test_cross_entropy_of_transposed_labels(verify):
    def make(b, x, t):
        logits = b.call("transpose", x, axes=(1, 2, 0))  # (6, 9, 4)
        return b.call("cross_entropy", logits, b.call("transpose", t, axes=(1, 0)))

    verify(make, (4, 6, 9), {"t": ids((4, 6), 9)})


def test_nothing_to_count_is_no_loss(verify):
    labels = np.full(5, -100)
    verify(lambda b, x, t: b.call("cross_entropy", x, t), (5, 4), {"t": labels})


FLOATS = ["mse", "mae", "huber", "binary_cross_entropy", "hinge", "kl_normal", "dice"]


@pytest.mark.parametrize("name", [*FLOATS, "cosine_distance", "kl_divergence"])
@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (33, 70)])
def test_losses_of_two_arrays(verify, name, shape):
    rng = np.random.default_rng(0)
    target = rng.uniform(0.0, 1.0, shape).astype(np.float32)
    if name == "kl_divergence":
        target[0, 0] = 0.0
    verify(lambda b, x, t: b.call(name, x, t), shape, {"t": target})


def test_binary_cross_entropy_with_a_weight(verify):
    target = np.random.default_rng(0).integers(0, 2, (9, 35)).astype(np.float32)
    verify(lambda b, x, t: b.call("binary_cross_entropy", x, t, 3.0), (9, 35), {"t": target})


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"ignore_index": 2}])
@pytest.mark.parametrize("weighted", [False, True])
def test_weighted_cross_entropy(verify, weighted, options):
    def make(b, x, t):
        weight = b.constant(np.linspace(0.5, 2.0, 5, dtype=np.float32)) if weighted else None
        return b.call("weighted_cross_entropy", x, t, weight, **options)

    verify(make, (9, 5), {"t": ids(9, 5)})


def test_weighted_cross_entropy_of_shares(verify):
    shares = np.random.default_rng(0).dirichlet(np.ones(5), 9).astype(np.float32)
    verify(lambda b, x, t: b.call("weighted_cross_entropy", x, t), (9, 5), {"t": shares})


@pytest.mark.parametrize("name", ["triplet", "contrastive"])
def test_losses_of_distances(verify, name):
    def make(b, x, s):
        others = [b.call("exp", x), b.call("sigmoid", x)]
        return b.call(name, x, *others) if name == "triplet" else b.call(name, x, others[0], s)

    same = np.random.default_rng(0).integers(0, 2, 9).astype(np.float32)
    verify(make, (9, 17), {"s": same})


def accuracy_of(rows, labels):
    b = PlanBuilder()
    x = b.input("x", ("N", *rows.shape[1:]))
    t = b.input("t", ("N", *labels.shape[1:]), "int64")
    b.metric("accuracy", b.call("accuracy", x, t))
    b.loss("loss", b.call("mean", x))
    plan = b.build(seed=0)
    batch = {"x": rows, "t": labels}
    expected = plan.evaluate(batch)["accuracy"]
    assert plan.prepare(len(rows), ("evaluate",))
    return plan.evaluate(batch)["accuracy"], expected


@pytest.mark.parametrize("shape", [(1, 1), (9, 5), (700, 33), (6, 4, 5, 7)])
def test_accuracy_with_ties_and_nan(shape):
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 3, shape).astype(np.float32)
    rows[rng.uniform(size=shape) < 0.1] = np.nan
    labels = rng.integers(-1, shape[1] + 1, (shape[0], *shape[2:]))
    found, expected = accuracy_of(rows, labels)
    assert found == expected


@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 3, 3)])
@pytest.mark.parametrize("wrong", [-7, 4])
def test_a_label_out_of_range_is_refused(shape, wrong):
    b = PlanBuilder()
    x = b.input("x", ("N", *shape[1:]))
    t = b.input("t", ("N", *shape[2:]), "int64")
    factor = b.parameter("factor", shape[1:], init="ones")
    b.loss("loss", b.call("cross_entropy", b.call("multiply", x, factor), t))
    plan = b.build(optimizer=engine.optim.SGD(0.1), seed=0)
    assert plan.prepare(6)
    labels = np.zeros((6, *shape[2:]), np.int64)
    labels.flat[-1] = wrong
    with pytest.raises(EngineError, match=f"label {wrong}"):
        plan.train_step({"x": np.ones(shape, np.float32), "t": labels})
    assert (plan.state_dict()["factor"] == 1.0).all()


def test_what_one_thread_makes_of_a_loss_waits_for_no_other(batch_for):
    """Weights and sums of losses are single numbers: the thread that has the mean goes on."""

    b = PlanBuilder()
    x, t = b.input("x", ("N", 50)), b.input("t", ("N",), "int64")
    scores = b.call("matmul", x, b.parameter("w", (50, 7), init="glorot_uniform"))
    b.loss("first", b.call("cross_entropy", scores, t), weight=0.5)
    plan = b.build(num_threads=2)
    plan.prepare(64, ("evaluate",))
    (compiled,) = plan._programs.values()
    (run,) = compiled.program._run
    names = ["" if call is None else call[1] for call in run._calls]
    mean = next(i for i, name in enumerate(names) if name == "mean-of-parts")
    assert names[mean - 1] == ""
    assert names[mean + 1] == "elementwise"
    other = b.build(num_threads=2)
    batch = batch_for(plan, 64)
    assert plan.evaluate(batch) == pytest.approx(other.evaluate(batch), rel=1e-6)
