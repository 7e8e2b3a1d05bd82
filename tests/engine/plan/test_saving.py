"""What waits for the backward pass, kept in 16 bits."""

import numpy as np
import pytest

import engine
from engine import backend
from engine.errors import PlanError
from engine.function import PRIMITIVES
from engine.optim import Adam
from engine.plan import PlanBuilder
from tests.engine import cupy_double

FORMATS = ["float16", "bfloat16"]
DIGITS = {"float16": 2.0**-11, "bfloat16": 2.0**-8}


def numbers():
    rng = np.random.default_rng(0)
    edges = [0.0, -0.0, 1.0, 65504.0, 65519.9, 65520.0, 7e4, 3e38, np.inf, 6.1e-5, 6.0e-5, 5.97e-8]
    edges += [2.0**-24, 2.0**-25, 3 * 2.0**-25, 1e-38, 1e-45, 1 + 2.0**-11, 1 + 3 * 2.0**-11]
    edges += [1 + 2.0**-8, 1 + 3 * 2.0**-8, 2.0**-133, 3.39e38]
    drawn = rng.normal(size=4000) * np.exp(rng.uniform(-25, 13, 4000))
    both = np.array([*edges, *drawn], np.float32)
    return np.concatenate([both, -both, np.array([np.nan], np.float32)])


def through(name, x, form):
    dtype = np.dtype({"to_half": np.uint16, "from_half": np.float32}[name])
    out = np.empty(x.shape, dtype)
    primitive = PRIMITIVES[name]
    spec = engine.value.Spec(x.shape, x.dtype)
    room = [np.empty(s.shape, s.dtype) for s in primitive.scratch(spec, format=form)]
    with np.errstate(all="ignore"):
        primitive.prepare([x], [out], room, format=form)()
    return out


def as_torch_rounds(x, form):
    torch = pytest.importorskip("torch")
    half = torch.tensor(x).to(getattr(torch, form))
    return half.view(torch.int16).numpy().view(np.uint16), half.float().numpy()


@pytest.mark.torch
@pytest.mark.parametrize("form", FORMATS)
def test_numbers_are_rounded_as_torch_rounds_them(form):
    x = numbers()
    bits, back = as_torch_rounds(x, form)
    found = through("to_half", x, form)
    good = ~np.isnan(x)
    np.testing.assert_array_equal(found[good], bits[good])
    np.testing.assert_array_equal(through("from_half", found, form), back)
    every = np.arange(2**16, dtype=np.uint16)  # all that there are
    kind = {"float16": np.float16}.get(form)
    shifted = (every.astype(np.uint32) << 16).view(np.float32)
    expected = shifted if kind is None else every.view(kind).astype(np.float32)
    np.testing.assert_array_equal(through("from_half", every, form), expected)


def mlp(form, depth=4, **options):
    b = PlanBuilder()
    x, t = b.input("x", ("N", 40)), b.input("t", ("N",), "int64")
    for i in range(depth):
        w = b.parameter(f"w{i}", (64, x.shape[1]), init="he_normal")
        x = b.call("gelu", b.call("matmul", x, w, transpose_b=True))
        x = b.call("layer_norm", x, b.parameter(f"g{i}", (64,), init="ones"), None)
    w = b.parameter("last", (5, 64), init="glorot_uniform")
    logits = b.call("matmul", x, w, transpose_b=True)
    b.output("logits", logits)
    b.loss("loss", b.call("cross_entropy", logits, t))
    return b.build(seed=0, kept_as=form, **options)


def transformer(form, depth=1, **options):
    b = PlanBuilder()
    x, t = b.input("x", ("N", 16, 32)), b.input("t", ("N",), "int64")
    shapes = {"iw": (96, 32), "ib": (96,), "ow": (32, 32), "ob": (32,)}
    for i in range(depth):
        weights = [
            b.parameter(f"{i}.{k}", v, init="uniform", low=-0.2, high=0.2)
            for k, v in shapes.items()
        ]
        y = b.call("multi_head_attention", x, x, x, *weights, num_heads=4, dropout_rate=0.1)
        x = b.call("layer_norm", b.call("add", x, y), None, None)
    w = b.parameter("w", (5, 32), init="glorot_uniform")
    logits = b.call("matmul", b.call("mean", b.call("relu", x), axis=1), w, transpose_b=True)
    b.output("logits", logits)
    b.loss("loss", b.call("cross_entropy", logits, t))
    return b.build(seed=0, kept_as=form, **options)


def cnn(form, depth=3, **options):
    b = PlanBuilder()
    x, t = b.input("x", ("N", 3, 12, 12)), b.input("t", ("N",), "int64")
    for i, channels in enumerate((3, *[8] * (depth - 1))):
        w = b.parameter(f"w{i}", (8, channels, 3, 3), init="he_normal")
        x = b.call("conv2d", x, w, padding=1)
        mean, var = b.state(f"m{i}", (8,)), b.state(f"v{i}", (8,), value=1.0)
        scale, shift = b.parameter(f"g{i}", (8,), init="ones"), b.parameter(f"b{i}", (8,))
        x = b.call("relu", b.call("batch_norm", x, scale, shift, mean, var))
    x = b.call("flatten", b.call("max_pool2d", x, kernel_size=2))
    w = b.parameter("last", (5, x.shape[1]), init="glorot_uniform")
    logits = b.call("matmul", x, w, transpose_b=True)
    b.output("logits", logits)
    b.loss("loss", b.call("cross_entropy", logits, t))
    return b.build(seed=0, kept_as=form, **options)


MODELS = [mlp, transformer, cnn]


def batch_for(plan, size):
    rng = np.random.default_rng(1)
    shape = (size, *plan.inputs["x"][0][1:])
    return {"x": rng.normal(size=shape).astype("f"), "t": rng.integers(0, 5, size)}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
def test_the_loss_is_the_same_and_gradients_are_as_near_as_the_digits(model, form):
    exact, rounded, native = model("float32"), model(form), model(form)
    batch = batch_for(exact, 32)
    native.prepare(32, ["gradients"])
    assert native._compiled("gradients", True, 32).program.num_calls == 1
    loss, gradients = exact.gradients(batch)
    found, near = rounded.gradients(batch)
    own_loss, own = native.gradients(batch)
    assert found == loss
    assert own_loss["loss"] == pytest.approx(loss["loss"], rel=1e-5)
    changed = 0
    for name, value in gradients.items():
        error = np.linalg.norm(near[name] - value) / max(np.linalg.norm(value), 1e-6)
        assert error < 8 * DIGITS[form], name
        changed += error > 0
        np.testing.assert_allclose(
            own[name], near[name], rtol=0, atol=DIGITS[form] * np.abs(value).max(), err_msg=name
        )
    assert changed  # something was rounded at all


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
def test_a_step_takes_less_memory(model):
    deep = {"depth": 12, "optimizer": Adam(1e-3)}
    exact, rounded = model("float32", **deep), model("bfloat16", **deep)
    assert rounded.memory(256) < 0.7 * exact.memory(256)
    # Nothing waits where there is no backward pass.
    assert rounded.memory(256, "forward") == exact.memory(256, "forward")


@pytest.mark.parametrize("form", FORMATS)
def test_it_learns_as_it_would_in_float32(form):
    losses = {}
    for kept in ("float32", form):
        plan = mlp(kept, optimizer=Adam(3e-3))
        plan.prepare(64)
        batch = batch_for(plan, 64)
        losses[kept] = [plan.train_step(batch)["loss"] for _ in range(60)]
    assert losses[form][-1] < 0.05 * losses[form][0]
    assert losses[form][-1] == pytest.approx(losses["float32"][-1], rel=0.2, abs=1e-3)


def test_small_results_and_what_stays_anyway_are_not_rounded():
    b = PlanBuilder()
    x = b.input("x", ("N", 8))
    y = b.call("tanh", b.call("multiply", x, b.parameter("w", (8,), init="ones")))
    b.loss("loss", b.call("mean", b.call("multiply", y, y)))
    plan = b.build(seed=0, kept_as="bfloat16")
    assert "to_half" not in {step.name for step in plan.steps(4, "gradients")}
    assert "to_half" in {step.name for step in plan.steps(500, "gradients")}


def test_another_format_is_refused():
    with pytest.raises(PlanError, match="kept_as='float8'; expected one of float32, float16, bfl"):
        mlp("float8")


@pytest.fixture
def double(monkeypatch):
    return cupy_double.install(monkeypatch)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
def test_a_plan_on_the_gpu_keeps_the_same(double, model, form):
    steps = {}
    for device in ("cpu", "gpu"):
        plan = model(form, optimizer=Adam(1e-3), device=device)
        batch = batch_for(plan, 16)
        steps[device] = [plan.train_step(batch)["loss"] for _ in range(3)]
        assert "to_half" in {step.name for step in plan.steps(16)}
    assert steps["gpu"] == pytest.approx(steps["cpu"], rel=1e-5)


@pytest.mark.gpu
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
def test_a_plan_on_a_device_keeps_the_same(model, form):
    if not backend.gpu_available():
        pytest.skip("no CUDA device with CuPy")
    steps = {}
    for device in ("cpu", "gpu"):
        plan = model(form, optimizer=Adam(1e-3), device=device)
        batch = batch_for(plan, 16)
        plan.prepare(16)
        steps[device] = [plan.train_step(batch)["loss"] for _ in range(3)]
    assert steps["gpu"] == pytest.approx(steps["cpu"], rel=1e-3)
