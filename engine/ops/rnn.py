"""Simple recurrent layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.backend import Array
from engine.errors import EngineError, ShapeError
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
    through_tanh,
    times,
)
from engine.value import Spec


@primitive
class _Rnn(Cell):
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
        return h0, h0, ends(gates)

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        gates, weight, h0, lengths = inputs
        sequence, hs = outputs
        z, h, ended = scratch
        order, masked = times(gates.shape[1], attrs["reverse"]), attrs["masked"]
        rectified = attrs["activation"] == "relu"
        mark = mark_ended(lengths, ended) if masked else None

        def step() -> None:
            if mark is not None:
                mark()
            np.copyto(h, h0)
            for t in order:
                np.matmul(h, weight.T, out=z)
                np.add(z, gates[:, t], out=z)
                if rectified:
                    np.maximum(z, 0, out=z)
                else:
                    np.tanh(z, out=z)
                if masked:
                    np.copyto(z, h, where=ended[t])
                np.copyto(h, z)
                np.copyto(hs[:, t], h)
                np.copyto(sequence[:, t], h)
                if masked:
                    np.copyto(sequence[:, t], 0, where=ended[t])

        return step

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        _, weight, h0, lengths = call.inputs
        hs = call.outputs[1]
        came = [g for g in grads if g is not None]
        attrs = {**call.attrs, "given": tuple(g is not None for g in grads)}
        return (*apply_all("rnn_gradient", weight, h0, lengths, hs, *came, **attrs), None)


@primitive
class _RnnGradient(CellGradient):
    """Gradients of gates, weight and h0."""

    name = "rnn_gradient"

    def infer(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        return inputs[3], inputs[0], inputs[1]

    def scratch(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        h0, hs = inputs[1], inputs[3]
        return h0, h0, h0, ends(hs), hs

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        weight, h0, lengths, hs = inputs[:4]
        gy, gh = spread(attrs["given"], inputs[4:])
        dgates, dweight, dh = outputs
        room, passed, dz, ended, before = scratch
        _, length, size = hs.shape
        order, masked = times(length, attrs["reverse"]), attrs["masked"]
        rectified = attrs["activation"] == "relu"
        mark = mark_ended(lengths, ended) if masked else None

        def step() -> None:
            if mark is not None:
                mark()
            dh.fill(0)
            for place in range(length - 1, -1, -1):
                t = order[place]
                np.copyto(before[:, t], hs[:, order[place - 1]] if place else h0)
                add_given(dh, gh, t)
                if masked:  # what the state of an ended sample passes straight on
                    np.copyto(passed, dh)
                add_given(dh, gy, t)
                np.copyto(dz, dh)
                if rectified:
                    np.greater(hs[:, t], 0, out=room)
                    np.multiply(dz, room, out=dz)
                else:
                    through_tanh(dz, hs[:, t], room)
                if masked:
                    for kept in (dz, before[:, t]):
                        np.copyto(kept, 0, where=ended[t])
                np.copyto(dgates[:, t], dz)
                np.matmul(dz, weight, out=dh)
                if masked:
                    np.copyto(dh, passed, where=ended[t])
            flat = dgates.reshape(-1, size)
            np.matmul(flat.T, before.reshape(-1, size), out=dweight)

        return step


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
    (h,), steps, masked = prepared("rnn", 1, x, (weight_ih, weight_hh), (bias,), (h0,), lengths)
    x = without_padding(x, steps) if masked else x
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
    return y, last_state(hs, reverse)
