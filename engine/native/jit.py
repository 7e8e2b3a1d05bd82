"""Compiles kernels for the processor at hand, and keeps their machine code on disk.

Each kernel is a module of its own, known by a name that says everything its code depends on. A
kernel that any program has used before is read from the cache without writing its IR again.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llvmlite
from llvmlite import binding, ir

CACHE_BYTES = 128 * 2**20
"""Size of the cache on disk beyond which the machine code unused for longest is removed."""

Progress = Callable[[int, int], None]
"""``progress(done, total)`` while kernels are compiled."""


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


@dataclass(frozen=True)
class Kernel:
    """A function to compile: its symbol, and how its module is made when the cache lacks it."""

    symbol: str
    make: Callable[[], ir.Module]


def symbol(*parts: Any) -> str:
    """The name of a kernel's code: a hash of what it depends on, compiler and sources included."""
    cpu = processor()
    text = "\0".join((_sources(), llvmlite.__version__, cpu.name, cpu.features, repr(parts)))
    return "k" + hashlib.sha256(text.encode()).hexdigest()[:40]


@functools.cache
def _sources() -> str:
    """Digest of the generator itself: another version of it never finds this one's code."""
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


class Store:
    """All machine code of this process, by symbol."""

    def __init__(self) -> None:
        self._addresses: dict[str, int] = {}
        self._engines: list[Any] = []
        self._lock = threading.Lock()
        self.num_compiled = 0
        """Kernels that had to be compiled because no cache had them."""

    def address(self, name: str) -> int:
        """Where a loaded kernel begins."""
        return self._addresses[name]

    def load(self, kernels: Sequence[Kernel], progress: Progress | None = None) -> None:
        """Make kernels callable: from the cache on disk where they lie there, else compiled."""
        with self._lock:
            wanted = {k.symbol: k for k in kernels if k.symbol not in self._addresses}
            if not wanted:
                return
            found = {name: _read(name) for name in wanted}
            missing = [name for name, code in found.items() if code is None]
            for done, name in enumerate(missing):
                if progress is not None:
                    progress(done, len(missing))
                found[name] = _compile(wanted[name])
                _write(name, found[name] or b"")
                self.num_compiled += 1
            engine = _engine()
            for code in found.values():
                engine.add_object_file(binding.ObjectFileRef.from_data(code))
            engine.finalize_object()
            self._engines.append(engine)
            for name in wanted:
                address = int(engine.get_function_address(name))
                if not address:
                    raise LookupError(f"kernel {name!r} is not in its machine code")
                self._addresses[name] = address
            if missing:
                _trim()


@functools.cache
def store() -> Store:
    """The machine code of this process."""
    return Store()


def _machine() -> Any:
    cpu = processor()
    target = binding.Target.from_default_triple()
    return target.create_target_machine(cpu=cpu.name, features=cpu.features, opt=3, jit=True)


def _engine() -> Any:
    # The code comes from objects; the engine only needs a module to hang them on.
    empty = binding.parse_assembly(f'target triple = "{binding.get_default_triple()}"')
    return binding.create_mcjit_compiler(empty, _machine())


@functools.cache
def _emitter() -> Any:
    return _machine()


def _compile(kernel: Kernel) -> bytes:
    # No optimisation passes: kernels are written in vectors, in registers and without anything
    # to simplify, so that the passes were measured to win nothing and to take most of the time.
    module = kernel.make()
    module.triple = binding.get_default_triple()
    return bytes(_emitter().emit_object(binding.parse_assembly(str(module))))


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


def _read(name: str) -> bytes | None:
    """Machine code from the cache; None if it is not there, or not whole."""
    try:
        data = (cache_dir() / name).read_bytes()
    except OSError:
        return None
    digest, code = data[:32], data[32:]
    return code if hashlib.sha256(code).digest() == digest else None


def _write(name: str, code: bytes) -> None:
    """Keep machine code. A cache that cannot be written costs time, never correctness."""
    folder = cache_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=folder, suffix=".part")
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(code).digest() + code)
        os.replace(part, folder / name)
    except OSError:
        return


def _trim() -> None:
    """Remove the files unused for longest once the cache has grown too large."""
    try:
        entries = [(p.stat(), p) for p in cache_dir().iterdir()]
    except OSError:
        return
    total = sum(s.st_size for s, _ in entries)
    for stat, path in sorted(entries, key=lambda e: max(e[0].st_atime, e[0].st_mtime)):
        if total <= CACHE_BYTES:
            return
        with contextlib.suppress(OSError):
            path.unlink()
            total -= stat.st_size
