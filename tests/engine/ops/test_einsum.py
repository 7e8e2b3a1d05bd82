"""Einsum, products and norms against PyTorch and finite differences."""

import numpy as np
import pytest

import engine
from engine import ops
from engine.errors import ShapeError
from engine.testing import check_gradients

FORMULAS = {
    "ij,jk->ik": ((2, 3), (3, 4)),
    "bij,bjk->bik": ((2, 2, 3), (2, 3, 4)),
    "bhqd,bhkd->bhqk": ((2, 2, 3, 4), (2, 2, 2, 4)),
    "i,j->ij": ((3,), (4,)),
    "ij->ji": ((2, 3),),
    "ij->i": ((2, 3),),
    "ij,ij->": ((2, 3), (2, 3)),
    "ij,k->ik": ((2, 3), (4,)),
    "ij,jk,kl->il": ((2, 3), (3, 2), (2, 4)),
}


@pytest.mark.parametrize("formula", FORMULAS)
def test_einsum_equals_numpy_with_gradients_of_any_order(rng, formula):
    arrays = [rng.normal(size=s) for s in FORMULAS[formula]]
    y = ops.einsum(formula, *map(engine.tensor, arrays))
    np.testing.assert_allclose(y.data, np.einsum(formula, *arrays), atol=1e-12)
    check_gradients(
        lambda *v: ops.tanh(ops.einsum(formula, *v)), *arrays, second=True, tolerance=1e-5
    )


@pytest.mark.parametrize("formula", ["ij,jk", "ii->i", "ij->ik", "ij,jk->ii", "ij->ij"])
def test_a_wrong_formula_is_refused(formula):
    with pytest.raises(ShapeError, match="einsum found"):
        ops.einsum(formula, engine.tensor(np.ones((2, 3))), engine.tensor(np.ones((3, 3))))


def test_sizes_of_a_letter_must_agree():
    with pytest.raises(ShapeError, match="3 and 4 for axis 'j'"):
        ops.einsum("ij,jk->ik", engine.tensor(np.ones((2, 3))), engine.tensor(np.ones((4, 2))))


@pytest.mark.torch
@pytest.mark.parametrize("axis", [0, 1])
def test_prod_equals_torch_zeros_included(rng, agree_with_torch, axis):
    import torch

    x = rng.normal(size=(4, 3))
    x[1, 2] = x[0, 1] = x[2, 1] = 0
    agree_with_torch("prod", lambda v: torch.prod(v, axis), x, axis=axis)


@pytest.mark.torch
def test_norm_equals_torch_zero_included(rng, agree_with_torch):
    import torch

    x = rng.normal(size=(4, 3))
    x[1] = 0
    agree_with_torch("norm", lambda v: torch.linalg.vector_norm(v, dim=1), x, axis=1)


def test_norm_gradients_match_finite_differences(rng):
    check_gradients(lambda v: ops.norm(v, 1), rng.normal(size=(3, 4)), second=True, tolerance=1e-5)
    check_gradients(lambda v: ops.norm(v, (0, 1), epsilon=0.1), rng.normal(size=(3, 4)))


@pytest.mark.parametrize(("axis", "keepdims"), [(None, False), ((0, 2), False), ((0, -1), True)])
def test_prod_over_several_axes_equals_numpy(rng, axis, keepdims):
    x = rng.normal(size=(2, 3, 2))
    found = ops.prod(engine.tensor(x), axis, keepdims).data
    np.testing.assert_allclose(found, np.prod(x, axis, keepdims=keepdims), rtol=1e-12)
    check_gradients(lambda v: ops.tanh(ops.prod(v, axis)), x, second=True, tolerance=1e-5)
