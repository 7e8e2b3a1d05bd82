"""The simple recurrent layer: ``h' = activation(gate + W h)``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.native import mathfn
from engine.native.emit import Function, Val
from engine.native.lowerings import lowering
from engine.native.lowerings.elementwise import RULES
from engine.native.lowerings.matmul import pack, product
from engine.native.lowerings.recurrence import (
    add_line,
    backwards,
    clear,
    each_sample,
    fits,
    forwards,
    given,
    through_tanh,
    times_weight,
)
from engine.native.lowerings.rows import row_major
from engine.native.products import tile_for
from engine.native.writer import Writer, element_strides, touching

if TYPE_CHECKING:
    from engine.plan.program import NamedStep


@lowering("rnn")
def lower_forward(w: Writer, steps: Sequence[NamedStep]) -> int:
    """The product is written where the state will lie, and becomes it."""
    step = steps[0]
    gates, weight, h0, lengths = step.inputs
    if not fits(step.outputs, step.inputs[:3], lengths):
        return 0
    gates, h0 = row_major(w, gates), row_major(w, h0)
    n, length, size = gates.shape
    turned = w.scratch(size * size).reshape(size, size)
    pack(w, weight.T, turned)
    tile = tile_for(w.cpu, -(-n // w.max_threads), size)
    reverse, masked = bool(step.attrs["reverse"]), bool(step.attrs["masked"])
    rectified = step.attrs["activation"] == "relu"
    far = length * size

    def write(f: Function, thread: Val, count: Val, *pointers: Val) -> None:
        py, ph, pg, pw, p0, pl = pointers
        first, last = f.share(n, thread, count, tile.rows)

        def one(t: Val, before: Val | None) -> None:
            h, stride = (p0, size) if before is None else (f.at(ph, (before, size)), far)
            times_weight(
                f,
                h,
                pw,
                f.at(ph, (t, size)),
                first=first,
                last=last,
                total=n,
                inner=size,
                columns=size,
                row_stride=stride,
                out_stride=far,
                tile=tile,
                lanes=w.lanes,
                begin=(f.at(pg, (t, size)), far),
            )

            def alive(r: Val) -> None:
                def cell(k: Val | int, lanes: int) -> None:
                    spot = f.at(ph, (r, far), (t, size), (k, 1))
                    z = f.load(spot, lanes)
                    h = RULES["relu"](f, {}, z) if rectified else mathfn.tanh(f, z)
                    f.store(h, spot, lanes)
                    f.store(h, f.at(py, (r, far), (t, size), (k, 1)), lanes)

                f.each(size, w.lanes, cell)

            def ended(r: Val) -> None:
                f.copy(f.at(ph, (r, far), (t, size)), f.at(h, (r, stride)), size, w.lanes)
                clear(f, w.lanes, (f.at(py, (r, far), (t, size)), size))

            live = (pl, element_strides(lengths)[0]) if masked else None
            each_sample(f, first, last, live, t, alive, ended)

        forwards(f, length, reverse, one)

    read = [gates, turned, h0, lengths]
    key = ("rnn", gates.shape, tile, reverse, masked, rectified, element_strides(lengths))
    w.kernel(key, [*step.outputs, *read], write, touching(step.outputs, read))
    return 1


@lowering("rnn_gradient")
def lower_gradient(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Back through the steps, then one product for the recurrent weights."""
    step = steps[0]
    weight, h0, lengths, hs = step.inputs[:4]
    dgates, dweight, dh = step.outputs
    if not fits(step.outputs, [weight, h0, hs, *step.inputs[4:]], lengths):
        return 0
    incoming = given(w, step.inputs[4:], hs.shape)
    if incoming is None:
        return 0
    weight, h0, hs = (row_major(w, v) for v in (weight, h0, hs))
    n, length, size = hs.shape
    tile = tile_for(w.cpu, -(-n // w.max_threads), size)
    reverse, masked = bool(step.attrs["reverse"]), bool(step.attrs["masked"])
    rectified = step.attrs["activation"] == "relu"
    before = w.scratch(n * length * size).reshape(n, length, size)
    far = length * size

    def write(f: Function, thread: Val, count: Val, *pointers: Val) -> None:
        pz, pdh, pb, pw, p0, ph, pl, *rest = pointers
        further = iter(rest)
        gy, gh = (None if v is None else next(further) for v in incoming)
        first, last = f.share(n, thread, count, tile.rows)
        with f.loop(first, last, may_be_empty=True) as r:
            f.fill(f.at(pdh, (r.index, size)), size, w.lanes)

        def one(t: Val, earlier: Val | None) -> None:
            h, stride = (p0, size) if earlier is None else (f.at(ph, (earlier, size)), far)

            def alive(r: Val) -> None:
                state = (r, far), (t, size)

                def cell(k: Val | int, lanes: int) -> None:
                    spot = (k, 1)
                    old = f.load(f.at(h, (r, stride), spot), lanes)
                    f.store(old, f.at(pb, *state, spot), lanes)
                    place = f.at(pdh, (r, size), spot)
                    g = f.load(place, lanes)
                    for p in (gy, gh):
                        g = g if p is None else f.b.fadd(g, f.load(f.at(p, *state, spot), lanes))
                    y = f.load(f.at(ph, *state, spot), lanes)
                    g = RULES["relu_gradient"](f, {}, g, y) if rectified else through_tanh(f, g, y)
                    f.store(g, f.at(pz, *state, spot), lanes)

                f.each(size, w.lanes, cell)
                clear(f, w.lanes, (f.at(pdh, (r, size)), size))

            def ended(r: Val) -> None:
                state = (r, far), (t, size)
                f.copy(f.at(pb, *state), f.at(h, (r, stride)), size, w.lanes)
                if gh is not None:
                    add_line(f, f.at(pdh, (r, size)), f.at(gh, *state), size, w.lanes)
                clear(f, w.lanes, (f.at(pz, *state), size))

            live = (pl, element_strides(lengths)[0]) if masked else None
            each_sample(f, first, last, live, t, alive, ended)
            times_weight(
                f,
                f.at(pz, (t, size)),
                pw,
                pdh,
                first=first,
                last=last,
                total=n,
                inner=size,
                columns=size,
                row_stride=far,
                out_stride=size,
                tile=tile,
                lanes=w.lanes,
                accumulate=True,
            )

        backwards(f, length, reverse, one)

    written = [dgates, dh, before]
    read = [weight, h0, hs, lengths, *(v for v in incoming if v is not None)]
    present = tuple(v is not None for v in incoming)
    options = (tile, reverse, masked, rectified, present, element_strides(lengths))
    w.kernel(
        ("rnn-gradient", hs.shape, *options), [*written, *read], write, touching(written, read)
    )
    product(w, dgates.reshape(-1, size).T, before.reshape(-1, size), dweight)
    return 1
