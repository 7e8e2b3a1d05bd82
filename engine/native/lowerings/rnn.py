"""The simple recurrent layer: ``h' = activation(gate + W h)``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.native import mathfn
from engine.native.emit import Function, Val
from engine.native.lowerings import lowering
from engine.native.lowerings.elementwise import RULES
from engine.native.lowerings.matmul import product
from engine.native.lowerings.recurrence import (
    add_line,
    backwards,
    clear,
    each_sample,
    fits,
    forwards,
    through_tanh,
    turn_for,
)
from engine.native.lowerings.rows import row_major
from engine.native.writer import Writer, element_strides, touching
from engine.ops.recurrence import spread

if TYPE_CHECKING:
    from engine.plan.program import NamedStep


@lowering("rnn")
def lower_forward(w: Writer, steps: Sequence[NamedStep]) -> int:
    """The state of every step; a sample that has ended keeps its own."""
    step = steps[0]
    gates, weight, h0, lengths = step.inputs
    if not fits(step.outputs, step.inputs[:3], lengths):
        return 0
    gates, h0 = row_major(w, gates), row_major(w, h0)
    n, length, size = gates.shape
    turn, weight = turn_for(w, weight.T, n)
    reverse, masked = bool(step.attrs["reverse"]), bool(step.attrs["masked"])
    rectified = step.attrs["activation"] == "relu"
    room = w.scratch(n * (turn.factor + turn.result))
    far = length * size

    def write(f: Function, thread: Val, count: Val, *pointers: Val) -> None:
        py, ph, hidden, pg, pw, p0, pl = pointers
        sums = f.at(hidden, (n, turn.factor))
        mine = turn.share(f, thread, count)
        with f.loop(*mine, may_be_empty=True) as r:
            line = f.at(p0, (r.index, size))
            f.copy(f.at(hidden, (r.index, turn.factor)), line, size, w.lanes)

        def one(t: Val) -> None:
            turn.multiply(f, hidden, pw, sums, mine)

            def alive(r: Val) -> None:
                def cell(k: Val | int, lanes: int) -> None:
                    state = (r, far), (t, size), (k, 1)
                    by_state = f.load(f.at(sums, (r, turn.result), (k, 1)), lanes)
                    z = f.b.fadd(f.load(f.at(pg, *state), lanes), by_state)
                    h = RULES["relu"](f, {}, z) if rectified else mathfn.tanh(f, z)
                    f.store(h, f.at(hidden, (r, turn.factor), (k, 1)), lanes)
                    for p in (ph, py):
                        f.store(h, f.at(p, *state), lanes)

                f.each(size, w.lanes, cell)

            def ended(r: Val) -> None:
                state = (r, far), (t, size)
                f.copy(f.at(ph, *state), f.at(hidden, (r, turn.factor)), size, w.lanes)
                clear(f, w.lanes, (f.at(py, *state), size))

            live = (pl, element_strides(lengths)[0]) if masked else None
            each_sample(f, *mine, live, t, alive, ended)

        forwards(f, length, reverse, one)

    written, read = [*step.outputs, room], [gates, weight, h0, lengths]
    key = ("rnn", gates.shape, turn, reverse, masked, rectified, element_strides(lengths))
    w.kernel(key, [*written, *read], write, touching(written, read))
    return 1


@lowering("rnn_gradient")
def lower_gradient(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Back through the steps, then one product for the recurrent weights."""
    step = steps[0]
    weight, h0, lengths, hs = step.inputs[:4]
    dgates, dweight, dh = step.outputs
    if not fits(step.outputs, [weight, h0, hs, *step.inputs[4:]], lengths):
        return 0
    incoming = spread(step.attrs["given"], [row_major(w, v) for v in step.inputs[4:]])
    h0, hs = (row_major(w, v) for v in (h0, hs))
    n, length, size = hs.shape
    turn, weight = turn_for(w, weight, n)
    reverse, masked = bool(step.attrs["reverse"]), bool(step.attrs["masked"])
    rectified = step.attrs["activation"] == "relu"
    before = w.scratch(n * length * size).reshape(n, length, size)
    room = w.scratch(n * turn.factor)
    far = length * size

    def write(f: Function, thread: Val, count: Val, *pointers: Val) -> None:
        pz, pdh, pb, own, pw, p0, ph, pl, *rest = pointers
        further = iter(rest)
        gy, gh = (None if v is None else next(further) for v in incoming)
        mine = turn.share(f, thread, count)
        with f.loop(*mine, may_be_empty=True) as r:
            f.fill(f.at(pdh, (r.index, size)), size, w.lanes)

        def one(t: Val, earlier: Val | None) -> None:
            h, stride = (p0, size) if earlier is None else (f.at(ph, (earlier, size)), far)

            def alive(r: Val) -> None:
                state = (r, far), (t, size)

                def cell(k: Val | int, lanes: int) -> None:
                    spot = (k, 1)
                    old = f.load(f.at(h, (r, stride), spot), lanes)
                    f.store(old, f.at(pb, *state, spot), lanes)
                    g = f.load(f.at(pdh, (r, size), spot), lanes)
                    for p in (gy, gh):
                        g = g if p is None else f.b.fadd(g, f.load(f.at(p, *state, spot), lanes))
                    y = f.load(f.at(ph, *state, spot), lanes)
                    g = RULES["relu_gradient"](f, {}, g, y) if rectified else through_tanh(f, g, y)
                    for place in (f.at(pz, *state, spot), f.at(own, (r, turn.factor), spot)):
                        f.store(g, place, lanes)

                f.each(size, w.lanes, cell)
                if masked:
                    clear(f, w.lanes, (f.at(pdh, (r, size)), size))

            def ended(r: Val) -> None:
                state = (r, far), (t, size)
                f.fill(f.at(pb, *state), size, w.lanes)  # its gates have none: 0 times anything
                if gh is not None:
                    add_line(f, f.at(pdh, (r, size)), f.at(gh, *state), size, w.lanes)
                clear(f, w.lanes, (f.at(pz, *state), size), (f.at(own, (r, turn.factor)), size))

            live = (pl, element_strides(lengths)[0]) if masked else None
            each_sample(f, *mine, live, t, alive, ended)
            # With masks the sums start from what ended samples pass on.
            turn.multiply(f, own, pw, pdh, mine, out_stride=size, accumulate=masked)

        backwards(f, length, reverse, one)

    written = [dgates, dh, before, room]
    read = [weight, h0, hs, lengths, *(v for v in incoming if v is not None)]
    present = tuple(v is not None for v in incoming)
    options = (turn, reverse, masked, rectified, present, element_strides(lengths))
    w.kernel(
        ("rnn-gradient", hs.shape, *options), [*written, *read], write, touching(written, read)
    )
    product(w, dgates.reshape(-1, size).T, before.reshape(-1, size), dweight)
    return 1
