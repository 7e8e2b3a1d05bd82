"""Resizing against PyTorch."""

import numpy as np
import pytest

import engine
from engine import ops
from engine.errors import EngineError, ShapeError


@pytest.mark.torch
@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize("size", [(10, 8), (3, 2), (7, 9), (5, 4), (1, 1)])
def test_resize_equals_torch(rng, agree_with_torch, mode, size):
    from torch.nn import functional

    options = (
        {"mode": "nearest-exact"} if mode == "nearest" else {"mode": mode, "align_corners": False}
    )
    agree_with_torch(
        "resize",
        lambda x: functional.interpolate(x, size, **options),
        rng.normal(size=(2, 3, 5, 4)),
        size=size,
        mode=mode,
    )


@pytest.mark.torch
def test_upsample_equals_torch(rng, agree_with_torch):
    from torch.nn import functional

    x = rng.normal(size=(2, 3, 5, 1))
    agree_with_torch("upsample", lambda v: functional.interpolate(v, scale_factor=2), x, scale=2)


@pytest.mark.torch
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 4), (6, 5)])
def test_adaptive_average_pool_equals_torch(rng, agree_with_torch, size):
    from torch.nn import functional

    agree_with_torch(
        "adaptive_average_pool2d",
        lambda x: functional.adaptive_avg_pool2d(x, size),
        rng.normal(size=(2, 3, 6, 5)),
        size=size,
    )


@pytest.mark.torch
def test_pixel_shuffle_equals_torch(rng, agree_with_torch):
    from torch.nn import functional

    x = rng.normal(size=(2, 12, 3, 4))
    agree_with_torch("pixel_shuffle", lambda v: functional.pixel_shuffle(v, 2), x, factor=2)


def test_wrong_settings_are_refused():
    x = engine.tensor(np.ones((1, 3, 4, 4)))
    with pytest.raises(EngineError, match="'nearest' or 'bilinear'"):
        ops.resize(x, 8, mode="cubic")
    with pytest.raises(ShapeError, match="multiple of 2"):
        ops.pixel_shuffle(x, 2)
    with pytest.raises(ShapeError, match="N, C, H, W"):
        ops.upsample(engine.tensor(np.ones((1, 3, 4))), 2)


@pytest.mark.torch
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 4), (6, 5)])
def test_adaptive_max_pool_equals_torch(rng, agree_with_torch, size):
    from torch.nn import functional

    x = np.round(rng.normal(size=(2, 3, 6, 5)))  # rounded: ties, whose first place counts
    agree_with_torch(
        "adaptive_max_pool2d", lambda v: functional.adaptive_max_pool2d(v, size), x, size=size
    )


@pytest.mark.torch
@pytest.mark.parametrize("size", [1, 3, 4])
def test_adaptive_pools_of_sequences_equal_torch(rng, agree_with_torch, size):
    from torch.nn import functional

    x = rng.normal(size=(2, 3, 8))
    agree_with_torch(
        "adaptive_average_pool1d", lambda v: functional.adaptive_avg_pool1d(v, size), x, size=size
    )
    agree_with_torch(
        "adaptive_max_pool1d", lambda v: functional.adaptive_max_pool1d(v, size), x, size=size
    )
