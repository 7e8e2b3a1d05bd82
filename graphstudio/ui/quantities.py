"""Counts and sizes as people read them: ``93.3 k``, ``1.2 MB``, ``4.6 MFLOPs``."""

from __future__ import annotations

STEPS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def exact(number: int) -> str:
    """A count with its thousands apart: ``93,322``."""
    return f"{number:,}"


def short(number: float) -> str:
    """Three significant digits and a prefix; exact below 10,000."""
    if abs(number) < 10_000:
        return f"{number:,.0f}"
    for size, prefix in STEPS:
        if abs(number) >= size:
            return f"{_three(number / size)} {prefix}"
    raise AssertionError("every number above 10,000 has a prefix")


def flops(number: int) -> str:
    """Floating-point operations."""
    return f"{short(number)}FLOPs" if number >= 10_000 else f"{number:,} FLOPs"


def data_size(number: int) -> str:
    """Bytes in decimal multiples, as disks and networks count them."""
    for size, prefix in STEPS:
        if number >= size:
            return f"{_three(number / size)} {'K' if prefix == 'k' else prefix}B"
    return f"{number} B"


def _three(value: float) -> str:
    digits = 2 if value < 10 else 1 if value < 100 else 0
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
