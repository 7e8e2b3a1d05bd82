"""Reads records from JSON objects: each field checked, every problem noted with its place."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from graphstudio.document.limits import MAX_PROBLEMS, FormatError
from graphstudio.nodes.types import Message

T = TypeVar("T")

_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
MAX_INT = 2**53
"""Beyond it other programs that read JSON lose digits."""


class Problems:
    """Collects what is wrong with a file; stops the reading when there is far too much."""

    def __init__(self) -> None:
        self.found: list[Message] = []

    def add(self, place: str, problem: Message) -> None:
        """Note a problem at a place such as ``graphs.main.nodes.ab12``."""
        self.found.append(
            Message("{place}: {problem}", {"place": place or "file", "problem": problem})
        )
        if len(self.found) >= MAX_PROBLEMS:
            raise FormatError(self.found)


class Fields:
    """The fields of one JSON object, taken one by one; what is left is kept as unknown."""

    def __init__(self, problems: Problems, value: Any, place: str) -> None:
        self.problems = problems
        self.place = place
        self.valid = isinstance(value, dict)
        self._rest: dict[str, Any] = dict(value) if isinstance(value, dict) else {}
        if not self.valid:
            problems.add(
                place, Message("expected an object, found {found}", {"found": _kind(value)})
            )

    def at(self, name: str) -> str:
        """The place of a field."""
        return f"{self.place}.{name}" if self.place else name

    def take(self, name: str, default: T, convert: Callable[[Any], T | None], what: Message) -> T:
        """A field, or ``default`` if it is absent or (noted as a problem) not ``what``."""
        if name not in self._rest:
            return default
        raw = self._rest.pop(name)
        value = convert(raw)
        if value is None:
            self.problems.add(
                self.at(name),
                Message("expected {what}, found {found}", {"what": what, "found": _kind(raw)}),
            )
            return default
        return value

    def text(self, name: str, default: str = "") -> str:
        return self.take(name, default, _text, Message("text"))

    def required_text(self, name: str) -> str:
        """A text that has to be there and not empty."""
        if name not in self._rest and self.valid:
            self.problems.add(
                self.place, Message("the field '{field}' is missing", {"field": name})
            )
        value = self.take(name, "?", _text, Message("text"))
        if not value:
            self.problems.add(self.at(name), Message("the text is empty"))
        return value

    def flag(self, name: str, default: bool) -> bool:
        return self.take(name, default, _flag, Message("true or false"))

    def whole(self, name: str, default: int, *, low: int) -> int:
        """A whole number of at least ``low``."""
        return self.take(
            name,
            default,
            lambda v: v if _is_int(v) and low <= v <= MAX_INT else None,
            Message("a whole number of at least {low}", {"low": low}),
        )

    def number(self, name: str, default: float, *, low: float, high: float) -> float:
        return self.take(
            name,
            default,
            lambda v: float(v) if is_number(v) and low <= v <= high else None,
            Message("a number from {low} to {high}", {"low": low, "high": high}),
        )

    def numbers(self, name: str, default: tuple[float, ...]) -> tuple[float, ...]:
        """As many finite numbers as the default has."""

        def convert(value: Any) -> tuple[float, ...] | None:
            return tuple(map(float, value)) if is_point(value, len(default)) else None

        what = Message("a list of {count} numbers", {"count": len(default)})
        return self.take(name, default, convert, what)

    def raw_mapping(self, name: str) -> dict[str, Any]:
        """An object whose values are looked at one by one."""
        empty: dict[str, Any] = {}
        return self.take(
            name, empty, lambda v: v if isinstance(v, dict) else None, Message("an object")
        )

    def mapping(self, name: str) -> dict[str, Any]:
        """An object with any content; its lists become tuples."""
        return {k: freeze(v) for k, v in self.raw_mapping(name).items()}

    def items(self, name: str) -> list[Any]:
        return self.take(name, [], lambda v: v if isinstance(v, list) else None, Message("a list"))

    def take_any(self, name: str) -> Any:
        """The raw value of a field, or None."""
        return self._rest.pop(name, None)

    def rest(self) -> dict[str, Any]:
        """Fields that nobody asked for, to be kept and written back."""
        return {k: freeze(v) for k, v in self._rest.items()}


def is_id(value: Any) -> bool:
    """True for a short word of ASCII letters, digits, ``_``, ``.`` and ``-``."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def is_number(value: Any) -> bool:
    """True for a finite number that no reader of JSON rounds beyond recognition."""
    if isinstance(value, float):
        return math.isfinite(value)
    return _is_int(value) and abs(value) <= MAX_INT


def is_point(value: Any, length: int) -> bool:
    """True for a list of this many finite numbers."""
    return isinstance(value, list) and len(value) == length and all(map(is_number, value))


def freeze(value: Any) -> Any:
    """Lists as tuples, all the way down, so that records stay immutable and comparable."""
    if isinstance(value, list):
        return tuple(freeze(v) for v in value)
    if isinstance(value, dict):
        return {k: freeze(v) for k, v in value.items()}
    return value


def thaw(value: Any) -> Any:
    """The opposite of ``freeze``: plain lists and dictionaries for JSON."""
    if isinstance(value, list | tuple):
        return [thaw(v) for v in value]
    if isinstance(value, Mapping):
        return thaw_mapping(value)
    return value


def thaw_mapping(value: Mapping[str, Any]) -> dict[str, Any]:
    """``thaw`` for a mapping."""
    return {k: thaw(v) for k, v in value.items()}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _kind(value: Any) -> Message:
    """What was found, in words: the value itself where it is short."""
    if isinstance(value, dict):
        return Message("an object")
    if isinstance(value, list):
        return Message("a list of {count}", {"count": len(value)})
    shown = "null" if value is None else repr(value)
    return Message("{value}", {"value": shown if len(shown) <= 60 else f"{shown[:57]}..."})
