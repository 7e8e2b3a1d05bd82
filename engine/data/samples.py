"""Data sets whose samples come one at a time, and sequences of different lengths in one array."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from engine.backend import Array
from engine.errors import EngineError, ShapeError


class Samples(Protocol):
    """Single samples by number, as PyTorch's data sets give them."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, index: int) -> Any:
        """One sample: parts by name, or a tuple of parts."""


Collate = Callable[[list[dict[str, Any]]], dict[str, Array]]
"""Makes the arrays of a batch from its samples."""


class SampleDataset:
    """A data set of samples that are read or made one at a time, stacked to batches.

    Parameters
    ----------
    samples : sequence
        ``samples[i]`` is one sample: a mapping, or a tuple whose parts ``names`` names.
    names : sequence of str, optional
    collate : callable, optional
        Makes a batch of a list of samples; by default parts of one name are stacked.

    Examples
    --------
    >>> pairs = [(np.zeros(3), 0), (np.ones(3), 1)]
    >>> SampleDataset(pairs, names=("x", "y"))[[1, 0]]["y"].tolist()
    [1, 0]
    """

    def __init__(
        self,
        samples: Samples | Sequence[Any],
        names: Sequence[str] | None = None,
        collate: Collate | None = None,
    ) -> None:
        self.samples, self.names = samples, None if names is None else tuple(names)
        self.collate = collate or stacked

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, rows: Any) -> dict[str, Array]:
        numbers = np.arange(len(self))[rows].reshape(-1)
        return self.collate([self._named(self.samples[int(i)]) for i in numbers])

    def _named(self, sample: Any) -> dict[str, Any]:
        if isinstance(sample, Mapping):
            return dict(sample)
        parts = sample if isinstance(sample, tuple | list) else (sample,)
        if self.names is None or len(self.names) != len(parts):
            named = "no names" if self.names is None else f"the names {', '.join(self.names)}"
            raise EngineError(
                f"SampleDataset found a sample of {len(parts)} parts and {named}; expected one "
                "name a part, or samples that are mappings."
            )
        return dict(zip(self.names, parts, strict=True))


def stacked(samples: list[dict[str, Any]]) -> dict[str, Array]:
    """Parts of one name, stacked along a new first axis; Python's floats become float32.

    Raises
    ------
    ShapeError
        If their shapes differ.
    """
    batch = {}
    for name in samples[0] if samples else ():
        parts = [np.asarray(sample[name]) for sample in samples]
        shapes = sorted({part.shape for part in parts})
        if len(shapes) > 1:
            raise ShapeError(
                f"a batch found '{name}' of shapes {' and '.join(map(str, shapes[:2]))}; expected "
                "one. Give SampleDataset a collate of your own, with pad_sequences for instance."
            )
        array = np.stack(parts)
        plain = isinstance(samples[0][name], float)
        batch[name] = array.astype(np.float32) if plain else array
    return batch


def pad_sequences(
    sequences: Sequence[Any], value: float = 0, length: int | None = None
) -> tuple[Array, Array]:
    """Sequences (T_i, ...) of different lengths in one array, and their lengths.

    Parameters
    ----------
    value : number
        What stands after the end of the shorter ones.
    length : int, optional
        Length of all, for which longer ones are cut; by default that of the longest.

    Returns
    -------
    array : (N, T, ...)
    lengths : int64 (N,)
        As the recurrent layers take them; ``np.arange(T) < lengths[:, None]`` is the mask of what
        counts.

    Raises
    ------
    ShapeError
        If they differ in more than their lengths.
    """
    parts = [np.asarray(s) for s in sequences]
    shapes = {part.shape[1:] if part.ndim else None for part in parts}
    if len(shapes) != 1 or None in shapes:
        raise ShapeError(
            f"pad_sequences found shapes {[p.shape for p in parts[:4]]}; expected one or more "
            "sequences (T, ...) that differ in T only."
        )
    parts = [part[:length] for part in parts]
    longest = max(len(part) for part in parts) if length is None else length
    kind = next((part.dtype for part in parts if part.size), parts[0].dtype)
    made = np.full((len(parts), longest, *parts[0].shape[1:]), value, kind)
    for row, part in zip(made, parts, strict=True):
        row[: len(part)] = part
    return made, np.array([len(part) for part in parts], np.int64)
