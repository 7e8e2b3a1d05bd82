"""CTC against PyTorch, and against the sum over all paths."""

from itertools import product

import numpy as np
import pytest

import engine
from engine import ops
from engine.errors import EngineError, NotDifferentiableError, ShapeError
from engine.plan import PlanBuilder

LABELS = np.array([[1, 2, 2, 4], [3, 1, 0, 0], [2, 2, 2, 0], [0, 0, 0, 0], [4, 1, 2, 3]])
LENGTHS = np.array([9, 4, 7, 3, 4])
LABEL_LENGTHS = np.array([4, 2, 3, 0, 4])


def _ours(x, zero_infinity=False, dtype=np.float64, labels=LABELS, **options):
    x = engine.tensor(x.astype(dtype), requires_grad=True)
    rest = (engine.tensor(a) for a in (labels, LENGTHS, LABEL_LENGTHS))
    loss = ops.ctc(x, *rest, zero_infinity=zero_infinity, **options)
    loss.backward()
    return loss.item(), x.grad.data


@pytest.mark.torch
@pytest.mark.parametrize("blank", [0, 5])
def test_loss_and_gradient_equal_torch(rng, blank):
    import torch

    x = 2 * rng.normal(size=(5, 9, 6))
    labels = LABELS if blank == 0 else np.where(LABELS == 0, 3, LABELS)
    theirs = torch.tensor(x, requires_grad=True)
    losses = torch.nn.functional.ctc_loss(
        theirs.log_softmax(2).transpose(0, 1), torch.tensor(labels), torch.tensor(LENGTHS),
        torch.tensor(LABEL_LENGTHS), blank, reduction="none",
    )  # fmt: skip
    losses.mean().backward()
    loss, slope = _ours(x, labels=labels, blank=blank)
    assert loss == pytest.approx(losses.mean().item(), rel=1e-12)
    np.testing.assert_allclose(slope, theirs.grad.numpy(), atol=1e-12)
    loss, slope = _ours(x, labels=labels, blank=blank, dtype=np.float32)
    assert loss == pytest.approx(losses.mean().item(), rel=1e-6)
    np.testing.assert_allclose(slope, theirs.grad.numpy(), atol=1e-6)


def test_the_loss_is_that_of_the_sum_over_all_paths(rng):
    x = rng.normal(size=(1, 4, 3))
    p = np.exp(x[0] - np.logaddexp.reduce(x[0], 1, keepdims=True))
    for labels in ([1], [2, 1], [1, 1], []):
        total = 0.0
        for path in product(range(3), repeat=4):
            merged = [c for i, c in enumerate(path) if i == 0 or c != path[i - 1]]
            if [c for c in merged if c] == labels:
                total += np.prod(p[range(4), path])
        given = (
            np.array([labels + [0] * (2 - len(labels))]),
            np.array([4]),
            np.array([len(labels)]),
        )
        loss = ops.ctc(engine.tensor(x), *map(engine.tensor, given))
        assert loss.item() == pytest.approx(-np.log(total), rel=1e-12)


def test_long_sequences_of_small_chances_stay_finite(rng):
    x = engine.tensor((20 * rng.normal(size=(2, 600, 30))).astype(np.float32), requires_grad=True)
    labels = engine.tensor(rng.integers(1, 30, (2, 80)))
    loss = ops.ctc(x, labels, engine.tensor([600, 550]), engine.tensor([80, 60]))
    loss.backward()
    assert loss.item() > 1e3
    assert np.isfinite(x.grad.data).all()
    np.testing.assert_allclose(x.grad.data.sum(2), 0.0, atol=1e-4)  # a softmax's gradient
    assert not x.grad.data[1, 550:].any()


def test_labels_that_need_more_steps_than_there_are():
    x = np.zeros((2, 3, 3))
    given = [np.array([[1, 1], [1, 2]]), np.array([2, 3]), np.array([2, 2])]  # 1, 1 needs three
    logits = engine.tensor(x, requires_grad=True)
    assert ops.ctc(logits, *map(engine.tensor, given)).item() == np.inf
    loss = ops.ctc(logits, *map(engine.tensor, given), zero_infinity=True)
    loss.backward()
    alone = ops.ctc(engine.tensor(x[1:]), *(engine.tensor(a[1:]) for a in given))
    assert loss.item() == pytest.approx(alone.item() / 2)
    assert not logits.grad.data[0].any()
    assert np.isfinite(logits.grad.data).all()


def test_no_step_at_all():
    given = [np.array([[1], [1]]), np.array([0, 0])]
    x = engine.tensor(np.zeros((2, 0, 3)))
    for counts, expected in (([0, 0], 0.0), ([0, 1], np.inf)):
        loss = ops.ctc(x, *map(engine.tensor, [*given, np.array(counts)]))
        assert loss.item() == expected


def test_a_plan_trains_to_spell(rng):
    b = PlanBuilder()
    x, labels = b.input("x", ("N", 6, 5)), b.input("labels", ("N", 2), "int64")
    scores = b.call("matmul", x, b.parameter("w", (5, 4), init="glorot_uniform"))
    ends = [b.input(name, ("N",), "int64") for name in ("steps", "count")]
    b.loss("l", b.call("ctc", scores, labels, *ends))
    plan = b.build(optimizer=engine.optim.Adam(0.05), seed=1)
    batch = {
        "x": rng.normal(size=(3, 6, 5)).astype(np.float32),
        "labels": np.array([[1, 2], [3, 3], [2, 0]]),
        "steps": np.array([6, 5, 4]), "count": np.array([2, 2, 1]),
    }  # fmt: skip
    first = plan.train_step(batch)["l"]
    plan.prepare(3)
    for _ in range(200):
        last = plan.train_step(batch)["l"]
    assert last < 0.1 * first


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": LABELS[:, 0]}, r"labels \(5,\); expected \(5, S\)"),
        ({"lengths": LENGTHS[:3]}, r"lengths \(3,\); expected \(5,\)"),
        ({"lengths": LENGTHS + 1}, "lengths from 4 to 10; expected 0 to 9"),
        ({"label_lengths": LABEL_LENGTHS - 1}, "label_lengths from -1 to 3; expected 0 to 4"),
        ({"labels": LABELS + 2}, "found index 6; expected 0 to 5"),
        ({"label_lengths": LABEL_LENGTHS * 0 + 3}, "found the blank, 0, among the labels"),
        ({"labels": LABELS * 1.0}, "labels of type float64; expected whole numbers"),
        ({"blank": 6}, "blank=6; expected 0 to 5"),
    ],
)
def test_what_cannot_be_is_refused(change, words):
    given = {"labels": LABELS, "lengths": LENGTHS, "label_lengths": LABEL_LENGTHS, **change}
    blank = given.pop("blank", 0)
    with pytest.raises(EngineError, match=words):
        ops.ctc(engine.zeros(5, 9, 6), *map(engine.tensor, given.values()), blank=blank)
    with pytest.raises(ShapeError, match=r"logits \(5, 9\); expected \(N, T, classes\)"):
        ops.ctc(engine.zeros(5, 9), *map(engine.tensor, (LABELS, LENGTHS, LABEL_LENGTHS)))


def test_second_order_is_refused_by_name():
    x = engine.tensor(np.zeros((1, 3, 3)), requires_grad=True)
    loss = ops.ctc(x, engine.tensor([[1]]), engine.tensor([3]), engine.tensor([1]))
    (slope,) = engine.grad(loss, [x], create_graph=True)
    with pytest.raises(NotDifferentiableError, match="'ctc' has no gradients of gradients"):
        (slope * slope).sum().backward()
