"""Activations of pieces against PyTorch."""

import numpy as np
import pytest

import engine
from engine import ops
from engine.errors import EngineError, ShapeError
from engine.testing import check_gradients

TORCH = {
    "relu6": "relu6",
    "hard_tanh": "hardtanh",
    "hard_sigmoid": "hardsigmoid",
    "hard_swish": "hardswish",
    "selu": "selu",
    "mish": "mish",
    "softsign": "softsign",
    "log_sigmoid": "logsigmoid",
    "glu": "glu",
}


@pytest.mark.torch
@pytest.mark.parametrize("name", TORCH)
def test_activation_equals_torch(rng, agree_with_torch, name):
    from torch.nn import functional

    agree_with_torch(name, getattr(functional, TORCH[name]), 4 * rng.normal(size=(4, 6)))


@pytest.mark.torch
@pytest.mark.parametrize("slopes", [1, 3])
def test_prelu_equals_torch(rng, agree_with_torch, slopes):
    from torch.nn import functional

    x = rng.normal(size=(2, 3, 4, 4))
    agree_with_torch("prelu", functional.prelu, x, rng.normal(size=slopes))


@pytest.mark.parametrize("name", TORCH)
def test_gradients_of_any_order_match_finite_differences(rng, name):
    x = rng.permutation(np.linspace(-5, 7, 12)).reshape(3, 4)
    check_gradients(getattr(ops, name), x, second=True, tolerance=1e-5)


@pytest.mark.torch
def test_threshold_equals_torch(rng, agree_with_torch):
    from torch.nn import functional

    x = 4 * rng.normal(size=(4, 6))
    agree_with_torch(
        "threshold", lambda v: functional.threshold(v, 0.5, -2.0), x, limit=0.5, value=-2.0
    )
    assert ops.threshold(engine.tensor([0.5]), 0.5, 7.0).item() == 7.0


def test_no_gradient_at_the_limits():
    x = engine.tensor([0.0, 6.0, 3.0], requires_grad=True)
    ops.relu6(x).sum().backward()
    assert x.grad.data.tolist() == [0.0, 0.0, 1.0]


def test_wrong_settings_are_refused():
    x = engine.tensor(np.ones((2, 3)))
    with pytest.raises(EngineError, match="low below high"):
        ops.hard_tanh(x, 1.0, 0.0)
    with pytest.raises(ShapeError, match="one a channel"):
        ops.prelu(x, engine.tensor(np.ones(2)))
    with pytest.raises(ShapeError, match="equal parts"):
        ops.glu(x)
