"""The smoothed curve against TensorBoard's rule, written out as a loop."""

from __future__ import annotations

import math

import numpy as np
import pytest

from graphstudio.ui.dashboard.smoothing import DebiasedEma


def tensorboard(values, weight):
    """The rule as TensorBoard documents it: skip what is not finite, divide the bias away."""
    last, count, out = 0.0, 0, []
    for value in values:
        if not math.isfinite(value):
            out.append(value)
            continue
        last = last * weight + (1 - weight) * value
        count += 1
        out.append(last / (1 - weight**count))
    return np.array(out)


@pytest.mark.parametrize("weight", [0.1, 0.6, 0.9, 0.99, 0.999])
def test_equals_the_rule_however_the_values_arrive(weight):
    rng = np.random.default_rng(3)
    values = rng.normal(size=9000) + 3
    values[rng.random(9000) < 0.01] = np.nan
    values[77] = np.inf
    pieces = np.split(values, [1, 2, 65, 500, 501, 4097, 8999])
    average = DebiasedEma(weight)
    got = np.concatenate([average.feed(p) for p in pieces])
    np.testing.assert_allclose(got, tensorboard(values, weight), rtol=1e-11)


def test_weight_zero_changes_nothing():
    values = np.array([1.0, 5.0, np.nan])
    np.testing.assert_array_equal(DebiasedEma(0.0).feed(values), values)


def test_the_first_value_is_itself():
    assert DebiasedEma(0.95).feed(np.array([7.0]))[0] == pytest.approx(7.0, rel=1e-12)


@pytest.mark.parametrize("weight", [-0.1, 1.0, 2.0])
def test_a_weight_outside_its_range_is_refused(weight):
    with pytest.raises(ValueError, match="weight"):
        DebiasedEma(weight)
