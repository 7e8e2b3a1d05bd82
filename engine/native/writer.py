"""Writes one native program: kernels for single steps, and the entry that calls them in order."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from llvmlite import ir

from engine.backend import address
from engine.native.emit import F32_P, GRAIN, I64, Function, Val, const
from engine.native.jit import Kernel, Processor, processor, symbol

ArrayType = np.ndarray[Any, np.dtype[Any]]
TABLE = I64.as_pointer()
SMALL = 4096
"""Kernels of fewer elements run on one thread: sharing them costs more than it saves."""


def element_strides(array: ArrayType) -> tuple[int, ...]:
    """Strides in elements."""
    return tuple(s // array.itemsize for s in array.strides)


def span(array: ArrayType) -> tuple[int, int]:
    """First address of an array, and the address after its last element."""
    start = address(array)
    if array.flags.c_contiguous:
        return start, start + array.nbytes
    size = array.itemsize + sum(
        (n - 1) * s for n, s in zip(array.shape, array.strides, strict=True) if s > 0
    )
    return start, start + (size if array.size else 0)


def covered(array: ArrayType) -> tuple[int, int]:
    """All that an array covers; one that runs backwards covers what lies before its start."""
    first, last = span(array)
    if array.flags.c_contiguous:
        return first, last
    axes = zip(array.shape, array.strides, strict=True)
    return first + sum((n - 1) * s for n, s in axes if s < 0 < n), last


def overlap(a: ArrayType, b: ArrayType) -> bool:
    """True if two arrays may share memory."""
    (a0, a1), (b0, b1) = covered(a), covered(b)
    return a0 < b1 and b0 < a1


def clash(a: ArrayType, b: ArrayType) -> bool:
    """True if one pass over both may not write one: they share memory, but not place by place."""
    alike = a.dtype == b.dtype and a.shape == b.shape and a.strides == b.strides
    return overlap(a, b) and not (alike and address(a) == address(b))


@dataclass(slots=True)
class Use:
    """How a kernel touches an array: for the decision whether a barrier is needed."""

    array: ArrayType
    writes: bool
    split: Any
    """Equal splits give each thread the same elements; None: any thread may touch any."""
    bytes: tuple[int, int] = field(init=False)
    """What the array covers, taken once: a use is compared with all that are still open."""

    def __post_init__(self) -> None:
        self.bytes = covered(self.array)


class Scratch:
    """Working memory that steps take in turns: those of a program, and the programs of a plan."""

    CHUNK = 2**18

    def __init__(self) -> None:
        self._chunks: list[ArrayType] = []
        self._number = self._used = 0

    def release(self) -> None:
        """All of it is free again, for the step that is written next."""
        self._number = self._used = 0

    def take(self, size: int) -> ArrayType:
        """``size`` floats that begin on a cache line, with whatever was left in them."""
        rounded = -(-size // GRAIN) * GRAIN
        while self._number < len(self._chunks):
            if self._used + rounded <= self._chunks[self._number].size:
                break
            self._number, self._used = self._number + 1, 0
        else:
            self._chunks.append(self._chunk(max(rounded, self.CHUNK)))
        start, self._used = self._used, self._used + rounded
        return self._chunks[self._number][start : start + size]

    def _chunk(self, size: int) -> ArrayType:
        return aligned(size)


def aligned(size: int) -> ArrayType:
    """``size`` zeros that begin on a cache line."""
    raw = np.zeros(size + GRAIN, np.float32)
    start = (-address(raw) % 64) // 4
    return raw[start : start + size]


@dataclass
class Writer:
    """A program being written: kernels to call, each with its arrays, and barriers between them."""

    max_threads: int = 1
    cpu: Processor = field(default_factory=processor)
    pool: Scratch = field(default_factory=Scratch)

    def __post_init__(self) -> None:
        self.calls: list[tuple[Kernel, str, list[ArrayType]] | None] = []
        """Kernel, what it is, and its arrays; None where all threads meet."""
        self.before: list[Callable[[], None]] = []
        """What Python does before each run: native code can neither raise nor see attributes."""
        self.memory: list[ArrayType] = []
        self._kernels: dict[tuple[Any, ...], Kernel] = {}
        self._open: list[Use] = []
        self._written: set[tuple[int, int]] = set()

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

        Kernels with equal keys share their code, now and in later runs of the program: a key must
        name everything that ``write`` depends on, except the addresses.
        """
        types = tuple(_type_name(a.dtype) for a in arrays)
        shared = sharing(arrays, uses)
        parts = (key, types, shared)
        kernel = self._kernels.get(parts)
        if kernel is None:
            name = symbol(*parts)
            kernel = Kernel(name, lambda: _module(name, types, shared, write))
            self._kernels[parts] = kernel
        self._meet(uses)
        self.calls.append((kernel, str(key[0]), list(arrays)))

    def writes(self, array: ArrayType) -> bool:
        """True if a kernel written so far makes the array, so that no check before can see it."""
        first, last = span(array)
        return any(a < last and first < b for a, b in self._written)

    def scratch(self, size: int) -> ArrayType:
        """Working memory of ``size`` floats for the kernels of one step; it holds anything."""
        array = self.pool.take(size)
        self.memory.append(array)
        return array

    def kept(self, size: int) -> ArrayType:
        """``size`` floats that only Python writes: constants, and what changes from run to run."""
        array = aligned(size)
        self.memory.append(array)
        return array

    def meet(self) -> None:
        """All threads wait for each other here, if any work lies behind them."""
        if self._open:
            self.calls.append(None)
            self._open = []

    def _meet(self, uses: Sequence[Use]) -> None:
        if any(_conflict(old, new) for old in self._open for new in uses):
            self.meet()
        self._open += uses
        self._written.update(use.bytes for use in uses if use.writes)


def touching(written: Sequence[ArrayType], read: Sequence[ArrayType]) -> list[Use]:
    """Uses of arrays of which any thread may touch any part."""
    return [*(Use(a, True, None) for a in written), *(Use(a, False, None) for a in read)]


def sharing(arrays: Sequence[ArrayType], uses: Sequence[Use]) -> tuple[int, ...]:
    """Numbers of the arrays that may share memory with others: a result in its operand's place."""
    known = {id(use.array): use.bytes for use in uses}
    places = sorted(
        (known.get(id(array)) or covered(array), number) for number, array in enumerate(arrays)
    )
    found: set[int] = set()
    (_, reach), furthest = places[0]
    for (first, last), number in places[1:]:
        if first < reach:
            found |= {furthest, number}
        if last > reach:
            reach, furthest = last, number
    return tuple(sorted(found))


def _module(
    name: str, types: Sequence[str], shared: Sequence[int], write: Callable[..., None]
) -> ir.Module:
    """A kernel's module: its body, and an entry that takes the addresses from the program."""
    module = ir.Module(name)
    pointers = [pointer_type(np.dtype(t)) for t in types]
    # A function of its own, so that its pointers count as free of aliases where they are.
    body = Function(
        module,
        "body",
        [I64, I64, *pointers],
        linkage="internal",
        may_alias=[2 + number for number in shared],
    )
    body.fn.attributes.add("noinline")
    thread, count, *operands = body.args
    write(body, thread, count, *operands)
    body.b.ret_void()
    entry = Function(module, name, [I64, I64, TABLE])
    thread, count, table = entry.args
    b = entry.b
    values = [
        b.inttoptr(b.load(b.gep(table, [const(i)])), pointer) for i, pointer in enumerate(pointers)
    ]
    b.call(body.fn, [thread, count, *values])
    b.ret_void()
    return module


def _conflict(old: Use, new: Use) -> bool:
    if not (old.writes or new.writes):
        return False
    (a0, a1), (b0, b1) = old.bytes, new.bytes
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


@functools.cache
def _type_name(dtype: np.dtype[Any]) -> str:
    return str(dtype)  # NumPy takes microseconds to spell it


POINTERS = {
    "float32": F32_P,
    "float64": ir.DoubleType().as_pointer(),
    "int64": I64.as_pointer(),
    "int16": ir.IntType(16).as_pointer(),
    "uint16": ir.IntType(16).as_pointer(),
    "uint32": ir.IntType(32).as_pointer(),
    "int32": ir.IntType(32).as_pointer(),
    "bool": ir.IntType(8).as_pointer(),
    "uint8": ir.IntType(8).as_pointer(),
}
"""LLVM pointers to elements of NumPy's types, those that kernels know."""


def pointer_type(dtype: np.dtype[Any]) -> Any:
    """LLVM pointer to elements of a NumPy type."""
    return POINTERS[str(dtype)]


def whole(thread: Val, f: Function) -> Any:
    """Context for work that thread 0 does alone."""
    return f.b.if_then(f.b.icmp_signed("==", thread, const(0)))
