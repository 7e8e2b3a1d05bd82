"""The team of threads: any number of them, forks, and code that is called again and again."""

import contextlib
import os
import signal
import subprocess
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
    before = set(threading.enumerate())
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
    helpers = set(threading.enumerate()) - before
    del plan
    for thread in helpers:  # which may have been on their way out of it
        thread.join(5)
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


INTERRUPTED = """
import signal
import numpy as np
from engine.native.emit import f32
from engine.native.loops import elementwise
from engine.native.program import lower_alone
from engine.native.runtime import Team

counts, copy = np.zeros(5_000, np.float32), np.zeros(5_000, np.float32)

def write(w):
    key, each = ("count",), lambda f, value: [f.b.fadd(value, f32(1.0))]
    elementwise(w, key, counts.shape, [counts], [counts], each)
    # Each thread reads what the others have counted, so that all must have met before.
    elementwise(w, ("copy",), counts.shape, [copy], [counts[::-1]], lambda f, value: [value])
    return True

def in_step():
    return (counts == counts[0]).all() and (copy == counts[0]).all()

def interrupt(*_):
    global armed
    if armed:
        armed = False
        raise KeyboardInterrupt

run = lower_alone(Team(4), write)
run()
armed, interrupts, kept = False, 0, True
signal.signal(signal.SIGINT, interrupt)
print("begin", flush=True)
while interrupts < 1000 and kept:
    try:
        armed = True
        while kept:
            run()
            kept = copy[-1] == copy[0] == counts[0] and in_step()
    except KeyboardInterrupt:
        interrupts += 1
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("in step" if kept else f"out of step after {interrupts} interrupts", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no signal reaches another process")
def test_an_interrupt_at_any_moment_leaves_the_threads_in_step():
    """A signal is noticed between any two steps of Python's: also while threads are woken."""
    command = [sys.executable, "-c", INTERRUPTED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        try:
            assert child.stdout.readline() == b"begin\n"
            for _ in range(20_000):
                child.send_signal(signal.SIGINT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(0.001)
                    break
            child.wait(10)
            assert (child.stdout.read(), child.stderr.read()) == (b"in step\n", b"")
        finally:
            child.kill()


def test_threads_that_an_interrupt_keeps_from_starting_are_none(monkeypatch):
    from engine.native.runtime import Team

    plain, started = threading.Thread.start, []

    def start(thread):
        if len(started) == 2:
            raise KeyboardInterrupt
        started.append(thread)
        plain(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(KeyboardInterrupt):
            Team(4)
    for thread in started:
        thread.join(5)
        assert not thread.is_alive()
