"""Huge, tiny, equal, masked and lonely inputs: results and gradients are finite and right."""

from __future__ import annotations

import math

import numpy as np
import pytest

import engine
from engine import ops

HUGE = np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [1e4, 1e4, 1e4]], np.float32)


def _value_and_slope(call, *arrays):
    """Result, and the gradient of its sum with respect to the first operand."""
    first, *rest = (engine.tensor(a) for a in arrays)
    first.requires_grad = True
    y = call(first, *rest)
    (slope,) = engine.grad(ops.sum(y), [first])
    return y.data, slope.data


def test_log_sum_exp_of_huge_numbers():
    y, slope = _value_and_slope(ops.logsumexp, HUGE)
    np.testing.assert_allclose(y, [1e4, -1e4 + math.log(3), 1e4 + math.log(3)], rtol=1e-7)
    np.testing.assert_allclose(slope, [[1, 0, 0], [1 / 3] * 3, [1 / 3] * 3], rtol=1e-6)


def test_log_sum_exp_of_a_row_that_is_masked_away():
    x = np.array([[-np.inf, -np.inf], [-np.inf, 2.0]], np.float32)
    y, slope = _value_and_slope(ops.logsumexp, x)
    assert y.tolist() == [-np.inf, 2.0]
    assert slope.tolist() == [[0.0, 0.0], [0.0, 1.0]]


def test_softmax_and_its_logarithm_of_huge_numbers():
    y, slope = _value_and_slope(ops.softmax, HUGE)
    np.testing.assert_allclose(y, [[1, 0, 0], [1 / 3] * 3, [1 / 3] * 3], rtol=1e-6)
    np.testing.assert_allclose(slope, np.zeros((3, 3)), atol=1e-7)
    y, slope = _value_and_slope(ops.log_softmax, HUGE)
    np.testing.assert_allclose(y[0], [0, -2e4, -1e4])
    np.testing.assert_allclose(slope[0], [-2, 1, 1])


@pytest.mark.parametrize("is_causal", [False, True])
def test_a_query_whose_keys_are_all_masked_gets_zeros(rng, is_causal):
    q, k, v = (rng.normal(size=(2, 3, 4)).astype(np.float32) for _ in range(3))
    mask = np.ones((2, 3, 3), bool)
    mask[1] = False  # a sample that is padding from end to end
    mask[0, 0] = False
    y, slope = _value_and_slope(
        lambda a, b, c: ops.scaled_dot_product_attention(
            a, b, c, engine.tensor(mask), is_causal=is_causal
        ),
        1e4 * q, k, v,
    )  # fmt: skip
    assert not y[1].any()
    assert not y[0, 0].any()
    assert not slope[1].any()
    assert np.isfinite(y).all()
    assert np.isfinite(slope).all()


@pytest.mark.parametrize(
    ("call", "value"),
    [
        (ops.norm, 0.0),
        (lambda x: ops.norm(x, (0, 1)), 0.0),
        (ops.l2_normalize, 0.0),
        (ops.rms_norm, 0.0),
        (ops.layer_norm, 0.0),
        (lambda x: ops.var(x, 1), 0.0),
        (lambda x: ops.std(x, 1), 0.0),
        (lambda x: ops.instance_norm(x.reshape(1, 2, 3)), 0.0),
        (lambda x: ops.prod(x, 1), 0.0),
        (ops.abs, 0.0),
        (lambda x: ops.power(x, 2.5), 0.0),
        (lambda x: ops.power(x, 0.0), 1.0),
        (lambda x: ops.cosine_distance(x, engine.tensor(np.ones((2, 3), np.float32))), 1.0),
        (lambda x: ops.kl_divergence(x, engine.tensor(np.zeros((2, 3), np.float32))), 0.0),
        (lambda x: ops.dice(x, engine.tensor(np.zeros((2, 3), np.float32)), 0.0), 1.0),
    ],
)
def test_zeros_have_finite_values_and_slopes(call, value):
    y, slope = _value_and_slope(call, np.zeros((2, 3), np.float32))
    np.testing.assert_allclose(y, np.full_like(y, value))
    assert np.isfinite(slope).all()


def test_the_slope_of_a_power_at_zero_is_that_of_its_exponent():
    x = np.zeros(4, np.float32)
    exponents = np.array([0.0, 1.0, 2.0, 3.0], np.float32)
    _, slope = _value_and_slope(ops.power, x, exponents)
    assert slope.tolist() == [0.0, 1.0, 0.0, 0.0]


def test_distances_of_equal_rows_have_finite_slopes():
    a = np.ones((2, 3), np.float32)
    for loss in (
        lambda x, y: ops.contrastive(x, y, engine.tensor(np.array([1.0, 0.0], np.float32))),
        lambda x, y: ops.triplet(x, y, y),
    ):
        y, slope = _value_and_slope(loss, a, a)
        assert np.isfinite(y)
        assert np.isfinite(slope).all()


BOUNDED = {
    "sigmoid": (1.0, 0.0),
    "tanh": (1.0, -1.0),
    "softplus": (1e4, 0.0),
    "silu": (1e4, 0.0),
    "gelu": (1e4, 0.0),
    "mish": (1e4, 0.0),
    "elu": (1e4, -1.0),
    "selu": (1e4 * 1.0507009873554805, -1.7580993408473766),
    "relu6": (6.0, 0.0),
    "hard_swish": (1e4, 0.0),
    "hard_sigmoid": (1.0, 0.0),
    "softsign": (1.0, -1.0),
    "erf": (1.0, -1.0),
}


@pytest.mark.parametrize("name", BOUNDED)
def test_activations_of_huge_numbers_are_at_their_limits(name):
    high, low = BOUNDED[name]
    y, slope = _value_and_slope(getattr(ops, name), np.array([1e4, -1e4], np.float32))
    np.testing.assert_allclose(y, [high, low], rtol=2e-4, atol=1e-6)
    assert np.isfinite(slope).all()
    assert abs(slope[1]) < 1e-6


@pytest.mark.parametrize("name", ["cross_entropy", "weighted_cross_entropy"])
def test_cross_entropy_of_a_class_that_is_ruled_out(name):
    x = np.array([[0.0, -np.inf, 0.0]], np.float32)
    y, slope = _value_and_slope(getattr(ops, name), x, np.array([2]))
    assert y == pytest.approx(math.log(2))
    np.testing.assert_allclose(slope, [[0.5, 0.0, -0.5]])


@pytest.mark.parametrize(("logit", "target"), [(1e4, 0.0), (-1e4, 1.0), (1e4, 1.0), (-1e4, 0.0)])
def test_binary_cross_entropy_of_huge_logits(logit, target):
    x, t = (np.full((1, 1), v, np.float32) for v in (logit, target))
    y, slope = _value_and_slope(ops.binary_cross_entropy, x, t)
    wrong = (logit > 0) != (target > 0.5)
    assert y == (1e4 if wrong else 0.0)
    assert slope.item() == pytest.approx(math.copysign(1.0, logit) if wrong else 0.0)


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1), (1, 3, 1, 1)])
def test_batch_norm_of_one_element_a_channel_gives_the_offset(shape):
    gamma, beta = (engine.tensor(np.full(3, v, np.float32)) for v in (2.0, 0.25))
    mean, var = (engine.tensor(np.full(3, v, np.float32)) for v in (0.0, 1.0))
    y, slope = _value_and_slope(
        lambda x: ops.batch_norm(x, gamma, beta, mean, var, training=True),
        np.full(shape, 1e4, np.float32),
    )
    np.testing.assert_allclose(y, np.full(shape, 0.25))
    assert not slope.any()
    assert np.isfinite(var.data).all()


def test_normalisations_keep_their_digits_far_from_zero(rng):
    """Mean 1000 and deviation 0.1: one pass over squares would lose everything."""
    x = (1000 + 0.1 * rng.normal(size=(4, 3, 64))).astype(np.float32)
    wide = x.astype(np.float64)
    mean, var = wide.mean(-1, keepdims=True), wide.var(-1, keepdims=True)
    expected = (wide - mean) / np.sqrt(var + 1e-5)
    for call in (ops.layer_norm, ops.instance_norm, lambda v: ops.group_norm(v, 3)):
        np.testing.assert_allclose(call(engine.tensor(x)).data, expected, atol=2e-3)


def test_sigmoid_far_below_zero_keeps_its_digits():
    x = np.array([-80.0, -40.0, -20.0, -17.0, 0.0, 20.0], np.float32)
    y, slope = _value_and_slope(ops.sigmoid, x)
    exact = 1.0 / (1.0 + np.exp(-x.astype(np.float64)))
    np.testing.assert_allclose(y, exact, rtol=1e-6)
    np.testing.assert_allclose(slope[:4], (exact * (1.0 - exact))[:4], rtol=1e-6)
    y, slope = _value_and_slope(lambda v: ops.log(ops.sigmoid(v)), x[:4])
    np.testing.assert_allclose(y, x[:4], rtol=1e-6)
    np.testing.assert_allclose(slope, np.ones(4), rtol=1e-5)


def test_sigmoid_of_huge_numbers():
    y, slope = _value_and_slope(ops.sigmoid, HUGE)
    assert y.tolist() == [[1.0, 0.0, 0.5], [0.0] * 3, [1.0] * 3]
    assert slope.tolist() == [[0.0, 0.0, 0.25], [0.0] * 3, [0.0] * 3]
