"""Generated scalar functions against float64."""

import ctypes

import numpy as np
import pytest
from llvmlite import ir

from engine.native import mathfn
from engine.native.emit import F32_P, I64, Function
from engine.native.jit import Kernel, processor, store, symbol

NAMES = ("exp", "log", "sigmoid", "tanh", "erf", "softplus", "expm1_below", "sin", "cos")


@pytest.fixture(scope="module", params=["numbers", "registers"])
def compiled(request):
    """Each function over an array, by name: number by number, and a register at a time."""
    width = processor().lanes if request.param == "registers" else 1

    def kernel(name):
        def make():
            module = ir.Module(name)
            f = Function(module, symbol("test", name, width), [F32_P, F32_P, I64])
            x, y, n = f.args
            with f.loop(0, n, width) as i:
                value = getattr(mathfn, name)(f, f.load(f.at(x, (i.index, 1)), width))
                f.store(value, f.at(y, (i.index, 1)), width)
            f.b.ret_void()
            return module

        return Kernel(symbol("test", name, width), make)

    store().load([kernel(name) for name in NAMES])
    kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)

    def run(name, x):
        filled = np.pad(x, (0, -x.size % width), mode="edge")
        y = np.empty_like(filled)
        address = store().address(symbol("test", name, width))
        kind(address)(filled.ctypes.data, y.ctypes.data, y.size)
        return y[: x.size]

    return run


def _erf(x):
    import math

    return np.array([math.erf(v) for v in x])


REFERENCES = {
    "exp": (np.exp, -100.0, 88.0, 5e-7),
    "log": (np.log, 1e-30, 1e30, 3e-7),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), -80.0, 80.0, 5e-7),
    "tanh": (np.tanh, -12.0, 12.0, 5e-7),
    "erf": (_erf, -6.0, 6.0, 1e-6),
    "softplus": (lambda x: np.logaddexp(x, 0.0), -100.0, 100.0, 5e-7),
    "expm1_below": (np.expm1, -100.0, 0.0, 5e-7),
    "sin": (np.sin, -1e6, 1e6, 5e-7),
    "cos": (np.cos, -1e6, 1e6, 5e-7),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_function_is_right_to_float32_rounding(compiled, name):
    reference, low, high, tolerance = REFERENCES[name]
    rng = np.random.default_rng(3)
    near = rng.uniform(max(low, -1e-3), min(high, 1e-3), 99)
    x = np.concatenate([rng.uniform(low, high, 20_000), near])
    x = np.abs(x).astype(np.float32) if name == "log" else x.astype(np.float32)
    expected = reference(x.astype(np.float64))
    np.testing.assert_allclose(compiled(name, x), expected, rtol=tolerance, atol=tolerance * 1e-1)


@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        ("exp", [-np.inf, -200.0, 0.0, 200.0, np.inf], [0.0, 0.0, 1.0, np.inf, np.inf]),
        ("log", [0.0, 1.0, np.inf, -1.0], [-np.inf, 0.0, np.inf, np.nan]),
        ("sigmoid", [-np.inf, -1e4, 0.0, 1e4, np.inf], [0.0, 0.0, 0.5, 1.0, 1.0]),
        ("tanh", [-np.inf, -50.0, 0.0, 50.0, np.inf], [-1.0, -1.0, 0.0, 1.0, 1.0]),
        ("erf", [-np.inf, -9.0, 0.0, 9.0, np.inf], [-1.0, -1.0, 0.0, 1.0, 1.0]),
        ("softplus", [-np.inf, -200.0, 0.0, 200.0, np.inf], [0.0, 0.0, np.log(2), 200.0, np.inf]),
        ("expm1_below", [-np.inf, -200.0, -1e-30, 0.0], [-1.0, -1.0, -1e-30, 0.0]),
        ("sin", [-np.inf, 0.0, np.inf], [np.nan, 0.0, np.nan]),
        ("cos", [-np.inf, 0.0, np.inf], [np.nan, 1.0, np.nan]),
    ],
)
def test_extreme_inputs_give_what_numpy_gives(compiled, name, x, expected):
    found = compiled(name, np.array(x, np.float32))
    np.testing.assert_allclose(found, np.array(expected, np.float32), rtol=1e-6, atol=1e-37)


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_angles_of_many_turns_keep_their_place(compiled, name):
    rng = np.random.default_rng(5)
    around = [rng.uniform(2.0**k, 2.0 ** (k + 1), 500) for k in (20, 23, 24, 26, 27, 28, 30, 60)]
    # The float32 number that lies closest to a multiple of pi / 2 is 16367173 * 2**72.
    single = [1.2345e8, 2.0**24, 2.0**28, 2.0**30, 1e10, 1e30, 3.4e38, 16367173.0 * 2.0**72]
    x = np.concatenate([*around, single]).astype(np.float32)
    x = np.concatenate([x, -x])
    expected = getattr(np, name)(x.astype(np.float64))
    np.testing.assert_allclose(compiled(name, x), expected, rtol=5e-7, atol=1e-14)


def test_sine_of_small_numbers_is_the_number(compiled):
    x = np.array([0.0, -0.0, 1e-45, -1e-45, 1e-38, 1e-20, -1e-5], np.float32)
    found = compiled("sin", x)
    np.testing.assert_array_equal(found, x)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(x))


@pytest.mark.parametrize("name", REFERENCES)
def test_nan_stays_nan(compiled, name):
    assert np.isnan(compiled(name, np.full(3, np.nan, np.float32))).all()
