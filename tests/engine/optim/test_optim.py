"""Optimisers against PyTorch over a hundred steps, by tensors and inside a plan."""

import numpy as np
import pytest

import engine
from engine import ops, optim
from engine.errors import EngineError
from engine.plan import PlanBuilder

CASES = {
    "sgd": (lambda p, **k: optim.SGD(0.05, parameters=p), "SGD", {"lr": 0.05}),
    "sgd momentum": (
        lambda p, **k: optim.SGD(0.05, 0.9, weight_decay=0.1, parameters=p),
        "SGD",
        {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1},
    ),
    "sgd nesterov": (
        lambda p, **k: optim.SGD(0.05, 0.9, True, parameters=p),
        "SGD",
        {"lr": 0.05, "momentum": 0.9, "nesterov": True},
    ),
    "adam": (lambda p, **k: optim.Adam(0.01, parameters=p), "Adam", {"lr": 0.01}),
    "adam decay": (
        lambda p, **k: optim.Adam(0.01, 0.8, 0.95, 1e-4, 0.1, parameters=p),
        "Adam",
        {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-4, "weight_decay": 0.1},
    ),
    "rmsprop": (lambda p, **k: optim.RMSprop(0.01, parameters=p), "RMSprop", {"lr": 0.01}),
    "rmsprop centered": (
        lambda p, **k: optim.RMSprop(0.01, 0.9, 0.1, 0.5, True, 0.1, parameters=p),
        "RMSprop",
        {
            "lr": 0.01,
            "alpha": 0.9,
            "eps": 0.1,
            "momentum": 0.5,
            "centered": True,
            "weight_decay": 0.1,
        },
    ),
    "adagrad": (
        lambda p, **k: optim.Adagrad(0.05, 1e-6, 0.1, 0.1, parameters=p),
        "Adagrad",
        {"lr": 0.05, "eps": 1e-6, "initial_accumulator_value": 0.1, "weight_decay": 0.1},
    ),
    "adamw": (
        lambda p, **k: optim.AdamW(0.01, weight_decay=0.1, parameters=p),
        "AdamW",
        {"lr": 0.01, "weight_decay": 0.1},
    ),
}
STEPS = 100


def _data():
    rng = np.random.default_rng(5)
    return [rng.normal(size=s).astype(np.float32) for s in ((16, 5), (16, 3), (5, 3), (3,))]


def _torch_run(name, options, schedule):
    torch = pytest.importorskip("torch")
    x, t, w, b = (torch.tensor(a) for a in _data())
    w.requires_grad_(), b.requires_grad_()
    optimizer = getattr(torch.optim, name)([w, b], **options)
    losses = []
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = schedule(step, options["lr"])
        optimizer.zero_grad()
        loss = (torch.tanh(x @ w + b) - t).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, w.detach().numpy(), b.detach().numpy()


@pytest.mark.torch
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("decaying", [False, True])
def test_trajectory_equals_torch(case, decaying):
    make, name, options = CASES[case]

    def schedule(step, rate):
        return rate * 0.97**step if decaying else rate

    losses, w_end, b_end = _torch_run(name, options, schedule)
    x, t, w, b = (engine.tensor(a) for a in _data())
    w.requires_grad = b.requires_grad = True
    optimizer = make([w, b])
    start = optimizer.learning_rate
    for step in range(STEPS):
        optimizer.learning_rate = schedule(step, start)
        optimizer.zero_grad()
        loss = ops.mse(ops.tanh(x @ w + b), t)
        loss.backward()
        optimizer.step()
        assert loss.item() == pytest.approx(losses[step], rel=1e-5)
    np.testing.assert_allclose(w.data, w_end, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(b.data, b_end, rtol=1e-5, atol=1e-5)


@pytest.mark.torch
@pytest.mark.parametrize("case", CASES)
def test_trajectory_of_a_plan_equals_torch(case):
    make, name, options = CASES[case]
    losses, w_end, b_end = _torch_run(name, options, lambda step, rate: rate)
    x, t, w, b = _data()
    builder = PlanBuilder()
    y = builder.call("matmul", builder.input("x", ("N", 5)), builder.parameter("w", (5, 3)))
    y = builder.call("tanh", builder.call("add", y, builder.parameter("b", (3,))))
    builder.loss("mse", builder.call("mse", y, builder.input("t", ("N", 3))))
    plan = builder.build(optimizer=make(None))
    plan.parameters["w"][...] = w
    plan.parameters["b"][...] = b
    found = [plan.train_step({"x": x, "t": t})["mse"] for _ in range(STEPS)]
    np.testing.assert_allclose(found, losses, rtol=1e-5)
    np.testing.assert_allclose(plan.parameters["w"], w_end, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(plan.parameters["b"], b_end, rtol=1e-5, atol=1e-5)


def test_a_parameter_without_gradient_is_left_alone():
    w = engine.tensor([1.0], requires_grad=True)
    idle = engine.tensor([1.0], requires_grad=True)
    optimizer = optim.SGD(0.1, weight_decay=0.5, parameters=[idle, w])
    (w * 2.0).sum().backward()
    optimizer.step()
    assert idle.item() == 1.0
    assert w.item() == pytest.approx(1.0 - 0.1 * 2.5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: optim.SGD(-1),
        lambda: optim.SGD(0.1, nesterov=True),
        lambda: optim.Adam(beta1=1.0),
        lambda: optim.Adam(epsilon=float("nan")),
    ],
)
def test_impossible_settings_are_refused(make):
    with pytest.raises(EngineError, match="found"):
        make()


@pytest.mark.parametrize("case", CASES)
def test_a_run_goes_on_from_its_saved_state(case):
    make = CASES[case][0]
    x, t, w, b = _data()

    def steps(optimizer, parameters, count):
        for _ in range(count):
            optimizer.zero_grad()
            y = ops.tanh(engine.tensor(x) @ parameters[0] + parameters[1])
            ops.mse(y, engine.tensor(t)).backward()
            optimizer.step()

    whole = [engine.tensor(a, requires_grad=True) for a in (w, b)]
    steps(make(whole), whole, 6)
    part = [engine.tensor(a, requires_grad=True) for a in (w, b)]
    first = make(part)
    steps(first, part, 3)
    rest = [engine.tensor(p.data, requires_grad=True) for p in part]
    second = make(rest)
    second.learning_rate = 9.0
    second.load_state_dict(first.state_dict())
    steps(second, rest, 3)
    for a, c in zip(whole, rest, strict=True):
        assert a.data.tobytes() == c.data.tobytes()


def test_a_state_of_other_parameters_is_refused():
    w = engine.tensor([1.0, 2.0], requires_grad=True)
    optimizer = optim.Adam(parameters=[w])
    for key, array in (("1.mean", np.zeros(2)), ("0.sum", np.zeros(2)), ("0.mean", np.zeros(3))):
        state = {"num_steps": 5, "learning_rate": 1.0, "arrays": {key: array}}
        with pytest.raises(EngineError, match=f"'{key}'"):
            optimizer.load_state_dict(state)
    assert optimizer.num_steps == 0


def test_a_parameter_given_another_array_is_updated_there():
    w = engine.tensor([1.0], requires_grad=True)
    optimizer = optim.SGD(0.5, 0.5, parameters=[w])
    for expected in (0.5, 9.25):  # the velocity, 1 and then 1.5, goes on
        (w * 1.0).sum().backward()
        optimizer.step()
        assert w.item() == expected
        optimizer.zero_grad()
        w.data = np.array([10.0], np.float32)
