"""Operations that move elements without changing them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.backend import Array
from engine.errors import ShapeError
from engine.function import (
    Axes,
    Call,
    Primitive,
    Step,
    ViewPrimitive,
    apply,
    apply_all,
    function,
    lift,
    primitive,
)
from engine.ops.reduce import broadcast_to, normalise_axes
from engine.value import Shape, Spec, same_dtype


@primitive
class _Reshape(ViewPrimitive):
    name = "reshape"

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        return inputs[0].with_shape(attrs["shape"])

    def views(self, array: Array, **attrs: Any) -> Sequence[Array]:
        return (array.reshape(attrs["shape"]),)

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        source, target = inputs[0], outputs[0]
        if target.flags.c_contiguous:
            target = target.reshape(source.shape)
        elif source.flags.c_contiguous:
            source = source.reshape(target.shape)
        else:
            shape = target.shape
            return lambda: np.copyto(target, source.reshape(shape))
        return lambda: np.copyto(target, source)

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        return (apply("reshape", grads[0], shape=call.inputs[0].shape),)


@primitive
class _Transpose(ViewPrimitive):
    name = "transpose"

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        return inputs[0].with_shape(tuple(inputs[0].shape[a] for a in attrs["axes"]))

    def views(self, array: Array, **attrs: Any) -> Sequence[Array]:
        return (array.transpose(attrs["axes"]),)

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        axes = call.attrs["axes"]
        inverse = tuple(sorted(range(len(axes)), key=lambda i: axes[i]))
        return (apply("transpose", grads[0], axes=inverse),)


@primitive
class _Slice(ViewPrimitive):
    """Regular part: ``start``, ``stop``, ``step`` for each axis."""

    name = "slice"

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        return inputs[0].with_shape(tuple(len(range(*part)) for part in attrs["parts"]))

    def views(self, array: Array, **attrs: Any) -> Sequence[Array]:
        return (array[_slices(attrs["parts"])],)

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        shape = call.inputs[0].shape
        return (apply("slice_gradient", grads[0], shape=shape, parts=call.attrs["parts"]),)


@primitive
class _Split(ViewPrimitive):
    """Parts of the given sizes along an axis, all of it."""

    name = "split"

    def infer(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        shape, axis = inputs[0].shape, attrs["axis"]
        return tuple(
            inputs[0].with_shape((*shape[:axis], n, *shape[axis + 1 :])) for n in attrs["sizes"]
        )

    def views(self, array: Array, **attrs: Any) -> Sequence[Array]:
        parts = _bounds(array.shape, attrs["axis"], attrs["sizes"])
        return [array[_slices(part)] for part in parts]

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        x, axis = call.inputs[0], call.attrs["axis"]
        if all(g is not None for g in grads):
            return (apply("concatenate", *grads, axis=axis),)
        total = None
        for g, part in zip(grads, _bounds(x.shape, axis, call.attrs["sizes"]), strict=True):
            if g is not None:
                placed = apply("slice_gradient", g, shape=x.shape, parts=part)
                total = placed if total is None else total + placed
        return (total,)


def _bounds(
    shape: Shape, axis: int, sizes: Sequence[int]
) -> list[tuple[tuple[int, int, int], ...]]:
    """Start, stop and step along each axis, for each of the parts."""
    whole = tuple((0, n, 1) for n in shape)
    ends = list(itertools.accumulate(sizes))
    return [
        (*whole[:axis], (end - n, end, 1), *whole[axis + 1 :])
        for n, end in zip(sizes, ends, strict=True)
    ]


@primitive
class _SliceGradient(Primitive):
    """Zeros of ``shape`` with the operand in the places of ``parts``."""

    name = "slice_gradient"

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        return inputs[0].with_shape(attrs["shape"])

    def layout(self, orders: Sequence[Axes], specs: Sequence[Spec], **attrs: Any) -> list[Axes]:
        return [orders[0]]

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        g, out = inputs[0], outputs[0]
        part = out[_slices(attrs["parts"])]

        def step() -> None:
            out.fill(0)
            np.copyto(part, g)

        return step

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        return (apply("slice", grads[0], parts=call.attrs["parts"]),)


def _slices(parts: Sequence[tuple[int, int, int]]) -> tuple[slice, ...]:
    # range() uses stop -1 for "past the first element", which a slice would read as the last one.
    return tuple(slice(a, None if b < 0 else b, c) for a, b, c in parts)


@primitive
class _Concatenate(Primitive):
    name = "concatenate"

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        axis = attrs["axis"]
        dtype = same_dtype("concatenate", *inputs)
        first = inputs[0].shape
        for spec in inputs[1:]:
            fits = len(spec.shape) == len(first) and all(
                i == axis or n == m for i, (n, m) in enumerate(zip(spec.shape, first, strict=True))
            )
            if not fits:
                found = " and ".join(str(s.shape) for s in inputs)
                raise ShapeError(
                    f"concatenate on axis {axis} found shapes {found}; "
                    "expected all other axes to agree."
                )
        total = sum(s.shape[axis] for s in inputs)
        return Spec((*first[:axis], total, *first[axis + 1 :]), dtype)

    def layout(self, orders: Sequence[Axes], specs: Sequence[Spec], **attrs: Any) -> list[Axes]:
        return [orders[0]]

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        out, axis = outputs[0], attrs["axis"]
        pairs, start = [], 0
        for x in inputs:
            stop = start + x.shape[axis]
            pairs.append((out[(slice(None),) * axis + (slice(start, stop),)], x))
            start = stop

        def step() -> None:
            for part, x in pairs:
                np.copyto(part, x)

        return step

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        axis = call.attrs["axis"]
        parts = split(grads[0], [x.shape[axis] for x in call.inputs], axis)
        return [g if need else None for g, need in zip(parts, call.needs, strict=True)]


@function("reshape")
def reshape(x: Any, shape: int | Sequence[int]) -> Any:
    """The same elements in row-major order in another shape; one size may be -1."""
    if isinstance(shape, int | np.integer):
        shape = (int(shape),)
    if isinstance(shape, str) or not all(isinstance(n, int | np.integer) for n in shape):
        raise ShapeError(f"reshape found shape {shape!r}; expected whole numbers.")
    sizes = [n if isinstance(n, int) else int(n) for n in shape]  # "N" stays what it is called
    if sizes.count(-1) > 1:
        raise ShapeError(f"reshape found {tuple(shape)}; expected at most one -1.")
    known = math.prod(n for n in sizes if n != -1)
    if -1 in sizes:
        if known == 0 or x.size % known:
            raise ShapeError(
                f"reshape cannot take {x.shape} ({x.size} elements) to {tuple(shape)}: "
                f"{x.size} is not a multiple of {known}."
            )
        sizes[sizes.index(-1)] = x.size // known
    elif known != x.size or min(sizes, default=0) < 0:
        raise ShapeError(
            f"reshape cannot take {x.shape} ({x.size} elements) to {tuple(shape)} "
            f"({known} elements)."
        )
    target = tuple(sizes)
    if target == x.shape:
        return x
    return apply("reshape", x, shape=target)


@function("flatten")
def flatten(x: Any, start_axis: int = 1) -> Any:
    """``x`` with all axes from ``start_axis`` on joined into one, row-major."""
    if x.ndim < start_axis:
        raise ShapeError(f"flatten found shape {x.shape}; expected at least {start_axis} axes.")
    lead = x.shape[:start_axis]
    return reshape(x, (*lead, math.prod(x.shape[start_axis:])))


@function("transpose")
def transpose(x: Any, axes: Sequence[int] | None = None) -> Any:
    """Axes in another order; reversed by default."""
    order = tuple(range(x.ndim))[::-1] if axes is None else tuple(axes)
    if len(order) != x.ndim:
        hint = " To exchange two of them use swapaxes." if len(order) == 2 else ""
        raise ShapeError(
            f"transpose found axes {order} for shape {x.shape}; expected each of its {x.ndim} axes "
            f"once.{hint}"
        )
    normalise_axes("transpose", order, x.ndim)
    order = tuple(a % x.ndim for a in order)
    return x if order == tuple(range(x.ndim)) else apply("transpose", x, axes=order)


@function("swapaxes")
def swapaxes(x: Any, a: int, b: int) -> Any:
    """``x`` with two axes in each other's place."""
    (first,), (second,) = (normalise_axes("swapaxes", axis, x.ndim) for axis in (a, b))
    order = list(range(x.ndim))
    order[first], order[second] = second, first
    return transpose(x, order)


@function("squeeze")
def squeeze(x: Any, axis: int | Sequence[int] | None = None) -> Any:
    """``x`` without the named axes of size 1 (all of them by default)."""
    if axis is None:
        return reshape(x, tuple(n for n in x.shape if n != 1))
    axes = normalise_axes("squeeze", axis, x.ndim)
    for a in axes:
        if x.shape[a] != 1:
            raise ShapeError(
                f"squeeze found size {x.shape[a]} on axis {a} of {x.shape}; expected 1."
            )
    return reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in axes))


@function("unsqueeze")
def unsqueeze(x: Any, axis: int | Sequence[int]) -> Any:
    """``x`` with new axes of size 1 at the named places of the result."""
    count = 1 if isinstance(axis, int) else len(axis)
    axes = normalise_axes("unsqueeze", axis, x.ndim + count)
    sizes = iter(x.shape)
    return reshape(x, tuple(1 if i in axes else next(sizes) for i in range(x.ndim + count)))


@function("slice")
def slice_(x: Any, key: object) -> Any:
    """``x[key]`` as NumPy has it: integers, slices, ``...`` and None, or slices and arrays.

    Arrays are of whole numbers, or masks, and stand beside one another.
    """
    from engine.ops.index import by_arrays, is_array  # which is made of these functions

    keys = key if isinstance(key, tuple) else (key,)
    if any(map(is_array, keys)):
        return by_arrays(x, keys)
    if Ellipsis in keys:
        at = keys.index(Ellipsis)
        used = sum(k is not None and k is not Ellipsis for k in keys)
        keys = (*keys[:at], *[slice(None)] * (x.ndim - used), *keys[at + 1 :])
    used = sum(k is not None for k in keys)
    if used > x.ndim:
        raise ShapeError(f"slice found {used} indices for shape {x.shape}; expected {x.ndim}.")
    keys = (*keys, *[slice(None)] * (x.ndim - used))
    parts: list[tuple[int, int, int]] = []
    shape: list[int] = []
    axis = 0
    for k in keys:
        if k is None:
            shape.append(1)
            continue
        size = x.shape[axis]
        if isinstance(k, slice):
            part = k.indices(size)
            if len(range(*part)) == 0:
                part = (0, 0, 1)
            shape.append(len(range(*part)))
        elif isinstance(k, int | np.integer):
            if not -size <= k < size:
                expected = f"{-size} to {size - 1}" if size else "no index, as there is nothing"
                raise ShapeError(
                    f"slice found index {k} on axis {axis} of size {size}; expected {expected}."
                )
            part = (int(k) % size, int(k) % size + 1, 1)
        else:
            raise ShapeError(
                f"slice found {type(k).__name__}; expected integers, slices, or arrays of indices."
            )
        parts.append(part)
        axis += 1
    whole = all(part == (0, n, 1) for part, n in zip(parts, x.shape, strict=True))
    return reshape(x if whole else apply("slice", x, parts=tuple(parts)), tuple(shape))


@function("concatenate")
def concatenate(*xs: Any, axis: int = 1) -> Any:
    """Operands joined along ``axis``."""
    operands = _operands(xs)
    if not operands:
        raise ShapeError("concatenate found no operands; expected at least one.")
    axis = normalise_axes("concatenate", axis, operands[0].ndim)[0]
    return operands[0] if len(operands) == 1 else apply("concatenate", *operands, axis=axis)


def _operands(xs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Values given one by one or as one sequence, arrays among them lifted."""
    given = tuple(xs[0]) if len(xs) == 1 and isinstance(xs[0], list | tuple) else xs
    return lift(*given) if given else given


@function("stack")
def stack(*xs: Any, axis: int = 0) -> Any:
    """Operands of one shape joined along a new axis."""
    operands = _operands(xs)
    return concatenate(*(unsqueeze(x, axis) for x in operands), axis=axis)


@function("split")
def split(x: Any, sections: int | Sequence[int], axis: int = 1) -> Any:
    """A tuple of parts along ``axis``: a number of equal ones, or of the given sizes."""
    axis = normalise_axes("split", axis, x.ndim)[0]
    size = x.shape[axis]
    if isinstance(sections, str) or not isinstance(sections, int | Sequence | np.ndarray):
        raise ShapeError(f"split found {sections!r}; expected a number of parts, or their sizes.")
    if isinstance(sections, int):
        if sections < 1 or size % sections:
            raise ShapeError(
                f"split cannot cut size {size} on axis {axis} into {sections} equal parts; "
                "expected a number that divides it."
            )
        sections = [size // sections] * sections
    if sum(sections) != size or min(sections, default=0) < 0:
        raise ShapeError(
            f"split found sizes {tuple(sections)} for size {size} on axis {axis}; expected sizes "
            f"that add up to {size}."
        )
    return apply_all("split", x, axis=axis, sizes=tuple(int(n) for n in sections))


@function("tile")
def tile(x: Any, repeats: Sequence[int]) -> Any:
    """``x`` repeated as a whole along each axis."""
    if len(repeats) != x.ndim:
        raise ShapeError(
            f"tile found {tuple(repeats)} for shape {x.shape}; expected one number an axis."
        )
    wide = reshape(x, tuple(m for n in x.shape for m in (1, n)))
    shape: Shape = tuple(m for n, r in zip(x.shape, repeats, strict=True) for m in (r, n))
    full = broadcast_to(wide, shape)
    return reshape(full, tuple(n * r for n, r in zip(x.shape, repeats, strict=True)))
