"""What a data set is, and ArrayDataset: named arrays whose first axes run together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from engine.backend import Array
from engine.errors import EngineError
from engine.tensor import Tensor


class Dataset(Protocol):
    """Samples by number; a class of one's own may read or make them when they are asked for."""

    def __len__(self) -> int:
        """How many samples there are."""

    def __getitem__(self, rows: Any) -> dict[str, Array]:
        """Arrays by name for an array of sample numbers, in their order, first axis the samples."""


class ArrayDataset:
    """Samples held in memory: row ``i`` of every array belongs to sample ``i``.

    Raises
    ------
    EngineError
        If there is no array, or their lengths differ.
    """

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        if not isinstance(arrays, Mapping) or not arrays:
            found = type(arrays).__name__
            size = f", {len(arrays)} long" if hasattr(arrays, "__len__") else ""
            raise EngineError(
                f"ArrayDataset found a {found}{size}; expected arrays by name, such as "
                '{"x": x, "y": y}.'
            )
        self.arrays = {name: _array(data) for name, data in arrays.items()}
        for name, array in self.arrays.items():
            if not array.shape:
                raise EngineError(
                    f"ArrayDataset found a single number as '{name}'; expected one row a sample."
                )
        lengths = {name: len(array) for name, array in self.arrays.items()}
        if len(set(lengths.values())) != 1:
            raise EngineError(f"ArrayDataset found lengths {lengths}; expected one for all.")
        self._length = next(iter(lengths.values()))

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, rows: int | slice | Sequence[int] | Array) -> dict[str, Array]:
        return {name: array[rows] for name, array in self.arrays.items()}


def _array(data: Any) -> Any:
    """What can be indexed by sample numbers: as it is if it has an element type, else an array."""
    if isinstance(data, Tensor):
        return data.numpy()
    return data if hasattr(data, "dtype") else np.asarray(data)
