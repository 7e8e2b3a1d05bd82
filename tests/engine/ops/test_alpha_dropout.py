"""Dropout for SELU: what is dropped, and what stays of mean and variance."""

import numpy as np
import pytest

import engine
from engine import ops
from engine.errors import EngineError


def test_mean_and_variance_stay(rng):
    engine.manual_seed(1)
    x = rng.normal(size=(300, 300))
    y = ops.alpha_dropout(engine.tensor(x), 0.3).data
    assert y.mean() == pytest.approx(x.mean(), abs=0.01)
    assert y.std() == pytest.approx(x.std(), rel=0.01)


@pytest.mark.torch
def test_kept_and_dropped_elements_have_torch_s_values(rng):
    import torch

    engine.manual_seed(1)
    torch.manual_seed(1)
    x = rng.normal(size=1000)
    ours = ops.alpha_dropout(engine.tensor(x), 0.4).data
    theirs = torch.nn.functional.alpha_dropout(torch.tensor(x), 0.4, training=True).numpy()
    # What was dropped is the one value that occurs more than once.
    limits = [values[counts.argmax()] for values, counts in (
        np.unique(np.round(y, 9), return_counts=True) for y in (ours, theirs)
    )]  # fmt: skip
    assert limits[0] == pytest.approx(limits[1])
    dropped = [np.isclose(y, limits[0], atol=1e-8) for y in (ours, theirs)]
    both = ~dropped[0] & ~dropped[1]
    np.testing.assert_allclose(ours[both], theirs[both], rtol=1e-12)
    assert 300 < both.sum() < 420


def test_nothing_is_dropped_in_inference(rng):
    x = engine.tensor(rng.normal(size=(3, 4)))
    assert ops.alpha_dropout(x, 0.4, training=False) is x
    assert ops.alpha_dropout(x, 0.0) is x
    with pytest.raises(EngineError, match="expected 0 or more and below 1"):
        ops.alpha_dropout(x, 1.0)
