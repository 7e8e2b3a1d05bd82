"""How many threads a program runs on: as many as its work is worth, of the cores there are."""

from __future__ import annotations

import ctypes
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.plan.program import NamedStep

SPEED = 50e9
"""Floating-point operations a second of one thread, roughly."""
TOUCH = 16
"""Operations in the time that reading or writing one number takes."""
WAKE_S = 10e-6
"""Seconds until one more thread has begun, and has said that it is done."""
MEET_S = 0.2e-6
"""Seconds by which one more thread lengthens each barrier."""


def worthwhile_threads(steps: Sequence[NamedStep], most: int) -> int:
    """The number of threads with which a program ends soonest; at least 1, ``most`` at most.

    With n threads it takes work / n + n * overhead, which is least at the root of their ratio.
    """
    work_s = sum(operations(step) for step in steps) / SPEED
    overhead_s = WAKE_S + len(steps) * MEET_S
    return max(1, min(most, int(math.sqrt(work_s / overhead_s))))


def operations(step: NamedStep) -> float:
    """What a step costs, counted in floating-point operations: those it does and its memory."""
    arrays = (*step.inputs, *step.outputs)
    return float(2 * _multiplications(step) + TOUCH * sum(a.size for a in arrays))


def _multiplications(step: NamedStep) -> int:
    name, inputs, outputs = step.name, step.inputs, step.outputs
    if name == "matmul":
        return int(outputs[0].size * inputs[0].shape[-2 if step.attrs["transpose_a"] else -1])
    if name in ("conv", "conv_input_gradient", "conv_weight_gradient"):
        weight = outputs[0] if name == "conv_weight_gradient" else inputs[1]
        images = outputs[0] if name == "conv" else inputs[name == "conv_weight_gradient"]
        return int(images.size * weight[:1].size)
    if name in ("lstm", "gru", "rnn"):
        return int(inputs[0].size * inputs[1].shape[1])
    if name in ("lstm_gradient", "gru_gradient", "rnn_gradient"):
        return int(2 * outputs[0].size * inputs[0].shape[1])
    return 0


def usable_cores() -> int:
    """Cores that this process may use; the two threads of a core share its arithmetic units."""
    affinity = getattr(os, "sched_getaffinity", None)
    logical = affinity(0) if affinity is not None else set(range(os.cpu_count() or 1))
    try:
        found = _cores(logical)
    except (OSError, ValueError, AttributeError):
        found = 0  # a system that does not tell
    return min(found, len(logical)) or len(logical)


def _cores(logical: set[int]) -> int:
    if sys.platform.startswith("linux"):
        folder = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
        return len({Path(folder.format(n)).read_text(encoding="ascii") for n in logical})
    if sys.platform == "darwin":
        count, size = ctypes.c_int(0), ctypes.c_size_t(4)
        library = ctypes.CDLL(None)
        failed = library.sysctlbyname(
            b"hw.physicalcpu", ctypes.byref(count), ctypes.byref(size), None, ctypes.c_size_t(0)
        )
        return 0 if failed else count.value
    if sys.platform == "win32":
        return _windows_cores()
    return 0


def _windows_cores() -> int:
    """Entries of kind "processor core" that the system lists."""

    class Entry(ctypes.Structure):
        _fields_ = (
            ("mask", ctypes.c_size_t),
            ("relationship", ctypes.c_uint32),
            ("rest", ctypes.c_uint64 * 2),
        )

    ask = ctypes.WinDLL("kernel32").GetLogicalProcessorInformation  # type: ignore[attr-defined,unused-ignore]
    length = ctypes.c_uint32(0)
    ask(None, ctypes.byref(length))
    entries = (Entry * (length.value // ctypes.sizeof(Entry)))()
    if not ask(entries, ctypes.byref(length)):
        return 0
    return sum(entry.relationship == 0 for entry in entries)
