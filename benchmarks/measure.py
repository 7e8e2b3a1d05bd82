"""What a benchmark gives, and the two ways in which time is taken."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Measure:
    """One measured number. ``bar`` is the most it may be, or the least if ``more_is_better``."""

    name: str
    value: float
    unit: str
    bar: float | None = None
    more_is_better: bool = False

    @property
    def held(self) -> bool | None:
        """True if the bar was reached, None without a bar."""
        if self.bar is None:
            return None
        return self.value >= self.bar if self.more_is_better else self.value <= self.bar

    def as_json(self) -> dict[str, object]:
        """The measure with its verdict, as plain data."""
        return asdict(self) | {"held": self.held}


def median_ms(action: Callable[[], object], *, repeats: int = 50, warm_up: int = 5) -> float:
    """Median time of one call, in milliseconds: what is felt."""
    return statistics.median(_times(action, repeats, warm_up, time.perf_counter)) * 1000


def least_ms(action: Callable[[], object], *, repeats: int = 20, warm_up: int = 3) -> float:
    """Least processor time of one call, in milliseconds: its work, on a busy machine too."""
    return min(_times(action, repeats, warm_up, time.process_time)) * 1000


def _times(
    action: Callable[[], object], repeats: int, warm_up: int, clock: Callable[[], float]
) -> list[float]:
    for _ in range(warm_up):
        action()
    times = []
    for _ in range(repeats):
        start = clock()
        action()
        times.append(clock() - start)
    return times
