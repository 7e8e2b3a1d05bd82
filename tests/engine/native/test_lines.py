"""Softmax, log-softmax, sums so far, greatest, smallest, product and argmax, natively."""

import numpy as np
import pytest

from engine.plan import PlanBuilder

SHAPES = [(1, 1, 1), (5, 6, 19), (3, 33, 4), (40, 2, 70)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp", "cumsum"])
def test_softmax_and_sums_along_any_axis(verify, name, axis, shape):
    verify(lambda b, x: b.call(name, x, axis=axis), shape, spread=3.0)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("axis", [1, 2])
def test_softmax_of_a_map_with_channels_last(verify, name, axis):
    def make(b, x):
        w = b.parameter("w", (7, 3, 1, 1), init="uniform", low=-0.5, high=0.5)
        return b.call(name, b.call("conv2d", x, w), axis=axis)

    verify(make, (3, 3, 5, 6))


def test_softmax_of_extreme_rows():
    b = PlanBuilder()
    x = b.input("x", ("N", 5, 3))
    b.output("y", b.call("softmax", x, axis=1))
    b.output("z", b.call("log_softmax", x, axis=1))
    plan = b.build(seed=0)
    rows = np.zeros((2, 5, 3), np.float32)
    rows[0, 1] = [1e4, -1e4, 90.0]
    rows[0, 2, 1] = np.inf
    rows[1, 0, 0] = np.nan
    expected = plan.forward({"x": rows})
    plan.prepare(2, ("forward",))
    for name, value in plan.forward({"x": rows}).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("axis", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2)])
@pytest.mark.parametrize("name", ["max", "min"])
def test_extremes_over_any_axes(verify, name, axis, shape):
    verify(lambda b, x: b.call(name, x, axis=axis), shape)


@pytest.mark.parametrize("name", ["max", "min"])
def test_a_nan_is_the_extreme(name):
    b = PlanBuilder()
    x = b.input("x", ("N", 40))
    b.output("y", b.call(name, x, axis=1))
    plan = b.build(seed=0)
    plan.prepare(3, ("forward",))
    rows = np.random.default_rng(0).normal(size=(3, 40)).astype(np.float32)
    rows[0, 7] = rows[2, 39] = np.nan
    found = plan.forward({"x": rows})["y"]
    np.testing.assert_array_equal(found, getattr(rows, name)(axis=1))


@pytest.mark.parametrize("keepdims", [False, True])
def test_global_max_of_a_map_with_channels_last(verify, keepdims):
    def make(b, x):
        w = b.parameter("w", (20, 3, 1, 1), init="uniform", low=-0.5, high=0.5)
        y = b.call("relu", b.call("conv2d", x, w))
        return b.call("global_max_pool", y, keepdims=keepdims)

    verify(make, (3, 3, 5, 6))


@pytest.mark.parametrize("shape", SHAPES[:3])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_products(verify, axis, shape):
    verify(lambda b, x: b.call("prod", x, axis=axis), shape)


def test_a_product_with_zeros(verify):
    def make(b, x):
        return b.call("prod", b.call("relu", b.call("add", x, 1.0)), axis=1)

    verify(make, (9, 4, 5))


@pytest.mark.parametrize("name", ["var", "mean", "norm"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_other_reductions(verify, name, axis):
    verify(lambda b, x: b.call(name, x, axis=axis), (5, 6, 19))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_place_of_the_greatest(axis):
    b = PlanBuilder()
    x = b.input("x", ("N", 6, 7))
    b.output("y", b.call("argmax", x, axis=axis))
    plan = b.build(seed=0)
    assert plan.prepare(5, ("forward",))
    rows = np.random.default_rng(0).integers(0, 4, (5, 6, 7)).astype(np.float32)
    rows[0, 1, 2] = rows[3, 3, 3] = np.nan
    np.testing.assert_array_equal(plan.forward({"x": rows})["y"], rows.argmax(axis))


@pytest.mark.parametrize("columns", [1, 3, 16, 21])
def test_sums_of_many_rows(verify, columns):
    def make(b, x):
        return b.call("multiply", x, b.call("mean", x, axis=0, keepdims=True))

    verify(make, (700, columns))


@pytest.mark.parametrize("size", [1, 63, 5000, 1_000_003])
def test_the_sum_of_everything_keeps_its_digits(size):
    b = PlanBuilder()
    x = b.input("x", ("N", 1))
    b.output("y", b.call("sum", x))
    plan = b.build(seed=0, num_threads=2)
    plan.prepare(size, ("forward",))
    rows = np.random.default_rng(0).uniform(0.0, 1.0, (size, 1)).astype(np.float32)
    expected = rows.sum(dtype=np.float64)
    np.testing.assert_allclose(plan.forward({"x": rows})["y"], expected, rtol=2e-7)


@pytest.mark.parametrize("axis", [(0, 2, 3), (1, 2, 3), (0, 1), (3,)])
def test_sums_of_a_part_of_a_map(verify, axis):
    """As the gradient of an offset, where the map went into a joined one."""

    def make(b, x):
        w = b.parameter("w", (40, 3, 1, 1), init="uniform", low=-0.5, high=0.5)
        y = b.call("slice", b.call("conv2d", x, w), (slice(None), slice(3, 38)))
        return b.call("multiply", y, b.call("sum", y, axis=axis, keepdims=True))

    verify(make, (3, 3, 5, 6))
