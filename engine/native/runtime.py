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
from collections import deque
from functools import partial
from itertools import repeat
from operator import call
from queue import SimpleQueue
from typing import Any

import numpy as np
from llvmlite import ir

from engine.native.emit import I32, I64, Function, const
from engine.native.jit import Kernel, store, symbol

SPINS = 20_000
"""Turns of a waiting thread before it gives the processor away.

The loop has no ``pause`` instruction: virtual machines trap it (20 microseconds a barrier were
measured, 0.35 without), and a wait is short, since the threads share every kernel evenly.
"""

Entry = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)
"""``run(thread, num_threads, barrier, program)``."""

END, MEET, STAMP = 0, 1, 2
"""Words of a program that are no addresses of kernels.

A program is a list of 64-bit words: the address of a kernel, how many words its operands take,
the addresses of its operands; ``MEET``: all threads wait for each other; ``STAMP`` and an
address: thread 0 writes the processor's clock there; ``END``, where all meet for the last time.
"""


def driver() -> ir.Module:
    """``void run(i64 thread, i64 count, i64* barrier, i64* program)``: carries out a program."""
    module = ir.Module("driver")
    barrier = add_barrier(module)
    f = Function(module, driver_symbol(), [I64, I64, I64.as_pointer(), I64.as_pointer()])
    b = f.b
    thread, count, state, program = f.args
    before = b.block
    turn, special, meet, rest, stamp, kernel, done = (
        f.fn.append_basic_block(n)
        for n in ("turn", "special", "meet", "rest", "stamp", "kernel", "done")
    )
    b.branch(turn)
    b.position_at_end(turn)
    at = b.phi(I64)
    at.add_incoming(const(0), before)
    place = b.gep(program, [at])
    word = b.load(place)
    b.cbranch(b.icmp_unsigned("<=", word, const(STAMP)), special, kernel)
    b.position_at_end(special)
    b.cbranch(b.icmp_signed("==", word, const(MEET)), meet, rest)
    b.position_at_end(meet)
    b.call(barrier, [count, state])
    at.add_incoming(b.add(at, const(1)), meet)
    b.branch(turn)
    b.position_at_end(rest)
    b.cbranch(b.icmp_signed("==", word, const(STAMP)), stamp, done)
    b.position_at_end(stamp)
    clock = ir.Function(module, ir.FunctionType(I64, []), "llvm.readcyclecounter")
    with b.if_then(b.icmp_signed("==", thread, const(0))):
        target = b.inttoptr(b.load(b.gep(place, [const(1)])), I64.as_pointer())
        b.store(b.call(clock, []), target)
    at.add_incoming(b.add(at, const(2)), b.block)
    b.branch(turn)
    b.position_at_end(kernel)
    kind = ir.FunctionType(ir.VoidType(), [I64, I64, I64.as_pointer()]).as_pointer()
    b.call(b.inttoptr(word, kind), [thread, count, b.gep(place, [const(2)])])
    size = b.load(b.gep(place, [const(1)]))
    at.add_incoming(b.add(b.add(at, const(2)), size), kernel)
    b.branch(turn)
    b.position_at_end(done)
    b.call(barrier, [count, state])  # whoever returns knows that all have left the arrays
    b.ret_void()
    return module


def driver_symbol() -> str:
    """Name of the driver's code."""
    return symbol("driver")


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
        self._code = store()  # an address keeps no code alive
        self._code.load([Kernel(driver_symbol(), driver)])
        self._entry = Entry(self._code.address(driver_symbol()))
        self._start()

    def _start(self) -> None:
        state = np.zeros(32, np.int64)
        state[16] = _yield_address()
        queues: list[SimpleQueue[Any]] = [SimpleQueue() for _ in range(1, self.num_threads)]
        entry, count = self._entry, self.num_threads
        try:
            for index, queue in enumerate(queues, 1):
                threading.Thread(
                    target=_helper,
                    args=(entry, index, count, queue, state, self._code),
                    name=f"engine-{index}",
                    daemon=True,
                ).start()
            self._state = state
            self._calls = [q.put for q in queues] + [partial(entry, 0, count, state.ctypes.data)]
            self._finalizer = weakref.finalize(self, _dismiss, queues)
            self._pid = os.getpid()
        except BaseException:
            _dismiss(queues)
            raise

    def run(self, program: int) -> None:
        """Run the program at an address on all threads; returns when every thread has ended it."""
        if os.getpid() != self._pid:  # a fork has no threads but the one that forked
            self._finalizer.detach()
            self._start()
        # In one go: Python raises KeyboardInterrupt between any two of its own instructions, but
        # not inside this call. With some threads woken and others not, all would wait for ever.
        deque(map(call, self._calls, repeat(program)), maxlen=0)

    def close(self) -> None:
        """Send the helpers home."""
        self._finalizer()


def _helper(
    entry: Any, index: int, count: int, queue: SimpleQueue[int | None], state: Any, _code: Any
) -> None:
    """Carry out one program after another.

    The code is held because the last of it runs when the others have gone on already.
    """
    barrier = state.ctypes.data
    while (program := queue.get()) is not None:
        entry(index, count, barrier, program)


def _dismiss(queues: list[SimpleQueue[Any]]) -> None:
    for queue in queues:
        queue.put(None)
