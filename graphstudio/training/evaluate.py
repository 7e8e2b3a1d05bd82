"""How good the model is on samples that it was not trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.plan import Plan
from graphstudio.ir.graph import Graph, IRNode
from graphstudio.training.batches import Arrays, Batches, Mean, take


@dataclass(frozen=True)
class Classifier:
    """Where a graph classifies: the output with the scores and the field with the classes."""

    output: str
    field: str
    num_classes: int


def classifier_of(graph: Graph) -> Classifier | None:
    """The first loss or metric that compares scores ``(N, C)`` with classes ``(N,)``, or None."""
    for judge in (*graph.with_role("metric"), *graph.with_role("loss")):
        sources = [graph.by_id[s.node] for s in judge.inputs if s is not None]
        if len(sources) != 2:
            continue
        model, target = sources
        scores, classes = judge.input_types
        if scores is None or classes is None or classes.dtype != "int64":
            continue
        if scores.rank == 2 and isinstance(scores.shape[1], int) and target.role == "target":
            return Classifier(model.name, field_of(target), scores.shape[1])
    return None


def field_of(node: IRNode) -> str:
    """The data field that an Input or a Target reads."""
    field: str = getattr(node.spec, "field")  # noqa: B009 - declared by the two types only
    return field


def fields_of(graph: Graph) -> tuple[str, ...]:
    """The data fields that the graph reads."""
    return tuple(dict.fromkeys(field_of(n) for n in graph.with_role("input", "target")))


@dataclass(frozen=True)
class Evaluation:
    """Sample-weighted means over one split, and who was taken for whom."""

    num_samples: int
    values: dict[str, float]
    confusion: list[list[int]]
    """Rows are true classes, columns predictions; empty unless the graph classifies."""


def evaluate(
    plan: Plan,
    graph: Graph,
    arrays: Arrays,
    batch_size: int,
    between: Callable[[int], bool],
) -> Evaluation | None:
    """Losses, metrics and confusion matrix on all samples, without touching the weights.

    Parameters
    ----------
    between : callable
        Called before each batch with the number of samples done; False gives up.

    Returns
    -------
    Evaluation or None
        None if it was given up. ``values`` always has ``loss``, and ``accuracy`` for a classifier.
    """
    classifier = classifier_of(graph)
    count = min(len(a) for a in arrays.values())
    mean = Mean()
    truths: list[np.ndarray[Any, Any]] = []
    guesses: list[np.ndarray[Any, Any]] = []
    for rows in Batches(count=count, batch_size=batch_size).rows(0):
        if not between(mean.count):
            return None
        batch = take(arrays, rows)
        mean.add(plan.evaluate(batch), len(rows))
        if classifier is not None:
            truths.append(batch[classifier.field])
            guesses.append(plan.forward(batch)[classifier.output].argmax(axis=1))
    values = mean.result()
    confusion: list[list[int]] = []
    if classifier is not None:
        confusion = _confusion(
            np.concatenate(truths), np.concatenate(guesses), classifier.num_classes
        )
        hits = sum(row[i] for i, row in enumerate(confusion))
        values["accuracy"] = hits / count
    return Evaluation(count, values, confusion)


def _confusion(
    truth: np.ndarray[Any, Any], guess: np.ndarray[Any, Any], num_classes: int
) -> list[list[int]]:
    from sklearn.metrics import confusion_matrix  # late: scikit-learn takes a second to import

    matrix = confusion_matrix(truth, guess, labels=range(num_classes))
    return [[int(n) for n in row] for row in matrix]
