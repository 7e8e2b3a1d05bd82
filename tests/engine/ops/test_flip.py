"""Reversed and rolled axes against NumPy."""

import numpy as np
import pytest

import engine
from engine import ops
from engine.errors import ShapeError


@pytest.mark.torch
@pytest.mark.parametrize("axis", [0, -1, (0, 2), (0, 1, 2)])
def test_flip_equals_torch(rng, agree_with_torch, axis):
    axes = (axis,) if isinstance(axis, int) else axis
    agree_with_torch(
        "flip", lambda x: x.flip(axes), rng.normal(size=(2, 3, 4)), plan=0 not in axes, axis=axis
    )


@pytest.mark.torch
@pytest.mark.parametrize(
    ("shift", "axis"), [(1, 1), (-7, 2), (0, 1), ((2, -1), (1, 2)), ((1, 1), (2, 2))]
)
def test_roll_equals_torch(rng, agree_with_torch, shift, axis):
    agree_with_torch(
        "roll", lambda x: x.roll(shift, axis), rng.normal(size=(2, 3, 4)), shift=shift, axis=axis
    )


def test_nothing_can_be_rolled_but_shifts_need_axes():
    assert ops.roll(engine.zeros(0, 3), 2, 0).shape == (0, 3)
    with pytest.raises(ShapeError, match="found 2 shifts for 1 axes"):
        ops.roll(engine.zeros(2, 3), (1, 2), 1)
    with pytest.raises(ShapeError, match="flip found axis 2"):
        ops.flip(engine.zeros(2, 3), 2)
    whole = np.arange(4)
    assert ops.flip(engine.tensor(whole), 0).tolist() == whole[::-1].tolist()
