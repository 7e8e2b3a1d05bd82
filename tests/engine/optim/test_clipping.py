"""Clipping against PyTorch, and accumulation in a plan."""

import numpy as np
import pytest

import engine
from engine import optim
from engine.errors import EngineError
from engine.plan import PlanBuilder


def _parameters(rng):
    made = [engine.tensor(rng.normal(size=s), requires_grad=True) for s in ((3, 2), (4,))]
    for p in made:
        p.grad = engine.tensor(3 * rng.normal(size=p.shape))
    return made


@pytest.mark.torch
@pytest.mark.parametrize("limit", [0.5, 100.0])
def test_clip_norm_equals_torch(rng, limit):
    torch = pytest.importorskip("torch")
    ours = _parameters(rng)
    theirs = [torch.zeros(p.shape, dtype=torch.float64, requires_grad=True) for p in ours]
    for a, b in zip(ours, theirs, strict=True):
        b.grad = torch.tensor(a.grad.data.copy())
    expected = torch.nn.utils.clip_grad_norm_(theirs, limit)
    assert optim.clip_norm(ours, limit) == pytest.approx(expected.item())
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.grad.data, b.grad.numpy())


def test_clip_value_limits_each_element(rng):
    parameters = _parameters(rng)
    before = [p.grad.data.copy() for p in parameters]
    optim.clip_value(parameters, 0.5)
    for p, g in zip(parameters, before, strict=True):
        np.testing.assert_array_equal(p.grad.data, np.clip(g, -0.5, 0.5))


def _plan(**options):
    b = PlanBuilder()
    x = b.input("x", ("N", 3))
    b.loss("l", b.call("mean", b.call("matmul", x, b.parameter("w", (3, 1)))))
    return b.build(optimizer=optim.SGD(1.0), **options)


def _row(*values):
    return {"x": np.array([values], np.float32)}


def test_a_plan_clips_by_norm_and_tells_it():
    plan = _plan(clip_norm=1.0)
    plan.train_step(_row(3, 4, 0))
    assert plan.gradient_norm == pytest.approx(5.0)
    np.testing.assert_allclose(plan.parameters["w"].ravel(), [-0.6, -0.8, 0.0], rtol=1e-6)


def test_a_plan_clips_by_value():
    plan = _plan(clip_value=2.0)
    plan.train_step(_row(3, -4, 1))
    assert plan.parameters["w"].ravel().tolist() == [-2.0, 2.0, -1.0]


def test_accumulation_steps_by_the_mean():
    plan = _plan(accumulate=2)
    plan.train_step(_row(1, 2, 3))
    assert not plan.parameters["w"].any()
    plan.train_step(_row(3, 2, 1))
    assert plan.parameters["w"].ravel().tolist() == [-2.0, -2.0, -2.0]
    plan.train_step(_row(8, 8, 8))
    assert plan.parameters["w"].ravel().tolist() == [-2.0, -2.0, -2.0]


@pytest.mark.parametrize("options", [{"clip_norm": 0}, {"clip_value": -1}, {"accumulate": 0}])
def test_impossible_limits_are_refused(options):
    with pytest.raises(EngineError, match="expected"):
        _plan(**options)
