"""Growing arrays, and the minimum and maximum of any stretch of one in a time fit for a frame.

A curve of ten million points is drawn into some eight hundred pixel columns. Each column must
show the true minimum and maximum of its points, or a spike is lost; reading every point takes far
too long. The pyramid keeps minima and maxima of blocks of ``BLOCK`` entries, of blocks of those,
and so on. A column is then its whole blocks, plus the cut blocks at both ends read one level down.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

BLOCK = 32
_DIRECT = 400_000
"""Entries of one level that are reduced in a row rather than one level up."""
_FIRST_CAPACITY = 1024


class GrowingArray:
    """A float64 array that grows at its end, doubling its memory; NaN fills the rest.

    The capacity is a multiple of ``BLOCK`` and always larger than the length, so that the block
    around any index up to the length can be read whole.
    """

    def __init__(self, values: ArrayLike = ()) -> None:
        self._data = np.full(_FIRST_CAPACITY, np.nan)
        self._size = 0
        self.extend(values)

    def __len__(self) -> int:
        return self._size

    @property
    def values(self) -> Floats:
        """The entries so far: a view, valid until the next ``extend``."""
        return self._data[: self._size]

    @property
    def blocks(self) -> Floats:
        """All memory as rows of ``BLOCK``, NaN behind the last entry."""
        return self._data.reshape(-1, BLOCK)

    def extend(self, values: ArrayLike) -> None:
        new = np.asarray(values, dtype=np.float64)
        end = self._size + new.size
        if end >= self._data.size:
            capacity = self._data.size
            while capacity <= end:
                capacity *= 2
            grown = np.full(capacity, np.nan)
            grown[: self._size] = self.values
            self._data = grown
        self._data[self._size : end] = new
        self._size = end

    def replace(self, start: int, values: Floats) -> None:
        """Overwrite entries from ``start`` on, within the present length."""
        self._data[start : start + values.size] = values

    def clear(self) -> None:
        self._data[: self._size] = np.nan
        self._size = 0


class MinMaxPyramid:
    """Minimum and maximum of stretches of an array that grows. NaN entries are passed over."""

    def __init__(self, values: ArrayLike = ()) -> None:
        self._base = GrowingArray()
        self._low: list[GrowingArray] = [self._base]
        self._high: list[GrowingArray] = [self._base]
        self.extend(values)

    def __len__(self) -> int:
        return len(self._base)

    @property
    def values(self) -> Floats:
        return self._base.values

    def extend(self, values: ArrayLike) -> None:
        """Append entries; the cost is proportional to their number."""
        self._base.extend(values)
        level = 0
        while len(self._low[level]) >= BLOCK:
            if level + 1 == len(self._low):
                self._low.append(GrowingArray())
                self._high.append(GrowingArray())
            done, full = len(self._low[level + 1]), len(self._low[level]) // BLOCK
            if full == done:
                break
            # reduceat rather than min(axis=1): for rows this short it is several times faster.
            starts = np.arange(0, (full - done) * BLOCK, BLOCK)
            part = slice(done * BLOCK, full * BLOCK)
            self._low[level + 1].extend(np.fmin.reduceat(self._low[level].values[part], starts))
            self._high[level + 1].extend(np.fmax.reduceat(self._high[level].values[part], starts))
            level += 1

    def clear(self) -> None:
        self._base.clear()
        del self._low[1:], self._high[1:]

    def columns(self, bounds: Indices) -> tuple[Floats, Floats]:
        """Minimum and maximum of each ``values[bounds[k]:bounds[k + 1]]``.

        Parameters
        ----------
        bounds : ndarray of int
            Ascending, between 0 and the length, at least two.

        Returns
        -------
        low, high : ndarray of float64
            One entry a stretch, NaN where it is empty or holds nothing but NaN.
        """
        bounds = np.asarray(bounds, dtype=np.intp)
        return self._reduce(0, bounds[:-1], bounds[1:])

    def _reduce(self, level: int, start: Indices, stop: Indices) -> tuple[Floats, Floats]:
        low, high = self._low[level], self._high[level]
        if stop[-1] - start[0] <= _DIRECT or level + 1 == len(self._low):
            return _direct(low, np.fmin, start, stop), _direct(high, np.fmax, start, stop)
        if level == 0:  # columns adjoin: one cut block is the end of one and the start of the next
            edges = np.append(start, stop[-1])
            before_low, after_low = _cut(low, np.fmin, edges)
            before_high, after_high = _cut(high, np.fmax, edges)
            ends = (after_low[:-1], before_low[1:], after_high[:-1], before_high[1:])
        else:
            ends = (
                _cut(low, np.fmin, start)[1],
                _cut(low, np.fmin, stop)[0],
                _cut(high, np.fmax, start)[1],
                _cut(high, np.fmax, stop)[0],
            )
        inner_low, inner_high = self._reduce(level + 1, -(-start // BLOCK), stop // BLOCK)
        narrow = start // BLOCK == stop // BLOCK  # both ends in one block: read it straight
        out_low = np.fmin(np.fmin(ends[0], ends[1]), inner_low)
        out_high = np.fmax(np.fmax(ends[2], ends[3]), inner_high)
        if narrow.any():
            out_low[narrow] = _direct(low, np.fmin, start[narrow], stop[narrow])
            out_high[narrow] = _direct(high, np.fmax, start[narrow], stop[narrow])
        return out_low, out_high


def _direct(level: GrowingArray, reduce: np.ufunc, start: Indices, stop: Indices) -> Floats:
    """Reduce each ``[start, stop)`` by reading the level itself."""
    first = int(start[0])
    data = level.values[first : int(stop[-1])]
    out = np.full(start.size, np.nan)
    full = stop > start
    if data.size == 0 or not full.any():
        return out
    begin, end = start[full] - first, stop[full] - first
    pairs = np.empty(2 * begin.size, dtype=np.intp)
    pairs[0::2], pairs[1::2] = begin, end
    if pairs[-1] == data.size:  # reduceat runs to the end behind its last index by itself
        pairs = pairs[:-1]
    out[full] = reduce.reduceat(data, pairs)[::2]
    return out


def _cut(level: GrowingArray, reduce: np.ufunc, edges: Indices) -> tuple[Floats, Floats]:
    """For each edge, reduce its block up to the edge and from the edge on."""
    block, offset = np.divmod(edges, BLOCK)
    gathered = level.blocks.take(block, axis=0).ravel()
    pairs = np.empty(2 * edges.size, dtype=np.intp)
    pairs[0::2] = np.arange(0, gathered.size, BLOCK)
    pairs[1::2] = pairs[0::2] + offset
    reduced = reduce.reduceat(gathered, pairs)
    before, after = reduced[0::2], reduced[1::2]
    before[offset == 0] = np.nan
    return before, after
