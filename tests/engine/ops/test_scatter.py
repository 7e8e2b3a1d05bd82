"""Elements added to named places against PyTorch."""

import numpy as np
import pytest

import engine
from engine import ops
from engine.errors import EngineError, ShapeError


@pytest.mark.torch
@pytest.mark.parametrize("axis", [1, 2, -1])
@pytest.mark.parametrize("length", [2, 7])
def test_it_equals_torch(rng, agree_with_torch, axis, length):
    import torch

    shape = [3, 4, 5]
    shape[axis] = length
    ids = rng.integers(0, (3, 4, 5)[axis], shape)
    agree_with_torch(
        "scatter_add",
        lambda x, i, s: x.scatter_add(axis, torch.as_tensor(i), s),
        rng.normal(size=(3, 4, 5)), ids, rng.normal(size=shape),
        batched=(0, 1, 2), axis=axis,
    )  # fmt: skip


def test_shapes_and_places_that_do_not_fit_are_refused():
    x, ids = engine.zeros(2, 3), engine.tensor(np.array([[0, 1], [2, 2]]))
    with pytest.raises(ShapeError, match=r"indices \(2, 2\) and source \(2, 3\)"):
        ops.scatter_add(x, ids, engine.zeros(2, 3))
    with pytest.raises(ShapeError, match="all other axes to agree"):
        ops.scatter_add(x, ids, engine.zeros(2, 2), axis=0)
    with pytest.raises(EngineError, match="index 3; expected 0 to 2"):
        ops.scatter_add(x, ids + 1, engine.zeros(2, 2))
