"""A stand-in for CuPy: arrays that live "elsewhere", on which only what CuPy has can be called.

The numbers are NumPy's. What the double adds are CuPy's refusals: an array never turns into one of
the host by itself, a host array is no operand beside it, ufuncs know neither ``where`` nor most
reductions, ``einsum`` writes into no given array, ``take`` has no mode. Views share memory, and a
reduction to a scalar stays an array.
"""

from __future__ import annotations

import sys
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
    "broadcast_to": set(),
    "clip": {"out"},
    "copyto": {"casting", "where"},
    "einsum": {"dtype", "optimize"},
    "empty_like": {"dtype", "order"},
    "expand_dims": {"axis"},
    "full_like": {"dtype"},
    "mean": {"axis", "dtype", "out", "keepdims"},
    "moveaxis": set(),
    "prod": {"axis", "dtype", "out", "keepdims"},
    "put_along_axis": {"axis"},
    "reshape": set(),
    "shares_memory": set(),
    "sum": {"axis", "dtype", "out", "keepdims"},
    "take": {"axis", "out"},
    "take_along_axis": {"axis"},
    "transpose": {"axes"},
    "zeros_like": {"dtype"},
}
"""Functions that NumPy hands over to CuPy, and the options that CuPy's have."""


class ndarray(np.lib.mixins.NDArrayOperatorsMixin):  # noqa: N801  # CuPy's own name
    """An array on the device."""

    __module__ = "cupy"

    def __init__(self, host: Any) -> None:
        self.host: Any = np.asarray(host)

    shape = property(lambda self: self.host.shape)
    dtype = property(lambda self: self.host.dtype)
    ndim = property(lambda self: self.host.ndim)
    size = property(lambda self: self.host.size)
    nbytes = property(lambda self: self.host.nbytes)
    itemsize = property(lambda self: self.host.itemsize)
    strides = property(lambda self: self.host.strides)
    flags = property(lambda self: self.host.flags)
    T = property(lambda self: ndarray(self.host.T))

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    def get(self) -> Any:
        return self.host.copy()

    def item(self) -> Any:
        return self.host.item()

    def fill(self, value: Any) -> None:
        self.host.fill(inside(value))

    def dot(self, b: Any, out: Any = None) -> Any:
        return ndarray(np.dot(self.host, inside(b), inside(out)))

    def __len__(self) -> int:
        return len(self.host)

    def __getitem__(self, key: Any) -> Any:
        return ndarray(self.host[inside(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self.host[inside(key)] = inside(value)

    def __bool__(self) -> bool:
        return bool(self.host)

    def __int__(self) -> int:
        return int(self.host)

    def __float__(self) -> float:
        return float(self.host)

    def __getattr__(self, name: str) -> Any:
        if name not in (
            "all", "any", "astype", "copy", "max", "mean", "min", "ravel", "reshape", "sum",
            "swapaxes", "transpose",
        ):  # fmt: skip
            raise AttributeError(f"the double of CuPy's array has no {name!r}")
        method = getattr(self.host, name)
        return lambda *args, **options: ndarray(method(*inside(args), **inside(options)))

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
        out = options.pop("out", None)
        if out is not None:
            options["out"] = tuple(inside(o) for o in out)
        result = getattr(ufunc, method)(*(inside(i) for i in inputs), **options)
        return out[0] if out is not None else ndarray(result)

    def __array_function__(self, func: Any, types: Any, args: Any, options: Any) -> Any:
        name = func.__name__
        if name not in FUNCTIONS:
            return NotImplemented
        if unknown := set(options) - FUNCTIONS[name]:
            raise TypeError(f"cupy.{name} got unexpected keyword arguments {unknown}")
        result = func(*inside(args), **inside(options))
        return result if result is None or isinstance(result, bool) else ndarray(result)


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
        setattr(made, name, lambda *a, _f=original, **k: ndarray(_f(*inside(a), **inside(k))))
    for name in (*FUNCTIONS, "matmul", "logical_and"):
        setattr(made, name, getattr(np, name))  # each hands itself over
    made.asarray = lambda a, dtype=None: ndarray(_host(a) if dtype is None else _host(a, dtype))
    made.array = lambda a, dtype=None: ndarray(np.array(_host(a), dtype))
    made.ogrid = _Grid()
    made.add = _Add()
    made.lib = ModuleType("cupy.lib")
    made.lib.stride_tricks = ModuleType("cupy.lib.stride_tricks")
    made.lib.stride_tricks.as_strided = lambda x, shape, strides: ndarray(
        np.lib.stride_tricks.as_strided(inside(x), shape, strides)
    )
    return made  # type: ignore[no-any-return]


def _host(value: Any, dtype: Any = None) -> Any:
    """What ``cupy.asarray`` takes: its own arrays, and those of the host, which it uploads."""
    return np.asarray(value.host if isinstance(value, ndarray) else value, dtype)


class _Grid:
    def __getitem__(self, key: Any) -> Any:
        return tuple(map(ndarray, np.ogrid[key]))


class _Add:
    def __call__(self, *args: Any, **options: Any) -> Any:
        return np.add(*args, **options)

    @staticmethod
    def at(target: Any, key: Any, values: Any) -> None:
        np.add.at(inside(target), inside(key), inside(values))


def install(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make the double importable as ``cupy`` during a test; returns it."""
    import scipy.special

    made = module()
    special: Any = ModuleType("cupyx.scipy.special")
    special.erf = lambda x, out: ndarray(scipy.special.erf(inside(x), inside(out)))
    monkeypatch.setitem(sys.modules, "cupy", made)
    for name in ("cupyx", "cupyx.scipy"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "cupyx.scipy.special", special)
    return made
