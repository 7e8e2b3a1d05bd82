"""Batch normalisation where channels do not lie fastest in memory: on copies in which they do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.native.loops import copied
from engine.native.lowerings import lowering, norm
from engine.native.lowerings.norm import Sums, column_sums
from engine.native.writer import Writer

if TYPE_CHECKING:
    from engine.plan.program import NamedStep


def _room(w: Writer, like: Any) -> Any:
    """Working memory for an array (N, C, ...), channels last."""
    n, c, *rest = like.shape
    return np.moveaxis(w.scratch(like.size).reshape(n, *rest, c), -1, 1)


def _copy(w: Writer, target: Any, source: Any) -> None:
    copied(w, target, source)


@lowering("batch_norm_training", otherwise=True)
def lower_forward(w: Writer, steps: Sequence[NamedStep], sums: Sums = column_sums) -> int:
    """The input copied, normalised, and copied back."""
    step = steps[0]
    (x, gamma, beta), (y, mean, var) = step.inputs, step.outputs
    if x.dtype != np.float32 or not x.size:
        return 0
    inside, made = _room(w, x), _room(w, y)
    _copy(w, inside, x)
    done = norm.lower_forward(
        w, [replace(step, inputs=(inside, gamma, beta), outputs=(made, mean, var))], sums
    )
    if done:
        _copy(w, y, made)
    return done


@lowering("batch_norm_gradient", otherwise=True)
def lower_gradient(w: Writer, steps: Sequence[NamedStep], sums: Sums = column_sums) -> int:
    """The same for the gradient."""
    step = steps[0]
    (x, gamma, mean, var, g), (dx, dgamma, dbeta) = step.inputs, step.outputs
    if x.dtype != np.float32 or g.dtype != np.float32 or not x.size:
        return 0
    inside, given, made = _room(w, x), _room(w, g), _room(w, dx)
    _copy(w, inside, x)
    _copy(w, given, g)
    inputs, outputs = (inside, gamma, mean, var, given), (made, dgamma, dbeta)
    done = norm.lower_gradient(w, [replace(step, inputs=inputs, outputs=outputs)], sums)
    if done:
        _copy(w, dx, made)
    return done
