"""Numbers as the dashboard writes them."""

from __future__ import annotations

import math

from graphstudio.ui.dashboard import formats


def test_short():
    for value, text in [
        (0.0, "0.0000"),
        (0.12345, "0.1235"),
        (1.23456, "1.235"),
        (123.456, "123.5"),
        (12345.6, "12346"),
        (1.5e-7, "1.500e−07"),
        (-0.5, "−0.5000"),
        (math.nan, "NaN"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
    ]:
        assert formats.short(value) == text


def test_duration():
    for seconds, text in [
        (0, "0:00"),
        (7.4, "0:07"),
        (754, "12:34"),
        (11109, "3:05:09"),
        (-1, "–"),
        (math.nan, "–"),
    ]:
        assert formats.duration(seconds) == text


def test_percent():
    for value, text in [
        (1.0, "100 %"),
        (0.99999, "100.00 %"),
        (0.9778, "97.78 %"),
        (math.nan, "NaN"),
    ]:
        assert formats.percent(value) == text


def test_tick():
    for value, spacing, text in [
        (0, 1, "0"),
        (5000, 1000, "5000"),
        (12_000, 2000, "12k"),
        (12_500, 500, "12.5k"),
        (2_500_000, 500_000, "2.5M"),
        (0.05, 0.05, "0.05"),
        (0.001, 0.0005, "0.0010"),
        (-1.5, 0.5, "−1.5"),
        (1e-05, 1e-05, "1e−05"),
    ]:
        assert formats.tick(value, spacing) == text


def test_rate():
    for value, text in [(12_400.4, "12,400"), (0.001, "0.001"), (math.nan, "–"), (math.inf, "∞")]:
        assert formats.rate(value) == text
