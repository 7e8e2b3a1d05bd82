"""Compiles modules of LLVM IR for the processor at hand, and keeps the machine code on disk."""

from __future__ import annotations

import functools
import hashlib
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llvmlite
from llvmlite import binding, ir

CACHE_VERSION = "1"


@dataclass(frozen=True)
class Processor:
    """What code is generated for."""

    name: str
    features: str
    lanes: int
    """float32 numbers in a vector register."""
    registers: int
    """Vector registers."""
    has_fma: bool


@functools.cache
def processor() -> Processor:
    """The processor of this machine; ``ENGINE_CPU=name`` generates for another (``haswell``)."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    forced = os.environ.get("ENGINE_CPU", "")
    if forced:
        wide = "avx512" in forced or forced in ("skylake-avx512", "cascadelake", "icelake-server")
        lanes = 16 if wide else 4 if forced.startswith("x86-64") and forced[-1] not in "34" else 8
        return Processor(forced, "", lanes, 32 if wide else 16, lanes > 4)
    features = binding.get_host_cpu_features()
    arm = binding.get_default_triple().startswith(("aarch64", "arm64"))
    if arm:
        lanes, registers, fma = 4, 32, True
    elif features.get("avx512f"):
        lanes, registers, fma = 16, 32, True
    elif features.get("avx2") and features.get("fma"):
        lanes, registers, fma = 8, 16, True
    else:
        lanes, registers, fma = 4, 16, False
    # AVX-512 code keeps 512-bit registers only if LLVM is told to prefer them.
    text = features.flatten() + (",-prefer-256-bit" if lanes == 16 else "")
    return Processor(binding.get_host_cpu_name(), text, lanes, registers, fma)


class Library:
    """Compiled machine code; ``address`` finds a function in it. Keep it alive while it runs."""

    def __init__(self, engine: Any, from_cache: bool) -> None:
        self._engine = engine
        self.from_cache = from_cache

    def address(self, name: str) -> int:
        found = int(self._engine.get_function_address(name))
        if not found:
            raise LookupError(f"function {name!r} is not in this library")
        return found


def cache_dir() -> Path:
    """Where machine code is kept: ``ENGINE_CACHE_DIR``, or the user's cache folder."""
    if given := os.environ.get("ENGINE_CACHE_DIR"):
        return Path(given)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return base / "graphstudio" / "kernels"


def compile_module(module: ir.Module) -> Library:
    """Machine code of a module, from the cache where it lies there.

    The key is a hash of the IR, the processor and the compiler's version. A cache that cannot be
    read or written costs time, never correctness.
    """
    cpu = processor()
    text = str(module)
    key = hashlib.sha256(
        "\0".join((CACHE_VERSION, llvmlite.__version__, cpu.name, cpu.features, text)).encode()
    ).hexdigest()
    path = cache_dir() / f"{key}.o"
    try:
        stored: bytes | None = path.read_bytes()
    except OSError:
        stored = None
    target = binding.Target.from_default_triple()
    machine = target.create_target_machine(cpu=cpu.name, features=cpu.features, opt=3, jit=True)
    if stored is not None:
        # The code comes from the object; the engine only needs a module to hang it on.
        parsed = binding.parse_assembly(f'target triple = "{binding.get_default_triple()}"')
        engine = binding.create_mcjit_compiler(parsed, machine)
        engine.add_object_file(binding.ObjectFileRef.from_data(stored))
        engine.finalize_object()
        return Library(engine, from_cache=True)
    parsed = binding.parse_assembly(text)
    parsed.verify()
    options = binding.create_pipeline_tuning_options(speed_level=3)
    binding.create_pass_builder(machine, options).getModulePassManager().run(
        parsed, binding.create_pass_builder(machine, options)
    )
    code = machine.emit_object(parsed)
    _store(path, code)
    empty = binding.parse_assembly(f'target triple = "{binding.get_default_triple()}"')
    engine = binding.create_mcjit_compiler(empty, machine)
    engine.add_object_file(binding.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return Library(engine, from_cache=False)


def _store(path: Path, code: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
        with os.fdopen(handle, "wb") as file:
            file.write(code)
        os.replace(name, path)
    except OSError:
        return
