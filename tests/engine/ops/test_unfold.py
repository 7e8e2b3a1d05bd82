"""Windows as columns, and back, against PyTorch."""

import numpy as np
import pytest

import engine
from engine import ops
from engine.errors import ShapeError

WINDOWS = [
    {"kernel_size": 3},
    {"kernel_size": (2, 3), "stride": (2, 1), "padding": (1, 0)},
    {"kernel_size": 2, "stride": 3, "padding": 1, "dilation": 2},
]


@pytest.mark.torch
@pytest.mark.parametrize("window", WINDOWS)
def test_unfold_equals_torch(rng, agree_with_torch, window):
    from torch.nn import functional

    agree_with_torch(
        "unfold", lambda x: functional.unfold(x, **window), rng.normal(size=(2, 3, 7, 6)), **window
    )


@pytest.mark.torch
@pytest.mark.parametrize("window", WINDOWS)
def test_fold_equals_torch(rng, agree_with_torch, window):
    import torch
    from torch.nn import functional

    columns = functional.unfold(torch.zeros(2, 3, 7, 6), **window)
    agree_with_torch(
        "fold",
        lambda x: functional.fold(x, (7, 6), **window),
        rng.normal(size=tuple(columns.shape)),
        size=(7, 6),
        **window,
    )


def test_a_convolution_is_a_product_with_columns(rng):
    x, w = rng.normal(size=(2, 3, 5, 6)), rng.normal(size=(4, 3, 3, 2))
    columns = ops.unfold(engine.tensor(x), (3, 2), padding=1)
    product = ops.matmul(engine.tensor(w.reshape(4, -1)), columns).reshape(2, 4, 5, 7)
    expected = ops.conv2d(engine.tensor(x), engine.tensor(w), padding=1)
    np.testing.assert_allclose(product.data, expected.data, atol=1e-12)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match=r"unfold found shape \(2, 3\)"):
        ops.unfold(engine.zeros(2, 3), 2)
    with pytest.raises(ShapeError, match="a multiple of 4, 9"):
        ops.fold(engine.zeros(1, 6, 9), 4, 2)
    with pytest.raises(ShapeError, match="a multiple of 4, 9"):
        ops.fold(engine.zeros(1, 8, 8), 4, 2)
