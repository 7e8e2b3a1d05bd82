"""Dropout and random arrays in native code: the numbers that the NumPy kernels draw."""

import numpy as np
import pytest

from engine.plan import PlanBuilder


def conv(b, x, channels):
    w = b.parameter("w", (channels, 5, 3, 3), init="uniform", low=-0.3, high=0.3)
    return b.call("conv2d", x, w, None, padding=1)


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (3, 4, 33), (9, 700)])
@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_dropout(verify, shape, rate):
    verify(lambda b, x: b.call("dropout", x, rate=rate), shape, exact=False)


@pytest.mark.parametrize("channels", [8, 33])
def test_dropout_of_a_map_with_channels_last(verify, channels):
    def make(b, x):
        return b.call("dropout", conv(b, x, channels), rate=0.3)

    verify(make, (3, 5, 6, 7), exact=False)


@pytest.mark.parametrize("convolved", [False, True])
@pytest.mark.parametrize("channels", [8, 33])
def test_dropout_of_whole_channels(verify, channels, convolved):
    def make(b, x):
        y = conv(b, x, channels) if convolved else b.call("exp", x)
        return b.call("spatial_dropout", y, rate=0.4)

    verify(make, (3, 5, 6, 7), exact=False)


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (9, 700)])
def test_noise_and_samples(verify, shape):
    def make(b, x):
        noisy = b.call("gaussian_noise", x, std=0.3)
        drawn = b.call("reparameterize", noisy, b.call("sigmoid", x))
        return b.call("multiply", drawn, b.call("random_uniform_like", x, 0.5, 1.5))

    verify(make, shape, exact=False)


def test_random_arrays_are_spread_as_they_should():
    b = PlanBuilder()
    x = b.input("x", ("N", 1000))
    b.output("normal", b.call("random_normal_like", x))
    b.output("uniform", b.call("random_uniform_like", x))
    plan = b.build(seed=0)
    plan.prepare(100, ("forward",))
    found = plan.forward({"x": np.zeros((100, 1000), np.float32)})
    assert abs(found["normal"].mean()) < 0.01
    assert abs(found["normal"].std() - 1.0) < 0.01
    assert np.isfinite(found["normal"]).all()
    assert abs(found["uniform"].mean() - 0.5) < 0.005
    assert 0.0 <= found["uniform"].min() < found["uniform"].max() < 1.0
