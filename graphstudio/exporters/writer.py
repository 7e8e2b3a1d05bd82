"""Lines of Python: brackets broken like ruff does it, and which node each line belongs to."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

WIDTH = 88
"""Longest line of exported code, in columns."""


@dataclass(frozen=True)
class Ref:
    """The place of a value whose name is not known yet."""

    key: int


@dataclass(frozen=True)
class Bracket:
    """Items between brackets, on one line or one below the other."""

    left: str
    items: tuple[Tree, ...]
    right: str
    single: bool = False
    """True for a tuple of one, which needs its comma."""


Tree = str | Ref | Bracket | tuple["Tree", ...]
"""Code whose parts are strings, values, brackets, or a sequence of these."""

Namer = Callable[[int], str]


def call(
    function: str, args: Iterable[Tree] = (), kwargs: Mapping[str, Tree] | None = None
) -> Tree:
    """The code of a call."""
    named = tuple((f"{name}=", value) for name, value in (kwargs or {}).items())
    return (function, Bracket("(", (*args, *named), ")"))


def literal(value: Any) -> str:
    """A constant as Python text, ASCII only, equal to the constant when it is read.

    Raises
    ------
    TypeError
        For anything but None, bool, int, float, str and tuples, lists and dicts of these.
    """
    match value:
        case None | bool() | int():
            return repr(value)
        case float() if math.isinf(value):
            return 'float("inf")' if value > 0 else '-float("inf")'
        case float() if not math.isnan(value):
            return repr(value)
        case str():
            return quoted(value)
        case tuple() if len(value) == 1:
            return f"({literal(value[0])},)"
        case tuple():
            return f"({', '.join(literal(v) for v in value)})"
        case list():
            return f"[{', '.join(literal(v) for v in value)}]"
        case dict():
            return f"{{{', '.join(f'{literal(k)}: {literal(v)}' for k, v in value.items())}}}"
    raise TypeError(f"{value!r} cannot be written as a literal")


def quoted(text: str) -> str:
    """A string literal in ASCII, in double quotes where ruff would have them."""
    body = ascii(text)
    if body[0] == "'" and '"' not in body:
        return f'"{body[1:-1]}"'
    return body


def flat(tree: Tree, name_of: Namer) -> str:
    """The code on one line, however long."""
    match tree:
        case str():
            return tree
        case Ref(key):
            return name_of(key)
        case Bracket(left, items, right, single):
            inner = ", ".join(flat(item, name_of) for item in items)
            return f"{left}{inner}{',' if single else ''}{right}"
        case _:
            return "".join(flat(part, name_of) for part in tree)


def broken(tree: Tree, name_of: Namer, indent: int, *, tail: str = "") -> list[str]:
    """The code on as few lines of at most ``WIDTH`` columns as brackets allow."""
    pad = " " * indent
    line = flat(tree, name_of)
    if len(pad) + len(line) + len(tail) <= WIDTH:
        return [pad + line + tail]
    parts: Sequence[Tree] = _spread(tree)
    places = [i for i, p in enumerate(parts) if isinstance(p, Bracket) and p.items]
    if not places:
        return [pad + line + tail]
    # The last bracket before which all fits on the line, as Black and ruff choose it.
    heads = {i: f"{pad}{flat(tuple(parts[:i]), name_of)}(" for i in places}
    first = next((i for i in reversed(places) if len(heads[i]) <= WIDTH), places[0])
    bracket = parts[first]
    assert isinstance(bracket, Bracket)
    before = flat(tuple(parts[:first]), name_of) + bracket.left
    after = bracket.right + flat(tuple(parts[first + 1 :]), name_of) + tail
    joined = ", ".join(flat(item, name_of) for item in bracket.items)
    called = before[:-1][-1:].isalnum() or before[:-1][-1:] in ("_", "]", ")")
    if bracket.left == "(" and called and indent + 4 + len(joined) <= WIDTH:
        return [pad + before, f"{pad}    {joined}", pad + after]
    inner: list[str] = []
    for item in bracket.items:
        inner += broken(item, name_of, indent + 4, tail=",")
    return [pad + before, *inner, pad + after]


def _spread(tree: Tree) -> list[Tree]:
    if not isinstance(tree, tuple):
        return [tree]
    return [leaf for part in tree for leaf in _spread(part)]


class Writer:
    """Collects the lines of one file and the lines of each node."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.spans: dict[str, list[tuple[int, int]]] = {}
        """Node id to ranges of line numbers, which start at 1."""
        self._level = 0

    @contextmanager
    def indented(self) -> Any:
        """Lines inside lie one level deeper."""
        self._level += 1
        yield
        self._level -= 1

    def put(self, tree: Tree, *, node: str | None = None, name_of: Namer | None = None) -> None:
        """Add a statement; ``node`` is the node that it belongs to."""
        first = len(self.lines) + 1
        self.lines += broken(tree, name_of or _no_names, 4 * self._level)
        if node is not None:
            self.mark(node, first, len(self.lines))

    def mark(self, node: str, first: int, last: int) -> None:
        """Note that these lines belong to the node."""
        spans = self.spans.setdefault(node, [])
        if spans and spans[-1][1] + 1 >= first:
            spans[-1] = (spans[-1][0], last)
        else:
            spans.append((first, last))

    def text(self, block: str) -> None:
        """Add lines as they are, indented to the current level."""
        pad = " " * (4 * self._level)
        self.lines += [pad + line if line else "" for line in block.strip("\n").split("\n")]

    def blank(self, count: int = 1) -> None:
        self.lines += [""] * count

    def __str__(self) -> str:
        return "\n".join(self.lines).strip("\n") + "\n"


def _no_names(key: int) -> str:
    raise AssertionError(f"value {key} has no name here")
