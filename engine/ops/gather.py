"""Selection by whole numbers: embedding, gather, one-hot, and the sums that are their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.backend import Array, array_module, strided, take_rows
from engine.errors import DTypeError, EngineError, ShapeError
from engine.function import Call, Primitive, Step, apply, function, lift, lift_ids, primitive
from engine.ops.reduce import normalise_axes
from engine.value import Spec, named_dtype


def _require_ids(what: str, ids: Spec) -> None:
    if ids.dtype.kind not in "iu":
        raise DTypeError(f"{what} found indices of type {ids.dtype.name}; expected whole numbers.")


def check_range(what: str, ids: Array, size: int) -> None:
    """Raise unless all indices lie in ``0 .. size - 1``."""
    low, high = (int(ids.min()), int(ids.max())) if ids.size else (0, 0)
    if ids.size and (low < 0 or high >= size):
        wrong = low if low < 0 else high
        raise EngineError(
            f"{what} found index {wrong}; expected 0 to {size - 1}. "
            "Check the ids, or enlarge the table."
        )


def places_along(x: Array, ids: Array, axis: int, place: Array) -> tuple[Array, Step]:
    """Memory of ``x`` as one line, and a step that finds elements along an axis there.

    The step writes into ``place`` where in the line those lie that ``ids`` name; it allocates
    nothing.
    """
    steps = [s // x.itemsize for s in x.strides]
    ends = [(n - 1) * s for n, s in zip(x.shape, steps, strict=True)] if x.size else []
    low = sum(end for end in ends if end < 0)
    size = sum(map(abs, ends)) + 1 if x.size else 0
    line = strided(x, (size,), (x.itemsize,), low * x.itemsize)
    lines = array_module(x).ogrid[tuple(slice(0, n) for n in ids.shape)]
    starts: list[Any] = [
        lines[i] * s for i, s in enumerate(steps) if i != axis and ids.shape[i] > 1
    ]
    if low:
        starts.append(-low)

    def step() -> None:
        np.multiply(ids, steps[axis], out=place, dtype=place.dtype)
        for start in starts:
            np.add(place, start, out=place)

    return line, step


@primitive
class _Take(Primitive):
    """Rows of a table (V, ...) by ids (...)."""

    name = "take"
    indices = 1

    def check(self, ids: Array, *inputs: Spec, **attrs: Any) -> None:
        check_range("embedding", ids, inputs[0].shape[0])

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        table, ids = inputs
        _require_ids("embedding", ids)
        return table.with_shape((*ids.shape, *table.shape[1:]))

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        (table, ids), out = inputs, outputs[0]
        if not isinstance(ids, np.ndarray):
            return lambda: take_rows(table, ids, out)

        def step() -> None:
            check_range("embedding", ids, table.shape[0])
            take_rows(table, ids, out)

        return step

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        table, ids = call.inputs
        attrs = {"rows": table.shape[0], "padding_idx": call.attrs["padding_idx"]}
        return apply("take_gradient", grads[0], ids, **attrs), None


@primitive
class _TakeGradient(Primitive):
    """Rows of the gradient added up by id; the padding row gets none."""

    name = "take_gradient"

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        g, ids = inputs
        return g.with_shape((attrs["rows"], *g.shape[len(ids.shape) :]))

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        (g, ids), out = inputs, outputs[0]
        xp, padding = array_module(g), attrs["padding_idx"]
        width = out.shape[1:]

        def step() -> None:
            out.fill(0)
            xp.add.at(out, ids.reshape(-1), g.reshape((ids.size, *width)))
            if padding is not None:
                out[padding] = 0

        return step

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        (g, ids), padding = call.inputs, call.attrs["padding_idx"]
        rows = apply("take", grads[0], ids, padding_idx=None)
        if padding is None:
            return rows, None
        padded = apply("equal", *lift(ids, padding)).reshape(
            (*ids.shape, *(1,) * (g.ndim - ids.ndim))
        )
        return apply("where", padded, *lift(0.0, rows)), None


@primitive
class _Gather(Primitive):
    """Elements along one axis by an array of indices of the output's shape."""

    name = "gather"
    indices = 1

    def check(self, ids: Array, *inputs: Spec, **attrs: Any) -> None:
        check_range("gather", ids, inputs[0].shape[attrs["axis"]])

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        x, ids = inputs
        axis = attrs["axis"]
        _require_ids("gather", ids)
        fits = len(x.shape) == len(ids.shape) and all(
            i == axis or n == m for i, (n, m) in enumerate(zip(x.shape, ids.shape, strict=True))
        )
        if not fits:
            raise ShapeError(
                f"gather on axis {axis} found shapes {x.shape} and {ids.shape}; "
                "expected all other axes to agree."
            )
        return x.with_shape(ids.shape)

    def scratch(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        return (Spec(inputs[1].shape, np.dtype(np.intp)),)

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        (x, ids), out, axis, place = inputs, outputs[0], attrs["axis"], scratch[0]
        line, find = places_along(x, ids, axis, place)

        def select() -> None:
            find()
            if place.size and line.size:
                take_rows(line, place, out)

        if not isinstance(ids, np.ndarray):
            return select

        def step() -> None:
            check_range("gather", ids, x.shape[axis])
            select()

        return step

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        x, ids = call.inputs
        axis = call.attrs["axis"]
        return apply("gather_gradient", grads[0], ids, axis=axis, size=x.shape[axis]), None


@primitive
class _GatherGradient(Primitive):
    name = "gather_gradient"

    def scratch(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        return (Spec(inputs[1].shape, np.dtype(np.intp)),)

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        shape = list(inputs[0].shape)
        shape[attrs["axis"]] = attrs["size"]
        return inputs[0].with_shape(tuple(shape))

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        (g, ids), out, axis = inputs, outputs[0], attrs["axis"]
        add, place = array_module(g).add, scratch[0]
        line, find = places_along(out, ids, axis, place)
        # NumPy is quicker in one axis.
        flat = g.flags.c_contiguous
        wanted, values = (place.reshape(-1), g.reshape(-1)) if flat else (place, g)

        def step() -> None:
            out.fill(0)
            find()
            add.at(line, wanted, values)

        return step

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        return apply("gather", grads[0], call.inputs[1], axis=call.attrs["axis"]), None


@primitive
class _Scatter(_GatherGradient):
    """The same sum by indices that no gather has checked."""

    name = "scatter"
    indices = 1

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        _require_ids("scatter_add", inputs[1])
        return super().infer(*inputs, **attrs)

    def check(self, ids: Array, *inputs: Spec, **attrs: Any) -> None:
        check_range("scatter_add", ids, attrs["size"])

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        add, ids = super().prepare(inputs, outputs, scratch, **attrs), inputs[1]
        if not isinstance(ids, np.ndarray):
            return add

        def step() -> None:
            check_range("scatter_add", ids, attrs["size"])
            add()

        return step


@primitive
class _OneHot(Primitive):
    name = "one_hot"
    passes_gradient = False
    indices = 0

    def check(self, ids: Array, *inputs: Spec, **attrs: Any) -> None:
        check_range("one_hot", ids, attrs["num_classes"])

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        _require_ids("one_hot", inputs[0])
        return Spec((*inputs[0].shape, attrs["num_classes"]), np.dtype(attrs["dtype"]))

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        ids, out = inputs[0], outputs[0]
        classes = array_module(ids).arange(attrs["num_classes"])
        if not isinstance(ids, np.ndarray):
            return lambda: np.equal(ids[..., None], classes, out=out)

        def step() -> None:
            check_range("one_hot", ids, len(classes))
            np.equal(ids[..., None], classes, out=out)

        return step


@function("embedding")
def embedding(ids: Any, table: Any, padding_idx: int | None = None) -> Any:
    """Row ``ids[...]`` of the table (V, D), shape (..., D).

    The row ``padding_idx`` gets no gradient, so it stays what it was at first.
    """
    if table.ndim < 2:
        raise ShapeError(f"embedding found table {table.shape}; expected (rows, width).")
    if padding_idx is not None and not 0 <= padding_idx < table.shape[0]:
        raise EngineError(
            f"embedding found padding_idx={padding_idx} for {table.shape[0]} rows; expected 0 to "
            f"{table.shape[0] - 1}."
        )
    return apply("take", table, lift_ids("embedding", ids, table), padding_idx=padding_idx)


@function("gather")
def gather(x: Any, indices: Any, axis: int = -1) -> Any:
    """``x[..., indices[...], ...]`` along ``axis``; indices have the shape of the result."""
    axis = normalise_axes("gather", axis, x.ndim)[0]
    return apply("gather", x, lift_ids("gather", indices, x), axis=axis)


@function("one_hot")
def one_hot(ids: Any, num_classes: int, dtype: str = "float32") -> Any:
    """1 in the place of each id and 0 elsewhere, shape (..., num_classes)."""
    if num_classes < 1:
        raise EngineError(f"one_hot found num_classes={num_classes}; expected 1 or more.")
    target = named_dtype("one_hot", dtype)
    ids = lift_ids("one_hot", ids)
    return apply("one_hot", ids, num_classes=int(num_classes), dtype=target.name)
