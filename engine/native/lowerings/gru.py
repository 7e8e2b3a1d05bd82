"""The GRU's recurrence: the reset gate acts after the product with the state."""

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
from engine.native.lowerings.reduce import sum_rows
from engine.native.lowerings.rows import row_major
from engine.native.products import tile_for
from engine.native.writer import Writer, element_strides, touching

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
    turned = w.scratch(size * width).reshape(size, width)
    pack(w, weight.T, turned)
    tile = tile_for(w.cpu, -(-n // w.max_threads), width)
    reverse, masked = bool(step.attrs["reverse"]), bool(step.attrs["masked"])
    wide = 4 * size

    def write(f: Function, thread: Val, count: Val, *pointers: Val) -> None:
        py, ph, pa, pg, pw, pb, p0, pl = pointers
        first, last = f.share(n, thread, count, tile.rows)

        def one(t: Val, before: Val | None) -> None:
            h, stride = (p0, size) if before is None else (f.at(ph, (before, size)), length * size)
            act = f.at(pa, (t, wide))
            # The product lies one place to the right, so that its last third is where the
            # state's share stays.
            times_weight(
                f,
                h,
                pw,
                f.at(act, (1, size)),
                first=first,
                last=last,
                total=n,
                inner=size,
                columns=width,
                row_stride=stride,
                out_stride=length * wide,
                tile=tile,
                lanes=w.lanes,
                bias=pb,
            )

            def places(r: Val) -> list[Val]:
                state = (r, length * size), (t, size)
                return [f.at(h, (r, stride)), f.at(ph, *state), f.at(py, *state)]

            def alive(r: Val) -> None:
                row = f.at(act, (r, length * wide))
                gate = f.at(pg, (r, length * width), (t, width))
                old, new, out = places(r)
                f.each(size, w.lanes, lambda k, m: _cell(f, row, gate, old, (new, out), size, k, m))

            def ended(r: Val) -> None:
                old, new, out = places(r)
                f.copy(new, old, size, w.lanes)
                clear(f, w.lanes, (out, size), (f.at(act, (r, length * wide)), wide))

            live = (pl, element_strides(lengths)[0]) if masked else None
            each_sample(f, first, last, live, t, alive, ended)

        forwards(f, length, reverse, one)

    read = [gates, turned, bias, h0, lengths]
    key = ("gru", gates.shape, tile, reverse, masked, element_strides(lengths))
    w.kernel(key, [*step.outputs, *read], write, touching(step.outputs, read))
    return 1


def _cell(
    f: Function,
    row: Val,
    gate: Val,
    old: Val,
    outs: Sequence[Val],
    size: int,
    k: Val | int,
    lanes: int,
) -> None:
    """``h' = n + u (h - n)`` with ``n = tanh(gate + r * share)``."""
    b = f.b
    spots = [f.at(row, (place * size, 1), (k, 1)) for place in range(4)]
    part = [f.load(f.at(gate, (place * size, 1), (k, 1)), lanes) for place in range(3)]
    product = [f.load(p, lanes) for p in spots[1:]]
    r, u = (mathfn.sigmoid(f, b.fadd(product[i], part[i])) for i in (0, 1))
    n = mathfn.tanh(f, b.fadd(b.fmul(product[2], r), part[2]))
    h = b.fadd(b.fmul(b.fsub(f.load(f.at(old, (k, 1)), lanes), n), u), n)
    for value, spot in zip((r, u, n), spots, strict=False):
        f.store(value, spot, lanes)
    for out in outs:
        f.store(h, f.at(out, (k, 1)), lanes)


@lowering("gru_gradient")
def lower_gradient(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Back through the steps, then one product for the recurrent weights."""
    step = steps[0]
    weight, h0, lengths, hs, acts = step.inputs[:5]
    dgates, dweight, dbias, dh = step.outputs
    if not fits(step.outputs, [weight, h0, hs, acts, *step.inputs[5:]], lengths):
        return 0
    incoming = given(w, step.inputs[5:], hs.shape)
    if incoming is None:
        return 0
    weight, h0, hs, acts = (row_major(w, v) for v in (weight, h0, hs, acts))
    n, length, wide = acts.shape
    size = wide // 4
    width = 3 * size
    tile = tile_for(w.cpu, -(-n // w.max_threads), size)
    reverse, masked = bool(step.attrs["reverse"]), bool(step.attrs["masked"])
    before = w.scratch(n * length * size).reshape(n, length, size)
    dz = w.scratch(n * length * width).reshape(n, length, width)

    def write(f: Function, thread: Val, count: Val, *pointers: Val) -> None:
        pg, pdh, pb, pz, pw, p0, ph, pa, pl, *rest = pointers
        further = iter(rest)
        gy, gh = (None if v is None else next(further) for v in incoming)
        first, last = f.share(n, thread, count, tile.rows)
        with f.loop(first, last, may_be_empty=True) as r:
            f.fill(f.at(pdh, (r.index, size)), size, w.lanes)

        def one(t: Val, earlier: Val | None) -> None:
            h, stride = (
                (p0, size) if earlier is None else (f.at(ph, (earlier, size)), length * size)
            )

            def alive(r: Val) -> None:
                state, gates = ((r, length * size), (t, size)), ((r, length * width), (t, width))

                def cell(k: Val | int, lanes: int) -> None:
                    spot = (k, 1)
                    old = f.load(f.at(h, (r, stride), spot), lanes)
                    f.store(old, f.at(pb, *state, spot), lanes)
                    g = f.load(f.at(pdh, (r, size), spot), lanes)
                    for p in (gy, gh):
                        g = g if p is None else f.b.fadd(g, f.load(f.at(p, *state, spot), lanes))
                    acting = f.at(pa, (r, length * wide), (t, wide), spot)
                    outs = f.at(pg, *gates, spot), f.at(pz, *gates, spot)
                    back = _back(f, acting, old, g, outs, size, lanes)
                    f.store(back, f.at(pdh, (r, size), spot), lanes)

                f.each(size, w.lanes, cell)

            def ended(r: Val) -> None:
                state = (r, length * size), (t, size)
                f.copy(f.at(pb, *state), f.at(h, (r, stride)), size, w.lanes)
                if gh is not None:
                    add_line(f, f.at(pdh, (r, size)), f.at(gh, *state), size, w.lanes)
                gates = (r, length * width), (t, width)
                clear(f, w.lanes, (f.at(pg, *gates), width), (f.at(pz, *gates), width))

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

    written = [dgates, dh, before, dz]
    read = [weight, h0, hs, acts, lengths, *(v for v in incoming if v is not None)]
    present = tuple(v is not None for v in incoming)
    key = ("gru-gradient", acts.shape, tile, reverse, masked, present, element_strides(lengths))
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
    for target, new in zip(outs, (dn, b.fmul(dn, r)), strict=True):
        for place, value in enumerate((dr, du, new)):
            f.store(value, f.at(target, (place * size, 1)), lanes)
    return b.fmul(g, u)
