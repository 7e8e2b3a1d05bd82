"""Whole plans on generated CUDA kernels: on a device where there is one, on a double everywhere."""

from collections import Counter

import numpy as np
import pytest

import engine.cuda
from engine import backend
from engine.cuda.program import lower
from engine.errors import EngineError
from engine.optim import SGD, Adam
from engine.plan import PlanBuilder
from tests.engine import cupy_double
from tests.engine.cuda import host
from tests.engine.cuda.conftest import make_step
from tests.engine.cuda.test_rules import NUMBERS, ONE, TWO, numbers
from tests.engine.plan.test_device import (
    MODELS,
    OPTIMIZERS,
    SETTINGS,
    _agree,
    _batch,
    _told,
    cnn,
    mlp,
)
from tests.engine.test_every_op import DESCRIBED, _arrays, _plan

# Attention has a bias whose gradient is rounding alone, of which Adam makes whole steps.
RUNS = [("mlp", name, "plain") for name in OPTIMIZERS]
RUNS += [(m, "sgd" if m == "attention" else "adam", s) for m in MODELS for s in SETTINGS]


def _run(model, optimizer, settings, device):
    """What a prepared plan gives back, over batches of two sizes and a changed learning rate."""
    plan = MODELS[model]().build(OPTIMIZERS[optimizer](), seed=3, device=device, **settings)
    if device == "gpu":
        for size in (4, 6):
            assert plan.prepare(size, ("train",))
        assert plan.prepare(5, ("evaluate", "gradients", "forward"))
        assert len(plan.native) == 5
    numbers, norms = [], []
    for i, size in enumerate((4, 4, 6, 4)):
        plan.learning_rate = plan.learning_rate * (0.5 if i == 2 else 1.0)
        numbers.append(plan.train_step(_batch(plan, size, i)))
        norms.append(plan.gradient_norm)
    batch = _batch(plan, 5, 9)
    numbers.append(plan.evaluate(batch))
    losses, gradients = plan.gradients(batch)
    numbers.append(losses)
    saved = plan.optimizer_state_dict()
    arrays = {**plan.state_dict(), **saved["arrays"], **plan.forward(batch)}
    arrays |= {f"gradient of {k}": v for k, v in gradients.items()}
    return numbers, [n for n in norms if n is not None], arrays


@pytest.mark.parametrize(("model", "optimizer", "setting"), RUNS)
def test_a_prepared_plan_equals_the_cpu(driver, model, optimizer, setting):
    runs = [_run(model, optimizer, SETTINGS[setting], d) for d in ("gpu", "cpu")]
    _agree(*runs, 1e-5)
    assert driver.launches


@pytest.fixture
def device():
    if not backend.gpu_available():
        pytest.skip("no CUDA device with CuPy")


@pytest.mark.gpu
@pytest.mark.parametrize(("model", "optimizer", "setting"), RUNS)
def test_a_prepared_plan_on_a_device_equals_the_host(device, model, optimizer, setting):
    runs = [_run(model, optimizer, SETTINGS[setting], d) for d in ("gpu", "cpu")]
    _agree(*runs, 1e-3)


def _results(case, device):
    plan, feed = _plan(case, _arrays(case), loss=True, device=device)
    size = plan._batch_size(feed)
    what = ("forward", "gradients")[: 1 + case.differentiable]
    if device == "gpu":
        assert plan.prepare(size, what)
    # Inference and training are programs of their own; gradients are prepared for training.
    outputs = plan.forward(feed)
    if not case.differentiable:
        return outputs
    losses, gradients = plan.gradients(feed)
    return {**outputs, **losses, **{f"gradient of {k}": v for k, v in gradients.items()}}


@pytest.mark.parametrize("case", DESCRIBED, ids=str)
def test_every_operation_in_a_prepared_plan(driver, case):
    found, expected = (_results(case, d) for d in ("gpu", "cpu"))
    for name, array in found.items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.gpu
@pytest.mark.parametrize("case", DESCRIBED, ids=str)
def test_every_operation_in_a_prepared_plan_on_a_device(device, case):
    found, expected = (_results(case, d) for d in ("gpu", "cpu"))
    for name, array in found.items():
        np.testing.assert_allclose(array, expected[name], rtol=2e-4, atol=2e-4, err_msg=name)


@pytest.mark.gpu
@pytest.mark.parametrize("name", [*ONE, *TWO])
def test_rules_on_a_device_do_what_the_hosts_build_does(device, rng, name):
    """With extreme numbers among them, and to the byte: both round each operation alike."""
    cupy = backend.cupy()
    inputs = [numbers(rng, (300, 41)) for _ in range(1 + (name in TWO))]
    made = [
        make_step(name, *inputs, **NUMBERS.get(name, {}), place=p) for p in (cupy.asarray, None)
    ]
    for call in lower(made[:1])[0]:
        call()
    with pytest.MonkeyPatch.context() as patch:
        host.install(patch, cupy_double.install(patch))
        for call in lower(made[1:])[0]:
            call()
    found, expected = made[0].outputs[0].get(), made[1].outputs[0].host
    np.testing.assert_array_equal(found, expected)


CHAIN = ["tanh", "exp", "relu", "negative", "sigmoid", "abs", "sqrt", "gelu", "softplus", "sin"]


@pytest.mark.parametrize("length", [1, 2, 5, 10])
def test_a_chain_is_one_launch(driver, length):
    plans = []
    for device in ("gpu", "cpu"):
        b = PlanBuilder()
        x = y = b.input("x", ("N", 7))
        for name in CHAIN[:length]:
            y = b.call("add", b.call(name, y), x) if name == "gelu" else b.call(name, y)
        b.output("y", y)
        plans.append(b.build(device=device))
    batch = {"x": np.random.default_rng(0).normal(size=(33, 7)).astype(np.float32)}
    assert len(plans[0].steps(33, "forward")) >= length
    assert plans[0].prepare(33, ("forward",))
    found, expected = (plan.forward(batch)["y"] for plan in plans)
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=2e-6)
    assert driver.launches.total() == 1


def test_launches_of_a_training_step(driver):
    """Two dense layers: what is not a product is launched, each once."""
    plan = mlp().build(Adam(0.01), device="gpu")
    plan.prepare(4)
    plan.train_step(_batch(plan, 4, 0))
    assert Counter(name.rpartition("_")[0] for name in driver.launches.elements()) == {
        "add_tanh": 1,
        "add": 1,
        "copy": 1,  # the loss, to where the host reads it
        "tanh_gradient": 1,
        "column_sums": 2,  # the gradients of the biases
        "adam": 1,
        "cross_entropy": 1,
        "mean_loss": 1,
        "accuracy": 1,
        "share_of_hits": 1,
        "count_labels": 1,
        "cross_entropy_gradient": 1,
    }
    calls = plan._compiled("train", True, 4).program.num_calls
    assert calls == 12 + 5  # launches but for the optimiser's, and products


def test_limits_are_part_of_the_optimisers_launches(driver):
    plan = mlp().build(Adam(0.01), device="gpu", clip_norm=0.1, clip_value=0.05)
    plan.prepare(4)
    plan._compiled("train", True, 4).update()
    assert [name.rpartition("_")[0] for name in driver.launches.elements()] == [
        "norm",
        "norm_scale",
        "adam",
    ]


@pytest.mark.parametrize("model", MODELS)
def test_a_prepared_step_is_one_transfer_in_and_one_out(driver, model):
    plan = MODELS[model]().build(Adam(0.01), device="gpu", clip_norm=1.0)
    plan.prepare(4)
    batch = _batch(plan, 4, 0)
    plan.train_step(batch)
    cupy_double.transfers.clear()
    for _ in range(2):
        plan.train_step(batch)
    assert cupy_double.transfers == {"in": 2, "out": 2}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("model", MODELS)
def test_every_prepared_step_tells_the_device_the_same(driver, model, setting):
    """So that it can be recorded: the same launches, with the same addresses."""
    settings = SETTINGS[setting]
    plan = MODELS[model]().build(Adam(0.01), device="gpu", **settings)
    plan.prepare(4)
    period = settings.get("accumulate", 1)
    told = _told(plan, 3 * period)
    assert told[period : 2 * period] == told[2 * period :]
    assert any(name == "launch" for name, _ in told[-1])


def test_the_same_bytes_run_after_run(driver):
    runs = [_run("cnn", "adam", {}, "gpu")[2] for _ in range(2)]
    for name, array in runs[0].items():
        assert array.tobytes() == runs[1][name].tobytes()


def test_a_traced_step_runs_on_cupys_kernels_with_the_same_result(driver):
    traced, whole = (cnn().build(SGD(0.1), device="gpu") for _ in range(2))
    for plan in (traced, whole):
        plan.prepare(4)
    batch = _batch(whole, 4, 0)
    launches = driver.launches.total()
    for _ in traced.trace(batch):
        assert driver.launches.total() == launches
    whole.train_step(batch)
    for name, array in traced.state_dict().items():
        np.testing.assert_allclose(array, whole.state_dict()[name], rtol=1e-5, atol=1e-6)


def _judging_itself(device):
    """A classifier whose labels the plan computes."""
    b = PlanBuilder()
    x = b.input("x", ("N", 4))
    labels = b.call("cast", b.input("t", ("N",)), dtype="int64")
    b.loss("l", b.call("cross_entropy", x, labels))
    return b.build(device=device)


def test_computed_labels_out_of_range_are_told(driver):
    x, t = np.eye(4, dtype=np.float32), np.array([3.0, 0.0, 1.0, 2.0], np.float32)
    plan = _judging_itself("gpu")
    plan.prepare(4, ("evaluate",))
    right = plan.evaluate({"x": x, "t": t})
    assert right["l"] == pytest.approx(_judging_itself("cpu").evaluate({"x": x, "t": t})["l"])
    assert "cross_entropy_0" in driver.launches
    t[2] = 4.0
    with pytest.raises(EngineError, match="label 4; expected 0 to 3"):
        plan.evaluate({"x": x, "t": t})


def test_an_empty_array_is_no_launch(driver):
    b = PlanBuilder()
    x = b.input("x", ("N", 4))
    b.output("y", b.call("exp", b.call("slice", x, key=(slice(None), slice(2, 2)))))
    plan = b.build(device="gpu")
    assert plan.prepare(3, ("forward",))
    assert plan.forward({"x": np.ones((3, 4), np.float32)})["y"].shape == (3, 0)
    assert not driver.launches


def test_float64_runs_between_launches(driver):
    b = PlanBuilder()
    x = b.call("exp", b.input("x", ("N", 3)))
    wide = b.call("multiply", b.call("cast", x, dtype="float64"), 2.0)
    b.output("y", b.call("tanh", b.call("cast", wide, dtype="float32")))
    plan = b.build(device="gpu")
    plan.prepare(2, ("forward",))
    x = np.array([[0.5, -1.0, 2.0], [0.0, 0.1, -3.0]], np.float32)
    np.testing.assert_allclose(plan.forward({"x": x})["y"], np.tanh(2 * np.exp(x)), rtol=1e-6)
    assert driver.launches.total() == 2


def test_a_plan_without_weights_to_train_has_no_step_to_launch(driver):
    b = PlanBuilder()
    b.loss("l", b.call("mean", b.call("multiply", b.parameter("w", (3,), init="ones"), 2.0)))
    plan = b.build(Adam(0.1), frozen=["w"], device="gpu")
    plan.prepare(1)
    assert plan.train_step({})["l"] == 2.0
    assert plan.state_dict()["w"].tolist() == [1.0, 1.0, 1.0]


def test_without_a_generator_the_kernels_are_cupys(driver, monkeypatch):
    monkeypatch.setenv("ENGINE_NATIVE", "off")
    plan = mlp().build(Adam(0.1), device="gpu")
    assert plan.prepare(4) is False
    assert plan.native == frozenset()
    plan.train_step(_batch(plan, 4, 0))
    assert not driver.launches


def test_llvm_without_ptx_leaves_the_kernels_to_cupy(driver, monkeypatch):
    monkeypatch.setattr(engine.cuda.ptx, "TRIPLE", "unheard-of")
    engine.cuda.ptx._machine.cache_clear()
    try:
        assert mlp().build(Adam(0.1), device="gpu").prepare(4) is False
    finally:
        engine.cuda.ptx._machine.cache_clear()


def test_a_driver_that_refuses_the_text_says_what_to_do(driver, cupy, monkeypatch):
    class Refusing:
        def load(self, cubin):
            raise RuntimeError("CUDA_ERROR_INVALID_PTX: a PTX JIT compilation failed")

    monkeypatch.setattr(cupy.cuda, "Module", Refusing)
    plan = mlp().build(Adam(0.1), device="gpu")
    with pytest.raises(EngineError, match=r"INVALID_PTX.*set ENGINE_NATIVE=off"):
        plan.prepare(4)
    monkeypatch.setenv("ENGINE_NATIVE", "off")
    assert plan.prepare(4) is False
    assert plan.train_step(_batch(plan, 4, 0))["l"] > 0
