"""How the engine's time and memory grow: with the batch, the depth, the width, the graph's size.

Growth is told as an exponent: 1 where twice the work takes twice the time. It is taken between the
largest size and the last but two, where the fixed cost of a step no longer counts, from processor
time on one thread, which other programs hardly change.
"""

from __future__ import annotations

import math
import os
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.graphs import residual_document
from benchmarks.measure import Measure, least_ms
from engine.optim import Adam
from engine.plan import Plan, PlanBuilder
from graphstudio.compiler.lower import compile_graph
from graphstudio.ir.check import Checker
from graphstudio.services.check import describe_data

BATCHES = (1, 8, 64, 256, 512)
DEPTHS = (4, 16, 32, 64)
WIDTHS = (64, 256, 512, 1024)
NODES = (250, 500, 1000, 2000)
LINEAR = 1.2
"""Exponent that still counts as linear: times are measured, and caches have edges."""


def dense_plan(depth: int, width: int) -> Plan:
    """A chain of dense layers with ReLU, and cross-entropy."""
    b = PlanBuilder()
    y = b.input("x", ("N", width))
    for i in range(depth):
        weight = b.parameter(f"w{i}", (width, width), init="he_normal")
        y = b.call("relu", b.call("matmul", y, weight, transpose_b=True))
    b.loss("l", b.call("cross_entropy", y, b.input("t", ("N",), "int64")))
    return b.build(optimizer=Adam(1e-4), num_threads=1)


def conv_plan() -> Plan:
    """Two convolutions with normalisation and pooling, and a dense layer."""
    b = PlanBuilder()
    y = b.input("x", ("N", 3, 32, 32))
    for i, (channels, filters) in enumerate(((3, 16), (16, 32))):
        weight = b.parameter(f"c{i}", (filters, channels, 3, 3), init="he_normal")
        y = b.call("conv2d", y, weight, padding=1)
        gamma, beta = (
            b.parameter(f"g{i}", (filters,), init="ones"),
            b.parameter(f"b{i}", (filters,)),
        )
        mean, var = b.state(f"m{i}", (filters,)), b.state(f"v{i}", (filters,), value=1.0)
        y = b.call("relu", b.call("batch_norm", y, gamma, beta, mean, var))
        y = b.call("max_pool2d", y, kernel_size=2)
    y = b.call("matmul", b.call("flatten", y), b.parameter("d", (2048, 10), init="glorot_uniform"))
    b.loss("l", b.call("cross_entropy", y, b.input("t", ("N",), "int64")))
    return b.build(optimizer=Adam(1e-4), num_threads=1)


def batch_for(plan: Plan, size: int) -> dict[str, Any]:
    """Seeded samples of the plan's shape."""
    rng = np.random.default_rng(0)
    shape = plan.inputs["x"][0][1:]
    x = rng.normal(size=(size, *map(int, shape))).astype(np.float32)
    return {"x": x, "t": rng.integers(0, 10, size)}


def step_ms(plan: Plan, size: int) -> float:
    """Least processor time of a training step in machine code, on one thread."""
    batch = batch_for(plan, size)
    plan.prepare(size)
    return least_ms(lambda: plan.train_step(batch), repeats=40)


def exponent(small: float, large: float, ratio: float) -> float:
    """Power of the work with which time grew, where the work grew by ``ratio``."""
    return math.log(large / small) / math.log(ratio)


def grown(
    what: str, sizes: tuple[int, ...], measure: Callable[[int], float], power: float = 1.0
) -> Iterator[Measure]:
    """Times at all sizes, then the exponent; work grows with the size to the ``power``."""
    times = [measure(size) for size in sizes]
    for size, time in zip(sizes, times, strict=True):
        yield Measure(f"{what} {size}", time, "ms")
    ratio = (sizes[-1] / sizes[-3]) ** power
    yield Measure(f"{what}, growth", exponent(times[-3], times[-1], ratio), "", LINEAR)


def frozen_graph(num_nodes: int) -> Any:
    """A checked graph of a residual network."""
    checker = Checker(residual_document(num_nodes), describe_data)
    if not checker.check().ok:
        raise RuntimeError("the graph to measure with has errors")
    return checker.freeze()


def build_ms(num_nodes: int, *, native: bool) -> float:
    """Least processor time from a frozen graph to a plan whose training step can run."""
    graph = frozen_graph(num_nodes)

    def build() -> None:
        plan = compile_graph(graph, seed=0, max_threads=1)
        if native:
            plan.prepare(64)
        else:
            plan.steps(64)

    return least_ms(build, repeats=5, warm_up=1)


def allocated_bytes(plan: Plan, size: int) -> int:
    """Most memory that a step takes from Python's allocators beyond what it had, steadily."""
    batch = batch_for(plan, size)
    for _ in range(3):
        plan.train_step(batch)
    tracemalloc.start()
    plan.train_step(batch)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def measures() -> Iterator[Measure]:
    """Growth of the step, of building, and of memory."""
    with tempfile.TemporaryDirectory() as folder:
        before = os.environ.get("ENGINE_CACHE_DIR")
        os.environ["ENGINE_CACHE_DIR"] = folder  # no kernels of another day
        try:
            yield from _measures()
        finally:
            if before is None:
                del os.environ["ENGINE_CACHE_DIR"]
            else:
                os.environ["ENGINE_CACHE_DIR"] = before


def _measures() -> Iterator[Measure]:
    for name, plan in (("dense", dense_plan(3, 256)), ("conv", conv_plan())):
        yield from grown(f"step, {name}, batch", BATCHES, lambda n, plan=plan: step_ms(plan, n))
    yield from grown("step, dense, depth", DEPTHS, lambda n: step_ms(dense_plan(n, 128), 64))
    # Work grows with the square of the width.
    yield from grown("step, dense, width", WIDTHS, lambda n: step_ms(dense_plan(3, n), 64), 2.0)
    yield from grown("plan, NumPy, nodes", NODES, lambda n: build_ms(n, native=False))
    yield from grown("plan, machine code, nodes", NODES, lambda n: build_ms(n, native=True))
    yield Measure("plan of 1000 nodes, NumPy", build_ms(1000, native=False), "ms", 1000.0)
    yield Measure("plan of 1000 nodes, kernels cached", build_ms(1000, native=True), "ms", 1000.0)
    for name, plan in (("dense", dense_plan(3, 256)), ("conv", conv_plan())):
        small, large = (allocated_bytes(plan, n) for n in (64, 512))
        yield Measure(f"allocated by a step, {name}, NumPy", large / 1024, "KiB", 200.0)
        yield Measure(
            f"the same for 8 times the batch, {name}", (large - small) / 1024, "KiB", 40.0
        )
        for n in (64, 512):
            plan.prepare(n)
        native = allocated_bytes(plan, 512) / 1024
        yield Measure(f"allocated by a step, {name}, machine code", native, "KiB", 20.0)
