"""One contestant in a process of its own: JSON lines in, JSON lines out."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from benchmarks.ladder.spec import ROWS, Row, batches

CONTESTANTS = ("engine", "torch_eager", "torch_compile", "keras_tf", "keras_tf_jit")


def stepper(who: str, row: Row) -> Any:
    """The training step of a contestant."""
    if who == "engine":
        from benchmarks.ladder import ours

        return ours.stepper(row)
    if who.startswith("torch"):
        from benchmarks.ladder import torch_peer

        return torch_peer.stepper(row, compiled=who == "torch_compile")
    from benchmarks.ladder import keras_peer

    return keras_peer.stepper(row, jit=who == "keras_tf_jit")


def peak_mb() -> float:
    """Greatest resident memory of this process so far."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def main(who: str, name: str) -> None:
    """Serve until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer

    def answer(**body: Any) -> None:
        answers.write(json.dumps(body) + "\n")
        answers.flush()

    row = ROWS[name]
    data = batches(row)
    began = time.perf_counter()
    step = stepper(who, row)
    losses = [step(*data[0])]
    compile_s = time.perf_counter() - began
    losses += [step(*batch) for batch in data[1:]]
    answer(compile_s=compile_s, losses=losses)
    for line in sys.stdin:
        count = json.loads(line)["steps"]
        times = []
        blocks = sys.getallocatedblocks()
        for i in range(count):
            batch = data[i % len(data)]
            start = time.perf_counter()
            step(*batch)
            times.append(time.perf_counter() - start)
        kept = max(0, sys.getallocatedblocks() - blocks - count)  # the list of times itself
        answer(times=times, kept=kept / count, peak_mb=peak_mb())


if __name__ == "__main__":
    main(*sys.argv[1:])
