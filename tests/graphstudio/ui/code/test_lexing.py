"""Colours follow the language, line by line, and count as Qt counts."""

from __future__ import annotations

import pytest

from graphstudio.ui.code.lexing import spans_of, utf16_length

TEXT = '''"""Doc
of two lines."""
import os

class Model:
    def go(self, n=3):  # 注释 😀 end
        return f"{n}" if True else None
'''


def colored(text: str) -> dict[str, str]:
    """Piece of text to its colour."""
    found = {}
    for line, spans in zip(text.split("\n"), spans_of(text), strict=True):
        units = line.encode("utf-16-le")
        for start, length, color in spans:
            found[units[2 * start : 2 * (start + length)].decode("utf-16-le")] = color
    return found


def test_words_have_the_colour_of_their_kind():
    found = colored(TEXT)
    assert found['"""Doc'] == found['of two lines."""'] == "code_string"
    assert found["import"] == found["class"] == "code_keyword"
    assert found["Model"] == found["go"] == "code_name"
    assert found["3"] == "code_number"
    assert found["self"] == "code_builtin"
    assert found["# 注释 😀 end"] == "code_comment"


@pytest.mark.parametrize("text", ["", "\n", "x", "x\n", "a\n\nb\n", "\tx = '😀'"])
def test_there_is_one_list_a_line(text):
    assert len(spans_of(text)) == len(text.split("\n"))


def test_spans_stay_inside_their_lines():
    for line, spans in zip(TEXT.split("\n"), spans_of(TEXT), strict=True):
        assert all(s >= 0 and s + n <= utf16_length(line) for s, n, _ in spans)
