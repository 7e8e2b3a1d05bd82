"""Elements by size, and running sums, against PyTorch."""

import numpy as np
import pytest

import engine
from engine import ops
from engine.errors import DTypeError, ShapeError


@pytest.mark.torch
@pytest.mark.parametrize("axis", [1, 2, -1])
@pytest.mark.parametrize("descending", [False, True])
def test_sort_equals_torch(rng, agree_with_torch, axis, descending):
    agree_with_torch(
        "sort", lambda x: x.sort(axis, descending).values, rng.normal(size=(3, 5, 4)),
        axis=axis, descending=descending,
    )  # fmt: skip


@pytest.mark.torch
@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize(("k", "axis"), [(1, 0), (3, 1), (4, -1)])
def test_topk_equals_torch(rng, largest, k, axis):
    import torch

    x = rng.normal(size=(3, 5, 4))
    mine = engine.tensor(x, requires_grad=True)
    theirs = torch.tensor(x, requires_grad=True)
    values, places = ops.topk(mine, k, axis, largest)
    expected = theirs.topk(k, axis, largest)
    np.testing.assert_array_equal(values.data, expected.values.detach().numpy())
    np.testing.assert_array_equal(places.data, expected.indices.numpy())
    (values * values).sum().backward()
    (expected.values * expected.values).sum().backward()
    np.testing.assert_array_equal(mine.grad.data, theirs.grad.numpy())


def test_equal_elements_keep_their_order():
    x = engine.tensor([2, 1, 2, 1, 2])
    assert ops.argsort(x).tolist() == [1, 3, 0, 2, 4]
    assert ops.argsort(x, descending=True).tolist() == [0, 2, 4, 1, 3]
    assert ops.topk(x, 2)[1].tolist() == [0, 2]
    assert ops.topk(x, 3, largest=False)[1].tolist() == [1, 3, 0]
    assert ops.argsort(engine.tensor([np.nan, 1.0, np.inf])).tolist() == [1, 2, 0]


def test_more_than_is_ordered_at_a_time(rng):
    x = rng.normal(size=(70, 300, 2))
    for axis in (0, 1):
        found = ops.argsort(engine.tensor(x), axis, descending=True)
        np.testing.assert_array_equal(found.data, np.argsort(-x, axis, kind="stable"))


@pytest.mark.torch
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_cumsum_equals_torch(rng, agree_with_torch, axis):
    x = rng.normal(size=(3, 5, 4))
    agree_with_torch("cumsum", lambda v: v.cumsum(axis), x, plan=axis != 0, axis=axis)


def test_cumsum_counts_whole_numbers():
    found = ops.cumsum(engine.tensor(np.array([1, 2, 3], np.int32)))
    assert (found.tolist(), found.dtype) == ([1, 3, 6], np.int32)
    with pytest.raises(DTypeError, match="Convert with cast"):
        ops.cumsum(engine.tensor([True, False]))


def test_as_many_as_there_are_can_be_chosen():
    for k in (0, 4, 1.5, True):
        with pytest.raises(ShapeError, match="expected a whole number from 1 to 3"):
            ops.topk(engine.zeros(2, 3), k)
