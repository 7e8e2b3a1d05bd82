"""Runs native programs on a fixed set of threads: one call a program, barriers inside.

The calling thread is thread 0. The others sleep in Python between programs and meet it at the
barriers while one runs; they spin for a moment and then give the processor away, so that a
machine with other work to do is not slowed down.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import weakref
from queue import SimpleQueue
from typing import Any

import numpy as np
from llvmlite import ir

from engine.native.emit import I32, I64, Function, const

SPINS = 20_000
"""Turns of a waiting thread before it gives the processor away.

The loop has no ``pause`` instruction: virtual machines trap it (20 microseconds a barrier were
measured, 0.35 without), and a wait is short, since the threads share every kernel evenly.
"""

Entry = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)
"""``program(thread, num_threads, table, barrier)``; table: the base addresses of the arrays."""


def add_barrier(module: ir.Module) -> ir.Function:
    """``void barrier(i64 num_threads, i64* state)``: returns when all threads have called it.

    ``state[0]`` counts arrivals, ``state[8]`` is the generation (a cache line apart),
    ``state[16]`` the address of a function that yields the processor.
    """
    f = Function(module, "barrier", [I64, I64.as_pointer()], linkage="internal")
    b, (count, state) = f.b, f.args
    several = b.icmp_signed(">", count, const(1))
    with b.if_then(several):
        generation = b.gep(state, [const(8)])
        mine = b.load_atomic(generation, "acquire", 8)
        arrived = b.atomic_rmw("add", state, const(1), "acq_rel")
        last = b.icmp_signed("==", b.add(arrived, const(1)), count)
        with b.if_else(last) as (then, otherwise):
            with then:
                b.store_atomic(const(0), state, "monotonic", 8)
                b.store_atomic(b.add(mine, const(1)), generation, "release", 8)
            with otherwise:
                _wait(f, generation, mine, state)
    b.ret_void()
    return f.fn


def _wait(f: Function, generation: Any, mine: Any, state: Any) -> None:
    b = f.b
    before = b.block
    spin = f.fn.append_basic_block("spin")
    idle = f.fn.append_basic_block("idle")
    give = f.fn.append_basic_block("give")
    done = f.fn.append_basic_block("done")
    b.branch(spin)
    b.position_at_end(spin)
    turns = b.phi(I64)
    turns.add_incoming(const(0), before)
    now = b.load_atomic(generation, "acquire", 8)
    b.cbranch(b.icmp_signed("==", now, mine), idle, done)
    b.position_at_end(idle)
    more = b.add(turns, const(1))
    turns.add_incoming(more, idle)
    b.cbranch(b.icmp_signed("<", more, const(SPINS)), spin, give)
    b.position_at_end(give)
    address = b.load(b.gep(state, [const(16)]))
    yield_type = ir.FunctionType(I32, [])
    b.call(b.inttoptr(address, yield_type.as_pointer()), [])
    turns.add_incoming(const(SPINS - 64), give)
    b.branch(spin)
    b.position_at_end(done)


def _yield_address() -> int:
    if sys.platform == "win32":
        return ctypes.cast(ctypes.windll.kernel32.SwitchToThread, ctypes.c_void_p).value or 0
    library = ctypes.CDLL(None)
    return ctypes.cast(library.sched_yield, ctypes.c_void_p).value or 0


class Team:
    """The calling thread and its helpers; runs one program at a time.

    A team belongs to one plan and is not shared between Python threads.
    """

    def __init__(self, num_threads: int) -> None:
        self.num_threads = max(1, num_threads)
        self._state = np.zeros(32, np.int64)
        self._state[16] = _yield_address()
        self._barrier = self._state.ctypes.data
        self._queues: list[SimpleQueue[Any]] = []
        self._done: SimpleQueue[None] = SimpleQueue()
        for index in range(1, self.num_threads):
            queue: SimpleQueue[Any] = SimpleQueue()
            self._queues.append(queue)
            threading.Thread(
                target=_helper,
                args=(index, self.num_threads, queue, self._done, self._barrier),
                name=f"engine-{index}",
                daemon=True,
            ).start()
        self._finalizer = weakref.finalize(self, _dismiss, self._queues)

    def run(self, entry: Any, table: int) -> None:
        """Run a program on all threads; returns when every thread has ended it."""
        for queue in self._queues:
            queue.put((entry, table))
        entry(0, self.num_threads, table, self._barrier)
        for _ in self._queues:
            self._done.get()

    def close(self) -> None:
        """Send the helpers home."""
        self._finalizer()


def _helper(
    index: int, count: int, queue: SimpleQueue[Any], done: SimpleQueue[None], barrier: int
) -> None:
    while (job := queue.get()) is not None:
        entry, table = job
        entry(index, count, table, barrier)
        done.put(None)


def _dismiss(queues: list[SimpleQueue[Any]]) -> None:
    for queue in queues:
        queue.put(None)


def default_num_threads() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
