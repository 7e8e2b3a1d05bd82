"""Elementwise operations: values and gradients against PyTorch and finite differences."""

import numpy as np
import pytest

import engine
from engine import ops
from engine.errors import DTypeError, EngineError, ShapeError
from engine.testing import check_gradients

UNARY = {
    "negative": ({}, "neg", (-2, 2)),
    "exp": ({}, "exp", (-2, 2)),
    "log": ({}, "log", (0.1, 3)),
    "sqrt": ({}, "sqrt", (0.1, 3)),
    "abs": ({}, "abs", (-2, 2)),
    "square": ({}, "square", (-2, 2)),
    "sin": ({}, "sin", (-2, 2)),
    "cos": ({}, "cos", (-2, 2)),
    "erf": ({}, "erf", (-2, 2)),
    "sigmoid": ({}, "sigmoid", (-9, 9)),
    "tanh": ({}, "tanh", (-4, 4)),
    "relu": ({}, "relu", (-2, 2)),
}
ACTIVATIONS = {
    "leaky_relu": ({"negative_slope": 0.2}, {"negative_slope": 0.2}),
    "elu": ({"alpha": 0.7}, {"alpha": 0.7}),
    "softplus": ({}, {}),
    "silu": ({}, {}),
    "gelu": ({}, {}),
}
BINARY = {
    "add": "add",
    "subtract": "sub",
    "multiply": "mul",
    "divide": "div",
    "power": "pow",
    "maximum": "maximum",
    "minimum": "minimum",
}
SHAPES = [((3, 4), (3, 4)), ((3, 4), (4,)), ((3, 1, 2), (4, 1)), ((2, 3), ()), ((1, 1), (1, 5))]


def _spread(rng, low, high, shape):
    """Distinct values away from each other and from 0, where some slopes jump."""
    count = int(np.prod(shape))
    values = np.linspace(low, high, 2 * count + 1)[1::2]
    return rng.permutation(values).reshape(shape)


@pytest.mark.torch
@pytest.mark.parametrize("name", UNARY)
def test_unary_op_equals_torch(rng, agree_with_torch, name):
    import torch

    attrs, torch_name, (low, high) = UNARY[name]
    agree_with_torch(name, getattr(torch, torch_name), _spread(rng, low, high, (4, 5, 3)), **attrs)


@pytest.mark.torch
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_equals_torch(rng, agree_with_torch, name):
    from torch.nn import functional

    attrs, torch_attrs = ACTIVATIONS[name]
    reference = getattr(functional, name)
    x = _spread(rng, -6, 6, (4, 3, 2, 5))
    agree_with_torch(name, lambda v: reference(v, **torch_attrs), x, **attrs)


@pytest.mark.torch
def test_gelu_by_tanh_equals_torch(rng, agree_with_torch):
    from torch.nn import functional

    x = _spread(rng, -6, 6, (4, 15))
    agree_with_torch(
        "gelu", lambda v: functional.gelu(v, approximate="tanh"), x, approximate="tanh"
    )


@pytest.mark.parametrize("name", [*UNARY, *ACTIVATIONS])
def test_unary_gradients_of_any_order_match_finite_differences(rng, name):
    attrs = {**UNARY, **ACTIVATIONS}[name][0]
    low, high = UNARY[name][2] if name in UNARY else (-3, 3)
    x = _spread(rng, low, high, (3, 4))
    check_gradients(lambda v: getattr(ops, name)(v, **attrs), x, second=True, tolerance=1e-5)


def test_gelu_by_tanh_gradients_match_finite_differences(rng):
    check_gradients(
        lambda v: ops.gelu(v, approximate="tanh"),
        _spread(rng, -3, 3, (3, 4)),
        second=True,
        tolerance=1e-5,
    )


@pytest.mark.torch
@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize(("a", "b"), SHAPES)
def test_binary_op_equals_torch(rng, agree_with_torch, name, a, b):
    import torch

    low = 0.3 if name == "power" else -2
    first, second = _spread(rng, low, 2, a), _spread(rng, low, 2.1, b) + 0.013
    agree_with_torch(
        name, getattr(torch, BINARY[name]), first, second, batched=(0, 1) if a == b else (0,)
    )


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize(("a", "b"), SHAPES)
def test_binary_gradients_of_any_order_match_finite_differences(rng, name, a, b):
    first, second = _spread(rng, 0.3, 2, a), _spread(rng, 0.35, 2.1, b)
    check_gradients(
        lambda x, y: ops.tanh(getattr(ops, name)(x, y)), first, second, second=True, tolerance=1e-4
    )


@pytest.mark.torch
def test_power_of_zero_has_torch_gradients(agree_with_torch):
    import torch

    base, exponent = np.array([0.0, 0.0, 2.0]), np.array([2.0, 1.0, 3.0])
    agree_with_torch("power", torch.pow, base, exponent, plan=False)


def test_maximum_splits_the_gradient_of_a_tie():
    a = engine.tensor([1.0, 2.0], requires_grad=True)
    b = engine.tensor([1.0, 1.0], requires_grad=True)
    ops.maximum(a, b).sum().backward()
    assert a.grad.data.tolist() == [0.5, 1.0]
    assert b.grad.data.tolist() == [0.5, 0.0]


@pytest.mark.torch
@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (None, 0.5), (0.0, None)])
def test_clip_equals_torch_edges_included(agree_with_torch, low, high):
    import torch

    x = np.array([[-2.0, -1.0, 0.0, 0.5, 1.0, 3.0]])
    agree_with_torch("clip", lambda v: torch.clamp(v, low, high), x, low=low, high=high)


@pytest.mark.torch
@pytest.mark.parametrize("name", ["relu", "abs", "leaky_relu", "elu"])
def test_slope_at_the_kink_is_that_of_torch(name):
    import torch
    from torch.nn import functional

    reference = torch.abs if name == "abs" else getattr(functional, name)
    ours = engine.tensor(np.zeros(3), requires_grad=True)
    theirs = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    getattr(ops, name)(ours).sum().backward()
    reference(theirs).sum().backward()
    assert ours.grad.data.tolist() == theirs.grad.tolist()


@pytest.mark.parametrize("name", ["sigmoid", "softplus", "silu", "gelu", "elu", "tanh"])
def test_activation_stays_finite_for_huge_inputs(name):
    x = engine.tensor(np.array([-1e4, -89.0, 0.0, 89.0, 1e4], np.float32), requires_grad=True)
    y = getattr(ops, name)(x)
    y.sum().backward()
    assert np.isfinite(y.data).all()
    assert np.isfinite(x.grad.data).all()


def test_numbers_take_the_type_of_the_tensor_beside_them():
    single = engine.tensor([1.0])
    assert (single * 2).dtype == np.float32
    assert (1 - engine.tensor(np.ones(1))).dtype == np.float64
    assert (engine.tensor([1, 2]) * 2).dtype == np.int64


def test_types_are_never_promoted_silently():
    with pytest.raises(DTypeError, match="cast"):
        engine.tensor([1.0]) + engine.tensor(np.ones(1))


def test_shapes_that_do_not_broadcast_are_named():
    with pytest.raises(ShapeError, match=r"\(2, 3\) and \(4,\).*axis -1 has 3 and 4"):
        engine.tensor(np.ones((2, 3))) + engine.tensor(np.ones(4))


def test_clip_without_limits_is_refused():
    with pytest.raises(EngineError, match="neither low nor high"):
        ops.clip(engine.tensor([1.0]))


@pytest.mark.parametrize("condition", [[True, False], [False, False]])
def test_where_sends_gradients_to_what_was_chosen(condition):
    a, b = (engine.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    y = ops.where(engine.tensor(np.array(condition)), a, b * 3.0)
    y.sum().backward()
    assert a.grad.data.tolist() == [float(c) for c in condition]
    assert b.grad.data.tolist() == [3.0 * (not c) for c in condition]
