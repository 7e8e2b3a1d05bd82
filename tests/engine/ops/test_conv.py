"""Convolutions against PyTorch and finite differences."""

import itertools

import numpy as np
import pytest

import engine
from engine import ops
from engine.errors import EngineError, ShapeError
from engine.testing import check_gradients

GRID = [
    (stride, padding, dilation, groups)
    for stride, padding, dilation, groups in itertools.product(
        (1, 2, (2, 1)), (0, 1, (2, 1)), (1, 2), (1, 2, 4)
    )
]


@pytest.mark.torch
@pytest.mark.parametrize(("stride", "padding", "dilation", "groups"), GRID)
def test_conv2d_equals_torch(rng, agree_with_torch, stride, padding, dilation, groups):
    from torch.nn import functional

    agree_with_torch(
        "conv2d",
        lambda x, w, b: functional.conv2d(x, w, b, stride, padding, dilation, groups),
        rng.normal(size=(3, 4, 9, 8)),
        rng.normal(size=(8, 4 // groups, 3, 2)),
        rng.normal(size=8),
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )


@pytest.mark.torch
@pytest.mark.parametrize(
    ("x", "w", "stride"),
    [
        ((1, 1, 1, 1), (1, 1, 1, 1), 1),
        ((1, 1, 3, 3), (1, 1, 3, 3), 1),
        ((2, 3, 5, 1), (4, 3, 5, 1), 1),
        ((2, 3, 7, 7), (4, 3, 1, 1), 2),
        ((2, 3, 7, 7), (4, 3, 1, 1), 1),
        ((2, 1, 6, 6), (5, 1, 2, 2), 3),
        ((1, 16, 4, 4), (16, 16, 3, 3), 1),
    ],
)
def test_conv2d_of_degenerate_sizes_equals_torch(rng, agree_with_torch, x, w, stride):
    from torch.nn import functional

    agree_with_torch(
        "conv2d",
        lambda a, b: functional.conv2d(a, b, stride=stride),
        rng.normal(size=x),
        rng.normal(size=w),
        stride=stride,
    )


@pytest.mark.torch
def test_conv2d_pads_each_side_by_its_own_amount(rng, agree_with_torch):
    from torch.nn import functional

    agree_with_torch(
        "conv2d",
        lambda x, w: functional.conv2d(functional.pad(x, (3, 0, 1, 2)), w),
        rng.normal(size=(2, 3, 5, 6)),
        rng.normal(size=(4, 3, 3, 3)),
        padding=((1, 2), (3, 0)),
    )


@pytest.mark.torch
@pytest.mark.parametrize(
    ("stride", "padding", "dilation", "groups"), [(1, 0, 1, 1), (2, 1, 2, 3), (3, 2, 1, 1)]
)
def test_conv1d_equals_torch(rng, agree_with_torch, stride, padding, dilation, groups):
    from torch.nn import functional

    agree_with_torch(
        "conv1d",
        lambda x, w, b: functional.conv1d(x, w, b, stride, padding, dilation, groups),
        rng.normal(size=(2, 6, 11)),
        rng.normal(size=(9, 6 // groups, 3)),
        rng.normal(size=9),
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )


@pytest.mark.torch
@pytest.mark.parametrize(("stride", "padding", "groups"), [(1, 1, 1), (2, 0, 2)])
def test_conv3d_equals_torch(rng, agree_with_torch, stride, padding, groups):
    from torch.nn import functional

    agree_with_torch(
        "conv3d",
        lambda x, w, b: functional.conv3d(x, w, b, stride, padding, 1, groups),
        rng.normal(size=(2, 4, 5, 4, 6)),
        rng.normal(size=(6, 4 // groups, 2, 3, 2)),
        rng.normal(size=6),
        stride=stride,
        padding=padding,
        groups=groups,
    )


@pytest.mark.torch
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "extra", "dilation", "groups"),
    [
        (3, 1, 0, 0, 1, 1),
        (3, 2, 1, 1, 1, 1),
        (4, 2, 1, 0, 1, 2),
        (2, 3, 0, 1, 1, 1),
        (3, 2, 1, 1, 2, 1),
        (1, 1, 0, 1, 2, 1),  # more output padding than stride: beyond every window
        (3, 1, 1, 2, 3, 2),
    ],
)
def test_conv_transpose2d_equals_torch(
    rng, agree_with_torch, kernel, stride, padding, extra, dilation, groups
):
    from torch.nn import functional

    agree_with_torch(
        "conv_transpose2d",
        lambda x, w, b: functional.conv_transpose2d(
            x, w, b, stride, padding, extra, groups, dilation
        ),
        rng.normal(size=(2, 4, 5, 4)),
        rng.normal(size=(4, 6 // groups, kernel, kernel)),
        rng.normal(size=6),
        stride=stride,
        padding=padding,
        output_padding=extra,
        dilation=dilation,
        groups=groups,
    )


@pytest.mark.torch
def test_conv_transpose1d_equals_torch(rng, agree_with_torch):
    from torch.nn import functional

    agree_with_torch(
        "conv_transpose1d",
        lambda x, w, b: functional.conv_transpose1d(x, w, b, 2, 1, 1),
        rng.normal(size=(2, 4, 5)),
        rng.normal(size=(4, 3, 3)),
        rng.normal(size=3),
        stride=2,
        padding=1,
        output_padding=1,
    )


@pytest.mark.torch
def test_conv_transpose3d_equals_torch(rng, agree_with_torch):
    from torch.nn import functional

    agree_with_torch(
        "conv_transpose3d",
        lambda x, w, b: functional.conv_transpose3d(x, w, b, (2, 1, 2), (1, 0, 1), (1, 0, 0)),
        rng.normal(size=(2, 3, 2, 3, 4)),
        rng.normal(size=(3, 2, 3, 2, 3)),
        rng.normal(size=2),
        stride=(2, 1, 2),
        padding=(1, 0, 1),
        output_padding=(1, 0, 0),
    )


@pytest.mark.parametrize("groups", [1, 2])
def test_conv2d_gradients_of_any_order_match_finite_differences(rng, groups):
    check_gradients(
        lambda x, w, b: ops.tanh(ops.conv2d(x, w, b, stride=(2, 1), padding=1, groups=groups)),
        rng.normal(size=(2, 2, 4, 3)),
        rng.normal(size=(4, 2 // groups, 3, 2)),
        rng.normal(size=4),
        second=True,
        tolerance=1e-5,
    )


def test_conv_transpose2d_gradients_match_finite_differences(rng):
    check_gradients(
        lambda x, w: ops.tanh(ops.conv_transpose2d(x, w, stride=2, padding=1, output_padding=1)),
        rng.normal(size=(1, 2, 3, 2)),
        rng.normal(size=(2, 2, 3, 3)),
        second=True,
        tolerance=1e-5,
    )


@pytest.mark.parametrize(
    ("x", "w", "attrs", "words"),
    [
        ((1, 3, 8, 8), (4, 2, 3, 3), {}, "3 channels"),
        ((1, 3, 2, 2), (4, 3, 3, 3), {}, "smaller or pad more"),
        ((1, 3, 8), (4, 3, 3, 3), {}, "expected input"),
        ((1, 3, 8, 8), (4, 3, 3, 3), {"groups": 2}, "divides both"),
    ],
)
def test_conv2d_says_why_shapes_do_not_fit(x, w, attrs, words):
    with pytest.raises(ShapeError, match=words):
        ops.conv2d(engine.tensor(np.zeros(x)), engine.tensor(np.zeros(w)), **attrs)


@pytest.mark.parametrize("attrs", [{"stride": 0}, {"padding": -1}, {"dilation": (1, 1, 1)}])
def test_conv2d_refuses_impossible_settings(attrs):
    x, w = engine.tensor(np.zeros((1, 1, 8, 8))), engine.tensor(np.zeros((1, 1, 3, 3)))
    with pytest.raises(EngineError, match="conv2d found"):
        ops.conv2d(x, w, **attrs)
