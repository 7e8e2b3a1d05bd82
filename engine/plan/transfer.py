"""What goes between the host and a program in a step: one transfer in, and one out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from engine.backend import Array, address, aligned, carved, fetch, pinned, send, wait
from engine.function import Call, Step, measuring
from engine.plan.memory import ALIGNMENT, ordered_strides
from engine.value import Shape

Key = tuple[str, str]
"""Kind and name of an array in a block."""


class Item(NamedTuple):
    """An array to be: its axes lie in memory in the given order, row-major for None."""

    shape: Shape
    dtype: np.dtype
    order: tuple[int, ...] | None = None

    @property
    def strides(self) -> tuple[int, ...]:
        order = tuple(range(len(self.shape))) if self.order is None else self.order
        return ordered_strides(self.shape, order, self.dtype.itemsize)


class Block:
    """Arrays side by side in one piece of memory, so that one transfer moves them all.

    ``arrays`` is what programs see and ``host`` what the host sees. On the CPU both are the same
    memory, and nothing is moved.
    """

    def __init__(self, items: Mapping[Key, Item], device: str) -> None:
        offsets, size = [], 0
        for item in items.values():
            offsets.append(size)
            num_bytes = math.prod(item.shape) * item.dtype.itemsize
            size += -(-num_bytes // ALIGNMENT) * ALIGNMENT
        self._memory = aligned(size, ALIGNMENT, device)
        self._moves = device != "cpu" and size > 0
        self._host = pinned(size) if self._moves else self._memory
        if self._moves:
            self._host.fill(0)
        self.arrays, self.host = (
            {
                key: carved(memory, item.shape, item.dtype, offset, item.strides)
                for (key, item), offset in zip(items.items(), offsets, strict=True)
            }
            for memory in (self._memory, self._host)
        )

    def send(self) -> None:
        """Bring what the host wrote to where programs read; does not wait."""
        if self._moves:
            send(self._host, self._memory)

    def fetch(self) -> None:
        """Wait for what programs wrote, and bring it to where the host reads."""
        if self._moves:
            fetch(self._memory, self._host)

    def on_host(self, array: Array) -> Array | None:
        """What the host sees of ``array``; None if it does not lie in this block."""
        offset = address(array) - address(self._memory)
        if not 0 <= offset < self._memory.nbytes:
            return None
        return carved(self._host, array.shape, array.dtype, offset, array.strides)


@dataclass(frozen=True)
class Guarded:
    """A kernel, and what is done before it to check its indices."""

    measure: Step
    run: Step

    def __call__(self) -> None:
        self.measure()
        self.run()


class Exchange:
    """What a step on a GPU takes from the host and gives back: ``feed`` in, ``results`` out.

    It also sees that indices are in range, for kernels there do not wait to look at them. Those
    that the host feeds are checked before they are sent, and nothing is changed then. Of others the
    extremes come back with the results, so the step has been taken already.

    Parameters
    ----------
    feed : Block
    results : items by key
        What comes back beside those extremes.
    calls : sequence of Call
        Of the program, before it is laid out.
    """

    def __init__(self, feed: Block, results: Mapping[Key, Item], calls: Sequence[Call]) -> None:
        ends = {
            _ends(call): Item((2,), call.inputs[call.primitive.indices].dtype)
            for call in calls
            if call.primitive.indices is not None
        }
        self.feed, self.results = feed, Block({**results, **ends}, "gpu")
        self._before: list[Callable[[], None]] = []
        self._after: list[Callable[[], None]] = []
        self._under_way = False

    def around(self, call: Call, inputs: Sequence[Array], run: Step) -> Step:
        """The call's kernel, with what it takes to check its indices."""
        if call.primitive.indices is None or not inputs[call.primitive.indices].size:
            return run
        ids, specs = inputs[call.primitive.indices], [v.spec for v in call.inputs]
        known = self.feed.on_host(ids)
        seen = self.results.host[_ends(call)] if known is None else known

        def check() -> None:
            call.primitive.check(seen, *specs, **call.attrs)

        if known is not None:
            self._before.append(check)
            return run
        self._after.append(check)
        ends = self.results.arrays[_ends(call)]

        return Guarded(measuring(ids, ends, call.attrs), run)

    def open(self) -> None:
        """Wait until the host may write to ``feed``: a step that was left may still be copying."""
        if self._under_way:
            wait()
        self._under_way = False

    def send(self) -> None:
        """Check what the host fed, and send it; does not wait."""
        for check in self._before:
            check()
        self._under_way = True
        self.feed.send()

    def fetch(self) -> None:
        """Wait for what was told to be done, and bring the results to where the host reads."""
        self.results.fetch()
        self._under_way = False
        for check in self._after:
            check()


def _ends(call: Call) -> Key:
    """Where the extremes of a call's indices lie among the results."""
    return "ends", str(call.order)
