"""A hundred steps of every optimiser under every schedule, against PyTorch's own, float32."""

from __future__ import annotations

import numpy as np
import pytest

import engine
from engine import ops, optim
from engine.optim import schedules
from engine.plan import PlanBuilder

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:The epoch parameter")]

STEPS = 100
LR = torch.optim.lr_scheduler

OPTIMIZERS = {
    "sgd": (
        lambda p=None: optim.SGD(0.05, parameters=p),
        lambda p: torch.optim.SGD(p, 0.05),
    ),
    "momentum and decay": (
        lambda p=None: optim.SGD(0.02, 0.9, weight_decay=0.01, parameters=p),
        lambda p: torch.optim.SGD(p, 0.02, 0.9, weight_decay=0.01),
    ),
    "nesterov": (
        lambda p=None: optim.SGD(0.02, 0.9, True, parameters=p),
        lambda p: torch.optim.SGD(p, 0.02, 0.9, nesterov=True),
    ),
    "adam": (
        lambda p=None: optim.Adam(0.01, parameters=p),
        lambda p: torch.optim.Adam(p, 0.01),
    ),
    "adam with decay": (
        lambda p=None: optim.Adam(0.01, 0.8, 0.95, 1e-6, 0.01, parameters=p),
        lambda p: torch.optim.Adam(p, 0.01, (0.8, 0.95), 1e-6, 0.01),
    ),
    "adamw": (
        lambda p=None: optim.AdamW(0.01, weight_decay=0.1, parameters=p),
        lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1),
    ),
    "rmsprop": (
        lambda p=None: optim.RMSprop(0.005, parameters=p),
        lambda p: torch.optim.RMSprop(p, 0.005),
    ),
    "rmsprop centred with momentum": (
        lambda p=None: optim.RMSprop(0.002, 0.9, 1e-4, 0.5, True, 0.01, parameters=p),
        lambda p: torch.optim.RMSprop(p, 0.002, 0.9, 1e-4, 0.01, 0.5, True),
    ),
    "adagrad": (
        lambda p=None: optim.Adagrad(0.05, 1e-8, 0.1, 0.01, parameters=p),
        lambda p: torch.optim.Adagrad(p, 0.05, 0, 0.01, 0.1, 1e-8),
    ),
}
OPTIMIZERS |= {
    "adadelta": (
        lambda p=None: optim.Adadelta(0.5, 0.8, 1e-5, 0.01, parameters=p),
        lambda p: torch.optim.Adadelta(p, 0.5, 0.8, 1e-5, 0.01),
    ),
    "adamax": (
        lambda p=None: optim.Adamax(0.01, 0.8, 0.95, 1e-6, 0.01, parameters=p),
        lambda p: torch.optim.Adamax(p, 0.01, (0.8, 0.95), 1e-6, 0.01),
    ),
    "nadam": (
        lambda p=None: optim.Nadam(0.01, 0.8, 0.95, 1e-6, 0.01, 0.1, parameters=p),
        lambda p: torch.optim.NAdam(p, 0.01, (0.8, 0.95), 1e-6, 0.01, 0.1),
    ),
}
SCHEDULES = {
    "constant": (schedules.Constant(), lambda o: LR.ConstantLR(o, 1.0)),
    "step": (schedules.StepDecay(30, 0.5), lambda o: LR.StepLR(o, 30, 0.5)),
    "multi-step": (
        schedules.MultiStep((20, 70), 0.3),
        lambda o: LR.MultiStepLR(o, [20, 70], 0.3),
    ),
    "exponential": (schedules.Exponential(0.98), lambda o: LR.ExponentialLR(o, 0.98)),
    "cosine": (
        schedules.Cosine(STEPS),
        lambda o: LR.CosineAnnealingLR(o, STEPS),
    ),
    "polynomial": (
        schedules.Polynomial(STEPS, 2.0),
        lambda o: LR.PolynomialLR(o, STEPS, 2.0),
    ),
    "warm-up": (
        schedules.WarmUp(10, schedules.Cosine(90), 0.1),
        lambda o: LR.SequentialLR(
            o, [LR.LinearLR(o, 0.1, 1.0, 10), LR.CosineAnnealingLR(o, 90)], [10]
        ),
    ),
    "one-cycle": (
        schedules.OneCycle(STEPS + 1, 0.25),
        lambda o: LR.OneCycleLR(
            o, o.param_groups[0]["lr"], STEPS + 1, pct_start=0.25, cycle_momentum=False
        ),
    ),
}
LIMIT = 0.4
"""Norm to which gradients are cut: reached in the first steps, later not."""


def _data():
    rng = np.random.default_rng(5)
    shapes = ((STEPS, 16, 6), (16, 3), (6, 8), (8,), (8, 3), (3,))
    return [(0.7 * rng.normal(size=s)).astype(np.float32) for s in shapes]


def _ours(x, t, w, b, v, c):
    return ops.mse(ops.tanh(x @ w + b) @ v + c, t)


def _torch_run(make, schedule=None, plateau=None):
    data, target, *weights = (torch.tensor(a) for a in _data())
    for p in weights:
        p.requires_grad_()
    optimizer = make(weights)
    stepper = schedule(optimizer) if schedule is not None else plateau(optimizer)
    losses = []
    for x in data:
        optimizer.zero_grad()
        w, b, v, c = weights
        loss = (torch.tanh(x @ w + b) @ v + c - target).square().mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, LIMIT)
        optimizer.step()
        stepper.step(*(() if plateau is None else (loss.item(),)))
        losses.append(loss.item())
    return losses, [p.detach().numpy() for p in weights]


def _tensor_run(make, rate):
    """``rate(step, last loss)`` is the factor of the learning rate."""
    data, target, *rest = (engine.tensor(a) for a in _data())
    weights = [engine.tensor(w, requires_grad=True) for w in rest]
    optimizer = make(weights)
    base, losses = optimizer.learning_rate, []
    for step in range(STEPS):
        optimizer.learning_rate = base * rate(step, losses)
        optimizer.zero_grad()
        loss = _ours(data[step], target, *weights)
        loss.backward()
        optim.clip_norm(weights, LIMIT)
        optimizer.step()
        losses.append(loss.item())
    return losses, [w.data for w in weights]


def _plan_run(make, rate):
    data, target, *weights = _data()
    b = PlanBuilder()
    x, t = b.input("x", ("N", 6)), b.input("t", ("N", 3))
    own = [b.parameter(f"p{i}", w.shape) for i, w in enumerate(weights)]
    h = b.call("tanh", b.call("add", b.call("matmul", x, own[0]), own[1]))
    b.loss("l", b.call("mse", b.call("add", b.call("matmul", h, own[2]), own[3]), t))
    plan = b.build(optimizer=make(), clip_norm=LIMIT)
    for i, w in enumerate(weights):
        plan.parameters[f"p{i}"][...] = w
    base, losses = plan.learning_rate, []
    for step in range(STEPS):
        plan.learning_rate = base * rate(step, losses)
        losses.append(plan.train_step({"x": data[step], "t": target})["l"])
    return losses, list(plan.parameters.values())


def _close(found, expected):
    losses, weights = found
    np.testing.assert_allclose(losses, expected[0], rtol=1e-5, atol=1e-6)
    for mine, real in zip(weights, expected[1], strict=True):
        np.testing.assert_allclose(mine, real, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_hundred_steps_equal_torch(optimizer, schedule):
    ours, theirs = OPTIMIZERS[optimizer]
    factor, stepper = SCHEDULES[schedule]
    expected = _torch_run(theirs, stepper)
    assert expected[0][-1] < 0.8 * expected[0][0]  # something was learnt
    _close(_tensor_run(ours, lambda step, losses: factor(step)), expected)
    _close(_plan_run(ours, lambda step, losses: factor(step)), expected)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_hundred_steps_on_a_plateau_equal_torch(optimizer):
    ours, theirs = OPTIMIZERS[optimizer]
    expected = _torch_run(
        theirs,
        plateau=lambda o: LR.ReduceLROnPlateau(
            o, factor=0.5, patience=3, threshold=1e-3, threshold_mode="abs", cooldown=1
        ),
    )
    for run in (_tensor_run, _plan_run):
        watched = schedules.Plateau(0.5, patience=3, min_delta=1e-3, cooldown=1)

        def rate(step, losses, watched=watched):
            return watched.update(losses[-1]) if losses else 1.0

        _close(run(ours, rate), expected)
        assert watched.scale < 1.0


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_accumulated_steps_equal_torch(optimizer):
    """Four batches a step: their gradients' mean is cut and taken, the schedule counts steps."""
    ours, theirs = OPTIMIZERS[optimizer]
    data, target, *arrays = _data()

    weights = [torch.tensor(a, requires_grad=True) for a in arrays]
    reference = theirs(weights)
    for i, x in enumerate(torch.tensor(data)):
        w, b, v, c = weights
        loss = (torch.tanh(x @ w + b) @ v + c - torch.tensor(target)).square().mean()
        (loss / 4).backward()
        if i % 4 == 3:
            torch.nn.utils.clip_grad_norm_(weights, LIMIT)
            reference.step()
            reference.zero_grad()

    builder = PlanBuilder()
    x, t = builder.input("x", ("N", 6)), builder.input("t", ("N", 3))
    w, b, v, c = (builder.parameter(f"p{i}", a.shape) for i, a in enumerate(arrays))
    call = builder.call
    h = call("tanh", call("add", call("matmul", x, w), b))
    builder.loss("l", call("mse", call("add", call("matmul", h, v), c), t))
    plan = builder.build(optimizer=ours(), clip_norm=LIMIT, accumulate=4)
    for i, a in enumerate(arrays):
        plan.parameters[f"p{i}"][...] = a
    for part in data:
        plan.train_step({"x": part, "t": target})

    own = [engine.tensor(a, requires_grad=True) for a in arrays]
    eager = ours(own)
    for i, part in enumerate(data):
        loss = _ours(engine.tensor(part), engine.tensor(target), *own)
        (loss * 0.25).backward()
        if i % 4 == 3:
            optim.clip_norm(own, LIMIT)
            eager.step()
            eager.zero_grad()

    for i, real in enumerate(weights):
        expected = real.detach().numpy()
        np.testing.assert_allclose(plan.parameters[f"p{i}"], expected, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(own[i].data, expected, rtol=1e-5, atol=1e-5)
