"""Sums of products over named axes: a batched matrix product of views of the operands."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.backend import reshaped
from engine.function import PRIMITIVES
from engine.native.loops import copied
from engine.native.lowerings import items, lowering, matmul
from engine.native.lowerings.rows import row_major
from engine.native.writer import Writer

if TYPE_CHECKING:
    from engine.plan.program import NamedStep


@lowering("einsum")
def lower_einsum(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Letters that both have and keep number the products; those that neither keeps are summed.

    One operand, or a letter that only one has and that is not kept, is left to NumPy.
    """
    step = steps[0]
    terms, result = step.attrs["terms"], step.attrs["result"]
    out = step.outputs[0]
    if len(step.inputs) != 2 or out.dtype != np.float32 or not out.size:
        return 0
    (a, b), (left, right) = step.inputs, terms
    if not (a.size and b.size) or any(c not in result for c in (set(left) ^ set(right))):
        return 0
    batch = [c for c in result if c in left and c in right]
    rows = [c for c in result if c not in right]
    columns = [c for c in result if c not in left]
    inner = [c for c in left if c in right and c not in result]
    sizes = {c: n for t, v in ((left, a), (right, b)) for c, n in zip(t, v.shape, strict=True)}

    def matrices(array: Any, term: str, first: Sequence[str], second: Sequence[str]) -> Any:
        """The operand as (batch..., first, second), copied if its letters cannot be joined."""
        seen = array.transpose([term.index(c) for c in (*batch, *first, *second)])
        shape = [sizes[c] for c in batch]
        shape += [math.prod(sizes[c] for c in group) for group in (first, second)]
        view = reshaped(seen, tuple(shape))
        return row_major(w, seen).reshape(shape) if view is None else view

    x, y = matrices(a, left, rows, inner), matrices(b, right, inner, columns)
    shape = (*x.shape[:-1], y.shape[-1])
    letters = [*batch, *rows, *columns]
    in_order = out.transpose([result.index(c) for c in letters])
    target = reshaped(in_order, shape)
    fits = target is not None and (target.strides[-1] == 4 or shape[-1] == 1)
    room = target if fits else w.scratch(out.size).reshape(shape)
    product = replace(
        step,
        primitive=PRIMITIVES["matmul"],
        attrs={"transpose_a": False, "transpose_b": False},
        inputs=(x, y),
        outputs=(room,),
    )
    done = items.lower(w, [product]) or matmul.lower(w, [product])
    if done and not fits:
        made = room.reshape([sizes[c] for c in letters])
        copied(w, in_order, made)
    return done
