"""Dropout: its statistics, its determinism, its gradient."""

import numpy as np
import pytest

import engine
from engine import ops
from engine.errors import EngineError
from engine.testing import check_gradients

KEY = np.array([123, 456], np.uint32)


def test_kept_share_and_scale_are_right():
    y = ops.dropout(engine.tensor(np.ones((200, 500))), 0.3, key=KEY).data
    assert set(np.unique(y)) == {0.0, 1 / 0.7}
    assert (y == 0).mean() == pytest.approx(0.3, abs=0.005)


def test_neighbours_rows_and_keys_are_independent():
    ones = engine.tensor(np.ones((300, 400)))
    keep = ops.dropout(ones, 0.5, key=KEY).data > 0
    other = ops.dropout(ones, 0.5, key=KEY + np.uint32(1)).data > 0
    second = ops.dropout(ones, 0.5, key=np.array([123, 457], np.uint32)).data > 0
    for a, b in [
        (keep[:, 1:], keep[:, :-1]),
        (keep[1:], keep[:-1]),
        (keep, other),
        (keep, second),
        (keep.ravel()[1:], other.ravel()[:-1]),
    ]:
        assert (a == b).mean() == pytest.approx(0.5, abs=0.01)


def test_same_seed_same_mask():
    masks = []
    for _ in range(2):
        engine.manual_seed(5)
        masks.append([ops.dropout(engine.tensor(np.ones(50)), 0.5).data for _ in range(2)])
    np.testing.assert_array_equal(masks[0], masks[1])
    assert (masks[0][0] != masks[0][1]).any()


def test_gradient_uses_the_same_mask(rng):
    check_gradients(
        lambda x: ops.tanh(ops.dropout(x, 0.4, key=KEY)),
        rng.normal(size=(4, 5)),
        second=True,
        tolerance=1e-5,
    )


def test_inference_and_rate_zero_change_nothing():
    x = engine.tensor(np.ones(3))
    assert ops.dropout(x, 0.5, training=False) is x
    assert ops.dropout(x, 0.0) is x


def test_spatial_dropout_drops_whole_channels():
    engine.manual_seed(1)
    y = ops.spatial_dropout(engine.tensor(np.ones((8, 16, 3, 3))), 0.5).data
    per_channel = y.reshape(8, 16, 9)
    assert (per_channel == per_channel[..., :1]).all()
    assert len(np.unique(y)) == 2


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_rate_must_leave_something(rate):
    with pytest.raises(EngineError, match="rate"):
        ops.dropout(engine.tensor([1.0]), rate)


def test_whole_samples_are_dropped():
    engine.manual_seed(1)
    y = ops.drop_path(engine.tensor(np.ones((1000, 3, 2))), 0.25).data
    flat = y.reshape(1000, -1)
    assert (flat == flat[:, :1]).all()
    np.testing.assert_allclose(np.unique(flat), [0.0, 1 / 0.75])
    assert (flat[:, 0] == 0).mean() == pytest.approx(0.25, abs=0.04)
