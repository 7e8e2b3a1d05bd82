"""Gradients of gradients against PyTorch's double backward, op by op, and a gradient penalty."""

from __future__ import annotations

import numpy as np
import pytest

import engine
from engine import nn, ops
from engine.errors import NotDifferentiableError
from engine.testing import check_gradients

torch = pytest.importorskip("torch")
functional = torch.nn.functional
pytestmark = pytest.mark.torch

IMAGE = (2, 4, 5, 6)
IDS = np.array([[0, 2, 1], [2, 2, 0]])
LABELS = np.array([[0, 1, 2, -100], [1, 1, 0, 2]])


def _ids(array, ours):
    return engine.tensor(array) if ours else torch.tensor(array)


def _running(ours):
    made = np.linspace(-0.5, 0.5, 4), np.linspace(0.5, 2.0, 4)
    return [engine.tensor(a) if ours else torch.tensor(a) for a in made]


CASES = {
    "matmul": (ops.matmul, torch.matmul, [(3, 4), (4, 2)]),
    "matmul batched": (ops.matmul, torch.matmul, [(2, 1, 3, 4), (5, 4, 2)]),
    "linear": (
        lambda x, w, b: ops.tanh(ops.matmul(x, w, transpose_b=True) + b),
        lambda x, w, b: torch.tanh(functional.linear(x, w, b)),
        [(3, 4), (2, 4), (2,)],
    ),
    "multiply": (ops.multiply, torch.mul, [(3, 1, 4), (2, 1)]),
    "divide": (
        lambda a, b: ops.divide(a, b * b + 1.0),
        lambda a, b: a / (b * b + 1.0),
        [(3, 4), (4,)],
    ),
    "power": (
        lambda a, b: ops.power(a * a + 0.5, b),
        lambda a, b: (a * a + 0.5) ** b,
        [(3, 4), (3, 1)],
    ),
    "maximum": (
        lambda a, b: ops.maximum(a * a, b),
        lambda a, b: torch.maximum(a * a, b),
        [(3, 4), (3, 4)],
    ),
    "rnn_cell": (
        ops.rnn_cell,
        lambda x, h, w, u, b: torch.rnn_tanh_cell(x, h, w, u, b, torch.zeros_like(b)),
        [(3, 4), (3, 2), (2, 4), (2, 2), (2,)],
    ),
    "lstm_cell": (
        lambda x, h, c, w, u, b: ops.concatenate(*ops.lstm_cell(x, h, c, w, u, b)),
        lambda x, h, c, w, u, b: torch.cat(
            torch.lstm_cell(x, (h, c), w, u, b, torch.zeros_like(b)), 1
        ),
        [(3, 4), (3, 2), (3, 2), (8, 4), (8, 2), (8,)],
    ),
    "gru_cell": (
        ops.gru_cell,
        torch.gru_cell,
        [(3, 4), (3, 2), (6, 4), (6, 2), (6,), (6,)],
    ),
    "exp": (ops.exp, torch.exp, [(3, 4)]),
    "log": (lambda x: ops.log(x * x + 0.1), lambda x: torch.log(x * x + 0.1), [(3, 4)]),
    "sqrt": (lambda x: ops.sqrt(x * x + 0.1), lambda x: torch.sqrt(x * x + 0.1), [(3, 4)]),
    "abs": (lambda x: ops.abs(x) * x, lambda x: torch.abs(x) * x, [(3, 4)]),
    "sin": (ops.sin, torch.sin, [(3, 4)]),
    "erf": (ops.erf, torch.erf, [(3, 4)]),
    "clip": (lambda x: ops.clip(x, -0.5, 0.5) * x, lambda x: x.clamp(-0.5, 0.5) * x, [(3, 4)]),
    "relu": (lambda x: ops.relu(x) * x, lambda x: torch.relu(x) * x, [(3, 4)]),
    "leaky_relu": (
        lambda x: ops.leaky_relu(x, 0.2) * x,
        lambda x: functional.leaky_relu(x, 0.2) * x,
        [(3, 4)],
    ),
    "prelu": (
        lambda x, s: ops.prelu(x, s) * x,
        lambda x, s: functional.prelu(x, s) * x,
        [IMAGE, (4,)],
    ),
    "gelu tanh": (
        lambda x: ops.gelu(x, "tanh"),
        lambda x: functional.gelu(x, approximate="tanh"),
        [(3, 4)],
    ),
    **{
        name: (
            lambda x, name=name: getattr(ops, name)(x),
            lambda x, name=name: getattr(functional, name)(x),
            [(3, 4)],
        )
        for name in ("elu", "selu", "gelu", "silu", "softplus", "mish", "sigmoid", "tanh")
    },
    "hard_swish": (ops.hard_swish, functional.hardswish, [(3, 4)]),
    "softsign": (ops.softsign, functional.softsign, [(3, 4)]),
    "glu": (lambda x: ops.glu(x, 1), lambda x: functional.glu(x, 1), [(3, 4)]),
    "softmax": (lambda x: ops.softmax(x, 1), lambda x: torch.softmax(x, 1), [(3, 4, 2)]),
    "log_softmax": (
        lambda x: ops.log_softmax(x, 1),
        lambda x: torch.log_softmax(x, 1),
        [(3, 4, 2)],
    ),
    "logsumexp": (lambda x: ops.logsumexp(x, 1), lambda x: torch.logsumexp(x, 1), [(3, 4, 2)]),
    "conv1d": (
        lambda x, w: ops.conv1d(x, w, None, 2, 1),
        lambda x, w: functional.conv1d(x, w, None, 2, 1),
        [(2, 3, 7), (4, 3, 3)],
    ),
    "conv2d": (
        lambda x, w, b: ops.conv2d(x, w, b, (2, 1), 1, 1, 2),
        lambda x, w, b: functional.conv2d(x, w, b, (2, 1), 1, 1, 2),
        [IMAGE, (6, 2, 3, 2), (6,)],
    ),
    "conv2d dilated": (
        lambda x, w: ops.conv2d(x, w, None, 1, 2, 2),
        lambda x, w: functional.conv2d(x, w, None, 1, 2, 2),
        [IMAGE, (3, 4, 2, 3)],
    ),
    "conv2d depthwise": (
        lambda x, w: ops.conv2d(x, w, None, 1, 1, 1, 4),
        lambda x, w: functional.conv2d(x, w, None, 1, 1, 1, 4),
        [IMAGE, (8, 1, 3, 3)],
    ),
    "conv3d": (
        lambda x, w: ops.conv3d(x, w, None, 1, (0, 1, 0)),
        lambda x, w: functional.conv3d(x, w, None, 1, (0, 1, 0)),
        [(1, 2, 3, 3, 4), (2, 2, 2, 3, 2)],
    ),
    "conv_transpose2d": (
        lambda x, w, b: ops.conv_transpose2d(x, w, b, 2, 1, 1),
        lambda x, w, b: functional.conv_transpose2d(x, w, b, 2, 1, 1),
        [IMAGE, (4, 2, 3, 3), (2,)],
    ),
    "max_pool2d": (
        lambda x: ops.tanh(ops.max_pool2d(x, 3, 2, 1)),
        lambda x: torch.tanh(functional.max_pool2d(x, 3, 2, 1)),
        [IMAGE],
    ),
    "average_pool2d": (
        lambda x: ops.tanh(ops.average_pool2d(x, 3, 2, 1, False)),
        lambda x: torch.tanh(functional.avg_pool2d(x, 3, 2, 1, False, False)),
        [IMAGE],
    ),
    "adaptive_average_pool2d": (
        lambda x: ops.tanh(ops.adaptive_average_pool2d(x, (3, 4))),
        lambda x: torch.tanh(functional.adaptive_avg_pool2d(x, (3, 4))),
        [IMAGE],
    ),
    "global_max_pool": (
        lambda x: ops.tanh(ops.global_max_pool(x)),
        lambda x: torch.tanh(x.amax((2, 3))),
        [IMAGE],
    ),
    "resize": (
        lambda x: ops.tanh(ops.resize(x, (7, 4), "bilinear")),
        lambda x: torch.tanh(functional.interpolate(x, (7, 4), mode="bilinear")),
        [IMAGE],
    ),
    "batch_norm": (
        lambda x, g, b: ops.batch_norm(x, g, b, *_running(True), training=True),
        lambda x, g, b: functional.batch_norm(x, *_running(False), g, b, True),
        [IMAGE, (4,), (4,)],
    ),
    "batch_norm of rows": (
        lambda x, g, b: ops.batch_norm(x, g, b, *_running(True), training=True),
        lambda x, g, b: functional.batch_norm(x, *_running(False), g, b, True),
        [(5, 4), (4,), (4,)],
    ),
    "batch_norm in inference": (
        lambda x, g, b: ops.tanh(ops.batch_norm(x, g, b, *_running(True), training=False)),
        lambda x, g, b: torch.tanh(functional.batch_norm(x, *_running(False), g, b, False)),
        [IMAGE, (4,), (4,)],
    ),
    "layer_norm": (
        lambda x, g, b: ops.layer_norm(x, g, b, 2),
        lambda x, g, b: functional.layer_norm(x, (5, 6), g, b),
        [IMAGE, (5, 6), (5, 6)],
    ),
    "group_norm": (
        lambda x, g, b: ops.group_norm(x, 2, g, b),
        lambda x, g, b: functional.group_norm(x, 2, g, b),
        [IMAGE, (4,), (4,)],
    ),
    "instance_norm": (ops.instance_norm, functional.instance_norm, [IMAGE]),
    "rms_norm": (
        lambda x, g: ops.rms_norm(x, g, 1e-6),
        lambda x, g: functional.rms_norm(x, (4,), g, 1e-6),
        [(3, 4), (4,)],
    ),
    "l2_normalize": (ops.l2_normalize, lambda x: functional.normalize(x, dim=-1), [(3, 4)]),
    "sum": (lambda x: ops.tanh(x.sum(1)), lambda x: torch.tanh(x.sum(1)), [(3, 4)]),
    "mean": (lambda x: ops.tanh(x.mean((0, 2))), lambda x: torch.tanh(x.mean((0, 2))), [(3, 4, 2)]),
    "var": (lambda x: ops.var(x, 1, correction=1), lambda x: torch.var(x, 1), [(3, 4)]),
    "max": (lambda x: ops.tanh(ops.max(x, 1)), lambda x: torch.tanh(x.amax(1)), [(3, 4)]),
    "min": (lambda x: ops.tanh(ops.min(x, 1)), lambda x: torch.tanh(x.amin(1)), [(3, 4)]),
    "prod": (lambda x: ops.prod(x, 1), lambda x: torch.prod(x, 1), [(3, 4)]),
    "norm": (ops.norm, lambda x: torch.linalg.vector_norm(x, dim=-1), [(3, 4)]),
    "einsum": (
        lambda a, b: ops.einsum("bij,bjk->bk", a, b),
        lambda a, b: torch.einsum("bij,bjk->bk", a, b),
        [(2, 3, 4), (2, 4, 2)],
    ),
    "concatenate and slice": (
        lambda a, b: ops.tanh(ops.concatenate(a, b, axis=1)[:, 1:6:2]),
        lambda a, b: torch.tanh(torch.cat((a, b), 1)[:, 1:6:2]),
        [(3, 4), (3, 4)],
    ),
    "pad": (
        lambda x: ops.tanh(ops.pad(x, ((0, 1), (2, 0)), 0.5)),
        lambda x: torch.tanh(functional.pad(x, (2, 0, 0, 1), value=0.5)),
        [(3, 4)],
    ),
    "embedding": (
        lambda t: ops.tanh(ops.embedding(_ids(IDS, True), t)),
        lambda t: torch.tanh(functional.embedding(_ids(IDS, False), t)),
        [(4, 3)],
    ),
    "embedding with a padding row": (
        lambda t: ops.tanh(ops.embedding(_ids(IDS, True), t, padding_idx=2)),
        lambda t: torch.tanh(functional.embedding(_ids(IDS, False), t, padding_idx=2)),
        [(4, 3)],
    ),
    "gather": (
        lambda x: ops.tanh(ops.gather(x, _ids(IDS, True), 1)),
        lambda x: torch.tanh(torch.gather(x, 1, _ids(IDS, False))),
        [(2, 4)],
    ),
    "attention": (
        lambda q, k, v: ops.scaled_dot_product_attention(q, k, v, is_causal=True),
        lambda q, k, v: functional.scaled_dot_product_attention(q, k, v, is_causal=True),
        [(2, 3, 4), (2, 3, 4), (2, 3, 2)],
    ),
    "cross_entropy": (
        lambda x: ops.tanh(ops.cross_entropy(x, _ids(LABELS, True), 0.1)),
        lambda x: torch.tanh(functional.cross_entropy(x, _ids(LABELS, False), label_smoothing=0.1)),
        [(2, 3, 4)],
    ),
    "binary_cross_entropy": (
        lambda x, t: ops.tanh(ops.binary_cross_entropy(x, t)),
        lambda x, t: torch.tanh(functional.binary_cross_entropy_with_logits(x, t)),
        [(3, 4), (3, 4)],
    ),
    "mse": (
        lambda x, t: ops.tanh(ops.mse(x, t)),
        lambda x, t: torch.tanh(functional.mse_loss(x, t)),
        [(3, 4), (3, 4)],
    ),
    "huber": (
        lambda x, t: ops.tanh(ops.huber(x, t)),
        lambda x, t: torch.tanh(functional.huber_loss(x, t)),
        [(3, 4), (3, 4)],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_double_backward_equals_torch(rng, name):
    ours, theirs, shapes = CASES[name]
    arrays = [rng.normal(size=shape) for shape in shapes]
    a = [engine.tensor(v, requires_grad=True) for v in arrays]
    b = [torch.tensor(v, requires_grad=True) for v in arrays]
    y, expected = ours(*a), theirs(*b)
    along = rng.normal(size=y.shape)
    first = engine.grad((y * engine.tensor(along)).sum(), a, create_graph=True)
    first_expected = torch.autograd.grad(
        (expected * torch.tensor(along)).sum(), b, create_graph=True
    )
    for mine, real in zip(first, first_expected, strict=True):
        np.testing.assert_allclose(mine.data, real.detach().numpy(), rtol=1e-9, atol=1e-10)
    penalty = sum((ops.tanh(g) * g).sum() for g in first)
    penalty_expected = sum((torch.tanh(g) * g).sum() for g in first_expected)
    second = engine.grad(penalty, a)
    second_expected = torch.autograd.grad(penalty_expected, b, allow_unused=True)
    for mine, real in zip(second, second_expected, strict=True):
        full = np.zeros(mine.shape) if real is None else real.numpy()
        np.testing.assert_allclose(mine.data, full, rtol=1e-8, atol=1e-9)


def _critic_and_twin(rng):
    """A convolutional critic with normalisation in both libraries, float64, equal weights."""
    shapes = {
        "c1": (4, 1, 4, 4), "b1": (4,), "g": (4,), "o": (4,),
        "c2": (6, 4, 3, 3), "n": (6, 3, 3), "m": (6, 3, 3), "d": (1, 54), "e": (1,),
    }  # fmt: skip
    weights = {k: 0.5 * rng.normal(size=s) for k, s in shapes.items()}
    mine = {k: engine.tensor(v, requires_grad=True) for k, v in weights.items()}
    real = {k: torch.tensor(v, requires_grad=True) for k, v in weights.items()}

    def ours(x):
        w = mine
        y = ops.conv2d(x, w["c1"], w["b1"], 2, 1)
        y = ops.leaky_relu(ops.instance_norm(y, w["g"], w["o"]), 0.2)
        y = ops.conv2d(y, w["c2"], None, 2, 1)
        y = ops.silu(ops.layer_norm(y, w["n"], w["m"], 3))
        return ops.matmul(ops.flatten(y), w["d"], transpose_b=True) + w["e"]

    def theirs(x):
        w = real
        y = functional.conv2d(x, w["c1"], w["b1"], 2, 1)
        y = functional.instance_norm(y, None, None, w["g"], w["o"])
        y = functional.conv2d(functional.leaky_relu(y, 0.2), w["c2"], None, 2, 1)
        y = functional.silu(functional.layer_norm(y, (6, 3, 3), w["n"], w["m"]))
        return functional.linear(y.flatten(1), w["d"], w["e"])

    return ours, mine, theirs, real


def test_gradient_penalty_of_a_critic_equals_torch(rng):
    """The loss of WGAN-GP: Gulrajani et al., "Improved training of Wasserstein GANs", 2017."""
    ours, mine, theirs, real = _critic_and_twin(rng)
    true, fake = rng.normal(size=(2, 3, 1, 12, 12))
    share = rng.uniform(size=(3, 1, 1, 1))
    between = share * true + (1 - share) * fake

    x = engine.tensor(between, requires_grad=True)
    (slope,) = engine.grad(ours(x).sum(), [x], create_graph=True)
    length = ops.norm(ops.flatten(slope))
    loss = ours(engine.tensor(fake)).mean() - ours(engine.tensor(true)).mean()
    loss = loss + 10.0 * ops.square(length - 1.0).mean()
    loss.backward()

    z = torch.tensor(between, requires_grad=True)
    (slope_,) = torch.autograd.grad(theirs(z).sum(), [z], create_graph=True)
    expected = theirs(torch.tensor(fake)).mean() - theirs(torch.tensor(true)).mean()
    expected = expected + 10.0 * (slope_.flatten(1).norm(dim=1) - 1.0).square().mean()
    expected.backward()

    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    for name, parameter in mine.items():
        np.testing.assert_allclose(
            parameter.grad.data, real[name].grad.numpy(), rtol=1e-8, atol=1e-9, err_msg=name
        )


def test_third_gradients_of_batch_norm_match_finite_differences(rng):
    """PyTorch keeps mean and variance fixed there, so differences are the reference."""
    weight = engine.tensor(rng.normal(size=(3, 2, 2)))

    def penalty(x, gamma):
        for value in (x, gamma):
            value.requires_grad = True
        mean, var = engine.tensor(np.zeros(2)), engine.tensor(np.ones(2))
        y = ops.batch_norm(x, gamma, gamma * 0.5, mean, var, training=True)
        total = (ops.tanh(y) * weight).sum()
        a, b = engine.grad(total, [x, gamma], create_graph=True)
        return ops.tanh(a).sum() + ops.tanh(b).sum()

    check_gradients(
        penalty, rng.normal(size=(3, 2, 2)), rng.normal(size=2), second=True, tolerance=1e-5
    )


def test_products_of_zeros_have_second_gradients(rng):
    x = rng.normal(size=(2, 4))
    x[0, 1] = x[1, 0] = x[1, 2] = 0.0
    check_gradients(lambda v: ops.tanh(ops.prod(v, 1)), x, second=True, tolerance=1e-5)


def test_a_recurrent_layer_says_what_to_use_instead(rng):
    layer = nn.GRU(2, 3)
    x = engine.tensor(rng.normal(size=(1, 2, 2)).astype(np.float32), requires_grad=True)
    (slope,) = engine.grad(layer(x)[0].sum(), [x], create_graph=True)
    with pytest.raises(NotDifferentiableError, match="gru_cell"):
        slope.sum().backward()
