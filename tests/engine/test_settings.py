"""Settings, descriptions and feeds that cannot be: refused at once, with what was expected."""

from __future__ import annotations

import numpy as np
import pytest

import engine
from engine import nn, ops
from engine.errors import EngineError
from engine.plan import PlanBuilder

NAN, INF = float("nan"), float("inf")


def _x():
    return engine.tensor(np.ones((2, 4), np.float32))


def _norm(**options):
    ones = [engine.tensor(np.ones(4, np.float32)) for _ in range(4)]
    return ops.batch_norm(_x(), *ones, **options)


SETTINGS = {
    "leaky_relu": lambda v: ops.leaky_relu(_x(), v),
    "elu": lambda v: ops.elu(_x(), v),
    "hard_tanh": lambda v: ops.hard_tanh(_x(), v),
    "layer_norm": lambda v: ops.layer_norm(_x(), epsilon=v),
    "group_norm": lambda v: ops.group_norm(_x(), 2, epsilon=v),
    "rms_norm": lambda v: ops.rms_norm(_x(), epsilon=v),
    "batch_norm epsilon": lambda v: _norm(epsilon=v),
    "batch_norm momentum": lambda v: _norm(momentum=v),
    "l2_normalize": lambda v: ops.l2_normalize(_x(), epsilon=v),
    "norm": lambda v: ops.norm(_x(), epsilon=v),
    "dice": lambda v: ops.dice(_x(), _x(), v),
    "cosine_distance": lambda v: ops.cosine_distance(_x(), _x(), v),
    "gaussian_noise": lambda v: ops.gaussian_noise(_x(), v),
    "random_normal_like": lambda v: ops.random_normal_like(_x(), std=v),
    "random_uniform_like": lambda v: ops.random_uniform_like(_x(), high=v),
    "attention": lambda v: ops.scaled_dot_product_attention(_x(), _x(), _x(), scale=v),
}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("value", [NAN, INF, "much"])
def test_a_setting_must_be_a_finite_number(name, value):
    with pytest.raises(EngineError, match=f"{name.split()[0]} found .*; expected a finite number"):
        SETTINGS[name](value)


ANY_SIGN = {"leaky_relu", "elu", "hard_tanh", "attention"}


@pytest.mark.parametrize("name", sorted(SETTINGS.keys() - ANY_SIGN))
def test_a_setting_below_its_range_is_refused(name):
    with pytest.raises(EngineError, match=r"expected a finite number (of 0 or more|from 0 to 1)"):
        SETTINGS[name](-0.5)


def _builder():
    b = PlanBuilder()
    return b, b.input("x", ("N", 3)), b.input("image", ("N", 3, 4, 4))


def _conv(b, image, **options):
    return b.call("conv2d", image, b.parameter("k", (2, 3, 3, 3)), **options)


DESCRIPTIONS = [
    (lambda b, x, i: b.call("reshape", x, shape="ab"), "shape 'ab'; expected whole numbers"),
    (lambda b, x, i: b.call("sum", x, axis="a"), "found axis 'a'; expected"),
    (lambda b, x, i: b.call("elu", x, alpha="q"), "expected a finite number"),
    (lambda b, x, i: b.call("split", x, 0), "expected a number that divides"),
    (lambda b, x, i: b.call("pad", x, (1, 1)), r"expected \(before, after\)"),
    (lambda b, x, i: b.call("transpose", x, axes=(0, 0)), "expected each axis once"),
    (lambda b, x, i: b.call("matmul", x), "called wrongly"),
    (lambda b, x, i: b.call("max_pool2d", i, None), "called wrongly"),
    (lambda b, x, i: _conv(b, i, padding="same"), "expected"),
    (lambda b, x, i: _conv(b, i, groups=0), "expected a number that divides both"),
    (lambda b, x, i: b.constant("abc"), "expected numbers"),
    (lambda b, x, i: b.constant([object()]), "expected numbers"),
    (lambda b, x, i: b.output("o", 3), "expected a value of this plan"),
    (lambda b, x, i: b.loss("l", 3.0), "expected a value of this plan"),
    (lambda b, x, i: b.metric("m", PlanBuilder().constant(1.0)), "expected a value of this plan"),
    (lambda b, x, i: b.loss("l", b.call("mean", x), weight=NAN), "expected a finite number"),
    (lambda b, x, i: b.input("y", ("N", 2.5)), "whole numbers or 'N'"),
    (lambda b, x, i: b.input("y", ("N", -2)), "whole numbers or 'N'"),
    (lambda b, x, i: b.build(accumulate=1.5), "accumulate=1.5; expected a whole number"),
    (lambda b, x, i: b.build(num_threads=-1), "num_threads=-1; expected a whole number"),
    (lambda b, x, i: b.build(max_threads=0.5), "max_threads=0.5; expected a whole number"),
    (lambda b, x, i: b.build(seed="a"), "seed='a'; expected a whole number"),
]


@pytest.mark.parametrize(("action", "words"), DESCRIPTIONS)
def test_a_wrong_description_is_refused_when_it_is_made(action, words):
    with pytest.raises(EngineError, match=words):
        action(*_builder())


def _plan():
    b, x, _ = _builder()
    y = b.call("matmul", x, b.parameter("w", (3, 4), init="he_normal"))
    b.output("y", y)
    b.loss("l", b.call("cross_entropy", y, b.input("t", ("N",), "int64")))
    return b.build(optimizer=engine.optim.SGD(0.1, 0.9))


ROWS = np.zeros((2, 3), np.float32)
FEEDS = [
    (lambda p: p.forward(ROWS), "expected arrays by name: x"),
    (lambda p: p.forward({}), "lacks 'x'; it has nothing"),
    (lambda p: p.forward({"x": np.float32(3)}), "expected"),
    (lambda p: p.forward({"x": np.array([["a", "b", "c"]])}), "element type"),
    (lambda p: p.train_step({"x": ROWS, "t": np.zeros(2)}), "element type float64"),
    (lambda p: p.train_step({"x": ROWS, "t": np.zeros(3, int)}), "expected"),
    (lambda p: p.train_step({"x": ROWS, "t": np.array([0, 4])}), "label 4; expected 0 to 3"),
    (lambda p: p.prepare(0), "batch_size found 0"),
    (lambda p: p.steps(2.5), "batch_size found 2.5"),
    (lambda p: p.load_state_dict({"w": np.zeros((3, 4), object)}), "expected numbers"),
    (lambda p: p.load_optimizer_state_dict({}), "lacks 'num_steps'"),
    (lambda p: setattr(p, "random_state", {"seed": 1}), "expected whole numbers"),
]


@pytest.mark.parametrize(("action", "words"), FEEDS)
def test_a_plan_refuses_what_it_cannot_take_and_stays_as_it_was(action, words):
    plan = _plan()
    before = plan.state_dict()
    with pytest.raises(EngineError, match=words):
        action(plan)
    np.testing.assert_array_equal(plan.state_dict()["w"], before["w"])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.Linear(0, 3), r"shape \(3, 0\); expected whole numbers above 0"),
        (lambda: nn.Linear(3, -1), "expected whole numbers above 0"),
        (lambda: nn.Linear("a", 3), "expected whole numbers above 0"),
        (lambda: nn.Conv2d(3, 4, 0), "expected whole numbers above 0"),
        (lambda: nn.Embedding(3, 2, padding_idx=7), "padding_idx=7; expected 0 to 2"),
        (lambda: nn.GRU(3, 0), "expected 1 or more"),
    ],
)
def test_a_layer_of_impossible_sizes_is_refused(make, words):
    with pytest.raises(EngineError, match=words):
        make()
