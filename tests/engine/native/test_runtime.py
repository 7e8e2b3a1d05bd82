"""The team of threads: any number of them, forks, and code that is called again and again."""

import os
import sys
import threading
import weakref

import pytest

import engine
from engine.native import jit


def train(plan, batch, steps=3):
    return [plan.train_step(batch)["loss"] for _ in range(steps)]


@pytest.mark.parametrize("count", [1, 2, 4])
def test_threads_of_a_plan_end_with_it(mlp, batch_for, count):
    before = set(threading.enumerate())
    plan = mlp(optimizer=engine.optim.SGD(0.1), num_threads=count)
    plan.prepare(16)
    train(plan, batch_for(plan, 16))
    helpers = set(threading.enumerate()) - before
    assert len(helpers) == count - 1
    del plan
    for thread in helpers:
        thread.join(5)
        assert not thread.is_alive()


def test_many_short_programs_in_a_row_keep_in_step(mlp, batch_for):
    plan = mlp(num_threads=2)
    plan.prepare(5, ("evaluate",))
    batch = batch_for(plan, 5)
    first = plan.evaluate(batch)
    assert all(plan.evaluate(batch) == first for _ in range(500))


def test_code_stays_as_long_as_a_plan_can_call_it(mlp, batch_for):
    """Programs are lists of addresses, and those keep nothing alive by themselves."""
    jit.store.cache_clear()
    plan = mlp(num_threads=2, accumulate=2, optimizer=engine.optim.SGD(0.1))
    plan.prepare(5, ("train", "evaluate"))
    batch = batch_for(plan, 5)
    expected = plan.evaluate(batch)
    code = weakref.ref(jit.store())
    jit.store.cache_clear()
    assert code() is not None
    assert plan.evaluate(batch) == expected
    plan.prepare(7, ("evaluate",))  # by new code, on threads that run the old
    other = batch_for(plan, 7)
    assert plan.evaluate(other) == pytest.approx(mlp().evaluate(other), rel=1e-5)
    train(plan, batch)
    del plan
    assert code() is None


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_forked_process_gets_threads_of_its_own(mlp, batch_for):
    plan = mlp(num_threads=2)
    plan.prepare(16, ("evaluate",))
    batch = batch_for(plan, 16)
    expected = plan.evaluate(batch)
    child = os.fork()
    if child == 0:  # no test may go on from here twice
        os._exit(0 if plan.evaluate(batch) == expected else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
