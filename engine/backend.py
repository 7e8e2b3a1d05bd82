"""The array module behind every tensor: NumPy, or CuPy where it is installed and asked for.

This is the only module that imports cupy, and it does so on the first use of the GPU.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
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


def to_numpy(array: Any) -> Array:
    """The array on the host, as NumPy; the array itself if it is there already."""
    return array if isinstance(array, np.ndarray) else np.asarray(array.get())


def placed(array: Array, device: str) -> Array:
    """The array on the "cpu" or the "gpu"; the array itself if it is there already.

    Raises
    ------
    EngineError
        If there is no such device, or CuPy is not installed.
    """
    if device == "cpu":
        return to_numpy(array)
    if device != "gpu":
        raise EngineError(f"found device {device!r}; expected 'cpu' or 'gpu'.")
    try:
        module = cupy()
    except ImportError as error:
        raise EngineError(
            "The gpu needs CuPy, which is not installed. Install the package for your version of "
            "CUDA, cupy-cuda13x for instance."
        ) from error
    moved: Array = module.asarray(array)
    return moved


def device_of(array: Array) -> str:
    """ "cpu" or "gpu"."""
    return "cpu" if array_module(array) is np else "gpu"


def strided(array: Array, shape: Sequence[int], strides: Sequence[int]) -> Array:
    """A view of the array's memory with another shape, and strides in bytes."""
    view: Array = array_module(array).lib.stride_tricks.as_strided(array, shape, strides)
    return view


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
