"""Native kernels by primitive: one table, filled by the modules of this package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from engine.native.writer import Writer

if TYPE_CHECKING:
    from engine.plan.program import NamedStep

Lowering = Callable[[Writer, "Sequence[NamedStep]"], int]
"""``lowering(writer, steps)`` writes kernels for the first of ``steps``, and maybe for some that
follow it; it returns for how many, 0 if it cannot."""

LOWERINGS: dict[str, Lowering] = {}


def lowering(*names: str) -> Callable[[Lowering], Lowering]:
    """Register the native form of primitives."""

    def register(f: Lowering) -> Lowering:
        for name in names:
            if name in LOWERINGS:
                raise ValueError(f"primitive {name!r} has two native forms")
            LOWERINGS[name] = f
        return f

    return register


def table() -> dict[str, Lowering]:
    """All native forms."""
    from engine.native.lowerings import (  # noqa: F401  (importing registers)
        conv,
        cut,
        elementwise,
        loss,
        lstm,
        matmul,
        norm,
        pool,
        reduce,
        rows,
    )

    return LOWERINGS
