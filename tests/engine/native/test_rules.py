"""Comparison, choice, limits and piecewise activations in native code."""

import numpy as np
import pytest

from engine.plan import PlanBuilder

SHAPES = [(1, 1), (7, 3), (64, 100)]


def slopes(b, count):
    return b.parameter("slope", (count,), init="uniform", low=0.1, high=0.4)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "name",
    [
        "softplus",
        "elu",
        "selu",
        "mish",
        "relu6",
        "hard_tanh",
        "hard_sigmoid",
        "hard_swish",
        "softsign",
        "sin",
        "cos",
    ],
)
def test_activations(verify, name, shape):
    verify(lambda b, x: b.call(name, x), shape, spread=3.0)


@pytest.mark.parametrize("limits", [(-0.5, 0.7), (None, 0.3), (-0.2, None)])
def test_clip(verify, limits):
    verify(lambda b, x: b.call("clip", x, low=limits[0], high=limits[1]), (7, 33))


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("convolved", [False, True])
def test_prelu(verify, count, convolved):
    def make(b, x):
        if convolved:
            w = b.parameter("w", (5, 5, 3, 3), init="uniform", low=-0.3, high=0.3)
            x = b.call("conv2d", x, w, None, padding=1)
        return b.call("prelu", x, slopes(b, count))

    verify(make, (3, 5, 6, 7))


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_the_greater_or_smaller_of_two(verify, name):
    def make(b, x):
        return b.call(name, x, b.parameter("p", (33,), init="uniform", low=-0.5, high=0.5))

    verify(make, (5, 33))


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_ties_share_the_gradient(verify, name):
    verify(lambda b, x: b.call(name, x, b.call("abs", x)), (5, 33))


def test_where_with_masks_of_any_shape(verify):
    rng = np.random.default_rng(0)
    for shape in ((6, 5, 33), (6, 1, 33), (6, 5, 1), (6, 1, 1)):
        seen = rng.integers(0, 2, shape).astype(bool)
        verify(
            lambda b, x, seen: b.call("where", seen, b.call("exp", x), -0.5),
            (6, 5, 33),
            {"seen": seen},
        )


def test_masks_that_are_computed_and_joined(verify):
    def make(b, x, seen):
        low = b.call("less", x, 0.3)
        both = b.call("where", low, seen, low)
        return b.call("multiply", x, b.call("cast", both, "float32"))

    seen = np.random.default_rng(0).integers(0, 2, (6, 35)).astype(bool)
    verify(make, (6, 35), {"seen": seen})


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "bool"])
def test_casts_to_float(verify, dtype):
    whole = np.random.default_rng(0).integers(-9, 9, (6, 35)).astype(dtype)  # 247 for -9 if uint8
    verify(
        lambda b, x, n: b.call("multiply", x, b.call("cast", n, "float32")), (6, 35), {"n": whole}
    )


@pytest.mark.parametrize("comparison", ["equal", "not_equal"])
def test_equal_ids(verify, comparison):
    a, c = (np.random.default_rng(s).integers(0, 3, (6, 35)) for s in (0, 1))

    def make(b, x, a, c):
        return b.call("where", b.call(comparison, a, c), x, 0.0)

    verify(make, (6, 35), {"a": a, "c": c})


@pytest.mark.parametrize(
    "comparison", ["less", "less_equal", "greater", "greater_equal", "equal", "not_equal"]
)
def test_comparisons_of_equal_numbers_and_of_none(verify, comparison):
    a, c = (np.random.default_rng(s).integers(0, 3, (6, 35)).astype("f") for s in (0, 1))
    a[a == 2], c[:2] = np.nan, np.nan

    def make(b, x, a, c):
        return b.call("where", b.call(comparison, a, c), x, 0.0)

    verify(make, (6, 35), {"a": a, "c": c})


def test_operands_in_other_orders_of_memory(verify):
    def make(b, x):
        turned = b.call("transpose", x, axes=(0, 2, 1))
        return b.call("where", b.call("less", turned, 0.0), b.call("elu", turned), turned)

    verify(make, (3, 17, 5))


@pytest.mark.parametrize("exponent", [3.0, 0.5, -1.5, 0.0])
def test_powers_of_numbers_above_zero(verify, exponent):
    verify(lambda b, x: b.call("power", b.call("exp", x), exponent), (7, 33))


def test_a_power_of_two_arrays(verify):
    verify(lambda b, x: b.call("power", b.call("exp", x), x), (7, 33))


def test_powers_of_extreme_numbers_are_those_of_numpy():
    values = [0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.3, -0.3, 1e-41, 3e38, np.inf, -np.inf, np.nan]
    powers = [*values, 3.0, -3.0, 5.5, 1e9, 16777217.0, 40.0, -40.0]
    x, y = (v.astype(np.float32).ravel() for v in np.meshgrid(values, powers))
    b = PlanBuilder()
    a, c = b.input("a", ("N", 1)), b.input("c", ("N", 1))
    b.output("y", b.call("power", a, c))
    plan = b.build(seed=0)
    assert plan.prepare(x.size, ("forward",))
    found = plan.forward({"a": x[:, None], "c": y[:, None]})["y"][:, 0]
    with np.errstate(all="ignore"):
        expected = np.power(x, y)
    np.testing.assert_allclose(found, expected, rtol=3e-7, atol=1e-45)
    assert (np.signbit(found) == np.signbit(expected))[~np.isnan(expected)].all()


def test_powers_are_right_to_float32_rounding():
    rng = np.random.default_rng(0)
    x = np.exp(rng.uniform(-20, 20, (1000, 16))).astype(np.float32)
    y = rng.uniform(-4, 4, x.shape).astype(np.float32)
    b = PlanBuilder()
    a, c = b.input("a", ("N", 16)), b.input("c", ("N", 16))
    b.output("y", b.call("power", a, c))
    plan = b.build(seed=0)
    assert plan.prepare(1000, ("forward",))
    expected = np.power(x.astype(np.float64), y.astype(np.float64))
    np.testing.assert_allclose(plan.forward({"a": x, "c": y})["y"], expected, rtol=1.2e-7)
