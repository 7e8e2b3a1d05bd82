"""Recurrent layers: LSTM, GRU and simple RNN over time, each direction one primitive.

The input's product with its weights is taken for all time steps at once, outside the primitive;
inside, one product with the state a step remains. Sequences are batch first; ``lengths`` says how
many steps of each sample count: after its end a sample's state stays, and its outputs are 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.backend import Array
from engine.errors import DTypeError, EngineError, ShapeError
from engine.function import Call, Primitive, Step, apply_all, function, primitive
from engine.ops.matmul import matmul
from engine.value import Spec


def _sigmoid(x: Array) -> None:
    np.multiply(x, 0.5, out=x)
    np.tanh(x, out=x)
    np.multiply(x, 0.5, out=x)
    np.add(x, 0.5, out=x)


def _times(length: int, reverse: bool) -> list[int]:
    order = list(range(length))
    return order[::-1] if reverse else order


def _validity(lengths: Array, length: int, alive: Array) -> None:
    """alive (T, N, 1): 1 where a step counts, else 0."""
    np.less(np.arange(length)[:, None], lengths[None, :], out=alive[..., 0])


class _Cell(Primitive):
    """A recurrence over time. Its outputs include every state, which its gradient reads."""

    uses_outputs = True


def _blend(new: Array, old: Array, alive: Array, room: Array) -> None:
    """``new`` where alive, else ``old``, into ``new``; by arithmetic that is exact for 0 and 1."""
    np.subtract(1.0, alive, out=room)
    np.multiply(new, alive, out=new)
    np.multiply(old, room, out=room)
    np.add(new, room, out=new)


@primitive
class _Lstm(_Cell):
    """Gates in the order input, forget, cell, output.

    Inputs: gates (N, T, 4H), weight (4H, H), h0, c0 (N, H), lengths (N,). Outputs: sequence, the
    hidden and the cell states after each step (N, T, H), activated gates (N, T, 4H).
    """

    name = "lstm"

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
        n, length, width = gates.shape
        return (
            gates.with_shape((n, width)),
            *(h0,) * 4,
            gates.with_shape((length, n, 1)),
        )

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        gates, weight, h0, c0, lengths = inputs
        sequence, hs, cs, acts = outputs
        z, h, c, ch, room, alive = scratch
        size = h0.shape[1]
        times = _times(gates.shape[1], attrs["reverse"])
        i, f, g, o = (z[:, k * size : (k + 1) * size] for k in range(4))
        masked = attrs["masked"]

        def step() -> None:
            if masked:
                _validity(lengths, gates.shape[1], alive)
            np.copyto(h, h0)
            np.copyto(c, c0)
            for t in times:
                np.matmul(h, weight.T, out=z)
                np.add(z, gates[:, t], out=z)
                _sigmoid(z[:, : 2 * size])
                np.tanh(g, out=g)
                _sigmoid(o)
                np.copyto(acts[:, t], z)
                np.multiply(f, c, out=ch)
                np.multiply(i, g, out=room)
                np.add(ch, room, out=ch)
                if masked:
                    _blend(ch, c, alive[t], room)
                np.copyto(c, ch)
                np.tanh(c, out=ch)
                np.multiply(o, ch, out=ch)
                if masked:
                    _blend(ch, h, alive[t], room)
                np.copyto(h, ch)
                np.copyto(hs[:, t], h)
                np.copyto(cs[:, t], c)
                if masked:
                    np.multiply(h, alive[t], out=sequence[:, t])
                else:
                    np.copyto(sequence[:, t], h)

        return step

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        gates, weight, h0, c0, lengths = call.inputs
        _, hs, cs, acts = call.outputs
        zero = gates.constant_like(np.zeros((1, 1, 1), gates.dtype))
        given = [zero if g is None else g for g in grads[:3]]
        made = apply_all(
            "lstm_gradient", weight, h0, c0, lengths, hs, cs, acts, *given, **call.attrs
        )
        return (*made, None)


@primitive
class _LstmGradient(_Cell):
    """Gradients of gates, weight, h0 and c0."""

    name = "lstm_gradient"

    def infer(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        weight, h0, c0, acts = inputs[0], inputs[1], inputs[2], inputs[6]
        return acts, weight, h0, c0

    def scratch(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        h0, acts = inputs[1], inputs[6]
        n, length, width = acts.shape
        return (*(h0,) * 6, acts.with_shape((length, n, 1)), acts, acts.with_shape((n, width)))

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        weight, h0, c0, lengths, hs, cs, acts, gy, gh, gc = inputs
        dgates, dweight, dh, dc = outputs
        dy, tc, room, dh_old, dc_old, part, alive, previous, z = scratch
        n, length, width = acts.shape
        size = width // 4
        times = _times(length, attrs["reverse"])
        masked = attrs["masked"]
        before = previous[..., :size]  # the hidden state that each step started from
        gy, gh, gc = (np.broadcast_to(v, (n, length, size)) for v in (gy, gh, gc))
        di, df, dg, do = (z[:, k * size : (k + 1) * size] for k in range(4))

        def step() -> None:
            if masked:
                _validity(lengths, length, alive)
            dh.fill(0)
            dc.fill(0)
            for place in range(length - 1, -1, -1):
                t = times[place]
                h_old = hs[:, times[place - 1]] if place else h0
                c_old = cs[:, times[place - 1]] if place else c0
                np.copyto(before[:, t], h_old)
                i, f, g, o = (acts[:, t, k * size : (k + 1) * size] for k in range(4))
                np.add(dc, gc[:, t], out=dc)
                np.add(dh, gh[:, t], out=dh)
                if masked:
                    np.multiply(gy[:, t], alive[t], out=dy)
                    np.add(dh, dy, out=dh)
                    # What a finished sample's state passes straight on to the step before.
                    np.subtract(1.0, alive[t], out=room)
                    np.multiply(dh, room, out=dh_old)
                    np.multiply(dc, room, out=dc_old)
                    np.multiply(dh, alive[t], out=dh)
                    np.multiply(dc, alive[t], out=dc)
                else:
                    np.add(dh, gy[:, t], out=dh)
                # The cell before masking: where masked, its gradient is 0 anyway.
                np.tanh(cs[:, t], out=tc)
                np.multiply(tc, tc, out=room)
                np.subtract(1.0, room, out=room)
                np.multiply(room, o, out=room)
                np.multiply(room, dh, out=room)
                np.add(dc, room, out=dc)
                np.multiply(dh, tc, out=do)
                _through_sigmoid(do, o, part)
                np.multiply(dc, g, out=di)
                _through_sigmoid(di, i, part)
                np.multiply(dc, c_old, out=df)
                _through_sigmoid(df, f, part)
                np.multiply(dc, i, out=dg)
                _through_tanh(dg, g, part)
                np.copyto(dgates[:, t], z)
                np.matmul(z, weight, out=dh)
                np.multiply(dc, f, out=dc)
                if masked:
                    np.add(dh, dh_old, out=dh)
                    np.add(dc, dc_old, out=dc)
            np.matmul(dgates.reshape(-1, width).T, np.reshape(before, (-1, size)), out=dweight)

        return step


def _through_sigmoid(g: Array, y: Array, room: Array) -> None:
    np.multiply(y, y, out=room)
    np.subtract(y, room, out=room)
    np.multiply(g, room, out=g)


def _through_tanh(g: Array, y: Array, room: Array) -> None:
    np.multiply(y, y, out=room)
    np.subtract(1.0, room, out=room)
    np.multiply(g, room, out=g)


@primitive
class _Gru(_Cell):
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
        n, length, width = gates.shape
        return gates.with_shape((n, width)), h0, h0, h0, gates.with_shape((length, n, 1))

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        gates, weight, bias, h0, lengths = inputs
        sequence, hs, acts = outputs
        z, h, new, room, alive = scratch
        size = h0.shape[1]
        times = _times(gates.shape[1], attrs["reverse"])
        masked = attrs["masked"]
        both, r, u, n = z[:, : 2 * size], z[:, :size], z[:, size : 2 * size], z[:, 2 * size :]

        def step() -> None:
            if masked:
                _validity(lengths, gates.shape[1], alive)
            np.copyto(h, h0)
            for t in times:
                np.matmul(h, weight.T, out=z)
                np.add(z, bias, out=z)
                np.add(both, gates[:, t, : 2 * size], out=both)
                _sigmoid(both)
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
                    _blend(new, h, alive[t], room)
                np.copyto(h, new)
                np.copyto(hs[:, t], h)
                if masked:
                    np.multiply(h, alive[t], out=sequence[:, t])
                else:
                    np.copyto(sequence[:, t], h)

        return step

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        gates, weight, _, h0, lengths = call.inputs
        _, hs, acts = call.outputs
        zero = gates.constant_like(np.zeros((1, 1, 1), gates.dtype))
        given = [zero if g is None else g for g in grads[:2]]
        made = apply_all("gru_gradient", weight, h0, lengths, hs, acts, *given, **call.attrs)
        return (*made, None)


@primitive
class _GruGradient(_Cell):
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
        return *(h0,) * 5, acts.with_shape((length, n, 1)), states, wide

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        weight, h0, lengths, hs, acts, gy, gh = inputs
        dgates, dweight, dbias, dh = outputs
        dn, du, dr, room, passed, alive, before, dz = scratch
        n, length, width = acts.shape
        size = width // 4
        times = _times(length, attrs["reverse"])
        masked = attrs["masked"]
        gy, gh = (np.broadcast_to(v, (n, length, size)) for v in (gy, gh))

        def step() -> None:
            if masked:
                _validity(lengths, length, alive)
            dh.fill(0)
            for place in range(length - 1, -1, -1):
                t = times[place]
                np.copyto(before[:, t], hs[:, times[place - 1]] if place else h0)
                r, u, new, share = (acts[:, t, k * size : (k + 1) * size] for k in range(4))
                np.add(dh, gh[:, t], out=dh)
                if masked:
                    np.multiply(gy[:, t], alive[t], out=room)
                    np.add(dh, room, out=dh)
                    np.subtract(1.0, alive[t], out=room)
                    np.multiply(dh, room, out=passed)
                    np.multiply(dh, alive[t], out=dh)
                else:
                    np.add(dh, gy[:, t], out=dh)
                np.subtract(before[:, t], new, out=du)
                np.multiply(du, dh, out=du)
                _through_sigmoid(du, u, room)
                np.subtract(1.0, u, out=dn)
                np.multiply(dn, dh, out=dn)
                _through_tanh(dn, new, room)
                np.multiply(dn, share, out=dr)
                _through_sigmoid(dr, r, room)
                for target in (dgates, dz):
                    np.copyto(target[:, t, :size], dr)
                    np.copyto(target[:, t, size : 2 * size], du)
                np.copyto(dgates[:, t, 2 * size :], dn)
                np.multiply(dn, r, out=dz[:, t, 2 * size :])
                np.multiply(dh, u, out=dh)
                np.matmul(dz[:, t], weight, out=room)
                np.add(dh, room, out=dh)
                if masked:
                    np.add(dh, passed, out=dh)
            flat = dz.reshape(-1, 3 * size)
            np.matmul(flat.T, before.reshape(-1, size), out=dweight)
            np.sum(flat, axis=0, out=dbias)

        return step


@primitive
class _Rnn(_Cell):
    """``h' = activation(gate + W h)``.

    Inputs: gates (N, T, H), weight (H, H), h0 (N, H), lengths (N,). Outputs: sequence, states.
    """

    name = "rnn"

    def infer(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        gates, weight, h0, _ = inputs
        n, _, width = gates.shape
        if weight.shape != (width, width) or h0.shape != (n, width):
            raise ShapeError(
                f"rnn found gates {gates.shape}, weight {weight.shape} and state {h0.shape}; "
                "expected (N, T, H), (H, H) and (N, H)."
            )
        return gates, gates

    def scratch(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        gates, _, h0, _ = inputs
        return h0, h0, h0, gates.with_shape((gates.shape[1], gates.shape[0], 1))

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        gates, weight, h0, lengths = inputs
        sequence, hs = outputs
        z, h, room, alive = scratch
        times, masked = _times(gates.shape[1], attrs["reverse"]), attrs["masked"]
        rectified = attrs["activation"] == "relu"

        def step() -> None:
            if masked:
                _validity(lengths, gates.shape[1], alive)
            np.copyto(h, h0)
            for t in times:
                np.matmul(h, weight.T, out=z)
                np.add(z, gates[:, t], out=z)
                if rectified:
                    np.maximum(z, 0, out=z)
                else:
                    np.tanh(z, out=z)
                if masked:
                    _blend(z, h, alive[t], room)
                np.copyto(h, z)
                np.copyto(hs[:, t], h)
                if masked:
                    np.multiply(h, alive[t], out=sequence[:, t])
                else:
                    np.copyto(sequence[:, t], h)

        return step

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        gates, weight, h0, lengths = call.inputs
        hs = call.outputs[1]
        zero = gates.constant_like(np.zeros((1, 1, 1), gates.dtype))
        given = [zero if g is None else g for g in grads]
        made = apply_all("rnn_gradient", weight, h0, lengths, hs, *given, **call.attrs)
        return (*made, None)


@primitive
class _RnnGradient(_Cell):
    """Gradients of gates, weight and h0."""

    name = "rnn_gradient"

    def infer(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        return inputs[3], inputs[0], inputs[1]

    def scratch(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        h0, hs = inputs[1], inputs[3]
        return h0, h0, h0, hs.with_shape((hs.shape[1], hs.shape[0], 1)), hs

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        weight, h0, lengths, hs, gy, gh = inputs
        dgates, dweight, dh = outputs
        room, passed, dz, alive, before = scratch
        _, length, size = hs.shape
        times, masked = _times(length, attrs["reverse"]), attrs["masked"]
        rectified = attrs["activation"] == "relu"
        gy, gh = (np.broadcast_to(v, hs.shape) for v in (gy, gh))

        def step() -> None:
            if masked:
                _validity(lengths, length, alive)
            dh.fill(0)
            for place in range(length - 1, -1, -1):
                t = times[place]
                np.copyto(before[:, t], hs[:, times[place - 1]] if place else h0)
                np.add(dh, gh[:, t], out=dh)
                if masked:
                    np.multiply(gy[:, t], alive[t], out=room)
                    np.add(dh, room, out=dh)
                    np.subtract(1.0, alive[t], out=room)
                    np.multiply(dh, room, out=passed)
                    np.multiply(dh, alive[t], out=dh)
                else:
                    np.add(dh, gy[:, t], out=dh)
                np.copyto(dz, dh)
                if rectified:
                    np.greater(hs[:, t], 0, out=room)
                    np.multiply(dz, room, out=dz)
                else:
                    _through_tanh(dz, hs[:, t], room)
                np.copyto(dgates[:, t], dz)
                np.matmul(dz, weight, out=dh)
                if masked:
                    np.add(dh, passed, out=dh)
            flat = dgates.reshape(-1, size)
            np.matmul(flat.T, before.reshape(-1, size), out=dweight)

        return step


def _prepared(
    what: str, x: Any, weight_ih: Any, weight_hh: Any, states: Sequence[Any], lengths: Any
) -> tuple[list[Any], Any, bool]:
    """First states (zeros where not given), lengths, and whether there are any lengths."""
    if x.ndim != 3 or weight_ih.shape[-1] != x.shape[-1]:
        raise ShapeError(
            f"{what} found input {x.shape} and weight {weight_ih.shape}; expected (N, T, D) and "
            "(gates x H, D)."
        )
    n, hidden = x.shape[0], weight_hh.shape[1]
    first = [x.constant_like(np.zeros((n, hidden), x.dtype)) if s is None else s for s in states]
    if lengths is None:
        return first, x.constant_like(np.full(n, x.shape[1], np.int64)), False
    if lengths.shape != (n,) or lengths.dtype.kind not in "iu":
        raise DTypeError(
            f"{what} found lengths {lengths.spec}; expected whole numbers ({n},), one a sample."
        )
    return first, lengths, True


def _last(states: Any, reverse: bool) -> Any:
    """State after the last step that was taken, (N, H); lengths are in it already."""
    return states[:, 0 if reverse else -1]


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
    (h, c), steps, masked = _prepared("lstm", x, weight_ih, weight_hh, (h0, c0), lengths)
    gates = matmul(x, weight_ih, False, True)
    gates = gates if bias is None else gates + bias
    y, hs, cs, _ = apply_all(
        "lstm", gates, weight_hh, h, c, steps, reverse=bool(reverse), masked=masked
    )
    return y, _last(hs, reverse), _last(cs, reverse)


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
    (h,), steps, masked = _prepared("gru", x, weight_ih, weight_hh, (h0,), lengths)
    gates = matmul(x, weight_ih, False, True)
    gates = gates if bias_ih is None else gates + bias_ih
    if bias_hh is None:
        bias_hh = x.constant_like(np.zeros(weight_hh.shape[0], x.dtype))
    y, hs, _ = apply_all(
        "gru", gates, weight_hh, bias_hh, h, steps, reverse=bool(reverse), masked=masked
    )
    return y, _last(hs, reverse)


@function("rnn")
def rnn(
    x: Any,
    weight_ih: Any,
    weight_hh: Any,
    bias: Any = None,
    h0: Any = None,
    lengths: Any = None,
    reverse: bool = False,
    activation: str = "tanh",
) -> Any:
    """One direction of a simple recurrent layer: sequence (N, T, H), last state (N, H)."""
    if activation not in ("tanh", "relu"):
        raise EngineError(f"rnn found activation={activation!r}; expected 'tanh' or 'relu'.")
    (h,), steps, masked = _prepared("rnn", x, weight_ih, weight_hh, (h0,), lengths)
    gates = matmul(x, weight_ih, False, True)
    gates = gates if bias is None else gates + bias
    y, hs = apply_all(
        "rnn",
        gates,
        weight_hh,
        h,
        steps,
        reverse=bool(reverse),
        masked=masked,
        activation=activation,
    )
    return y, _last(hs, reverse)
