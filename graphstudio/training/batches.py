"""The order in which samples are seen: one permutation an epoch, drawn from the seed alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Arrays = Mapping[str, np.ndarray[Any, Any]]


@dataclass(frozen=True, kw_only=True)
class Batches:
    """How one split is cut into batches.

    Parameters
    ----------
    count : int
        Number of samples.
    drop_single : bool
        Leave out a last batch of one sample: batch norm has no variance to measure there, and
        PyTorch refuses it. Any other partial batch is used.
    """

    count: int
    batch_size: int
    shuffle: bool = False
    seed: int = 0
    drop_single: bool = False

    def __len__(self) -> int:
        full, rest = divmod(self.count, self.batch_size)
        return full + (1 if rest > (1 if self.drop_single and full else 0) else 0)

    def rows(self, epoch: int) -> Iterator[np.ndarray[Any, Any]]:
        """Positions of the samples of each batch of this epoch, the first epoch being 0.

        Epochs do not depend on each other, so that training can go on in the middle.
        """
        if self.shuffle:
            order = np.random.default_rng([self.seed, epoch]).permutation(self.count)
        else:
            order = np.arange(self.count)
        for index in range(len(self)):
            yield order[index * self.batch_size : (index + 1) * self.batch_size]


def take(arrays: Arrays, rows: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """These samples of every field."""
    return {name: array[rows] for name, array in arrays.items()}


class Mean:
    """Sample-weighted means of named numbers."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._count = 0

    def add(self, values: Mapping[str, float], count: int) -> None:
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value) * count
        self._count += count

    @property
    def count(self) -> int:
        return self._count

    def result(self) -> dict[str, float]:
        """The means; empty if nothing was added."""
        return {name: total / self._count for name, total in self._sums.items()}
