"""Takes down the launches of a program for the GPU, written by the code that writes for the CPU."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from engine.backend import Array, address, aligned, carved
from engine.cuda.emit import LANES
from engine.cuda.ptx import Kernel
from engine.native.writer import ArrayType, Scratch, Use, Writer, sharing

ALIGNMENT = 256
"""Bytes at multiples of which a warp's loads begin best."""


class _Holder:
    """An array interface."""

    def __init__(self, interface: dict[str, object]) -> None:
        self.__array_interface__ = interface


def outline(array: Array) -> ArrayType:
    """A NumPy array that says how an array of the GPU lies there. Its elements cannot be read.

    What writes kernels asks arrays for addresses, shapes and strides, and makes views of them.
    """
    interface = {
        "version": 3,
        "typestr": array.dtype.str,
        "shape": array.shape,
        "strides": array.strides,
        "data": (address(array), False),
    }
    return np.asarray(_Holder(interface))


class DeviceScratch(Scratch):
    """Working memory on the GPU."""

    def __init__(self) -> None:
        super().__init__()
        self._owned: list[Array] = []

    def _chunk(self, size: int) -> ArrayType:
        memory = aligned(4 * size, ALIGNMENT, "gpu")
        self._owned.append(memory)
        return outline(carved(memory, (size,), np.float32, 0, (4,)))


class DeviceWriter(Writer):
    """A program being written: kernels to launch, one after another, each with its arrays.

    The order of launches is the order in which the GPU does them: nothing else keeps them apart.
    """

    def __init__(self, pool: Scratch) -> None:
        super().__init__(max_threads=1, pool=pool)
        self.launches: list[tuple[Kernel, list[ArrayType]]] = []
        self._named: dict[tuple[Any, ...], Kernel] = {}

    @property
    def lanes(self) -> int:
        return LANES

    def kept(self, size: int) -> NoReturn:
        raise NotImplementedError("what Python writes before a run lies on the host")

    def kernel(
        self,
        key: tuple[Any, ...],
        arrays: Sequence[ArrayType],
        write: Callable[..., None],
        uses: Sequence[Use],
    ) -> None:
        types = tuple(str(a.dtype) for a in arrays)
        parts = key, types, sharing(arrays, uses)
        kernel = self._named.get(parts)
        if kernel is None:
            kernel = Kernel(f"{_label(key)}_{len(self._named)}", *parts[1:], write)
            self._named[parts] = kernel
        self.launches.append((kernel, list(arrays)))


def _label(key: tuple[Any, ...]) -> str:
    """What a kernel does, for those who look at launches: the steps that it joins, say."""
    first = key[1][0] if key[0] == "elementwise" else key[0]
    words = first if isinstance(first, str) else "_".join(name for name, _ in first)
    return re.sub(r"\W", "_", words)
