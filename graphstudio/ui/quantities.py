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
    return " ".join(_scaled(number))


def flops(number: int) -> str:
    """Floating-point operations."""
    return f"{short(number)}FLOPs" if number >= 10_000 else f"{number:,} FLOPs"


def data_size(number: int) -> str:
    """Bytes in decimal multiples, as disks and networks count them."""
    if number < 1000:
        return f"{number} B"
    value, prefix = _scaled(number)
    return f"{value} {'K' if prefix == 'k' else prefix}B"


def _scaled(number: float) -> tuple[str, str]:
    """Three digits and a prefix; what rounds to a thousand of one is 1 of the next."""
    size, prefix = next((s for s in STEPS if abs(number) >= 0.9995 * s[0]), STEPS[-1])
    value = number / size
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text, prefix
