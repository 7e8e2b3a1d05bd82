"""How long the program takes to answer: imports, the search, the code preview."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.graphs import residual_document
from benchmarks.measure import Measure, median_ms
from graphstudio.exporters import TARGETS
from graphstudio.services.export import preview
from graphstudio.ui.palette.entries import entries, matching


def imported_ms(statement: str, runs: int = 5) -> float:
    """Processor time of an import in a fresh interpreter, the least of ``runs``."""
    code = f"import time; t = time.process_time(); {statement}; print(time.process_time() - t)"
    times = []
    for _ in range(runs):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
        )
        times.append(float(done.stdout))
    return min(times) * 1000


def measures() -> Iterator[Measure]:
    """What a user waits for, one by one."""
    yield Measure("import engine", imported_ms("import engine"), "ms", 300.0)
    pool = entries() * 13
    yield Measure("search of 300 node types", median_ms(lambda: matching("co", pool)), "ms", 30.0)
    document = residual_document(30)
    for target in TARGETS:
        took = median_ms(lambda target=target: preview(document, target))
        yield Measure(f"preview of 30 nodes, {target}", took, "ms", 20.0)
