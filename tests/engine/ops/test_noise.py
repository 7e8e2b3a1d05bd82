"""Random arrays: moments, determinism, gradients through them."""

import numpy as np
import pytest

import engine
from engine import ops
from engine.plan import PlanBuilder


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_moments_are_right(dtype):
    engine.manual_seed(3)
    x = engine.tensor(np.zeros((300, 400), dtype))
    u, z = ops.random_uniform_like(x, 2.0, 4.0).data, ops.random_normal_like(x, 1.0, 3.0).data
    assert u.dtype == z.dtype == dtype
    assert (u.min() >= 2, u.max() <= 4) == (True, True)
    assert u.mean() == pytest.approx(3.0, abs=0.01)
    assert u.var() == pytest.approx(4 / 12, rel=0.02)
    assert z.mean() == pytest.approx(1.0, abs=0.05)
    assert z.std() == pytest.approx(3.0, rel=0.02)
    assert (((z - z.mean()) / z.std()) ** 4).mean() == pytest.approx(3.0, rel=0.05)


def test_same_seed_same_numbers():
    x = engine.tensor(np.zeros(100))
    draws = []
    for _ in range(2):
        engine.manual_seed(9)
        draws.append((ops.random_normal_like(x).data, ops.random_normal_like(x).data))
    np.testing.assert_array_equal(draws[0], draws[1])
    assert abs(np.corrcoef(*draws[0])[0, 1]) < 0.4


def test_reparameterised_samples_pass_gradients_on():
    engine.manual_seed(0)
    mean = engine.tensor(np.zeros((2000, 2)), requires_grad=True)
    log_var = engine.tensor(np.full((2000, 2), np.log(4.0)), requires_grad=True)
    z = ops.reparameterize(mean, log_var)
    assert z.data.std() == pytest.approx(2.0, rel=0.05)
    z.sum().backward()
    assert (mean.grad.data == 1).all()
    np.testing.assert_allclose(log_var.grad.data, z.data / 2)
    assert ops.reparameterize(mean, log_var, training=False) is mean


def test_a_plan_draws_anew_each_step_and_not_in_inference():
    b = PlanBuilder()
    x = b.input("x", ("N", 3))
    b.output("y", b.call("gaussian_noise", x, std=0.5))
    b.loss(
        "l",
        b.call(
            "mean", b.call("multiply", b.call("gaussian_noise", x, std=0.5), b.parameter("w", (3,)))
        ),
    )
    plan = b.build(optimizer=engine.optim.SGD(1.0))
    batch = {"x": np.zeros((4, 3), np.float32)}
    assert not plan.forward(batch)["y"].any()
    first = plan.gradients(batch)[1]["w"]
    plan.train_step(batch)
    second = plan.gradients(batch)[1]["w"]
    assert (first != second).all()
