"""What the recurrent layers share. Each direction of a layer is one primitive.

The input's product with its weights is taken for all time steps at once, outside the primitive;
inside, one product with the state a step remains. Sequences are batch first; ``lengths`` says how
many steps of each sample count: after its end a sample's state stays, and its outputs are 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.backend import Array, array_module
from engine.errors import DTypeError, EngineError, NotDifferentiableError, ShapeError
from engine.function import Call, Primitive, Step, apply, lift_ids, primitive
from engine.value import Spec, require_float, same_dtype


def times(length: int, reverse: bool) -> list[int]:
    """Time steps in the order in which they are taken."""
    order = list(range(length))
    return order[::-1] if reverse else order


def mark_ended(lengths: Array, ended: Array) -> Step:
    """A step that writes ended (T, N, 1): True where a step lies behind the end of its sample.

    What such steps hold is chosen by this, not multiplied by 0, for 0 times NaN would be NaN.
    """
    steps = array_module(lengths).arange(len(ended))[:, None]
    counted, target = lengths[None, :], ended[..., 0]
    return lambda: np.less_equal(counted, steps, out=target)


def ends(states: Spec) -> Spec:
    """What ``mark_ended`` fills, for states (N, T, H)."""
    n, length, _ = states.shape
    return Spec((length, n, 1), np.dtype(bool))


@primitive
class _CheckedLengths(Primitive):
    """The lengths, having made sure that each lies in ``0 .. most``."""

    name = "checked_lengths"
    passes_gradient = False
    indices = 0

    def check(self, ids: Array, *inputs: Spec, **attrs: Any) -> None:
        most = attrs["most"]
        low, high = (int(ids.min()), int(ids.max())) if ids.size else (0, 0)
        if low < 0 or high > most:
            raise EngineError(
                f"lengths found {low if low < 0 else high} for sequences of {most} steps; "
                f"expected 0 to {most}. Correct the lengths, or pad the sequences more."
            )

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        return inputs[0]

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        lengths, out = inputs[0], outputs[0]
        if not isinstance(lengths, np.ndarray):
            return lambda: np.copyto(out, lengths)

        def step() -> None:
            self.check(lengths, **attrs)
            np.copyto(out, lengths)

        return step


class Cell(Primitive):
    """A recurrence over time. Its outputs include every state, which its gradient reads."""

    uses_outputs = True


class CellGradient(Cell):
    """The gradient of a recurrence, which has none itself."""

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        layer = self.name.removesuffix("_gradient")
        raise NotDifferentiableError(
            f"{layer} has no gradient of a gradient; loop over {layer}_cell instead, which has."
        )


def add_given(total: Array, gradient: Array | None, t: int) -> None:
    """Add what comes in at step ``t``, if anything does."""
    if gradient is not None:
        np.add(total, gradient[:, t], out=total)


def spread(given: Sequence[bool], gradients: Sequence[Array]) -> list[Array | None]:
    """The gradients that are given, each in its place, and None in the places of the others."""
    rest = iter(gradients)
    return [next(rest) if there else None for there in given]


def through_sigmoid(g: Array, y: Array, room: Array) -> None:
    """Gradient behind a sigmoid to the one before it, in place."""
    np.multiply(y, y, out=room)
    np.subtract(y, room, out=room)
    np.multiply(g, room, out=g)


def through_tanh(g: Array, y: Array, room: Array) -> None:
    """Gradient behind a tanh to the one before it, in place."""
    np.multiply(y, y, out=room)
    np.subtract(1.0, room, out=room)
    np.multiply(g, room, out=g)


def prepared(
    what: str,
    gates: int,
    x: Any,
    weights: tuple[Any, Any],
    biases: Sequence[Any],
    states: Sequence[Any],
    lengths: Any,
) -> tuple[list[Any], Any, bool]:
    """First states (zeros where not given), lengths, and whether there are any lengths.

    Raises
    ------
    ShapeError, DTypeError
        If an operand does not fit the others.
    """
    weight_ih, weight_hh = weights
    hidden = weight_hh.shape[-1] if weight_hh.ndim else 0
    rows = gates * hidden
    many = "" if gates == 1 else f"{gates}"
    if x.ndim != 3 or weight_ih.shape != (rows, x.shape[2]) or weight_hh.shape != (rows, hidden):
        raise ShapeError(
            f"{what} found input {x.shape} and weights {weight_ih.shape} and {weight_hh.shape}; "
            f"expected (N, T, D), ({many}H, D) and ({many}H, H)."
        )
    if not x.shape[1]:
        raise ShapeError(f"{what} found input {x.shape}; expected at least one time step.")
    require_float(what, x.spec)
    n = x.shape[0]
    wanted = [("bias", v, (rows,)) for v in biases] + [("state", v, (n, hidden)) for v in states]
    for name, value, shape in wanted:
        if value is not None and value.shape != shape:
            raise ShapeError(f"{what} found {name} {value.shape}; expected {shape}.")
    operands = [weight_ih, weight_hh, *(v for _, v, _ in wanted if v is not None)]
    same_dtype(what, x.spec, *(v.spec for v in operands))
    first = [x.constant_like(np.zeros((n, hidden), x.dtype)) if s is None else s for s in states]
    if lengths is None:
        return first, x.constant_like(np.full(n, x.shape[1], np.int64)), False
    lengths = lift_ids(f"{what}, for lengths,", lengths, x)
    if lengths.shape != (n,) or lengths.dtype.kind not in "iu":
        raise DTypeError(
            f"{what} found lengths {lengths.spec}; expected whole numbers ({n},), one a sample."
        )
    return first, apply("checked_lengths", lengths, most=x.shape[1]), True


def last_state(states: Any, reverse: bool) -> Any:
    """State after the last step that was taken, (N, H); lengths are in it already."""
    return states[:, 0 if reverse else -1]
