"""Minima and maxima of pixel columns against NumPy read straight."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphstudio.ui.dashboard import pyramid
from graphstudio.ui.dashboard.pyramid import BLOCK, GrowingArray, MinMaxPyramid

SIZES = (1, 5, BLOCK - 1, BLOCK, BLOCK + 1, 1023, 1024, 1025, BLOCK**2, 50_000, 2**17)


def grown(values: np.ndarray, rng: np.random.Generator) -> MinMaxPyramid:
    """A pyramid fed with the values in uneven pieces."""
    made, start = MinMaxPyramid(), 0
    while start < values.size:
        stop = start + int(rng.integers(1, max(2, values.size // 3)))
        made.extend(values[start:stop])
        start = stop
    return made


def expected(values: np.ndarray, bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, high = np.full(bounds.size - 1, np.nan), np.full(bounds.size - 1, np.nan)
    for k in range(bounds.size - 1):
        part = values[bounds[k] : bounds[k + 1]]
        part = part[~np.isnan(part)]
        if part.size:
            low[k], high[k] = part.min(), part.max()
    return low, high


@pytest.mark.parametrize("direct", [4, 3000, 400_000])
def test_columns_have_the_true_extremes(monkeypatch, direct):
    monkeypatch.setattr(pyramid, "_DIRECT", direct)
    for size in SIZES:
        check_columns(size)


def check_columns(size: int) -> None:
    rng = np.random.default_rng(size)
    values = rng.normal(size=size)
    values[rng.random(size) < 0.1] = np.nan
    made = grown(values, rng)
    np.testing.assert_array_equal(made.values, values)
    first, last = sorted(rng.integers(0, size + 1, 2).tolist())
    for bounds in (
        np.array([0, size]),
        np.linspace(0, size, 801).astype(int),
        np.linspace(first, last, 38).astype(int),
        np.sort(rng.integers(0, size + 1, 120)),
    ):
        for got, wanted in zip(made.columns(bounds), expected(values, bounds), strict=True):
            np.testing.assert_array_equal(got, wanted)


@given(
    spikes=st.lists(st.integers(0, 199_999), min_size=1, max_size=30, unique=True),
    columns=st.integers(2, 900),
    seed=st.integers(0, 5),
)
def test_no_spike_is_lost(spikes, columns, seed):
    values = np.random.default_rng(seed).normal(size=200_000)
    values[spikes] = 1000.0 + np.arange(len(spikes))
    bounds = np.linspace(0, values.size, columns + 1).astype(int)
    _low, high = MinMaxPyramid(values).columns(bounds)
    for spike in spikes:
        assert high[np.searchsorted(bounds, spike, "right") - 1] >= values[spike]


def test_nothing_but_nan_gives_nan():
    low, high = MinMaxPyramid(np.full(5000, np.nan)).columns(np.array([0, 100, 100, 5000]))
    assert np.isnan(low).all()
    assert np.isnan(high).all()


def test_an_empty_pyramid_answers():
    low, high = MinMaxPyramid().columns(np.array([0, 0, 0]))
    assert np.isnan(low).all()
    assert np.isnan(high).all()


def test_clear_forgets_all_levels():
    made = MinMaxPyramid(np.arange(100_000.0))
    made.clear()
    made.extend([3.0, 1.0])
    low, high = made.columns(np.array([0, 2]))
    assert len(made) == 2
    assert (low[0], high[0]) == (1.0, 3.0)


def test_a_growing_array_keeps_its_values_and_pads_with_nan():
    made = GrowingArray()
    for k in range(3000):
        made.extend([float(k)])
    np.testing.assert_array_equal(made.values, np.arange(3000.0))
    assert made.blocks.size > len(made)
    assert np.isnan(made.blocks.ravel()[3000:]).all()
