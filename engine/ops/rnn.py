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
    blend,
    last_state,
    prepared,
    through_tanh,
    times,
    validity,
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
        order, masked = times(gates.shape[1], attrs["reverse"]), attrs["masked"]
        rectified = attrs["activation"] == "relu"

        def step() -> None:
            if masked:
                validity(lengths, gates.shape[1], alive)
            np.copyto(h, h0)
            for t in order:
                np.matmul(h, weight.T, out=z)
                np.add(z, gates[:, t], out=z)
                if rectified:
                    np.maximum(z, 0, out=z)
                else:
                    np.tanh(z, out=z)
                if masked:
                    blend(z, h, alive[t], room)
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
class _RnnGradient(CellGradient):
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
        order, masked = times(length, attrs["reverse"]), attrs["masked"]
        rectified = attrs["activation"] == "relu"
        gy, gh = (np.broadcast_to(v, hs.shape) for v in (gy, gh))

        def step() -> None:
            if masked:
                validity(lengths, length, alive)
            dh.fill(0)
            for place in range(length - 1, -1, -1):
                t = order[place]
                np.copyto(before[:, t], hs[:, order[place - 1]] if place else h0)
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
                    through_tanh(dz, hs[:, t], room)
                np.copyto(dgates[:, t], dz)
                np.matmul(dz, weight, out=dh)
                if masked:
                    np.add(dh, passed, out=dh)
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
