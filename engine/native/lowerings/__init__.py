"""Native kernels by primitive: one table, filled by the modules of this package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from engine.native.writer import Writer

if TYPE_CHECKING:
    from engine.plan.program import NamedStep

Lowering = Callable[[Writer, "Sequence[NamedStep]"], int]
"""``lowering(writer, steps)`` writes kernels for the first of ``steps``, and maybe for some that
follow it; it returns for how many, 0 if it cannot."""

LOWERINGS: dict[str, Lowering] = {}
OTHERWISE: dict[str, Lowering] = {}
"""Forms for what the first one does not take: other layouts, other options."""


Form = TypeVar("Form", bound=Lowering)


def lowering(*names: str, otherwise: bool = False) -> Callable[[Form], Form]:
    """Register the native form of primitives, or the one that serves where the first cannot."""
    forms = OTHERWISE if otherwise else LOWERINGS

    def register(f: Form) -> Form:
        for name in names:
            if name in forms:
                raise ValueError(f"primitive {name!r} has two native forms")
            forms[name] = f
        return f

    return register


def table() -> dict[str, Lowering]:
    """All native forms."""
    from engine.native.lowerings import items

    forms = step_forms()
    for name in items.beginnings():
        forms[name] = _either(items.lower, forms[name])
    return forms


def step_forms() -> dict[str, Lowering]:
    """Native forms of steps, and of those that follow and join them: all but runs over items."""
    from engine.native.lowerings import (  # noqa: F401  (importing registers)
        conv,
        conv_general,
        cut,
        einsum,
        elementwise,
        extreme,
        gather,
        gru,
        lines,
        loss,
        lstm,
        matmul,
        noise,
        norm,
        norm_copied,
        pool,
        recurrence,
        reduce,
        rnn,
        rows,
        rules,
    )

    forms = dict(OTHERWISE)
    for name, first in LOWERINGS.items():
        forms[name] = _either(first, OTHERWISE[name]) if name in OTHERWISE else first
    return forms


def _either(first: Lowering, second: Lowering) -> Lowering:
    return lambda w, steps: first(w, steps) or second(w, steps)
