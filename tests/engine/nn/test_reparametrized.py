"""Weight and spectral normalisation against PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

import engine
from engine import nn
from engine.errors import EngineError

LAYERS = {
    "Linear": (lambda n: n.Linear(6, 4), (3, 6)),
    "Conv2d": (lambda n: n.Conv2d(2, 4, 3, padding=1), (3, 2, 5, 5)),
}


def _pair(kind, wrap, theirs):
    import torch

    engine.manual_seed(0)
    make, shape = LAYERS[kind]
    layer, twin = make(nn), make(torch.nn)
    twin.load_state_dict({k: torch.from_numpy(v) for k, v in layer.state_dict().items()})
    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    return wrap(layer), theirs(twin), x


def _compare(layer, twin, x, names):
    import torch

    found, expected = layer(engine.tensor(x)), twin(torch.from_numpy(x))
    np.testing.assert_allclose(found.numpy(), expected.detach().numpy(), rtol=1e-5, atol=1e-6)
    layer.zero_grad()
    twin.zero_grad()
    (found * found).sum().backward()
    (expected * expected).sum().backward()
    own, real = dict(layer.named_parameters()), dict(twin.named_parameters())
    assert sorted(own) == sorted(names)
    for name, other in names.items():
        np.testing.assert_allclose(
            own[name].grad.numpy(), real[other].grad.numpy(), rtol=1e-4, atol=1e-4, err_msg=name
        )


@pytest.mark.torch
@pytest.mark.parametrize("kind", LAYERS)
def test_weight_norm_equals_pytorch_s(kind):
    from torch.nn.utils import parametrizations

    layer, twin, x = _pair(kind, nn.WeightNorm, parametrizations.weight_norm)
    names = {
        "length": "parametrizations.weight.original0",
        "direction": "parametrizations.weight.original1",
        "layer.bias": "bias",
    }
    for _ in range(2):
        _compare(layer, twin, x, names)
        layer.length.data *= 2.0
        twin.parametrizations.weight.original0.data *= 2.0


@pytest.mark.torch
@pytest.mark.parametrize("kind", LAYERS)
def test_spectral_norm_equals_pytorch_s(kind):
    import torch
    from torch.nn.utils import parametrizations

    layer, twin, x = _pair(kind, nn.SpectralNorm, parametrizations.spectral_norm)
    vectors = twin.parametrizations.weight[0]
    rng = np.random.default_rng(2)
    for ours, theirs in ((layer.left, vectors._u), (layer.right, vectors._v)):
        start = rng.normal(size=ours.shape).astype(np.float32)
        start /= np.linalg.norm(start)
        ours.data[...] = start
        theirs.copy_(torch.from_numpy(start))
    names = {"weight": "parametrizations.weight.original", "layer.bias": "bias"}
    for training in (True, True, False):
        _compare(layer.train(training), twin.train(training), x, names)
        np.testing.assert_allclose(layer.left.numpy(), vectors._u.numpy(), atol=1e-5)


def test_the_greatest_singular_value_becomes_one():
    engine.manual_seed(0)
    layer = nn.SpectralNorm(nn.Linear(20, 30))
    x = engine.tensor(np.eye(20, dtype=np.float32))
    for _ in range(50):
        y = layer(x) - layer.layer.bias
    assert np.linalg.norm(y.numpy(), 2) == pytest.approx(1.0, rel=1e-4)
    before = layer.eval().state_dict()
    layer(x)
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("make", [nn.WeightNorm, nn.SpectralNorm])
def test_the_computed_weight_is_no_part_of_the_state(make):
    layer = make(nn.Linear(3, 2))
    names = sorted(layer.state_dict())
    assert "layer.weight" not in names
    x = engine.zeros(1, 3)
    with engine.no_grad():
        layer(x)
    layer(x)
    assert sorted(layer.state_dict()) == names
    twice = layer(x) + layer(x)  # two calls before one backward walk
    twice.sum().backward()
    other = make(nn.Linear(3, 2))
    other.load_state_dict(layer.state_dict())
    np.testing.assert_array_equal(other.eval()(x).numpy(), layer.eval()(x).numpy())


def test_a_layer_without_a_matrix_is_refused():
    with pytest.raises(EngineError, match="no trainable matrix 'weight' in ReLU"):
        nn.WeightNorm(nn.ReLU())
    with pytest.raises(EngineError, match="no trainable matrix 'weight' in LSTM"):
        nn.SpectralNorm(nn.LSTM(2, 3))
    with pytest.raises(EngineError, match="iterations=0"):
        nn.SpectralNorm(nn.Linear(2, 3), iterations=0)
    recurrent = nn.WeightNorm(nn.LSTM(2, 3), "weight_hh_l0")
    assert recurrent(engine.zeros(1, 4, 2))[0].shape == (1, 4, 3)
