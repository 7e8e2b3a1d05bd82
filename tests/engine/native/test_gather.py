"""Embedding, gather and one-hot in native code."""

import numpy as np
import pytest

import engine
from engine.errors import EngineError
from engine.plan import PlanBuilder


def table(b, rows, width, name="table"):
    return b.parameter(name, (rows, width), init="uniform", low=-0.5, high=0.5)


def ids(shape, rows, dtype="int64", seed=7):
    return np.random.default_rng(seed).integers(0, rows, shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8"])
@pytest.mark.parametrize(
    ("shape", "rows", "width"), [((1,), 1, 1), ((5, 7), 11, 6), ((4, 3), 3, 33), ((9, 4), 50, 64)]
)
def test_embedding_and_its_gradient(verify, dtype, shape, rows, width):
    def make(b, x, t):
        return b.call("embedding", t, table(b, rows, width))

    verify(make, (shape[0], 2), {"t": ids(shape, rows, dtype)})


def test_the_padding_row_gets_no_gradient(verify):
    def make(b, x, t):
        return b.call("embedding", t, table(b, 5, 17), padding_idx=2)

    verify(make, (6, 2), {"t": ids((6, 4), 5)})


def test_embedding_of_transposed_ids_from_a_transposed_table(verify):
    def make(b, x, t):
        turned = b.call("transpose", table(b, 6, 11), axes=(1, 0))
        return b.call("embedding", b.call("transpose", t, axes=(1, 0)), turned)

    verify(make, (4, 2), {"t": ids((4, 3), 11)})


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_gather_along_any_axis(verify, axis):
    shape = (5, 6, 19)

    def make(b, x, t):
        return b.call("gather", x, t, axis=axis)

    taken = shape if axis == 0 else tuple(4 if i == axis else n for i, n in enumerate(shape))
    verify(make, shape, {"t": ids(taken, shape[axis])})


def test_gather_from_a_transposed_input(verify):
    def make(b, x, t):
        return b.call("gather", b.call("transpose", x, axes=(0, 2, 1)), t, axis=1)

    verify(make, (3, 5, 7), {"t": ids((3, 9, 5), 7)})


@pytest.mark.parametrize("classes", [1, 7, 33])
def test_one_hot(verify, classes):
    def make(b, x, t):
        return b.call("multiply", x, b.call("one_hot", t, classes))

    verify(make, (5, 3, classes), {"t": ids((5, 3), classes)})


def build(op):
    b = PlanBuilder()
    x, t = b.input("x", ("N", 4)), b.input("t", ("N", 4), "int64")
    factor = b.parameter("factor", (4,), init="ones")
    y = b.call("multiply", x, factor)
    if op == "embedding":
        y = b.call("embedding", t, b.parameter("table", (4, 3), init="uniform"))
    elif op == "gather":
        y = b.call("gather", y, t, axis=1)
    else:
        y = b.call("multiply", b.call("reshape", y, shape=(-1, 4, 1)), b.call("one_hot", t, 4))
    b.loss("loss", b.call("mean", b.call("square", y)))
    return b.build(optimizer=engine.optim.SGD(0.1), seed=0)


@pytest.mark.parametrize("op", ["embedding", "gather", "one_hot"])
@pytest.mark.parametrize("wrong", [-1, 4, 2**40])
def test_an_index_out_of_range_is_refused_and_changes_nothing(op, wrong):
    plan = build(op)
    assert plan.prepare(2)
    before = plan.state_dict()
    batch = {"x": np.ones((2, 4), np.float32), "t": np.array([[0, 1, 2, 3], [3, wrong, 0, 0]])}
    with pytest.raises(EngineError, match=f"{op} found index {wrong}; expected 0 to 3"):
        plan.train_step(batch)
    assert all((before[k] == v).all() for k, v in plan.state_dict().items())
    batch["t"][1, 1] = 0
    assert np.isfinite(plan.train_step(batch)["loss"])


def test_indices_computed_in_the_same_program_are_checked_too():
    b = PlanBuilder()
    x = b.input("x", ("N", 6))
    best = b.call("argmax", x, axis=-1)
    small = b.parameter("table", (3, 2), init="uniform")
    b.loss("loss", b.call("mean", b.call("embedding", best, small)))
    plan = b.build(optimizer=engine.optim.SGD(0.1), seed=0)
    plan.prepare(4)
    batch = {"x": np.zeros((4, 6), np.float32)}
    assert np.isfinite(plan.train_step(batch)["loss"])
    batch["x"][2, 5] = 1.0
    with pytest.raises(EngineError, match="found index 5"):
        plan.train_step(batch)


@pytest.mark.parametrize("axis", [1, 2])
def test_sums_into_named_places(verify, axis):
    shape = (5, 6, 19)
    taken = tuple(23 if i == axis else n for i, n in enumerate(shape))

    def make(b, x, t):
        base = b.call("mean", x, axis=axis, keepdims=True)
        source = b.call("broadcast_to", base, shape=("N", *taken[1:]))
        return b.call("scatter_add", x, t, source, axis=axis)

    verify(make, shape, {"t": ids(taken, shape[axis])})
