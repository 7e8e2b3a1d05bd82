"""Where each value of a program lies: aliases, lifetimes, and one arena for all of them."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.backend import Array, reshaped
from engine.function import Axes, Call, ViewPrimitive
from engine.plan.graph import StaticValue
from engine.plan.joins import Join, find_joins
from engine.value import Shape, Spec, Value

ALIGNMENT = 64
"""Bytes: a cache line, and the widest vector register."""


@dataclass(slots=True, eq=False)
class Storage:
    """A stretch of memory, alive from call ``first`` to call ``last``."""

    num_bytes: int
    first: int
    last: int
    offset: int = -1
    fixed: Array | None = None
    """Memory that exists already (weights, inputs); None if it lies in the arena."""


@dataclass(slots=True)
class Place:
    """A value inside a storage: shape and strides in bytes, and the distance from its start."""

    storage: Storage
    dtype: np.dtype
    shape: Shape
    strides: tuple[int, ...]
    offset: int = 0


@dataclass
class Layout:
    """Result of planning: the place of each value and of each scratch, and the arena's size."""

    places: dict[int, Place]
    scratch: list[list[Place]]
    aliased: set[int] = field(default_factory=set)
    """Orders of calls that do nothing, because their output is a view of their input."""
    num_bytes: int = 0


def ordered_strides(shape: Shape, order: Axes, itemsize: int) -> tuple[int, ...]:
    """Strides in bytes of a packed array whose axes lie in memory in the given order."""
    strides = [0] * len(shape)
    step = itemsize
    for axis in reversed(order):
        strides[axis] = step
        step *= shape[axis]
    return tuple(strides)


def plan_memory(
    calls: Sequence[Call],
    fixed: Mapping[int, Array],
    forced: Mapping[int, Array],
    kept: Sequence[Value],
) -> Layout:
    """Decide where every value lies.

    Parameters
    ----------
    calls : in the order in which they run
    fixed : by ``id(value)``
        Arrays of the leaves, constants included.
    forced : by ``id(value)``
        Arrays into which these computed values must be written.
    kept : values
        Read after the last call.
    """
    end = len(calls)
    last_use: dict[int, int] = {}
    for i, call in enumerate(calls):
        for value in call.inputs:
            last_use[id(value)] = i
    for value in kept:
        last_use[id(value)] = end
    layout = Layout({}, [])
    orders: dict[int, Axes] = {}
    joins = find_joins(calls, forced)
    turns = {call.order for join in joins.values() for chain in join.chains for call in chain}
    joined: dict[int, Storage] = {}
    dummy = np.empty(_largest(calls, fixed), np.uint8)

    for i, call in enumerate(calls):
        for value in call.inputs:
            if id(value) not in layout.places:
                _place_leaf(layout, orders, value, fixed)
        specs = [v.spec for v in call.inputs]
        result_orders = call.primitive.layout(
            [orders[id(v)] for v in call.inputs], specs, **call.attrs
        )
        landing = any(id(value) in forced for value in call.outputs)
        views = None if landing else _aliases(layout, call, dummy, call.order in turns)
        if call.order in joined and views is None:
            views = _put_together(layout, call, joined[call.order])
        if views is not None:
            layout.aliased.add(call.order)
        for j, value in enumerate(call.outputs):
            if id(value) in forced:
                array = forced[id(value)]
                storage = Storage(array.nbytes, i, end, fixed=array)
                place = Place(storage, array.dtype, array.shape, array.strides)
                orders[id(value)] = _order_of(array.strides, array.shape)
            else:
                spec, order = value.spec, result_orders[j]
                if views is None and id(value) in joins:
                    place = _part(joins[id(value)], value, i, joined)
                    orders[id(value)] = _order_of(place.strides, place.shape)
                elif views is not None:
                    place = views[j]
                    orders[id(value)] = _order_of(place.strides, place.shape)
                else:
                    strides = ordered_strides(spec.shape, order, spec.dtype.itemsize)
                    storage = Storage(spec.num_bytes, i, i)
                    if j == call.primitive.inplace_output:
                        storage = _taken_over(layout, call, i, spec, strides, last_use) or storage
                    place = Place(storage, spec.dtype, spec.shape, strides)
                    orders[id(value)] = order
            place.storage.last = max(place.storage.last, last_use.get(id(value), i))
            layout.places[id(value)] = place
        layout.scratch.append(
            []
            if call.order in layout.aliased
            else [
                Place(
                    Storage(s.num_bytes, i, i),
                    s.dtype,
                    s.shape,
                    ordered_strides(s.shape, tuple(range(len(s.shape))), s.dtype.itemsize),
                )
                for s in call.primitive.scratch(*specs, **call.attrs)
            ]
        )
    layout.num_bytes = _assign_offsets(layout)
    return layout


def _place_leaf(
    layout: Layout, orders: dict[int, Axes], value: Value, fixed: Mapping[int, Array]
) -> None:
    assert isinstance(value, StaticValue)
    array = fixed[id(value)]
    storage = Storage(array.nbytes, 0, 0, fixed=array)
    layout.places[id(value)] = Place(storage, array.dtype, array.shape, array.strides)
    orders[id(value)] = _order_of(array.strides, array.shape)


def _order_of(strides: Sequence[int], shape: Shape) -> Axes:
    """Memory order; axes of size 1, whose stride means nothing, follow their left neighbour."""
    order = sorted((a for a in range(len(shape)) if shape[a] != 1), key=lambda a: -strides[a])
    for axis in range(len(shape)):
        if shape[axis] == 1:
            order.insert(order.index(axis - 1) + 1 if axis - 1 in order else 0, axis)
    return tuple(order)


def _largest(calls: Sequence[Call], fixed: Mapping[int, Array]) -> int:
    sizes = [v.spec.num_bytes for c in calls for v in (*c.inputs, *c.outputs)]
    return max([*sizes, *(a.nbytes for a in fixed.values()), 1])


def _aliases(layout: Layout, call: Call, dummy: Array, turns: bool) -> list[Place] | None:
    """The outputs as views of the input, or None where its strides do not allow that.

    Axes with gaps between their elements are put together only where a join ``turns`` them: kernels
    want what they read in packed lines.
    """
    if not isinstance(call.primitive, ViewPrimitive) or any(v.size == 0 for v in call.outputs):
        return None
    source = layout.places[id(call.inputs[0])]
    if _span(source) > dummy.nbytes:
        return None
    base = dummy.__array_interface__["data"][0]
    seen = np.ndarray(source.shape, source.dtype, dummy, 0, source.strides)
    if call.primitive.name == "reshape":
        shape = call.outputs[0].shape
        if not (seen.flags.c_contiguous or turns or _splits_only(source, shape)):
            return None
        view = reshaped(seen, shape)
        if view is None:
            return None
        views: Sequence[Array] = (view,)
    else:
        views = call.primitive.views(seen, **call.attrs)
    if any(s < 0 for view in views for s in view.strides):
        return None
    return [
        Place(
            source.storage,
            source.dtype,
            view.shape,
            view.strides,
            source.offset + view.__array_interface__["data"][0] - base,
        )
        for view in views
    ]


def _splits_only(source: Place, shape: Shape) -> bool:
    """True if the new shape only cuts axes into several, which strided memory always allows."""
    target = list(shape)
    for size in source.shape:
        product = 1
        while target and product < size:
            product *= target.pop(0)
        if product != size or (size == 1 and target and target[0] == 1 and target.pop(0) != 1):
            return False
    return all(n == 1 for n in target)


def _part(join: Join, value: Value, at: int, joined: dict[int, Storage]) -> Place:
    """The place of an operand inside the result that it is made for."""
    size = join.call.outputs[0].spec.num_bytes
    storage = joined.setdefault(join.call.order, Storage(size, at, at))
    begin, strides = join.places[id(value)]
    return Place(storage, value.dtype, value.shape, strides, begin)


def _put_together(layout: Layout, call: Call, storage: Storage) -> list[Place] | None:
    """A concatenation whose operands lie in their places; None if one does not, or a reshape."""
    if call.primitive.name != "concatenate":
        return None
    result, axis = call.outputs[0], call.attrs["axis"]
    order = tuple(range(len(result.shape)))
    strides = ordered_strides(result.shape, order, result.dtype.itemsize)
    start = 0
    for value in call.inputs:
        place = layout.places[id(value)]
        lies = place.storage is storage and place.offset == start and place.strides == strides
        if not lies:
            return None
        start += value.shape[axis] * strides[axis]
    return [Place(storage, result.dtype, result.shape, strides)]


def _span(place: Place) -> int:
    return place.dtype.itemsize + sum(
        (n - 1) * s for n, s in zip(place.shape, place.strides, strict=True)
    )


def _taken_over(
    layout: Layout,
    call: Call,
    at: int,
    spec: Spec,
    strides: tuple[int, ...],
    last_use: Mapping[int, int],
) -> Storage | None:
    """The storage of an input that dies here and may hold the output instead."""
    for i in call.primitive.inplace:
        value = call.inputs[i]
        place = layout.places[id(value)]
        if (
            place.storage.fixed is None
            and place.storage.last == at
            and last_use[id(value)] == at
            and place.offset == 0
            and place.shape == spec.shape
            and place.dtype == spec.dtype
            and place.strides == strides
            and place.storage.num_bytes == spec.num_bytes
            and not any(
                other is not value and layout.places[id(other)].storage is place.storage
                for other in call.inputs
            )
        ):
            return place.storage
    return None


def _assign_offsets(layout: Layout) -> int:
    """Give each storage its offset: best fit among the stretches that are free when it is born."""
    storages = {
        id(p.storage): p.storage
        for group in (layout.places.values(), *layout.scratch)
        for p in group
        if p.storage.fixed is None and p.storage.num_bytes
    }
    births = sorted(storages.values(), key=lambda s: (s.first, -s.num_bytes))
    deaths: dict[int, list[Storage]] = {}
    free: list[tuple[int, int]] = []  # (offset, size), sorted, never touching
    top = clock = 0
    for storage in births:
        while clock < storage.first:
            for dead in deaths.pop(clock, ()):
                _release(free, dead.offset, _rounded(dead.num_bytes))
            clock += 1
        size = _rounded(storage.num_bytes)
        fits = [(n, offset) for offset, n in free if n >= size]
        if fits:
            n, offset = min(fits)
            free.remove((offset, n))
            if n > size:
                insort(free, (offset + size, n - size))
        elif free and free[-1][0] + free[-1][1] == top:
            offset, _ = free.pop()
            top = offset + size
        else:
            offset, top = top, top + size
        storage.offset = offset
        deaths.setdefault(storage.last, []).append(storage)
    return top


def _rounded(size: int) -> int:
    return math.ceil(size / ALIGNMENT) * ALIGNMENT


def _release(free: list[tuple[int, int]], offset: int, size: int) -> None:
    insort(free, (offset, size))
    i = free.index((offset, size))
    if i + 1 < len(free) and offset + size == free[i + 1][0]:
        free[i : i + 2] = [(offset, size + free[i + 1][1])]
        size = free[i][1]
    if i and free[i - 1][0] + free[i - 1][1] == offset:
        free[i - 1 : i + 1] = [(free[i - 1][0], free[i - 1][1] + size)]
