"""A stand-in for the driver: kernels are compiled for the host, and run over all threads there.

It is what loads and launches that is a double. The bodies of the kernels are those that are written
as PTX, and their arithmetic is real. A GPU's threads come in no order; here the last is the first,
so that a kernel that counts on the order of a loop gives wrong numbers.
"""

from __future__ import annotations

import ctypes
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from llvmlite import binding, ir

import engine.cuda.program
from engine.cuda import ptx
from engine.cuda.emit import LANES, DeviceFunction
from engine.native.emit import I64, Fold, Val, const
from engine.native.jit import processor
from tests.engine import cupy_double


class HostFunction(DeviceFunction):
    """A kernel that goes through its threads itself; how many there are comes before its arrays."""

    def __init__(
        self, module: ir.Module, name: str, args: Sequence[Any], *, may_alias: Sequence[int] = ()
    ) -> None:
        super().__init__(module, name, [I64, *args], may_alias=[1 + n for n in may_alias])
        self._launched, *self.args = self.args

    @contextmanager
    def places(self, total: int, width: int) -> Iterator[Val]:
        b = self.b
        step = b.sdiv(self._launched, const(width))
        with self.loop(0, step) as thread:
            first = b.sub(b.sub(step, const(1)), thread.index)
            before = b.block
            body, end = (self.fn.append_basic_block(n) for n in ("places", "done"))
            b.cbranch(b.icmp_signed("<", first, const(total)), body, end)
            b.position_at_end(body)
            number = b.phi(I64)
            number.add_incoming(first, before)
            yield number
            following = b.add(number, step)
            number.add_incoming(following, b.block)
            b.cbranch(b.icmp_signed("<", following, const(total)), body, end)
            b.position_at_end(end)

    def by_lane(self, body: Callable[[Val], list[Val]], folds: Sequence[Fold]) -> list[Val]:
        b = self.b
        with self.loop(0, LANES) as turn:
            lane = b.sub(const(LANES - 1), turn.index)
            values = body(lane)
            with b.goto_entry_block():
                rooms = [[b.alloca(v.type, LANES) for _ in "ab"] for v in values]
            for (room, _), value in zip(rooms, values, strict=True):
                b.store(value, self.at(room, (lane, 1)))
        distance = LANES // 2
        while distance:
            with self.loop(0, LANES) as lane:
                other = b.xor(lane.index, const(distance))
                for (old, new), fold in zip(rooms, folds, strict=True):
                    pair = (b.load(self.at(old, (n, 1))) for n in (lane.index, other))
                    b.store(fold(*pair), self.at(new, (lane.index, 1)))
            rooms = [[new, old] for old, new in rooms]
            distance //= 2
        return [b.load(room) for room, _ in rooms]


class Compiled:
    """Kernels as functions of the host: ``kernels[name](num_threads, *addresses)``."""

    def __init__(self, kernels: Sequence[ptx.Kernel]) -> None:
        module = ir.Module("kernels")
        module.triple = binding.get_default_triple()
        self.written = {k.name: k.write_as(HostFunction, module) for k in kernels}
        cpu = processor()
        machine = binding.Target.from_default_triple().create_target_machine(
            cpu=cpu.name, features=cpu.features, opt=1, jit=True
        )
        self._engine = binding.create_mcjit_compiler(binding.parse_assembly(str(module)), machine)
        self._engine.finalize_object()

    def __getitem__(self, name: str) -> Any:
        count = len(self.written[name].args)
        kind = ctypes.CFUNCTYPE(None, ctypes.c_int64, *[ctypes.c_void_p] * count)
        function = kind(self._engine.get_function_address(name))
        function.owner = self  # the code goes when its engine does
        return function


class Driver:
    """What has been loaded and launched."""

    def __init__(self) -> None:
        self.launches: Counter[str] = Counter()
        self._written: dict[str, list[ptx.Kernel]] = {}
        self._compiled: dict[str, Compiled] = {}

    @property
    def kernels(self) -> list[ptx.Kernel]:
        """All that are in any module."""
        return [kernel for kernels in self._written.values() for kernel in kernels]

    def assemble(self, kernels: Sequence[ptx.Kernel]) -> ptx.Assembly:
        """``ptx.assemble``; keeps what the text was made of."""
        made = ptx.assemble(kernels)
        self._written[made.text] = list(kernels)
        return made

    def module(self) -> Any:
        """``cupy.cuda.Module()``."""
        return _Module(self)

    def compiled(self, text: str) -> Compiled:
        """The kernels of a module, compiled when one is launched first."""
        if text not in self._compiled:
            self._compiled[text] = Compiled(self._written[text])
        return self._compiled[text]


class _Module:
    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def load(self, cubin: bytes) -> None:
        assert type(cubin) is bytes  # Cython refuses others
        text = cubin.decode("ascii")
        self._text = text
        entries = re.findall(r"\.visible \.entry (\w+)\((.*?)\)", text, re.DOTALL)
        self._counts = {name: params.count(".param .u64") for name, params in entries}

    def get_function(self, name: str) -> Callable[..., None]:
        count = self._counts[name]

        def launch(grid: tuple[int], block: tuple[int], args: Sequence[np.uint64]) -> None:
            assert 1 <= grid[0] < 2**31
            assert 1 <= block[0] <= 1024
            assert len(args) == count
            assert all(type(a) is np.uint64 for a in args)
            self._driver.launches[name] += 1
            cupy_double.tell("launch", name, grid, block, args)
            function = self._driver.compiled(self._text)[name]
            function(grid[0] * block[0], *map(int, args))

        return launch


def install(monkeypatch: pytest.MonkeyPatch, cupy: Any) -> Driver:
    """Give the double of CuPy a driver."""
    driver = Driver()
    monkeypatch.setattr(engine.cuda.program, "assemble", driver.assemble)
    monkeypatch.setattr(cupy.cuda, "Module", driver.module, raising=False)
    return driver
