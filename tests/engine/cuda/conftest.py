"""Fixtures of the tests of generated CUDA kernels: a double of the driver, and steps one by one."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from llvmlite import ir

from engine.cuda import ptx
from engine.cuda.emit import PtxFunction
from engine.cuda.program import lower
from engine.cuda.writer import DeviceWriter
from engine.function import PRIMITIVES
from engine.native.writer import sharing
from engine.plan.program import NamedStep
from engine.value import Spec
from tests.engine import cupy_double
from tests.engine.cuda import host


@pytest.fixture
def cupy(monkeypatch):
    return cupy_double.install(monkeypatch)


@pytest.fixture
def driver(monkeypatch, cupy):
    return host.install(monkeypatch, cupy)


@pytest.fixture(scope="session", autouse=True)
def ledger():
    """Two kernels with one key share their code: the key says all that the code depends on."""
    codes, plain = {}, DeviceWriter.kernel

    def kernel(self, key, arrays, write, uses):
        types, shared = tuple(str(a.dtype) for a in arrays), sharing(arrays, uses)
        module = ir.Module("code")
        ptx.Kernel("code", types, shared, write).write_as(PtxFunction, module)
        code = hashlib.sha256(str(module).encode()).digest()
        known = codes.setdefault((key, types, shared), code)
        assert known == code, f"one key, two kernels: {key}"
        plain(self, key, arrays, write, uses)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DeviceWriter, "kernel", kernel)
        yield


def _made(spec, order=None):
    """An array of the host, its axes in memory in this order, if it has so many."""
    if order is None or len(order) != len(spec.shape):
        order = tuple(range(len(spec.shape)))
    memory = np.empty([spec.shape[axis] for axis in order], spec.dtype)
    return memory.transpose(np.argsort(order))


def make_step(name, *inputs, in_place=False, order=None, place=None, **attrs):
    """A step on arrays of the device, or of its double; it has no kernel of CuPy's."""
    primitive = PRIMITIVES[name]

    def kernel():
        raise AssertionError(f"{name} ran on a kernel of CuPy")

    place = place or _kept
    given = [place(np.asarray(a)) for a in inputs]
    results = primitive.infer_all([Spec(a.shape, a.dtype) for a in given], attrs)
    outputs = [place(_made(s, order)) for s in results]
    if in_place:
        outputs[0] = given[0]
    return NamedStep(primitive, attrs, "", kernel, tuple(given), tuple(outputs), ())


@pytest.fixture
def run_steps(driver):
    """Steps of one program: what generated kernels give, and what NumPy's give, for each."""

    def run(steps):
        expected = []
        for step in steps:
            inputs = tuple(a.host.copy("K") for a in step.inputs)
            outputs = tuple(np.empty_like(a.host) for a in step.outputs)
            specs = [Spec(a.shape, a.dtype) for a in inputs]
            room = tuple(_made(s) for s in step.primitive.scratch(*specs, **step.attrs))
            with np.errstate(all="ignore"):
                step.primitive.prepare(inputs, outputs, room, **step.attrs)()
            expected.append(outputs)
        for call in lower(steps)[0]:
            call()
        return [([a.host for a in s.outputs], e) for s, e in zip(steps, expected, strict=True)]

    return run


@pytest.fixture
def run_step(run_steps):
    """The same of a single step, which is described as for ``make_step``."""
    return lambda *args, **options: run_steps([make_step(*args, **options)])[0]


def _kept(array):
    """A copy on the device with the strides of the host's array, those of a broadcast one too."""
    one = tuple(slice(None) if stride else slice(1) for stride in array.strides)
    return cupy_double.wrap(np.broadcast_to(array[one].copy("K"), array.shape))
