"""New tensors of a given shape."""

from __future__ import annotations

import numpy as np
import pytest

import engine
from engine.errors import DTypeError, EngineError, ShapeError


def test_filled_and_counted():
    assert engine.zeros(2, 3).tolist() == engine.zeros((2, 3)).tolist() == [[0.0] * 3] * 2
    assert engine.ones([2]).tolist() == [1.0, 1.0]
    assert engine.ones(()).shape == ()
    assert engine.zeros(4, dtype="int64").dtype == np.int64
    assert engine.full((2, 1), 0.5).tolist() == [[0.5], [0.5]]
    assert engine.zeros(2).dtype == engine.full(2, 3).dtype == np.float32
    assert engine.arange(3).dtype == np.int64
    assert engine.arange(1, 7, 2).tolist() == [1, 3, 5]
    assert engine.arange(0, 1, 0.25).dtype == np.float32
    assert engine.arange(3, dtype="float64").dtype == np.float64


def test_draws_follow_the_seed_and_their_distributions():
    def draws():
        engine.manual_seed(4)
        return (
            engine.random_normal(200, 200, mean=1.0, std=0.5).data,
            engine.random_uniform((200, 200), low=-1.0, high=3.0).data,
            engine.random_integers(-2, 3, (200, 200)).data,
        )

    first, again = draws(), draws()
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    normal, uniform, whole = first
    assert normal.dtype == uniform.dtype == np.float32
    assert normal.mean() == pytest.approx(1.0, abs=0.01)
    assert normal.std() == pytest.approx(0.5, rel=0.02)
    assert uniform.mean() == pytest.approx(1.0, abs=0.02)
    assert uniform.min() >= -1.0
    assert uniform.max() <= 3.0
    assert whole.dtype == np.int64
    counts = np.bincount((whole + 2).ravel())
    assert len(counts) == 5
    np.testing.assert_allclose(counts / whole.size, 0.2, atol=0.01)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: engine.zeros(2, -1), ShapeError, r"zeros found shape \(2, -1\); expected whole"),
        (lambda: engine.ones((2, 1.5)), ShapeError, "expected whole numbers"),
        (lambda: engine.full("ab", 1.0), ShapeError, "full found shape"),
        (lambda: engine.zeros(2, dtype="text"), DTypeError, "element type 'text'"),
        (lambda: engine.random_normal(3, std=-1.0), EngineError, "found std=-1.0"),
        (lambda: engine.random_normal(3, dtype="int64"), DTypeError, "expected float32"),
        (lambda: engine.random_integers(3, 3, 2), EngineError, "found 3 to 3"),
    ],
)
def test_what_cannot_be_made_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()
