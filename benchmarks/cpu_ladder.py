"""Training steps against PyTorch, torch.compile and Keras on TensorFlow, side by side.

    python benchmarks/cpu_ladder.py [--rows cnn lstm] [--seconds 4] [--json]

Every contestant runs in a process of its own, and only one at a time: in turns, on the same
batches and from the same weights, so that thread pools do not fight and a change in the machine's
speed meets all of them. The losses of the first steps must agree. With ``--json`` the last line
is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.ladder.spec import ROWS  # noqa: E402  # needs the path above
from benchmarks.ladder.worker import CONTESTANTS  # noqa: E402
from benchmarks.measure import Measure  # noqa: E402


class Contestant:
    """A worker process and what it has measured."""

    def __init__(self, who: str, row: str) -> None:
        quiet = {
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "CUDA_VISIBLE_DEVICES": "",
            "PYTHONWARNINGS": "ignore",
        }
        self.who = who
        self.times: list[float] = []
        self.last: dict[str, Any] = {}
        self.error: str | None = None
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.ladder.worker", who, row],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, **quiet, "KERAS_BACKEND": "tensorflow"},
        )
        self.first = self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        line = self._process.stdout.readline()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        lines = self._process.stderr.read().strip().splitlines()
        self.error = lines[-1] if lines else "ended without a word"
        return {}

    def run(self, steps: int) -> None:
        """Take some steps and note their times."""
        if self.error is not None:
            return
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"steps": steps}) + "\n")
        self._process.stdin.flush()
        self.last = self._read()
        self.times += self.last.get("times", [])

    @property
    def step_ms(self) -> float:
        return statistics.median(self.times) * 1e3

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


def race(row: str, who: Sequence[str], seconds: float, turns: int = 8) -> dict[str, Any]:
    """Result of one row; each contestant steps for about ``seconds`` in all."""
    runners = [Contestant(name, row) for name in who]
    try:
        steps = {}
        for runner in runners:
            runner.run(3)  # warm-up, and how many steps fit into a turn
            if runner.error is None:
                steps[runner.who] = max(2, min(400, int(seconds / turns / min(runner.times))))
                runner.times.clear()
        for _ in range(turns):
            for runner in runners:
                runner.run(steps.get(runner.who, 0))
    finally:
        for runner in runners:
            runner.close()
    return _result({r.who: r for r in runners})


def _result(runners: dict[str, Contestant]) -> dict[str, Any]:
    ours = runners["engine"]
    if ours.error is not None:
        raise RuntimeError(f"the engine failed: {ours.error}")
    peers: dict[str, float] = {}
    memory: dict[str, float] = {}
    failed: dict[str, str] = {}
    for who, runner in runners.items():
        if runner is ours:
            continue
        if runner.error is not None or not runner.times:
            failed[who] = runner.error or "no step was taken"
            continue
        _require_agreement(who, ours.first["losses"], runner.first["losses"])
        name = "keras_tf" if who == "keras_tf_jit" else who
        if name not in peers or runner.step_ms < peers[name]:
            peers[name], memory[name] = runner.step_ms, runner.last["peak_mb"]
    best = min(peers.values(), default=None)
    return {
        "engine_ms": ours.step_ms,
        "engine_best_ms": min(ours.times) * 1e3,
        "peers_ms": peers,
        "peers_best_ms": {w: min(r.times) * 1e3 for w, r in runners.items() if r.times},
        "speedup_over_best_peer": best / ours.step_ms if best is not None else None,
        "engine_allocations_per_step": round(ours.last["kept"], 3),
        "engine_peak_mb": ours.last["peak_mb"],
        "peers_peak_mb": memory,
        "compile_s": ours.first["compile_s"],
        "failed_peers": failed,
    }


def _require_agreement(who: str, ours: Sequence[float], theirs: Sequence[float]) -> None:
    """Equal models from equal weights: equal losses, to rounding that training magnifies."""
    for number, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        limit = 1e-4 if number == 0 else 2e-2
        if abs(a - b) > limit * max(1.0, abs(b)):
            raise RuntimeError(f"loss {number} of the engine is {a}, that of {who} is {b}")


def measures() -> Iterator[Measure]:
    """For ``make bench``: the speed-up of each row over its best peer."""
    for name, row in ROWS.items():
        result = race(name, CONTESTANTS, seconds=3.0)
        yield Measure(f"{name}: training step", result["engine_ms"], "ms")
        if result["speedup_over_best_peer"] is not None:
            ratio = result["speedup_over_best_peer"]
            yield Measure(f"{name}: speed over the best peer", ratio, "x", row.goal, True)


def main() -> int:
    """Exit code 0 if every row reached its goal."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", nargs="*", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--peers", nargs="*", choices=CONTESTANTS[1:], default=CONTESTANTS[1:])
    parser.add_argument("--seconds", type=float, default=4.0, help="per contestant and row")
    parser.add_argument("--json", action="store_true", help="a JSON object as the last line")
    options = parser.parse_args()
    results = {}
    reached = True
    for row in options.rows:
        result = results[row] = race(row, ("engine", *options.peers), options.seconds)
        ratio = result["speedup_over_best_peer"]
        peers = "  ".join(f"{who} {ms:.2f}" for who, ms in result["peers_ms"].items())
        shown = "" if ratio is None else f"{ratio:.2f}x (goal {ROWS[row].goal:g}x)"
        print(
            f"{row:<12} engine {result['engine_ms']:.2f} ms   {peers}   {shown}   "
            f"{result['engine_peak_mb']:.0f} MB   compiled in {result['compile_s']:.1f} s",
            flush=True,
        )
        for who, error in result["failed_peers"].items():
            print(f"             {who} failed: {error}")
        reached &= ratio is None or ratio >= ROWS[row].goal
    if options.json:
        print(json.dumps({"rows": results}))
    return int(not reached)


if __name__ == "__main__":
    sys.exit(main())
