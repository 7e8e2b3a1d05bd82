"""Numbers are calculated, and nothing else is."""

from __future__ import annotations

import pytest

from graphstudio.ui.inspector.arithmetic import evaluate


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("128", 128), ("=3*64", 192), (" 1e-3 ", 1e-3), ("-(2+3)*4", -20), ("7//2", 3),
        ("2**10", 1024), ("1/4", 0.25), ("10 % 4", 2), ("= 28*28", 784),
    ],
)  # fmt: skip
def test_arithmetic_is_calculated(text, value):
    assert evaluate(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "", "=", "abc", "__import__('os')", "[1]", "1 if 1 else 2", "'3'", "True", "2j", "1/0",
        "9**9**9", "((9**64)**64)**64", "1e999", "1;2", "lambda: 1", "x:=1", "(" * 200, "1" * 101,
        "(-8)**0.5",
    ],
)  # fmt: skip
def test_everything_else_is_refused_at_once(text):
    with pytest.raises(ValueError, match=r"."):
        evaluate(text)
