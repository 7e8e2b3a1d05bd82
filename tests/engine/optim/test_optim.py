"""What optimisers leave alone, save, follow and refuse; test_trajectories has their numbers."""

import numpy as np
import pytest

import engine
from engine import ops, optim
from engine.errors import EngineError

CASES = {
    "sgd": lambda p: optim.SGD(0.05, parameters=p),
    "sgd nesterov": lambda p: optim.SGD(0.05, 0.9, True, parameters=p),
    "adam": lambda p: optim.Adam(0.01, parameters=p),
    "adamw": lambda p: optim.AdamW(0.01, weight_decay=0.1, parameters=p),
    "rmsprop": lambda p: optim.RMSprop(0.01, 0.9, 0.1, 0.5, True, 0.1, parameters=p),
    "adagrad": lambda p: optim.Adagrad(0.05, 1e-6, 0.1, 0.1, parameters=p),
    "adadelta": lambda p: optim.Adadelta(0.5, parameters=p),
    "adamax": lambda p: optim.Adamax(0.01, parameters=p),
    "nadam": lambda p: optim.Nadam(0.01, parameters=p),
    "lion": lambda p: optim.Lion(0.01, weight_decay=0.1, parameters=p),
}


def _data():
    rng = np.random.default_rng(5)
    return [rng.normal(size=s).astype(np.float32) for s in ((16, 5), (16, 3), (5, 3), (3,))]


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
        lambda: optim.Adagrad(float("inf")),
        lambda: optim.RMSprop(momentum=float("inf")),
        lambda: optim.clip_norm([], float("nan")),
        lambda: optim.clip_value([], float("inf")),
    ],
)
def test_impossible_settings_are_refused(make):
    with pytest.raises(EngineError, match="found"):
        make()


@pytest.mark.parametrize("case", CASES)
def test_a_run_goes_on_from_its_saved_state(case):
    make = CASES[case]
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


@pytest.mark.parametrize("wrap", [list, iter])
def test_parameters_in_the_place_of_the_learning_rate_are_named(wrap):
    parameters = wrap([engine.tensor(np.zeros(2, np.float32), requires_grad=True)])
    with pytest.raises(engine.EngineError, match=r"write Adam\(0.001, parameters="):
        engine.optim.Adam(parameters)


@pytest.mark.parametrize("rate", ["a", None, float("nan"), -1.0])
def test_a_learning_rate_that_is_none_is_refused(rate):
    with pytest.raises(engine.EngineError, match="learning_rate="):
        engine.optim.SGD(rate)


def test_lion_equals_its_formula_in_float64():
    rng = np.random.default_rng(2)
    start, steps = rng.normal(size=5), rng.normal(size=(20, 5))
    w = engine.tensor(start, requires_grad=True)
    optimizer = optim.Lion(0.01, 0.9, 0.95, 0.1, parameters=[w])
    expected, mean = start.copy(), np.zeros(5)
    for g in steps:
        w.grad = engine.tensor(g)
        optimizer.step()
        expected *= 1 - 0.01 * 0.1
        expected -= 0.01 * np.sign(0.9 * mean + 0.1 * g)
        mean = 0.95 * mean + 0.05 * g
    np.testing.assert_allclose(w.data, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda w: optim.Adam(parameters=[{"params": [w]}]), "an optimiser for each group"),
        (lambda w: optim.SGD(parameters=[("w", w)]), "found a tuple among the parameters"),
        (lambda w: optim.SGD(parameters=engine.nn.Linear(2, 2)), "found a Linear as parameters"),
        (lambda w: optim.Adam().step(), "Adam found no parameters to step"),
        (lambda w: optim.Nadam(momentum_decay=-1.0), "momentum_decay=-1.0"),
        (lambda w: optim.AveragedWeights(engine.nn.Linear(2, 2), 1.0), "decay=1.0"),
    ],
)
def test_what_is_no_parameter_is_named(make, words):
    with pytest.raises(EngineError, match=words):
        make(engine.tensor([1.0], requires_grad=True))
