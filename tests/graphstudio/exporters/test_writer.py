"""Literals, broken lines, and the lines of each node."""

from __future__ import annotations

import ast
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphstudio.exporters.writer import WIDTH, Bracket, Ref, Writer, broken, call, flat, literal

CONSTANTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def names(key: int) -> str:
    return f"value_{key}"


@given(CONSTANTS)
def test_a_literal_reads_back_as_the_constant(value: Any) -> None:
    text = literal(value)
    assert text.isascii()
    assert "\n" not in text
    code = text.replace('float("inf")', "1e999")
    assert ast.literal_eval(code) == value


def test_a_literal_of_a_lone_surrogate_stays_writable() -> None:
    literal("\ud800").encode("ascii")


@pytest.mark.parametrize("value", [math.nan, object(), {1, 2}, b"bytes"])
def test_what_is_no_constant_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="literal"):
        literal(value)


def test_a_short_call_stays_on_its_line() -> None:
    tree = ("x = ", call("f", [Ref(1), "2"], {"name": '"a"'}))
    assert broken(tree, names, 4) == ['    x = f(value_1, 2, name="a")']


def test_arguments_move_together_before_they_are_listed() -> None:
    args = [f"argument_number_{i}" for i in range(4)]
    together = broken(("some_longer_name = ", call("function", args)), names, 0)
    assert together == ["some_longer_name = function(", f"    {', '.join(args)}", ")"]
    listed = broken(("some_longer_name = ", call("function", args * 2)), names, 0)
    assert listed[1:-1] == [f"    {a}," for a in args * 2]


def test_a_list_or_tuple_that_is_too_long_has_an_item_a_line() -> None:
    items = tuple(f"item_number_{i}" for i in range(7))
    for left, right in ("[]", "()"):
        lines = broken(("items = ", Bracket(left, items, right)), names, 0)
        assert lines == [f"items = {left}", *(f"    {i}," for i in items), right]


def test_a_tuple_of_one_keeps_its_comma() -> None:
    assert flat(Bracket("(", ("a",), ")", single=True), names) == "(a,)"
    (line, item, end) = broken(Bracket("(", ("a" * WIDTH,), ")", single=True), names, 0)
    assert (line, item, end) == ("(", f"    {'a' * WIDTH},", ")")


def test_the_first_bracket_that_can_be_broken_is() -> None:
    inner = call("inner", ["a" * 40, "b" * 40])
    lines = broken(("return ", call("outer", [inner, "c"]), "(x)"), names, 0)
    assert lines[0] == "return outer("
    assert lines[-1] == ")(x)"
    assert "    inner(" in lines


def test_lines_of_a_node_are_found_again() -> None:
    writer = Writer()
    writer.put("first = 1", node="a")
    writer.put("second = 2", node="b")
    writer.put("third = 3", node="a")
    writer.put("fourth = 4", node="a")
    assert writer.spans == {"a": [(1, 1), (3, 4)], "b": [(2, 2)]}
