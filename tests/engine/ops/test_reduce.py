"""Reductions against PyTorch and finite differences."""

import numpy as np
import pytest

import engine
from engine import ops
from engine.errors import ShapeError
from engine.testing import check_gradients

AXES = [None, 0, -1, (0, 2), (1, 2)]


@pytest.mark.torch
@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "var"])
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("keepdims", [False, True])
def test_reduction_equals_torch(rng, agree_with_torch, name, axis, keepdims):
    import torch

    dims = (0, 1, 2) if axis is None else axis
    reference = {
        "max": lambda x: torch.amax(x, dims, keepdim=keepdims),
        "min": lambda x: torch.amin(x, dims, keepdim=keepdims),
        "var": lambda x: torch.var(x, dims, correction=0, keepdim=keepdims),
        "sum": lambda x: torch.sum(x, dims, keepdim=keepdims),
        "mean": lambda x: torch.mean(x, dims, keepdim=keepdims),
    }[name]
    x = np.round(rng.normal(size=(3, 4, 5)), 1)  # rounded: some ties
    agree_with_torch(name, reference, x, axis=axis, keepdims=keepdims)


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "var"])
def test_reduction_gradients_of_any_order_match_finite_differences(rng, name):
    x = rng.permutation(24).reshape(2, 3, 4) / 5.0
    check_gradients(
        lambda v: ops.tanh(getattr(ops, name)(v, axis=(0, 2))), x, second=True, tolerance=1e-5
    )


def test_variance_of_a_large_offset_keeps_its_digits():
    x = (1000 + np.array([-0.1, 0.1] * 8)).astype(np.float32)
    assert ops.var(engine.tensor(x)).item() == pytest.approx(x.astype(np.float64).var(), rel=1e-5)


def test_the_greatest_of_nothing_is_refused():
    with pytest.raises(ShapeError, match="at least one element"):
        ops.max(engine.tensor(np.ones((0, 2))), axis=0)


@pytest.mark.parametrize("axis", [3, (0, 0), (0, -3)])
def test_axes_must_exist_once(axis):
    with pytest.raises(ShapeError, match="expected"):
        ops.sum(engine.tensor(np.ones((2, 2, 2))), axis=axis)


def test_broadcast_to_repeats_and_its_gradient_sums():
    x = engine.tensor([[1.0], [2.0]], requires_grad=True)
    y = ops.broadcast_to(x, (3, 2, 4))
    assert y.shape == (3, 2, 4)
    y.sum().backward()
    assert x.grad.data.tolist() == [[12.0], [12.0]]
    with pytest.raises(ShapeError, match="agree or are 1"):
        ops.broadcast_to(x, (3, 4))
