"""Writes one native program: kernels for single steps, and the entry that calls them in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from llvmlite import binding, ir

from engine.native.emit import F32_P, I64, Function, Val, const
from engine.native.jit import Processor, processor
from engine.native.runtime import add_barrier

ArrayType = np.ndarray[Any, np.dtype[Any]]
TABLE = I64.as_pointer()
GRAIN = 16
"""Elements that one thread gets at least: a cache line of float32."""
SMALL = 4096
"""Kernels of fewer elements run on one thread: sharing them costs more than it saves."""


def element_strides(array: ArrayType) -> tuple[int, ...]:
    """Strides in elements."""
    return tuple(s // array.itemsize for s in array.strides)


def span(array: ArrayType) -> tuple[int, int]:
    """First address of an array, and the address after its last element."""
    start = array.__array_interface__["data"][0]
    size = array.itemsize + sum(
        (n - 1) * s for n, s in zip(array.shape, array.strides, strict=True)
    )
    return start, start + (size if array.size else 0)


@dataclass(frozen=True)
class Use:
    """How a kernel touches an array: for the decision whether a barrier is needed."""

    array: ArrayType
    writes: bool
    split: Any
    """Equal splits give each thread the same elements; None: any thread may touch any."""


@dataclass
class Writer:
    """A module being written. ``table`` grows by one address for each distinct array."""

    max_threads: int = 1
    cpu: Processor = field(default_factory=processor)

    def __post_init__(self) -> None:
        self.module = ir.Module("program")
        self.module.triple = binding.get_default_triple()
        self._barrier = add_barrier(self.module)
        self.entry = Function(self.module, "program", [I64, I64, TABLE, I64.as_pointer()])
        self.arrays: list[ArrayType] = []
        self._scratch: list[ArrayType] = []
        self.labels: list[tuple[ArrayType, int, int]] = []
        self._slots: dict[tuple[Any, ...], int] = {}
        self._kernels: dict[tuple[Any, ...], ir.Function] = {}
        self._open: list[Use] = []

    @property
    def lanes(self) -> int:
        return self.cpu.lanes

    def kernel(
        self,
        key: tuple[Any, ...],
        arrays: Sequence[ArrayType],
        write: Callable[..., None],
        uses: Sequence[Use],
    ) -> None:
        """Call a kernel on ``arrays``; ``write(f, thread, count, *pointers)`` makes its body.

        Kernels with equal keys share their code: a key must name everything that ``write``
        depends on, except the addresses.
        """
        types = tuple(str(a.dtype) for a in arrays)
        fn = self._kernels.get((key, types))
        if fn is None:
            pointers = [pointer_type(a.dtype) for a in arrays]
            f = Function(
                self.module, f"k{len(self._kernels)}", [I64, I64, *pointers], linkage="internal"
            )
            f.fn.attributes.add("noinline")
            thread, count, *operands = f.args
            write(f, thread, count, *operands)
            f.b.ret_void()
            fn = self._kernels[(key, types)] = f.fn
        self._meet(uses)
        thread, count, table, _ = self.entry.args
        b = self.entry.b
        values = []
        for array in arrays:
            slot = self._slot(array)
            address = b.load(b.gep(table, [const(slot)]))
            values.append(b.inttoptr(address, pointer_type(array.dtype)))
        b.call(fn, [thread, count, *values])

    def guard_labels(self, ids: ArrayType, classes: int, ignore: int) -> None:
        """Have the labels checked before each run: native code cannot raise."""
        self.labels.append((ids, classes, ignore))

    def scratch(self, size: int) -> ArrayType:
        """Working memory of ``size`` floats, for this program alone."""
        raw = np.empty(size + GRAIN, np.float32)
        start = (-raw.__array_interface__["data"][0] % 64) // 4
        array = raw[start : start + size]
        self._scratch.append(array)
        return array

    def finish(self) -> ir.Module:
        """The complete module."""
        self.meet()
        self.entry.b.ret_void()
        return self.module

    def meet(self) -> None:
        """All threads wait for each other here, if any work lies behind them."""
        if self._open:
            _, count, _, state = self.entry.args
            self.entry.b.call(self._barrier, [count, state])
            self._open = []

    def _meet(self, uses: Sequence[Use]) -> None:
        if any(_conflict(old, new) for old in self._open for new in uses):
            self.meet()
        self._open += uses

    def _slot(self, array: ArrayType) -> int:
        start, _ = span(array)
        key = (start,)
        if key not in self._slots:
            self._slots[key] = len(self.arrays)
            self.arrays.append(array)
        return self._slots[key]

    def addresses(self) -> ArrayType:
        """The table that the entry reads."""
        return np.array([span(a)[0] for a in self.arrays], np.int64)


def _conflict(old: Use, new: Use) -> bool:
    if not (old.writes or new.writes):
        return False
    (a0, a1), (b0, b1) = span(old.array), span(new.array)
    if a1 <= b0 or b1 <= a0:
        return False
    same = (
        old.split is not None
        and old.split == new.split
        and (a0, a1) == (b0, b1)
        and old.array.dtype == new.array.dtype
        and element_strides(old.array) == element_strides(new.array)
    )
    return not same


def pointer_type(dtype: np.dtype[Any]) -> Any:
    """LLVM pointer to elements of a NumPy type."""
    kinds = {
        "float32": F32_P,
        "float64": ir.DoubleType().as_pointer(),
        "int64": I64.as_pointer(),
        "int16": ir.IntType(16).as_pointer(),
        "uint32": ir.IntType(32).as_pointer(),
        "int32": ir.IntType(32).as_pointer(),
        "bool": ir.IntType(8).as_pointer(),
        "uint8": ir.IntType(8).as_pointer(),
    }
    return kinds[str(dtype)]


def whole(thread: Val, f: Function) -> Any:
    """Context for work that thread 0 does alone."""
    return f.b.if_then(f.b.icmp_signed("==", thread, const(0)))
