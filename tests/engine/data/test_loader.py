"""Batches: order, completeness, resuming."""

from itertools import chain

import numpy as np
import pytest

from engine.data import ArrayDataset, DataLoader
from engine.errors import EngineError


def _set(n=10):
    return ArrayDataset({"x": np.arange(n) * 10, "y": np.arange(n)})


def _rows(loader):
    return [batch["y"].tolist() for batch in loader]


def test_in_order_every_row_once_and_a_partial_batch_last():
    assert _rows(DataLoader(_set(), 4)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_drop_last_leaves_out_the_partial_batch():
    loader = DataLoader(_set(), 4, drop_last=True)
    assert len(loader) == len(_rows(loader)) == 2


def test_rows_of_all_arrays_stay_together():
    for batch in DataLoader(_set(), 3, shuffle=True):
        np.testing.assert_array_equal(batch["x"], batch["y"] * 10)


def test_shuffling_permutes_anew_each_pass_and_repeats_with_the_seed():
    first, second = (DataLoader(_set(50), 7, shuffle=True, seed=3) for _ in range(2))
    passes = [_rows(first) for _ in range(3)]
    assert passes == [_rows(second) for _ in range(3)]
    assert passes[0] != passes[1]
    assert all(sorted(chain.from_iterable(p)) == list(range(50)) for p in passes)
    assert _rows(DataLoader(_set(50), 7, shuffle=True, seed=4)) != passes[0]


def test_a_saved_state_goes_on_with_the_next_batch():
    loader = DataLoader(_set(), 3, shuffle=True, seed=1)
    list(loader)
    it = iter(loader)
    next(it)
    state = loader.state_dict()
    rest = [b["y"].tolist() for b in it]
    other = DataLoader(_set(), 3, shuffle=True, seed=1)
    other.load_state_dict(state)
    assert _rows(other) == rest
    assert _rows(other) == _rows(loader)


def test_a_look_at_the_first_batch_takes_nothing_from_the_passes():
    loader = DataLoader(_set(), 4, shuffle=True, seed=5)
    next(iter(loader))
    for _ in range(3):
        assert sorted(chain(*_rows(loader))) == list(range(10))
    for _ in loader:
        break  # a pass of one batch: the next one has an order of its own
    once = [next(iter(loader))["y"].tolist() for _ in range(4)]
    assert len({tuple(rows) for rows in once}) == 4


def test_passes_beside_one_another_do_not_disturb_each_other():
    loader = DataLoader(_set(), 4)
    pairs = [(a["y"].tolist(), b["y"].tolist()) for a, b in zip(loader, loader, strict=True)]
    assert [a for a, _ in pairs] == [b for _, b in pairs] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_lengths_must_agree():
    with pytest.raises(EngineError, match="lengths"):
        ArrayDataset({"a": np.zeros(2), "b": np.zeros(3)})


def test_batches_have_at_least_one_row():
    with pytest.raises(EngineError, match="1 or more"):
        DataLoader(_set(), 0)


class Squares:
    """A data set that computes its samples when they are asked for."""

    def __len__(self):
        return 10

    def __getitem__(self, rows):
        return {"x": np.asarray(rows), "y": np.asarray(rows) ** 2}


def test_a_data_set_of_one_s_own_is_shuffled_and_cut_alike():
    seen = []
    for batch in DataLoader(Squares(), 4, shuffle=True, seed=1):
        np.testing.assert_array_equal(batch["y"], batch["x"] ** 2)
        seen.append(batch["x"].tolist())
    assert [len(b) for b in seen] == [4, 4, 2]
    assert sorted(chain(*seen)) == list(range(10))
    assert list(chain(*seen)) != list(range(10))


@pytest.mark.parametrize("wrong", [0, -3, 2.5, "two", None])
def test_a_batch_size_that_is_no_number_of_samples_is_named(wrong):
    with pytest.raises(EngineError, match=r"batch_size=.*whole number"):
        DataLoader(_set(), wrong)
