"""The array module behind every tensor: NumPy, or CuPy where it is installed and asked for.

This is the only module that imports cupy, and it does so on the first use of the GPU.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import EngineError

Array = npt.NDArray[Any]
"""A NumPy array, or a CuPy array, which has the same interface."""


def array_module(*arrays: Any) -> ModuleType:
    """``cupy`` if any of the arrays lives on the GPU, else ``numpy``."""
    for array in arrays:
        if type(array).__module__.partition(".")[0] == "cupy":
            return cupy()
    return np


def cupy() -> ModuleType:
    """The cupy module, imported now.

    Raises
    ------
    ImportError
        If CuPy is not installed.
    """
    import cupy as module

    return module  # type: ignore[no-any-return]


def gpu_available() -> bool:
    """True if CuPy is installed and finds a device. Imports CuPy only if it is installed."""
    if importlib.util.find_spec("cupy") is None:
        return False
    try:
        return int(cupy().cuda.runtime.getDeviceCount()) > 0
    except Exception:  # a broken driver raises whatever it likes
        return False


def require_device(device: str) -> None:
    """Make sure that there is such a device.

    Raises
    ------
    EngineError
        If there is not, CuPy is not installed, or CuPy finds no GPU: says what to install.
    """
    if device == "cpu":
        return
    if device != "gpu":
        raise EngineError(f"found device {device!r}; expected 'cpu' or 'gpu'.")
    try:
        module = cupy()
    except ImportError as error:
        raise EngineError(
            "The gpu needs CuPy, which is not installed. Install the package for your version of "
            "CUDA, cupy-cuda13x for instance."
        ) from error
    try:
        count = int(module.cuda.runtime.getDeviceCount())
    except Exception as error:  # a broken driver raises whatever it likes
        raise EngineError(f"The gpu cannot be used: {error}. {_DRIVER}") from error
    if not count:
        raise EngineError(f"The gpu cannot be used: CuPy finds no CUDA device. {_DRIVER}")


_DRIVER = "Install NVIDIA's driver for it, or choose the device 'cpu'."


def to_numpy(array: Any) -> Array:
    """The array on the host, as NumPy; the array itself if it is there already."""
    return array if isinstance(array, np.ndarray) else np.asarray(array.get())


def placed(array: Array, device: str) -> Array:
    """The array on the "cpu" or the "gpu"; the array itself if it is there already.

    Raises
    ------
    EngineError
        If there is no such device.
    """
    if device == "cpu":
        return to_numpy(array)
    require_device(device)
    moved: Array = cupy().asarray(array)
    return moved


def assign(target: Array, values: Any) -> None:
    """Overwrite an array, wherever it lies, with numbers of the host."""
    if isinstance(target, np.ndarray):
        target[...] = values
    else:
        target[...] = cupy().asarray(np.asarray(values, target.dtype))


def device_of(array: Array) -> str:
    """ "cpu" or "gpu"."""
    return "cpu" if array_module(array) is np else "gpu"


def address(array: Array) -> int:
    """Where the array's first element lies, on its device."""
    if isinstance(array, np.ndarray):
        return int(array.__array_interface__["data"][0])
    return int(array.data.ptr)


def aligned(num_bytes: int, alignment: int, device: str) -> Array:
    """Bytes, all 0, that start at a multiple of ``alignment``."""
    if device == "gpu":
        # CuPy's memory starts at multiples of 512.
        made: Array = cupy().zeros(num_bytes, np.uint8)
        return made
    raw = np.zeros(num_bytes + alignment, np.uint8)
    start = -address(raw) % alignment
    return raw[start : start + num_bytes]


def carved(
    memory: Array, shape: Sequence[int], dtype: Any, offset: int, strides: Sequence[int]
) -> Array:
    """An array in contiguous memory, ``offset`` bytes from its start."""
    if isinstance(memory, np.ndarray):
        return np.ndarray(shape, dtype, memory, offset, strides)
    made: Array = cupy().ndarray(shape, dtype, memory.data + offset, strides)
    return made


def strided(array: Array, shape: Sequence[int], strides: Sequence[int], offset: int = 0) -> Array:
    """A view of the array's memory with another shape, strides and offset in bytes."""
    if not isinstance(array, np.ndarray):
        return carved(array, shape, array.dtype, offset, strides)
    moved = np.lib.stride_tricks.as_strided(array, shape, strides)
    if offset == 0:
        return moved
    interface = dict(array.__array_interface__)
    interface["data"] = (interface["data"][0] + offset, False)
    interface["shape"], interface["strides"] = tuple(shape), tuple(strides)
    return np.asarray(_Holder(interface, array))


class _Holder:
    """Carries an array interface, and keeps the memory behind it alive."""

    def __init__(self, interface: dict[str, object], owner: Array) -> None:
        self.__array_interface__ = interface
        self.owner = owner


def pinned(num_bytes: int) -> Array:
    """Bytes of the host that the GPU copies by itself, while the host goes on."""
    return np.frombuffer(cupy().cuda.alloc_pinned_memory(num_bytes), np.uint8, num_bytes)


def send(source: Array, target: Any) -> None:
    """Have bytes of the host copied to the GPU, after what it was told before; returns at once."""
    target.set(source, stream=cupy().cuda.get_current_stream())


def fetch(source: Any, target: Array) -> None:
    """Wait for the GPU to have done what it was told, and copy its bytes to the host."""
    source.get(out=target)


def wait() -> None:
    """Wait for the GPU to have done what it was told."""
    cupy().cuda.get_current_stream().synchronize()


def kernels_of(text: str) -> Callable[[str], Callable[..., None]]:
    """Have the driver compile a module in PTX; gives its kernels by name.

    A kernel is called with the numbers of blocks and of threads in each, a tuple for up to three
    axes, and its arguments. It starts when the GPU has done what it was told before.

    Raises
    ------
    EngineError
        If the driver does not take it.
    """
    module = cupy().cuda.Module()
    try:
        module.load(text.encode("ascii"))
    except Exception as error:  # the driver's errors are a class of CuPy's
        raise EngineError(
            f"The GPU's driver refuses generated kernels: {error}. Update the driver, or set "
            "ENGINE_NATIVE=off to run on CuPy's own kernels."
        ) from error
    found: Callable[[str], Callable[..., None]] = module.get_function
    return found


def einsum(*operands: Any, out: Array, optimize: Any = False) -> None:
    """``numpy.einsum`` into ``out``, which CuPy's does not take."""
    if isinstance(out, np.ndarray):
        np.einsum(*operands, out=out, optimize=optimize)
    else:
        out[...] = cupy().einsum(*operands, optimize=optimize)


def take_rows(table: Array, ids: Array, out: Array) -> None:
    """Rows of ``table`` by ids that are known to lie in range, into ``out``."""
    if isinstance(table, np.ndarray):
        # mode "clip" writes straight into out; the default one goes through a copy.
        np.take(table, ids, axis=0, out=out, mode="clip")
    else:
        np.take(table, ids, axis=0, out=out)


def erf(array: Array, out: Array) -> Array:
    """Error function, element by element, into ``out``."""
    if isinstance(array, np.ndarray):
        # Slow to import, so only when it is needed.
        from scipy.special import erf as kernel  # type: ignore[import-untyped]
    else:
        from cupyx.scipy.special import erf as kernel  # type: ignore[import-not-found]
    return kernel(array, out)  # type: ignore[no-any-return]


def reshaped(array: Array, shape: tuple[int, ...]) -> Any:
    """``array`` in another shape without copying, or None where its strides do not allow that."""
    try:
        view = array.view()
        view.shape = shape
    except AttributeError:
        return None
    return view
