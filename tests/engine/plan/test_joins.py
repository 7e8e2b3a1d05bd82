"""Operands of concatenations, and what is turned before it is flattened, made where they belong."""

import numpy as np
import pytest

import engine
from engine import ops
from engine.function import FUNCTIONS
from engine.plan import PlanBuilder


def turned(call, x, heads=2):
    """(N, T, E) to (N, heads, T, E / heads)."""
    n, length, width = x.shape
    split = call("reshape", x, shape=(n, length, heads, width // heads))
    return call("transpose", split, axes=(0, 2, 1, 3))


def back(call, x):
    n, heads, length, width = x.shape
    y = call("transpose", x, axes=(0, 2, 1, 3))
    return call("reshape", y, shape=(n, length, heads * width))


def beside(call, x):
    """Three operands, each made head by head; the second is read again afterwards."""
    q = turned(call, x)
    parts = [
        call("multiply", q, q),
        call("tanh", q),
        call("matmul", q, call("exp", q), False, True),
    ]
    joined = call("concatenate", *(back(call, p) for p in parts[:2]), axis=2)
    return call("add", call("mean", joined, axis=2, keepdims=True), call("sum", parts[1], axis=1))


def on_top(call, x):
    """Joined along the first axis of the rows, from heads of two widths."""
    q = turned(call, x)
    low = back(call, call("tanh", q))
    high = back(call, call("exp", q))
    return call("concatenate", low, high, low, axis=1)


def of_leaves(call, x):
    """One operand is no result of any call, another stands twice."""
    y = back(call, call("tanh", turned(call, x)))
    return call("concatenate", x, y, y, axis=2)


def flattened(call, x):
    y = call("tanh", call("transpose", x, axes=(0, 2, 1)))
    return call("reshape", call("transpose", y, axes=(0, 2, 1)), shape=(x.shape[0], -1))


def one_for_two(call, x):
    """Two concatenations want the same operand in their own memory."""
    y = back(call, call("tanh", turned(call, x)))
    z = back(call, call("exp", turned(call, x)))
    a, b = call("concatenate", y, z, axis=2), call("concatenate", z, y, axis=2)
    return call("multiply", a, b)


def nested(call, x):
    y = back(call, call("tanh", turned(call, x)))
    z = back(call, call("exp", turned(call, x)))
    inner = call("concatenate", y, z, axis=2)
    return call("concatenate", inner, back(call, call("sin", turned(call, x))), axis=2)


MODELS = [beside, on_top, of_leaves, flattened, one_for_two, nested]


def build(model):
    b = PlanBuilder()
    w = b.parameter("w", (6,), init="uniform", low=0.5, high=1.5)
    y = model(b.call, b.call("multiply", b.input("x", ("N", 5, 6)), w))
    b.output("y", y)
    b.loss("loss", b.call("mean", b.call("multiply", y, y)))
    return b.build(seed=1)


@pytest.mark.parametrize("native", [False, True], ids=["numpy", "native"])
@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
def test_a_plan_gives_what_tensors_give(model, native):
    plan = build(model)
    x = np.random.default_rng(0).normal(size=(4, 5, 6)).astype("f")
    if native:
        plan.prepare(4)
    w = engine.tensor(plan.state_dict()["w"], requires_grad=True)
    y = model(lambda name, *args, **attrs: FUNCTIONS[name](*args, **attrs), engine.tensor(x) * w)
    loss = ops.mean(y * y)
    loss.backward()
    np.testing.assert_allclose(plan.forward({"x": x})["y"], y.numpy(), rtol=1e-5, atol=1e-6)
    for _ in range(2):
        losses, gradients = plan.gradients({"x": x})
        assert losses["loss"] == pytest.approx(loss.item(), rel=1e-5)
        np.testing.assert_allclose(gradients["w"], w.grad.numpy(), rtol=1e-4, atol=1e-5)


def steps_of(model, what="forward"):
    return [step.name for step in build(model).steps(4, what)]


def test_nothing_is_copied_where_all_operands_can_be_made_in_place():
    assert "concatenate" not in steps_of(lambda call, x: _two(call, x, 2))
    assert "reshape" not in steps_of(lambda call, x: _two(call, x, 2))
    assert "reshape" not in steps_of(flattened)


def _two(call, x, axis):
    q = turned(call, x)
    return call("concatenate", *(back(call, call(f, q)) for f in ("tanh", "exp")), axis=axis)


def test_what_cannot_be_made_in_place_is_copied():
    for model in (of_leaves, one_for_two):
        assert "concatenate" in steps_of(model)


@pytest.mark.parametrize("axes", [(0, 1, 3, 2), (0, 3, 2, 1)])
def test_a_product_is_made_in_place_where_its_rows_or_columns_are_whole(axes):
    """Element by element, NumPy has no fast product, and the native one has none at all."""

    def model(call, x):
        q = turned(call, x)
        y = call("transpose", call("matmul", q, q, False, True), axes=axes)
        return call("reshape", y, shape=(x.shape[0], -1))

    assert ("reshape" in steps_of(model)) == (axes == (0, 3, 2, 1))


def test_the_gradient_of_attention_copies_nothing():
    """Queries, keys and values are one product; their gradients come back as its gradient."""
    b = PlanBuilder()
    x = b.input("x", ("N", 7, 8))
    shapes = {"iw": (24, 8), "ib": (24,), "ow": (8, 8), "ob": (8,)}
    weights = [b.parameter(k, v, init="uniform", low=-0.5, high=0.5) for k, v in shapes.items()]
    y = b.call("multi_head_attention", x, x, x, *weights, num_heads=2)
    b.loss("loss", b.call("mean", b.call("multiply", y, y)))
    names = [step.name for step in b.build(seed=0).steps(4, "gradients")]
    assert not {"reshape", "transpose", "split", "slice_gradient", "concatenate"} & set(names)
