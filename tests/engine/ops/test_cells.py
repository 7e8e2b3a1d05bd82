"""Recurrent cells against the whole layers that they make up."""

import numpy as np
import pytest

import engine
from engine import ops
from engine.errors import EngineError, ShapeError

N, T, D, H = 3, 4, 5, 2


def _weights(rng, gates, biases):
    shapes = [(gates * H, D), (gates * H, H), *[(gates * H,)] * biases]
    return [engine.tensor(rng.normal(size=s), requires_grad=True) for s in shapes]


def _gradients(loss, weights):
    return [g.data for g in engine.grad(loss, weights)]


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_rnn_cell_in_a_loop_equals_the_layer(rng, activation):
    x, w = engine.tensor(rng.normal(size=(N, T, D))), _weights(rng, 1, 1)
    h = engine.tensor(np.zeros((N, H)))
    for t in range(T):
        h = ops.rnn_cell(x[:, t], h, *w, activation=activation)
    _, last = ops.rnn(x, *w, activation=activation)
    np.testing.assert_allclose(h.data, last.data, atol=1e-12)
    for mine, real in zip(_gradients(h.sum(), w), _gradients(last.sum(), w), strict=True):
        np.testing.assert_allclose(mine, real, atol=1e-12)


def test_lstm_cell_in_a_loop_equals_the_layer(rng):
    x, w = engine.tensor(rng.normal(size=(N, T, D))), _weights(rng, 4, 1)
    h, c = (engine.tensor(np.zeros((N, H))) for _ in range(2))
    for t in range(T):
        h, c = ops.lstm_cell(x[:, t], h, c, *w)
    _, last_h, last_c = ops.lstm(x, *w)
    np.testing.assert_allclose(c.data, last_c.data, atol=1e-12)
    mine, real = _gradients((h * c).sum(), w), _gradients((last_h * last_c).sum(), w)
    for a, b in zip(mine, real, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


def test_gru_cell_in_a_loop_equals_the_layer(rng):
    x, w = engine.tensor(rng.normal(size=(N, T, D))), _weights(rng, 3, 2)
    h = engine.tensor(np.zeros((N, H)))
    for t in range(T):
        h = ops.gru_cell(x[:, t], h, *w)
    _, last = ops.gru(x, *w)
    np.testing.assert_allclose(h.data, last.data, atol=1e-12)
    for a, b in zip(_gradients(h.sum(), w), _gradients(last.sum(), w), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


def test_operands_that_do_not_fit_are_named(rng):
    x, h = engine.tensor(np.zeros((N, D))), engine.tensor(np.zeros((N, H)))
    w = _weights(rng, 3, 2)
    with pytest.raises(
        ShapeError, match=r"lstm_cell found .* expected \(N, D\), \(N, H\), \(4H, D\)"
    ):
        ops.lstm_cell(x, h, h, *w[:2])
    with pytest.raises(ShapeError, match="gru_cell found"):
        ops.gru_cell(h, h, *w)
    with pytest.raises(EngineError, match="'tanh' or 'relu'"):
        ops.rnn_cell(x, h, w[0], w[1], activation="sigmoid")
