"""Puts kernels together into one module in PTX, the assembly that NVIDIA's driver compiles."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import binding, ir

from engine.cuda.emit import MOST_THREADS, DeviceFunction, PtxFunction
from engine.native.writer import pointer_type

TRIPLE = "nvptx64-nvidia-cuda"
TARGET, VERSION = "sm_50", "+ptx60"
"""The oldest devices for which CUDA 12 compiles, and the first PTX with the exchanges within a warp
that newer ones ask for. The driver compiles it for every later device; nothing here would be better
for naming that one. So there is one text for all of them, and tests see the text that runs."""
BLOCK = 256
"""Threads of a block."""


@dataclass(frozen=True)
class Kernel:
    """A function to write: its name, its operands, and its body."""

    name: str
    types: tuple[str, ...]
    """The operands' element types."""
    shared: tuple[int, ...]
    """Numbers of the operands that may share memory with others."""
    write: Callable[..., None]
    """``write(f, None, None, *pointers)``."""

    def write_as(self, form: type[DeviceFunction], module: ir.Module) -> DeviceFunction:
        """Write it into a module."""
        pointers = [pointer_type(np.dtype(t)) for t in self.types]
        f = form(module, self.name, pointers, may_alias=self.shared)
        self.write(f, None, None, *f.args)
        f.b.ret_void()
        return f


@dataclass(frozen=True)
class Assembly:
    """A module's text, and the blocks of each of its kernels."""

    text: str
    blocks: dict[str, int]


def assemble(kernels: Sequence[Kernel]) -> Assembly:
    """All kernels in one module."""
    module = ir.Module("kernels")
    module.triple, module.data_layout = TRIPLE, str(_machine().target_data)
    written = {kernel.name: kernel.write_as(PtxFunction, module) for kernel in kernels}
    text = str(_machine().emit_assembly(binding.parse_assembly(str(module))))
    return Assembly(text, {name: num_blocks(f.num_threads) for name, f in written.items()})


def num_blocks(num_threads: int) -> int:
    """Blocks for so many threads with something to do; very many share fewer."""
    return -(-min(num_threads, MOST_THREADS) // BLOCK)


def available() -> bool:
    """True if LLVM was built with what writes PTX."""
    try:
        _machine()
    except RuntimeError:
        return False
    return True


@functools.cache
def _machine() -> Any:
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    target = binding.Target.from_triple(TRIPLE)
    return target.create_target_machine(cpu=TARGET, features=VERSION, opt=3)
