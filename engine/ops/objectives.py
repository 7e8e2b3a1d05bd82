"""Losses besides cross-entropy and squared error; each returns the mean as a scalar."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.errors import EngineError, ShapeError
from engine.function import apply, function, lift
from engine.ops.compare import check_ids
from engine.ops.loss import check_smoothing, same_shape
from engine.ops.reduce import mean, sum_
from engine.ops.relu import relu
from engine.ops.shape import flatten
from engine.ops.sigmoid import sigmoid, softplus
from engine.ops.softmax import log_softmax
from engine.value import require_float, setting


@function("mae")
def mae(prediction: Any, target: Any) -> Any:
    """Mean of the absolute differences."""
    same_shape("mae", prediction, target)
    return mean(apply("abs", prediction - target))


@function("huber")
def huber(prediction: Any, target: Any, delta: float = 1.0) -> Any:
    """Mean of ``d^2 / 2`` up to ``|d| = delta``, of ``delta (|d| - delta / 2)`` beyond."""
    same_shape("huber", prediction, target)
    if not setting("huber", "delta", delta, 0.0):
        raise EngineError(f"huber found delta={delta}; expected a finite number above 0.")
    distance = apply("abs", prediction - target)
    near = apply("clip", distance, low=None, high=float(delta))
    return mean(near * (distance - near * 0.5))


@function("binary_cross_entropy")
def binary_cross_entropy(logits: Any, target: Any, pos_weight: Any = None) -> Any:
    """Mean of ``-t log s(z) - (1 - t) log(1 - s(z))`` with the sigmoid s, on logits z.

    ``pos_weight`` multiplies the first term: a number, or an array that broadcasts.
    """
    same_shape("binary_cross_entropy", logits, target)
    positive = softplus(-logits)  # -log s(z)
    if pos_weight is None:
        # -log(1 - s(z)) = z + softplus(-z)
        return mean((1.0 - target) * logits + positive)
    factor = target * (pos_weight - 1.0) + 1.0
    return mean((1.0 - target) * logits + factor * positive)


@function("weighted_cross_entropy")
def weighted_cross_entropy(
    logits: Any,
    target: Any,
    class_weight: Any = None,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
) -> Any:
    """Cross-entropy with class weights, of class ids (N, ...) or of shares (N, C, ...).

    With ids the sum is divided by the sum of the labels' weights, 0 if there is nothing to sum;
    with shares by the number of places, as in PyTorch.

    Parameters
    ----------
    logits : (N, C) or (N, C, ...)
    class_weight : (C,), optional
    ignore_index : int
        Places with this id do not count.
    """
    require_float("weighted_cross_entropy", logits.spec)
    check_smoothing("weighted_cross_entropy", label_smoothing)
    by_ids = target.dtype.kind in "iu"
    if by_ids:
        check_ids("weighted_cross_entropy", logits.spec, target.spec)
    else:
        same_shape("weighted_cross_entropy", logits, target)
    classes = logits.shape[1]
    if class_weight is not None and class_weight.shape != (classes,):
        raise ShapeError(
            f"weighted_cross_entropy found weights {class_weight.shape} for logits "
            f"{logits.shape}; expected ({classes},), one a class."
        )
    log_p = log_softmax(logits, axis=1)
    wide = (1, classes) + (1,) * (logits.ndim - 2)
    scaled = log_p if class_weight is None else log_p * class_weight.reshape(wide)
    spread = label_smoothing / classes
    if not by_ids:
        smooth = target * (1.0 - label_smoothing) + spread
        return -sum_(smooth * scaled) * (classes / max(logits.size, 1))
    ignored = apply("equal", *lift(target, ignore_index))
    labels = apply("where", ignored, *lift(0, target))
    column = (labels.shape[0], 1, *labels.shape[1:])
    per_place = apply("gather", scaled, labels.reshape(column), axis=1).reshape(labels.shape)
    per_place = per_place * (1.0 - label_smoothing)
    if spread:
        per_place = per_place + sum_(scaled, 1) * spread
    zero = logits.constant_like(np.zeros((), logits.dtype))
    one = logits.constant_like(np.ones((), logits.dtype))
    total = -sum_(apply("where", ignored, zero, per_place))
    weights = one
    if class_weight is not None:
        rows = apply("take", class_weight.reshape((classes, 1)), labels, padding_idx=None)
        weights = rows.reshape(labels.shape)
    divisor = sum_(apply("where", ignored, zero, weights))
    # Nothing to count: the total is 0, and 0 / 1 stays 0.
    return total / apply("where", apply("equal", *lift(divisor, 0.0)), one, divisor)


def _share(x: Any) -> float:
    """One sample's share of the batch; not a number for a batch of nothing, like its mean."""
    return 1.0 / x.shape[0] if x.shape[0] else math.nan


@function("kl_normal")
def kl_normal(mean_: Any, log_var: Any) -> Any:
    """Divergence of normal distributions from the standard one: summed over the last axes, mean
    over the batch.
    """
    same_shape("kl_normal", mean_, log_var)
    terms = mean_ * mean_ + apply("exp", log_var) - log_var - 1.0
    return sum_(terms) * (0.5 * _share(mean_))


@function("kl_divergence")
def kl_divergence(log_prediction: Any, target: Any) -> Any:
    """``sum(t (log t - log p))``, mean over the batch; terms with ``t = 0`` are 0."""
    same_shape("kl_divergence", log_prediction, target)
    positive = apply("less", *lift(0.0, target))
    log_target = apply("log", apply("where", positive, *lift(target, 1.0)))
    return sum_(target * (log_target - log_prediction)) * _share(target)


@function("hinge")
def hinge(prediction: Any, target: Any) -> Any:
    """Mean of ``max(0, 1 - t y)``; targets are -1 or 1."""
    same_shape("hinge", prediction, target)
    return mean(relu(1.0 - prediction * target))


def _distance(a: Any, b: Any) -> Any:
    """Euclidean distance of rows, (N,); its gradient at 0 is finite."""
    same_shape("distance", a, b)
    difference = a - b
    return apply("sqrt", sum_(difference * difference, -1) + 1e-12)


@function("contrastive")
def contrastive(a: Any, b: Any, same: Any, margin: float = 1.0) -> Any:
    """Mean of ``s d^2 + (1 - s) max(0, margin - d)^2`` for pairs (N, D) with ``s`` 1 if alike.

    References
    ----------
    Hadsell, Chopra and LeCun, "Dimensionality reduction by learning an invariant mapping", 2006.
    """
    margin = setting("contrastive", "margin", margin, 0.0)
    distance = _distance(a, b)
    same_shape("contrastive", distance, same)
    apart = relu(margin - distance)
    return mean(same * distance * distance + (1.0 - same) * apart * apart)


@function("triplet")
def triplet(anchor: Any, positive: Any, negative: Any, margin: float = 1.0) -> Any:
    """Mean of ``max(0, d(anchor, positive) - d(anchor, negative) + margin)``."""
    margin = setting("triplet", "margin", margin, 0.0)
    return mean(relu(_distance(anchor, positive) - _distance(anchor, negative) + margin))


@function("dice")
def dice(logits: Any, target: Any, epsilon: float = 1.0) -> Any:
    """One minus the overlap ``(2 sum(p t) + e) / (sum(p) + sum(t) + e)`` of each sample, mean."""
    same_shape("dice", logits, target)
    epsilon = setting("dice", "epsilon", epsilon, 0.0)
    p, t = flatten(sigmoid(logits)), flatten(target)
    overlap = (2.0 * sum_(p * t, 1) + epsilon) / (sum_(p, 1) + sum_(t, 1) + epsilon)
    return 1.0 - mean(overlap)


@function("iou")
def iou(logits: Any, target: Any, epsilon: float = 1.0) -> Any:
    """One minus the share ``(sum(p t) + e) / (sum(p) + sum(t) - sum(p t) + e)`` a sample, mean."""
    same_shape("iou", logits, target)
    epsilon = setting("iou", "epsilon", epsilon, 0.0)
    p, t = flatten(sigmoid(logits)), flatten(target)
    common = sum_(p * t, 1)
    return 1.0 - mean((common + epsilon) / (sum_(p, 1) + sum_(t, 1) - common + epsilon))


@function("focal")
def focal(logits: Any, target: Any, gamma: float = 2.0, alpha: float | None = None) -> Any:
    """Binary cross-entropy times ``(1 - q)^gamma``, ``q`` the probability of the target; mean.

    Parameters
    ----------
    target : 0 or 1
    alpha : float, optional
        Weight of the ones; the zeros weigh ``1 - alpha``.

    References
    ----------
    Lin et al., "Focal loss for dense object detection", 2017.
    """
    same_shape("focal", logits, target)
    gamma = setting("focal", "gamma", gamma, 0.0)
    entropy = (1.0 - target) * logits + softplus(-logits)
    p = sigmoid(logits)
    # The limit keeps the slope of small powers finite, where the entropy is 0 anyhow.
    wrong = apply("clip", p + target - p * target * 2.0, low=1e-12, high=None)
    loss = entropy * apply("power", *lift(wrong, gamma))
    if alpha is not None:
        alpha = setting("focal", "alpha", alpha, 0.0, 1.0)
        loss = loss * (target * (2.0 * alpha - 1.0) + (1.0 - alpha))
    return mean(loss)


def _cosine(what: str, a: Any, b: Any, epsilon: float) -> Any:
    """Cosine of the angle between rows, (...)."""
    # Limited before the root, whose slope at 0 is infinite.
    squares = apply(
        "clip",
        sum_(a * a, -1) * sum_(b * b, -1),
        low=setting(what, "epsilon", epsilon, 0.0) ** 2,
        high=None,
    )
    return sum_(a * b, -1) / apply("sqrt", squares)


@function("cosine_embedding")
def cosine_embedding(a: Any, b: Any, same: Any, margin: float = 0.0, epsilon: float = 1e-8) -> Any:
    """Mean of ``s (1 - c) + (1 - s) max(0, c - margin)`` for pairs (N, D) with ``s`` 1 if alike.

    ``c`` is the cosine of the angle between the two of a pair.
    """
    same_shape("cosine_embedding", a, b)
    margin = setting("cosine_embedding", "margin", margin, -1.0, 1.0)
    cosine = _cosine("cosine_embedding", a, b, epsilon)
    same_shape("cosine_embedding", cosine, same)
    return mean(same * (1.0 - cosine) + (1.0 - same) * relu(cosine - margin))


@function("cosine_distance")
def cosine_distance(a: Any, b: Any, epsilon: float = 1e-8) -> Any:
    """Mean of one minus the cosine of the angle between rows."""
    same_shape("cosine_distance", a, b)
    return mean(1.0 - _cosine("cosine_distance", a, b, epsilon))
