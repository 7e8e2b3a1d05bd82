"""Shapes, strides, pads and memory orders as hypothesis draws them, against PyTorch in float64.

Sizes of 0 and 1, odd sizes, windows as large as the input, operands that are views: forward and
backward must equal PyTorch's wherever it computes anything.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import engine
from engine import ops
from engine.errors import ShapeError

torch = pytest.importorskip("torch")
functional = torch.nn.functional
pytestmark = pytest.mark.torch

EXAMPLES = settings(max_examples=60)
SEEDS = st.integers(0, 2**16)


def _array(draw, shape):
    """Numbers in a drawn memory order: row-major, permuted, every second, or backwards."""
    rng = np.random.default_rng(draw(SEEDS))
    order = draw(st.permutations(range(len(shape))))
    kind = draw(st.sampled_from(["row", "permuted", "spaced", "backwards"]))
    if kind == "row" or not shape:
        return rng.normal(size=shape)
    if kind == "permuted":
        turned = rng.normal(size=[shape[i] for i in order])
        return turned.transpose(np.argsort(order))
    if kind == "spaced":
        return rng.normal(size=[2 * n for n in shape])[tuple(slice(0, 2 * n, 2) for n in shape)]
    return rng.normal(size=shape)[tuple(slice(None, None, -1) for _ in shape)]


def _compare(ours, theirs, *arrays):
    mine = [engine.Tensor(a, a.dtype.kind == "f") for a in arrays]
    real = [torch.tensor(a.copy(), requires_grad=a.dtype.kind == "f") for a in arrays]
    y, expected = ours(*mine), theirs(*real)
    assert y.shape == tuple(expected.shape)
    assert y.dtype.kind == "f"
    np.testing.assert_allclose(y.data, expected.detach().numpy(), rtol=1e-9, atol=1e-10)
    weight = np.random.default_rng(0).uniform(0.5, 1.5, y.shape)
    leaves = [v for v in mine if v.requires_grad]
    found = engine.grad((y * engine.tensor(weight)).sum(), leaves)
    wanted = torch.autograd.grad(
        (expected * torch.tensor(weight)).sum(), [v for v in real if v.requires_grad]
    )
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a.data, b.numpy(), rtol=1e-9, atol=1e-10)


@st.composite
def _convolutions(draw, num_axes):
    groups = draw(st.integers(1, 3))
    channels, filters = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 3))
    kernel = [draw(st.integers(1, 3)) for _ in range(num_axes)]
    stride = tuple(draw(st.integers(1, 3)) for _ in range(num_axes))
    dilation = tuple(draw(st.integers(1, 2)) for _ in range(num_axes))
    padding = tuple(draw(st.integers(0, 2)) for _ in range(num_axes))
    spatial = []
    for k, d, p in zip(kernel, dilation, padding, strict=True):
        least = max(d * (k - 1) + 1 - 2 * p, 1)
        spatial.append(draw(st.integers(least, least + 4)))
    x = _array(draw, (draw(st.integers(1, 3)), channels, *spatial))
    w = _array(draw, (filters, channels // groups, *kernel))
    b = _array(draw, (filters,))
    return x, w, b, stride, padding, dilation, groups


@pytest.mark.parametrize("num_axes", [1, 2, 3])
@given(data=st.data())
@EXAMPLES
def test_convolution(num_axes, data):
    x, w, b, *attrs = data.draw(_convolutions(num_axes))
    name = f"conv{num_axes}d"
    _compare(
        lambda *v: getattr(ops, name)(*v, *attrs),
        lambda *v: getattr(functional, name)(*v, *attrs),
        x, w, b,
    )  # fmt: skip


@pytest.mark.parametrize("num_axes", [1, 2, 3])
@given(data=st.data())
@EXAMPLES
def test_transposed_convolution(num_axes, data):
    draw = data.draw
    groups = draw(st.integers(1, 2))
    channels, filters = groups * draw(st.integers(1, 2)), draw(st.integers(1, 2))
    kernel = [draw(st.integers(1, 3)) for _ in range(num_axes)]
    stride = tuple(draw(st.integers(1, 3)) for _ in range(num_axes))
    dilation = tuple(draw(st.integers(1, 2)) for _ in range(num_axes))
    padding = tuple(draw(st.integers(0, 1)) for _ in range(num_axes))
    extra = tuple(
        draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True)
    )
    spatial = [draw(st.integers(1, 4)) for _ in range(num_axes)]
    sizes = zip(spatial, kernel, stride, dilation, padding, extra, strict=True)
    assume(all((n - 1) * s - 2 * p + d * (k - 1) + 1 + e > 0 for n, k, s, d, p, e in sizes))
    name = f"conv_transpose{num_axes}d"
    _compare(
        lambda *v: getattr(ops, name)(*v, stride, padding, extra, dilation, groups),
        lambda *v: getattr(functional, name)(*v, stride, padding, extra, groups, dilation),
        _array(draw, (draw(st.integers(1, 2)), channels, *spatial)),
        _array(draw, (channels, filters, *kernel)),
        _array(draw, (filters * groups,)),
    )


@pytest.mark.parametrize("num_axes", [1, 2, 3])
@pytest.mark.parametrize("kind", ["max", "average"])
@given(data=st.data())
@EXAMPLES
def test_pooling(kind, num_axes, data):
    draw = data.draw
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(num_axes))
    stride = tuple(draw(st.integers(1, 3)) for _ in range(num_axes))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    spatial = [
        draw(st.integers(k if num_axes == 3 else max(k - 2 * p, 1), k + 4))
        for k, p in zip(kernel, padding, strict=True)
    ]  # PyTorch's volumes want k elements
    ceil = draw(st.booleans())
    x = _array(draw, (draw(st.integers(1, 3)), draw(st.integers(1, 2)), *spatial))
    if kind == "max":
        _compare(
            lambda v: getattr(ops, f"max_pool{num_axes}d")(v, kernel, stride, padding, ceil),
            lambda v: getattr(functional, f"max_pool{num_axes}d")(
                v, kernel, stride, padding, ceil_mode=ceil
            ),
            x,
        )
    else:
        include = draw(st.booleans()) and not ceil  # together they differ between frameworks
        _compare(
            lambda v: getattr(ops, f"average_pool{num_axes}d")(
                v, kernel, stride, padding, include, ceil
            ),
            lambda v: getattr(functional, f"avg_pool{num_axes}d")(
                v, kernel, stride, padding, ceil, include
            ),
            x,
        )


@pytest.mark.parametrize("kind", ["average", "max"])
@given(data=st.data())
@EXAMPLES
def test_adaptive_pooling(kind, data):
    draw = data.draw
    size = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    shape = draw(st.tuples(*[st.integers(1, 2)] * 2, *[st.integers(1, 7)] * 2))
    reference = {"average": "adaptive_avg_pool2d", "max": "adaptive_max_pool2d"}[kind]
    _compare(
        lambda v: getattr(ops, f"adaptive_{kind}_pool2d")(v, size),
        lambda v: getattr(functional, reference)(v, size),
        _array(draw, shape),
    )


@pytest.mark.parametrize("mode", ["nearest-exact", "bilinear"])
@given(data=st.data())
@EXAMPLES
def test_resizing(mode, data):
    size = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    shape = data.draw(st.tuples(*[st.integers(1, 2)] * 2, *[st.integers(1, 6)] * 2))
    _compare(
        lambda v: ops.resize(v, size, mode.removesuffix("-exact")),
        lambda v: functional.interpolate(v, size, mode=mode),
        _array(data.draw, shape),
    )


@st.composite
def _broadcast(draw, count):
    """Shapes of ``count`` operands that broadcast, sizes of 0 and 1 included."""
    full = draw(st.lists(st.integers(0, 4), max_size=4))
    shapes = []
    for _ in range(count):
        kept = full[draw(st.integers(0, len(full))) :]
        shapes.append(tuple(draw(st.sampled_from([n, 1])) if n != 1 else 1 for n in kept))
    return shapes


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "maximum", "minimum"])
@given(data=st.data())
@EXAMPLES
def test_arithmetic(name, data):
    a, b = (_array(data.draw, s) for s in data.draw(_broadcast(2)))
    _compare(getattr(ops, name), getattr(torch, name), a, b)


@given(data=st.data())
@EXAMPLES
def test_where(data):
    shapes = data.draw(_broadcast(3))
    condition, a, b = (_array(data.draw, s) for s in shapes)
    _compare(ops.where, torch.where, condition > 0, a, b)


@given(data=st.data())
@EXAMPLES
def test_matrix_products(data):
    draw = data.draw
    lead = draw(_broadcast(2))
    n, k, m = (draw(st.integers(0, 4)) for _ in range(3))
    turn_a, turn_b = draw(st.booleans()), draw(st.booleans())
    a = _array(draw, (*lead[0], *((k, n) if turn_a else (n, k))))
    b = _array(draw, (*lead[1], *((m, k) if turn_b else (k, m))))
    _compare(
        lambda x, y: ops.matmul(x, y, turn_a, turn_b),
        lambda x, y: torch.matmul(x.mT if turn_a else x, y.mT if turn_b else y),
        a, b,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "var", "prod", "logsumexp"])
@given(data=st.data())
@EXAMPLES
def test_reductions(name, data):
    draw = data.draw
    least = 0 if name in ("sum", "prod") else 1
    shape = draw(st.lists(st.integers(least, 4), min_size=1, max_size=4))
    axes = tuple(draw(st.sets(st.integers(0, len(shape) - 1), min_size=1)))
    keep = draw(st.booleans())
    reference = {
        "sum": lambda v: v.sum(axes, keep),
        "mean": lambda v: v.mean(axes, keep),
        "max": lambda v: v.amax(axes, keep),
        "min": lambda v: v.amin(axes, keep),
        "var": lambda v: v.var(axes, correction=0, keepdim=keep),
        "logsumexp": lambda v: v.logsumexp(axes, keep),
        "prod": lambda v: _prod(v, axes, keep),
    }[name]
    _compare(lambda v: getattr(ops, name)(v, axes, keep), reference, _array(draw, tuple(shape)))


def _prod(v, axes, keep):
    for axis in sorted(axes, reverse=True):
        v = v.prod(axis, keep)
    return v


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@given(data=st.data())
@EXAMPLES
def test_softmax(name, data):
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = 10.0 * _array(data.draw, tuple(shape))
    _compare(lambda v: getattr(ops, name)(v, axis), lambda v: getattr(torch, name)(v, axis), x)


@given(data=st.data())
@EXAMPLES
def test_slices(data):
    draw = data.draw
    shape = tuple(draw(st.lists(st.integers(0, 5), min_size=1, max_size=3)))
    key = []
    for n in shape:
        kind = draw(st.sampled_from(["whole", "part", "one", "new"]))
        if kind == "new":
            key.append(None)
        if kind == "one" and n:
            key.append(draw(st.integers(-n, n - 1)))
        elif kind == "part":
            start, stop = draw(st.integers(-6, 6)), draw(st.integers(-6, 6))
            key.append(slice(start, stop, draw(st.integers(1, 3))))
        else:
            key.append(slice(None))
    x = _array(draw, shape)
    _compare(lambda v: v[tuple(key)], lambda v: v[tuple(key)], x)
    # PyTorch has no negative steps; NumPy has.
    step = tuple(slice(None, None, -draw(st.integers(1, 3))) for _ in shape)
    np.testing.assert_array_equal(engine.Tensor(x)[step].data, x[step])


@given(data=st.data())
@EXAMPLES
def test_movements(data):
    draw = data.draw
    shape = tuple(draw(st.lists(st.integers(0, 4), min_size=1, max_size=4)))
    axes = tuple(draw(st.permutations(range(len(shape)))))
    x = _array(draw, shape)
    _compare(
        lambda v: ops.flatten(ops.transpose(v, axes), 0),
        lambda v: v.permute(axes).reshape(-1),
        x,
    )
    pads = tuple((draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in shape)
    flat = [n for pair in reversed(pads) for n in pair]
    _compare(lambda v: ops.pad(v, pads, 0.5), lambda v: functional.pad(v, flat, value=0.5), x)
    repeats = tuple(draw(st.integers(1, 3)) for _ in shape)
    _compare(lambda v: ops.tile(v, repeats), lambda v: v.repeat(repeats), x)
    axis = draw(st.integers(0, len(shape) - 1))
    _compare(
        lambda v: ops.concatenate(v, v * 2.0, v, axis=axis),
        lambda v: torch.cat((v, v * 2.0, v), axis),
        x,
    )


@given(data=st.data())
@EXAMPLES
def test_gather_and_embedding(data):
    draw = data.draw
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3)))
    axis = draw(st.integers(0, 2))
    rng = np.random.default_rng(draw(SEEDS))
    taken = tuple(draw(st.integers(0, 4)) if i == axis else n for i, n in enumerate(shape))
    ids = rng.integers(0, shape[axis], taken)
    _compare(
        lambda v, i: ops.gather(v, i, axis),
        lambda v, i: torch.gather(v, axis, i),
        _array(draw, shape), ids,
    )  # fmt: skip
    rows = rng.integers(0, shape[0], draw(st.tuples(st.integers(0, 3), st.integers(0, 3))))
    _compare(
        lambda t, i: ops.embedding(i, t),
        lambda t, i: functional.embedding(i, t),
        _array(draw, shape[:2]), rows,
    )  # fmt: skip


@given(data=st.data())
@EXAMPLES
def test_normalisation(data):
    draw = data.draw
    groups = draw(st.integers(1, 3))
    channels = groups * draw(st.integers(1, 2))
    spatial = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    shape = (draw(st.integers(1, 3)), channels, *spatial)
    assume(np.prod(shape) > channels)  # PyTorch refuses a single element a channel
    x, gamma, beta = (_array(draw, s) for s in (shape, (channels,), (channels,)))
    _compare(
        lambda v, g, b: ops.group_norm(v, groups, g, b, 1e-2),
        lambda v, g, b: functional.group_norm(v, groups, g, b, 1e-2),
        x, gamma, beta,
    )  # fmt: skip
    tail = shape[1:]
    _compare(
        lambda v: ops.layer_norm(v, num_axes=len(tail), epsilon=1e-2),
        lambda v: functional.layer_norm(v, tail, eps=1e-2),
        x,
    )
    _compare(
        lambda v, g, b: ops.batch_norm(
            v, g, b, engine.tensor(np.zeros(channels)), engine.tensor(np.ones(channels)),
            epsilon=1e-2, training=True,
        ),
        lambda v, g, b: functional.batch_norm(v, None, None, g, b, True, eps=1e-2),
        x, gamma, beta,
    )  # fmt: skip


@given(data=st.data())
@EXAMPLES
def test_attention(data):
    draw = data.draw
    lead = draw(st.lists(st.integers(1, 3), max_size=2))
    queries, keys, width, values = (draw(st.integers(1, 4)) for _ in range(4))
    mask = np.random.default_rng(draw(SEEDS)).uniform(size=(*lead, queries, keys)) < 0.7
    mask[..., 0] = True  # a row without a key has a test of its own
    causal = draw(st.booleans())
    allowed = mask & np.tri(queries, keys, dtype=bool) if causal else mask
    _compare(
        lambda q, k, v: ops.scaled_dot_product_attention(q, k, v, engine.tensor(mask), causal),
        lambda q, k, v: functional.scaled_dot_product_attention(q, k, v, torch.tensor(allowed)),
        _array(draw, (*lead, queries, width)),
        _array(draw, (*lead, keys, width)),
        _array(draw, (*lead, keys, values)),
    )


@given(data=st.data())
@EXAMPLES
def test_losses(data):
    draw = data.draw
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 4)), *draw(st.lists(st.integers(1, 3))))
    assume(len(shape) < 5)
    rng = np.random.default_rng(draw(SEEDS))
    ids = rng.integers(0, shape[1], (shape[0], *shape[2:]))
    ids.reshape(-1)[1::3] = -100  # not the first: PyTorch's mean of nothing is not a number
    smoothing = draw(st.sampled_from([0.0, 0.3]))
    x = 3.0 * _array(draw, shape)
    for name in ("cross_entropy", "weighted_cross_entropy"):
        _compare(
            lambda v, i, name=name: getattr(ops, name)(v, i, label_smoothing=smoothing),
            lambda v, i: functional.cross_entropy(v, i, label_smoothing=smoothing),
            x, ids,
        )  # fmt: skip
    t = _array(draw, shape)
    _compare(ops.mse, functional.mse_loss, x, t)
    _compare(ops.huber, functional.huber_loss, x, t)
    _compare(ops.mae, functional.l1_loss, x, t)
    _compare(ops.binary_cross_entropy, functional.binary_cross_entropy_with_logits, x, t)


@given(data=st.data())
@EXAMPLES
def test_recurrent_layers(data):
    draw = data.draw
    name = draw(st.sampled_from(["lstm", "gru"]))
    n, t, d, h = (draw(st.integers(1, 4)) for _ in range(4))
    gates = {"lstm": 4, "gru": 3}[name]
    x, w, u, b = (
        _array(draw, s) for s in ((n, t, d), (gates * h, d), (gates * h, h), (gates * h,))
    )
    start = [_array(draw, (n, h)) for _ in range(2 if name == "lstm" else 1)]

    def ours(x, w, u, b, *start):
        biases = (b,) if name == "lstm" else (b, b)
        y, *states = getattr(ops, name)(x, w, u, *biases, *start)
        return ops.concatenate(y, *(ops.unsqueeze(s, 1) for s in states), axis=1)

    def theirs(x, w, u, b, *start):
        other = torch.zeros_like(b) if name == "lstm" else b
        states = tuple(s[None] for s in start)
        call = torch.lstm if name == "lstm" else torch.gru
        first = states if name == "lstm" else states[0]
        y, *last = call(x, first, [w, u, b, other], True, 1, 0.0, False, False, True)
        return torch.cat((y, *(s.transpose(0, 1) for s in last)), 1)

    _compare(ours, theirs, x, w, u, b, *start)


@given(shape=st.lists(st.integers(1, 9), min_size=2, max_size=2), other=st.integers(2, 9))
@EXAMPLES
def test_operands_that_do_not_broadcast_are_refused(shape, other):
    assume(other != shape[1] and shape[1] != 1)
    a, b = engine.tensor(np.ones(shape)), engine.tensor(np.ones(other))
    with pytest.raises(ShapeError, match=rf"axis -1 has {shape[1]} and {other}"):
        ops.add(a, b)
