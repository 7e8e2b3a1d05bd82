"""Indexing by arrays and masks against NumPy and PyTorch."""

import numpy as np
import pytest

import engine
from engine import ops
from engine.errors import DTypeError, EngineError, ShapeError
from engine.plan import PlanBuilder

ROWS = np.array([2, 0, -1, 2])
KEYS = {
    "rows": ROWS,
    "list": [1, 0],
    "empty list": [],
    "nested": np.array([[0, 1], [2, -3]]),
    "second axis": (slice(None), np.array([3, 1])),
    "last axis": (..., np.array([1, -1, 0])),
    "with slices": (slice(1, None), np.array([3, 0]), slice(None, None, -1)),
    "two arrays": (np.array([0, 2, 1]), np.array([3, -4, 1])),
    "broadcast": (np.array([[0], [2]]), np.array([1, 3])),
    "later two": (..., np.array([3, 1]), np.array([0, 1])),
    "three": (np.array([0, 1]), np.array([0, 1]), np.array([1, 0])),
    "mask of rows": np.array([True, False, True]),
    "mask of all": np.arange(24).reshape(3, 4, 2) % 5 == 0,
    "mask of two axes": np.arange(12).reshape(3, 4) % 3 == 1,
    "mask inside": (slice(None), np.array([True, False, False, True])),
    "mask of nothing": np.zeros((3, 4), bool),
    "mask and index": (np.array([True, False, True]), np.array([1, 3])),
    "small type": np.array([0, 2], np.uint8),
}


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("lifted", [False, True])
def test_it_equals_numpy_s(rng, name, lifted):
    x, key = rng.normal(size=(3, 4, 2)), KEYS[name]
    given = key if isinstance(key, tuple) else (key,)
    if lifted:
        given = tuple(engine.tensor(k) if isinstance(k, np.ndarray) else k for k in given)
    tensor = engine.tensor(x, requires_grad=True)
    y = tensor[given if isinstance(key, tuple) else given[0]]
    expected = x[key]
    assert y.shape == expected.shape
    np.testing.assert_array_equal(y.data, expected)
    weights = rng.normal(size=expected.shape)
    (y * engine.tensor(weights)).sum().backward()
    slope = np.zeros_like(x)
    np.add.at(slope, key if isinstance(key, tuple) else (key,), weights)
    np.testing.assert_allclose(tensor.grad.data, slope, atol=1e-12)


@pytest.mark.torch
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_take_equals_torch(rng, agree_with_torch, axis):
    import torch

    ids = np.array([1, 0, 1])
    agree_with_torch(
        "take", lambda x, i: x.index_select(axis, torch.as_tensor(i)), rng.normal(size=(3, 4, 2)),
        ids, plan=axis != 0, axis=axis,
    )  # fmt: skip


def test_one_place_and_a_vector():
    x = engine.tensor([3.0, 1.0, 2.0])
    assert x[x.argmax()].item() == 3.0
    assert x[[2, 0]].tolist() == [2.0, 3.0]
    assert x[x > 1.5].tolist() == [3.0, 2.0]
    assert ops.take(x, engine.tensor([[0, 1]])).tolist() == [[3.0, 1.0]]


def test_in_a_plan_one_index_may_be_computed(rng):
    b = PlanBuilder()
    x, table = b.input("x", ("N", 4)), b.parameter("table", (4, 3), init="he_normal")
    y = b.call("slice", table, b.call("argmax", x))
    b.output("y", y)
    b.output("known", b.call("slice", x, (slice(None), np.array([3, -4]))))
    b.loss("l", b.call("mean", b.call("multiply", y, y)))
    plan, data = b.build(), rng.normal(size=(5, 4)).astype(np.float32)
    rows = plan.parameters["table"][data.argmax(1)]
    found = plan.forward({"x": data})
    np.testing.assert_array_equal(found["y"], rows)
    np.testing.assert_array_equal(found["known"], data[:, [3, 0]])
    slope = np.zeros((4, 3))
    np.add.at(slope, data.argmax(1), 2 * rows / rows.size)
    np.testing.assert_allclose(plan.gradients({"x": data})[1]["table"], slope, rtol=1e-5, atol=1e-8)
    with pytest.raises(EngineError, match="a mask that is computed in a plan"):
        b.call("slice", x, b.call("less", x, 0.0))
    with pytest.raises(EngineError, match="one is computed in a plan"):
        b.call("slice", table, (b.call("argmax", x), np.array([0])))


@pytest.mark.parametrize(
    ("key", "error", "words"),
    [
        (np.array([0, 3]), ShapeError, "index 3 on axis 0 of size 3; expected -3 to 2"),
        ((slice(None), [-5]), ShapeError, "index -5 on axis 1 of size 4"),
        (np.array([0.5]), DTypeError, "indices of type float64; expected whole numbers or a mask"),
        (np.ones(4, bool), ShapeError, r"mask \(4,\); expected \(3,\)"),
        ((0, [1]), ShapeError, r"Take one after the other: x\[0\]"),
        (([0], slice(None), [1]), ShapeError, "expected neighbouring arrays"),
        (([0], [1], [0], [0]), ShapeError, "indices for 4 axes; expected at most 3"),
        (([0, 1], [0, 1, 2]), ShapeError, r"shapes \(2,\) and \(3,\); expected shapes that"),
        ("a", ShapeError, "found str; expected integers, slices, or arrays"),
        (1.5, ShapeError, "found float"),
    ],
)
def test_what_is_no_index_is_refused(key, error, words):
    with pytest.raises(error, match=words):
        engine.zeros(3, 4, 2)[key]
