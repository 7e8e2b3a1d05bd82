"""What holds for every operation: gradients, element types, plans, bytes, and no sample at all."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import engine
from engine import backend, ops
from engine.plan import PlanBuilder
from engine.testing import check_gradients
from tests.engine.op_cases import CASES, operands, parts

DIFFERENTIABLE = [case for case in CASES if case.differentiable]
MEANS = {  # of nothing: not a number, as in NumPy and PyTorch
    "batch_norm", "binary_cross_entropy", "contrastive", "cosine_distance", "dice", "hinge",
    "huber", "kl_divergence", "kl_normal", "mae", "mse", "triplet", "accuracy",
    "cosine_embedding", "ctc", "focal", "iou",
}  # fmt: skip


def _arrays(case, dtype=np.float32):
    return [
        a.astype(dtype) if isinstance(a, np.ndarray) and a.dtype == np.float64 else a
        for a in case.make(np.random.default_rng(3))
    ]


def _tensor(array):
    return engine.tensor(array, requires_grad=array.dtype.kind == "f")


def _weighed(results, call=lambda name, *args: getattr(ops, name)(*args)):
    """A scalar on which every element of every floating result counts by another weight."""
    total = None
    for i, result in enumerate(r for r in results if np.dtype(r.dtype).kind == "f"):
        square = call("multiply", call("add", result, 0.3 + i), result)
        mean = call("mean", call("mean", square) if result.shape else square)
        total = mean if total is None else call("add", total, mean)
    return total


def _eager(case, arrays):
    """Results, loss and gradients by tensors."""
    engine.manual_seed(5)
    given = operands(case, arrays, _tensor)
    results = parts(getattr(ops, case.op)(*given, **case.attrs))
    loss = _weighed(results)
    leaves = [v for v in given if isinstance(v, engine.Tensor) and v.requires_grad]
    found = engine.grad(loss, leaves) if case.differentiable else []
    return results, loss, found


def test_the_table_holds_every_operation():
    assert {case.op for case in CASES} == set(ops.__all__)
    assert len({str(case) for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=str)
def test_gradients_match_finite_differences_in_float64(case):
    drawn = _arrays(case, np.float64)
    arrays = [a for a in drawn if isinstance(a, np.ndarray)]
    # A mask or the like is no operand to differentiate, nor are the states of batch norm.
    fixed = {i for i, a in enumerate(arrays) if a.dtype.kind != "f"}
    fixed |= {3, 4} if case.op == "batch_norm" else set()
    moved = [a for i, a in enumerate(arrays) if i not in fixed]

    def call(*tensors):
        engine.manual_seed(5)
        given = iter(tensors)
        own = iter(engine.tensor(a) if i in fixed else next(given) for i, a in enumerate(arrays))
        filled = [next(own) if isinstance(a, np.ndarray) else a for a in drawn]
        results = parts(getattr(ops, case.op)(*operands(case, filled, lambda v: v), **case.attrs))
        floats = (r for r in results if r.dtype.kind == "f")
        return ops.concatenate(*(r.reshape(-1) for r in floats), axis=0)

    check_gradients(call, *moved, tolerance=2e-6)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_element_types_stay_what_they_were(case, dtype):
    results, _, gradients = _eager(case, _arrays(case, dtype))
    floats = [r for r in results if r.dtype.kind == "f"]
    expected = np.float32 if case.op == "one_hot" else dtype  # which makes its own type
    assert {v.dtype for v in (*floats, *gradients)} <= {np.dtype(expected)}
    if case.op in ("argmax", "argmin", "cast"):
        assert results[0].dtype == np.int64


def _plan(case, arrays, loss=False, device="cpu"):
    """The case as a plan with its batch: parameters where arrays have no batch."""
    builder = PlanBuilder()
    feed = {}
    values = []
    states = {3: "mean", 4: "var"} if case.op == "batch_norm" else {}
    for i, array in enumerate(arrays):
        name = f"x{i}"
        if not isinstance(array, np.ndarray):
            values.append(array)
        elif i in case.batched or array.dtype.kind != "f":
            shape = ("N", *array.shape[1:]) if i in case.batched else array.shape
            values.append(builder.input(name, shape, array.dtype.name))
            feed[name] = array
        elif i in states:
            values.append(builder.state(name, array.shape))
        else:
            values.append(builder.parameter(name, array.shape))
    given = ["bij,jk->bk", *values] if case.op == "einsum" else values
    results = parts(builder.call(case.op, *given, **case.attrs))
    for i, result in enumerate(results):
        builder.output(f"y{i}", result)
    if case.differentiable and (loss or not case.random):
        builder.loss("l", _weighed(results, builder.call))
    plan = builder.build(seed=2, device=device)
    for i, array in enumerate(arrays):
        for own in (plan.parameters, plan.state):
            if f"x{i}" in own:
                backend.assign(own[f"x{i}"], array)
    return plan, feed


DESCRIBED = [case for case in CASES if case.op != "broadcast_to"]  # its shape names the batch
PLANNED = [case for case in DESCRIBED if not case.random]  # a plan draws from keys of its own


@pytest.mark.parametrize("case", PLANNED, ids=str)
def test_a_plan_gives_the_numbers_of_tensors(case):
    arrays = _arrays(case)
    results, loss, gradients = _eager(case, arrays)
    plan, feed = _plan(case, arrays)
    training = case.attrs.get("training", True)
    found = plan.forward(feed, training=training)
    for i, result in enumerate(results):
        np.testing.assert_allclose(found[f"y{i}"], result.data, rtol=2e-5, atol=2e-5)
    if not case.differentiable:
        return
    losses, by_name = plan.gradients(feed, training=training)
    assert losses["l"] == pytest.approx(loss.item(), rel=2e-5, abs=1e-6)
    names = [f"x{i}" for i, a in enumerate(arrays) if isinstance(a, np.ndarray)]
    floats = [
        n for n, a in zip(names, (a for a in arrays if isinstance(a, np.ndarray)), strict=True)
        if a.dtype.kind == "f"
    ]  # fmt: skip
    for name, gradient in zip(floats, gradients, strict=True):
        if name in by_name:
            np.testing.assert_allclose(
                by_name[name], gradient.data, rtol=2e-5, atol=2e-5, err_msg=name
            )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_same_seed_gives_the_same_bytes(case):
    arrays = _arrays(case)
    first, second = (_eager(case, arrays) for _ in range(2))
    for a, b in zip([*first[0], *first[2]], [*second[0], *second[2]], strict=True):
        assert a.data.tobytes() == b.data.tobytes()
    if case not in DESCRIBED:
        return
    plans = [_plan(case, arrays) for _ in range(2)]
    once, again = (plan.forward(feed, training=True) for plan, feed in plans)
    for name, array in once.items():
        assert array.tobytes() == again[name].tobytes()
        assert array.tobytes() == plans[0][0].forward(plans[0][1], training=True)[name].tobytes()


def _repeated(case, arrays, count):
    """The arrays with ``count`` samples each."""
    return [
        np.resize(a, (count, *a.shape[1:]))
        if i in case.batched and isinstance(a, np.ndarray)
        else a
        for i, a in enumerate(arrays)
    ]


@pytest.mark.parametrize("case", [c for c in DESCRIBED if c.differentiable], ids=str)
def test_a_step_allocates_nothing_of_the_size_of_its_operands(case):
    peaks, sizes = [], []
    for count in (2048, 8192):
        arrays = _repeated(case, _arrays(case), count)
        plan, feed = _plan(case, arrays, loss=True)
        for _ in range(2):
            plan.gradients(feed)
        steps = plan.steps(count, "gradients")
        tracemalloc.start()
        for step in steps:
            step.run()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        sizes.append(sum(a.nbytes for a in feed.values()))
    # One number a row or a label may be; and NumPy's buffers, which do not grow any more.
    assert peaks[1] - peaks[0] < 0.6 * (sizes[1] - sizes[0]), (peaks, sizes)


@pytest.fixture(scope="module")
def kernel_cache(tmp_path_factory):
    """Machine code of this test run, in a folder of its own."""
    pytest.importorskip("llvmlite")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENGINE_CACHE_DIR", str(tmp_path_factory.mktemp("kernels")))
        yield


@pytest.mark.parametrize("case", DESCRIBED, ids=str)
def test_machine_code_gives_the_numbers_of_numpy(kernel_cache, case):
    arrays = _repeated(case, _arrays(case), 7)  # no multiple of any vector's width
    (plan, feed), (native, _) = (_plan(case, arrays, loss=True) for _ in range(2))
    native.prepare(7, ("forward", "gradients") if case.differentiable else ("forward",))
    for name, array in plan.forward(feed).items():
        found = native.forward(feed)[name]
        np.testing.assert_allclose(found, array, rtol=3e-5, atol=3e-5, err_msg=name)
    if case.differentiable:
        (losses, gradients), (same, others) = plan.gradients(feed), native.gradients(feed)
        assert same["l"] == pytest.approx(losses["l"], rel=3e-5)
        for name, array in gradients.items():
            scale = 3e-5 * max(1.0, float(np.abs(array).max()))
            np.testing.assert_allclose(others[name], array, rtol=3e-5, atol=scale, err_msg=name)


def _empty(case, arrays):
    return [a[:0] if i in case.batched and isinstance(a, np.ndarray) else a
            for i, a in enumerate(arrays)]  # fmt: skip


@pytest.mark.parametrize("case", DESCRIBED, ids=str)
def test_a_batch_of_nothing_has_shapes_and_gradients_of_zero(case):
    arrays = _arrays(case)
    full, _, _ = _eager(case, arrays)
    engine.manual_seed(5)
    given = operands(case, _empty(case, arrays), _tensor)
    with np.errstate(invalid="ignore"):
        results = parts(getattr(ops, case.op)(*given, **case.attrs))
    for result, whole in zip(results, full, strict=True):
        assert result.ndim == whole.ndim
        assert result.size == 0 or result.shape == whole.shape
    if case.op in MEANS or not case.differentiable:
        return
    leaves = [v for v in given if isinstance(v, engine.Tensor) and v.requires_grad]
    for gradient, leaf in zip(engine.grad(ops.sum(results[0]), leaves), leaves, strict=True):
        assert gradient.shape == leaf.shape
        assert not gradient.data.any()


@pytest.mark.parametrize("case", DESCRIBED, ids=str)
def test_what_may_be_joined_in_place_writes_into_memory_with_gaps(case):
    """Elementwise primitives and products: a plan gives them a part of a larger result."""
    plan, feed = _plan(case, _arrays(case), loss=True)
    for what in ("forward", "gradients") if case.differentiable else ("forward",):
        for step in plan.trace(feed, what):
            if not (step.primitive.elementwise or step.name == "matmul"):
                continue
            packed = [np.array(a) for a in step.outputs]
            inputs = [np.array(a) for a in step.inputs]
            wide = [np.full((*a.shape, 3), np.array(7).astype(a.dtype)) for a in packed]
            room = [np.empty_like(a) for a in step.scratch]
            fresh = [np.empty_like(a) for a in packed]
            with np.errstate(all="ignore"):
                step.primitive.prepare(inputs, fresh, room, **step.attrs)()
                step.primitive.prepare(inputs, [a[..., 1] for a in wide], room, **step.attrs)()
            for a, b in zip(wide, fresh, strict=True):
                np.testing.assert_allclose(a[..., 1], b, rtol=1e-6, err_msg=step.name)
                assert (a[..., ::2] == np.array(7).astype(a.dtype)).all()
