"""Runs the very IR that becomes PTX, one thread of the host for each thread of a block.

The registers that tell a thread its place, and the exchange within a warp, are functions here that
Python answers; a barrier keeps the lanes of a warp together.
"""

from __future__ import annotations

import ctypes
import re
import struct
import threading
from collections.abc import Sequence
from typing import Any

from llvmlite import binding, ir

from engine.cuda import ptx
from engine.cuda.emit import LANES, PtxFunction
from engine.native.jit import processor

REGISTERS = ("tid.x", "ctaid.x", "ntid.x", "nctaid.x")


class _Warp:
    """What the lanes of a warp show each other."""

    def __init__(self) -> None:
        self.shown = [0] * LANES
        self._barrier = threading.Barrier(LANES, timeout=30)

    def exchange(self, lane: int, bits: int, distance: int) -> int:
        self.shown[lane] = bits
        self._barrier.wait()
        found = self.shown[lane ^ distance]
        self._barrier.wait()
        return found


_own = threading.local()


def _register(name: str) -> Any:
    read = ctypes.CFUNCTYPE(ctypes.c_int32)(lambda: _own.registers[name])
    binding.add_symbol(f"lockstep.{name}", ctypes.cast(read, ctypes.c_void_p).value)
    return read


def _exchange(everyone: int, bits: int, distance: int, lanes: int) -> int:
    assert everyone == -1
    assert lanes == LANES - 1
    lane = _own.registers["tid.x"] % LANES
    return _own.warp.exchange(lane, bits, distance)


def _exchange_float(everyone: int, value: float, distance: int, lanes: int) -> float:
    bits = struct.unpack("i", struct.pack("f", value))[0]
    found = _exchange(everyone, bits, distance, lanes)
    return struct.unpack("f", struct.pack("i", found))[0]


def _symbol(name: str, kind: Any, function: Any) -> Any:
    whole = ctypes.c_int32
    made = ctypes.CFUNCTYPE(kind, whole, kind, whole, whole)(function)
    binding.add_symbol(name, ctypes.cast(made, ctypes.c_void_p).value)
    return made


_functions = [
    *map(_register, REGISTERS),
    _symbol("lockstep.exchange.i32", ctypes.c_int32, _exchange),
    _symbol("lockstep.exchange.f32", ctypes.c_float, _exchange_float),
]
"""Kept for as long as the process lives: machine code holds their addresses."""


def run(kernel: ptx.Kernel, arrays: Sequence[Any], blocks: int, block: int) -> None:
    """Launch a kernel on arrays of the host."""
    module = ir.Module("kernels")
    kernel.write_as(PtxFunction, module)
    text = str(module).replace("ptx_kernel ", "")
    text = text.replace("llvm.nvvm.read.ptx.sreg.", "lockstep.")
    text = text.replace("llvm.nvvm.shfl.sync.bfly.", "lockstep.exchange.")
    assert "nvvm" not in text
    text = re.sub(
        r'target triple = ".*"', f'target triple = "{binding.get_default_triple()}"', text
    )
    cpu = processor()
    machine = binding.Target.from_default_triple().create_target_machine(
        cpu=cpu.name, features=cpu.features, opt=1, jit=True
    )
    engine = binding.create_mcjit_compiler(binding.parse_assembly(text), machine)
    engine.finalize_object()
    kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(arrays))
    function = kind(engine.get_function_address(kernel.name))
    addresses = [a.ctypes.data for a in arrays]
    failures: list[BaseException] = []

    def thread(number: int, place: int, warp: _Warp) -> None:
        values = place, number, block, blocks
        _own.registers, _own.warp = dict(zip(REGISTERS, values, strict=True)), warp
        try:
            function(*addresses)
        except BaseException as error:
            failures.append(error)

    for number in range(blocks):
        warps = [_Warp() for _ in range(block // LANES)]
        threads = [
            threading.Thread(target=thread, args=(number, place, warps[place // LANES]))
            for place in range(block)
        ]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    assert not failures
