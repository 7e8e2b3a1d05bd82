"""Operands that do not fit are refused in the engine's own words, in plans when they are described.

Every operand of every operation is changed in turn: an axis less or more, a size one off, nothing
along an axis, another element type. Whatever NumPy would say about it must never be what is said.
"""

from __future__ import annotations

import numpy as np
import pytest

import engine
from engine import ops
from engine.errors import EngineError, ShapeError
from engine.plan import PlanBuilder
from tests.engine.op_cases import CASES, operands, parts


def _changes(array):
    yield "an axis less", np.asarray(array[0]) if array.ndim else array.reshape(1)
    yield "an axis more", array[None]
    for axis in range(array.ndim):
        yield f"one more on axis {axis}", np.concatenate([array, array.take([0], axis)], axis)
        if array.shape[axis] > 1:
            less = array.take(range(array.shape[axis] - 1), axis)
            yield f"one less on axis {axis}", less
        yield f"nothing on axis {axis}", array.take([], axis)
    for dtype in ("float64", "int64", "int8", "bool"):
        yield dtype, np.zeros(array.shape, dtype)


def _arrays(case):
    return [
        a.astype(np.float32) if isinstance(a, np.ndarray) and a.dtype == np.float64 else a
        for a in case.make(np.random.default_rng(0))
    ]


def _changed(case):
    """What was changed, and all arrays with that change."""
    arrays = _arrays(case)
    for i, array in enumerate(arrays):
        if isinstance(array, np.ndarray):
            for what, other in _changes(array):
                yield f"operand {i}: {what}", [*arrays[:i], other, *arrays[i + 1 :]]


def _tensor(array):
    return engine.tensor(array, requires_grad=array.dtype.kind == "f")


def _refused(case, arrays):
    """The engine's error, or None if the operation takes the operands."""
    try:
        given = operands(case, arrays, _tensor)
        first = parts(getattr(ops, case.op)(*given, **case.attrs))[0]
        if case.differentiable and first.requires_grad:
            ops.sum(first).backward()
    except EngineError as error:
        return error
    return None


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_does_not_fit_is_said_in_the_engine_s_words(case):
    for what, arrays in _changed(case):
        error = _refused(case, arrays)  # any other exception fails the test
        if error is not None:
            words = str(error)
            assert "found" in words or "cannot" in words, (what, words)
            assert "expected" in words or "reshape" in words, (what, words)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_one_operand_of_another_float_type_is_refused(case):
    arrays = _arrays(case)
    floats = [i for i, a in enumerate(arrays) if isinstance(a, np.ndarray) and a.dtype.kind == "f"]
    for i in floats if len(floats) > 1 else ():
        mixed = [*arrays[:i], arrays[i].astype(np.float64), *arrays[i + 1 :]]
        error = _refused(case, mixed)
        assert error is not None, i
        assert "float64" in str(error)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_plan_refuses_the_same_while_it_is_described(case):
    for what, arrays in _changed(case):
        error = _refused(case, arrays)
        builder = PlanBuilder()

        def lift(array, builder=builder):
            return builder.input(f"x{len(builder.leaves)}", array.shape, array.dtype.name)

        given = operands(case, arrays, lift)
        if isinstance(error, ShapeError):
            with pytest.raises(ShapeError):
                builder.call(case.op, *given, **case.attrs)
        elif error is None and case.op != "batch_norm":  # whose states are no inputs
            assert builder.call(case.op, *given, **case.attrs) is not None, what
