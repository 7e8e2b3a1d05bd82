"""Embedding, gather, one-hot against PyTorch and finite differences."""

import numpy as np
import pytest

import engine
from engine import ops
from engine.errors import DTypeError, EngineError, ShapeError
from engine.testing import check_gradients


@pytest.mark.torch
@pytest.mark.parametrize("padding", [None, 2])
def test_embedding_equals_torch(rng, agree_with_torch, padding):
    from torch.nn import functional

    agree_with_torch(
        "embedding",
        lambda ids, table: functional.embedding(ids, table, padding_idx=padding),
        np.array([[1, 2, 2], [0, 1, 4]]),
        rng.normal(size=(6, 3)),
        padding_idx=padding,
    )


@pytest.mark.torch
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_gather_equals_torch(rng, axis):
    torch = pytest.importorskip("torch")
    x = rng.normal(size=(3, 4, 5))
    shape = list(x.shape)
    shape[axis] = 7
    ids = rng.integers(0, x.shape[axis], shape)
    ours = engine.tensor(x, requires_grad=True)
    theirs = torch.tensor(x, requires_grad=True)
    y = ops.gather(ours, engine.tensor(ids), axis=axis)
    expected = torch.gather(theirs, axis, torch.tensor(ids))
    np.testing.assert_array_equal(y.data, expected.detach().numpy())
    (y * y).sum().backward()
    expected.square().sum().backward()
    np.testing.assert_allclose(ours.grad.data, theirs.grad.numpy())


def test_gradients_of_any_order_match_finite_differences(rng):
    ids = np.array([[0, 2], [2, 2]])
    check_gradients(
        lambda t, i: ops.tanh(ops.embedding(i, t)),
        rng.normal(size=(3, 2)),
        ids,
        second=True,
        tolerance=1e-5,
    )
    check_gradients(
        lambda x, i: ops.tanh(ops.gather(x, i, 1)),
        rng.normal(size=(2, 3)),
        ids,
        second=True,
        tolerance=1e-5,
    )


def test_one_hot_equals_numpy(rng):
    ids = rng.integers(0, 5, (3, 2))
    np.testing.assert_array_equal(ops.one_hot(engine.tensor(ids), 5).data, np.eye(5)[ids])


@pytest.mark.parametrize("bad", [-1, 6])
def test_an_index_out_of_range_is_named(bad):
    ids = engine.tensor(np.array([0, bad]))
    table = engine.tensor(np.ones((6, 2)))
    with pytest.raises(EngineError, match=f"index {bad}; expected 0 to 5"):
        ops.embedding(ids, table)
    with pytest.raises(EngineError, match=f"index {bad}; expected 0 to 5"):
        ops.one_hot(ids, 6)


def test_wrong_operands_are_refused():
    table = engine.tensor(np.ones((6, 2)))
    with pytest.raises(DTypeError, match="whole numbers"):
        ops.embedding(engine.tensor([1.0]), table)
    with pytest.raises(ShapeError, match="other axes to agree"):
        ops.gather(table, engine.tensor(np.zeros((5, 1), int)), axis=1)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
@pytest.mark.parametrize("view", ["rows", "columns", "backwards"])
def test_gather_by_ids_of_any_type_from_memory_in_any_order(rng, dtype, view):
    """Places in memory are counted in whole numbers of their own, not in those of the ids."""
    x = rng.normal(size=(3, 400)).astype(np.float32)
    x = {"rows": x, "columns": np.asfortranarray(x), "backwards": x[::-1, ::-1]}[view]
    ids = rng.integers(0, 3, (5, 400)).astype(dtype)
    found = ops.gather(engine.Tensor(x), engine.tensor(ids), axis=0)
    np.testing.assert_array_equal(found.data, np.take_along_axis(x, ids.astype(np.int64), 0))
