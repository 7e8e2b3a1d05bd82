"""The LSTM's recurrence: each thread carries its own samples through all time steps.

No thread waits for another, and the recurrent weights stay in each core's cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.native import mathfn
from engine.native.emit import Axis, Function, Val, const, f32
from engine.native.lowerings import lowering
from engine.native.lowerings.matmul import panels, product
from engine.native.lowerings.rows import packed, row_major
from engine.native.products import product_rows, tile_for
from engine.native.writer import GRAIN, Use, Writer

if TYPE_CHECKING:
    from engine.plan.program import NamedStep


@lowering("lstm")
def lower_forward(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Gates, cell and hidden state of every step; the gates' input part is at hand."""
    step = steps[0]
    gates, weight, h0, c0, _ = step.inputs
    sequence, hs, cs, acts = step.outputs
    if step.attrs["masked"] or not packed(gates, weight, h0, c0, sequence, hs, cs, acts):
        return 0
    n, length, width = gates.shape
    size = width // 4
    tile = tile_for(w.cpu, -(-n // w.max_threads), width)
    turned = panels(w, weight.T, tile.vectors * w.lanes)
    reverse = bool(step.attrs["reverse"])

    # The step's own states and products: rows of the whole sequence lie so far apart that they
    # fall into the same few places of a cache, and a tile reads and writes many at once.
    spread, wide = size + GRAIN, width + GRAIN
    room = w.scratch(n * (2 * spread + wide))

    def write(f: Function, thread: Val, count: Val, *pointers: Val) -> None:
        pg, pw, ph0, pc0, py, ph, pc, pa, hidden = pointers
        cell = f.at(hidden, (n, spread))
        sums = f.at(cell, (n, spread))
        first, last = f.share(n, thread, count, tile.rows)
        with f.loop(first, last, may_be_empty=True) as r:
            for source, target in ((ph0, hidden), (pc0, cell)):
                line = f.at(source, (r.index, size))
                f.copy(f.at(target, (r.index, spread)), line, size, w.lanes)

        with f.loop(0, length) as turn:
            t = f.b.sub(const(length - 1), turn.index) if reverse else turn.index
            product_rows(
                f,
                hidden,
                pw,
                sums,
                first=first,
                last=last,
                total=n,
                columns=width,
                row_stride=spread,
                axes=[Axis(size, 1, tile.vectors * w.lanes)],
                out_stride=wide,
                tile=tile,
                lanes=w.lanes,
                panel=size,
            )
            with f.loop(first, last, may_be_empty=True) as r:
                whole = (r.index, length * width), (t, width)
                row = f.at(sums, (r.index, wide)), f.at(pg, *whole), f.at(pa, *whole)
                own = [f.at(p, (r.index, spread)) for p in (hidden, cell)]
                outs = [f.at(p, (r.index, length * size), (t, size)) for p in (ph, pc, py)]
                f.each(size, w.lanes, lambda k, lanes: _cell(f, row, own, outs, size, k, lanes))

    arrays = [gates, turned, h0, c0, sequence, hs, cs, acts, room]
    uses = [Use(a, i > 3, None) for i, a in enumerate(arrays)]
    w.kernel(("lstm", gates.shape, tile, reverse), arrays, write, uses)
    return 1


def _cell(
    f: Function,
    row: tuple[Val, Val, Val],
    own: list[Val],
    outs: list[Val],
    size: int,
    k: Val | int,
    lanes: int,
) -> None:
    """``row`` is what the state and the input add to the gates, and where the gates go.

    ``own`` are the states, before and after.
    """
    b = f.b
    hidden, cell = (f.at(p, (k, 1)) for p in own)
    by_state, by_input, spots = (
        [f.at(p, (gate * size, 1), (k, 1)) for gate in range(4)] for p in row
    )
    raw = [
        b.fadd(f.load(x, lanes), f.load(y, lanes)) for x, y in zip(by_input, by_state, strict=True)
    ]
    i, forget, o = (mathfn.sigmoid(f, raw[g]) for g in (0, 1, 3))
    g = mathfn.tanh(f, raw[2])
    c = b.fadd(b.fmul(forget, f.load(cell, lanes)), b.fmul(i, g))
    h = b.fmul(o, mathfn.tanh(f, c))
    for value, spot in zip((i, forget, g, o), spots, strict=True):
        f.store(value, spot, lanes)
    all_hidden, all_cells, sequence = (f.at(p, (k, 1)) for p in outs)
    for value, spots in ((h, (hidden, all_hidden, sequence)), (c, (cell, all_cells))):
        for spot in spots:
            f.store(value, spot, lanes)


@lowering("lstm_gradient")
def lower_gradient(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Back through the steps, then one product for the recurrent weights."""
    step = steps[0]
    weight, h0, c0, _, hs, cs, acts, gy, gh, gc = step.inputs
    dgates, dweight, dh, dc = step.outputs
    if step.attrs["masked"] or not packed(weight, h0, c0, hs, cs, acts, dgates, dweight, dh, dc):
        return 0
    n, length, width = acts.shape
    size = width // 4
    tile = tile_for(w.cpu, -(-n // w.max_threads), size)
    cut = panels(w, weight, tile.vectors * w.lanes)
    reverse = bool(step.attrs["reverse"])
    before = w.scratch(n * length * size).reshape(n, length, size)
    spread = width + GRAIN  # the step's own gradients of the gates, as the states in the forward
    step_gates = w.scratch(n * spread)
    # A gradient that nothing gives stands there as one zero, to be broadcast.
    incoming = [gy, gh, gc]
    present = [v.shape == hs.shape for v in incoming]
    if any(not there and v.any() for there, v in zip(present, incoming, strict=True)):
        return 0
    incoming = [row_major(w, v) if there else v for there, v in zip(present, incoming, strict=True)]
    passed = [v for there, v in zip(present, incoming, strict=True) if there]

    def write(f: Function, thread: Val, count: Val, *pointers: Val) -> None:
        pw, ph0, pc0, ph, pc, pa, pz, pdh, pdc, pb, ps, *rest = pointers
        further = iter(rest)
        grads = [next(further) if there else None for there in present]
        first, last = f.share(n, thread, count, tile.rows)
        with f.loop(first, last, may_be_empty=True) as r:
            for p in (pdh, pdc):
                f.fill(f.at(p, (r.index, size)), size, w.lanes)

        def place(number: Val) -> Val:
            return f.b.sub(const(length - 1), number) if reverse else number

        def one(t: Val, h: Val, c: Val, stride: int) -> None:
            with f.loop(first, last, may_be_empty=True) as r:
                state = (r.index, length * size), (t, size)

                def cell(k: Val | int, lanes: int) -> None:
                    spot = (k, 1)
                    acting = f.at(pa, (r.index, length * width), (t, width), spot)
                    through = [
                        f.at(pz, (r.index, length * width), (t, width), spot),
                        f.at(ps, (r.index, spread), spot),
                    ]
                    f.store(
                        f.load(f.at(h, (r.index, stride), spot), lanes),
                        f.at(pb, *state, spot),
                        lanes,
                    )
                    _back(
                        f,
                        acting,
                        through,
                        [None if p is None else f.at(p, *state, spot) for p in grads],
                        f.at(pc, *state, spot),
                        f.at(c, (r.index, stride), spot),
                        f.at(pdh, (r.index, size), spot),
                        f.at(pdc, (r.index, size), spot),
                        size,
                        lanes,
                    )

                f.each(size, w.lanes, cell)
            product_rows(
                f,
                ps,
                pw,
                pdh,
                first=first,
                last=last,
                total=n,
                columns=size,
                row_stride=spread,
                axes=[Axis(width, 1, tile.vectors * w.lanes)],
                out_stride=size,
                tile=tile,
                lanes=w.lanes,
                panel=width,
            )

        if length > 1:
            with f.loop(1, length) as turn:
                number = f.b.sub(const(length), turn.index)
                earlier = place(f.b.sub(number, const(1)))
                h, c = (f.at(p, (earlier, size)) for p in (ph, pc))
                one(place(number), h, c, length * size)
        one(place(const(0)), ph0, pc0, size)

    arrays = [cut, h0, c0, hs, cs, acts, dgates, dh, dc, before, step_gates, *passed]
    uses = [Use(a, 6 <= i <= 10, None) for i, a in enumerate(arrays)]
    key = ("lstm-gradient", acts.shape, tile, reverse, tuple(present))
    w.kernel(key, arrays, write, uses)
    product(w, dgates.reshape(-1, width).T, before.reshape(-1, size), dweight)
    return 1


def _back(
    f: Function,
    acting: Val,
    through: list[Val],
    grads: list[Val | None],
    cell: Val,
    old: Val,
    dh: Val,
    dc: Val,
    size: int,
    lanes: int,
) -> None:
    """One element's gates: ``dh`` and ``dc`` come in, the gates' gradients and ``dc`` go out."""
    b = f.b
    i, forget, g, o = (f.load(f.at(acting, (gate * size, 1)), lanes) for gate in range(4))
    gy, gh, gc = (None if p is None else f.load(p, lanes) for p in grads)
    hidden, state = f.load(dh, lanes), f.load(dc, lanes)
    for extra in (gy, gh):
        hidden = hidden if extra is None else b.fadd(hidden, extra)
    state = state if gc is None else b.fadd(state, gc)
    one = f32(1.0)
    t = mathfn.tanh(f, f.load(cell, lanes))
    slope = b.fsub(one, b.fmul(t, t))
    state = b.fadd(state, b.fmul(b.fmul(slope, o), hidden))

    def gate(value: Val, y: Val) -> Val:
        return b.fmul(value, b.fsub(y, b.fmul(y, y)))

    made = (
        gate(b.fmul(state, g), i),
        gate(b.fmul(state, f.load(old, lanes)), forget),
        b.fmul(b.fmul(state, i), b.fsub(one, b.fmul(g, g))),
        gate(b.fmul(hidden, t), o),
    )
    for number, value in enumerate(made):
        for place in through:
            f.store(value, f.at(place, (number * size, 1)), lanes)
    f.store(b.fmul(state, forget), dc, lanes)
