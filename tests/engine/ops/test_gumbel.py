"""Draws of classes through which gradients flow."""

import numpy as np
import pytest

import engine
from engine import ops
from engine.errors import EngineError


def test_classes_are_drawn_by_their_logits():
    engine.manual_seed(2)
    p = np.array([0.1, 0.6, 0.3])
    logits = engine.tensor(np.tile(np.log(p), (20_000, 1)))
    for hard in (False, True):
        shares = ops.gumbel_softmax(logits, 0.5, hard)
        np.testing.assert_allclose(shares.data.sum(1), 1.0, atol=1e-12)
        counts = np.bincount(shares.data.argmax(1)) / 20_000
        np.testing.assert_allclose(counts, p, atol=0.015)
        if hard:
            assert set(np.round(shares.data.ravel(), 12)) == {0.0, 1.0}


def test_a_small_temperature_comes_near_to_one_class():
    engine.manual_seed(3)
    x = engine.tensor(np.zeros((500, 4)))
    assert ops.gumbel_softmax(x, 0.01).data.max(1).mean() > 0.98
    assert ops.gumbel_softmax(x, 100.0).data.max(1).mean() < 0.27


def test_the_hard_draw_has_the_gradient_of_the_soft_one(rng):
    logits, weights = rng.normal(size=(3, 4, 2)), rng.normal(size=(3, 4, 2))
    slopes = []
    for hard in (False, True):
        engine.manual_seed(5)
        x = engine.tensor(logits, requires_grad=True)
        (ops.gumbel_softmax(x, 0.7, hard, axis=1) * engine.tensor(weights)).sum().backward()
        slopes.append(x.grad.data)
    assert np.abs(slopes[0]).max() > 0.01
    np.testing.assert_allclose(slopes[1], slopes[0], atol=1e-12)


def test_the_temperature_is_above_zero():
    with pytest.raises(EngineError, match="expected a number above 0"):
        ops.gumbel_softmax(engine.zeros(2, 3), 0.0)
