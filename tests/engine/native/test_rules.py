"""Comparison, choice, limits and piecewise activations in native code."""

import numpy as np
import pytest

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


@pytest.mark.parametrize("dtype", ["int32", "int64", "bool"])
def test_casts_to_float(verify, dtype):
    whole = np.random.default_rng(0).integers(-9, 9, (6, 35)).astype(dtype)
    verify(
        lambda b, x, n: b.call("multiply", x, b.call("cast", n, "float32")), (6, 35), {"n": whole}
    )


def test_equal_ids(verify):
    a, c = (np.random.default_rng(s).integers(0, 3, (6, 35)) for s in (0, 1))

    def make(b, x, a, c):
        return b.call("where", b.call("equal", a, c), x, 0.0)

    verify(make, (6, 35), {"a": a, "c": c})


def test_operands_in_other_orders_of_memory(verify):
    def make(b, x):
        turned = b.call("transpose", x, axes=(0, 2, 1))
        return b.call("where", b.call("less", turned, 0.0), b.call("elu", turned), turned)

    verify(make, (3, 17, 5))
