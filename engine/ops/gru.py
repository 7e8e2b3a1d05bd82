"""Gated recurrent unit."""

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
class _Gru(Cell):
    """Gates in the order reset, update, new; the reset gate acts after the product with the state.

    Inputs: gates (N, T, 3H), weight (3H, H), bias (3H,), h0 (N, H), lengths (N,). Outputs:
    sequence, states after each step (N, T, H), and (N, T, 4H): the activated gates, then the
    state's share of the new gate.
    """

    name = "gru"

    def infer(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        gates, weight, _, h0, _ = inputs
        n, length, width = gates.shape
        hidden = weight.shape[1]
        if weight.shape[0] != width or width != 3 * hidden or h0.shape != (n, hidden):
            raise ShapeError(
                f"gru found gates {gates.shape}, weight {weight.shape} and state {h0.shape}; "
                "expected (N, T, 3H), (3H, H) and (N, H)."
            )
        states = gates.with_shape((n, length, hidden))
        return states, states, gates.with_shape((n, length, 4 * hidden))

    def scratch(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        gates, _, _, h0, _ = inputs
        n, _, width = gates.shape
        return gates.with_shape((n, width)), h0, h0, ends(gates)

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        gates, weight, bias, h0, lengths = inputs
        sequence, hs, acts = outputs
        z, h, new, ended = scratch
        size = h0.shape[1]
        order = times(gates.shape[1], attrs["reverse"])
        masked = attrs["masked"]
        both, r, u, n = z[:, : 2 * size], z[:, :size], z[:, size : 2 * size], z[:, 2 * size :]
        mark = mark_ended(lengths, ended) if masked else None

        def step() -> None:
            if mark is not None:
                mark()
            np.copyto(h, h0)
            for t in order:
                np.matmul(h, weight.T, out=z)
                np.add(z, bias, out=z)
                np.add(both, gates[:, t, : 2 * size], out=both)
                write_sigmoid(both, both)
                np.copyto(acts[:, t, : 2 * size], both)
                np.copyto(acts[:, t, 3 * size :], n)
                np.multiply(n, r, out=n)
                np.add(n, gates[:, t, 2 * size :], out=n)
                np.tanh(n, out=n)
                np.copyto(acts[:, t, 2 * size : 3 * size], n)
                # h' = n + u (h - n)
                np.subtract(h, n, out=new)
                np.multiply(new, u, out=new)
                np.add(new, n, out=new)
                if masked:
                    np.copyto(new, h, where=ended[t])
                np.copyto(h, new)
                np.copyto(hs[:, t], h)
                np.copyto(sequence[:, t], h)
                if masked:
                    np.copyto(sequence[:, t], 0, where=ended[t])

        return step

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        _, weight, _, h0, lengths = call.inputs
        _, hs, acts = call.outputs
        came = [g for g in grads[:2] if g is not None]
        attrs = {**call.attrs, "given": tuple(g is not None for g in grads[:2])}
        return (*apply_all("gru_gradient", weight, h0, lengths, hs, acts, *came, **attrs), None)


@primitive
class _GruGradient(CellGradient):
    """Gradients of gates, weight, bias and h0."""

    name = "gru_gradient"

    def infer(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        weight, h0, acts = inputs[0], inputs[1], inputs[4]
        n, length, width = acts.shape
        gates = acts.with_shape((n, length, 3 * width // 4))
        return gates, weight, acts.with_shape((3 * width // 4,)), h0

    def scratch(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        h0, acts = inputs[1], inputs[4]
        n, length, width = acts.shape
        wide = acts.with_shape((n, length, 3 * width // 4))
        states = acts.with_shape((n, length, width // 4))
        return *(h0,) * 5, ends(acts), states, wide

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        weight, h0, lengths, hs, acts = inputs[:5]
        gy, gh = spread(attrs["given"], inputs[5:])
        dgates, dweight, dbias, dh = outputs
        dn, du, dr, room, passed, ended, before, dz = scratch
        _, length, width = acts.shape
        size = width // 4
        order = times(length, attrs["reverse"])
        masked = attrs["masked"]
        mark = mark_ended(lengths, ended) if masked else None

        def step() -> None:
            if mark is not None:
                mark()
            dh.fill(0)
            for place in range(length - 1, -1, -1):
                t = order[place]
                np.copyto(before[:, t], hs[:, order[place - 1]] if place else h0)
                r, u, new, share = (acts[:, t, k * size : (k + 1) * size] for k in range(4))
                add_given(dh, gh, t)
                if masked:  # what the state of an ended sample passes straight on
                    np.copyto(passed, dh)
                add_given(dh, gy, t)
                np.subtract(before[:, t], new, out=du)
                np.multiply(du, dh, out=du)
                through_sigmoid(du, u, room)
                np.subtract(1.0, u, out=dn)
                np.multiply(dn, dh, out=dn)
                through_tanh(dn, new, room)
                np.multiply(dn, share, out=dr)
                through_sigmoid(dr, r, room)
                for target in (dgates, dz):
                    np.copyto(target[:, t, :size], dr)
                    np.copyto(target[:, t, size : 2 * size], du)
                np.copyto(dgates[:, t, 2 * size :], dn)
                np.multiply(dn, r, out=dz[:, t, 2 * size :])
                if masked:
                    for kept in (dgates, dz, before):
                        np.copyto(kept[:, t], 0, where=ended[t])
                np.multiply(dh, u, out=dh)
                np.matmul(dz[:, t], weight, out=room)
                np.add(dh, room, out=dh)
                if masked:
                    np.copyto(dh, passed, where=ended[t])
            flat = dz.reshape(-1, 3 * size)
            np.matmul(flat.T, before.reshape(-1, size), out=dweight)
            np.sum(flat, axis=0, out=dbias)

        return step


@function("gru")
def gru(
    x: Any,
    weight_ih: Any,
    weight_hh: Any,
    bias_ih: Any = None,
    bias_hh: Any = None,
    h0: Any = None,
    lengths: Any = None,
    reverse: bool = False,
) -> Any:
    """One direction of a gated recurrent layer: sequence (N, T, H), last state (N, H).

    Gates in the order reset, update, new; ``new = tanh(W x + b + reset * (U h + c))``.

    References
    ----------
    Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014.
    """
    (h,), steps, masked = prepared(
        "gru", 3, x, (weight_ih, weight_hh), (bias_ih, bias_hh), (h0,), lengths
    )
    x = without_padding(x, steps) if masked else x
    gates = matmul(x, weight_ih, False, True)
    gates = gates if bias_ih is None else gates + bias_ih
    if bias_hh is None:
        bias_hh = x.constant_like(np.zeros(weight_hh.shape[0], x.dtype))
    y, hs, _ = apply_all(
        "gru", gates, weight_hh, bias_hh, h, steps, reverse=bool(reverse), masked=masked
    )
    return y, last_state(hs, reverse)
