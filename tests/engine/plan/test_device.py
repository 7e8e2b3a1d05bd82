"""Plans whose memory lies on the GPU: on a device where there is one, on a double everywhere."""

import sys

import numpy as np
import pytest

from engine import backend, checkpoint
from engine.errors import EngineError
from engine.optim import SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, Lion, Nadam, RMSprop
from engine.plan import PlanBuilder
from tests.engine import cupy_double
from tests.engine.test_every_op import DESCRIBED, _arrays, _plan


@pytest.fixture
def double(monkeypatch):
    return cupy_double.install(monkeypatch)


@pytest.fixture
def device():
    if not backend.gpu_available():
        pytest.skip("no CUDA device with CuPy")
    return backend.cupy()


def _dense(b, x, name, outputs):
    w = b.parameter(f"{name}.weight", (outputs, x.shape[-1]), init="glorot_uniform")
    bias = b.parameter(f"{name}.bias", (outputs,))
    return b.call("add", b.call("matmul", x, w, transpose_b=True), bias)


def _judged(b, y):
    t = b.input("t", ("N",), "int64")
    b.output("y", y)
    b.loss("l", b.call("cross_entropy", y, t))
    b.metric("accuracy", b.call("accuracy", y, t))
    return b


def mlp():
    b = PlanBuilder()
    return _judged(b, _dense(b, b.call("tanh", _dense(b, b.input("x", ("N", 6)), "a", 8)), "b", 3))


def cnn():
    """Batch norm and dropout, a state that moves, and a second loss that is weighed."""
    b = PlanBuilder()
    x = b.input("x", ("N", 2, 6, 6))
    y = b.call("conv2d", x, b.parameter("c", (4, 2, 3, 3), init="he_normal"), padding=1)
    gamma, beta = b.parameter("g", (4,), init="ones"), b.parameter("h", (4,))
    y = b.call("batch_norm", y, gamma, beta, b.state("mean", (4,)), b.state("var", (4,), value=1.0))
    y = b.call("max_pool2d", b.call("relu", y), kernel_size=2)
    y = b.call("dropout", b.call("flatten", y), rate=0.3)
    b.loss("size", b.call("mean", b.call("multiply", y, y)), weight=0.1)
    return _judged(b, _dense(b, y, "d", 3))


def lstm():
    b = PlanBuilder()
    x, lengths = b.input("ids", ("N", 5), "int64"), b.input("lengths", ("N",), "int64")
    x = b.call("embedding", x, b.parameter("table", (7, 4), init="normal", std=1.0))
    w, u = (b.parameter(n, (20, k), init="glorot_uniform") for n, k in (("w", 4), ("u", 5)))
    y = b.call("lstm", x, w, u, b.parameter("bias", (20,)), None, None, lengths)
    return _judged(b, _dense(b, y[1], "d", 3))


def attention():
    b = PlanBuilder()
    x = b.input("x", ("N", 5, 8))
    names = {"in": (24, 8), "out": (8, 8)}
    w = {n: b.parameter(f"{n}.weight", s, init="glorot_uniform") for n, s in names.items()}
    bias = {n: b.parameter(f"{n}.bias", s[:1]) for n, s in names.items()}
    each = (w["in"], bias["in"], w["out"], bias["out"])
    y = b.call(
        "multi_head_attention", x, x, x, *each, num_heads=2, is_causal=True, dropout_rate=0.2
    )
    return _judged(b, _dense(b, b.call("mean", b.call("add", x, y), axis=1), "d", 3))


MODELS = {f.__name__: f for f in (mlp, cnn, lstm, attention)}
OPTIMIZERS = {
    "sgd": lambda: SGD(0.1, weight_decay=0.01),
    "nesterov": lambda: SGD(0.1, 0.9, nesterov=True),
    "adam": lambda: Adam(0.02, weight_decay=0.01),
    "adamw": lambda: AdamW(0.02, weight_decay=0.1),
    "rmsprop": lambda: RMSprop(0.02, momentum=0.5, centered=True),
    "adagrad": lambda: Adagrad(0.1, initial_accumulator=0.1),
    "adadelta": lambda: Adadelta(0.5),
    "adamax": lambda: Adamax(0.02),
    "nadam": lambda: Nadam(0.02),
    "lion": lambda: Lion(0.01, weight_decay=0.1),
}
SETTINGS = {
    "plain": {},
    "clipped": {"clip_norm": 0.2, "clip_value": 0.05},
    "accumulated": {"accumulate": 2, "clip_norm": 0.2},
}


def _batch(plan, size, seed):
    rng = np.random.default_rng(seed)
    made = {}
    for name, (shape, dtype) in plan.inputs.items():
        shape = tuple(size if n == "N" else n for n in shape)
        made[name] = rng.integers(0, 3, shape) if dtype == "int64" else rng.normal(size=shape)
        made[name] = made[name].astype(dtype)
    return made


def _run(model, optimizer, settings, device):
    """All that a plan gives back, over batches of two sizes and a changed learning rate."""
    plan = MODELS[model]().build(OPTIMIZERS[optimizer](), seed=3, device=device, **settings)
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
    assert saved["num_steps"] == 4 // settings.get("accumulate", 1)
    return numbers, [n for n in norms if n is not None], arrays


def _agree(found, expected, tolerance):
    for mine, real in zip(found[0], expected[0], strict=True):
        assert mine == pytest.approx(real, rel=tolerance, abs=tolerance)
    assert found[1] == pytest.approx(expected[1], rel=tolerance)
    assert found[2].keys() == expected[2].keys()
    for name, array in found[2].items():
        assert type(array) is np.ndarray
        assert array.flags.c_contiguous
        np.testing.assert_allclose(
            array, expected[2][name], rtol=tolerance, atol=tolerance, err_msg=name
        )


RUNS = [(m, o, "plain") for m in MODELS for o in OPTIMIZERS]
RUNS += [(m, "adam", s) for m in MODELS for s in SETTINGS if s != "plain"]


@pytest.mark.parametrize(("model", "optimizer", "setting"), RUNS)
def test_a_plan_needs_only_what_cupy_has(double, model, optimizer, setting):
    runs = [_run(model, optimizer, SETTINGS[setting], d) for d in ("gpu", "cpu")]
    _agree(*runs, 2e-6)


@pytest.mark.gpu
@pytest.mark.parametrize(("model", "optimizer", "setting"), RUNS)
def test_a_plan_on_a_device_equals_the_host(device, model, optimizer, setting):
    runs = [_run(model, optimizer, SETTINGS[setting], d) for d in ("gpu", "cpu")]
    _agree(*runs, 1e-3)


def _gradients(case, device):
    plan, feed = _plan(case, _arrays(case), loss=True, device=device)
    outputs = plan.forward(feed, training=True)
    if not case.differentiable:
        return outputs
    losses, gradients = plan.gradients(feed)
    return {**outputs, **losses, **{f"gradient of {k}": v for k, v in gradients.items()}}


@pytest.mark.parametrize("case", DESCRIBED, ids=str)
def test_every_operation_in_a_plan_needs_only_what_cupy_has(double, case):
    found, expected = (_gradients(case, d) for d in ("gpu", "cpu"))
    for name, array in found.items():
        np.testing.assert_allclose(array, expected[name], rtol=2e-6, atol=2e-6, err_msg=name)


@pytest.mark.gpu
@pytest.mark.parametrize("case", DESCRIBED, ids=str)
def test_every_operation_in_a_plan_on_a_device_equals_the_host(device, case):
    found, expected = (_gradients(case, d) for d in ("gpu", "cpu"))
    for name, array in found.items():
        np.testing.assert_allclose(array, expected[name], rtol=2e-4, atol=2e-4, err_msg=name)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("setting", SETTINGS)
def test_a_step_is_one_transfer_in_and_one_out(double, model, setting):
    plan = MODELS[model]().build(Adam(0.01), device="gpu", **SETTINGS[setting])
    batch = _batch(plan, 4, 0)
    plan.train_step(batch)
    cupy_double.transfers.clear()
    for _ in range(2):
        plan.train_step(batch)
    assert cupy_double.transfers == {"in": 2, "out": 2}


ALLOCATING = {"argsort", "ctc"}
"""Operations that take memory in each step, as ``einsum`` does: they write into no given array."""


@pytest.mark.parametrize("case", DESCRIBED, ids=str)
def test_no_operation_waits_for_the_device_or_sends_or_allocates(double, case):
    plan, feed = _plan(case, _arrays(case), loss=True, device="gpu")
    for what in ("forward", "gradients")[: 1 + case.differentiable]:
        program = plan._feed(what, True, feed).program
        program.run()  # the first run may make constants
        cupy_double.transfers.clear()
        for step in program.steps:
            with cupy_double.recorded() as told, np.errstate(all="ignore"):
                step.run()
            if step.name not in ALLOCATING:
                assert set(told.made) <= {"einsum"}, step.name
        assert not cupy_double.transfers


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("model", MODELS)
def test_every_step_tells_the_device_the_same(double, model, optimizer, setting):
    """The same kernels, addresses and numbers: what differs from step to step is sent before."""
    settings = SETTINGS[setting]
    plan = MODELS[model]().build(OPTIMIZERS[optimizer](), device="gpu", **settings)
    period = settings.get("accumulate", 1)
    told = _told(plan, 3 * period)
    assert told[period : 2 * period] == told[2 * period :]


def _told(plan, count):
    """What each of several steps tells the device; batches, keys and learning rates differ."""
    steps = []
    for i in range(count):
        plan.learning_rate = 0.1 / (i + 1)
        with cupy_double.recorded() as told:
            plan.train_step(_batch(plan, 4, i))
        steps.append(told.calls)
    return steps


def test_what_a_step_sends_stays_as_it_is_until_it_has_arrived(double):
    plan, whole = (cnn().build(Adam(0.1), device="gpu") for _ in range(2))
    batches = [_batch(plan, 4, seed) for seed in range(2)]
    left = plan.trace(batches[0])
    next(left)
    for made in (plan, whole):
        made.train_step(batches[1])
    for name, array in plan.state_dict().items():
        assert array.tobytes() == whole.state_dict()[name].tobytes()


@pytest.mark.parametrize("model", MODELS)
def test_every_array_of_a_step_lies_on_the_device_and_stays_there(double, model):
    plan = MODELS[model]().build(Adam(0.01), device="gpu")
    for step in plan.steps(4):
        assert {type(a) for a in (*step.inputs, *step.outputs, *step.scratch)} <= {double.ndarray}
    before = [backend.address(a) for s in plan.steps(4) for a in (*s.inputs, *s.outputs)]
    plan.train_step(_batch(plan, 4, 0))
    plan.evaluate(_batch(plan, 9, 0))
    assert [backend.address(a) for s in plan.steps(4) for a in (*s.inputs, *s.outputs)] == before


def test_a_traced_step_is_a_training_step(double):
    traced, whole = (cnn().build(Adam(0.1), device="gpu", clip_norm=0.1) for _ in range(2))
    batch = _batch(whole, 4, 0)
    whole.train_step(batch)
    for step in traced.trace(batch):
        assert all(type(a) is double.ndarray for a in step.outputs)
    assert traced.gradient_norm == whole.gradient_norm
    for name, array in traced.state_dict().items():
        assert array.tobytes() == whole.state_dict()[name].tobytes()


def test_a_run_moves_between_devices(double, tmp_path):
    """Saved on the one and gone on with on the other, by files as well."""
    stays = cnn().build(Adam(0.05), seed=1)
    plan = cnn().build(Adam(0.05), seed=1, device="gpu")
    for i in range(4):
        batch = _batch(plan, 4, i)
        stays.train_step(batch)
        plan.train_step(batch)
        other = cnn().build(Adam(0.05), seed=2, device="gpu" if i % 2 else "cpu")
        checkpoint.save(tmp_path / "w.safetensors", plan.state_dict())
        other.load_state_dict(checkpoint.load(tmp_path / "w.safetensors")[0])
        other.load_optimizer_state_dict(plan.optimizer_state_dict())
        other.random_state = plan.random_state
        plan = other
    for name, array in plan.state_dict().items():
        np.testing.assert_allclose(array, stays.state_dict()[name], rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize(
    ("model", "name", "words"),
    [
        (mlp, "t", "label 3"),
        (lstm, "ids", "index 7; expected 0 to 6"),
        (lstm, "lengths", "found 6"),
    ],
)
def test_fed_indices_out_of_range_are_refused_before_anything_changes(double, model, name, words):
    plan = model().build(Adam(0.1), device="gpu")
    before = plan.state_dict()
    batch = _batch(plan, 4, 0)
    batch[name].flat[-1] = {"t": 3, "ids": 7, "lengths": 6}[name]
    with pytest.raises(EngineError, match=words):
        plan.train_step(batch)
    assert plan.optimizer_state_dict()["num_steps"] == 0
    for key, array in plan.state_dict().items():
        assert array.tobytes() == before[key].tobytes()


def _picked(device):
    """Rows by ids that the plan computes itself."""
    b = PlanBuilder()
    x = b.input("x", ("N", 4))
    ids = b.call("cast", x, dtype="int64")
    b.output("y", b.call("gather", x, ids, axis=1))
    return b.build(device=device)


def test_computed_indices_out_of_range_are_told_with_the_results(double):
    x = np.array([[3.0, 1.0, 0.0, 2.0]], np.float32)
    plan = _picked("gpu")
    assert plan.forward({"x": x})["y"].tolist() == [[2.0, 1.0, 3.0, 0.0]]
    x[0, 0] = -1.0
    for made in (plan, _picked("cpu")):
        with pytest.raises(EngineError, match="index -1; expected 0 to 3"):
            made.forward({"x": x})


def test_computed_labels_are_looked_at_without_memory_of_their_own(double):
    b = PlanBuilder()
    x, labels = b.input("x", ("N", 3)), b.input("labels", ("N",))
    b.loss("l", b.call("cross_entropy", x, b.call("cast", labels, dtype="int64")))
    plan = b.build(device="gpu")
    rows = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    found = []
    for last in (-100.0, 2.0):
        batch = {"x": rows, "labels": np.array([0, 1, 2, last], np.float32)}
        with cupy_double.recorded() as told:
            found.append(plan.evaluate(batch)["l"])
    assert not told.made
    shares = np.exp(rows) / np.exp(rows).sum(1, keepdims=True)
    each = -np.log(shares[range(4), [0, 1, 2, 2]])
    assert found == pytest.approx([each[:3].mean(), each.mean()], rel=1e-6)
    with pytest.raises(EngineError, match="label 3"):
        plan.evaluate({**batch, "labels": np.array([0, 3, 2, -100], np.float32)})


def test_ignored_labels_do_not_count(double):
    found = []
    for device in ("gpu", "cpu"):
        plan = mlp().build(SGD(0.1), device=device)
        batch = _batch(plan, 4, 0)
        batch["t"][1] = -100
        found.append((plan.train_step(batch)["l"], plan.state_dict()))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
    for name, array in found[0][1].items():
        np.testing.assert_allclose(array, found[1][1][name], rtol=2e-6, atol=2e-6)


def test_a_device_that_is_not_there_is_told_when_the_plan_is_built(monkeypatch, double):
    with pytest.raises(EngineError, match="'tpu'; expected 'cpu' or 'gpu'"):
        mlp().build(device="tpu")
    monkeypatch.setattr(double.cuda.runtime, "getDeviceCount", lambda: 0)
    with pytest.raises(EngineError, match=r"no CUDA device. Install NVIDIA's driver"):
        mlp().build(device="gpu")

    def broken():
        raise RuntimeError("cudaErrorInsufficientDriver")

    monkeypatch.setattr(double.cuda.runtime, "getDeviceCount", broken)
    with pytest.raises(EngineError, match="InsufficientDriver"):
        mlp().build(device="gpu")
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(EngineError, match=r"needs CuPy, which is not installed\. Install"):
        mlp().build(device="gpu")
