"""The LSTM's recurrence where samples end at steps of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.native import mathfn
from engine.native.emit import Function, Val, f32
from engine.native.lowerings import lowering
from engine.native.lowerings.matmul import pack, product
from engine.native.lowerings.recurrence import (
    add_line,
    backwards,
    clear,
    each_sample,
    fits,
    forwards,
    given,
    through_sigmoid,
    through_tanh,
    times_weight,
)
from engine.native.lowerings.rows import row_major
from engine.native.products import tile_for
from engine.native.writer import Writer, element_strides, touching

if TYPE_CHECKING:
    from engine.plan.program import NamedStep


@lowering("lstm", otherwise=True)
def lower_forward(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Gates, cell and hidden state of every step; a sample that has ended keeps its states."""
    step = steps[0]
    gates, weight, h0, c0, lengths = step.inputs
    if not fits(step.outputs, step.inputs[:4], lengths):
        return 0
    gates, h0, c0 = (row_major(w, v) for v in (gates, h0, c0))
    n, length, width = gates.shape
    size = width // 4
    turned = w.scratch(size * width).reshape(size, width)
    pack(w, weight.T, turned)
    tile = tile_for(w.cpu, -(-n // w.max_threads), width)
    reverse, masked = bool(step.attrs["reverse"]), bool(step.attrs["masked"])
    far = length * size

    def write(f: Function, thread: Val, count: Val, *pointers: Val) -> None:
        py, ph, pc, pa, pg, pw, ph0, pc0, pl = pointers
        first, last = f.share(n, thread, count, tile.rows)

        def one(t: Val, before: Val | None) -> None:
            starts = (ph0, pc0) if before is None else [f.at(p, (before, size)) for p in (ph, pc)]
            stride = size if before is None else far
            act = f.at(pa, (t, width))
            times_weight(
                f,
                starts[0],
                pw,
                act,
                first=first,
                last=last,
                total=n,
                inner=size,
                columns=width,
                row_stride=stride,
                out_stride=length * width,
                tile=tile,
                lanes=w.lanes,
                begin=(f.at(pg, (t, width)), length * width),
            )

            def alive(r: Val) -> None:
                row = f.at(act, (r, length * width))
                old = f.at(starts[1], (r, stride))
                outs = [f.at(p, (r, far), (t, size)) for p in (ph, pc, py)]
                f.each(size, w.lanes, lambda k, lanes: _cell(f, row, old, outs, size, k, lanes))

            def ended(r: Val) -> None:
                for start, p in zip(starts, (ph, pc), strict=True):
                    f.copy(f.at(p, (r, far), (t, size)), f.at(start, (r, stride)), size, w.lanes)
                row = f.at(act, (r, length * width))
                clear(f, w.lanes, (f.at(py, (r, far), (t, size)), size), (row, width))

            live = (pl, element_strides(lengths)[0]) if masked else None
            each_sample(f, first, last, live, t, alive, ended)

        forwards(f, length, reverse, one)

    read = [gates, turned, h0, c0, lengths]
    key = ("lstm-masked", gates.shape, tile, reverse, masked, element_strides(lengths))
    w.kernel(key, [*step.outputs, *read], write, touching(step.outputs, read))
    return 1


def _cell(
    f: Function, row: Val, old: Val, outs: Sequence[Val], size: int, k: Val | int, lanes: int
) -> None:
    b = f.b
    spots = [f.at(row, (gate * size, 1), (k, 1)) for gate in range(4)]
    raw = [f.load(p, lanes) for p in spots]
    i, forget, o = (mathfn.sigmoid(f, raw[gate]) for gate in (0, 1, 3))
    g = mathfn.tanh(f, raw[2])
    c = b.fadd(b.fmul(forget, f.load(f.at(old, (k, 1)), lanes)), b.fmul(i, g))
    h = b.fmul(o, mathfn.tanh(f, c))
    for value, spot in zip((i, forget, g, o), spots, strict=True):
        f.store(value, spot, lanes)
    for value, out in zip((h, c, h), outs, strict=True):
        f.store(value, f.at(out, (k, 1)), lanes)


@lowering("lstm_gradient", otherwise=True)
def lower_gradient(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Back through the steps; what reaches the state of an ended sample passes straight on."""
    step = steps[0]
    weight, h0, c0, lengths, hs, cs, acts = step.inputs[:7]
    dgates, dweight, dh, dc = step.outputs
    if not fits(step.outputs, [weight, h0, c0, hs, cs, acts, *step.inputs[7:]], lengths):
        return 0
    incoming = given(w, step.inputs[7:], hs.shape)
    if incoming is None:
        return 0
    weight, h0, c0, hs, cs, acts = (row_major(w, v) for v in (weight, h0, c0, hs, cs, acts))
    n, length, width = acts.shape
    size = width // 4
    tile = tile_for(w.cpu, -(-n // w.max_threads), size)
    reverse, masked = bool(step.attrs["reverse"]), bool(step.attrs["masked"])
    before = w.scratch(n * length * size).reshape(n, length, size)
    far = length * size

    def write(f: Function, thread: Val, count: Val, *pointers: Val) -> None:
        pz, pdh, pdc, pb, pw, ph0, pc0, ph, pc, pa, pl, *rest = pointers
        further = iter(rest)
        gy, gh, gc = (None if v is None else next(further) for v in incoming)
        first, last = f.share(n, thread, count, tile.rows)
        with f.loop(first, last, may_be_empty=True) as r:
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
                    acting, through = (f.at(p, *wide, spot) for p in (pa, pz))
                    c = f.load(f.at(pc, *state, spot), lanes)
                    passed = _back(f, acting, through, c, c_old, sums[0], sums[1], size, lanes)
                    f.store(passed, f.at(pdc, (r, size), spot), lanes)

                f.each(size, w.lanes, cell)
                clear(f, w.lanes, (f.at(pdh, (r, size)), size))

            def ended(r: Val) -> None:
                state = (r, far), (t, size)
                f.copy(f.at(pb, *state), f.at(starts[0], (r, stride)), size, w.lanes)
                for total, p in ((pdh, gh), (pdc, gc)):
                    if p is not None:
                        add_line(f, f.at(total, (r, size)), f.at(p, *state), size, w.lanes)
                clear(f, w.lanes, (f.at(pz, (r, length * width), (t, width)), width))

            live = (pl, element_strides(lengths)[0]) if masked else None
            each_sample(f, first, last, live, t, alive, ended)
            times_weight(
                f,
                f.at(pz, (t, width)),
                pw,
                pdh,
                first=first,
                last=last,
                total=n,
                inner=width,
                columns=size,
                row_stride=length * width,
                out_stride=size,
                tile=tile,
                lanes=w.lanes,
                accumulate=True,
            )

        backwards(f, length, reverse, one)

    written = [dgates, dh, dc, before]
    read = [weight, h0, c0, hs, cs, acts, lengths, *(v for v in incoming if v is not None)]
    present = tuple(v is not None for v in incoming)
    options = (tile, reverse, masked, present, element_strides(lengths))
    key = ("lstm-masked-gradient", acts.shape, *options)
    w.kernel(key, [*written, *read], write, touching(written, read))
    product(w, dgates.reshape(-1, width).T, before.reshape(-1, size), dweight)
    return 1


def _back(
    f: Function,
    acting: Val,
    through: Val,
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
        f.store(value, f.at(through, (number * size, 1)), lanes)
    return b.fmul(dc, forget)
