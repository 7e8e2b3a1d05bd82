"""TensorBoard's smoothing: an exponential moving average without the pull towards zero."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_BLOCK = 64


class DebiasedEma:
    """Debiased exponential moving average, fed piece by piece.

    With weight ``w``, ``s = w s + (1 - w) x`` starts at zero and ``s / (1 - w^n)`` is shown, so
    that the first values are not pulled towards zero. What is not finite is passed through and
    leaves the average alone.
    """

    def __init__(self, weight: float) -> None:
        if not 0.0 <= weight < 1.0:
            raise ValueError(f"weight must be at least 0 and below 1, not {weight}")
        self.weight = weight
        self._sum = 0.0
        self._count = 0

    def feed(self, values: Floats) -> Floats:
        """Averages that belong to ``values``, which follow those fed before."""
        values = np.asarray(values, dtype=np.float64)
        if self.weight == 0.0 or values.size == 0:
            return values.copy()
        finite = np.isfinite(values)
        if finite.all():
            return self._feed_finite(values)
        out = values.copy()
        out[finite] = self._feed_finite(values[finite])
        return out

    def _feed_finite(self, values: Floats) -> Floats:
        if values.size == 0:
            return values
        sums = _recur((1.0 - self.weight) * values, self.weight, self._sum)
        counts = np.arange(self._count + 1, self._count + values.size + 1)
        self._sum = float(sums[-1])
        self._count += values.size
        return np.asarray(sums / -np.expm1(counts * np.log(self.weight)))


def _recur(x: Floats, w: float, start: float) -> Floats:
    """``s[i] = w s[i - 1] + x[i]`` with ``s[-1] = start``.

    Blocks are summed by one matrix product with the powers of ``w``; what each hands on to the
    next follows the same rule with ``w ** block``, so it is found by recursion.
    """
    if x.size <= _BLOCK:
        out = np.empty_like(x)
        s = start
        for i, value in enumerate(x.tolist()):
            s = w * s + value
            out[i] = s
        return out
    whole = x.size // _BLOCK * _BLOCK
    rows = x[:whole].reshape(-1, _BLOCK)
    power = np.subtract.outer(np.arange(_BLOCK), np.arange(_BLOCK))
    triangle = np.where(power >= 0, w ** np.maximum(power, 0), 0.0)
    sums = rows @ triangle.T
    ends = _recur(sums[:, -1], w**_BLOCK, start)
    before = np.concatenate(([start], ends[:-1]))
    sums += np.multiply.outer(before, w ** np.arange(1, _BLOCK + 1))
    out = sums.ravel()
    return out if whole == x.size else np.concatenate((out, _recur(x[whole:], w, float(out[-1]))))
