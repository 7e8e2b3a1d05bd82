"""How many threads a program gets."""

import os
import threading

import pytest

import engine
from engine.native import policy
from engine.plan import PlanBuilder


def steps(units, batch, layers=1):
    b = PlanBuilder()
    y = b.input("x", ("N", units))
    for i in range(layers):
        y = b.call("matmul", y, b.parameter(f"w{i}", (units, units)), transpose_b=True)
    b.loss("loss", b.call("mean", y))
    return b.build().steps(batch, "gradients")


def test_small_work_stays_on_one_thread_and_large_work_takes_all():
    assert policy.worthwhile_threads(steps(8, 4), 64) == 1
    assert policy.worthwhile_threads(steps(1024, 512, layers=8), 64) == 64
    assert policy.worthwhile_threads(steps(1024, 512, layers=8), 3) == 3


def test_more_work_never_takes_fewer_threads():
    counts = [policy.worthwhile_threads(steps(128, n), 64) for n in (1, 8, 64, 512, 4096)]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


@pytest.mark.parametrize(("op", "shape", "weight"), [("conv2d", (2, 3, 9, 9), (8, 3, 3, 3))])
def test_multiplications_of_a_convolution_and_its_gradients(op, shape, weight):
    b = PlanBuilder()
    x = b.parameter("x", shape)
    options = {
        "stride": (1, 1),
        "padding": ((1, 1), (1, 1)),
        "dilation": (1, 1),
        "groups": 1,
    }
    y = b.call(op, x, b.parameter("w", weight), None, **options)
    b.loss("loss", b.call("mean", b.call("square", y)))
    found = {s.name: policy._multiplications(s) for s in b.build().steps(1, "gradients")}
    expected = 2 * 9 * 9 * 8 * 3 * 3 * 3
    for name in ("conv", "conv_input_gradient", "conv_weight_gradient"):
        assert found[name] == expected


def test_multiplications_of_a_recurrence():
    b = PlanBuilder()
    x = b.input("x", ("N", 5, 3))
    y, _, _ = b.call("lstm", x, b.parameter("i", (16, 3)), b.parameter("h", (16, 4)))
    b.loss("loss", b.call("mean", y))
    found = {s.name: policy._multiplications(s) for s in b.build().steps(2, "gradients")}
    assert found["lstm"] == 2 * 5 * 16 * 4
    assert found["lstm_gradient"] == 2 * found["lstm"]


def test_cores_are_those_that_the_process_may_use():
    cores = policy.usable_cores()
    assert 1 <= cores <= (os.cpu_count() or 1)
    if hasattr(os, "sched_setaffinity"):
        before = os.sched_getaffinity(0)
        try:
            os.sched_setaffinity(0, {min(before)})
            assert policy.usable_cores() == 1
        finally:
            os.sched_setaffinity(0, before)


def test_a_small_model_wakes_no_thread(batch_for, mlp):
    before = set(threading.enumerate())
    plan = mlp(optimizer=engine.optim.SGD(0.1))
    plan.prepare(4)
    plan.train_step(batch_for(plan, 4))
    assert set(threading.enumerate()) == before


def test_a_limit_holds_for_large_models():
    b = PlanBuilder()
    x = b.input("x", ("N", 1024))
    y = b.call("matmul", x, b.parameter("w", (1024, 1024)), transpose_b=True)
    b.loss("loss", b.call("mean", y))
    before = set(threading.enumerate())
    plan = b.build(optimizer=engine.optim.SGD(0.1), max_threads=1)
    plan.prepare(512)
    assert set(threading.enumerate()) == before
