"""Numbers and durations as the dashboard writes them: short, of steady width, never misleading."""

from __future__ import annotations

import math

UNKNOWN = "–"
"""Stands where there is no value."""


def short(value: float) -> str:
    """A measured value with four significant digits: ``0.1234``, ``1.234e-05``, ``NaN``."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value != 0 and not 1e-4 <= abs(value) < 1e5:
        return f"{value:.3e}".replace("-", "−")
    digits = 4 if abs(value) < 1 else max(0, 3 - math.floor(math.log10(abs(value))))
    return f"{value:.{digits}f}".replace("-", "−")


def percent(share: float) -> str:
    """A share as percent with two decimals, one for 100 %."""
    if not math.isfinite(share):
        return short(share)
    return "100 %" if share == 1.0 else f"{100 * share:.2f} %"


def rate(value: float) -> str:
    """Learning rate or throughput, without needless zeros: ``0.001``, ``3.2e-05``, ``12,400``."""
    if math.isnan(value):
        return UNKNOWN
    if math.isinf(value):
        return short(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def duration(seconds: float) -> str:
    """``0:07``, ``12:34`` or ``3:05:09``; a dash where it is not known."""
    if not math.isfinite(seconds) or seconds < 0:
        return UNKNOWN
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def tick(value: float, spacing: float) -> str:
    """A number on an axis whose marks lie ``spacing`` apart: ``12k``, ``2.5M``, ``0.05``."""
    if value == 0:
        return "0"
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            scale = 1e3 if unit == "k" else limit
            return f"{_fixed(value / scale, spacing / scale)}{unit}"
    if abs(value) < 1e-4 or 0 < spacing < 1e-6:
        return f"{value:.3g}".replace("-", "−")
    return _fixed(value, spacing)


def _fixed(value: float, spacing: float) -> str:
    digits = max(0, math.ceil(-math.log10(spacing) - 1e-9)) if spacing > 0 else 3
    if digits and not math.isclose(spacing * 10**digits, round(spacing * 10**digits), rel_tol=1e-6):
        digits += 1
    return f"{value:.{min(digits, 9)}f}".replace("-", "−")
