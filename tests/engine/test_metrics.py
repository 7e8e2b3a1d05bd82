"""Figures against scikit-learn's."""

from __future__ import annotations

import math

import numpy as np
import pytest

import engine
from engine import metrics
from engine.errors import DTypeError, EngineError, ShapeError

sklearn = pytest.importorskip("sklearn.metrics")


@pytest.fixture
def classes(rng):
    """Predictions and targets of six classes, of which one is never there, one never predicted."""
    return rng.choice([0, 1, 2, 3, 5], 200), rng.choice([0, 1, 2, 4], 200)


def test_tables_of_classes(classes):
    prediction, target = classes
    labels = range(6)
    np.testing.assert_array_equal(
        metrics.confusion_matrix(prediction, target, 6),
        sklearn.confusion_matrix(target, prediction, labels=labels),
    )
    for average in (None, "macro", "micro", "weighted"):
        found = metrics.precision_recall_f1(prediction, target, 6, average)
        expected = sklearn.precision_recall_fscore_support(
            target, prediction, labels=labels, average=average, zero_division=0.0
        )
        for mine, real in zip(found, expected[:3], strict=True):
            np.testing.assert_allclose(mine, real, rtol=1e-12)
    np.testing.assert_allclose(
        metrics.iou(prediction, target, 6),
        sklearn.jaccard_score(target, prediction, labels=labels, average=None, zero_division=0.0),
    )
    np.testing.assert_allclose(
        metrics.dice(prediction, target, 6),
        sklearn.f1_score(target, prediction, labels=labels, average=None, zero_division=0.0),
    )


def test_maps_and_tensors_are_counted_place_by_place(rng):
    a, b = (rng.integers(0, 3, (2, 4, 5)) for _ in range(2))
    expected = metrics.iou(a.ravel(), b.ravel(), 3)
    np.testing.assert_array_equal(metrics.iou(engine.tensor(a), engine.tensor(b), 3), expected)
    np.testing.assert_array_equal(
        metrics.confusion_matrix(a > 1, b > 1, 2),
        sklearn.confusion_matrix(b.ravel() > 1, a.ravel() > 1),
    )


@pytest.mark.parametrize("k", [1, 2, 3])
def test_top_k(rng, k):
    logits, target = rng.normal(size=(100, 4)), rng.integers(0, 4, 100)
    expected = sklearn.top_k_accuracy_score(target, logits, k=k, labels=range(4))
    assert metrics.top_k_accuracy(logits, target, k) == pytest.approx(expected)
    assert metrics.top_k_accuracy(logits, target, 4) == 1.0
    equal = np.zeros((3, 4))
    assert metrics.top_k_accuracy(equal, np.array([0, 1, 3]), 2) == pytest.approx(2 / 3)


def test_roc_auc_with_and_without_ties(rng):
    target = rng.integers(0, 2, 300)
    for scores in (rng.normal(size=300) + target, np.round(rng.normal(size=300) + target)):
        expected = sklearn.roc_auc_score(target, scores)
        assert metrics.roc_auc(engine.tensor(scores), target) == pytest.approx(expected, rel=1e-12)


def test_regression(rng):
    a, b = (rng.normal(size=(50, 2)).astype(np.float32) for _ in range(2))
    assert metrics.mae(a, b) == pytest.approx(sklearn.mean_absolute_error(b, a), rel=1e-6)
    expected = sklearn.root_mean_squared_error(b.ravel(), a.ravel())
    assert metrics.rmse(a, b) == pytest.approx(expected)
    assert metrics.mae(np.uint8([1, 200]), np.uint8([3, 100])) == 51.0
    assert metrics.r2(a, b) == pytest.approx(sklearn.r2_score(b.ravel(), a.ravel()), rel=1e-6)
    assert metrics.r2(b, b) == 1.0
    assert metrics.r2(np.full(3, b.mean()), b[:3, 0] * 0 + b.mean()) == 1.0
    assert metrics.r2(np.ones(3), np.zeros(3)) == 0.0
    assert metrics.perplexity(math.log(7)) == pytest.approx(7.0)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: metrics.mae(np.ones(2), np.ones((2, 1))), ShapeError, "expected equal shapes"),
        (lambda: metrics.rmse([], []), ShapeError, "at least one element"),
        (lambda: metrics.iou(np.ones(2), np.ones(2), 2), DTypeError, "such as logits.argmax"),
        (lambda: metrics.iou([0, 2], [0, 1], 2), EngineError, "found class 2; expected 0 to 1"),
        (lambda: metrics.precision_recall_f1([0], [0], 1, "mean"), EngineError, "'mean'; expected"),
        (lambda: metrics.roc_auc([0.1, 0.2], [1, 1]), EngineError, r"targets \[1\]; expected both"),
        (lambda: metrics.top_k_accuracy(np.ones((2, 3)), [0, 1], 4), EngineError, "k=4; expected"),
        (lambda: metrics.top_k_accuracy(np.ones(3), [0, 1, 2]), ShapeError, r"expected \(N, C\)"),
    ],
)
def test_what_cannot_be_judged_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()
