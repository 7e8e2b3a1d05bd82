"""Pooling against PyTorch and finite differences."""

import itertools

import numpy as np
import pytest

import engine
from engine import ops
from engine.errors import ShapeError
from engine.testing import check_gradients

GRID = list(itertools.product((1, 2, (3, 2)), (None, 1, 2, (3, 1)), (0, 1)))


def _fits(kernel, padding):
    return 2 * padding <= min(kernel if isinstance(kernel, tuple) else (kernel,))


@pytest.mark.torch
@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [g for g in GRID if _fits(g[0], g[2])])
def test_max_pool2d_equals_torch(rng, agree_with_torch, kernel, stride, padding, ceil):
    from torch.nn import functional

    agree_with_torch(
        "max_pool2d",
        lambda x: functional.max_pool2d(x, kernel, stride, padding, ceil_mode=ceil),
        rng.normal(size=(3, 5, 7, 6)) - 3.0,
        kernel_size=kernel,
        stride=stride,
        padding=padding,
        ceil_mode=ceil,
    )


@pytest.mark.torch
@pytest.mark.parametrize("include", [False, True])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [g for g in GRID if _fits(g[0], g[2])])
def test_average_pool2d_equals_torch(rng, agree_with_torch, kernel, stride, padding, include):
    from torch.nn import functional

    agree_with_torch(
        "average_pool2d",
        lambda x: functional.avg_pool2d(x, kernel, stride, padding, count_include_pad=include),
        rng.normal(size=(3, 5, 7, 6)),
        kernel_size=kernel,
        stride=stride,
        padding=padding,
        count_include_pad=include,
    )


CEILED = [
    # The last window reaches behind the padding, or does without it, or would start in it.
    ((2, 3, 8), 3, 2, 1),
    ((2, 3, 9), 3, 2, 1),
    ((2, 3, 7), 2, 2, 1),
    ((2, 3, 6, 7), 3, 2, 1),
    ((2, 3, 7, 8), (3, 4), (2, 3), (1, 2)),
    ((2, 3, 5, 5), 2, 3, 0),
    ((2, 3, 7, 6), (4, 2), (3, 3), (2, 0)),
    ((1, 2, 6, 5, 7), 3, 2, 1),
    ((1, 2, 5, 6, 4), (2, 3, 4), (2, 2, 3), (1, 0, 2)),
]


@pytest.mark.torch
@pytest.mark.parametrize("include", [False, True])
@pytest.mark.parametrize(("shape", "kernel", "stride", "padding"), CEILED)
def test_average_pool_with_ceil_mode_equals_torch(
    rng, agree_with_torch, shape, kernel, stride, padding, include
):
    from torch.nn import functional

    nd = len(shape) - 2
    pool = getattr(functional, f"avg_pool{nd}d")
    agree_with_torch(
        f"average_pool{nd}d",
        lambda x: pool(x, kernel, stride, padding, True, include),
        rng.normal(size=shape),
        kernel_size=kernel,
        stride=stride,
        padding=padding,
        ceil_mode=True,
        count_include_pad=include,
    )


@pytest.mark.parametrize(("shape", "kernel", "stride", "padding"), CEILED)
def test_gradients_of_average_pool_with_ceil_mode_match_finite_differences(
    rng, shape, kernel, stride, padding
):
    pool = getattr(ops, f"average_pool{len(shape) - 2}d")
    check_gradients(
        lambda x: ops.tanh(pool(x, kernel, stride, padding, ceil_mode=True)),
        rng.normal(size=shape),
        second=len(shape) < 5,  # one difference an element, and again for each of these
        tolerance=1e-5,
    )


@pytest.mark.parametrize(("after", "last"), [(0, 2 / 2), (1, 2 / 3), (2, 2 / 4)])
def test_padding_on_one_side_counts_and_what_ceil_mode_adds_does_not(after, last):
    x = engine.tensor(np.ones((1, 1, 7)))
    y = ops.average_pool1d(x, 4, 3, ((1, after),), ceil_mode=True)
    np.testing.assert_allclose(y.data, [[[3 / 4, 4 / 4, last]]])


@pytest.mark.torch
def test_pooling_of_sequences_equals_torch(rng, agree_with_torch):
    from torch.nn import functional

    x = rng.normal(size=(2, 3, 9))
    agree_with_torch(
        "max_pool1d",
        lambda a: functional.max_pool1d(a, 3, 2, 1),
        x,
        kernel_size=3,
        stride=2,
        padding=1,
    )
    agree_with_torch(
        "average_pool1d",
        lambda a: functional.avg_pool1d(a, 3, 2, 1),
        x,
        kernel_size=3,
        stride=2,
        padding=1,
    )


@pytest.mark.torch
def test_pooling_of_volumes_equals_torch(rng, agree_with_torch):
    from torch.nn import functional

    x = rng.normal(size=(2, 3, 5, 4, 6))
    attrs = {"kernel_size": (2, 3, 2), "stride": (2, 1, 2), "padding": (1, 0, 1)}
    agree_with_torch("max_pool3d", lambda a: functional.max_pool3d(a, *attrs.values()), x, **attrs)
    agree_with_torch(
        "average_pool3d", lambda a: functional.avg_pool3d(a, *attrs.values()), x, **attrs
    )


@pytest.mark.torch
def test_global_pools_equal_torch(rng, agree_with_torch):
    x = np.round(rng.normal(size=(3, 4, 5, 5)))  # rounded: many ties
    agree_with_torch("global_average_pool", lambda a: a.mean((2, 3)), x)
    agree_with_torch("global_max_pool", lambda a: a.amax((2, 3)), x)


def test_max_pool_gives_the_gradient_of_a_tie_to_the_first():
    x = engine.tensor(np.ones((1, 1, 2, 2)), requires_grad=True)
    ops.max_pool2d(x, 2).sum().backward()
    assert x.grad.data.tolist() == [[[[1, 0], [0, 0]]]]


def test_max_pool_padding_never_wins():
    x = engine.tensor(-np.ones((1, 1, 2, 2)))
    assert ops.max_pool2d(x, 2, 1, 1).data.max() == -1


def test_max_pool_shows_nan():
    x = np.zeros((1, 1, 2, 4))
    x[0, 0, 0, 1] = np.nan
    assert np.isnan(ops.max_pool2d(engine.tensor(x), 2).data).tolist() == [[[[True, False]]]]


@pytest.mark.parametrize("op", [ops.max_pool2d, ops.average_pool2d])
def test_pool_gradients_of_any_order_match_finite_differences(rng, op):
    x = rng.permutation(2 * 2 * 5 * 4).reshape(2, 2, 5, 4) / 10.0
    check_gradients(lambda v: ops.tanh(op(v, 3, 2, 1)), x, second=True, tolerance=1e-5)


def test_pooling_refuses_padding_as_large_as_the_window():
    with pytest.raises(ShapeError, match="padding only"):
        ops.max_pool2d(engine.tensor(np.zeros((1, 1, 4, 4))), 2, 2, 2)


def test_pooling_refuses_a_window_larger_than_the_input():
    with pytest.raises(ShapeError, match="smaller or pad more"):
        ops.average_pool2d(engine.tensor(np.zeros((1, 1, 4, 4))), 5)
