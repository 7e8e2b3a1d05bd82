"""Convolution with fewer products, against float64 and the NumPy kernels."""

import numpy as np
import pytest

from engine.native.lowerings import images, winograd
from engine.plan import PlanBuilder

SIZES = [
    # height, width, channels, filters, padding
    (6, 6, 16, 16, ((1, 1), (1, 1))),
    (7, 9, 17, 20, ((1, 1), (1, 1))),  # odd sizes, channels that fill no register
    (8, 8, 16, 33, ((0, 0), (0, 0))),
    (7, 8, 33, 16, ((2, 1), (0, 2))),  # the border is wider on one side
    (34, 33, 16, 18, ((1, 1), (1, 1))),  # several blocks of tiles
    (4, 40, 20, 16, ((2, 2), (2, 2))),
]


def conv(b, x, filters, channels, padding, *, bias=True, relu=False):
    weight = b.parameter("w", (filters, channels, 3, 3), init="uniform", low=-0.5, high=0.5)
    offset = b.parameter("bias", (filters,), init="uniform", low=-0.5, high=0.5) if bias else None
    options = {"stride": (1, 1), "padding": padding, "dilation": (1, 1), "groups": 1}
    y = b.call("conv2d", x, weight, offset, **options)
    return b.call("relu", y) if relu else y


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("images", [1, 3])
def test_outputs_and_gradients(verify, size, images):
    height, width, channels, filters, padding = size

    def make(b, x):
        return conv(b, x, filters, channels, padding)

    verify(make, (images, channels, height, width))


@pytest.mark.parametrize(
    ("images", "side", "channels", "filters"),
    [(37, 4, 16, 20), (35, 6, 17, 16), (65, 2, 16, 70), (3, 4, 512, 16), (3, 4, 16, 512)],
)
def test_small_images_are_taken_several_at_a_time(verify, images, side, channels, filters):
    """The last block of each thread lacks some; with 512 channels the rows are spread."""

    def make(b, x):
        return conv(b, x, filters, channels, ((1, 1), (1, 1)))

    verify(make, (images, channels, side, side))


def test_what_a_block_lacks_adds_nothing():
    """Numbers that are none, left by a batch before, do not reach the next one's gradients."""
    b = PlanBuilder()
    x = b.input("x", ("N", 16, 4, 4))
    b.loss("loss", b.call("mean", b.call("square", conv(b, x, 16, 16, ((1, 1), (1, 1))))))
    plan = b.build(seed=1, num_threads=1)
    good = np.random.default_rng(0).normal(size=(18, 16, 4, 4)).astype(np.float32)
    plan.prepare(18, ("gradients",))
    _, expected = plan.gradients({"x": good})
    plan.gradients({"x": np.full_like(good, np.nan)})
    _, found = plan.gradients({"x": good})
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize(("bias", "relu"), [(False, False), (False, True), (True, True)])
def test_with_what_follows(verify, bias, relu):
    def make(b, x):
        return conv(b, x, 20, 16, ((1, 1), (1, 1)), bias=bias, relu=relu)

    verify(make, (2, 16, 7, 6))


def geometry(**changes):
    sizes = {
        "images": 2,
        "height": 8,
        "width": 8,
        "channels": 16,
        "out_height": 8,
        "out_width": 8,
        "filters": 16,
        "kernel": (3, 3),
        "stride": (1, 1),
        "padding": ((1, 1), (1, 1)),
        "dilation": (1, 1),
    }
    return images.Geometry(**{**sizes, **changes})


def test_only_where_it_pays():
    assert winograd.suits(geometry())
    assert not winograd.suits(geometry(channels=3))
    assert not winograd.suits(geometry(kernel=(5, 5)))
    assert not winograd.suits(geometry(stride=(2, 2), out_height=4, out_width=4))
    assert not winograd.suits(geometry(height=3, width=3, out_height=3, out_width=3))
    assert not winograd.suits(geometry(height=1, width=1, out_height=1, out_width=1))


def test_rounding_is_that_of_direct_summation(verify):
    """256 channels: the error against float64 stays within a few roundings of the result."""

    def make(b, x):
        return conv(b, x, 16, 256, ((1, 1), (1, 1)))

    verify(make, (1, 256, 6, 6), tolerance=4e-6)


def test_a_nan_reaches_every_output_that_reads_it():
    """A tile spreads a NaN over its outputs; none that should have it lacks it, no other image."""
    b = PlanBuilder()
    b.output("y", conv(b, b.input("x", ("N", 16, 8, 8)), 16, 16, ((1, 1), (1, 1))))
    plan = b.build(seed=1)
    x = np.ones((2, 16, 8, 8), np.float32)
    x[0, 3, 4, 4] = np.nan
    plan.prepare(2, ("forward",))
    y = plan.forward({"x": x})["y"]
    assert np.isnan(y[0, :, 3:6, 3:6]).all()
    assert np.isfinite(y[1]).all()
