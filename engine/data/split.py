"""Parts of data sets, and several as one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.backend import Array
from engine.data.dataset import Dataset
from engine.errors import EngineError


class Subset:
    """Some samples of a data set, by their numbers in it."""

    def __init__(self, dataset: Dataset, rows: Any) -> None:
        self.dataset = dataset
        self.rows = np.arange(len(dataset))[rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: Any) -> dict[str, Array]:
        return self.dataset[self.rows[rows]]


class ConcatDataset:
    """Several data sets, one after the other, whose arrays have the same names."""

    def __init__(self, *datasets: Dataset) -> None:
        if not datasets:
            raise EngineError("ConcatDataset found no data sets; expected at least one.")
        self.datasets = datasets
        self.starts = np.cumsum([0, *(len(d) for d in datasets)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, rows: Any) -> dict[str, Array]:
        numbers = np.arange(len(self))[rows].reshape(-1)
        owners = np.searchsorted(self.starts, numbers, side="right") - 1
        found = [
            (places, self.datasets[owner][numbers[places] - self.starts[owner]])
            for owner in np.unique(owners)
            for places in [np.flatnonzero(owners == owner)]
        ]
        batch: dict[str, Array] = {}
        for places, part in found:
            if part.keys() != found[0][1].keys():
                raise EngineError(
                    f"ConcatDataset found arrays {', '.join(part)} beside "
                    f"{', '.join(found[0][1])}; expected the same names."
                )
            for name, array in part.items():
                if name not in batch:
                    batch[name] = np.empty((len(numbers), *array.shape[1:]), array.dtype)
                batch[name][places] = array
        return batch


def random_split(dataset: Dataset, parts: Sequence[float], seed: int = 0) -> list[Subset]:
    """A data set cut at random into parts that do not overlap.

    Parameters
    ----------
    parts : sequence
        Whole numbers of samples that add up to all, or shares that add up to 1.

    Raises
    ------
    EngineError
        If they do not.
    """
    count = len(dataset)
    order = np.random.default_rng(seed).permutation(count)
    whole = all(isinstance(n, int | np.integer) for n in parts)
    sizes = list(parts) if whole else [n * count for n in parts]
    fits = min(sizes, default=-1) >= 0 and math.isclose(sum(sizes), count, abs_tol=1e-6)
    if not fits:
        raise EngineError(
            f"random_split found {list(parts)} for {count} samples; expected numbers that add up "
            f"to {count}, or shares that add up to 1."
        )
    ends = [round(sum(sizes[: i + 1])) for i in range(len(sizes))]
    return [Subset(dataset, order[a:b]) for a, b in zip([0, *ends], ends, strict=False)]
