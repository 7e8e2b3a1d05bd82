"""Losses besides cross-entropy and squared error; each returns the mean as a scalar."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.errors import EngineError, ShapeError
from engine.function import apply, function, lift
from engine.ops.loss import same_shape
from engine.ops.reduce import mean, sum_
from engine.ops.relu import relu
from engine.ops.sigmoid import sigmoid, softplus
from engine.ops.softmax import log_softmax


@function("mae")
def mae(prediction: Any, target: Any) -> Any:
    """Mean of the absolute differences."""
    same_shape("mae", prediction, target)
    return mean(apply("abs", prediction - target))


@function("huber")
def huber(prediction: Any, target: Any, delta: float = 1.0) -> Any:
    """Mean of ``d^2 / 2`` up to ``|d| = delta``, of ``delta (|d| - delta / 2)`` beyond."""
    same_shape("huber", prediction, target)
    if delta <= 0:
        raise EngineError(f"huber found delta={delta}; expected more than 0.")
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
    logits: Any, target: Any, class_weight: Any = None, label_smoothing: float = 0.0
) -> Any:
    """Cross-entropy with class weights, of class ids (N, ...) or of shares (N, C, ...).

    With ids the sum is divided by the sum of the labels' weights; with shares by the number of
    places, as in PyTorch.
    """
    classes = logits.shape[1]
    wide = (1, classes) + (1,) * (logits.ndim - 2)
    log_p = log_softmax(logits, axis=1)
    if target.dtype.kind in "iu":
        expected = logits.shape[:1] + logits.shape[2:]
        if target.shape != expected:
            raise ShapeError(f"cross entropy found labels {target.shape}; expected {expected}.")
        last = apply("one_hot", target, num_classes=classes, dtype=logits.dtype.name)
        axes = (0, logits.ndim - 1, *range(1, logits.ndim - 1))
        shares = apply("transpose", last, axes=axes) if logits.ndim > 2 else last
    else:
        same_shape("cross entropy", logits, target)
        shares = target
    smooth = shares * (1.0 - label_smoothing) + label_smoothing / classes
    if class_weight is None:
        return -sum_(smooth * log_p) * (classes / logits.size)
    weight = class_weight.reshape(wide)
    total = -sum_(smooth * log_p * weight)
    return (
        total / sum_(shares * weight)
        if target.dtype.kind in "iu"
        else total * (classes / logits.size)
    )


@function("kl_normal")
def kl_normal(mean_: Any, log_var: Any) -> Any:
    """Divergence of normal distributions from the standard one: summed over the last axes, mean
    over the batch.
    """
    same_shape("kl_normal", mean_, log_var)
    terms = mean_ * mean_ + apply("exp", log_var) - log_var - 1.0
    return sum_(terms) * (0.5 / mean_.shape[0])


@function("kl_divergence")
def kl_divergence(log_prediction: Any, target: Any) -> Any:
    """``sum(t (log t - log p))``, mean over the batch; terms with ``t = 0`` are 0."""
    same_shape("kl_divergence", log_prediction, target)
    positive = apply("less", *lift(0.0, target))
    log_target = apply("log", apply("where", positive, *lift(target, 1.0)))
    return sum_(target * (log_target - log_prediction)) * (1.0 / target.shape[0])


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
    distance = _distance(a, b)
    same_shape("contrastive", distance, same)
    apart = relu(margin - distance)
    return mean(same * distance * distance + (1.0 - same) * apart * apart)


@function("triplet")
def triplet(anchor: Any, positive: Any, negative: Any, margin: float = 1.0) -> Any:
    """Mean of ``max(0, d(anchor, positive) - d(anchor, negative) + margin)``."""
    return mean(relu(_distance(anchor, positive) - _distance(anchor, negative) + margin))


@function("dice")
def dice(logits: Any, target: Any, epsilon: float = 1.0) -> Any:
    """One minus the overlap ``(2 sum(p t) + e) / (sum(p) + sum(t) + e)`` of each sample, mean."""
    same_shape("dice", logits, target)
    p = sigmoid(logits).reshape((logits.shape[0], -1))
    t = target.reshape((target.shape[0], -1))
    overlap = (2.0 * sum_(p * t, 1) + epsilon) / (sum_(p, 1) + sum_(t, 1) + epsilon)
    return 1.0 - mean(overlap)


@function("cosine_distance")
def cosine_distance(a: Any, b: Any, epsilon: float = 1e-8) -> Any:
    """Mean of one minus the cosine of the angle between rows."""
    same_shape("cosine_distance", a, b)
    lengths = apply("sqrt", sum_(a * a, -1) * sum_(b * b, -1))
    floor = a.constant_like(np.asarray(epsilon, a.dtype))
    return mean(1.0 - sum_(a * b, -1) / apply("maximum", lengths, floor))
