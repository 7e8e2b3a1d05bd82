"""Functions for a machine with very many threads: what the CPU does in loops, each does once.

Kernels are written by the same code for the CPU and for CUDA; what differs is how they go through
elements. Where a processor's core takes a whole line in vector registers, here a warp takes it: 32
threads, its lanes, that go step by step together and can look into each other's registers.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NoReturn

from llvmlite import ir

from engine.native.emit import F32, I32, I64, Fold, Function, Val, f32

LANES = 32
"""Threads of a warp."""
MOST_THREADS = 2**20
"""Threads of a launch: enough for the largest devices, which hold 300,000 at a time."""


class DeviceFunction(Function):
    """A kernel that very many threads carry out, each for places of its own.

    ``thread`` and ``count``, which kernels are given on a CPU, mean nothing here.
    """

    def __init__(
        self, module: ir.Module, name: str, args: Sequence[Any], *, may_alias: Sequence[int] = ()
    ) -> None:
        super().__init__(module, name, args, may_alias=may_alias)
        self.num_threads = 1
        """Threads that find something to do."""

    @abstractmethod
    def places(self, total: int, width: int) -> AbstractContextManager[Val]:
        """The inside of a loop over those of ``range(total)`` that are this thread's.

        ``width`` is 1, or ``LANES``: then all threads of a warp have the same ones.
        """

    @abstractmethod
    def by_lane(self, body: Callable[[Val], list[Val]], folds: Sequence[Fold]) -> list[Val]:
        """What ``body(lane)`` gives, floats each, folded over all lanes: every lane has it."""

    def share(self, *_: Any) -> NoReturn:
        raise NotImplementedError("a kernel that gives each thread a stretch is for the CPU only")

    def fma(self, a: Val, x: Val, y: Val) -> Val:
        return self.intrinsic("fma", a, x, y)

    def walk(
        self,
        sizes: Sequence[int],
        thread: Val,
        count: Val,
        inner: Callable[[list[Val], int], None],
        *,
        lanes: int = 1,
        before: Callable[[list[Val]], None] | None = None,
        alone: bool = False,
        lines: bool = False,
    ) -> None:
        """One position after another, or one line, for each thread or each warp."""
        width = LANES if lines else 1
        total = math.prod(sizes)
        self.num_threads = max(self.num_threads, total * width)
        with self.places(total, width) as number:
            positions = self._positions(number, sizes)
            if before is not None:
                before(positions[:-1])
            inner(positions, 1)

    def _positions(self, number: Val, sizes: Sequence[int]) -> list[Val]:
        """Where ``number``, counted in row-major order, lies along each axis."""
        b, positions = self.b, []
        for size in reversed(sizes[1:]):
            whole = ir.Constant(number.type, size)
            positions.append(b.urem(number, whole))
            number = b.udiv(number, whole)
        return [b.zext(n, I64) for n in reversed([*positions, number])]

    def each(self, size: int, lanes: int, body: Callable[[Val | int, int], None]) -> None:
        """``body(place, 1)`` over ``size`` elements, by all lanes if ``lanes`` is more than 1."""
        if lanes == 1:
            super().each(size, 1, body)
            return

        def own(lane: Val) -> list[Val]:
            with self.loop(lane, size, LANES, may_be_empty=True) as i:
                body(i.index, 1)
            return []

        self.by_lane(own, [])

    def along(
        self,
        size: int,
        lanes: int,
        starts: Sequence[float],
        body: Callable[[Val | int, int], Sequence[Val]],
        folds: Sequence[Fold],
    ) -> list[Val]:
        if lanes == 1:
            return super().along(size, 1, starts, body, folds)

        def own(lane: Val) -> list[Val]:
            begin = [f32(s) for s in starts]
            with self.loop(lane, size, LANES, carry=begin, may_be_empty=True) as i:
                terms = body(i.index, 1)
                i.next = [fold(a, t) for fold, a, t in zip(folds, i.carried, terms, strict=True)]
            return i.result

        return self.by_lane(own, folds)


class PtxFunction(DeviceFunction):
    """A kernel in the form that NVIDIA's driver takes."""

    def __init__(
        self, module: ir.Module, name: str, args: Sequence[Any], *, may_alias: Sequence[int] = ()
    ) -> None:
        super().__init__(module, name, args, may_alias=may_alias)
        self.fn.calling_convention = "ptx_kernel"

    def _call(self, name: str, kind: Any, *args: Val) -> Val:
        fn = self.module.globals.get(name)
        if fn is None:
            fn = ir.Function(self.module, ir.FunctionType(kind, [a.type for a in args]), name)
        return self.b.call(fn, args)

    def _register(self, name: str) -> Val:
        return self._call(f"llvm.nvvm.read.ptx.sreg.{name}", I32)

    @contextmanager
    def places(self, total: int, width: int) -> Iterator[Val]:
        b = self.b
        block = self._register("ntid.x")
        first = b.add(b.mul(self._register("ctaid.x"), block), self._register("tid.x"))
        step = b.mul(self._register("nctaid.x"), block)
        if width > 1:
            shift = ir.Constant(I32, LANES.bit_length() - 1)
            first, step = b.lshr(first, shift), b.lshr(step, shift)
        # 32 bits are quicker to divide, and hold what one step behind the end is, too.
        kind = I32 if total + MOST_THREADS < 2**32 else I64
        if kind == I64:
            first, step = b.zext(first, I64), b.zext(step, I64)
        stop = ir.Constant(kind, total)
        before = b.block
        body, end = (self.fn.append_basic_block(n) for n in ("places", "done"))
        b.cbranch(b.icmp_unsigned("<", first, stop), body, end)
        b.position_at_end(body)
        number = b.phi(kind)
        number.add_incoming(first, before)
        yield number
        following = b.add(number, step)
        number.add_incoming(following, b.block)
        b.cbranch(b.icmp_unsigned("<", following, stop), body, end)
        b.position_at_end(end)

    def by_lane(self, body: Callable[[Val], list[Val]], folds: Sequence[Fold]) -> list[Val]:
        b = self.b
        lane = b.zext(b.and_(self._register("tid.x"), ir.Constant(I32, LANES - 1)), I64)
        values = body(lane)
        distance = LANES // 2
        while distance and values:
            others = [self._from_lane(value, distance) for value in values]
            values = [fold(a, v) for fold, a, v in zip(folds, values, others, strict=True)]
            distance //= 2
        return values

    def _from_lane(self, value: Val, distance: int) -> Val:
        """The value of the lane whose number differs in the bit ``distance``."""
        b = self.b
        if isinstance(value.type, ir.DoubleType):  # in two pieces: a register has 32 bits
            bits, upper = b.bitcast(value, I64), ir.Constant(I64, 32)
            halves = b.trunc(bits, I32), b.trunc(b.lshr(bits, upper), I32)
            low, high = (b.zext(self._from_lane(half, distance), I64) for half in halves)
            return b.bitcast(b.or_(b.shl(high, upper), low), value.type)
        kind = "f32" if value.type == F32 else "i32"
        everyone, whole = ir.Constant(I32, -1), ir.Constant(I32, LANES - 1)
        other = ir.Constant(I32, distance)
        name = f"llvm.nvvm.shfl.sync.bfly.{kind}"
        return self._call(name, value.type, everyone, value, other, whole)
