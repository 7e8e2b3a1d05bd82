"""Losses against PyTorch, and where it has none, against their formula."""

import numpy as np
import pytest

import engine
from engine import ops
from engine.errors import EngineError, ShapeError
from engine.testing import check_gradients


@pytest.mark.torch
@pytest.mark.parametrize(
    ("name", "attrs", "reference"),
    [
        ("mae", {}, lambda f, a, b: f.l1_loss(a, b)),
        ("huber", {"delta": 0.7}, lambda f, a, b: f.huber_loss(a, b, delta=0.7)),
        ("mse", {}, lambda f, a, b: f.mse_loss(a, b)),
    ],
)
def test_regression_loss_equals_torch(rng, agree_with_torch, name, attrs, reference):
    from torch.nn import functional

    agree_with_torch(
        name,
        lambda a, b: reference(functional, a, b),
        rng.normal(size=(4, 3)),
        rng.normal(size=(4, 3)),
        batched=(0, 1),
        **attrs,
    )


@pytest.mark.torch
@pytest.mark.parametrize("pos_weight", [None, 3.0])
def test_binary_cross_entropy_equals_torch(rng, agree_with_torch, pos_weight):
    import torch
    from torch.nn import functional

    weight = None if pos_weight is None else torch.tensor(pos_weight)
    agree_with_torch(
        "binary_cross_entropy",
        lambda z, t: functional.binary_cross_entropy_with_logits(z, t, pos_weight=weight),
        3 * rng.normal(size=(4, 3)),
        rng.uniform(size=(4, 3)),
        batched=(0, 1),
        pos_weight=pos_weight,
    )


def test_binary_cross_entropy_of_huge_logits_is_exact():
    z = engine.tensor([1e4, -1e4, 1e4], requires_grad=True)
    loss = ops.binary_cross_entropy(z, engine.tensor([1.0, 0.0, 0.0]))
    loss.backward()
    assert loss.item() == pytest.approx(1e4 / 3)
    np.testing.assert_allclose(z.grad.data, [0.0, 0.0, 1 / 3], atol=1e-7)


@pytest.mark.torch
@pytest.mark.parametrize("shape", [(5, 4), (3, 4, 6), (2, 4, 3, 3)])
@pytest.mark.parametrize("weighted", [False, True])
def test_weighted_cross_entropy_equals_torch(rng, shape, weighted):
    torch = pytest.importorskip("torch")
    ids = rng.integers(0, 4, (shape[0], *shape[2:]))
    arrays = [rng.normal(size=shape), ids]
    if weighted:
        arrays.append(rng.uniform(0.5, 2, 4))
    ours = [engine.tensor(a) for a in arrays]
    theirs = [torch.tensor(a) for a in arrays]
    expected = torch.nn.functional.cross_entropy(
        theirs[0], theirs[1], theirs[2] if weighted else None, label_smoothing=0.2
    )
    found = ops.weighted_cross_entropy(*ours, label_smoothing=0.2)
    assert found.item() == pytest.approx(expected.item(), rel=1e-9)


@pytest.mark.torch
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_weighted_cross_entropy_leaves_out_ignored_labels(
    rng, agree_with_torch, weighted, smoothing
):
    import torch

    weight = rng.uniform(0.5, 2, 4).astype(np.float32) if weighted else None
    agree_with_torch(
        "weighted_cross_entropy",
        lambda x, y: torch.nn.functional.cross_entropy(
            x,
            y,
            torch.tensor(weight) if weighted else None,
            ignore_index=-1,
            label_smoothing=smoothing,
        ),
        rng.normal(size=(3, 4, 5)),
        np.where(rng.uniform(size=(3, 5)) < 0.3, -1, rng.integers(0, 4, (3, 5))),
        class_weight=engine.tensor(weight) if weighted else None,
        label_smoothing=smoothing,
        ignore_index=-1,
    )


def test_weighted_cross_entropy_of_nothing_but_ignored_labels_is_zero():
    x = engine.tensor(np.ones((2, 3)), requires_grad=True)
    loss = ops.weighted_cross_entropy(x, engine.tensor(np.array([-100, -100])))
    loss.backward()
    assert loss.item() == 0.0
    assert not x.grad.data.any()


@pytest.mark.torch
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_of_shares_equals_torch(rng, weighted):
    torch = pytest.importorskip("torch")
    logits, shares = rng.normal(size=(5, 4)), rng.dirichlet(np.ones(4), 5)
    weight = rng.uniform(0.5, 2, 4)
    expected = torch.nn.functional.cross_entropy(
        torch.tensor(logits), torch.tensor(shares), torch.tensor(weight) if weighted else None
    )
    found = ops.weighted_cross_entropy(
        engine.tensor(logits), engine.tensor(shares), engine.tensor(weight) if weighted else None
    )
    assert found.item() == pytest.approx(expected.item(), rel=1e-9)


@pytest.mark.torch
def test_kl_divergence_equals_torch(rng):
    torch = pytest.importorskip("torch")
    log_p = np.log(rng.dirichlet(np.ones(4), 3))
    target = rng.dirichlet(np.ones(4), 3)
    target[0, 1] = 0
    expected = torch.nn.functional.kl_div(
        torch.tensor(log_p), torch.tensor(target), reduction="batchmean"
    )
    found = ops.kl_divergence(engine.tensor(log_p), engine.tensor(target))
    assert found.item() == pytest.approx(expected.item(), rel=1e-9)


@pytest.mark.torch
def test_kl_normal_equals_torch(rng):
    torch = pytest.importorskip("torch")
    mean, log_var = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    d = torch.distributions
    normal = d.Normal(torch.tensor(mean), torch.tensor(np.exp(log_var / 2)))
    expected = d.kl_divergence(normal, d.Normal(0.0, 1.0)).sum() / 3
    found = ops.kl_normal(engine.tensor(mean), engine.tensor(log_var))
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.torch
def test_triplet_and_cosine_equal_torch(rng):
    torch = pytest.importorskip("torch")
    a, b, c = (rng.normal(size=(4, 3)) for _ in range(3))
    ours, theirs = [*map(engine.tensor, (a, b, c))], [*map(torch.tensor, (a, b, c))]
    expected = torch.nn.functional.triplet_margin_loss(*theirs, margin=0.5)
    assert ops.triplet(*ours, margin=0.5).item() == pytest.approx(expected.item(), rel=1e-5)
    expected = 1 - torch.nn.functional.cosine_similarity(*theirs[:2]).mean()
    assert ops.cosine_distance(*ours[:2]).item() == pytest.approx(expected.item(), rel=1e-9)


def test_contrastive_hinge_and_dice_follow_their_formula(rng):
    a, b = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    same = np.array([1.0, 0.0, 1.0, 0.0])
    d = np.linalg.norm(a - b, axis=1)
    expected = (same * d**2 + (1 - same) * np.maximum(0, 2 - d) ** 2).mean()
    found = ops.contrastive(*map(engine.tensor, (a, b, same)), margin=2.0)
    assert found.item() == pytest.approx(expected)
    signs = np.sign(b)
    found = ops.hinge(engine.tensor(a), engine.tensor(signs))
    assert found.item() == pytest.approx(np.maximum(0, 1 - a * signs).mean())
    p, t = 1 / (1 + np.exp(-a)), (b > 0).astype(float)
    expected = 1 - ((2 * (p * t).sum(1) + 1) / (p.sum(1) + t.sum(1) + 1)).mean()
    assert ops.dice(engine.tensor(a), engine.tensor(t)).item() == pytest.approx(expected)


@pytest.mark.parametrize("name", ["mae", "huber", "binary_cross_entropy", "hinge", "dice"])
def test_gradients_match_finite_differences(rng, name):
    target = np.where(rng.uniform(size=(3, 4)) > 0.5, 1.0, 0.0)
    check_gradients(
        lambda x: getattr(ops, name)(x, engine.tensor(target)), rng.normal(size=(3, 4)), second=True
    )


def test_equal_pairs_have_finite_gradients():
    a = engine.tensor(np.ones((2, 3)), requires_grad=True)
    b = engine.tensor(np.ones((2, 3)))
    ops.contrastive(a, b, engine.tensor(np.zeros(2))).backward()
    assert np.isfinite(a.grad.data).all()


def test_wrong_operands_are_refused():
    x = engine.tensor(np.ones((2, 3)))
    with pytest.raises(ShapeError, match="every pair"):
        ops.mae(x, engine.tensor(np.ones((2, 1))))
    ids, weight = engine.tensor(np.array([0, 1])), engine.tensor(np.ones(2))
    with pytest.raises(ShapeError, match="one a class"):
        ops.weighted_cross_entropy(x, ids, weight)
    with pytest.raises(ShapeError, match=r"expected labels \(2,\)"):
        ops.weighted_cross_entropy(x, engine.tensor(np.array([0, 1, 2])))
    with pytest.raises(EngineError, match="found index 3; expected 0 to 2"):
        ops.weighted_cross_entropy(x, engine.tensor(np.array([0, 3])))


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_settings_must_be_numbers_in_their_range(value):
    x = engine.tensor(np.ones((2, 3)))
    for call in (
        lambda: ops.huber(x, x, delta=value),
        lambda: ops.triplet(x, x, x, margin=value),
        lambda: ops.contrastive(x, x, engine.tensor(np.ones(2)), margin=value),
        lambda: ops.cross_entropy(x, engine.tensor(np.array([0, 1])), label_smoothing=value),
        lambda: ops.weighted_cross_entropy(x, x, label_smoothing=value),
        lambda: ops.dropout(x, value),
    ):
        with pytest.raises(EngineError, match=r"found .*; expected"):
            call()


@pytest.mark.torch
@pytest.mark.parametrize("margin", [0.0, 0.4, -0.3])
def test_cosine_embedding_equals_torch(rng, agree_with_torch, margin):
    from torch.nn import functional

    def reference(a, b, alike):
        cosine = functional.cosine_similarity(a, b)
        terms = alike * (1 - cosine) + (1 - alike) * (cosine - margin).relu()
        own = functional.cosine_embedding_loss(a, b, 2 * alike - 1, margin)  # not of alike
        assert own.item() == pytest.approx(terms.mean().item(), rel=1e-6)
        return terms.mean()

    agree_with_torch(
        "cosine_embedding",
        reference,
        rng.normal(size=(5, 3)),
        rng.normal(size=(5, 3)),
        np.array([1.0, 0.0, 0.0, 1.0, 0.0]),
        batched=(0, 1, 2),
        margin=margin,
    )


@pytest.mark.torch
@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, None), (0.0, 0.25), (0.5, 0.7), (3.0, 0.25)])
def test_focal_equals_its_formula_in_torch(rng, agree_with_torch, gamma, alpha):
    from torch.nn import functional

    def reference(z, t):
        entropy = functional.binary_cross_entropy_with_logits(z, t, reduction="none")
        q = z.sigmoid() * t + (1 - z.sigmoid()) * (1 - t)
        weight = 1.0 if alpha is None else alpha * t + (1 - alpha) * (1 - t)
        return (weight * entropy * (1 - q) ** gamma).mean()

    agree_with_torch(
        "focal", reference, 3 * rng.normal(size=(4, 5)), rng.uniform(0.1, 0.9, size=(4, 5)),
        batched=(0, 1), gamma=gamma, alpha=alpha,
    )  # fmt: skip


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focal_of_what_is_certain_is_zero_with_a_finite_slope(gamma):
    z = engine.tensor([200.0, -200.0, 200.0], requires_grad=True)
    loss = ops.focal(z, engine.tensor([1.0, 0.0, 0.0]), gamma)
    loss.backward()
    assert loss.item() == pytest.approx(200 / 3)
    np.testing.assert_allclose(z.grad.data, [0.0, 0.0, 1 / 3], atol=1e-6)


def test_iou_of_sets_is_the_share_of_what_they_have_in_common():
    z = np.array([[50.0, 50.0, -50.0, -50.0], [50.0, -50.0, -50.0, -50.0]])
    t = np.array([[1.0, 0.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    loss = ops.iou(engine.tensor(z), engine.tensor(t), 0.0)
    assert loss.item() == pytest.approx(1 - (1 / 3 + 1.0) / 2)
    smooth = ops.iou(engine.tensor(z), engine.tensor(t))
    assert smooth.item() == pytest.approx(1 - (2 / 4 + 1.0) / 2)
