"""Whole programs in native code against the NumPy kernels."""

import pytest


@pytest.mark.parametrize("size", [1, 5, 64])
def test_dense_network_agrees_in_one_native_call(agree, mlp, batch_for, size):
    calls = agree(mlp, batch_for(mlp(), size))
    assert len(calls) == 1


@pytest.mark.parametrize(
    "options",
    [{}, {"norm": True, "rate": 0.3}, {"stride": 2}, {"average": True}],
    ids=["plain", "batch norm and dropout", "stride 2", "average pool"],
)
def test_convolutional_network_agrees_in_one_native_call(agree, cnn, batch_for, options):
    # Under batch norm the gradient of a bias before it is rounding noise around 0.
    tolerance = 3e-5
    calls = agree(lambda: cnn(**options), batch_for(cnn(**options), 9), tolerance)
    assert len(calls) == 1
