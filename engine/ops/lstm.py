"""Long short-term memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.backend import Array
from engine.errors import ShapeError
from engine.function import Call, Step, apply_all, function, primitive
from engine.ops.matmul import matmul
from engine.ops.padding import without_padding
from engine.ops.recurrence import (
    Cell,
    CellGradient,
    add_given,
    ends,
    last_state,
    mark_ended,
    prepared,
    spread,
    through_sigmoid,
    through_tanh,
    times,
)
from engine.ops.sigmoid import write_sigmoid
from engine.value import Spec


@primitive
class _Lstm(Cell):
    """Gates in the order input, forget, cell, output.

    Inputs: gates (N, T, 4H), weight (4H, H), h0, c0 (N, H), lengths (N,). Outputs: sequence, the
    hidden and the cell states after each step (N, T, H), activated gates (N, T, 4H).
    """

    name = "lstm"
    inplace = (0,)
    inplace_output = 3

    def infer(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        gates, weight, h0, _, _ = inputs
        n, length, width = gates.shape
        hidden = weight.shape[1]
        if weight.shape[0] != width or width != 4 * hidden or h0.shape != (n, hidden):
            raise ShapeError(
                f"lstm found gates {gates.shape}, weight {weight.shape} and state {h0.shape}; "
                "expected (N, T, 4H), (4H, H) and (N, H)."
            )
        states = gates.with_shape((n, length, hidden))
        return states, states, states, gates

    def scratch(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        gates, _, h0, _, _ = inputs
        n, _, width = gates.shape
        return (gates.with_shape((n, width)), *(h0,) * 4, ends(gates))

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        gates, weight, h0, c0, lengths = inputs
        sequence, hs, cs, acts = outputs
        z, h, c, ch, room, ended = scratch
        size = h0.shape[1]
        order = times(gates.shape[1], attrs["reverse"])
        i, f, g, o = (z[:, k * size : (k + 1) * size] for k in range(4))
        first = z[:, : 2 * size]
        masked = attrs["masked"]
        mark = mark_ended(lengths, ended) if masked else None

        def step() -> None:
            if mark is not None:
                mark()
            np.copyto(h, h0)
            np.copyto(c, c0)
            for t in order:
                np.matmul(h, weight.T, out=z)
                np.add(z, gates[:, t], out=z)
                write_sigmoid(first, first)
                np.tanh(g, out=g)
                write_sigmoid(o, o)
                np.copyto(acts[:, t], z)
                np.multiply(f, c, out=ch)
                np.multiply(i, g, out=room)
                np.add(ch, room, out=ch)
                if masked:
                    np.copyto(ch, c, where=ended[t])
                np.copyto(c, ch)
                np.tanh(c, out=ch)
                np.multiply(o, ch, out=ch)
                if masked:
                    np.copyto(ch, h, where=ended[t])
                np.copyto(h, ch)
                np.copyto(hs[:, t], h)
                np.copyto(cs[:, t], c)
                np.copyto(sequence[:, t], h)
                if masked:
                    np.copyto(sequence[:, t], 0, where=ended[t])

        return step

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        _, weight, h0, c0, lengths = call.inputs
        _, hs, cs, acts = call.outputs
        came = [g for g in grads[:3] if g is not None]
        attrs = {**call.attrs, "given": tuple(g is not None for g in grads[:3])}
        made = apply_all("lstm_gradient", weight, h0, c0, lengths, hs, cs, acts, *came, **attrs)
        return (*made, None)


@primitive
class _LstmGradient(CellGradient):
    """Gradients of gates, weight, h0 and c0."""

    name = "lstm_gradient"
    inplace = (6,)

    def infer(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        weight, h0, c0, acts = inputs[0], inputs[1], inputs[2], inputs[6]
        return acts, weight, h0, c0

    def scratch(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        h0, acts = inputs[1], inputs[6]
        n, _, width = acts.shape
        return (*(h0,) * 5, ends(acts), acts, acts.with_shape((n, width)))

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        weight, h0, c0, lengths, hs, cs, acts = inputs[:7]
        gy, gh, gc = spread(attrs["given"], inputs[7:])
        dgates, dweight, dh, dc = outputs
        tc, room, dh_old, dc_old, part, ended, previous, z = scratch
        _, length, width = acts.shape
        size = width // 4
        order = times(length, attrs["reverse"])
        masked = attrs["masked"]
        before = previous[..., :size]  # the hidden state that each step started from
        di, df, dg, do = (z[:, k * size : (k + 1) * size] for k in range(4))
        mark = mark_ended(lengths, ended) if masked else None

        def step() -> None:
            if mark is not None:
                mark()
            dh.fill(0)
            dc.fill(0)
            for place in range(length - 1, -1, -1):
                t = order[place]
                h_old = hs[:, order[place - 1]] if place else h0
                c_old = cs[:, order[place - 1]] if place else c0
                np.copyto(before[:, t], h_old)
                i, f, g, o = (acts[:, t, k * size : (k + 1) * size] for k in range(4))
                add_given(dc, gc, t)
                add_given(dh, gh, t)
                if masked:  # what the state of an ended sample passes straight on
                    np.copyto(dh_old, dh)
                    np.copyto(dc_old, dc)
                add_given(dh, gy, t)
                np.tanh(cs[:, t], out=tc)
                np.multiply(tc, tc, out=room)
                np.subtract(1.0, room, out=room)
                np.multiply(room, o, out=room)
                np.multiply(room, dh, out=room)
                np.add(dc, room, out=dc)
                np.multiply(dh, tc, out=do)
                through_sigmoid(do, o, part)
                np.multiply(dc, g, out=di)
                through_sigmoid(di, i, part)
                np.multiply(dc, c_old, out=df)
                through_sigmoid(df, f, part)
                np.multiply(dc, i, out=dg)
                through_tanh(dg, g, part)
                if masked:
                    for kept in (z, before[:, t]):
                        np.copyto(kept, 0, where=ended[t])
                np.matmul(z, weight, out=dh)
                np.multiply(dc, f, out=dc)
                np.copyto(dgates[:, t], z)  # perhaps where the gates were, so they come last
                if masked:
                    np.copyto(dh, dh_old, where=ended[t])
                    np.copyto(dc, dc_old, where=ended[t])
            np.matmul(dgates.reshape(-1, width).T, np.reshape(before, (-1, size)), out=dweight)

        return step


@function("lstm")
def lstm(
    x: Any,
    weight_ih: Any,
    weight_hh: Any,
    bias: Any = None,
    h0: Any = None,
    c0: Any = None,
    lengths: Any = None,
    reverse: bool = False,
) -> Any:
    """One direction of a long short-term memory layer: sequence (N, T, H), last h and c (N, H).

    Parameters
    ----------
    x : (N, T, D)
    weight_ih, weight_hh, bias : (4H, D), (4H, H), (4H,)
        Gates in the order input, forget, cell, output.
    lengths : whole numbers (N,), optional
        Steps of each sample that count; the states are those of its last step.
    reverse : bool
        Go from the end to the start; outputs stay at their time steps.

    References
    ----------
    Hochreiter and Schmidhuber, "Long short-term memory", 1997.
    """
    (h, c), steps, masked = prepared(
        "lstm", 4, x, (weight_ih, weight_hh), (bias,), (h0, c0), lengths
    )
    x = without_padding(x, steps) if masked else x
    gates = matmul(x, weight_ih, False, True)
    gates = gates if bias is None else gates + bias
    y, hs, cs, _ = apply_all(
        "lstm", gates, weight_hh, h, c, steps, reverse=bool(reverse), masked=masked
    )
    return y, last_state(hs, reverse), last_state(cs, reverse)
