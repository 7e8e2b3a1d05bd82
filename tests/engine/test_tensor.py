"""Define-by-run differentiation: the walk, accumulation, hooks, and its errors."""

import gc
import operator
import weakref

import numpy as np
import pytest

import engine
from engine import ops
from engine.errors import DTypeError, EngineError, PlanError, ShapeError
from engine.plan import PlanBuilder
from tests.engine.op_cases import CASES, parts


def test_gradients_accumulate_over_uses_and_over_backwards():
    x = engine.tensor([3.0], requires_grad=True)
    for expected in (7.0, 14.0):
        (x * x + x).sum().backward()
        assert x.grad.item() == expected


def test_python_control_flow_is_followed():
    def power(x, n):
        y = x
        for _ in range(n - 1):
            y = y * x
        return y

    x = engine.tensor([2.0], requires_grad=True)
    power(x, 5).sum().backward()
    assert x.grad.item() == 5 * 2.0**4


def test_a_graph_of_any_depth_is_walked():
    x = engine.tensor(np.ones(1), requires_grad=True)
    y = x
    for _ in range(20_000):
        y = y + 1.0
    y.sum().backward()
    assert x.grad.item() == 1.0


def test_a_diamond_is_walked_once():
    """Doubling 60 times over would take for ever if each path were followed."""
    x = engine.tensor(np.ones(1), requires_grad=True)
    y = x
    for _ in range(60):
        y = y + y
    y.sum().backward()
    assert x.grad.item() == 2.0**60


def test_no_grad_records_nothing():
    x = engine.tensor([1.0], requires_grad=True)
    with engine.no_grad():
        y = x * 2
    assert not y.requires_grad
    with pytest.raises(EngineError, match="no_grad"):
        y.backward()


def test_a_record_is_used_up_unless_retained():
    x = engine.tensor([1.0], requires_grad=True)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 4.0
    with pytest.raises(EngineError, match="retain_graph"):
        y.backward()


def test_gradients_of_gradients():
    x = engine.tensor(np.array([2.0]), requires_grad=True)
    (first,) = engine.grad((x * x * x).sum(), [x], create_graph=True)
    (second,) = engine.grad(first.sum(), [x], create_graph=True)
    (third,) = engine.grad(second.sum(), [x])
    assert (first.item(), second.item(), third.item()) == (12.0, 12.0, 6.0)
    assert x.grad is None


def test_a_gradient_penalty_trains(rng):
    w = engine.tensor(rng.normal(size=(3, 2)), requires_grad=True)
    x = engine.tensor(rng.normal(size=(5, 3)), requires_grad=True)

    def penalty():
        (slope,) = engine.grad(ops.tanh(x @ w).sum(), [x], create_graph=True)
        norm = ops.sqrt((slope * slope).sum(axis=1) + 1e-12)
        return ((norm - 1.0) * (norm - 1.0)).mean()

    before = penalty()
    (g,) = engine.grad(before, [w])
    w.data -= 0.05 * g.data
    assert penalty().item() < before.item()


def test_hooks_see_and_replace_gradients():
    seen = []
    x = engine.tensor([1.0], requires_grad=True)
    y = x * 2.0
    remove = y.register_hook(lambda g: seen.append(g.item()) or g * 10.0)
    y.sum().backward()
    assert (seen, x.grad.item()) == ([1.0], 20.0)
    remove()
    x.zero_grad()
    (x * 2.0).sum().backward()
    assert x.grad.item() == 2.0


def test_observers_see_every_operation_forward_and_backward():
    seen = []
    x = engine.tensor([1.0, -2.0], requires_grad=True)
    with engine.observe(lambda done: seen.append((done.name, done.outputs[0].data.tolist()))):
        y = ops.relu(x) * 3.0
        y.sum().backward()
    assert seen == [
        ("relu", [1.0, 0.0]),
        ("multiply", [3.0, 0.0]),
        ("sum", 3.0),
        ("reshape", [1.0]),
        ("broadcast_to", [1.0, 1.0]),
        ("multiply", [3.0, 3.0]),
        ("relu_gradient", [3.0, 0.0]),
    ]
    seen.clear()
    ops.relu(x)
    assert not seen


def test_an_observer_may_compute_and_may_stop_the_computation():
    def stop(done):
        for y in done.outputs:
            if not np.isfinite(ops.sum(y).item()):
                raise FloatingPointError(f"{done.name} of {done.inputs[0].data.tolist()}")

    x = engine.tensor([2.0, 0.0], requires_grad=True)
    with engine.observe(stop):
        y = x * 2.0
        with pytest.raises(FloatingPointError, match=r"log of \[4.0, 0.0\]"):
            ops.log(y)
    assert np.isinf(ops.log(y).data[1])
    assert y.requires_grad


def test_an_intermediate_gradient_can_be_kept():
    x = engine.tensor([1.0, 2.0], requires_grad=True)
    y = x * 3.0
    y.retain_grad()
    (y * y).sum().backward()
    assert y.grad.data.tolist() == [6.0, 12.0]


def test_a_result_is_freed_without_the_garbage_collector():
    gc.disable()
    try:
        x = engine.tensor(np.ones(10), requires_grad=True)
        y = ops.relu(x) * 2.0
        watch = weakref.ref(y)
        del y
        assert watch() is None
    finally:
        gc.enable()


def test_only_floats_have_gradients():
    with pytest.raises(DTypeError, match="int64"):
        engine.tensor([1, 2], requires_grad=True)


def test_backward_of_many_values_needs_a_gradient():
    x = engine.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2.0
    with pytest.raises(ShapeError, match="scalar"):
        y.backward()
    y.backward(np.array([1.0, 10.0], np.float32))
    assert x.grad.data.tolist() == [2.0, 20.0]


def test_whole_numbers_pass_through_without_gradients():
    x = engine.tensor([0.0, 2.0, 1.0], requires_grad=True)
    assert not ops.argmax(x).requires_grad
    assert ops.argmax(x).item() == 1


def test_stop_gradient_stops():
    x = engine.tensor([3.0], requires_grad=True)
    (ops.stop_gradient(x) * x).sum().backward()
    assert x.grad.item() == 3.0


def test_python_floats_become_float32_and_arrays_keep_their_type():
    assert engine.tensor(1.5).dtype == np.float32
    assert engine.tensor([1, 2]).dtype == np.int64
    assert engine.tensor(np.ones(2)).dtype == np.float64
    source = np.ones(2)
    copied = engine.tensor(source)
    source[0] = 5
    assert copied.data[0] == 1.0


def test_a_number_takes_the_type_of_the_operand_beside_it():
    x, i = engine.tensor([1.0, 2.0]), engine.tensor([1, 2])
    assert (x * 2).dtype == (2.5 - x).dtype == (x + np.float64(0.5)).dtype == np.float32
    assert (i * 2).dtype == np.int64


@pytest.mark.parametrize("number", [0.5, [1, 0.5], 2**70, "1", None])
def test_a_number_that_the_type_cannot_hold_is_refused(number):
    with pytest.raises(DTypeError, match="int64, which cannot hold it"):
        engine.tensor([1, 2]) * number


def test_a_number_beside_a_mask_is_refused():
    mask = ops.less(engine.tensor([1.0, 3.0]), 2.0)
    with pytest.raises(DTypeError, match="bool"):
        ops.where(mask, mask, 2)


@pytest.mark.parametrize("name", ["add", "multiply", "matmul", "maximum", "concatenate", "mse"])
def test_element_types_are_never_promoted(name):
    narrow, wide = (engine.tensor(np.ones((2, 2), d)) for d in (np.float32, np.float64))
    with pytest.raises(DTypeError, match="float32 and float64"):
        getattr(ops, name)(narrow, wide)


@pytest.mark.parametrize("data", ["abc", [[1.0], [1.0, 2.0]], [1j]])
def test_only_regular_arrays_of_numbers_become_tensors(data):
    with pytest.raises(ShapeError, match="tensor found"):
        engine.tensor(data)


@pytest.mark.parametrize("call", [ops.cast, lambda x, d: ops.one_hot(ops.argmax(x), 3, d)])
def test_an_unknown_element_type_is_named(call):
    with pytest.raises(DTypeError, match="found element type 'float33'"):
        call(engine.tensor([[1.0, 2.0]]), "float33")


def test_a_result_that_no_memory_holds_is_refused():
    x = engine.tensor(np.ones((1, 1), np.float32))
    with pytest.raises(ShapeError, match="Make the shape smaller"):
        ops.broadcast_to(x, (2**40, 2**40))


def test_a_tensor_goes_where_a_sequence_or_an_array_may():
    t = engine.tensor(np.arange(6, dtype=np.float32).reshape(3, 2))
    a, b, c = t
    assert [row.numpy().tolist() for row in (a, b, c)] == [[0, 1], [2, 3], [4, 5]]
    np.testing.assert_array_equal(np.asarray(t), t.numpy())
    total = np.ones((3, 2), np.float32) + t
    assert isinstance(total, engine.Tensor)
    np.testing.assert_array_equal(total.numpy(), t.numpy() + 1)
    assert np.asarray(t, np.float64).dtype == np.float64


def test_a_single_element_is_a_number_and_a_truth():
    assert not engine.tensor(np.zeros(1, np.float32))
    assert engine.tensor(np.float32(2.5))
    assert float(engine.tensor(np.float32(2.5))) == 2.5
    with pytest.raises(engine.ShapeError, match=r"bool found shape \(2,\)"):
        bool(engine.tensor(np.zeros(2, np.float32)))
    with pytest.raises(engine.ShapeError, match="len found a scalar"):
        list(engine.tensor(np.float32(1.0)))


def test_methods_are_the_operations_of_their_names(rng):
    x = engine.tensor(rng.uniform(0.5, 2.0, size=(2, 3, 4)).astype(np.float32))
    for name, args in {
        "max": (1,), "min": (1, True), "var": ((0, 1),), "std": (2, False, 1), "argmax": (1,),
        "argmin": (), "exp": (), "log": (), "sqrt": (), "abs": (), "clip": (0.7, 1.5),
        "cast": ("float64",), "flatten": (), "squeeze": (), "unsqueeze": (1,), "swapaxes": (0, 2),
        "sum": (1,), "mean": (1,),
    }.items():  # fmt: skip
        np.testing.assert_array_equal(
            getattr(x, name)(*args).numpy(), getattr(ops, name)(x, *args).numpy(), err_msg=name
        )
    assert x.max().item() == x.data.max()
    assert x.std().item() == pytest.approx(float(x.data.std()), rel=1e-6)
    assert x.reshape([4, 6]).shape == x.reshape((4, 6)).shape == x.reshape(4, -1).shape == (4, 6)
    assert x.transpose([2, 0, 1]).shape == x.transpose(2, 0, 1).shape == (4, 2, 3)
    assert x.T.shape == x.transpose().shape == (4, 3, 2)
    with pytest.raises(ShapeError, match=r"each of its 3 axes once. To exchange two .* swapaxes"):
        x.transpose(1, 2)


def test_a_single_number_is_python_s_where_it_is_wanted():
    one = engine.tensor([2.75])
    assert (int(one), float(one), bool(one), one.item()) == (2, 2.75, True, 2.75)
    assert f"{one:.1f}" == "2.8"
    assert f"{one}" == "tensor([2.75])"
    assert engine.tensor([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]
    assert one.device == "cpu"
    for call in (int, float, bool, lambda v: v.item(), lambda v: f"{v:.1f}"):
        with pytest.raises(ShapeError, match=r"found shape \(2,\); expected a single element"):
            call(engine.tensor([1.0, 2.0]))


COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]


@pytest.mark.torch
@pytest.mark.parametrize("compare", COMPARISONS)
@pytest.mark.parametrize("other", [1.0, 2, [0.0, 1.0, 3.0], np.float32([[1.0], [np.nan]])])
def test_comparisons_are_torch_s(compare, other):
    torch = pytest.importorskip("torch")
    data = [0.0, 1.0, float("nan")]
    x = engine.tensor(data, requires_grad=True)
    theirs = torch.tensor(other) if isinstance(other, list | np.ndarray) else other
    for found, expected in (
        (compare(x, other), compare(torch.tensor(data), theirs)),
        (compare(x, engine.tensor(np.float32(other))), compare(torch.tensor(data), theirs)),
        (compare(other, x), compare(theirs, torch.tensor(data))),
    ):
        assert found.dtype == bool
        assert not found.requires_grad
        np.testing.assert_array_equal(found.data, expected.numpy())


def test_comparisons_promote_nothing():
    whole = engine.tensor([1, 2])
    with pytest.raises(DTypeError, match="float32 and int64"):
        _ = engine.tensor([1.0, 2.0]) == whole
    with pytest.raises(DTypeError, match="int64, which cannot hold it"):
        _ = whole < 1.5
    with pytest.raises(ShapeError, match="not_equal found shapes"):
        _ = whole != [1, 2, 3]


def test_a_tensor_is_no_other_kind_of_thing():
    x = engine.tensor([1.0, 2.0])
    assert (x == None, x != None, x == "x") == (False, True, False)  # noqa: E711
    with pytest.raises(TypeError, match="'<' not supported"):
        _ = x < None


def test_sets_and_dictionaries_know_a_tensor_by_what_it_is():
    a, b = engine.tensor([1.0, 2.0]), engine.tensor([1.0, 2.0])
    assert hash(a) != hash(b)
    assert len({a, b, a}) == 2
    assert {a: 1, b: 2}[b] == 2


def test_absolute_values_and_powers_are_written_as_in_python():
    x = engine.tensor([-2.0, 3.0], requires_grad=True)
    (abs(x) + 2**x + abs(x) ** x).sum().backward()
    data = x.data.astype(np.float64)
    size, sign = np.abs(data), np.sign(data)
    power = size**data * (np.log(size) + data / size * sign)
    np.testing.assert_allclose(x.grad.data, sign + 2**data * np.log(2) + power, rtol=1e-6)


def test_what_a_plan_holds_is_neither_true_nor_false():
    from engine.function import FUNCTIONS
    from engine.plan.graph import StaticGraph
    from engine.value import Spec

    graph = StaticGraph(training=True)
    x = graph.leaf("input", "x", Spec((2,), np.dtype(np.float32)))
    assert [(x <= 1.0).dtype, (x == x).dtype] == [bool, bool]
    assert x in {x}
    with pytest.raises(PlanError, match=r"true or false.*where"):
        FUNCTIONS["relu"](x if x == 1.0 else -x)


def test_a_comparison_picks_what_holds():
    x = engine.tensor([1.0, 2.0, 3.0])
    assert x[x > 1.0].tolist() == [2.0, 3.0]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_arrays_are_taken_as_operands_beside_tensors_and_alone(case):
    drawn = [
        a.astype(np.float32) if isinstance(a, np.ndarray) and a.dtype == np.float64 else a
        for a in case.make(np.random.default_rng(3))
    ]
    arrays = [i for i, a in enumerate(drawn) if isinstance(a, np.ndarray)]

    def run(kept):
        """Results with the arrays at these places left as they are, and gradients of the others."""
        engine.manual_seed(5)
        given = [
            engine.tensor(a, requires_grad=a.dtype.kind == "f")
            if i in arrays and i not in kept
            else np.array(a) if i in arrays else a
            for i, a in enumerate(drawn)
        ]  # fmt: skip
        if case.op == "einsum":
            given = ["bij,jk->bk", *given]
        return [r.data for r in parts(getattr(ops, case.op)(*given, **case.attrs))]

    expected = run(())
    states = {3, 4} if case.op == "batch_norm" else set()  # which are written to
    for kept in [[i] for i in arrays if i not in states] + ([] if states else [arrays]):
        for found, real in zip(run(kept), expected, strict=True):
            np.testing.assert_array_equal(found, real)


def test_arrays_by_name_and_in_a_plan(rng):
    z, weight = rng.normal(size=(4, 3)).astype(np.float32), np.array([1, 2, 3], np.float32)
    labels = np.array([0, 2, 1, 1])
    expected = ops.weighted_cross_entropy(*map(engine.tensor, (z, labels, weight))).item()
    found = ops.weighted_cross_entropy(engine.tensor(z), target=labels, class_weight=weight)
    assert found.item() == expected
    b = PlanBuilder()
    x = b.input("z", ("N", 3))
    mask = np.array([True, False, True])
    b.output("y", b.call("where", mask, x, 0.0))
    np.testing.assert_array_equal(b.build().forward({"z": z})["y"], np.where(mask, z, 0))
    with pytest.raises(DTypeError, match="float32 and float64"):
        ops.mse(engine.tensor(z), z.astype(np.float64))
