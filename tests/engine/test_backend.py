"""Every operation on CuPy's arrays: on a device where there is one, and on a double everywhere."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import engine
from engine import backend, nn, ops, optim
from engine.errors import EngineError
from tests.engine import cupy_double
from tests.engine.op_cases import CASES, operands, parts


@pytest.fixture
def double(monkeypatch):
    return cupy_double.install(monkeypatch)


@pytest.fixture
def device():
    if not backend.gpu_available():
        pytest.skip("no CUDA device with CuPy")
    return backend.cupy()


def _run(case, arrays, module):
    """Results and gradients, as host arrays, and what kind of array each was."""

    def lift(array):
        return engine.Tensor(module.asarray(array), requires_grad=array.dtype.kind == "f")

    engine.manual_seed(5)
    given = operands(case, arrays, lift)
    results = parts(getattr(ops, case.op)(*given, **case.attrs))
    made = [r.data for r in results]
    if case.differentiable:
        leaves = [v for v in given if isinstance(v, engine.Tensor) and v.requires_grad]
        total = None
        for result in (r for r in results if r.dtype.kind == "f"):
            term = (result * result).sum()
            total = term if total is None else total + term
        made += [g.data for g in engine.grad(total, leaves, create_graph=True)]
    return [backend.to_numpy(a) for a in made], {type(a) for a in made}


def _arrays(case):
    drawn = case.make(np.random.default_rng(3))
    return [
        a.astype(np.float32) if isinstance(a, np.ndarray) and a.dtype == np.float64 else a
        for a in drawn
    ]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_operation_needs_only_what_cupy_has(double, case):
    arrays = _arrays(case)
    expected, _ = _run(case, arrays, np)
    found, kinds = _run(case, arrays, double)
    assert kinds == {double.ndarray}
    for mine, real in zip(found, expected, strict=True):
        assert mine.dtype == real.dtype
        np.testing.assert_allclose(mine, real, rtol=1e-6, atol=1e-6)


@pytest.mark.gpu
@pytest.mark.parametrize("case", CASES, ids=str)
def test_operation_on_a_device_equals_the_host(device, case):
    arrays = _arrays(case)
    expected, _ = _run(case, arrays, np)
    found, kinds = _run(case, arrays, device)
    assert kinds == {device.ndarray}
    for mine, real in zip(found, expected, strict=True):
        assert mine.dtype == real.dtype
        np.testing.assert_allclose(mine, real, rtol=2e-4, atol=2e-4)


OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(0.1, 0.9, True, 0.01, parameters=p),
    "adam": lambda p: optim.Adam(0.1, weight_decay=0.01, parameters=p),
    "adamw": lambda p: optim.AdamW(0.1, parameters=p),
    "rmsprop": lambda p: optim.RMSprop(0.1, momentum=0.5, centered=True, parameters=p),
    "adagrad": lambda p: optim.Adagrad(0.1, parameters=p),
    "adadelta": lambda p: optim.Adadelta(0.5, parameters=p),
    "adamax": lambda p: optim.Adamax(0.1, parameters=p),
    "nadam": lambda p: optim.Nadam(0.1, parameters=p),
    "lion": lambda p: optim.Lion(0.1, weight_decay=0.1, parameters=p),
}


def _train(make, module):
    """Weights of a small network after three clipped steps."""
    engine.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm(3), nn.ReLU(), nn.Flatten())
    model = nn.Sequential(model, nn.Linear(3 * 16, 2))
    model.to("cpu" if module is np else "gpu")
    optimizer = make(model.parameters())
    rng = np.random.default_rng(0)
    x = module.asarray(rng.normal(size=(4, 1, 6, 6)).astype(np.float32))
    t = module.asarray(rng.integers(0, 2, 4))
    for _ in range(3):
        optimizer.zero_grad()
        ops.cross_entropy(model(engine.Tensor(x)), engine.Tensor(t)).backward()
        optim.clip_norm(model.parameters(), 0.5)
        optim.clip_value(model.parameters(), 0.3)
        optimizer.step()
    return model.state_dict()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_needs_only_what_cupy_has(double, name):
    expected = _train(OPTIMIZERS[name], np)
    for key, value in _train(OPTIMIZERS[name], double).items():
        np.testing.assert_allclose(value, expected[key], rtol=1e-6, atol=1e-6, err_msg=key)


@pytest.mark.gpu
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_on_a_device_equals_the_host(device, name):
    expected = _train(OPTIMIZERS[name], np)
    for key, value in _train(OPTIMIZERS[name], device).items():
        np.testing.assert_allclose(value, expected[key], rtol=1e-3, atol=1e-3, err_msg=key)


def _half_way(double):
    """A model after a step on the host, and its optimiser."""
    engine.manual_seed(1)
    model = nn.Linear(3, 2)
    return model, optim.Adam(0.1, parameters=model.parameters())


def _step(model, optimizer, device):
    optimizer.zero_grad()
    x = engine.tensor(np.arange(6, dtype=np.float32).reshape(2, 3)).to(device)
    ops.square(model(x)).mean().backward()
    optimizer.step()


def test_a_model_moves_to_the_device_and_back_in_the_middle_of_training(double):
    stays, optimizer = _half_way(double)
    moves, other = _half_way(double)
    for device in ("cpu", "gpu", "gpu", "cpu"):
        _step(stays, optimizer, "cpu")
        moves.to(device)
        assert backend.device_of(moves.weight.data) == device
        _step(moves, other, device)
    for key, value in moves.state_dict().items():
        np.testing.assert_allclose(value, stays.state_dict()[key], rtol=1e-6, err_msg=key)
    saved = other.state_dict()
    assert {type(a) for a in saved["arrays"].values()} == {np.ndarray}
    moves.to("gpu").load_state_dict(stays.state_dict())
    other.load_state_dict(optimizer.state_dict())
    _step(stays, optimizer, "cpu")
    _step(moves, other, "gpu")
    np.testing.assert_allclose(moves.weight.numpy(), stays.weight.numpy(), rtol=1e-6)


def test_a_device_that_is_not_there_is_named(monkeypatch):
    x = engine.tensor([1.0])
    with pytest.raises(EngineError, match="'tpu'; expected 'cpu' or 'gpu'"):
        x.to("tpu")
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(EngineError, match="needs CuPy"):
        x.to("gpu")


def test_the_double_refuses_what_cupy_refuses(double):
    x = double.asarray(np.ones((2, 2)))
    for wrong in (
        lambda: np.asarray(x),
        lambda: x + np.ones((2, 2)),
        lambda: np.maximum.reduce(x),
        lambda: np.add(x, x, where=True),
        lambda: np.einsum("ij->i", x, out=x[0]),
        lambda: np.take(x, x, mode="clip"),
        lambda: np.lib.stride_tricks.as_strided(x, (1,), (8,)),
    ):
        with pytest.raises((TypeError, NotImplementedError)):
            wrong()
