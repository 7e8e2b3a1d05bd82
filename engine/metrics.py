"""Figures by which a model is judged, from the arrays or tensors of a whole data set.

Predictions come first, as in the losses. Classes are given by their ids: ``logits.argmax(1)``.
Where a figure has nothing to divide by, it is 0.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from engine.backend import Array, to_numpy
from engine.errors import DTypeError, EngineError, ShapeError
from engine.tensor import Tensor


def _array(value: Any) -> Array:
    return to_numpy(value.data if isinstance(value, Tensor) else np.asarray(value))


def _pair(what: str, prediction: Any, target: Any) -> tuple[Array, Array]:
    """Both as host arrays of one shape, with something in them."""
    a, b = _array(prediction), _array(target)
    if a.shape != b.shape or not a.size:
        raise ShapeError(
            f"{what} found prediction {a.shape} and target {b.shape}; expected equal shapes with "
            "at least one element."
        )
    return a, b


def _ids(what: str, values: Array, num_classes: int) -> Array:
    """Class ids as a flat array, checked."""
    if values.dtype.kind not in "biu":
        raise DTypeError(
            f"{what} found class ids of type {values.dtype.name}; expected whole numbers, such as "
            "logits.argmax(1)."
        )
    flat = values.reshape(-1).astype(np.int64)
    low, high = int(flat.min()), int(flat.max())
    if low < 0 or high >= num_classes:
        raise EngineError(
            f"{what} found class {low if low < 0 else high}; expected 0 to {num_classes - 1}."
        )
    return flat


def confusion_matrix(prediction: Any, target: Any, num_classes: int) -> Array:
    """How often each class (row) was taken for each class (column), int64 (C, C)."""
    a, b = _pair("confusion_matrix", prediction, target)
    rows, columns = (_ids("confusion_matrix", v, num_classes) for v in (b, a))
    counts = np.bincount(rows * num_classes + columns, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


class Scores(NamedTuple):
    """Figures of each class, (C,), or of all together."""

    precision: Any
    recall: Any
    f1: Any


AVERAGES = ("macro", "weighted", "micro")


def precision_recall_f1(
    prediction: Any, target: Any, num_classes: int, average: str | None = None
) -> Scores:
    """Share of what was taken for a class that is of it, share of it that was found, their mean.

    Parameters
    ----------
    average : str, optional
        "macro" gives the mean over classes, "weighted" counts each as often as it occurs, "micro"
        counts all cases alike; by default each class has its own figures.
    """
    if average is not None and average not in AVERAGES:
        raise EngineError(
            f"precision_recall_f1 found average={average!r}; expected None or one of "
            f"{', '.join(AVERAGES)}."
        )
    table = confusion_matrix(prediction, target, num_classes)
    right, taken, there = np.diagonal(table), table.sum(0), table.sum(1)
    if average == "micro":
        right, taken, there = (v.sum() for v in (right, taken, there))
    each = Scores(_share(right, taken), _share(right, there), _share(2 * right, taken + there))
    if average is None:
        return each
    weights = there if average == "weighted" else np.ones_like(there)
    return Scores(*(float(np.average(figure, weights=weights)) for figure in each))


def _share(part: Any, whole: Any) -> Any:
    return np.where(whole > 0, part / np.maximum(whole, 1), 0.0)


def top_k_accuracy(logits: Any, target: Any, k: int = 5) -> float:
    """Share of rows (N, C) whose label is among the ``k`` greatest, of equal ones the first."""
    scores, ids = _array(logits), _array(target)
    if scores.ndim != 2 or ids.shape != scores.shape[:1] or not ids.size:
        raise ShapeError(
            f"top_k_accuracy found logits {scores.shape} and labels {ids.shape}; expected (N, C) "
            "and (N,), at least one."
        )
    if not 0 < k <= scores.shape[1]:
        raise EngineError(f"top_k_accuracy found k={k}; expected 1 to {scores.shape[1]}.")
    labels = _ids("top_k_accuracy", ids, scores.shape[1])[:, None]
    own = np.take_along_axis(scores, labels, axis=1)
    before = np.arange(scores.shape[1]) < labels
    rank = ((scores > own) | ((scores == own) & before)).sum(1)
    return float((rank < k).mean())


def roc_auc(scores: Any, target: Any) -> float:
    """Chance that a positive case has a greater score than a negative one; ties count half.

    Raises
    ------
    EngineError
        If the targets are not 0 and 1, or lack one of them.
    """
    s, t = (v.reshape(-1) for v in _pair("roc_auc", scores, target))
    found = np.unique(t)
    if not np.array_equal(found, [0, 1]):
        raise EngineError(
            f"roc_auc found targets {found[:5].tolist()}; expected both 0 and 1, and no others."
        )
    order, positive = np.sort(s), t == 1
    # The mean rank of equal scores, from the places where they begin and end.
    ranks = np.searchsorted(order, s, "left") + np.searchsorted(order, s, "right") + 1
    count, others = int(positive.sum()), int((~positive).sum())
    return float((ranks[positive].sum() / 2 - count * (count + 1) / 2) / (count * others))


def _difference(what: str, prediction: Any, target: Any) -> Array:
    a, b = (v.astype(np.float64) for v in _pair(what, prediction, target))
    return a - b


def mae(prediction: Any, target: Any) -> float:
    """Mean of the absolute differences."""
    return float(np.mean(np.abs(_difference("mae", prediction, target))))


def rmse(prediction: Any, target: Any) -> float:
    """Root of the mean squared difference."""
    return math.sqrt(np.mean(np.square(_difference("rmse", prediction, target))))


def r2(prediction: Any, target: Any) -> float:
    """Share of the targets' variance that is explained: 1 is perfect, 0 the mean, less is worse.

    Of targets that are all equal it is 1 if they are met, else 0.
    """
    a, b = (v.astype(np.float64) for v in _pair("r2", prediction, target))
    missed = float(np.square(a - b).sum())
    spread = float(np.square(b - b.mean()).sum())
    if not spread:
        return float(not missed)
    return 1.0 - missed / spread


def iou(prediction: Any, target: Any, num_classes: int) -> Array:
    """Places of a class common to both, as a share of those of either, for each class (C,)."""
    table = confusion_matrix(prediction, target, num_classes)
    common = np.diagonal(table)
    either: Array = _share(common, table.sum(0) + table.sum(1) - common)
    return either


def dice(prediction: Any, target: Any, num_classes: int) -> Array:
    """Twice the places of a class common to both, as a share of those of both, (C,)."""
    both: Array = precision_recall_f1(prediction, target, num_classes).f1
    return both


def perplexity(cross_entropy: float) -> float:
    """Number of equally likely choices that would be as uncertain: ``e`` to the mean loss."""
    return math.exp(float(cross_entropy))
