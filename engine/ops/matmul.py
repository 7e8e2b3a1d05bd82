"""Matrix product, batched, with transposed operands read in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.backend import Array
from engine.errors import ShapeError
from engine.function import Call, Primitive, Step, apply, function, lift, primitive
from engine.ops.elementwise import broadcast_shapes
from engine.ops.reduce import sum_to
from engine.value import Spec, require_float, same_dtype


@primitive
class _MatMul(Primitive):
    name = "matmul"

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        a, b = inputs
        dtype = same_dtype("matmul", a, b)
        require_float("matmul", a)
        if len(a.shape) < 2 or len(b.shape) < 2:
            raise ShapeError(
                f"matmul found shapes {a.shape} and {b.shape}; expected at least two axes each."
            )
        rows, inner = a.shape[-2:][::-1] if attrs["transpose_a"] else a.shape[-2:]
        inner_b, columns = b.shape[-2:][::-1] if attrs["transpose_b"] else b.shape[-2:]
        if inner != inner_b:
            turned = [name for name in ("a", "b") if attrs[f"transpose_{name}"]]
            note = f" (with {' and '.join(turned)} transposed)" if turned else ""
            raise ShapeError(
                f"matmul found shapes {a.shape} and {b.shape}{note}; "
                f"expected inner sizes that agree, not {inner} and {inner_b}."
            )
        batch = broadcast_shapes("matmul", a.shape[:-2], b.shape[:-2])
        return Spec((*batch, rows, columns), dtype)

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        a, b = inputs
        out = outputs[0]
        if attrs["transpose_a"]:
            a = a.swapaxes(-1, -2)
        if attrs["transpose_b"]:
            b = b.swapaxes(-1, -2)
        if a.shape[-1] == 0:
            return lambda: out.fill(0)
        if a.ndim == 2 and b.ndim == 2 and out.flags.c_contiguous:
            dot = getattr(np, "dot") if isinstance(a, np.ndarray) else a.__class__.dot  # noqa: B009
            return lambda: dot(a, b, out)
        return lambda: np.matmul(a, b, out=out)

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        g, (a, b) = grads[0], call.inputs
        turned_a, turned_b = call.attrs["transpose_a"], call.attrs["transpose_b"]
        ga = gb = None
        # The weight's first: the other then stands right before the step that reads it.
        if call.needs[1]:
            gb = _matmul(g, a, True, turned_a) if turned_b else _matmul(a, g, not turned_a, False)
            gb = sum_to(gb, b.shape)
        if call.needs[0]:
            ga = _matmul(b, g, turned_b, True) if turned_a else _matmul(g, b, False, not turned_b)
            ga = sum_to(ga, a.shape)
        return ga, gb


def _matmul(a: Any, b: Any, transpose_a: bool, transpose_b: bool) -> Any:
    return apply("matmul", a, b, transpose_a=transpose_a, transpose_b=transpose_b)


@function("matmul")
def matmul(a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False) -> Any:
    """``a @ b``, the last two axes as matrices, leading axes broadcast.

    ``transpose_a`` and ``transpose_b`` swap an operand's last two axes, without copying it.
    A vector is a matrix of one row (``a``) or one column (``b``), and its axis is dropped again.
    """
    a, b = lift(a, b)
    if a.ndim == 1:
        return matmul(a.reshape(1, -1), b, False, transpose_b).reshape(
            (*b.shape[:-2], b.shape[-2] if transpose_b else b.shape[-1]) if b.ndim > 1 else ()
        )
    if b.ndim == 1:
        rows = a.shape[-1] if transpose_a else a.shape[-2]
        return matmul(a, b.reshape(-1, 1), transpose_a, False).reshape((*a.shape[:-2], rows))
    if a.ndim > 2 and b.ndim == 2 and not transpose_a:
        # One large product is faster than many small ones.
        flat = _matmul(a.reshape(-1, a.shape[-1]), b, False, transpose_b)
        return flat.reshape((*a.shape[:-1], flat.shape[-1]))
    return _matmul(a, b, transpose_a, transpose_b)
