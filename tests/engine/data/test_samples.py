"""Samples that come one at a time, parts of data sets, and padded sequences."""

from __future__ import annotations

import numpy as np
import pytest

import engine
from engine.data import (
    ArrayDataset,
    ConcatDataset,
    DataLoader,
    SampleDataset,
    Subset,
    pad_sequences,
    random_split,
)
from engine.errors import EngineError, ShapeError


class Pairs:
    """A data set as PyTorch has them."""

    def __len__(self):
        return 7

    def __getitem__(self, i):
        if not isinstance(i, int):
            raise TypeError(i)
        return np.full((2, 3), i, np.float32), i, i / 2


def test_tuples_and_mappings_are_stacked_under_their_names():
    loader = DataLoader(SampleDataset(Pairs(), ("x", "y", "z")), 3, shuffle=True, seed=2)
    seen = []
    for batch in loader:
        assert batch["x"].shape == (len(batch["y"]), 2, 3)
        assert (batch["x"].dtype, batch["y"].dtype, batch["z"].dtype) == ("f4", "i8", "f4")
        np.testing.assert_array_equal(batch["x"][:, 1, 2], batch["y"])
        np.testing.assert_array_equal(batch["z"] * 2, batch["y"])
        seen += batch["y"].tolist()
    assert sorted(seen) == list(range(7))
    named = SampleDataset([{"a": 1}, {"a": 2}])
    assert named[np.array([1, 1, 0])]["a"].tolist() == [2, 2, 1]


def test_a_collate_of_one_s_own_pads():
    texts = SampleDataset(
        [([5, 6, 7], 1), ([8], 0)],
        ("ids", "y"),
        collate=lambda samples: dict(
            zip(("ids", "lengths"), pad_sequences([s["ids"] for s in samples]), strict=True),
            y=np.array([s["y"] for s in samples]),
        ),
    )
    (batch,) = DataLoader(texts, 2)
    assert batch["ids"].tolist() == [[5, 6, 7], [8, 0, 0]]
    assert batch["lengths"].tolist() == [3, 1]
    assert batch["y"].tolist() == [1, 0]


def test_sequences_are_padded_and_cut(rng):
    vectors = [rng.normal(size=(n, 4)).astype(np.float32) for n in (2, 5, 0)]
    padded, lengths = pad_sequences(vectors, -1.0)
    assert padded.shape == (3, 5, 4)
    assert padded.dtype == np.float32
    for row, length, vector in zip(padded, lengths, vectors, strict=True):
        np.testing.assert_array_equal(row[:length], vector)
        assert (row[length:] == -1).all()
    padded, lengths = pad_sequences(vectors, length=3)
    assert padded.shape == (3, 3, 4)
    assert lengths.tolist() == [2, 3, 0]
    assert pad_sequences([[], [3, 4]])[0].tolist() == [[0, 0], [3, 4]]


def test_parts_do_not_overlap_and_follow_the_seed():
    whole = ArrayDataset({"x": np.arange(103)})
    train, test = random_split(whole, [0.8, 0.2], seed=3)
    assert (len(train), len(test)) == (82, 21)
    everything = np.concatenate([train[:]["x"], test[:]["x"]])
    assert sorted(everything.tolist()) == list(range(103))
    again = random_split(whole, [82, 21], seed=3)[0]
    assert again[:]["x"].tolist() == train[:]["x"].tolist()
    assert random_split(whole, [82, 21], seed=4)[0][:]["x"].tolist() != train[:]["x"].tolist()
    assert Subset(whole, slice(90, None))[np.array([0, -1])]["x"].tolist() == [90, 102]
    assert Subset(Subset(whole, [5, 7, 9]), np.array([False, True, True]))[:]["x"].tolist() == [
        7,
        9,
    ]


def test_several_data_sets_as_one():
    whole = ConcatDataset(
        *(
            ArrayDataset({"x": np.arange(a, b, dtype=np.float32)})
            for a, b in ((0, 3), (3, 3), (3, 8))
        )
    )
    assert len(whole) == 8
    assert whole[np.array([7, 0, 3, 2, 4])]["x"].tolist() == [7, 0, 3, 2, 4]
    assert [b["x"].tolist() for b in DataLoader(whole, 5)] == [[0, 1, 2, 3, 4], [5, 6, 7]]
    mixed = ConcatDataset(ArrayDataset({"x": [1]}), ArrayDataset({"y": [1]}))
    with pytest.raises(EngineError, match="found arrays y beside x; expected the same names"):
        mixed[:]


def test_rare_classes_are_met_as_often_as_others():
    y = np.repeat([0, 1], [900, 100])
    weights = 1.0 / np.bincount(y)[y]
    loaders = [DataLoader(ArrayDataset({"y": y}), 50, seed=1, weights=weights) for _ in range(2)]
    first, again = (np.concatenate([b["y"] for b in loader]) for loader in loaders)
    np.testing.assert_array_equal(first, again)
    assert len(first) == 1000
    assert first.mean() == pytest.approx(0.5, abs=0.05)
    second = np.concatenate([b["y"] for b in loaders[0]])
    assert (second != first).any()


def test_lists_and_tensors_are_arrays():
    data = ArrayDataset({"x": [[1, 2], [3, 4]], "y": engine.tensor([5.0, 6.0])})
    batch = data[np.array([1])]
    assert batch["x"].tolist() == [[3, 4]]
    assert type(batch["y"]) is np.ndarray


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: DataLoader([(1, 2)], 1), EngineError, "found a list; expected a data set"),
        (lambda: ArrayDataset({}), EngineError, "found a dict, 0 long; expected arrays by name"),
        (lambda: ArrayDataset(np.zeros(3)), EngineError, "found a ndarray, 3 long"),
        (lambda: SampleDataset([(1, 2)])[:], EngineError, "of 2 parts and no names"),
        (lambda: SampleDataset([(1, 2)], "x")[:], EngineError, "of 2 parts and the names x"),
        (
            lambda: SampleDataset([{"x": [1]}, {"x": [2, 3]}])[:],
            ShapeError,
            r"'x' of shapes \(1,\) and \(2,\); expected one. .* pad_sequences",
        ),
        (lambda: pad_sequences([]), ShapeError, "expected one or more sequences"),
        (lambda: pad_sequences([3, 4]), ShapeError, r"found shapes \[\(\), \(\)\]"),
        (lambda: pad_sequences([np.zeros((2, 3)), np.zeros((2, 4))]), ShapeError, "differ in T"),
        (lambda: random_split(Pairs(), [3, 3]), EngineError, r"found \[3, 3\] for 7 samples"),
        (lambda: random_split(Pairs(), [0.5, 0.4]), EngineError, "shares that add up to 1"),
        (lambda: random_split(Pairs(), [8, -1]), EngineError, "expected numbers that add up to 7"),
        (lambda: ConcatDataset(), EngineError, "expected at least one"),
        (lambda: DataLoader(Pairs(), 2, weights=np.ones(3)), EngineError, r"shape \(3,\) for 7"),
        (lambda: DataLoader(Pairs(), 2, weights=-np.ones(7)), EngineError, "of 0 or more each"),
    ],
)
def test_what_does_not_fit_is_said(make, error, words):
    with pytest.raises(error, match=words):
        make()
