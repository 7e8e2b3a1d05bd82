"""Native code for a plan's program: runs of steps become calls of one compiled function each."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from engine.native.jit import Library, compile_module
from engine.native.lowerings import table
from engine.native.runtime import Entry, Team
from engine.native.writer import Writer

if TYPE_CHECKING:
    from engine.plan.program import NamedStep


class NativeRun:
    """Consecutive steps as one native call."""

    def __init__(self, writer: Writer, team: Team, names: list[str]) -> None:
        self.names = names
        self._team = team
        self._writer = writer
        self._library: Library = compile_module(writer.finish())
        self._entry = Entry(self._library.address("program"))
        self._addresses = writer.addresses()
        self._table = self._addresses.ctypes.data
        self.from_cache = self._library.from_cache

    def __call__(self) -> None:
        if self._writer.labels:
            from engine.ops.loss import checked_labels

            for ids, classes, ignore in self._writer.labels:
                checked_labels(ids, classes, ignore)
        self._team.run(self._entry, self._table)


def lower(steps: Sequence[NamedStep], team: Team) -> list[Callable[[], Any]]:
    """The program's calls: native where a lowering exists, the NumPy kernel elsewhere."""
    lowerings = table()
    calls: list[Callable[[], Any]] = []
    writer: Writer | None = None
    names: list[str] = []
    at = 0

    def close() -> None:
        nonlocal writer, names
        if writer is not None:
            calls.append(NativeRun(writer, team, names))
        writer, names = None, []

    while at < len(steps):
        step = steps[at]
        attempt = lowerings.get(step.name)
        done = 0
        if attempt is not None:
            if writer is None:
                writer = Writer(max_threads=team.num_threads)
                fresh = True
            else:
                fresh = False
            done = attempt(writer, steps[at:])
            if not done and fresh:
                writer = None
        if done:
            names += [s.name for s in steps[at : at + done]]
            at += done
        else:
            close()
            calls.append(step.run)
            at += 1
    close()
    return calls


def enabled() -> bool:
    """False if ``ENGINE_NATIVE=off`` or llvmlite is missing."""
    if os.environ.get("ENGINE_NATIVE", "").lower() in ("off", "0"):
        return False
    try:
        import llvmlite.binding  # noqa: F401  (is it there?)
    except ImportError:
        return False
    return True


__all__ = ["NativeRun", "enabled", "lower"]
