"""Fixtures of the engine's tests: seeded random arrays, and comparison with PyTorch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import engine


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def _run_plan(name, arrays, attrs, batched):
    """The op inside a plan; the first axis of the ``batched`` operands is the batch."""
    from engine.plan import PlanBuilder

    builder = PlanBuilder()
    values, feed = [], {}
    for i, array in enumerate(arrays):
        if array is None:
            values.append(None)
        elif i in batched or array.dtype.kind in "iub":
            shape = tuple("N" if a == 0 else n for a, n in enumerate(array.shape))
            values.append(builder.input(f"x{i}", shape, array.dtype.name))
            feed[f"x{i}"] = array
        else:
            values.append(builder.parameter(f"x{i}", array.shape))
    y = builder.call(name, *values, **attrs)
    builder.output("y", y)
    square = builder.call("multiply", y, y)
    builder.loss(
        "total", builder.call("mean", builder.call("reshape", square, shape=(-1,)), axis=0)
    )
    plan = builder.build()
    for i, array in enumerate(arrays):
        if f"x{i}" in plan.parameters:
            plan.parameters[f"x{i}"][...] = array
    return plan.forward(feed, training=True)["y"], plan.gradients(feed)


@pytest.fixture
def agree_with_torch() -> Callable[..., None]:
    """Check an op against PyTorch: output and gradients, eager and inside a plan, float32."""
    torch = pytest.importorskip("torch")

    def check(name, reference, *arrays, tolerance=2e-5, plan=True, batched=(0,), **attrs):
        arrays = [
            a.astype(np.float32) if a is not None and a.dtype == np.float64 else a for a in arrays
        ]
        ours = [
            None if a is None else engine.tensor(a, requires_grad=a.dtype == np.float32)
            for a in arrays
        ]
        theirs = [
            None if a is None else torch.tensor(a, requires_grad=a.dtype == np.float32)
            for a in arrays
        ]
        y = getattr(engine.ops, name)(*ours, **attrs)
        expected = reference(*theirs)
        _close(f"{name} output", y.data, expected.detach().numpy(), tolerance)
        (y * y).mean().backward()
        (expected * expected).mean().backward()
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            if a is not None and a.requires_grad:
                mine = np.zeros(a.shape, np.float32) if a.grad is None else a.grad.data
                real = np.zeros(a.shape, np.float32) if b.grad is None else b.grad.numpy()
                _close(f"{name} gradient {i}", mine, real, tolerance)
        if not plan:
            return
        compiled, (losses, gradients) = _run_plan(name, arrays, attrs, batched)
        _close(f"{name} in a plan", compiled, y.data, tolerance)
        _close(
            f"{name} loss in a plan",
            losses["total"],
            (expected * expected).mean().item(),
            tolerance,
        )
        for key, gradient in gradients.items():
            _close(
                f"{name} gradient {key} in a plan",
                gradient,
                ours[int(key[1:])].grad.data,
                tolerance,
            )

    return check


def _close(what, found, expected, tolerance):
    scale = max(1.0, float(np.max(np.abs(expected), initial=0.0)))
    np.testing.assert_allclose(
        found, expected, rtol=tolerance, atol=tolerance * scale, err_msg=what, strict=False
    )
