"""How much a project may hold, and the one place where JSON text becomes plain values."""

from __future__ import annotations

import json
import math
from typing import Any

from graphstudio.nodes.types import Message

MAX_DEPTH = 64
MAX_NODES = 100_000
MAX_WIRES = 400_000
MAX_DOTS = 100
"""On one wire: every one is a curve to draw, and to look at under the pointer."""
MAX_STRING = 1_000_000
MAX_FILE_BYTES = 32 * 1024 * 1024
MAX_VALUES = 4_000_000
"""Counted before parsing: three bytes of text (``[],``) can cost seventy of memory."""
MAX_PROBLEMS = 100
"""A broken file is described by its first problems; more would not help."""


class FormatError(Exception):
    """A text is no project of this program; ``problems`` says why, one message a place."""

    def __init__(self, problems: list[Message]) -> None:
        self.problems = problems
        super().__init__("; ".join(str(p) for p in problems))


class _DuplicateKeyError(ValueError):
    """An object of the text names a field twice."""


def too_many_dots(count: int) -> Message:
    """Why a wire cannot be led over this many dots."""
    return Message(
        "the wire has {count} dots; at most {limit} are allowed",
        {"count": count, "limit": MAX_DOTS},
    )


def parse_json(text: str) -> Any:
    """The value of a JSON text that keeps to the limits; lists are lists.

    Raises
    ------
    FormatError
        For malformed text, NaN or infinity, a field named twice, too deep nesting, too long or
        unwritable strings.
    """
    num_values = text.count(",") + text.count("[") + text.count("{")
    if num_values > MAX_VALUES:
        raise FormatError(
            [
                Message(
                    "the file holds {count} values, more than the {limit} that a project may have",
                    {"count": num_values, "limit": MAX_VALUES},
                )
            ]
        )
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except _DuplicateKeyError as error:
        raise FormatError(
            [Message("the field '{field}' is given twice in one place", {"field": str(error)})]
        ) from None
    except json.JSONDecodeError as error:
        raise FormatError(
            [
                Message(
                    "line {line}, column {column}: this is not valid JSON ({reason}); the file is "
                    "damaged, cut off or not a project",
                    {"line": error.lineno, "column": error.colno, "reason": error.msg},
                )
            ]
        ) from None
    except RecursionError:
        raise FormatError([_too_deep()]) from None
    except ValueError as error:  # NaN, or an integer of thousands of digits
        raise FormatError(
            [Message("a number cannot be read: {reason}", {"reason": str(error)[:200]})]
        ) from None
    _check_values(value)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _DuplicateKeyError(key[:80])
            seen.add(key)
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number that a project can hold")


def _too_deep() -> Message:
    return Message("the values are nested more than {depth} deep", {"depth": MAX_DEPTH})


def _check_values(value: Any) -> None:
    """Walk through everything, without recursion, and refuse what is beyond the limits."""
    level = [value]
    for _ in range(MAX_DEPTH):
        if not level:
            return
        following: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is dict:
                for key in item:
                    _check_text(key)
                following.extend(item.values())
            elif kind is list:
                following.extend(item)
            elif kind is str:
                _check_text(item)
            elif kind is float and not math.isfinite(item):
                raise FormatError([Message("a number is too large to be read")])
        level = following
    if any(type(item) in (dict, list) for item in level):
        raise FormatError([_too_deep()])


def _check_text(text: str) -> None:
    if len(text) > MAX_STRING:
        raise FormatError(
            [
                Message(
                    "a text has {length} characters; at most {limit} are allowed",
                    {"length": len(text), "limit": MAX_STRING},
                )
            ]
        )
    if not text.isascii() and not writable(text):
        raise FormatError([Message("a text holds half a character and cannot be written again")])


def writable(text: str) -> bool:
    """True if the text can be written as UTF-8: it holds no lone surrogate."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
