"""Names for the values of emitted code."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from graphstudio.exporters.values import Section, Statement
from graphstudio.exporters.writer import Bracket, Ref, Tree


def named_values(
    section: Section, given: Mapping[int, str], results: Sequence[int], unique: Callable[[str], str]
) -> dict[int, str]:
    """A name for every value of a section.

    A value that is read once, right along a chain, is called ``x``; one that lives on gets the
    name of its node. ``given`` names what comes from outside, ``results`` what is returned.
    """
    uses: dict[int, int] = {}
    last: dict[int, int] = {}
    for i, statement in enumerate(section.statements):
        for key in statement.reads:
            uses[key] = uses.get(key, 0) + 1
            last[key] = i
    for key in results:
        uses[key] = uses.get(key, 0) + 1
        last[key] = len(section.statements)
    names = dict(given)
    holder: int | None = None
    for i, statement in enumerate(section.statements):
        key = statement.value.key
        free = holder is None or last.get(holder, -1) <= i
        several = len(results) > 1 and key in results
        if uses.get(key, 0) == 1 and free and not several:
            names[key], holder = "x", key
        else:
            names[key] = statement.name or unique(f"{statement.node.name}_in")
    return names


def inlined(section: Section) -> list[Statement]:
    """The statements that give a node's result, with what leads to it written inside."""
    inner: dict[int, Tree] = {}
    kept: list[Statement] = []
    for s in section.statements:
        tree = _replaced(s.tree, inner)
        if s.name:
            kept.append(dataclasses.replace(s, tree=tree))
        else:
            inner[s.value.key] = tree
    return kept


def _replaced(tree: Tree, inner: Mapping[int, Tree]) -> Tree:
    match tree:
        case Ref(key):
            return inner.get(key, tree)
        case Bracket(left, items, right, single):
            return Bracket(left, tuple(_replaced(i, inner) for i in items), right, single)
        case tuple():
            return tuple(_replaced(part, inner) for part in tree)
    return tree
