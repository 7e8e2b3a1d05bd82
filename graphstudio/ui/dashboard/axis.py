"""Axes of the plots: few short numbers, durations on a time axis, powers of ten on a log one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pyqtgraph as pg

from graphstudio.ui.dashboard import formats

_TIME_SPACINGS = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400,
)  # fmt: skip


class Axis(pg.AxisItem):
    """An axis with own spacing and number format.

    ``kind`` is ``number``, ``count`` (whole numbers only) or ``time`` (seconds).
    """

    def __init__(self, orientation: str, kind: str = "number") -> None:
        super().__init__(orientation, maxTickLength=-4)
        self.kind = kind
        self.enableAutoSIPrefix(False)
        self.setStyle(autoExpandTextSpace=False, tickTextOffset=5, hideOverlappingLabels=True)

    def set_kind(self, kind: str) -> None:
        if kind != self.kind:
            self.kind = kind
            self.picture = None
            self.update()

    def tickSpacing(self, minimum: float, maximum: float, size: float) -> list[tuple[float, float]]:
        span = maximum - minimum
        if not span > 0 or not math.isfinite(span):
            return []
        wanted = max(2.0, size / (80.0 if self.orientation == "bottom" else 38.0))
        rough = span / wanted
        if self.kind == "time":
            spacing = next((s for s in _TIME_SPACINGS if s >= rough), rough)
            return [(float(spacing), 0.0)]
        power = 10.0 ** math.floor(math.log10(rough))
        spacing = next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= rough * (1 - 1e-9))
        if self.kind == "count" or self.logMode:
            spacing = max(1.0, spacing)
        return [(spacing, 0.0)]

    def tickValues(self, minimum: float, maximum: float, size: float) -> list:
        if not self.logMode:
            return super().tickValues(minimum, maximum, size)
        low, high = min(minimum, maximum), max(minimum, maximum)
        values = super().tickValues(low, high, size)
        if high - low >= 1.2 and values and len(values[0][1]) >= 2:
            return values
        # Less than a power of ten in view: round numbers between its ends.
        marks = [
            math.log10(m * 10.0**p)
            for p in range(math.floor(low), math.ceil(high) + 1)
            for m in ((1, 2, 5) if high - low > 0.5 else (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9))
        ]
        return [(1.0, [m for m in marks if low <= m <= high])]

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:
        if self.logMode:
            return [f"{10.0**v:.3g}".replace("-", "−") for v in values]
        if self.kind == "time":
            return [formats.duration(v) if v >= 0 else "" for v in values]
        return [formats.tick(v, spacing) for v in values]
