"""Cutting a split into batches, and weighing what the batches give."""

from __future__ import annotations

import numpy as np
import pytest

from graphstudio.training.batches import Batches, Mean, take


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(("count", "size"), [(10, 3), (9, 3), (2, 5), (1, 1), (64, 64)])
def test_every_sample_is_seen_once_an_epoch(count: int, size: int, shuffle: bool) -> None:
    batches = Batches(count=count, batch_size=size, shuffle=shuffle, seed=4)
    for epoch in range(3):
        rows = list(batches.rows(epoch))
        assert len(rows) == len(batches)
        assert sorted(np.concatenate(rows)) == list(range(count))
        assert all(len(r) == size for r in rows[:-1])


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        batches = Batches(count=50, batch_size=7, shuffle=True, seed=seed)
        return [int(n) for n in np.concatenate(list(batches.rows(epoch)))]

    assert order(1, 5) == order(1, 5)
    assert len({tuple(order(s, e)) for s in range(3) for e in range(3)}) == 9


@pytest.mark.parametrize(
    ("count", "expected"), [(7, [3, 3]), (8, [3, 3, 2]), (6, [3, 3]), (1, [1])]
)
def test_a_last_batch_of_one_is_dropped_if_asked(count: int, expected: list[int]) -> None:
    batches = Batches(count=count, batch_size=3, drop_single=True)
    assert [len(r) for r in batches.rows(0)] == expected
    assert len(batches) == len(expected)


def test_no_samples_make_no_batches() -> None:
    assert list(Batches(count=0, batch_size=3).rows(0)) == []


def test_means_weigh_a_small_batch_less() -> None:
    mean = Mean()
    assert mean.result() == {}
    mean.add({"loss": 1.0}, 3)
    mean.add({"loss": 5.0}, 1)
    assert mean.result() == {"loss": 2.0}
    assert mean.count == 4


def test_take_picks_the_same_rows_of_every_field() -> None:
    arrays = {"a": np.arange(6).reshape(3, 2), "b": np.arange(3)}
    picked = take(arrays, np.array([2, 0]))
    np.testing.assert_array_equal(picked["a"], [[4, 5], [0, 1]])
    np.testing.assert_array_equal(picked["b"], [2, 0])
