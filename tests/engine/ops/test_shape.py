"""Reshaping, slicing, padding and joining against NumPy and finite differences."""

import numpy as np
import pytest

import engine
from engine import ops
from engine.errors import ShapeError
from engine.testing import check_gradients

CALLS = {
    "reshape": lambda v: ops.reshape(v, (4, -1)),
    "flatten": ops.flatten,
    "transpose": ops.transpose,
    "permute": lambda v: ops.transpose(v, (1, 0, 2)),
    "squeeze": lambda v: ops.squeeze(v[:, :1], 1),
    "unsqueeze": lambda v: ops.unsqueeze(v, (0, -1)),
    "slice": lambda v: v[1, ..., ::2],
    "slice back": lambda v: v[:, ::-1, -2:],
    "concatenate": lambda v: ops.concatenate(v, v * 2.0, axis=1),
    "stack": lambda v: ops.stack(v, v * 2.0, axis=1),
    "split": lambda v: ops.split(v, (1, 2), axis=1)[1],
    "pad": lambda v: ops.pad(v, ((0, 0), (1, 2), (0, 1)), 5.0),
    "tile": lambda v: ops.tile(v, (1, 2, 3)),
}
NUMPY = {
    "reshape": lambda v: v.reshape(4, -1),
    "flatten": lambda v: v.reshape(2, -1),
    "transpose": np.transpose,
    "permute": lambda v: v.transpose(1, 0, 2),
    "squeeze": lambda v: v[:, 0],
    "unsqueeze": lambda v: v[None, ..., None],
    "slice": lambda v: v[1, ..., ::2],
    "slice back": lambda v: v[:, ::-1, -2:],
    "concatenate": lambda v: np.concatenate([v, v * 2], 1),
    "stack": lambda v: np.stack([v, v * 2], 1),
    "split": lambda v: v[:, 1:],
    "pad": lambda v: np.pad(v, ((0, 0), (1, 2), (0, 1)), constant_values=5.0),
    "tile": lambda v: np.tile(v, (1, 2, 3)),
}


@pytest.mark.parametrize("name", CALLS)
def test_movement_equals_numpy(rng, name):
    x = rng.normal(size=(2, 3, 4))
    np.testing.assert_array_equal(CALLS[name](engine.tensor(x)).data, NUMPY[name](x))


@pytest.mark.parametrize("name", CALLS)
def test_gradients_of_any_order_match_finite_differences(rng, name):
    x = rng.normal(size=(2, 3, 4))
    check_gradients(lambda v: ops.tanh(CALLS[name](v)), x, second=True, tolerance=1e-5)


@pytest.mark.torch
@pytest.mark.parametrize(
    ("name", "attrs", "reference"),
    [
        ("transpose", {"axes": (0, 2, 3, 1)}, lambda x: x.permute(0, 2, 3, 1)),
        ("reshape", {"shape": ("N", 6, 20)}, lambda x: x.reshape(-1, 6, 20)),
        ("reshape", {"shape": ("N", -1)}, lambda x: x.reshape(x.shape[0], -1)),
        ("flatten", {}, lambda x: x.flatten(1)),
        ("pad", {"padding": ((0, 0), (1, 0), (0, 2), (1, 1))}, None),
    ],
)
def test_movement_in_a_plan_equals_torch(rng, agree_with_torch, name, attrs, reference):
    from torch.nn import functional

    x = rng.normal(size=(3, 4, 6, 5))
    if reference is None:

        def reference(v):
            return functional.pad(v, (1, 1, 0, 2, 1, 0))

    if name == "reshape":
        from engine.plan import PlanBuilder

        b = PlanBuilder()
        v = b.input("x", ("N", 4, 6, 5))
        b.output("y", b.call("reshape", v, **attrs))
        y = b.build().forward({"x": x.astype(np.float32)})["y"]
        import torch

        np.testing.assert_array_equal(y, reference(torch.tensor(x.astype(np.float32))).numpy())
        return
    agree_with_torch(name, reference, x, **attrs)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: ops.reshape(x, (5, 5)), "24 elements"),
        (lambda x: ops.reshape(x, (-1, 5)), "not a multiple of 5"),
        (lambda x: ops.reshape(x, (-1, -1)), "at most one -1"),
        (lambda x: ops.transpose(x, (0, 1)), "each of its"),
        (lambda x: ops.concatenate(x, ops.reshape(x, (2, 4, 3)), axis=1), "other axes to agree"),
        (lambda x: ops.split(x, 2, axis=1), "equal parts"),
        (lambda x: ops.split(x, (4, -1), axis=1), "add up to 3"),
        (lambda x: ops.squeeze(x, 1), "expected 1"),
        (lambda x: ops.pad(x, ((0, 0), (-1, 0), (0, 0))), "none negative"),
        (lambda x: x[5], "index 5"),
        (lambda x: x[0, 0, 0, 0], "4 indices"),
    ],
)
def test_impossible_movements_are_refused(call, words):
    with pytest.raises(ShapeError, match=words):
        call(engine.tensor(np.ones((2, 3, 4))))


@pytest.mark.parametrize("read", [(0, 1, 2), (1,), (0, 2)], ids=str)
def test_parts_that_nobody_reads_have_no_gradient(read):
    """One of the three is empty; where all are read, their gradients are joined."""

    def f(x):
        parts = ops.split(ops.tanh(x), (2, 0, 3), axis=1)
        total = ops.sum(parts[read[0]] * parts[read[0]])
        for i in read[1:]:
            total = total + ops.sum(ops.exp(parts[i]))
        return total

    rng = np.random.default_rng(0)
    check_gradients(f, rng.normal(size=(3, 5)))


def test_a_split_can_be_differentiated_twice():
    x = engine.tensor(np.random.default_rng(0).normal(size=(2, 4)), requires_grad=True)
    a, b = ops.split(x, 2, axis=1)
    (slope,) = engine.grad(ops.sum(a * a * b), [x], create_graph=True)
    (curve,) = engine.grad(ops.sum(slope), [x])
    v = x.numpy()
    expected = np.concatenate([2 * v[:, 2:] + 2 * v[:, :2], 2 * v[:, :2]], 1)
    np.testing.assert_allclose(curve.numpy(), expected)
