"""A stand-in for CuPy: arrays that live "elsewhere", on which only what CuPy has can be called.

The numbers are NumPy's. What the double adds are CuPy's refusals: an array never turns into one of
the host by itself, a host array is no operand beside it, ufuncs know neither ``where`` nor most
reductions, ``einsum`` writes into no given array, ``take`` has no mode. Views share memory, and a
reduction to a scalar stays an array. ``transfers`` counts what goes between host and device; each
back to the host makes it wait, and until then what is sent must stay as it is. ``recorded`` writes
down what the device is told.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
import pytest

SCALARS = (bool, int, float, np.bool_, np.integer, np.floating)
REDUCED = {"add": "sum", "multiply": "prod"}
FUNCTIONS = {
    "amax": {"axis", "out", "keepdims"},
    "amin": {"axis", "out", "keepdims"},
    "max": {"axis", "out", "keepdims"},
    "min": {"axis", "out", "keepdims"},
    "argmax": {"axis", "dtype", "out", "keepdims"},
    "argsort": {"axis", "kind"},
    "broadcast_to": set(),
    "clip": {"out"},
    "copyto": {"casting", "where"},
    "cumsum": {"axis", "dtype", "out"},
    "einsum": {"dtype", "optimize"},
    "empty_like": {"dtype", "order"},
    "expand_dims": {"axis"},
    "full_like": {"dtype"},
    "mean": {"axis", "dtype", "out", "keepdims"},
    "moveaxis": set(),
    "prod": {"axis", "dtype", "out", "keepdims"},
    "put": set(),
    "put_along_axis": {"axis"},
    "reshape": set(),
    "shares_memory": set(),
    "sum": {"axis", "dtype", "out", "keepdims"},
    "take": {"axis", "out"},
    "take_along_axis": {"axis"},
    "transpose": {"axes"},
    "where": set(),
    "zeros_like": {"dtype"},
}
"""Functions that NumPy hands over to CuPy, and the options that CuPy's have."""


class ndarray(np.lib.mixins.NDArrayOperatorsMixin):  # noqa: N801  # CuPy's own name
    """An array on the device."""

    __module__ = "cupy"

    host: Any

    def __init__(self, shape: Any, dtype: Any = float, memptr: Any = None, strides: Any = None):
        if memptr is None:
            if strides is not None:
                raise ValueError("memptr is required if strides is given.")
            memptr = MemoryPointer(np.zeros(int(np.prod(shape)) * np.dtype(dtype).itemsize, "u1"))
        self.host = memptr.array(tuple(shape), np.dtype(dtype), strides)

    data = property(lambda self: MemoryPointer(self.host))
    shape = property(lambda self: self.host.shape)
    dtype = property(lambda self: self.host.dtype)
    ndim = property(lambda self: self.host.ndim)
    size = property(lambda self: self.host.size)
    nbytes = property(lambda self: self.host.nbytes)
    itemsize = property(lambda self: self.host.itemsize)
    strides = property(lambda self: self.host.strides)
    flags = property(lambda self: self.host.flags)
    T = property(lambda self: wrap(self.host.T, self))

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    def get(self, stream: Any = None, order: str = "C", out: Any = None) -> Any:
        transfers["out"] += 1
        tell("get", self, out)
        synchronize()
        if out is None:
            return self.host.copy(order)
        if type(out) is not np.ndarray or out.dtype != self.dtype or out.shape != self.shape:
            raise TypeError("array cannot be obtained from cupy.ndarray")
        out[...] = self.host
        return out

    def set(self, arr: Any, stream: Any = None) -> None:
        transfers["in"] += 1
        tell("set", self, arr)
        under_way.append((arr, arr.tobytes()))
        if type(arr) is not np.ndarray or arr.dtype != self.dtype or arr.shape != self.shape:
            raise TypeError("array cannot be set to cupy.ndarray")
        if not self.flags.c_contiguous and not self.flags.f_contiguous:
            raise RuntimeError("Cannot set to non-contiguous array")
        self.host[...] = arr

    def item(self) -> Any:
        return self.get().item()

    def fill(self, value: Any) -> None:
        if isinstance(value, ndarray):
            value = value.get()  # compared with 0
        tell("fill", self, value)
        self.host.fill(inside(value))

    def dot(self, b: Any, out: Any = None) -> Any:
        tell("dot", self, b, out)
        return wrap(np.dot(self.host, inside(b), inside(out)), out)

    def __len__(self) -> int:
        return len(self.host)

    def __getitem__(self, key: Any) -> Any:
        tell("getitem", self, key)
        key = inside(key)
        found = self.host[key]
        if isinstance(found, np.generic):  # CuPy's stays a view
            found = self.host[(*(key if isinstance(key, tuple) else (key,)), ...)]
        if _picks(key, "b"):
            transfers["out"] += 1  # how many elements there are, the device alone knows
        return wrap(found, self)

    def __setitem__(self, key: Any, value: Any) -> None:
        tell("setitem", self, key, value)
        key = inside(key)
        if _picks(key, "b"):
            transfers["out"] += 1
        if _picks(key, "bi") and not isinstance(value, ndarray):
            transfers["in"] += 1
        self.host[key] = inside(value)

    def __bool__(self) -> bool:
        return bool(self.get())

    def __int__(self) -> int:
        return int(self.get())

    def __float__(self) -> float:
        return float(self.get())

    def __getattr__(self, name: str) -> Any:
        if name not in (
            "all", "any", "astype", "copy", "max", "mean", "min", "ravel", "reshape", "sum",
            "swapaxes", "transpose", "view",
        ):  # fmt: skip
            raise AttributeError(f"the double of CuPy's array has no {name!r}")
        method = getattr(self.host, name)

        def call(*args: Any, **options: Any) -> Any:
            tell(name, self, args, options)
            return wrap(method(*inside(args), **inside(options)), self)

        return call

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        name = ufunc.__name__
        unknown = set(options) - {"out", "dtype", "casting"}
        if method == "reduce":
            if name not in REDUCED:
                raise NotImplementedError(f"`cupy_{name}.reduce` is not supported yet")
            unknown -= {"axis", "keepdims"}
        elif method != "__call__":
            return NotImplemented
        if unknown:
            raise TypeError(f"Wrong arguments {unknown}")
        tell(f"{name} {method}", inputs, options)
        out = options.pop("out", None)
        if out is not None:
            options["out"] = tuple(inside(o) for o in out)
        result = getattr(ufunc, method)(*(inside(i) for i in inputs), **options)
        return out[0] if out is not None else wrap(result)

    def __array_function__(self, func: Any, types: Any, args: Any, options: Any) -> Any:
        name = func.__name__
        if name not in FUNCTIONS:
            return NotImplemented
        if unknown := set(options) - FUNCTIONS[name]:
            raise TypeError(f"cupy.{name} got unexpected keyword arguments {unknown}")
        tell(name, args, options)
        result = func(*inside(args), **inside(options))
        if result is None or isinstance(result, bool):
            return result
        return wrap(result, *args, *options.values())


class MemoryPointer:
    """An address on the device, and what keeps the memory there."""

    def __init__(self, owner: Any, offset: int = 0) -> None:
        self._owner, self._offset = owner, offset

    @property
    def ptr(self) -> int:
        return self._owner.__array_interface__["data"][0] + self._offset

    def __add__(self, offset: int) -> MemoryPointer:
        return MemoryPointer(self._owner, self._offset + offset)

    def array(self, shape: Any, dtype: Any, strides: Any) -> Any:
        """The host's array at this address; it holds this pointer, as that holds the memory."""
        self.__array_interface__ = {
            "version": 3,
            "typestr": dtype.str,
            "shape": shape,
            "strides": None if strides is None else tuple(strides),
            "data": (self.ptr, False),
        }
        return np.asarray(self)


transfers: Counter[str] = Counter()
"""How many have gone "in" and "out"."""
under_way: list[tuple[Any, bytes]] = []
"""Arrays of the host that the device may still be reading, and what was in them."""


def synchronize() -> None:
    """Wait for the device, as a stream's method of that name does."""
    for array, sent in under_way:
        assert array.tobytes() == sent, "the host wrote to memory that was being sent"
    under_way.clear()


def _picks(key: Any, kinds: str) -> bool:
    """True if some part of an index is an array of one of these kinds."""
    parts = key if isinstance(key, tuple) else (key,)
    return any(isinstance(part, np.ndarray) and part.dtype.kind in kinds for part in parts)


class Recording:
    """What the device was told, in order, and for what it took memory to tell it."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.made: Counter[str] = Counter()
        self._memory: list[Any] = []  # kept, so that no address comes twice

    def tell(self, name: str, values: Any) -> None:
        self.calls.append((name, self._seen(values)))

    def make(self, host: Any) -> None:
        self.made[self.calls[-1][0] if self.calls else "?"] += 1
        self._memory.append(host)

    def _seen(self, value: Any) -> Any:
        """A value in a form that equals that of another run only if the device sees the same."""
        if isinstance(value, ndarray | np.ndarray):
            array = value.host if isinstance(value, ndarray) else value
            start = array.__array_interface__["data"][0]
            place: Any = start
            for number, own in enumerate(self._memory):
                first = own.__array_interface__["data"][0]
                if first <= start < first + own.nbytes:
                    place = (number, start - first)
            return type(value).__module__, place, array.shape, array.strides, array.dtype.str
        if isinstance(value, tuple | list):
            return tuple(self._seen(v) for v in value)
        if isinstance(value, dict):
            return tuple((k, self._seen(v)) for k, v in value.items())
        return repr(value)


_recording: list[Recording] = []


@contextmanager
def recorded() -> Iterator[Recording]:
    """Write down what the device is told inside a ``with`` block."""
    _recording.append(Recording())
    try:
        yield _recording[-1]
    finally:
        _recording.pop()


def tell(name: str, *values: Any) -> None:
    """Take note of a call, where one is recorded."""
    for recording in _recording:
        recording.tell(name, values)


def wrap(host: Any, *sources: Any) -> ndarray:
    """The host's array as one of the device: in new memory, if it is not that of a source."""
    made = ndarray.__new__(ndarray)
    made.host = np.asarray(host)
    if _recording and made.nbytes:
        known = (v.host for v in sources if isinstance(v, ndarray))
        if not any(np.may_share_memory(made.host, v) for v in known):
            for recording in _recording:
                recording.make(made.host)
    return made


def inside(value: Any) -> Any:
    """The host's array behind a double; host arrays themselves are refused, as CuPy does."""
    if isinstance(value, ndarray):
        return value.host
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, tuple | list):
        return type(value)(inside(v) for v in value)
    if isinstance(value, dict):
        return {k: inside(v) for k, v in value.items()}
    return value


def module() -> ModuleType:
    """The module ``cupy`` as far as the engine may use it."""
    made: Any = ModuleType("cupy")
    made.ndarray = ndarray
    for name in ("arange", "empty", "eye", "full", "ones", "tri", "zeros"):
        original = getattr(np, name)
        setattr(made, name, _maker(name, original))
    for name in (*FUNCTIONS, "matmul", "logical_and"):
        setattr(made, name, getattr(np, name))  # each hands itself over
    made.asarray = lambda a, dtype=None: wrap(_host(a) if dtype is None else _host(a, dtype))
    made.array = lambda a, dtype=None: wrap(np.array(_host(a), dtype))
    made.cuda = ModuleType("cupy.cuda")
    made.cuda.runtime = ModuleType("cupy.cuda.runtime")
    made.cuda.runtime.getDeviceCount = lambda: 1
    stream = ModuleType("stream")
    stream.synchronize = synchronize
    made.cuda.get_current_stream = lambda: stream
    made.cuda.alloc_pinned_memory = bytearray
    made.ogrid = _Grid()
    made.add = _Add()
    made.lib = ModuleType("cupy.lib")
    made.lib.stride_tricks = ModuleType("cupy.lib.stride_tricks")
    made.lib.stride_tricks.as_strided = lambda x, shape, strides: wrap(
        np.lib.stride_tricks.as_strided(inside(x), shape, strides), x
    )
    return made  # type: ignore[no-any-return]


def _maker(name: str, original: Any) -> Any:
    """A function that makes an array."""

    def make(*args: Any, **options: Any) -> ndarray:
        tell(name, args, options)
        return wrap(original(*inside(args), **inside(options)))

    return make


def _host(value: Any, dtype: Any = None) -> Any:
    """What ``cupy.asarray`` takes: its own arrays, and those of the host, which it uploads."""
    if isinstance(value, ndarray):
        return np.asarray(value.host, dtype)
    transfers["in"] += 1
    tell("asarray", value)
    return np.array(value, dtype)  # a copy, as every upload is


class _Grid:
    def __getitem__(self, key: Any) -> Any:
        return tuple(map(wrap, np.ogrid[key]))


class _Add:
    def __call__(self, *args: Any, **options: Any) -> Any:
        return np.add(*args, **options)

    @staticmethod
    def at(target: Any, key: Any, values: Any) -> None:
        tell("add.at", target, key, values)
        np.add.at(inside(target), inside(key), inside(values))


def _erf(x: Any, out: Any) -> Any:
    import scipy.special

    tell("erf", x, out)
    return wrap(scipy.special.erf(inside(x), inside(out)), out)


def install(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make the double importable as ``cupy`` during a test; returns it."""
    made = module()
    transfers.clear()
    under_way.clear()
    special: Any = ModuleType("cupyx.scipy.special")
    special.erf = _erf
    monkeypatch.setitem(sys.modules, "cupy", made)
    for name in ("cupyx", "cupyx.scipy"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "cupyx.scipy.special", special)
    return made
