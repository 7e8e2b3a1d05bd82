"""Arrays, and lists of ids, go where tensors go; what is no operand is refused by its name."""

from __future__ import annotations

import numpy as np
import pytest

import engine
from engine import nn, ops
from engine.data import ArrayDataset, DataLoader
from engine.errors import DTypeError, EngineError, PlanError, ShapeError
from engine.plan import PlanBuilder
from tests.engine.op_cases import CASES, operands, parts


def _results(case, given):
    engine.manual_seed(0)
    return [v.data for v in parts(getattr(ops, case.op)(*given, **case.attrs))]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_array_is_an_operand_like_a_tensor(case):
    arrays = case.make(np.random.default_rng(0))
    expected = _results(case, operands(case, arrays, engine.tensor))
    numbers = [i for i, a in enumerate(arrays) if isinstance(a, np.ndarray)]
    for plain in [*({i} for i in numbers), set(numbers)]:
        copies = iter(range(len(numbers)))

        def lift(array, plain=plain, copies=copies):
            array = np.array(array)  # running statistics are written to
            return array if numbers[next(copies)] in plain else engine.tensor(array)

        for a, b in zip(_results(case, operands(case, arrays, lift)), expected, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=str(plain))


def _x(*shape, dtype=np.float32):
    return engine.tensor(np.random.default_rng(0).normal(size=shape).astype(dtype))


def test_an_array_beside_the_values_of_a_plan_is_a_constant():
    b = PlanBuilder()
    x, other = b.input("x", ("N", 3)), np.arange(6, dtype=np.float32).reshape(2, 3)
    b.output("joined", b.call("concatenate", [x, other], axis=0))
    scores = b.parameter("scores", (2, 3), init="normal")
    b.output("loss", b.call("cross_entropy", scores, np.array([0, 2])))
    plan, data = b.build(), _x(4, 3).data
    found = plan.forward({"x": data})
    np.testing.assert_array_equal(found["joined"], np.concatenate([data, other]))
    expected = ops.cross_entropy(plan.parameters["scores"], [0, 2])
    np.testing.assert_allclose(found["loss"], expected.data, rtol=1e-6)


def test_an_array_of_another_type_is_not_converted():
    with pytest.raises(DTypeError, match="float32 and float64"):
        ops.mse(_x(2, 3), np.zeros((2, 3)))


@pytest.mark.parametrize(
    ("call", "ids"),
    [
        (ops.cross_entropy, [0, 2, 1]),
        (ops.accuracy, [0, 2, 1]),
        (ops.gather, [[0], [2], [1]]),
        (lambda x, ids: ops.embedding(ids, x), [[0, 2], [1, 1]]),
        (lambda _, ids: ops.one_hot(ids, 4), [0, 3]),
        (lambda x, ids: ops.rnn(x[None, :, :], x, x @ x.T, lengths=ids)[0], [2]),
    ],
)
def test_ids_may_be_a_list(call, ids):
    x = _x(3, 3)
    np.testing.assert_array_equal(call(x, ids).data, call(x, engine.tensor(np.array(ids))).data)


@pytest.mark.parametrize("wrong", [None, "ab", [0.5, 1.5, 0.0], [[0], [1, 2]]])
@pytest.mark.parametrize(
    "call",
    [
        ops.cross_entropy,
        ops.accuracy,
        ops.gather,
        lambda x, ids: ops.embedding(ids, x),
        lambda x, ids: ops.rnn(x[None], x, x, lengths=ids if ids is not None else "none"),
    ],
)
def test_what_is_no_list_of_ids_is_said(call, wrong):
    with pytest.raises(DTypeError, match=r"found .*; expected whole numbers"):
        call(_x(3, 3), wrong)


def test_a_list_of_truths_is_a_condition():
    found = ops.where([True, False, True], _x(2, 3), 0.0)
    np.testing.assert_array_equal(found.data, _x(2, 3).data * [1, 0, 1])


def test_an_array_may_stand_before_the_matrix_product():
    a = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal((a @ _x(3, 4)).data, a @ _x(3, 4).data)


def test_sizes_and_axes_may_be_arrays_and_stay_what_they_are():
    x = _x(2, 3, 8, 8)
    assert ops.max_pool2d(x, np.array([2, 4])).shape == (2, 3, 4, 2)
    assert ops.norm(x, np.array([1, 2])).shape == (2, 8)
    assert ops.sum(x, np.int64(1)).shape == (2, 8, 8)
    assert ops.reshape(x, 384).shape == ops.reshape(x, np.array([-1])).shape == (384,)


def _plan(**options):
    b = PlanBuilder()
    y = b.call("matmul", b.input("x", ("N", 4)), b.parameter("weight", (4, 3), init="ones"))
    b.loss("loss", b.call("mean", b.call("square", y)))
    return b.build(**options)


def test_one_name_may_stand_for_a_list_of_names():
    assert not _plan(frozen="weight").gradients({"x": np.ones((2, 4), np.float32)})[1]
    plan = _plan()
    if plan.prepare(2, "evaluate"):
        assert plan.native == {("evaluate", 2)}


def test_one_tensor_may_stand_for_a_list_of_tensors():
    x = engine.tensor(np.ones((3, 4)), requires_grad=True)
    (found,) = engine.grad((x * x).sum(), x)
    np.testing.assert_array_equal(found.data, 2.0 * np.ones((3, 4)))
    engine.optim.SGD(0.5, parameters=x).zero_grad()


def test_the_gradient_to_begin_with_may_be_a_list():
    x = engine.tensor([1.0, 2.0], requires_grad=True)
    (x * x).backward([1.0, 10.0])
    np.testing.assert_array_equal(x.grad.data, [2.0, 40.0])


def _data():
    return ArrayDataset({"x": np.ones(3)})


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: _plan(frozen=3), PlanError, "frozen=3; expected a name, or a list of names"),
        (lambda: _plan(frozen=[3]), PlanError, "expected a name, or a list of names"),
        (lambda: _plan(optimizer="adam"), PlanError, "optimizer='adam'; expected an optimiser"),
        (lambda: _plan(optimizer=engine.optim.SGD), PlanError, "expected an optimiser, such as"),
        (lambda: _plan(clip_norm="1"), EngineError, "clip_norm='1'; expected a number above 0"),
        (lambda: PlanBuilder().input("x", "N"), PlanError, r"such as \('N',\)"),
        (lambda: PlanBuilder().parameter("w", 3), PlanError, r"shape 3; .* such as \(3,\)"),
        (lambda: ops.sum(_x(2), "a"), ShapeError, "found axis 'a'"),
        (lambda: ops.sum(_x(2), 0.5), ShapeError, "found axis 0.5"),
        (lambda: ops.reshape(_x(2), "2"), ShapeError, "shape '2'; expected whole numbers"),
        (lambda: ops.split(_x(2, 2), "2"), ShapeError, "expected a number of parts"),
        (lambda: ArrayDataset({"x": 1.0}), EngineError, "single number as 'x'"),
        (lambda: ArrayDataset(3), EngineError, "found a int; expected arrays by name"),
        (
            lambda: DataLoader({"x": np.ones(3)}, 2),
            EngineError,
            "found a dict; expected",
        ),
        (
            lambda: DataLoader(_data(), 2, seed="a"),
            EngineError,
            "seed=.a.; expected",
        ),
        (lambda: DataLoader(_data(), 2, shuffle="no"), EngineError, "expected True or False"),
        (lambda: engine.optim.SGD("0.1"), EngineError, "learning_rate='0.1'; expected a number"),
        (lambda: engine.optim.SGD(0.1, parameters=nn.Linear(2, 2)), EngineError, "found a Linear"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_string_where_programs_are_named_is_one_of_them():
    pytest.importorskip("llvmlite")
    with pytest.raises(PlanError, match="no program 'forwards'"):
        _plan().prepare(2, "forwards")
    with pytest.raises(PlanError, match="what=3; expected a name, or a list of names"):
        _plan().prepare(2, 3)
