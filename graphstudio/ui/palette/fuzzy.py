"""Fuzzy matching of a few typed letters against names, Chinese or English."""

from __future__ import annotations

from collections.abc import Iterable

_EXACT, _PREFIX, _WORD, _INSIDE, _INITIALS, _SCATTERED = 1000.0, 800.0, 600.0, 400.0, 300.0, 100.0


def score(query: str, text: str) -> float:
    """How well the query fits, 0 if not at all. Case and spaces around do not matter.

    A whole match beats a beginning, which beats the beginning of a word, which beats the middle,
    which beats initials, which beat letters in order; among equals the shorter text wins.
    """
    q, t = query.strip().casefold(), text.casefold()
    if not q or not t:
        return 0.0
    shorter = 1.0 - min(len(t), 60) / 100.0
    if t == q:
        return _EXACT
    if t.startswith(q):
        return _PREFIX + shorter
    if any(word.startswith(q) for word in _words(t)):
        return _WORD + shorter
    if q in t:
        return _INSIDE + shorter
    if _initials(text).startswith(q):
        return _INITIALS + shorter
    return _scattered(q, t) * shorter


def best_score(query: str, names: Iterable[tuple[str, float]]) -> float:
    """The best score over several names, each with its weight. Every typed word must fit one."""
    pairs = list(names)
    whole = max((score(query, name) * weight for name, weight in pairs), default=0.0)
    words = query.split()
    if whole or len(words) < 2:
        return whole
    each = [max((score(w, name) * weight for name, weight in pairs), default=0.0) for w in words]
    return 0.5 * sum(each) / len(each) if all(each) else 0.0


def _initials(text: str) -> str:
    """First letters of words, humps and numbers: ``gap`` of ``GlobalAveragePool``."""
    return "".join(
        c
        for i, c in enumerate(text)
        if c.isalnum()
        and (
            i == 0
            or c.isupper()
            or not text[i - 1].isalnum()
            or c.isdigit() > text[i - 1].isdigit()
        )
    ).casefold()


def _words(text: str) -> list[str]:
    return "".join(c if c.isalnum() else " " for c in text).split()


def _scattered(q: str, t: str) -> float:
    """Letters of ``q`` in order in ``t``, from the start of a word: better the closer together."""
    at = next((i for i, c in enumerate(t) if c == q[0] and (i == 0 or not t[i - 1].isalnum())), -1)
    if at < 0 or len(q) > len(t):
        return 0.0
    gaps, last = 0, at
    for letter in q[1:]:
        found = t.find(letter, last + 1)
        if found < 0:
            return 0.0
        gaps += found - last - 1
        last = found
    return _SCATTERED / (1.0 + gaps) if gaps <= 2 * len(q) else 0.0
