"""Softmax, log-softmax, log-sum-exp: against PyTorch, and at extreme inputs."""

import numpy as np
import pytest

import engine
from engine import ops
from engine.errors import ShapeError
from engine.testing import check_gradients


@pytest.mark.torch
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
@pytest.mark.parametrize("axis", [1, -1])
def test_equals_torch(rng, agree_with_torch, name, axis):
    import torch

    reference = getattr(torch, name)
    agree_with_torch(name, lambda x: reference(x, axis), rng.normal(size=(3, 4, 2, 5)), axis=axis)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_gradients_of_any_order_match_finite_differences(rng, name):
    check_gradients(
        lambda v: ops.tanh(getattr(ops, name)(v, axis=1)),
        rng.normal(size=(2, 4)),
        second=True,
        tolerance=1e-5,
    )


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_huge_inputs_stay_finite(name):
    x = engine.tensor(
        np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4]], np.float32), requires_grad=True
    )
    y = getattr(ops, name)(x)
    y.sum().backward()
    assert np.isfinite(y.data).all()
    assert np.isfinite(x.grad.data).all()


def test_masked_entries_get_no_share():
    x = engine.tensor(np.array([[0.0, -np.inf, 0.0]], np.float32))
    assert ops.softmax(x).data.tolist() == [[0.5, 0.0, 0.5]]


@pytest.mark.torch
@pytest.mark.parametrize("axis", [None, (0, 2), (1, -1)])
def test_logsumexp_over_several_axes_equals_torch(rng, agree_with_torch, axis):
    import torch

    x = 50.0 * rng.normal(size=(2, 3, 4))
    axes = (0, 1, 2) if axis is None else axis
    agree_with_torch("logsumexp", lambda v: torch.logsumexp(v, axes), x, axis=axis)


def test_logsumexp_of_nothing_is_refused():
    with pytest.raises(ShapeError, match="at least one element"):
        ops.logsumexp(engine.tensor(np.ones((2, 0))))
