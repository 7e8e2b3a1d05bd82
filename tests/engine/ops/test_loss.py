"""Losses and accuracy against PyTorch and finite differences."""

import numpy as np
import pytest

import engine
from engine import ops
from engine.errors import DTypeError, EngineError, ShapeError
from engine.testing import check_gradients


@pytest.mark.torch
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("shape", [(5, 4), (3, 4, 6), (2, 3, 4, 5), (1, 1)])
def test_cross_entropy_equals_torch(rng, agree_with_torch, shape, smoothing):
    from torch.nn import functional

    ids = rng.integers(0, shape[1], (shape[0], *shape[2:]))
    agree_with_torch(
        "cross_entropy",
        lambda x, y: functional.cross_entropy(x, y, label_smoothing=smoothing),
        3 * rng.normal(size=shape),
        ids,
        label_smoothing=smoothing,
    )


@pytest.mark.torch
def test_cross_entropy_leaves_out_ignored_labels(rng, agree_with_torch):
    from torch.nn import functional

    agree_with_torch(
        "cross_entropy",
        lambda x, y: functional.cross_entropy(x, y, ignore_index=-100),
        rng.normal(size=(4, 3)),
        np.array([0, -100, 2, -100]),
    )


def test_cross_entropy_of_nothing_but_ignored_labels_is_zero():
    x = engine.tensor(np.ones((2, 3)), requires_grad=True)
    loss = ops.cross_entropy(x, engine.tensor(np.array([-100, -100])))
    loss.backward()
    assert loss.item() == 0.0
    assert not x.grad.data.any()


def test_cross_entropy_gradients_match_finite_differences(rng):
    ids = rng.integers(0, 3, (2, 4))
    check_gradients(
        lambda x, y: ops.cross_entropy(x, y, label_smoothing=0.2), rng.normal(size=(2, 3, 4)), ids
    )


def test_cross_entropy_of_huge_logits_is_exact():
    x = engine.tensor(np.array([[1e4, 0.0], [-1e4, 1e4]], np.float32), requires_grad=True)
    loss = ops.cross_entropy(x, engine.tensor(np.array([1, 1])))
    loss.backward()
    assert loss.item() == 5e3
    assert x.grad.data.tolist() == [[0.5, -0.5], [0.0, 0.0]]


@pytest.mark.parametrize("label", [-1, 3])
def test_cross_entropy_names_a_label_out_of_range(label):
    with pytest.raises(EngineError, match=f"label {label}; expected 0 to 2"):
        ops.cross_entropy(engine.tensor(np.ones((2, 3))), engine.tensor(np.array([0, label])))


def test_cross_entropy_checks_its_operands():
    logits = engine.tensor(np.ones((2, 3)))
    with pytest.raises(ShapeError, match=r"labels \(2, 3\)"):
        ops.cross_entropy(logits, engine.tensor(np.ones((2, 3), int)))
    with pytest.raises(DTypeError, match="whole numbers"):
        ops.cross_entropy(logits, engine.tensor(np.ones(2)))


@pytest.mark.torch
def test_mse_equals_torch(rng, agree_with_torch):
    from torch.nn import functional

    agree_with_torch(
        "mse",
        functional.mse_loss,
        rng.normal(size=(3, 4)),
        rng.normal(size=(3, 4)),
        batched=(0, 1),
    )


def test_mse_gradients_of_any_order_match_finite_differences(rng):
    check_gradients(ops.mse, rng.normal(size=(3, 2)), rng.normal(size=(3, 2)), second=True)


def test_mse_refuses_to_broadcast():
    with pytest.raises(ShapeError, match="compare every pair"):
        ops.mse(engine.tensor(np.ones((4, 1))), engine.tensor(np.ones(4)))


def test_accuracy_counts_the_first_of_equal_logits():
    logits = engine.tensor(np.array([[1.0, 1.0], [0.0, 1.0], [3.0, 1.0]]))
    assert ops.accuracy(logits, engine.tensor(np.array([0, 1, 1]))).item() == pytest.approx(2 / 3)


def test_accuracy_of_maps_counts_every_place(rng):
    logits, ids = rng.normal(size=(2, 3, 4, 5)), rng.integers(0, 3, (2, 4, 5))
    expected = (logits.argmax(1) == ids).mean()
    assert ops.accuracy(engine.tensor(logits), engine.tensor(ids)).item() == pytest.approx(expected)
