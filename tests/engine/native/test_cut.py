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


def test_ids_and_masks_are_moved_as_well(verify):
    """Joined, repeated, cut: whole numbers and truth values take the same roads."""

    def make(b, x, ids, seen):
        ids = b.call("concatenate", ids, b.call("slice", ids, (slice(None), slice(2, None, -1))))
        y = b.call("gather", x, ids, axis=1)
        wide = b.call("broadcast_to", b.call("reshape", seen, shape=("N", 1, 6)), shape=("N", 6, 6))
        return b.call(
            "where", b.call("reshape", wide, shape=("N", 36)), b.call("tile", y, (1, 6)), 0.5
        )

    rng = np.random.default_rng(0)
    others = {"ids": rng.integers(0, 5, (4, 3)), "seen": rng.integers(0, 2, (4, 6)).astype(bool)}
    verify(make, (4, 5), others)


def test_pieces_of_adaptive_pools(verify):
    def make(b, x):
        y = b.call("adaptive_max_pool2d", x, (3, 4))
        return b.call("add", y, b.call("adaptive_average_pool2d", x, (3, 4)))

    verify(make, (2, 5, 8, 9))


@pytest.mark.parametrize("op", ["rnn_cell", "gru_cell", "lstm_cell"])
def test_cells(verify, op):
    gates = {"rnn_cell": 1, "gru_cell": 3, "lstm_cell": 4}[op]

    def make(b, x):
        states = [b.call("exp", x)] * (2 if op == "lstm_cell" else 1)
        shapes = [(gates * 6, 6), (gates * 6, 6), (gates * 6,)]
        weights = [
            b.parameter(f"w{i}", s, init="uniform", low=-0.5, high=0.5)
            for i, s in enumerate(shapes)
        ]
        y = b.call(op, x, *states, *weights)
        return b.call("concatenate", *y) if op == "lstm_cell" else y

    verify(make, (5, 6))
