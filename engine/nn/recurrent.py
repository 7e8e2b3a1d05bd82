"""Recurrent layers, stacked and in both directions, and their cells."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np

from engine import ops
from engine.backend import Array
from engine.errors import EngineError, ShapeError
from engine.nn.module import Module, new_parameter


class _Recurrent(Module):
    """Layers over sequences, batch first.

    Weights are called ``weight_ih_l0``, ``weight_hh_l0``, ``bias_ih_l0`` and so on, with
    ``_reverse`` for the direction from the end. There is one offset a gate, where PyTorch has two
    whose sum it uses; the GRU, where they differ, has ``bias_hh_l0`` as well.

    Parameters
    ----------
    dropout : float
        Share of the elements set to 0 between layers, in training.
    """

    gates: ClassVar[int]
    num_biases: ClassVar[int] = 1
    num_states: ClassVar[int] = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if min(input_size, hidden_size, num_layers) < 1:
            raise EngineError(
                f"{type(self).__name__} found sizes {input_size}, {hidden_size} and {num_layers} "
                "layers; expected 1 or more of each."
            )
        self.input_size, self.hidden_size = input_size, hidden_size
        self.num_layers, self.bidirectional, self.dropout = num_layers, bidirectional, dropout
        rows = self.gates * hidden_size
        for layer in range(num_layers):
            width = input_size if layer == 0 else hidden_size * self.num_directions
            for direction in range(self.num_directions):
                at = self._suffix(layer, direction)
                setattr(self, f"weight_ih{at}", new_parameter("glorot_uniform", rows, width))
                setattr(self, f"weight_hh{at}", new_parameter("orthogonal", rows, hidden_size))
                for name in ("bias_ih", "bias_hh")[: self.num_biases]:
                    setattr(self, name + at, new_parameter("zeros", rows))

    def adapt_state(self, arrays: dict[str, Array], prefix: str) -> None:
        if self.num_biases == 1:
            for layer in range(self.num_layers):
                for direction in range(self.num_directions):
                    _join_offsets(arrays, prefix, self._suffix(layer, direction))

    @property
    def num_directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _suffix(self, layer: int, direction: int) -> str:
        return f"_l{layer}{'_reverse' if direction else ''}"

    def _weights(self, layer: int, direction: int) -> list[Any]:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")[: 2 + self.num_biases]
        return [getattr(self, name + self._suffix(layer, direction)) for name in names]

    @abstractmethod
    def _run(self, x: Any, weights: list[Any], state: list[Any], **options: Any) -> Any:
        """One direction of one layer: the sequence, then the last states."""

    def forward(self, x: Any, state: Any = None, lengths: Any = None) -> Any:
        """Sequence (N, T, H x directions) and last states (layers x directions, N, H).

        Parameters
        ----------
        x : (N, T, input_size)
        state : (layers x directions, N, H), optional
            What to begin with, zeros by default; for an LSTM a pair of them.
        lengths : whole numbers (N,), optional
            Steps of each sample that count: beyond them outputs are 0, and states stay.
        """
        first = self._split(state, x.shape[0])
        last: list[tuple[Any, ...]] = []
        for layer in range(self.num_layers):
            sides = []
            for direction in range(self.num_directions):
                begin = first[len(last)]
                weights = self._weights(layer, direction)
                y, *end = self._run(x, weights, begin, lengths=lengths, reverse=bool(direction))
                sides.append(y)
                last.append(tuple(end))
            x = sides[0] if len(sides) == 1 else ops.concatenate(*sides, axis=2)
            if layer + 1 < self.num_layers:
                x = ops.dropout(x, self.dropout, self.training)
        states = tuple(ops.stack(*column, axis=0) for column in zip(*last, strict=True))
        return x, states if self.num_states > 1 else states[0]

    def _split(self, state: Any, num_samples: int) -> list[list[Any]]:
        """First states of each direction of each layer; None where they are zeros."""
        count = self.num_layers * self.num_directions
        if state is None:
            return [[None] * self.num_states] * count
        whole = state if isinstance(state, tuple | list) else (state,)
        expected = (count, num_samples, self.hidden_size)
        shapes = [s.shape for s in whole]
        if shapes != [expected] * self.num_states:
            raise ShapeError(
                f"{type(self).__name__} found states {shapes}; expected {self.num_states} of "
                f"shape {expected}: layers x directions, samples, hidden size."
            )
        return [[s[i] for s in whole] for i in range(count)]

    def describe(self) -> str:
        more = f", num_layers={self.num_layers}" if self.num_layers > 1 else ""
        both = ", bidirectional=True" if self.bidirectional else ""
        return f"{self.input_size}, {self.hidden_size}{more}{both}"


class RNN(_Recurrent):
    """Simple recurrent layers, whose states are the hyperbolic tangent of a sum."""

    gates = 1

    def _run(self, x: Any, weights: list[Any], state: list[Any], **options: Any) -> Any:
        return ops.rnn(x, *weights, *state, **options)


class LSTM(_Recurrent):
    """Long short-term memory; its state is a pair (h, c)."""

    gates = 4
    num_states = 2

    def _run(self, x: Any, weights: list[Any], state: list[Any], **options: Any) -> Any:
        return ops.lstm(x, *weights, *state, **options)


class GRU(_Recurrent):
    """Gated recurrent layers, the reset gate acting after the product with the state."""

    gates = 3
    num_biases = 2

    def _run(self, x: Any, weights: list[Any], state: list[Any], **options: Any) -> Any:
        return ops.gru(x, *weights, *state, **options)


def _join_offsets(arrays: dict[str, Array], prefix: str, suffix: str) -> None:
    """Replace PyTorch's two offsets a gate by their sum, which is all that it uses."""
    first, second = f"{prefix}bias_ih{suffix}", f"{prefix}bias_hh{suffix}"
    if first in arrays and second in arrays:
        arrays[first] = np.asarray(arrays[first]) + np.asarray(arrays.pop(second))


class _Cell(Module):
    """One time step, for loops of one's own."""

    gates: ClassVar[int]
    num_biases: ClassVar[int] = 1

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        rows = self.gates * hidden_size
        self.weight_ih = new_parameter("glorot_uniform", rows, input_size)
        self.weight_hh = new_parameter("orthogonal", rows, hidden_size)
        self.bias_ih = new_parameter("zeros", rows)
        if self.num_biases > 1:
            self.bias_hh = new_parameter("zeros", rows)

    def adapt_state(self, arrays: dict[str, Array], prefix: str) -> None:
        if self.num_biases == 1:
            _join_offsets(arrays, prefix, "")


class RNNCell(_Cell):
    """New state (N, H) from input (N, D) and state (N, H)."""

    gates = 1

    def forward(self, x: Any, h: Any) -> Any:
        return ops.rnn_cell(x, h, self.weight_ih, self.weight_hh, self.bias_ih)


class LSTMCell(_Cell):
    """New states (h, c) from input (N, D) and states (h, c)."""

    gates = 4

    def forward(self, x: Any, state: tuple[Any, Any]) -> Any:
        return ops.lstm_cell(x, *state, self.weight_ih, self.weight_hh, self.bias_ih)


class GRUCell(_Cell):
    """New state (N, H) from input (N, D) and state (N, H)."""

    gates = 3
    num_biases = 2

    def forward(self, x: Any, h: Any) -> Any:
        return ops.gru_cell(
            x, h, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh
        )  # fmt: skip
