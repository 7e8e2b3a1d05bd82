"""Losses. They take logits where there is a choice, and return the mean as a scalar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.backend import Array, array_module, take_rows
from engine.errors import EngineError, ShapeError
from engine.function import (
    Axes,
    Call,
    Primitive,
    Step,
    apply,
    apply_all,
    function,
    lift,
    lift_ids,
    primitive,
)
from engine.ops.compare import check_ids
from engine.ops.gather import places_along
from engine.ops.reduce import mean, reduced_shape, sum_
from engine.value import Spec, require_float, same_dtype


@primitive
class _CrossEntropy(Primitive):
    """Mean loss, and the probabilities from which its gradient is one subtraction away."""

    name = "cross_entropy"
    uses_outputs = True
    indices = 1

    def check(self, ids: Array, *inputs: Spec, **attrs: Any) -> None:
        checked_labels(ids, inputs[0].shape[1], attrs["ignore_index"])

    def infer(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        return inputs[0].with_shape(()), inputs[0]

    def layout(self, orders: Sequence[Axes], specs: Sequence[Spec], **attrs: Any) -> list[Axes]:
        return [(), orders[0]]

    def scratch(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        row = inputs[0].with_shape(reduced_shape(inputs[0].shape, (1,), True))
        return row, row

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        (logits, ids), (loss, p), (row, picked) = inputs, outputs, scratch
        smoothing, ignore = attrs["label_smoothing"], attrs["ignore_index"]
        classes = logits.shape[1]

        def step() -> None:
            labels, valid, count = checked_labels(ids, classes, ignore)
            # loss = log(sum(exp(z))) - target.z with z = logits - max
            np.max(logits, axis=1, keepdims=True, out=row)
            np.subtract(logits, row, out=p)
            picked[...] = np.take_along_axis(p, labels, axis=1)
            if smoothing:
                np.multiply(picked, 1.0 - smoothing, out=picked)
                np.add(picked, np.mean(p, axis=1, keepdims=True) * smoothing, out=picked)
            np.exp(p, out=p)
            np.sum(p, axis=1, keepdims=True, out=row)
            np.divide(p, row, out=p)
            np.log(row, out=row)
            np.subtract(row, picked, out=row)
            if valid is not None:
                row[~valid] = 0
            loss[...] = row.sum(dtype=np.float64) / max(count, 1)

        if isinstance(ids, np.ndarray):
            return step
        found = _Found(p, ids, ignore)
        total = array_module(p).empty(())

        def on_device() -> None:
            found.look()
            np.max(logits, axis=1, keepdims=True, out=row)
            np.subtract(logits, row, out=p)
            take_rows(found.line, found.place, picked)
            if smoothing:
                np.multiply(picked, 1.0 - smoothing, out=picked)
                np.sum(p, axis=1, keepdims=True, out=row)
                np.multiply(row, smoothing / classes, out=row)
                np.add(picked, row, out=picked)
            np.exp(p, out=p)
            np.sum(p, axis=1, keepdims=True, out=row)
            np.divide(p, row, out=p)
            np.log(row, out=row)
            np.subtract(row, picked, out=row)
            np.copyto(row, 0.0, where=found.ignored)
            np.sum(row, dtype=np.float64, out=total)
            np.divide(total, found.count, out=total)
            np.copyto(loss, total, casting="same_kind")

        return on_device

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        ids, p = call.inputs[1], call.outputs[1]
        parts = []
        if grads[0] is not None:
            parts.append(apply("cross_entropy_gradient", p, ids, grads[0], **call.attrs))
        if grads[1] is not None:  # only in gradients of gradients
            parts.append(apply("softmax_gradient", grads[1], p, axis=1))
        return (parts[0] if len(parts) == 1 else parts[0] + parts[1]), None


@primitive
class _CrossEntropyGradient(Primitive):
    """``g * (probabilities - target) / count``."""

    name = "cross_entropy_gradient"
    inplace = (0,)

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        return inputs[0]

    def layout(self, orders: Sequence[Axes], specs: Sequence[Spec], **attrs: Any) -> list[Axes]:
        return [orders[0]]

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        (p, ids, g), out = inputs, outputs[0]
        smoothing, ignore = attrs["label_smoothing"], attrs["ignore_index"]
        classes = p.shape[1]

        def step() -> None:
            labels, valid, count = checked_labels(ids, classes, ignore)
            np.subtract(p, smoothing / classes, out=out)
            picked = np.take_along_axis(out, labels, axis=1) - (1.0 - smoothing)
            np.put_along_axis(out, labels, picked.astype(out.dtype), axis=1)
            np.multiply(out, g / max(count, 1), out=out)
            if valid is not None:
                np.multiply(out, valid, out=out)

        if isinstance(ids, np.ndarray):
            return step
        found = _Found(out, ids, ignore)
        picked, scale = np.empty_like(found.place, dtype=out.dtype), np.empty_like(g)

        def on_device() -> None:
            found.look()
            np.subtract(p, smoothing / classes, out=out)
            take_rows(found.line, found.place, picked)
            np.subtract(picked, 1.0 - smoothing, out=picked)
            np.put(found.line, found.place, picked)
            np.divide(g, found.count, out=scale)
            np.multiply(out, scale, out=out)
            np.multiply(out, found.valid, out=out)

        return on_device

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        (p, ids, g), u = call.inputs, grads[0]
        one = g.constant_like(np.ones((), g.dtype))
        slope = apply("cross_entropy_gradient", p, ids, one, **call.attrs)
        labels = ids.reshape((ids.shape[0], 1, *ids.shape[1:]))
        ignored = apply("equal", *lift(labels, call.attrs["ignore_index"]))
        counted = apply("where", ignored, *lift(0.0, one))
        count = apply("clip", sum_(counted), low=1.0, high=None)
        return u * (counted * (g / count)), None, sum_(u * slope)


def checked_labels(ids: Array, classes: int, ignore: int) -> tuple[Array, Array | None, int]:
    """Labels (N, 1, ...) safe to index with, where they count (None: everywhere), how many do.

    Raises
    ------
    EngineError
        If a label is neither a class nor ``ignore``.
    """
    labels = ids[:, None]
    low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    if low >= 0 and high < classes and not 0 <= ignore < classes:
        return labels, None, labels.size
    valid = labels != ignore
    wrong = valid & ((labels < 0) | (labels >= classes))
    if wrong.any():
        raise EngineError(
            f"cross_entropy found label {int(labels[wrong].flat[0])}; expected 0 to {classes - 1}. "
            "Set the number of classes, or correct the labels."
        )
    return np.where(valid, labels, 0), valid, int(valid.sum())


class _Found:
    """Labels on a GPU, unchecked: which count, how many, and where scores of theirs lie.

    Looking at them neither waits nor allocates.
    """

    def __init__(self, scores: Array, ids: Array, ignore: int) -> None:
        xp = array_module(ids)
        self._ids, self._ignore = ids[:, None], ignore
        self._labels, self.place = (xp.empty(self._ids.shape, np.int64) for _ in range(2))
        self.valid, self.ignored = (xp.empty(self._ids.shape, bool) for _ in range(2))
        self.count = xp.empty((), np.float32)
        self.line, self._find = places_along(scores, self._labels, 1, self.place)

    def look(self) -> None:
        """Take note of the labels as they are now."""
        np.equal(self._ids, self._ignore, out=self.ignored)
        np.logical_not(self.ignored, out=self.valid)
        np.multiply(self._ids, self.valid, out=self._labels)
        np.sum(self.valid, dtype=self.count.dtype, out=self.count)
        np.maximum(self.count, 1.0, out=self.count)
        self._find()


@function("cross_entropy")
def cross_entropy(
    logits: Any, ids: Any, label_smoothing: float = 0.0, ignore_index: int = -100
) -> Any:
    """Mean of ``-log softmax(logits)[label]``, a scalar.

    Parameters
    ----------
    logits : (N, C) or (N, C, ...)
    ids : whole numbers (N,) or (N, ...)
        The class of each place; places that hold ``ignore_index`` do not count.
    label_smoothing : float
        Share of the target that is spread evenly over all classes.
    """
    require_float("cross_entropy", logits.spec)
    ids = lift_ids("cross_entropy", ids, logits)
    check_ids("cross_entropy", logits.spec, ids.spec)
    check_smoothing("cross_entropy", label_smoothing)
    attrs = {"label_smoothing": float(label_smoothing), "ignore_index": int(ignore_index)}
    return apply_all("cross_entropy", logits, ids, **attrs)[0]


def check_smoothing(what: str, share: float) -> None:
    """Raise unless the share of label smoothing lies in 0 .. 1."""
    if not 0.0 <= share <= 1.0:
        raise EngineError(f"{what} found label_smoothing={share}; expected 0 to 1.")


@function("mse")
def mse(prediction: Any, target: Any) -> Any:
    """Mean of the squared differences over all elements, a scalar."""
    same_shape("mse", prediction, target)
    difference = prediction - target
    return mean(difference * difference)


def same_shape(what: str, prediction: Any, target: Any) -> None:
    """Raise unless both have one shape and one element type."""
    same_dtype(what, prediction.spec, target.spec)
    if prediction.shape != target.shape:
        raise ShapeError(
            f"{what} found prediction {prediction.shape} and target {target.shape}; expected equal "
            "shapes, as broadcasting would compare every pair. Reshape one of them."
        )
