"""Comparison and selection: less, equal and their kin, where, argmax, accuracy, cast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.backend import Array, array_module
from engine.errors import DTypeError, ShapeError
from engine.function import Call, Primitive, Step, apply, function, lift, lift_ids, primitive
from engine.ops.elementwise import broadcast_shapes
from engine.ops.reduce import normalise_axes, reduced_shape, sum_to
from engine.value import FLOATS, Spec, Value, named_dtype, require_float, same_dtype

BOOL = np.dtype(bool)


class _Compare(Primitive):
    elementwise = True
    passes_gradient = False
    ufunc: np.ufunc

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        same_dtype(self.name, *inputs)
        return Spec(broadcast_shapes(self.name, *(s.shape for s in inputs)), BOOL)

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        ufunc, (a, b), out = self.ufunc, inputs, outputs[0]
        return lambda: ufunc(a, b, out=out)


@primitive
class _Less(_Compare):
    name = "less"
    ufunc = np.less


@primitive
class _LessEqual(_Compare):
    name = "less_equal"
    ufunc = np.less_equal


@primitive
class _Equal(_Compare):
    name = "equal"
    ufunc = np.equal


@primitive
class _NotEqual(_Compare):
    name = "not_equal"
    ufunc = np.not_equal


@primitive
class _Where(Primitive):
    name = "where"
    elementwise = True

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        if inputs[0].dtype != BOOL:
            raise DTypeError(
                f"where found a condition of type {inputs[0].dtype.name}; expected bool. "
                "Compare first (less, equal)."
            )
        dtype = same_dtype("where", *inputs[1:])
        return Spec(broadcast_shapes("where", *(s.shape for s in inputs)), dtype)

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        condition, a, b = inputs
        out = outputs[0]

        def step() -> None:
            np.copyto(out, b)
            np.copyto(out, a, where=condition)

        return step

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        condition, a, b = call.inputs
        g, zero = lift(grads[0], 0.0)
        return (
            None,
            sum_to(apply("where", condition, g, zero), a.shape) if call.needs[1] else None,
            sum_to(apply("where", condition, zero, g), b.shape) if call.needs[2] else None,
        )


@primitive
class _ArgMax(Primitive):
    name = "argmax"
    passes_gradient = False

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        if not inputs[0].shape[attrs["axis"]]:
            raise ShapeError(
                f"argmax found shape {inputs[0].shape}; expected at least one element to compare."
            )
        shape = reduced_shape(inputs[0].shape, (attrs["axis"],), False)
        return Spec(shape, np.dtype(np.int64))

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        x, out, axis = inputs[0], outputs[0], attrs["axis"]
        return lambda: np.argmax(x, axis=axis, out=out)


@primitive
class _Accuracy(Primitive):
    """Share of places whose greatest logit (the first of ties) is the label's."""

    name = "accuracy"
    passes_gradient = False

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        check_ids("accuracy", *inputs)
        require_float("accuracy", inputs[0])  # the share has the logits' type
        return Spec((), inputs[0].dtype)

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        (logits, ids), out = inputs, outputs[0]
        xp = array_module(logits)
        rest = tuple(n for i, n in enumerate(logits.shape) if i != 1)
        best, hit, share = xp.empty(rest, np.int64), xp.empty(rest, bool), xp.empty(())

        def step() -> None:
            np.argmax(logits, axis=1, out=best)
            np.equal(best, ids, out=hit)
            np.sum(hit, dtype=np.float64, out=share)
            np.divide(share, hit.size, out=share)  # of nothing it is not a number
            np.copyto(out, share, casting="same_kind")

        return step


@primitive
class _Cast(Primitive):
    name = "cast"
    elementwise = True

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        return inputs[0].with_dtype(attrs["dtype"])

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        x, out = inputs[0], outputs[0]
        return lambda: np.copyto(out, x, casting="unsafe")

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        source = call.inputs[0].dtype
        return (apply("cast", grads[0], dtype=source.name) if source in FLOATS else None,)


def check_ids(what: str, logits: Spec, ids: Spec) -> None:
    """Raise unless logits are (N, C, ...) and ids are whole numbers (N, ...)."""
    if len(logits.shape) < 2 or not logits.shape[1]:
        raise ShapeError(f"{what} found logits {logits.shape}; expected (N, classes, ...).")
    expected = logits.shape[:1] + logits.shape[2:]
    if ids.shape != expected:
        raise ShapeError(
            f"{what} found labels {ids.shape} beside logits {logits.shape}; "
            f"expected labels {expected}, one class id a place."
        )
    if ids.dtype.kind not in "iu":
        raise DTypeError(
            f"{what} found labels of type {ids.dtype.name}; expected whole numbers (int64)."
        )


@function("less")
def less(a: Any, b: Any) -> Any:
    """``a < b`` as bool."""
    return apply("less", *lift(a, b))


@function("greater")
def greater(a: Any, b: Any) -> Any:
    """``a > b`` as bool."""
    a, b = lift(a, b)
    return apply("less", b, a)


@function("less_equal")
def less_equal(a: Any, b: Any) -> Any:
    """``a <= b`` as bool."""
    return apply("less_equal", *lift(a, b))


@function("greater_equal")
def greater_equal(a: Any, b: Any) -> Any:
    """``a >= b`` as bool."""
    a, b = lift(a, b)
    return apply("less_equal", b, a)


@function("equal")
def equal(a: Any, b: Any) -> Any:
    """``a == b`` as bool."""
    return apply("equal", *lift(a, b))


@function("not_equal")
def not_equal(a: Any, b: Any) -> Any:
    """``a != b`` as bool."""
    return apply("not_equal", *lift(a, b))


@function("where")
def where(condition: Any, a: Any, b: Any) -> Any:
    """``a`` where the condition holds, else ``b``."""
    a, b = lift(a, b)
    if not isinstance(condition, Value):
        condition = a.constant_like(np.asarray(condition))
    return apply("where", condition, a, b)


@function("argmax")
def argmax(x: Any, axis: int = -1) -> Any:
    """Place of the greatest element along ``axis`` (the first of ties), int64."""
    return apply("argmax", x, axis=normalise_axes("argmax", axis, x.ndim)[0])


@function("argmin")
def argmin(x: Any, axis: int = -1) -> Any:
    """Place of the smallest element along ``axis`` (the first of ties), int64."""
    return argmax(-x, axis)


@function("accuracy")
def accuracy(logits: Any, ids: Any) -> Any:
    """Share of rows whose greatest logit is the label's, as a scalar in 0 .. 1."""
    return apply("accuracy", logits, lift_ids("accuracy", ids, logits))


@function("cast")
def cast(x: Any, dtype: str) -> Any:
    """``x`` converted to another element type."""
    target = named_dtype("cast", dtype)
    return x if x.dtype == target else apply("cast", x, dtype=target.name)
