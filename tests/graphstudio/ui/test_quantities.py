"""Counts and sizes in words: one way to write them in every panel."""

from __future__ import annotations

import pytest

from graphstudio.ui.quantities import data_size, flops, short


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (9_248, "9,248"), (18_432, "18.4 k"), (99_950, "100 k"),
     (999_499, "999 k"), (999_500, "1 M"), (1_300_000, "1.3 M"), (2_500_000_000, "2.5 G"),
     (999_999_999_999, "1 T"), (4_200_000_000_000_000, "4200 T")],
)  # fmt: skip
def test_counts(number, text):
    assert short(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (999, "999 B"), (1_000, "1 KB"), (8_192, "8.19 KB"), (999_999, "1 MB"),
     (11_600_000, "11.6 MB"), (1 << 30, "1.07 GB")],
)  # fmt: skip
def test_sizes(number, text):
    assert data_size(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 FLOPs"), (2_048, "2,048 FLOPs"), (2_359_296, "2.36 MFLOPs"), (999_999, "1 MFLOPs")],
)
def test_work(number, text):
    assert flops(number) == text
