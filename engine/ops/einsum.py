"""Sums of products over named axes, and norms and products along axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.backend import Array
from engine.backend import einsum as into
from engine.errors import ShapeError
from engine.function import Call, Primitive, Step, apply, function, lift, primitive
from engine.ops.reduce import broadcast_to, normalise_axes, reduced_shape, sum_
from engine.value import Spec, same_dtype, setting


@primitive
class _Einsum(Primitive):
    name = "einsum"

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        dtype = same_dtype("einsum", *inputs)
        sizes = _sizes(attrs["terms"], inputs)
        return Spec(tuple(sizes[letter] for letter in attrs["result"]), dtype)

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        out, formula = outputs[0], f"{','.join(attrs['terms'])}->{attrs['result']}"
        path: Any = False
        if len(inputs) > 2:  # the order of the products depends on the shapes alone
            shapes = [np.broadcast_to(np.float32(0), x.shape) for x in inputs]
            path = np.einsum_path(formula, *shapes, optimize="greedy")[0]
        return lambda: into(formula, *inputs, out=out, optimize=path)

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        terms, result = call.attrs["terms"], call.attrs["result"]
        found: list[Any] = []
        for i, (x, need) in enumerate(zip(call.inputs, call.needs, strict=True)):
            if not need:
                found.append(None)
                continue
            others = [
                (t, v) for j, (t, v) in enumerate(zip(terms, call.inputs, strict=True)) if j != i
            ]
            known = set(result).union(*(t for t, _ in others))
            kept = "".join(letter for letter in terms[i] if letter in known)
            g = apply(
                "einsum",
                grads[0],
                *(v for _, v in others),
                terms=(result, *(t for t, _ in others)),
                result=kept,
            )
            # A letter that only this operand has was summed over: its gradient is repeated.
            wide = tuple(n if c in known else 1 for c, n in zip(terms[i], x.shape, strict=True))
            found.append(broadcast_to(g.reshape(wide), x.shape))
        return found


def _sizes(terms: Sequence[str], inputs: Sequence[Spec]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for term, spec in zip(terms, inputs, strict=True):
        if len(term) != len(spec.shape):
            raise ShapeError(
                f"einsum found shape {spec.shape} for '{term}'; expected one axis a letter."
            )
        for letter, n in zip(term, spec.shape, strict=True):
            if sizes.setdefault(letter, n) != n:
                raise ShapeError(
                    f"einsum found sizes {sizes[letter]} and {n} for axis '{letter}'; expected one "
                    "size a letter."
                )
    return sizes


@function("einsum")
def einsum(formula: str, *operands: Any) -> Any:
    """Sum of products by a formula such as ``"bij,bjk->bik"``, written in full.

    Letters of one operand must differ; every letter of the result must occur in an operand.
    """
    left, arrow, result = formula.replace(" ", "").partition("->")
    terms = tuple(left.split(","))
    letters = set("".join(terms))
    wrong = (
        not arrow
        or len(terms) != len(operands)
        or any(len(set(t)) != len(t) or not t.isalpha() for t in terms if t)
        or len(set(result)) != len(result)
        or not set(result) <= letters
    )
    if wrong:
        raise ShapeError(
            f"einsum found '{formula}' for {len(operands)} operands; expected one term of "
            "different letters each, '->', and letters of theirs."
        )
    return apply("einsum", *lift(*operands), terms=terms, result=result)


@primitive
class _Prod(Primitive):
    name = "prod"

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        return inputs[0].with_shape(reduced_shape(inputs[0].shape, (attrs["axis"],), True))

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        x, out, axis = inputs[0], outputs[0], attrs["axis"]
        return lambda: np.multiply.reduce(x, axis=axis, keepdims=True, out=out)

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        return (grads[0] * apply("prod_of_others", call.inputs[0], axis=call.attrs["axis"]),)


@primitive
class _ProdOfOthers(Primitive):
    """Product of all other elements along the axis; a quotient would fail where one is 0."""

    name = "prod_of_others"

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        return inputs[0]

    def scratch(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        return (inputs[0].with_shape(reduced_shape(inputs[0].shape, (attrs["axis"],), False)),)

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        x, out = (np.moveaxis(a, attrs["axis"], 0) for a in (inputs[0], outputs[0]))
        running, n = scratch[0], len(x)

        def step() -> None:
            running.fill(1)
            for i in range(n):
                np.copyto(out[i, ...], running)  # "..." keeps a single number an array
                np.multiply(running, x[i], out=running)
            running.fill(1)
            for i in range(n - 1, -1, -1):
                np.multiply(out[i], running, out=out[i, ...])
                np.multiply(running, x[i], out=running)

        return step

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        # <u, others(x)> is the sum over i of the product of row i, where u_i stands for x_i.
        x, u, axis = call.inputs[0], grads[0], call.attrs["axis"]
        n = x.shape[axis]
        own = np.eye(n, dtype=bool).reshape((n,) + (1,) * axis + (n,) + (1,) * (x.ndim - axis - 1))
        diagonal = x.constant_like(own)
        rows = apply("where", diagonal, u.reshape((1, *u.shape)), x.reshape((1, *x.shape)))
        others = apply("prod_of_others", rows, axis=axis + 1)
        rest = apply("where", diagonal, *lift(0.0, others))
        return (apply("sum", rest, axes=(0,), keepdims=False),)


@function("prod")
def prod(x: Any, axis: int | Sequence[int] | None = -1, keepdims: bool = False) -> Any:
    """Product over ``axis`` (all axes for None); its gradient is right where elements are 0."""
    axes = normalise_axes("prod", axis, x.ndim)
    y = x
    for a in axes:
        y = apply("prod", y, axis=a)
    return y if keepdims else y.reshape(reduced_shape(x.shape, axes, False))


@function("norm")
def norm(
    x: Any, axis: int | Sequence[int] | None = -1, keepdims: bool = False, epsilon: float = 0.0
) -> Any:
    """Euclidean length along ``axis``, ``sqrt(sum(x^2) + epsilon)``.

    Without ``epsilon`` the gradient of the length of zeros is 0.
    """
    epsilon = setting("norm", "epsilon", epsilon, 0.0)
    total = sum_(x * x, axis, keepdims=True)
    if epsilon:
        y = apply("sqrt", total + epsilon)
    else:
        # Where the sum is 0, sqrt has an infinite slope: take it out of the graph there.
        positive = apply("less", *lift(0.0, total))
        safe = apply("where", positive, *lift(total, 1.0))
        y = apply("where", positive, *lift(apply("sqrt", safe), 0.0))
    axes = normalise_axes("norm", axis, x.ndim)
    return y if keepdims else y.reshape(reduced_shape(x.shape, axes, False))
