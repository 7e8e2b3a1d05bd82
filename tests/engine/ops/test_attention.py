"""Attention against PyTorch and finite differences."""

import numpy as np
import pytest

import engine
from engine import ops
from engine.errors import DTypeError, EngineError, ShapeError
from engine.testing import check_gradients

MASK = np.array([[True, False, True, True], [False, True, True, False], [True, True, False, False]])


@pytest.mark.torch
@pytest.mark.parametrize(("causal", "mask"), [(False, None), (True, None), (False, MASK)])
def test_scaled_dot_product_attention_equals_torch(rng, causal, mask):
    torch = pytest.importorskip("torch")
    arrays = [rng.normal(size=s) for s in ((2, 2, 3, 5), (2, 2, 4, 5), (2, 2, 4, 6))]
    ours = [engine.tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    y = ops.scaled_dot_product_attention(
        *ours, None if mask is None else engine.tensor(mask), is_causal=causal
    )
    expected = torch.nn.functional.scaled_dot_product_attention(
        *theirs, None if mask is None else torch.tensor(mask), is_causal=causal
    )
    np.testing.assert_allclose(y.data, expected.detach().numpy(), atol=1e-12)
    (y * y).sum().backward()
    expected.square().sum().backward()
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.grad.data, b.grad.numpy(), atol=1e-12)


def test_a_query_that_sees_nothing_gets_zeros_and_finite_gradients(rng):
    q, k, v = (engine.tensor(rng.normal(size=(1, 3, 4)), requires_grad=True) for _ in range(3))
    mask = np.array([[True, True, False], [False, False, False], [True, False, False]])
    y = ops.scaled_dot_product_attention(q, k, v, engine.tensor(mask))
    (y * y).sum().backward()
    assert not y.data[0, 1].any()
    for t in (q, k, v):
        assert np.isfinite(t.grad.data).all()
    assert not q.grad.data[0, 1].any()


def test_a_causal_mask_joins_a_given_one(rng):
    q, k, v = (engine.tensor(rng.normal(size=(1, 3, 4))) for _ in range(3))
    mask = np.array([[True, True, True], [True, False, True], [False, True, True]])
    both = ops.scaled_dot_product_attention(q, k, v, engine.tensor(mask), is_causal=True)
    one = ops.scaled_dot_product_attention(q, k, v, engine.tensor(mask & np.tri(3, dtype=bool)))
    np.testing.assert_array_equal(both.data, one.data)


@pytest.mark.torch
@pytest.mark.parametrize("self_attention", [False, True])
@pytest.mark.parametrize("causal", [False, True])
def test_multi_head_attention_equals_torch(rng, self_attention, causal):
    torch = pytest.importorskip("torch")
    layer = torch.nn.MultiheadAttention(8, 2, batch_first=True, dtype=torch.float64)
    torch.nn.init.normal_(layer.in_proj_bias)
    query = rng.normal(size=(3, 5, 8))
    other = query if self_attention else rng.normal(size=(3, 4, 8))
    q = engine.tensor(query, requires_grad=True)
    kv = q if self_attention else engine.tensor(other, requires_grad=True)
    weights = [
        engine.tensor(p.detach().numpy(), requires_grad=True)
        for p in (
            layer.in_proj_weight,
            layer.in_proj_bias,
            layer.out_proj.weight,
            layer.out_proj.bias,
        )
    ]
    y = ops.multi_head_attention(q, kv, kv, *weights, num_heads=2, is_causal=causal)
    tq = torch.tensor(query, requires_grad=True)
    tkv = tq if self_attention else torch.tensor(other, requires_grad=True)
    hidden = torch.tensor(~np.tri(5, other.shape[1], dtype=bool)) if causal else None
    expected, _ = layer(tq, tkv, tkv, attn_mask=hidden, need_weights=False)
    np.testing.assert_allclose(y.data, expected.detach().numpy(), atol=1e-12)
    (y * y).sum().backward()
    expected.square().sum().backward()
    np.testing.assert_allclose(q.grad.data, tq.grad.numpy(), atol=1e-11)
    np.testing.assert_allclose(weights[0].grad.data, layer.in_proj_weight.grad.numpy(), atol=1e-11)


@pytest.mark.torch
def test_multi_head_attention_in_a_plan_agrees(rng):
    from engine.plan import PlanBuilder

    b = PlanBuilder()
    x = b.input("x", ("N", 5, 8))
    p = [
        b.parameter(n, s, init="normal", std=0.3)
        for n, s in (("iw", (24, 8)), ("ib", (24,)), ("ow", (8, 8)), ("ob", (8,)))
    ]
    y = b.call("multi_head_attention", x, x, x, *p, num_heads=2, is_causal=True)
    y = b.call("add", y, b.call("sinusoidal_positions", x))
    b.output("y", y)
    b.loss("l", b.call("mean", b.call("multiply", y, y)))
    plan = b.build()
    data = rng.normal(size=(3, 5, 8)).astype(np.float32)
    t = {k: engine.tensor(v, requires_grad=True) for k, v in plan.parameters.items()}
    tx = engine.tensor(data)
    e = ops.multi_head_attention(tx, tx, tx, *t.values(), num_heads=2, is_causal=True)
    e = e + ops.sinusoidal_positions(tx)
    (e * e).mean().backward()
    np.testing.assert_allclose(plan.forward({"x": data})["y"], e.data, atol=1e-5)
    for name, gradient in plan.gradients({"x": data})[1].items():
        np.testing.assert_allclose(gradient, t[name].grad.data, atol=1e-5)


def test_attention_gradients_match_finite_differences(rng):
    check_gradients(
        lambda q, k, v: ops.scaled_dot_product_attention(q, k, v, is_causal=True),
        rng.normal(size=(3, 2)),
        rng.normal(size=(3, 2)),
        rng.normal(size=(3, 2)),
        second=True,
        tolerance=1e-4,
    )


def test_wrong_operands_are_refused(rng):
    x = engine.tensor(np.ones((1, 3, 4)))
    with pytest.raises(ShapeError, match="one width"):
        ops.scaled_dot_product_attention(x, engine.tensor(np.ones((1, 3, 5))), x)
    with pytest.raises(DTypeError, match="expected bool"):
        ops.scaled_dot_product_attention(x, x, x, engine.tensor(np.ones((3, 3))))


@pytest.mark.parametrize("heads", [0, -2, 3])
def test_heads_that_do_not_divide_the_width_are_refused(heads):
    with pytest.raises(EngineError, match=f"embed_dim=8 and num_heads={heads}; expected a width"):
        engine.nn.MultiheadAttention(8, heads)
    x = engine.zeros(1, 2, 8)
    weights = (engine.zeros(24, 8), None, engine.zeros(8, 8), None)
    with pytest.raises(EngineError, match=f"width 8, {heads} heads"):
        ops.multi_head_attention(x, x, x, *weights, num_heads=heads)
