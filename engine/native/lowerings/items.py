"""Runs of steps on the same items: attention's heads, or the rows of a normalisation.

Each thread takes whole items, and an item goes through all steps of a run before the next one
begins. What one step makes of it is still in the caches when the next step reads it, and no barrier
stands between them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.backend import reshaped
from engine.native.emit import GRAIN, Axis, Function, Val, const
from engine.native.loops import Nest, in_vectors, nest
from engine.native.lowerings.elementwise import (
    RULES,
    as_bit,
    as_byte,
    can_lower,
    rule_key,
)
from engine.native.lowerings.noise import dropped, numbered, numbers
from engine.native.lowerings.reduce import combine
from engine.native.lowerings.rows import (
    softmax_gradient_row,
    softmax_row,
    standardize_gradient_row,
    standardize_row,
)
from engine.native.products import product_rows, tile_for, transpose_into
from engine.native.writer import (
    SMALL,
    Use,
    Writer,
    clash,
    covered,
    element_strides,
    overlap,
    span,
    whole,
)

if TYPE_CHECKING:
    from engine.plan.program import NamedStep

LONGEST = 16
"""Steps of one run at most, as many as a lowering is shown: its code is compiled as a whole."""
TOGETHER = 12
"""Steps of one pass at most: what they load and make is held in registers."""
AHEAD = 8
"""Steps among which the one is looked for that says what the items are."""
BLOCK = 64
"""Items whose sums are added up before they join the whole: that keeps the error small."""
BY_ROWS = ("standardize", "standardize_gradient", "softmax", "softmax_gradient")


@dataclass(frozen=True)
class Pass:
    """A step that makes each element of its item by itself."""

    plan: Nest
    lanes: int
    value: Callable[[Function, list[Val]], Val]
    """Of an element, or of a register of them, from those of the inputs; what is bool is a bit."""
    bits: tuple[bool, ...]
    """Which of the inputs hold bools."""


@dataclass(frozen=True)
class Part:
    """What a step does to one item."""

    key: tuple[Any, ...]
    arrays: tuple[Any, ...]
    """All that it touches item by item, as views whose first axes count the items."""
    emit: Callable[[Function, list[Val], list[Val], Val], None] | Pass
    """``emit(f, places, pointers, room)``: the item's place on each axis, where its part of every
    array begins, and the thread's working memory."""
    outputs: int = 1
    """The first so many of the arrays are written."""
    room: int = 0
    """Working memory of a thread, in floats."""
    total: Any = None
    """A sum over all items: where it goes. ``emit`` adds to the working memory, which is this
    part's own."""


def beginnings() -> set[str]:
    """Steps with which a run may begin."""
    return {*PARTS, *RULES}


def lower(w: Writer, steps: Sequence[NamedStep]) -> int:
    """The first step and those after it that work on the same items."""
    outer = _items_of(steps, w.lanes)
    if outer is None:
        return 0
    count = int(np.prod(outer, dtype=np.int64))
    parts: list[Part] = []
    for step in steps[:LONGEST]:
        part = _part(w, step, outer, parts)
        if part is None or not _fits(part, parts, len(outer)):
            break
        parts.append(part)
        if count < 2 * w.max_threads:
            break  # other steps are better shared among the threads by their rows
    names = [step.name for step in steps[: len(parts)]]
    if "matmul" not in names and (len(parts) == 1 or not set(names) & set(BY_ROWS)):
        return 0
    _write(w, names, outer, count, parts)
    return len(parts)


def _items_of(steps: Sequence[NamedStep], lanes: int) -> tuple[int, ...] | None:
    """The axes that count the items: all but the last two of a product, or but one of rows."""
    for step in steps[:AHEAD]:
        out = step.outputs[0]
        if not out.size:
            return None
        if step.name == "matmul":
            return out.shape[:-2] if out.ndim > 2 else None
        if step.name in BY_ROWS:
            along = step.attrs.get("axis", -1) % out.ndim == out.ndim - 1
            return out.shape[:-1] if along and _fills(out.shape[-1], lanes, 8) else None
        if step.name not in PARTS and step.name not in RULES:
            return None
    return None


def _fills(size: int, lanes: int, share: int) -> bool:
    """True if a line takes some registers, and ``share`` of them for each element left over.

    Shorter lines are better taken many at a time, step by step: what a line costs anyway, and what
    is done element by element at its end, is more than the barriers and the caches are worth.
    """
    registers, rest = divmod(size, lanes)
    return registers >= max(4, share * rest)


def _write(
    w: Writer, names: Sequence[str], outer: tuple[int, ...], count: int, parts: Sequence[Part]
) -> None:
    arrays = [array for part in parts for array in part.arrays]
    # Arrays that begin at one address are one pointer: the compiler takes two for free of aliases.
    starts = [span(a)[0] for a in arrays]
    pointer_of = [starts.index(s) for s in starts]
    own = sorted(set(pointer_of))
    shared = max([part.room for part in parts if part.total is None], default=0)
    size = _rounded(shared)
    places_of = []
    for part in parts:
        places_of.append(0 if part.total is None else size)
        size += 0 if part.total is None else _rounded(part.room)
    room = w.scratch(max(1, w.max_threads * size))
    sums = [
        (i, w.scratch(w.max_threads * p.room)) for i, p in enumerate(parts) if p.total is not None
    ]
    passes = _passes(parts)
    alone = "matmul" not in names and count * max(a[(0,) * len(outer)].size for a in arrays) < SMALL

    def write(f: Function, thread: Val, threads: Val, *pointers: Val) -> None:
        b = f.b
        by_number = dict(zip(own, pointers, strict=False))
        mine = f.at(pointers[len(own)], (thread, size))
        totals = [
            (f.at(mine, (places_of[i], 1)), f.at(p, (thread, parts[i].room)), parts[i].room)
            for (i, _), p in zip(sums, pointers[len(own) + 1 :], strict=True)
        ]

        def item(number: Val) -> None:
            places = []
            rest = number
            for n in reversed(outer):
                places.append(b.srem(rest, const(n)))
                rest = b.sdiv(rest, const(n))
            places.reverse()
            numbered = iter(pointer_of)
            known: dict[tuple[int, tuple[int, ...]], Val] = {}

            def begin(array: Any) -> Val:
                moves = next(numbered), element_strides(array)[: len(outer)]
                if moves not in known:
                    known[moves] = f.at(by_number[moves[0]], *zip(places, moves[1], strict=True))
                return known[moves]

            pointers_of = [[begin(a) for a in part.arrays] for part in parts]
            for first, last in passes:
                emit = parts[first].emit
                if isinstance(emit, Pass):
                    _pass(f, [p.emit for p in parts[first:last]], pointers_of[first:last])
                else:
                    emit(f, places, pointers_of[first], f.at(mine, (places_of[first], 1)))

        def run(first: Val, last: Val) -> None:
            if not sums:
                with f.loop(first, last, may_be_empty=True) as i:
                    item(i.index)
                return
            for _, total, width in totals:
                f.fill(total, width, w.lanes)
            with f.loop(first, last, BLOCK, may_be_empty=True) as block:
                for some, _, width in totals:
                    f.fill(some, width, w.lanes)
                over = b.add(block.index, const(BLOCK))
                end = b.select(b.icmp_signed(">", over, last), last, over)
                with f.loop(block.index, end) as i:
                    item(i.index)
                for some, total, width in totals:
                    _add(f, total, some, width, w.lanes)

        if alone:
            with whole(thread, f):
                run(const(0), const(count))
            with b.if_then(b.icmp_signed("!=", thread, const(0))):
                for _, total, width in totals:
                    f.fill(total, width, w.lanes)
        else:
            run(*f.share(count, thread, threads))

    split = "one thread" if alone else None
    uses = [Use(room, True, split)]
    uses += [Use(a, i < p.outputs, split) for p in parts for i, a in enumerate(p.arrays)]
    uses += [Use(array, True, None) for _, array in sums]
    operands = [*(arrays[n] for n in own), room, *(array for _, array in sums)]
    keys = tuple(part.key for part in parts)
    places = tuple(places_of)
    key = ("+".join(names), outer, keys, tuple(passes), tuple(pointer_of), size, places, alone)
    w.kernel(key, operands, write, uses)
    for i, array in sums:
        combine(w, array, parts[i].total, parts[i].room)


def _passes(parts: Sequence[Part]) -> list[tuple[int, int]]:
    """The first part and the one behind the last of each pass: neighbours that work element by
    element do so together, in registers."""
    found: list[tuple[int, int]] = []
    for number, part in enumerate(parts):
        if found and _alike(part, parts[found[-1][0] : number]):
            found[-1] = found[-1][0], number + 1
        else:
            found.append((number, number + 1))
    return found


def _alike(part: Part, group: Sequence[Part]) -> bool:
    """True if one pass over an item can do the part as well, because it reads what the others
    have made, and writes what they have read, at the same places only."""
    one, out = part.emit, part.arrays[0]
    if not isinstance(one, Pass) or len(group) == TOGETHER:
        return False
    for other in group:
        two, made = other.emit, other.arrays[0]
        if not isinstance(two, Pass) or (one.plan.sizes, one.lanes) != (two.plan.sizes, two.lanes):
            return False
        # In one order of the axes, one place is the same element of both.
        if out.shape != made.shape or element_strides(out) != element_strides(made):
            return False
        if any(clash(out, a) for a in other.arrays) or any(clash(made, a) for a in part.arrays):
            return False
    return True


def _pass(f: Function, group: Sequence[Any], pointers_of: Sequence[Sequence[Val]]) -> None:
    """Go through an item once: load what none of the group has made, compute, store."""
    names_of = [
        [(id(p), s) for p, s in zip(pointers, one.plan.strides, strict=True)]
        for one, pointers in zip(group, pointers_of, strict=True)
    ]
    last_store = {names[0]: number for number, names in enumerate(names_of)}

    def inner(positions: list[Val], width: int) -> None:
        held: dict[Any, Val] = {}
        for number, (one, pointers) in enumerate(zip(group, pointers_of, strict=True)):
            names, plan = names_of[number], one.plan
            target, *spots = (
                f.at(p, *zip(positions, s, strict=True))
                for p, s in zip(pointers, plan.strides, strict=True)
            )
            for name, spot, steps, bit in zip(
                names[1:], spots, plan.strides[1:], one.bits, strict=True
            ):
                if name not in held:
                    value = f.load(spot, width if steps[-1] else 1)
                    held[name] = as_bit(f, value) if bit else value
            held[names[0]] = one.value(f, [held[name] for name in names[1:]])
            if last_store[names[0]] == number:
                f.store(as_byte(f, held[names[0]]), target, width)

    f.serial(group[0].plan.sizes, inner, lanes=group[0].lanes)


def _rounded(size: int) -> int:
    return -(-size // GRAIN) * GRAIN


def _add(f: Function, target: Val, source: Val, size: int, lanes: int) -> None:
    """``target += source``, a line of each."""

    def body(i: Val | int, width: int) -> None:
        spot = f.at(target, (i, 1))
        f.store(f.b.fadd(f.load(spot, width), f.load(f.at(source, (i, 1)), width)), spot, width)

    f.each(size, lanes, body)


# -- what may stand in one run ---------------------------------------------------------------------


def _fits(part: Part, before: Sequence[Part], axes: int) -> bool:
    """True if the part meets nothing of another item, on which another thread may be at work."""
    for other in (*before, part):
        for i, a in enumerate(part.arrays):
            for j, b in enumerate(other.arrays):
                writes = i < part.outputs or j < other.outputs
                if writes and not _item_by_item(a, b, axes):
                    return False
    # Sums over all items are known at the end only.
    totals = [p.total for p in (*before, part) if p.total is not None]
    arrays = [a for p in (*before, part) for a in p.arrays]
    return not any(overlap(total, a) for total in totals for a in arrays)


def _item_by_item(a: Any, b: Any, axes: int) -> bool:
    """True if two arrays share nothing, or each item of one the same item of the other."""
    if _region(a, axes) == _region(b, axes):
        return True
    (a0, a1), (b0, b1) = covered(a), covered(b)
    if a1 <= b0 or b1 <= a0:
        return True
    try:
        return not np.shares_memory(a, b, max_work=1000)  # type: ignore[arg-type]  # any number
    except np.exceptions.TooHardError:
        return False


def _region(array: Any, axes: int) -> tuple[Any, ...]:
    """Which bytes each item takes, and as what, whatever the order of the axes inside it."""
    inner = zip(array.shape[axes:], array.strides[axes:], strict=True)
    return (
        span(array)[0],
        array.dtype,
        array.strides[:axes],
        sorted(x for x in inner if x[0] != 1),
    )


# -- the parts -------------------------------------------------------------------------------------


def _part(
    w: Writer, step: NamedStep, outer: tuple[int, ...], before: Sequence[Part]
) -> Part | None:
    make = PARTS.get(step.name, _elementwise if step.name in RULES else None)
    return make(w, step, outer, before) if make is not None else None


def _of_items(array: Any, outer: tuple[int, ...], shape: Sequence[int]) -> Any:
    """The array as (items..., *shape), repeated where it is smaller."""
    return np.broadcast_to(array, (*outer, *shape))


def _product(
    w: Writer, step: NamedStep, outer: tuple[int, ...], before: Sequence[Part]
) -> Part | None:
    a, b = step.inputs
    out = step.outputs[0]
    if out.dtype != np.float32 or 0 in (*a.shape, *b.shape):
        return None
    if min(a.ndim, b.ndim) < 2 or out.shape[:-2] != outer:
        return None
    a = a.swapaxes(-1, -2) if step.attrs["transpose_a"] else a
    b = b.swapaxes(-1, -2) if step.attrs["transpose_b"] else b
    if element_strides(out)[-1] != 1 and out.shape[-1] != 1:
        # The transposed product writes row by row.
        a, b, out = (v.swapaxes(-1, -2) for v in (b, a, out))
    rows, inner, columns = a.shape[-2], a.shape[-1], b.shape[-1]
    a, b = _of_items(a, outer, (rows, inner)), _of_items(b, outer, (inner, columns))
    sa, sb, so = (element_strides(v)[-2:] for v in (a, b, out))
    if so[1] != 1 and columns > 1:
        return None
    packs = sb[1] != 1 and columns > 1
    tile = tile_for(w.cpu, rows, columns)

    def emit(f: Function, places: list[Val], pointers: list[Val], room: Val) -> None:
        result, left, right = pointers
        b_row = sb[0]
        if packs:
            if sb[0] == 1:
                transpose_into(f, right, sb, room, 0, inner, columns, w.lanes)
            else:
                with f.loop(0, inner) as k, f.loop(0, columns) as c:
                    value = f.b.load(f.at(right, (k.index, sb[0]), (c.index, sb[1])))
                    f.b.store(value, f.at(room, (k.index, columns), (c.index, 1)))
            right, b_row = room, columns
        product_rows(
            f,
            left,
            right,
            result,
            first=const(0),
            last=const(rows),
            total=rows,
            columns=columns,
            row_stride=sa[0],
            axes=[Axis(inner, sa[1], b_row)],
            out_stride=so[0],
            tile=tile,
            lanes=w.lanes,
        )

    strides = tuple(element_strides(v) for v in (out, a, b))
    key = ("matmul", rows, inner, columns, strides, tile, packs)
    return Part(key, (out, a, b), emit, room=inner * columns if packs else 0)


def _elementwise(
    w: Writer, step: NamedStep, outer: tuple[int, ...], before: Sequence[Part]
) -> Part | None:
    if not can_lower(step):
        return None
    out, inputs = step.outputs[0], step.inputs
    if step.name == "reshape" and out.shape != inputs[0].shape:
        pair = _as_made(inputs[0], out, before)
        if pair is None:
            return None
        inputs, out = (pair[0],), pair[1]
    axes = len(outer)
    if out.shape[:axes] != outer or out.ndim == axes:
        return None
    shape = out.shape[axes:]
    arrays = (out, *(_of_items(x, outer, shape) for x in inputs))
    plan = nest(shape, [v[(0,) * axes] for v in arrays])
    # A pass over all items may have longer lines than one over the rows of each.
    shorter = len(shape) > 1 and plan.sizes[-1] < nest(out.shape, arrays).sizes[-1]
    if shorter and not _fills(plan.sizes[-1], w.lanes, 1):
        return None
    lanes = w.lanes if in_vectors(plan, 1) else 1

    def value(f: Function, loaded: list[Val]) -> Val:
        return RULES[step.name](f, step.attrs, *loaded)

    bits = tuple(a.dtype == np.bool_ for a in arrays[1:])
    key = (rule_key(step), plan, lanes, tuple(element_strides(v)[:axes] for v in arrays))
    return Part(key, arrays, Pass(plan, lanes, value, bits))


def _as_made(x: Any, out: Any, before: Sequence[Part]) -> tuple[Any, Any] | None:
    """A copy from an array that an earlier part made, with the axes in that one's order."""
    seen = reshaped(out, x.shape)
    if seen is None:
        return None
    axes = sorted(zip(x.shape, x.strides, strict=True))
    for part in before:
        made = part.arrays[0]
        if span(made)[0] != span(x)[0] or made.ndim != x.ndim:
            continue
        pairs = list(zip(made.shape, made.strides, strict=True))
        if sorted(pairs) == axes and len(set(axes)) == len(axes):
            order = [list(zip(x.shape, x.strides, strict=True)).index(p) for p in pairs]
            return x.transpose(order), seen.transpose(order)
    return None


def _rows(
    w: Writer, step: NamedStep, outer: tuple[int, ...], before: Sequence[Part]
) -> Part | None:
    """What works along the last axis."""
    arrays, axes = (*step.outputs, *step.inputs), len(outer)
    out = arrays[0]
    if any(v.dtype != np.float32 or v.shape[:axes] != outer or v.ndim == axes for v in arrays):
        return None
    if step.attrs.get("axis", -1) % out.ndim != out.ndim - 1:
        return None
    if not all(v[(0,) * axes].flags.c_contiguous for v in arrays):
        return None
    rows, size = int(np.prod(out.shape[axes:-1], dtype=np.int64)), out.shape[-1]
    line, options = LINES[step.name], tuple(step.attrs.get(k) for k in ("epsilon",))

    def emit(f: Function, places: list[Val], pointers: list[Val], room: Val) -> None:
        with f.loop(0, rows) as row:
            spots = [
                f.at(p, (row.index, v.shape[-1])) for p, v in zip(pointers, arrays, strict=True)
            ]
            line(f, size, w.lanes, *spots, *(o for o in options if o is not None))

    widths = tuple(v.shape[-1] for v in arrays)
    strides = tuple(element_strides(v)[:axes] for v in arrays)
    key = (step.name, rows, widths, options, strides)
    return Part(key, arrays, emit, len(step.outputs))


def _sum(w: Writer, step: NamedStep, outer: tuple[int, ...], before: Sequence[Part]) -> Part | None:
    """Over all items, such as the gradient of what each row was multiplied by."""
    x, out, axes = step.inputs[0], step.outputs[0], len(outer)
    if x.dtype != np.float32 or x.ndim != axes + 1 or x.shape[:axes] != outer:
        return None
    if sorted(a % x.ndim for a in step.attrs["axes"]) != list(range(axes)):
        return None
    if not x[(0,) * axes].flags.c_contiguous or not out.flags.c_contiguous:
        return None
    size = x.shape[-1]

    def emit(f: Function, places: list[Val], pointers: list[Val], room: Val) -> None:
        _add(f, room, pointers[0], size, w.lanes)

    return Part(("sum", size, element_strides(x)[:axes]), (x,), emit, 0, size, out)


def _dropout(
    w: Writer, step: NamedStep, outer: tuple[int, ...], before: Sequence[Part]
) -> Part | None:
    (x, key_array), out = step.inputs, step.outputs[0]
    axes = len(outer)
    if x.dtype != np.float32 or out.shape[:axes] != outer or out.ndim == axes:
        return None
    counted = numbers(out.shape, step.attrs["mask_shape"])
    plan = nest(out.shape[axes:], [v[(0,) * axes] for v in (out, x, counted)])
    along = plan.strides[2][-1]
    even = plan.strides[0][-1] == plan.strides[1][-1] == 1 and along in (0, 1)
    lanes = w.lanes if even and plan.sizes[-1] >= 4 else 1
    steps = element_strides(counted)[:axes]
    key, body = dropped(step)

    def emit(f: Function, places: list[Val], pointers: list[Val], room: Val) -> None:
        b = f.b
        target, source, names = pointers
        pair = b.load(names), b.load(f.at(names, (1, 1)))
        start: Val = const(0)
        for place, stride in zip(places, steps, strict=True):
            start = b.add(start, b.mul(place, const(stride)))

        def inner(positions: list[Val], width: int) -> None:
            spots = [
                f.at(p, *zip(positions, s, strict=True))
                for p, s in zip((target, source), plan.strides, strict=False)
            ]
            number = numbered(f, start, positions, plan.strides[2], width)
            f.store(body(f, number, pair, f.load(spots[1], width)), spots[0], width)

        f.serial(plan.sizes, inner, lanes=lanes)

    # The key is one for all items.
    names = np.broadcast_to(key_array, (*outer, *key_array.shape))
    strides = tuple(element_strides(v)[:axes] for v in (out, x))
    return Part((key, plan, lanes, steps, strides), (out, x, names), emit)


PARTS: dict[str, Callable[..., Part | None]] = {
    "matmul": _product,
    "dropout": _dropout,
    "sum": _sum,
    **dict.fromkeys(BY_ROWS, _rows),
}
LINES: dict[str, Callable[..., None]] = {
    "softmax": softmax_row,
    "softmax_gradient": softmax_gradient_row,
    "standardize": standardize_row,
    "standardize_gradient": standardize_gradient_row,
}
