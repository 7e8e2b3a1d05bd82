"""One time step of the recurrent layers, made of plain operations.

They are for loops of one's own (decoders, attention in between). Having gradients of any order,
they also serve where the gradient of a gradient is wanted, which the whole layers do not have.
"""

from __future__ import annotations

from typing import Any

from engine.errors import EngineError, ShapeError
from engine.function import function
from engine.ops.matmul import matmul
from engine.ops.relu import relu
from engine.ops.shape import split
from engine.ops.sigmoid import sigmoid, tanh


@function("rnn_cell")
def rnn_cell(
    x: Any, h: Any, weight_ih: Any, weight_hh: Any, bias: Any = None, activation: str = "tanh"
) -> Any:
    """New state (N, H) of a simple recurrent layer from input (N, D) and state (N, H)."""
    if activation not in ("tanh", "relu"):
        raise EngineError(f"rnn_cell found activation={activation!r}; expected 'tanh' or 'relu'.")
    _check("rnn_cell", x, h, weight_ih, weight_hh, 1)
    z = _affine(x, weight_ih, bias) + _affine(h, weight_hh, None)
    return tanh(z) if activation == "tanh" else relu(z)


@function("lstm_cell")
def lstm_cell(x: Any, h: Any, c: Any, weight_ih: Any, weight_hh: Any, bias: Any = None) -> Any:
    """New hidden and cell state (N, H) from input (N, D); weights as those of ``lstm``."""
    _check("lstm_cell", x, h, weight_ih, weight_hh, 4)
    if c.shape != h.shape:
        raise ShapeError(f"lstm_cell found states {h.shape} and {c.shape}; expected equal shapes.")
    z = _affine(x, weight_ih, bias) + _affine(h, weight_hh, None)
    i, f, g, o = split(z, 4, 1)
    new = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(new), new


@function("gru_cell")
def gru_cell(
    x: Any, h: Any, weight_ih: Any, weight_hh: Any, bias_ih: Any = None, bias_hh: Any = None
) -> Any:
    """New state (N, H) from input (N, D) and state (N, H); weights as those of ``gru``."""
    _check("gru_cell", x, h, weight_ih, weight_hh, 3)
    r, u, n = split(_affine(x, weight_ih, bias_ih), 3, 1)
    hr, hu, hn = split(_affine(h, weight_hh, bias_hh), 3, 1)
    new = tanh(n + sigmoid(r + hr) * hn)
    return new + sigmoid(u + hu) * (h - new)


def _affine(x: Any, weight: Any, bias: Any) -> Any:
    y = matmul(x, weight, False, True)
    return y if bias is None else y + bias


def _check(what: str, x: Any, h: Any, weight_ih: Any, weight_hh: Any, gates: int) -> None:
    hidden = weight_hh.shape[-1]
    fits = (
        x.ndim == 2
        and h.shape == (x.shape[0], hidden)
        and weight_ih.shape == (gates * hidden, x.shape[1])
        and weight_hh.shape == (gates * hidden, hidden)
    )
    if not fits:
        many = "" if gates == 1 else f"{gates}"
        raise ShapeError(
            f"{what} found input {x.shape}, state {h.shape} and weights {weight_ih.shape} and "
            f"{weight_hh.shape}; expected (N, D), (N, H), ({many}H, D) and ({many}H, H)."
        )
