"""Normalisation of each sample, against PyTorch and finite differences."""

import numpy as np
import pytest

import engine
from engine import ops
from engine.errors import ShapeError
from engine.testing import check_gradients


@pytest.mark.torch
@pytest.mark.parametrize("num_axes", [1, 2])
def test_layer_norm_equals_torch(rng, agree_with_torch, num_axes):
    from torch.nn import functional

    tail = (5, 6)[-num_axes:]
    agree_with_torch(
        "layer_norm",
        lambda x, w, b: functional.layer_norm(x, tail, w, b, 1e-3),
        rng.normal(size=(3, 5, 6)),
        rng.normal(size=tail),
        rng.normal(size=tail),
        num_axes=num_axes,
        epsilon=1e-3,
    )


@pytest.mark.torch
@pytest.mark.parametrize("shape", [(3, 6), (3, 6, 5), (2, 6, 4, 3)])
@pytest.mark.parametrize("groups", [1, 2, 3])
def test_group_norm_equals_torch(rng, shape, groups):
    torch = pytest.importorskip("torch")
    x, w, b = rng.normal(size=shape), rng.normal(size=6), rng.normal(size=6)
    ours = [engine.tensor(v, requires_grad=True) for v in (x, w, b)]
    theirs = [torch.tensor(v, requires_grad=True) for v in (x, w, b)]
    y = ops.group_norm(ours[0], groups, *ours[1:])
    expected = torch.nn.functional.group_norm(theirs[0], groups, *theirs[1:])
    np.testing.assert_allclose(y.data, expected.detach().numpy(), atol=1e-9)
    (y * y * y).sum().backward()
    (expected**3).sum().backward()
    for a, e in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.grad.data, e.grad.numpy(), atol=1e-8)


@pytest.mark.torch
def test_group_norm_in_a_plan_equals_torch(rng, agree_with_torch):
    from torch.nn import functional

    agree_with_torch(
        "instance_norm",
        lambda x, w, b: functional.instance_norm(x, None, None, w, b),
        rng.normal(size=(3, 4, 5, 5)),
        rng.normal(size=4),
        rng.normal(size=4),
    )


@pytest.mark.torch
def test_rms_norm_equals_torch(rng, agree_with_torch):
    from torch.nn import functional

    agree_with_torch(
        "rms_norm",
        lambda x, w: functional.rms_norm(x, (6,), w, 1e-4),
        rng.normal(size=(3, 5, 6)),
        rng.normal(size=6),
        epsilon=1e-4,
    )


@pytest.mark.torch
def test_l2_normalize_equals_torch(rng, agree_with_torch):
    from torch.nn import functional

    agree_with_torch("l2_normalize", functional.normalize, rng.normal(size=(3, 5)), axis=1)


def test_l2_normalize_of_zeros_is_zero_with_a_finite_gradient():
    x = engine.tensor(np.zeros((2, 3)), requires_grad=True)
    y = ops.l2_normalize(x)
    y.sum().backward()
    assert not y.data.any()
    assert np.isfinite(x.grad.data).all()


@pytest.mark.parametrize("op", [ops.layer_norm, ops.rms_norm])
def test_gradients_of_any_order_match_finite_differences(rng, op):
    check_gradients(
        lambda x, w: ops.tanh(op(x, w)),
        rng.normal(size=(2, 5)),
        rng.normal(size=5),
        second=True,
        tolerance=1e-4,
    )


def test_layer_norm_keeps_its_digits_far_from_zero(rng):
    x = (rng.normal(size=(4, 64)) * 0.01 + 1000).astype(np.float32)
    wide = x.astype(np.float64)
    expected = (wide - wide.mean(1, keepdims=True)) / np.sqrt(wide.var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(ops.layer_norm(engine.tensor(x)).data, expected, atol=0.01)


def test_wrong_sizes_are_refused():
    x = engine.tensor(np.ones((2, 6, 4)))
    with pytest.raises(ShapeError, match="multiple of the groups"):
        ops.group_norm(x, 4)
    with pytest.raises(ShapeError, match=r"expected \(4,\)"):
        ops.layer_norm(x, engine.tensor(np.ones(6)))
