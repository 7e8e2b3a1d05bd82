"""The GRU's recurrence: the reset gate acts after the product with the state."""

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
from engine.native.lowerings.reduce import sum_rows
from engine.native.lowerings.rows import row_major
from engine.native.writer import Writer, element_strides, touching
from engine.ops.recurrence import spread

if TYPE_CHECKING:
    from engine.plan.program import NamedStep


@lowering("gru")
def lower_forward(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Gates, the state's share of the new gate, and the state of every step."""
    step = steps[0]
    gates, weight, bias, h0, lengths = step.inputs
    if not fits(step.outputs, step.inputs[:4], lengths):
        return 0
    gates, bias, h0 = (row_major(w, v) for v in (gates, bias, h0))
    n, length, width = gates.shape
    size = width // 3
    turn, weight = turn_for(w, weight.T, n)
    reverse, masked = bool(step.attrs["reverse"]), bool(step.attrs["masked"])
    room = w.scratch(n * (turn.factor + turn.result))
    wide = 4 * size

    def write(f: Function, thread: Val, count: Val, *pointers: Val) -> None:
        py, ph, pa, hidden, pg, pw, pb, p0, pl = pointers
        sums = f.at(hidden, (n, turn.factor))
        mine = turn.share(f, thread, count)
        with f.loop(*mine, may_be_empty=True) as r:
            line = f.at(p0, (r.index, size))
            f.copy(f.at(hidden, (r.index, turn.factor)), line, size, w.lanes)

        def one(t: Val) -> None:
            turn.multiply(f, hidden, pw, sums, mine, bias=pb)

            def places(r: Val) -> tuple[Val, list[Val], Val]:
                state = (r, length * size), (t, size)
                outs = [f.at(p, *state) for p in (ph, py)]
                return f.at(hidden, (r, turn.factor)), outs, f.at(pa, (r, length * wide), (t, wide))

            def alive(r: Val) -> None:
                own, outs, acts = places(r)
                given_ = f.at(pg, (r, length * width), (t, width))
                row = f.at(sums, (r, turn.result)), given_, acts
                f.each(size, w.lanes, lambda k, lanes: _cell(f, row, own, outs, size, k, lanes))

            def ended(r: Val) -> None:
                own, (new, out), acts = places(r)
                f.copy(new, own, size, w.lanes)
                clear(f, w.lanes, (out, size), (acts, wide))

            live = (pl, element_strides(lengths)[0]) if masked else None
            each_sample(f, *mine, live, t, alive, ended)

        forwards(f, length, reverse, one)

    written, read = [*step.outputs, room], [gates, weight, bias, h0, lengths]
    key = ("gru", gates.shape, turn, reverse, masked, element_strides(lengths))
    w.kernel(key, [*written, *read], write, touching(written, read))
    return 1


def _cell(
    f: Function,
    row: tuple[Val, Val, Val],
    own: Val,
    outs: Sequence[Val],
    size: int,
    k: Val | int,
    lanes: int,
) -> None:
    """``h' = n + u (h - n)`` with ``n = tanh(gate + r * share)``.

    ``row`` is what the state and the input add to the gates, and where the gates go; ``own`` is
    the state, before and after.
    """
    b = f.b
    product, part = (
        [f.load(f.at(p, (place * size, 1), (k, 1)), lanes) for place in range(3)] for p in row[:2]
    )
    spots = [f.at(row[2], (place * size, 1), (k, 1)) for place in range(4)]
    own = f.at(own, (k, 1))
    r, u = (mathfn.sigmoid(f, b.fadd(product[i], part[i])) for i in (0, 1))
    n = mathfn.tanh(f, b.fadd(b.fmul(product[2], r), part[2]))
    h = b.fadd(b.fmul(b.fsub(f.load(own, lanes), n), u), n)
    for value, spot in zip((r, u, n, product[2]), spots, strict=True):
        f.store(value, spot, lanes)
    for out in (own, *(f.at(p, (k, 1)) for p in outs)):
        f.store(h, out, lanes)


@lowering("gru_gradient")
def lower_gradient(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Back through the steps, then one product for the recurrent weights."""
    step = steps[0]
    weight, h0, lengths, hs, acts = step.inputs[:5]
    dgates, dweight, dbias, dh = step.outputs
    if not fits(step.outputs, [weight, h0, hs, acts, *step.inputs[5:]], lengths):
        return 0
    incoming = spread(step.attrs["given"], [row_major(w, v) for v in step.inputs[5:]])
    h0, hs, acts = (row_major(w, v) for v in (h0, hs, acts))
    n, length, wide = acts.shape
    size = wide // 4
    width = 3 * size
    turn, weight = turn_for(w, weight, n)
    reverse, masked = bool(step.attrs["reverse"]), bool(step.attrs["masked"])
    before = w.scratch(n * length * size).reshape(n, length, size)
    dz = w.scratch(n * length * width).reshape(n, length, width)
    room = w.scratch(n * turn.factor)
    far = length * size

    def write(f: Function, thread: Val, count: Val, *pointers: Val) -> None:
        pg, pdh, pb, pz, own, pw, p0, ph, pa, pl, *rest = pointers
        further = iter(rest)
        gy, gh = (None if v is None else next(further) for v in incoming)
        mine = turn.share(f, thread, count)
        with f.loop(*mine, may_be_empty=True) as r:
            f.fill(f.at(pdh, (r.index, size)), size, w.lanes)

        def one(t: Val, earlier: Val | None) -> None:
            h, stride = (p0, size) if earlier is None else (f.at(ph, (earlier, size)), far)

            def gates(r: Val) -> list[Val]:
                place = (r, length * width), (t, width)
                return [f.at(pg, *place), f.at(pz, *place), f.at(own, (r, turn.factor))]

            def alive(r: Val) -> None:
                state, targets = ((r, far), (t, size)), gates(r)

                def cell(k: Val | int, lanes: int) -> None:
                    spot = (k, 1)
                    old = f.load(f.at(h, (r, stride), spot), lanes)
                    f.store(old, f.at(pb, *state, spot), lanes)
                    g = f.load(f.at(pdh, (r, size), spot), lanes)
                    for p in (gy, gh):
                        g = g if p is None else f.b.fadd(g, f.load(f.at(p, *state, spot), lanes))
                    acting = f.at(pa, (r, length * wide), (t, wide), spot)
                    outs = [f.at(p, spot) for p in targets]
                    back = _back(f, acting, old, g, outs, size, lanes)
                    f.store(back, f.at(pdh, (r, size), spot), lanes)

                f.each(size, w.lanes, cell)

            def ended(r: Val) -> None:
                state = (r, far), (t, size)
                f.fill(f.at(pb, *state), size, w.lanes)  # its gates have none: 0 times anything
                if gh is not None:
                    add_line(f, f.at(pdh, (r, size)), f.at(gh, *state), size, w.lanes)
                clear(f, w.lanes, *((line, width) for line in gates(r)))

            live = (pl, element_strides(lengths)[0]) if masked else None
            each_sample(f, *mine, live, t, alive, ended)
            turn.multiply(f, own, pw, pdh, mine, out_stride=size, accumulate=True)

        backwards(f, length, reverse, one)

    written = [dgates, dh, before, dz, room]
    read = [weight, h0, hs, acts, lengths, *(v for v in incoming if v is not None)]
    present = tuple(v is not None for v in incoming)
    key = ("gru-gradient", acts.shape, turn, reverse, masked, present, element_strides(lengths))
    w.kernel(key, [*written, *read], write, touching(written, read))
    flat = dz.reshape(-1, width)
    product(w, flat.T, before.reshape(-1, size), dweight)
    sum_rows(w, flat, dbias, n * length, width)
    return 1


def _back(
    f: Function, acting: Val, old: Val, g: Val, outs: Sequence[Val], size: int, lanes: int
) -> Val:
    """One element's gates, for the layer's input and for the product; what goes to the state."""
    b = f.b
    r, u, n, share = (f.load(f.at(acting, (place * size, 1)), lanes) for place in range(4))
    du = through_sigmoid(f, b.fmul(b.fsub(old, n), g), u)
    dn = through_tanh(f, b.fmul(b.fsub(f32(1.0), u), g), n)
    dr = through_sigmoid(f, b.fmul(dn, share), r)
    for_product = b.fmul(dn, r)
    for target, new in zip(outs, (dn, for_product, for_product), strict=True):
        for place, value in enumerate((dr, du, new)):
            f.store(value, f.at(target, (place * size, 1)), lanes)
    return b.fmul(g, u)
