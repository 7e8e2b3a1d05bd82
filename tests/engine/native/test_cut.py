"""Slices, padding, joining and repeating in native code."""

import numpy as np
import pytest

from engine.plan import PlanBuilder


def conv(b, x, inputs, filters, name="w"):
    w = b.parameter(name, (filters, inputs, 3, 3), init="uniform", low=-0.3, high=0.3)
    return b.call("conv2d", x, w, None, padding=1)


@pytest.mark.parametrize(
    "key",
    [
        (slice(None), slice(1, 5, 2)),
        (slice(None), slice(None, None, -1)),
        (slice(None), slice(4, 0, -2), slice(None, None, -1)),
        (slice(None), 2, slice(3, 17)),
    ],
)
def test_slices_in_either_direction(verify, key):
    verify(lambda b, x: b.call("slice", x, key), (5, 6, 19))


def test_turning_round_waits_for_all_threads():
    """Each thread reads what the others have written."""
    b = PlanBuilder()
    x = b.input("x", ("N", 4000))
    turned = b.call("slice", b.call("exp", x), (slice(None, None, -1), slice(None, None, -1)))
    b.output("y", b.call("multiply", turned, 2.0))
    plan = b.build(seed=0, num_threads=2)
    plan.prepare(64, ("forward",))
    rows = np.random.default_rng(0).normal(size=(64, 4000)).astype(np.float32)
    for _ in range(20):
        found = plan.forward({"x": rows})["y"]
        np.testing.assert_allclose(found, 2.0 * np.exp(rows)[::-1, ::-1], rtol=1e-5)


@pytest.mark.parametrize("padding", [((0, 0), (1, 2), (3, 0)), ((0, 0), (0, 0), (0, 17))])
def test_padding(verify, padding):
    verify(lambda b, x: b.call("pad", x, padding, value=0.5), (4, 5, 6))


def test_padding_a_map_with_channels_last(verify):
    def make(b, x):
        y = b.call("pad", conv(b, x, 3, 7), ((0, 0), (0, 0), (1, 2), (3, 0)))
        return conv(b, y, 7, 2, name="v")

    verify(make, (2, 3, 5, 4))


def test_joining_maps_of_both_orders(verify):
    def make(b, x):
        return conv(b, b.call("concatenate", conv(b, x, 3, 7), x, axis=1), 10, 2, name="v")

    verify(make, (2, 3, 5, 4))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_stacking_and_splitting(verify, axis):
    def make(b, x):
        a, c = b.call("split", x, [2, 4], axis=1)
        joined = b.call("concatenate", c, a, axis=1)
        return b.call("stack", joined, b.call("exp", x), axis=axis)

    verify(make, (5, 6, 7))


def test_repeating(verify):
    def make(b, x):
        wide = b.call("broadcast_to", b.call("reshape", x, shape=("N", 1, 19)), shape=("N", 5, 19))
        return b.call("tile", wide, (1, 2, 3))

    verify(make, (4, 19))
