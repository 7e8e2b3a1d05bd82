"""Connectionist temporal classification: the loss of labels whose places are not known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.backend import Array, array_module, take_rows
from engine.errors import DTypeError, EngineError, NotDifferentiableError, ShapeError
from engine.function import Call, Primitive, Step, apply_all, function, primitive
from engine.ops.gather import check_range
from engine.ops.reduce import mean
from engine.ops.softmax import log_softmax
from engine.value import Spec, require_float

INF = float("inf")
DOUBLE = np.dtype(np.float64)


@primitive
class _CTC(Primitive):
    """Each sample's loss, and the expected share of each class at each step.

    A path goes through the labels in order, with blanks between them, before and after. ``ahead``
    sums the probabilities of all paths up to a place, ``behind`` of those from there on; both are
    logarithms in float64, as the numbers are products of as many factors as there are steps.
    """

    name = "ctc"
    uses_outputs = True
    indices = 1

    def check(self, ids: Array, *inputs: Spec, **attrs: Any) -> None:
        check_range("ctc", ids, inputs[0].shape[2])

    def infer(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        return inputs[0].with_shape(inputs[0].shape[:1]), inputs[0]

    def scratch(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        (n, length, _), size = inputs[0].shape, inputs[1].shape[1]
        places = (n, 2 * size + 1)
        return (
            Spec((length, *places), DOUBLE),
            *(Spec(places, DOUBLE) for _ in range(4)),
            *(Spec(places, inputs[0].dtype) for _ in range(2)),
            *(Spec(places, np.dtype(np.intp)) for _ in range(2)),
        )

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        log_p, labels, lengths, label_lengths = inputs
        loss, occupied = outputs
        ahead, behind, room, wall, ends, emitted, shares, origin, place = scratch
        blank, zero_infinity = attrs["blank"], attrs["zero_infinity"]
        xp = array_module(log_p)
        n, length, classes = log_p.shape
        size = labels.shape[1]
        rows, states = xp.arange(n), xp.arange(2 * size + 1)

        def emit(step: int) -> None:
            """Log probability of each place's class at a step."""
            np.add(origin, step * classes, out=place)
            if place.size:
                take_rows(log_p.reshape(-1), place, emitted)

        def begin() -> tuple[Array, Array]:
            """Where each place's class and each path's end lie; last step and last label."""
            if xp is np:
                self._check_host(labels, lengths, label_lengths, length, blank, classes)
            steps = np.minimum(np.maximum(lengths, 0), length)
            count = np.minimum(np.maximum(label_lengths, 0), size)
            origin[:, 0::2] = blank
            origin[:, 1::2] = labels
            # From a label to the next one without a blank between, unless both are the same.
            wall.fill(-INF)
            wall[:, 3::2] = xp.where(labels[:, 1:] != labels[:, :-1], 0.0, -INF)
            np.add(origin, (rows * (length * classes))[:, None], out=origin)
            np.subtract(2 * count[:, None], states, out=place)
            ends.fill(-INF)
            for before_end in (0, 1):  # the last label, or a blank behind it
                np.copyto(ends, 0.0, where=place == before_end)
            return steps, count

        def step() -> None:
            steps, count = begin()
            for t in range(length):
                now, before = ahead[t], ahead[t - 1]
                emit(t)
                if t == 0:
                    now.fill(-INF)
                    now[:, :2] = 0.0
                else:
                    np.copyto(now, before)
                    np.logaddexp(now[:, 1:], before[:, :-1], out=now[:, 1:])
                    np.add(before[:, :-2], wall[:, 2:], out=room[:, 2:])
                    np.logaddexp(now[:, 2:], room[:, 2:], out=now[:, 2:])
                np.add(now, emitted, out=now)
            nothing = xp.where(count == 0, 0.0, -INF)  # of no steps at all
            if length:
                last = np.maximum(steps - 1, 0)
                total = ahead[last, rows, 2 * count]
                at_label = xp.where(count == 0, -INF, ahead[last, rows, 2 * count - 1])
                np.logaddexp(total, at_label, out=total)
                nothing = xp.where(steps == 0, nothing, total)
            np.negative(nothing, out=loss)
            walk_back(steps)
            if zero_infinity:
                loss[...] = xp.where(loss == INF, 0.0, loss)

        def walk_back(steps: Array) -> None:
            occupied.fill(0)
            behind.fill(-INF)
            flat = occupied.reshape(-1)
            for t in range(length - 1, -1, -1):
                if t + 1 < length:
                    emit(t + 1)
                    np.add(behind, emitted, out=room)
                    np.copyto(behind, room)
                    np.logaddexp(behind[:, :-1], room[:, 1:], out=behind[:, :-1])
                    np.add(room[:, 2:], wall[:, 2:], out=room[:, 2:])
                    np.logaddexp(behind[:, :-2], room[:, 2:], out=behind[:, :-2])
                np.copyto(behind, ends, where=(steps == t + 1)[:, None])
                np.add(ahead[t], behind, out=room)
                np.add(room, loss[:, None], out=room)
                np.exp(room, out=shares, casting="same_kind")
                if zero_infinity:
                    np.copyto(shares, 0.0, where=(loss == INF)[:, None])
                np.add(origin, t * classes, out=place)
                xp.add.at(flat, place.reshape(-1), shares.reshape(-1))

        return step

    def _check_host(
        self,
        labels: Array,
        lengths: Array,
        label_lengths: Array,
        length: int,
        blank: int,
        classes: int,
    ) -> None:
        """Raise EngineError unless lengths and labels lie in their ranges."""
        size = labels.shape[1]
        check_range("ctc", labels, classes)
        for what, values, most in (
            ("lengths", lengths, length),
            ("label_lengths", label_lengths, size),
        ):
            if values.size and not 0 <= int(values.min()) <= int(values.max()) <= most:
                raise EngineError(
                    f"ctc found {what} from {int(values.min())} to {int(values.max())}; expected 0 "
                    f"to {most}."
                )
        if ((labels == blank) & (np.arange(size) < label_lengths[:, None])).any():
            raise EngineError(
                f"ctc found the blank, {blank}, among the labels; expected other classes. Labels "
                "behind label_lengths may be anything."
            )

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        if grads[1] is not None:
            raise NotDifferentiableError("'ctc' has no gradients of gradients.")
        share = call.outputs[1]
        return -(grads[0].reshape((share.shape[0], 1, 1)) * share), None, None, None


@function("ctc")
def ctc(
    logits: Any,
    labels: Any,
    lengths: Any,
    label_lengths: Any,
    blank: int = 0,
    zero_infinity: bool = False,
) -> Any:
    """Mean over the batch of ``-log`` of the chance that logits (N, T, C) spell the labels (N, S).

    Steps may repeat a label or give the blank. Unlike PyTorch's "mean", losses are not divided by
    the labels' lengths.

    Parameters
    ----------
    labels : whole numbers (N, S)
        Classes other than the blank; those behind ``label_lengths`` do not count.
    lengths, label_lengths : whole numbers (N,)
        Steps, and labels, of each sample that count.
    zero_infinity : bool
        Leave out samples whose labels need more steps than there are, which have an infinite loss.

    References
    ----------
    Graves et al., "Connectionist temporal classification: labelling unsegmented sequence data with
    recurrent neural networks", 2006.
    """
    require_float("ctc", logits.spec)
    if logits.ndim != 3 or not logits.shape[2]:
        raise ShapeError(f"ctc found logits {logits.shape}; expected (N, T, classes).")
    n, _, classes = logits.shape
    if labels.ndim != 2 or labels.shape[0] != n:
        raise ShapeError(f"ctc found labels {labels.shape}; expected ({n}, S).")
    for what, value in (("lengths", lengths), ("label_lengths", label_lengths)):
        if value.shape != (n,):
            raise ShapeError(f"ctc found {what} {value.shape}; expected ({n},).")
    for what, value in (("labels", labels), ("lengths", lengths), ("label_lengths", label_lengths)):
        if value.dtype.kind not in "iu":
            raise DTypeError(
                f"ctc found {what} of type {value.dtype.name}; expected whole numbers."
            )
    if not 0 <= blank < classes:
        raise EngineError(f"ctc found blank={blank}; expected 0 to {classes - 1}.")
    log_p = log_softmax(logits, axis=2)
    attrs = {"blank": int(blank), "zero_infinity": bool(zero_infinity)}
    return mean(apply_all("ctc", log_p, labels, lengths, label_lengths, **attrs)[0])
