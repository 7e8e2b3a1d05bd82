"""Initialisers: moments, determinism, options."""

import numpy as np
import pytest

import engine
from engine import init, nn
from engine.errors import EngineError

VARIANCE = {
    "glorot_uniform": 2 / (300 + 200),
    "glorot_normal": 2 / (300 + 200),
    "he_uniform": 2 / 300,
    "he_normal": 2 / 300,
    "lecun_uniform": 1 / 300,
    "lecun_normal": 1 / 300,
}


@pytest.mark.parametrize("name", VARIANCE)
def test_variance_follows_the_fans(rng, name):
    w = init.draw(name, (200, 300), rng)
    assert w.dtype == np.float32
    assert w.mean() == pytest.approx(0.0, abs=1e-3)
    assert w.var() == pytest.approx(VARIANCE[name], rel=0.03)


def test_the_kernel_counts_into_the_fans():
    assert init.fans((32, 16, 3, 3)) == (16 * 9, 32 * 9)


@pytest.mark.parametrize("name", sorted(init.INITIALISERS))
def test_same_seed_same_values(name):
    first, second = (init.draw(name, (6, 5), np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_truncated_normal_stays_within_two_deviations(rng):
    w = init.draw("truncated_normal", (100, 100), rng, std=0.5)
    assert np.abs(w).max() <= 1.0


@pytest.mark.parametrize("shape", [(4, 10), (10, 4), (8, 2, 3)])
def test_orthogonal_rows_or_columns(rng, shape):
    w = init.draw("orthogonal", shape, rng, np.float64).reshape(shape[0], -1)
    small = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(small, np.eye(len(small)), atol=1e-12)


def test_options_reach_the_initialiser(rng):
    assert init.draw("constant", (2,), rng, value=3).tolist() == [3.0, 3.0]
    assert init.draw("uniform", (99,), rng, low=2, high=3).min() >= 2


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("nope", {}, "expected one of"),
        ("ones", {"std": 1}, "takes none"),
        ("normal", {"std": -1.0}, "expected finite numbers"),
        ("normal", {"std": float("nan")}, "expected finite numbers"),
        ("uniform", {"low": float("inf")}, "expected finite numbers"),
        ("constant", {"value": "1e"}, "expected finite numbers"),
    ],
)
def test_unknown_names_and_impossible_options_are_refused(rng, name, options, words):
    with pytest.raises(EngineError, match=words):
        init.draw(name, (2,), rng, **options)


def test_tensors_are_filled_in_place_from_the_sequence():
    engine.manual_seed(3)
    layer = nn.Linear(300, 200)
    kept = layer.weight.data
    assert init.fill(layer.weight, "he_normal") is layer.weight
    assert layer.weight.data is kept
    assert kept.std() == pytest.approx(np.sqrt(2 / 300), rel=0.01)
    init.fill(layer.bias, "constant", value=0.5)
    assert (layer.bias.data == 0.5).all()
    wide = engine.zeros(4, 4, dtype="float64")
    turned = init.fill(wide, "orthogonal").data
    np.testing.assert_allclose(turned @ turned.T, np.eye(4), atol=1e-12)
    values = []
    for _ in range(2):
        engine.manual_seed(3)
        values.append([init.fill(engine.zeros(5), "normal").tolist() for _ in range(2)])
    assert values[0] == values[1]
    assert values[0][0] != values[0][1]
    with pytest.raises(EngineError, match="init found 'kaiming'; expected one of"):
        init.fill(wide, "kaiming")
