"""Batch normalisation over (rows, channels) in memory: two passes, statistics per thread first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.backend import address
from engine.native.emit import Function, Val, const, f32
from engine.native.loops import copied, elementwise
from engine.native.lowerings import lowering
from engine.native.lowerings.elementwise import RULES, can_lower, rule_key
from engine.native.lowerings.reduce import combine, rows_and_columns
from engine.native.writer import Use, Writer, clash, overlap

if TYPE_CHECKING:
    from engine.plan.program import NamedStep

BLOCK = 256
"""Rows whose sum is taken in one register before it joins the total."""


def _rows(x: Any) -> tuple[int, int] | None:
    axes = (0, *range(2, x.ndim))
    return rows_and_columns(x, axes) if x.dtype == np.float32 and x.size else None


def column_sums(
    w: Writer,
    key: tuple[Any, ...],
    rows: int,
    columns: int,
    dense: Sequence[Any],
    per_column: Sequence[Any],
    outs: Sequence[Any],
    term: Callable[..., list[Val]],
) -> None:
    """``outs[j][c] = sum over rows of term(dense[r, c] ..., per_column[c] ...)[j]``."""
    parts = [w.scratch(w.max_threads * columns) for _ in outs]

    def write(f: Function, thread: Val, count: Val, *pointers: Val) -> None:
        b = f.b
        nd, nc = len(dense), len(per_column)
        p_dense, p_column, p_parts = pointers[:nd], pointers[nd : nd + nc], pointers[nd + nc :]
        first, last = f.share(rows, thread, count)
        mine = [f.at(p, (thread, columns)) for p in p_parts]
        for p in mine:
            with f.loop(0, columns) as c:
                b.store(f32(0.0), f.at(p, (c.index, 1)))

        def block(column: Val, width: int) -> None:
            def load(p: Val) -> Val:
                return b.load(p) if width == 1 else f.load_vector(p, width)

            fixed = [load(f.at(p, (column, 1))) for p in p_column]
            zero = f32(0.0) if width == 1 else f.splat(f32(0.0), width)
            with f.loop(first, last, BLOCK, may_be_empty=True) as chunk:
                over = b.add(chunk.index, const(BLOCK))
                end = b.select(b.icmp_signed(">", over, last), last, over)
                with f.loop(chunk.index, end, carry=[zero] * len(mine)) as r:
                    values = [load(f.at(p, (r.index, columns), (column, 1))) for p in p_dense]
                    terms = term(f, *values, *fixed)
                    r.next = [b.fadd(a, t) for a, t in zip(r.carried, terms, strict=True)]
                for p, total in zip(mine, r.result, strict=True):
                    spot = f.at(p, (column, 1))
                    value = b.fadd(load(spot), total)
                    if width == 1:
                        b.store(value, spot)
                    else:
                        f.store_vector(value, spot)

        lanes = w.lanes
        full = columns // lanes * lanes
        if full:
            with f.loop(0, full, lanes) as c:
                block(c.index, lanes)
        if full < columns:
            with f.loop(full, columns) as c:
                block(c.index, 1)

    arrays = [*dense, *per_column, *parts]
    uses = [Use(a, i >= len(arrays) - len(parts), None) for i, a in enumerate(arrays)]
    w.kernel(("column-sums", key, rows, columns), arrays, write, uses)
    for part, out in zip(parts, outs, strict=True):
        combine(w, part, out, columns)


Sums = Callable[..., None]
"""``column_sums``, or what does the same on another machine."""


@lowering("batch_norm_training")
def lower_forward(w: Writer, steps: Sequence[NamedStep], sums: Sums = column_sums) -> int:
    """Mean, then variance around it, then scale and shift."""
    step = steps[0]
    (x, gamma, beta), (y, mean, var) = step.inputs, step.outputs
    size = _rows(x)
    if size is None or x.strides != y.strides:
        return 0
    rows, columns = size
    epsilon, share = step.attrs["epsilon"], f32(1.0 / rows)
    sums(w, ("sum",), rows, columns, [x], [], [mean], lambda f, v: [v])
    scale = lambda f, v: [f.b.fmul(v, share)]  # noqa: E731
    elementwise(w, ("scale", rows), mean.shape, [mean], [mean], scale)

    def square(f: Function, v: Val, m: Val) -> list[Val]:
        d = f.b.fsub(v, m)
        return [f.b.fmul(d, d)]

    sums(w, ("square",), rows, columns, [x], [mean], [var], square)
    factor = w.scratch(columns)

    def factors(f: Function, v: Val, g: Val) -> list[Val]:
        b = f.b
        variance = b.fmul(v, share)
        return [variance, b.fdiv(g, f.intrinsic("sqrt", b.fadd(variance, f32(epsilon))))]

    elementwise(w, ("factor", rows, epsilon), var.shape, [var, factor], [var, gamma], factors)
    shape = (1, columns) + (1,) * (x.ndim - 2)

    followers = _followers(steps[1:], y, [x, mean, var, gamma, beta])
    outputs = [y]
    extras: list[Any] = []
    for step, other in followers:
        outputs.append(step.outputs[0])
        extras += [] if other is None else [other]

    def normalise(f: Function, v: Val, m: Val, k: Val, o: Val, *rest: Val) -> list[Val]:
        b = f.b
        made = [f.fma(b.fsub(v, m), k, o)]
        further = iter(rest)
        for step, other in followers:
            value = made[-1]
            if other is None:
                made.append(RULES[step.name](f, step.attrs, value))
            else:
                made.append(b.fadd(value, next(further)))
        return made

    elementwise(
        w,
        ("normalise", tuple(rule_key(step) for step, _ in followers)),
        x.shape,
        outputs,
        [x, mean.reshape(shape), factor.reshape(shape), beta.reshape(shape), *extras],
        normalise,
    )
    return 1 + len(followers)


def _followers(steps: Sequence[NamedStep], y: Any, read: list[Any]) -> list[tuple[NamedStep, Any]]:
    """Steps after the normalisation that the same pass can do: a sum with a like array, or what
    makes one number of one.

    With each goes the other operand of a sum. None of them may write over what the pass still
    reads (``read``, and those operands), nor read from memory what the pass has yet to write.
    """

    def like(a: Any) -> bool:
        return bool(a.shape == y.shape and a.strides == y.strides and a.dtype == y.dtype)

    found: list[tuple[NamedStep, Any]] = []
    current, written = y, [y]
    for step in steps[:2]:
        single = len(step.inputs) == 1 and can_lower(step)
        if not (single or step.name == "add"):
            break
        if not all(map(like, (*step.inputs, step.outputs[0]))):
            break
        own = [address(a) == address(current) for a in step.inputs]
        others = [a for a, mine in zip(step.inputs, own, strict=True) if not mine]
        if any(overlap(a, b) for a in others for b in written):
            break
        if any(clash(step.outputs[0], a) for a in (*read, *others, *written)):
            break
        if single:
            if not own[0]:
                break
            found.append((step, None))
        elif own[0] != own[1]:
            found.append((step, step.inputs[1] if own[0] else step.inputs[0]))
        else:
            break
        current = step.outputs[0]
        written.append(current)
        read = [*read, *others]
    return found


@lowering("batch_norm_gradient")
def lower_gradient(w: Writer, steps: Sequence[NamedStep], sums: Sums = column_sums) -> int:
    """dx = gamma / std * (g - mean(g) - normalised * mean(g * normalised))."""
    step = steps[0]
    (x, gamma, mean, var, g), (dx, dgamma, dbeta) = step.inputs, step.outputs
    size = _rows(x)
    if size is None or x.strides != dx.strides or g.dtype != np.float32:
        return 0
    if g.strides != x.strides:
        copy = np.ndarray(x.shape, np.float32, w.scratch(x.size), 0, x.strides)
        copied(w, copy, g)
        g = copy
    rows, columns = size
    epsilon, share = step.attrs["epsilon"], f32(1.0 / rows)
    inverse = w.scratch(columns)

    def inverses(f: Function, v: Val) -> list[Val]:
        return [f.b.fdiv(f32(1.0), f.intrinsic("sqrt", f.b.fadd(v, f32(epsilon))))]

    elementwise(w, ("inverse", epsilon), var.shape, [inverse], [var], inverses)

    def terms(f: Function, v: Val, d: Val, m: Val, k: Val) -> list[Val]:
        b = f.b
        return [d, b.fmul(d, b.fmul(b.fsub(v, m), k))]

    sums(w, ("gradient",), rows, columns, [x, g], [mean, inverse], [dbeta, dgamma], terms)
    shape = (1, columns) + (1,) * (x.ndim - 2)

    def back(
        f: Function, v: Val, d: Val, m: Val, k: Val, sg: Val, sb: Val, scale: Val
    ) -> list[Val]:
        b = f.b
        normal = b.fmul(b.fsub(v, m), k)
        mean_part = f.fma(normal, b.fmul(sg, share), b.fmul(sb, share))
        return [b.fmul(b.fmul(scale, k), b.fsub(d, mean_part))]

    elementwise(
        w,
        ("batch-norm-gradient", rows),
        x.shape,
        [dx],
        [x, g, *(a.reshape(shape) for a in (mean, inverse, dgamma, dbeta, gamma))],
        back,
    )
    return 1
