"""Native code for a plan's program: runs of steps become calls of one compiled function each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.backend import address
from engine.native.jit import Kernel, Progress, store
from engine.native.lowerings import table
from engine.native.runtime import END, MEET, STAMP, Team
from engine.native.writer import Scratch, Writer

if TYPE_CHECKING:
    from engine.plan.program import NamedStep


AHEAD = 16
"""Steps that a lowering is shown: more than any joins into one kernel."""


class NativeRun:
    """Consecutive steps as one native call."""

    def __init__(self, writer: Writer, team: Team, names: list[str]) -> None:
        self.names = names
        self.before = writer.before
        self._calls = writer.calls
        self._memory = writer.memory
        self._team = team
        self._code = store()  # an address keeps no code alive
        self._program: np.ndarray[Any, np.dtype[np.int64]] | None = None
        self._address = 0

    @property
    def kernels(self) -> list[Kernel]:
        """What must be loaded before ``bind``."""
        return [call[0] for call in self._calls if call is not None]

    def bind(self) -> None:
        """Make it ready to run; its kernels have been loaded."""
        self._program = self._words()
        self._address = self._program.ctypes.data

    def _words(self, stamps: Any = None) -> np.ndarray[Any, np.dtype[np.int64]]:
        words: list[int] = []
        for number, call in enumerate(self._calls):
            if call is None:
                words.append(MEET)
            else:
                kernel, _, arrays = call
                words += [self._code.address(kernel.symbol), len(arrays)]
                words += [address(a) for a in arrays]
            if stamps is not None:
                words += [MEET, STAMP, stamps.ctypes.data + 8 * number]
        return np.array([*words, END], np.int64)

    def __call__(self) -> None:
        for check in self.before:
            check()
        self._team.run(self._address)

    def profile(self, repeats: int = 10) -> list[tuple[str, int]]:
        """Clock cycles of each kernel, the least of several runs, by what it is."""
        stamps = np.zeros(len(self._calls), np.int64)
        words = self._words(stamps)
        best = np.full(len(self._calls), np.iinfo(np.int64).max)
        for _ in range(repeats):
            self._team.run(words.ctypes.data)
            best = np.minimum(best, np.diff(stamps, prepend=stamps[0]))
        return [
            (call[1], int(cycles))
            for call, cycles in zip(self._calls, best, strict=True)
            if call is not None
        ]


def lower_alone(
    team: Team, write: Callable[[Writer], bool], pool: Scratch | None = None
) -> NativeRun | None:
    """What ``write`` writes as one native call; None if it says that it wrote nothing."""
    pool = pool or Scratch()
    pool.release()
    writer = Writer(max_threads=team.num_threads, pool=pool)
    if not write(writer):
        return None
    run = NativeRun(writer, team, ["update"])
    store().load(run.kernels)
    run.bind()
    return run


def lower(
    steps: Sequence[NamedStep],
    team: Team,
    progress: Progress | None = None,
    finish: Callable[[Writer], bool] | None = None,
    pool: Scratch | None = None,
) -> tuple[list[Callable[[], Any]], bool]:
    """The program's calls: native where a lowering exists, the NumPy kernel elsewhere.

    Parameters
    ----------
    progress : callable, optional
        Called while kernels are compiled.
    finish : callable, optional
        Writes what follows the last step; the second result is what it returned.
    pool : Scratch, optional
        Working memory of the kernels, which programs share that never run at the same time.
    """
    lowerings = table()
    calls: list[Callable[[], Any]] = []
    writer: Writer | None = None
    names: list[str] = []
    pool = pool or Scratch()
    at = 0

    def close() -> None:
        nonlocal writer, names
        if writer is not None:
            calls.append(NativeRun(writer, team, names))
        writer, names = None, []

    while at < len(steps):
        pool.release()
        step = steps[at]
        attempt = lowerings.get(step.name)
        done = 0
        if attempt is not None:
            following = steps[at : at + AHEAD]
            if writer is not None:
                done = attempt(writer, following)
            if not done:
                # A run of its own can check before it what an earlier one computes.
                close()
                writer = Writer(max_threads=team.num_threads, pool=pool)
                done = attempt(writer, following)
                writer = writer if done else None
        if done:
            names += [s.name for s in steps[at : at + done]]
            at += done
        else:
            close()
            calls.append(step.run)
            at += 1
    finished = False
    if finish is not None:
        pool.release()
        writer = writer or Writer(max_threads=team.num_threads, pool=pool)
        finished = finish(writer)
        names.append("update")
        if not writer.calls:
            writer = None
    close()
    native = [call for call in calls if isinstance(call, NativeRun)]
    store().load([kernel for run in native for kernel in run.kernels], progress)
    for run in native:
        run.bind()
    return calls, finished
