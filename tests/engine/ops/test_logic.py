"""Truths against NumPy."""

import numpy as np
import pytest

import engine
from engine import ops
from engine.errors import DTypeError
from engine.plan import PlanBuilder


def test_operators_are_numpy_s(rng):
    a, b = (rng.uniform(size=s) < 0.5 for s in ((3, 4), (4,)))
    x, y = engine.tensor(a), engine.tensor(b)
    np.testing.assert_array_equal((x & y).data, a & b)
    np.testing.assert_array_equal((x | b).data, a | b)
    np.testing.assert_array_equal((~x).data, ~a)
    np.testing.assert_array_equal((~x & (x | y)).data, ~a & (a | b))


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 1)])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.9, 1.0])
def test_some_and_all_are_numpy_s(rng, axis, keepdims, share):
    a = rng.uniform(size=(3, 4, 5)) < share
    x = engine.tensor(a)
    np.testing.assert_array_equal(x.any(axis, keepdims).data, a.any(axis, keepdims=keepdims))
    np.testing.assert_array_equal(x.all(axis, keepdims).data, a.all(axis, keepdims=keepdims))


def test_of_none_and_of_many():
    nothing = engine.tensor(np.zeros((0, 3), bool))
    assert nothing.any(0).tolist() == [False] * 3
    assert nothing.all(0).tolist() == [True] * 3
    many = np.zeros(2**25, bool)
    assert not engine.tensor(many).any()
    many[-1] = True
    assert engine.tensor(many).any()
    assert not engine.tensor(many).all()
    assert engine.tensor(np.ones(2**25, bool)).all()


def test_masks_are_joined_in_a_plan(rng):
    b = PlanBuilder()
    x = b.input("x", ("N", 4))
    low, high = b.call("less", x, 0.5), b.call("greater", x, -0.5)
    b.output("y", b.call("where", b.call("logical_and", low, high), x, 0.0))
    data = rng.normal(size=(5, 4)).astype(np.float32)
    expected = np.where((data < 0.5) & (data > -0.5), data, 0)
    np.testing.assert_array_equal(b.build().forward({"x": data})["y"], expected)


def test_numbers_are_no_truths():
    x = engine.tensor([1.0, 0.0])
    for call in (lambda: x & x, lambda: ~x, lambda: x.any(), lambda: ops.all(x)):
        with pytest.raises(DTypeError, match="float32; expected bool"):
            call()
