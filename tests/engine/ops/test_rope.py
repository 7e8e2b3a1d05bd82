"""Rotary positions against the product of complex numbers."""

import numpy as np
import pytest

import engine
from engine import ops
from engine.errors import EngineError, ShapeError


@pytest.mark.parametrize(("base", "start"), [(10_000.0, 0), (500.0, 7)])
def test_pairs_are_turned_as_complex_numbers(rng, base, start):
    x = rng.normal(size=(2, 3, 5, 8))
    pairs = x[..., :4] + 1j * x[..., 4:]
    angle = (start + np.arange(5))[:, None] * base ** (-2 * np.arange(4) / 8)
    turned = pairs * np.exp(1j * angle)
    expected = np.concatenate([turned.real, turned.imag], axis=-1)
    found = ops.rotary_positions(engine.tensor(x), base, start)
    np.testing.assert_allclose(found.data, expected, atol=1e-12)


def test_products_depend_on_the_distance_only(rng):
    q, k = (np.tile(rng.normal(size=(1, 8)), (12, 1)) for _ in range(2))
    turned = [ops.rotary_positions(engine.tensor(v)).data for v in (q, k)]
    scores = turned[0] @ turned[1].T
    for distance in range(-5, 6):
        same = np.diagonal(scores, distance)
        np.testing.assert_allclose(same, same[0], atol=1e-12)
    assert np.abs(scores[0, 1:] - scores[0, 0]).min() > 1e-3


def test_late_places_keep_their_digits():
    x = np.ones((1, 1, 2), np.float32)
    found = ops.rotary_positions(engine.tensor(x), start=1_000_000).data.ravel()
    expected = [np.cos(1e6) - np.sin(1e6), np.cos(1e6) + np.sin(1e6)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_what_cannot_be_turned_is_refused():
    with pytest.raises(ShapeError, match="with an even D"):
        ops.rotary_positions(engine.zeros(2, 3))
    with pytest.raises(EngineError, match="a base above 0"):
        ops.rotary_positions(engine.zeros(2, 4), 0.0)
    with pytest.raises(EngineError, match="a start of 0 or more"):
        ops.rotary_positions(engine.zeros(2, 4), start=-1)
