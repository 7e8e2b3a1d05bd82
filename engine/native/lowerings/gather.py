"""Selection by whole numbers, and the sums that are its gradients.

Indices are checked before the program runs, as native code cannot raise. Each element of a sum
belongs to one thread, which adds in the order of the indices: any number of threads, same result.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.native.emit import GRAIN, I64, Function, Val, const, f32
from engine.native.lowerings import lowering
from engine.native.lowerings.rows import packed, row_major
from engine.native.writer import SMALL, Writer, element_strides, touching
from engine.ops.gather import check_range

if TYPE_CHECKING:
    from engine.plan.program import NamedStep


def known(w: Writer, ids: Any) -> bool:
    """True if the indices are of a type that kernels read, and there before the program runs."""
    return ids.dtype.name in ("int64", "int32", "uint8") and ids.size > 0 and not w.writes(ids)


def index_at(f: Function, ids: Val, *terms: tuple[Val | int, int]) -> Val:
    """An index as a 64-bit number."""
    value = f.b.load(f.at(ids, *terms))
    if value.type == I64:
        return value
    return f.b.zext(value, I64) if value.type.width == 8 else f.b.sext(value, I64)


@lowering("take")
def lower_take(w: Writer, steps: Sequence[NamedStep]) -> int:
    """One line of the table after another."""
    step = steps[0]
    (table, ids), out = step.inputs, step.outputs[0]
    if not packed(out) or not known(w, ids) or table.dtype != np.float32:
        return 0
    width = math.prod(table.shape[1:])
    table = row_major(w, table)
    flat = _counted(ids)
    w.before.append(lambda: check_range("embedding", ids, table.shape[0]))

    def write(f: Function, thread: Val, count: Val, po: Val, pt: Val, pi: Val) -> None:
        first, last = f.share(ids.size, thread, count)
        with f.loop(first, last, may_be_empty=True) as i:
            row = f.at(pt, (index_at(f, pi, *flat(f, i.index)), width))
            f.copy(f.at(po, (i.index, width)), row, width, w.lanes)

    key = ("take", ids.shape, element_strides(ids), width)
    w.kernel(key, [out, table, ids], write, touching([out], [table, ids]))
    return 1


def _counted(ids: Any) -> Any:
    """A function from the number of an index, in row-major order, to the terms of its place."""
    shape, strides = ids.shape, element_strides(ids)
    if ids.flags.c_contiguous:
        return lambda f, number: [(number, 1)]

    def terms(f: Function, number: Val) -> list[tuple[Val, int]]:
        found = []
        for size, stride in zip(reversed(shape), reversed(strides), strict=True):
            found.append((f.b.srem(number, const(size)), stride))
            number = f.b.sdiv(number, const(size))
        return found

    return terms


@lowering("take_gradient")
def lower_take_gradient(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Every thread goes through all indices and adds its own columns of the lines."""
    step = steps[0]
    (g, ids), out = step.inputs, step.outputs[0]
    if not packed(out) or not known(w, ids) or g.dtype != np.float32:
        return 0
    rows, width = out.shape[0], math.prod(out.shape[1:])
    g = row_major(w, g)
    flat, padding = _counted(ids), step.attrs["padding_idx"]
    w.before.append(lambda: check_range("embedding", ids, rows))

    def write(f: Function, thread: Val, count: Val, po: Val, pg: Val, pi: Val) -> None:
        b = f.b
        first, last = f.share(width, thread, count, GRAIN)
        size = b.sub(last, first)
        whole = b.add(first, b.sub(size, b.srem(size, const(w.lanes))))

        def columns(body: Any) -> None:
            with f.loop(first, whole, w.lanes, may_be_empty=True) as c:
                body(c.index, w.lanes)
            with f.loop(whole, last, may_be_empty=True) as c:
                body(c.index, 1)

        with f.loop(0, rows) as r:
            line = f.at(po, (r.index, width))
            columns(lambda c, n: f.store(f32(0.0), f.at(line, (c, 1)), n))
        with f.loop(0, ids.size) as i:
            row = index_at(f, pi, *flat(f, i.index))
            line, source = f.at(po, (row, width)), f.at(pg, (i.index, width))

            def add(c: Val, n: int) -> None:
                spot = f.at(line, (c, 1))
                f.store(b.fadd(f.load(spot, n), f.load(f.at(source, (c, 1)), n)), spot, n)

            if padding is None:
                columns(add)
            else:
                with b.if_then(b.icmp_signed("!=", row, const(padding))):
                    columns(add)

    key = ("take-gradient", rows, width, ids.shape, element_strides(ids), padding)
    w.kernel(key, [out, g, ids], write, touching([out], [g, ids]))
    return 1


@lowering("gather")
def lower_gather(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Element by element."""
    step = steps[0]
    (x, ids), out, axis = step.inputs, step.outputs[0], step.attrs["axis"]
    if x.dtype != np.float32 or not known(w, ids) or not out.size:
        return 0
    sizes = out.shape
    xs, ns, os = (element_strides(v) for v in (x, ids, out))
    w.before.append(lambda: check_range("gather", ids, x.shape[axis]))

    def write(f: Function, thread: Val, count: Val, po: Val, px: Val, pi: Val) -> None:
        def element(places: list[Val], _width: int) -> None:
            index = index_at(f, pi, *zip(places, ns, strict=True))
            source = [*places[:axis], index, *places[axis + 1 :]]
            value = f.b.load(f.at(px, *zip(source, xs, strict=True)))
            f.b.store(value, f.at(po, *zip(places, os, strict=True)))

        f.walk(sizes, thread, count, element, alone=out.size < SMALL)

    w.kernel(("gather", sizes, axis, xs, ns, os), [out, x, ids], write, touching([out], [x, ids]))
    return 1


@lowering("gather_gradient", "scatter")
def lower_gather_gradient(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Line by line along the axis: zeros, then the gradients added where they came from."""
    step = steps[0]
    (g, ids), out, axis = step.inputs, step.outputs[0], step.attrs["axis"]
    if g.dtype != np.float32 or not known(w, ids) or not out.size:
        return 0
    lines = [n for i, n in enumerate(ids.shape) if i != axis] or [1]
    length, size = ids.shape[axis], out.shape[axis]
    gs, ns, os = (element_strides(v) for v in (g, ids, out))
    what = "scatter_add" if step.name == "scatter" else "gather"
    w.before.append(lambda: check_range(what, ids, size))

    def write(f: Function, thread: Val, count: Val, po: Val, pg: Val, pi: Val) -> None:
        b = f.b

        def line(places: list[Val], _width: int) -> None:
            def start(pointer: Val, strides: tuple[int, ...]) -> Val:
                others = [s for i, s in enumerate(strides) if i != axis] or [0]
                return f.at(pointer, *zip(places, others, strict=True))

            target, source, index = start(po, os), start(pg, gs), start(pi, ns)
            with f.loop(0, size) as k:
                b.store(f32(0.0), f.at(target, (k.index, os[axis])))
            with f.loop(0, length) as k:
                spot = f.at(target, (index_at(f, index, (k.index, ns[axis])), os[axis]))
                b.store(b.fadd(b.load(spot), b.load(f.at(source, (k.index, gs[axis])))), spot)

        f.walk(lines, thread, count, line, alone=out.size < SMALL)

    key = ("gather-gradient", ids.shape, size, axis, gs, ns, os)
    w.kernel(key, [out, g, ids], write, touching([out], [g, ids]))
    return 1


@lowering("one_hot")
def lower_one_hot(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Zeros, and a 1 in each line."""
    step = steps[0]
    ids, out = step.inputs[0], step.outputs[0]
    if not packed(out) or not known(w, ids):
        return 0
    classes, flat = out.shape[-1], _counted(ids)
    w.before.append(lambda: check_range("one_hot", ids, classes))

    def write(f: Function, thread: Val, count: Val, po: Val, pi: Val) -> None:
        first, last = f.share(ids.size, thread, count)
        with f.loop(first, last, may_be_empty=True) as i:
            line = f.at(po, (i.index, classes))
            f.fill(line, classes, w.lanes)
            f.b.store(f32(1.0), f.at(line, (index_at(f, pi, *flat(f, i.index)), 1)))

    key = ("one-hot", ids.shape, element_strides(ids), classes)
    w.kernel(key, [out, ids], write, touching([out], [ids]))
    return 1
