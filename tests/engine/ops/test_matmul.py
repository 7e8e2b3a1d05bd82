"""Matrix products against PyTorch and finite differences."""

import itertools

import numpy as np
import pytest

import engine
from engine import ops
from engine.errors import DTypeError, ShapeError
from engine.testing import check_gradients

SHAPES = [
    ((3, 4), (4, 5)),
    ((1, 1), (1, 1)),
    ((2, 3, 4), (4, 5)),
    ((2, 3, 4), (2, 4, 5)),
    ((2, 1, 3, 4), (3, 4, 2)),
    ((3, 4), (2, 4, 5)),
]


def _turn(x, turned):
    return x.swapaxes(-1, -2) if turned else x


@pytest.mark.torch
@pytest.mark.parametrize(("a", "b"), SHAPES)
@pytest.mark.parametrize(("ta", "tb"), [*itertools.product((False, True), repeat=2)])
def test_matmul_equals_torch(rng, agree_with_torch, a, b, ta, tb):
    agree_with_torch(
        "matmul",
        lambda x, y: _turn(x, ta) @ _turn(y, tb),
        _turn(rng.normal(size=a), ta).copy(),
        _turn(rng.normal(size=b), tb).copy(),
        transpose_a=ta,
        transpose_b=tb,
        plan=not (ta and len(a) == 2),
        batched=(0, 1) if len(a) == len(b) == 3 else (0,) if len(a) >= len(b) else (1,),
    )


@pytest.mark.parametrize(("ta", "tb"), [*itertools.product((False, True), repeat=2)])
def test_matmul_gradients_of_any_order_match_finite_differences(rng, ta, tb):
    check_gradients(
        lambda x, y: ops.tanh(ops.matmul(x, y, ta, tb)),
        _turn(rng.normal(size=(2, 2, 3)), ta).copy(),
        _turn(rng.normal(size=(3, 2)), tb).copy(),
        second=True,
        tolerance=1e-5,
    )


@pytest.mark.parametrize(
    ("a", "b"), [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((4, 2, 3), (3,))]
)
def test_vectors_multiply_as_in_numpy(rng, a, b):
    x, y = rng.normal(size=a), rng.normal(size=b)
    np.testing.assert_allclose(ops.matmul(engine.tensor(x), engine.tensor(y)).data, x @ y)


def test_inner_sizes_must_agree():
    with pytest.raises(ShapeError, match=r"not 3 and 4"):
        ops.matmul(engine.tensor(np.ones((2, 3))), engine.tensor(np.ones((4, 5))))


def test_whole_numbers_are_refused():
    with pytest.raises(DTypeError, match="cast"):
        ops.matmul(engine.tensor([[1]]), engine.tensor([[1]]))


def test_an_empty_inner_axis_sums_to_zero():
    y = ops.matmul(engine.tensor(np.ones((2, 0))), engine.tensor(np.ones((0, 3))))
    assert y.data.tolist() == [[0.0] * 3] * 2
