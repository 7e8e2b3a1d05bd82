"""Batch normalisation against PyTorch and finite differences."""

import numpy as np
import pytest

import engine
from engine import ops
from engine.errors import ShapeError
from engine.testing import check_gradients


def _torch_norm(x, gamma, beta, mean, var, training):
    from torch.nn import functional

    return functional.batch_norm(x, mean, var, gamma, beta, training, 0.3, 1e-3)


@pytest.mark.torch
@pytest.mark.parametrize("shape", [(6, 4), (3, 4, 5), (3, 4, 5, 2), (1, 4, 2, 2)])
@pytest.mark.parametrize("training", [False, True])
def test_batch_norm_equals_torch_running_statistics_included(rng, shape, training):
    torch = pytest.importorskip("torch")
    arrays = [
        rng.normal(size=shape) * 3 + 10,
        rng.normal(size=4),
        rng.normal(size=4),
        rng.normal(size=4),
        rng.uniform(0.5, 2, 4),
    ]
    ours = [engine.tensor(a, requires_grad=i < 3) for i, a in enumerate(arrays)]
    theirs = [torch.tensor(a, requires_grad=i < 3) for i, a in enumerate(arrays)]
    y = ops.batch_norm(*ours, momentum=0.3, epsilon=1e-3, training=training)
    expected = _torch_norm(*theirs, training)
    (y * y * y).sum().backward()
    (expected**3).sum().backward()
    np.testing.assert_allclose(y.data, expected.detach().numpy(), rtol=1e-9, atol=1e-9)
    for a, b in zip(ours[:3], theirs[:3], strict=True):
        np.testing.assert_allclose(a.grad.data, b.grad.numpy(), rtol=1e-7, atol=1e-7)
    for a, b in zip(ours[3:], theirs[3:], strict=True):
        np.testing.assert_allclose(a.data, b.numpy(), rtol=1e-9)


def test_batch_norm_gradients_match_finite_differences(rng):
    state = np.zeros(2), np.ones(2)
    check_gradients(
        lambda x, g, b: ops.batch_norm(x, g, b, *map(engine.tensor, state)),
        rng.normal(size=(3, 2, 4)),
        rng.normal(size=2),
        rng.normal(size=2),
    )


def test_batch_norm_keeps_its_digits_far_from_zero(rng):
    x = (rng.normal(size=(64, 2)) * 0.1 + 1000).astype(np.float32)
    ones, zeros = engine.tensor(np.ones(2, np.float32)), engine.tensor(np.zeros(2, np.float32))
    y = ops.batch_norm(engine.tensor(x), ones, zeros, engine.tensor(zeros), engine.tensor(ones))
    wide = x.astype(np.float64)
    expected = (wide - wide.mean(0)) / np.sqrt(wide.var(0) + 1e-5)
    np.testing.assert_allclose(y.data, expected, atol=2e-3)


def test_batch_norm_of_a_single_element_has_finite_statistics():
    states = [engine.tensor(np.full(2, v)) for v in (1.0, 0.0, 0.0, 1.0)]
    y = ops.batch_norm(engine.tensor(np.ones((1, 2))), *states)
    assert y.data.tolist() == [[0.0, 0.0]]
    assert np.isfinite(states[3].data).all()


def test_batch_norm_wants_one_number_a_channel():
    good, bad = engine.tensor(np.ones(3)), engine.tensor(np.ones(2))
    with pytest.raises(ShapeError, match="beta"):
        ops.batch_norm(engine.tensor(np.ones((2, 3))), good, bad, good, good)
