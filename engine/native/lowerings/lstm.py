"""The LSTM's recurrence: each thread carries its own samples through all time steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.native import mathfn
from engine.native.emit import Function, Val, f32
from engine.native.lowerings import lowering
from engine.native.lowerings.matmul import product
from engine.native.lowerings.recurrence import (
    add_line,
    backwards,
    clear,
    each_sample,
    fits,
    forwards,
    through_sigmoid,
    through_tanh,
    turn_for,
)
from engine.native.lowerings.rows import row_major
from engine.native.writer import Writer, element_strides, touching
from engine.ops.recurrence import spread

if TYPE_CHECKING:
    from engine.plan.program import NamedStep


@lowering("lstm")
def lower_forward(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Gates, cell and hidden state of every step; a sample that has ended keeps its states."""
    step = steps[0]
    gates, weight, h0, c0, lengths = step.inputs
    if not fits(step.outputs, step.inputs[:4], lengths):
        return 0
    gates, h0, c0 = (row_major(w, v) for v in (gates, h0, c0))
    n, length, width = gates.shape
    size = width // 4
    turn, weight = turn_for(w, weight.T, n)
    reverse, masked = bool(step.attrs["reverse"]), bool(step.attrs["masked"])
    room = w.scratch(n * (2 * turn.factor + turn.result))

    def write(f: Function, thread: Val, count: Val, *pointers: Val) -> None:
        py, ph, pc, pa, hidden, pg, pw, ph0, pc0, pl = pointers
        cell = f.at(hidden, (n, turn.factor))
        sums = f.at(cell, (n, turn.factor))
        mine = turn.share(f, thread, count)
        with f.loop(*mine, may_be_empty=True) as r:
            for source, target in ((ph0, hidden), (pc0, cell)):
                line = f.at(source, (r.index, size))
                f.copy(f.at(target, (r.index, turn.factor)), line, size, w.lanes)

        def one(t: Val) -> None:
            turn.multiply(f, hidden, pw, sums, mine)

            def places(r: Val) -> tuple[list[Val], list[Val], Val]:
                state = (r, length * size), (t, size)
                own = [f.at(p, (r, turn.factor)) for p in (hidden, cell)]
                acts = f.at(pa, (r, length * width), (t, width))
                return own, [f.at(p, *state) for p in (ph, pc, py)], acts

            def alive(r: Val) -> None:
                own, outs, acts = places(r)
                given_ = f.at(pg, (r, length * width), (t, width))
                row = f.at(sums, (r, turn.result)), given_, acts
                f.each(size, w.lanes, lambda k, lanes: _cell(f, row, own, outs, size, k, lanes))

            def ended(r: Val) -> None:
                own, outs, acts = places(r)
                for source, target in zip(own, outs[:2], strict=True):
                    f.copy(target, source, size, w.lanes)
                clear(f, w.lanes, (outs[2], size), (acts, width))

            live = (pl, element_strides(lengths)[0]) if masked else None
            each_sample(f, *mine, live, t, alive, ended)

        forwards(f, length, reverse, one)

    written, read = [*step.outputs, room], [gates, weight, h0, c0, lengths]
    key = ("lstm", gates.shape, turn, reverse, masked, element_strides(lengths))
    w.kernel(key, [*written, *read], write, touching(written, read))
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
    for place in (hidden, all_hidden, sequence):
        f.store(h, place, lanes)
    for place in (cell, all_cells):
        f.store(c, place, lanes)


@lowering("lstm_gradient")
def lower_gradient(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Back through the steps, then one product for the recurrent weights.

    What reaches the state of an ended sample passes straight on.
    """
    step = steps[0]
    weight, h0, c0, lengths, hs, cs, acts = step.inputs[:7]
    dgates, dweight, dh, dc = step.outputs
    if not fits(step.outputs, [weight, h0, c0, hs, cs, acts, *step.inputs[7:]], lengths):
        return 0
    incoming = spread(step.attrs["given"], [row_major(w, v) for v in step.inputs[7:]])
    h0, c0, hs, cs, acts = (row_major(w, v) for v in (h0, c0, hs, cs, acts))
    n, length, width = acts.shape
    size = width // 4
    turn, weight = turn_for(w, weight, n)
    reverse, masked = bool(step.attrs["reverse"]), bool(step.attrs["masked"])
    before = w.scratch(n * length * size).reshape(n, length, size)
    room = w.scratch(n * turn.factor)
    far = length * size

    def write(f: Function, thread: Val, count: Val, *pointers: Val) -> None:
        pz, pdh, pdc, pb, own, pw, ph0, pc0, ph, pc, pa, pl, *rest = pointers
        further = iter(rest)
        gy, gh, gc = (None if v is None else next(further) for v in incoming)
        mine = turn.share(f, thread, count)
        with f.loop(*mine, may_be_empty=True) as r:
            clear(f, w.lanes, *((f.at(p, (r.index, size)), size) for p in (pdh, pdc)))

        def one(t: Val, earlier: Val | None) -> None:
            starts = (ph0, pc0) if earlier is None else [f.at(p, (earlier, size)) for p in (ph, pc)]
            stride = size if earlier is None else far

            def alive(r: Val) -> None:
                state, wide = ((r, far), (t, size)), ((r, length * width), (t, width))

                def cell(k: Val | int, lanes: int) -> None:
                    spot = (k, 1)
                    h_old, c_old = (f.load(f.at(p, (r, stride), spot), lanes) for p in starts)
                    f.store(h_old, f.at(pb, *state, spot), lanes)
                    sums = [f.load(f.at(p, (r, size), spot), lanes) for p in (pdh, pdc)]
                    for number, p in ((0, gy), (0, gh), (1, gc)):
                        if p is not None:
                            extra = f.load(f.at(p, *state, spot), lanes)
                            sums[number] = f.b.fadd(sums[number], extra)
                    acting = f.at(pa, *wide, spot)
                    through = f.at(pz, *wide, spot), f.at(own, (r, turn.factor), spot)
                    c = f.load(f.at(pc, *state, spot), lanes)
                    passed = _back(f, acting, through, c, c_old, sums[0], sums[1], size, lanes)
                    f.store(passed, f.at(pdc, (r, size), spot), lanes)

                f.each(size, w.lanes, cell)
                if masked:
                    clear(f, w.lanes, (f.at(pdh, (r, size)), size))

            def ended(r: Val) -> None:
                state = (r, far), (t, size)
                f.fill(f.at(pb, *state), size, w.lanes)  # its gates have none: 0 times anything
                for total, p in ((pdh, gh), (pdc, gc)):
                    if p is not None:
                        add_line(f, f.at(total, (r, size)), f.at(p, *state), size, w.lanes)
                gates = f.at(pz, (r, length * width), (t, width)), f.at(own, (r, turn.factor))
                clear(f, w.lanes, *((line, width) for line in gates))

            live = (pl, element_strides(lengths)[0]) if masked else None
            each_sample(f, *mine, live, t, alive, ended)
            # With masks the sums start from what ended samples pass on.
            turn.multiply(f, own, pw, pdh, mine, out_stride=size, accumulate=masked)

        backwards(f, length, reverse, one)

    written = [dgates, dh, dc, before, room]
    read = [weight, h0, c0, hs, cs, acts, lengths, *(v for v in incoming if v is not None)]
    present = tuple(v is not None for v in incoming)
    key = ("lstm-gradient", acts.shape, turn, reverse, masked, present, element_strides(lengths))
    w.kernel(key, [*written, *read], write, touching(written, read))
    product(w, dgates.reshape(-1, width).T, before.reshape(-1, size), dweight)
    return 1


def _back(
    f: Function,
    acting: Val,
    through: Sequence[Val],
    c: Val,
    c_old: Val,
    dh: Val,
    dc: Val,
    size: int,
    lanes: int,
) -> Val:
    """The gates' gradients of one element are stored; what goes to the cell before."""
    b = f.b
    i, forget, g, o = (f.load(f.at(acting, (gate * size, 1)), lanes) for gate in range(4))
    t = mathfn.tanh(f, c)
    slope = b.fsub(f32(1.0), b.fmul(t, t))
    dc = b.fadd(dc, b.fmul(b.fmul(slope, o), dh))
    made = (
        through_sigmoid(f, b.fmul(dc, g), i),
        through_sigmoid(f, b.fmul(dc, c_old), forget),
        through_tanh(f, b.fmul(dc, i), g),
        through_sigmoid(f, b.fmul(dh, t), o),
    )
    for number, value in enumerate(made):
        for place in through:
            f.store(value, f.at(place, (number * size, 1)), lanes)
    return b.fmul(dc, forget)
