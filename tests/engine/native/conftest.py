"""Fixtures of the native kernels' tests: one plan on NumPy kernels, its twin on native ones."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

import engine
from engine.function import FUNCTIONS
from engine.plan import PlanBuilder

pytest.importorskip("llvmlite")


def dense(b, x, inputs, units, name):
    weight = b.parameter(f"{name}.weight", (units, inputs), init="glorot_uniform")
    bias = b.parameter(f"{name}.bias", (units,), init="uniform", low=-0.1, high=0.1)
    return b.call("add", b.call("matmul", x, weight, transpose_b=True), bias)


def conv(b, x, inputs, filters, name, kernel=3, stride=1, pad=1):
    weight = b.parameter(f"{name}.weight", (filters, inputs, kernel, kernel), init="he_normal")
    bias = b.parameter(f"{name}.bias", (filters,), init="uniform", low=-0.1, high=0.1)
    return b.call(
        "conv2d",
        x,
        weight,
        bias,
        stride=(stride, stride),
        padding=((pad, pad), (pad, pad)),
        dilation=(1, 1),
        groups=1,
    )


def batch_norm(b, x, channels, name):
    return b.call(
        "batch_norm",
        x,
        b.parameter(f"{name}.weight", (channels,), init="uniform", low=0.5, high=1.5),
        b.parameter(f"{name}.bias", (channels,), init="uniform", low=-0.1, high=0.1),
        b.state(f"{name}.running_mean", (channels,), value=0.0),
        b.state(f"{name}.running_var", (channels,), value=1.0),
        momentum=0.1,
        epsilon=1e-5,
    )


def pool(b, x, kind="max_pool2d"):
    extra = {"count_include_pad": True} if kind == "average_pool2d" else {}
    none = ((0, 0), (0, 0))
    return b.call(kind, x, kernel_size=(2, 2), stride=(2, 2), padding=none, **extra)


def finish(b, logits, target, **options):
    b.output("logits", logits)
    b.loss("loss", b.call("cross_entropy", logits, target))
    b.metric("accuracy", b.call("accuracy", logits, target))
    return b.build(seed=3, **options)


def build_mlp(**options):
    b = PlanBuilder()
    x, t = b.input("x", ("N", 50)), b.input("t", ("N",), "int64")
    h = b.call("relu", dense(b, x, 50, 33, "d1"))
    return finish(b, dense(b, h, 33, 7, "d2"), t, **options)


def build_cnn(norm=False, rate=0.0, stride=1, average=False, **options):
    b = PlanBuilder()
    x, t = b.input("x", ("N", 2, 10, 10)), b.input("t", ("N",), "int64")
    h = conv(b, x, 2, 20, "c1")
    h = batch_norm(b, h, 20, "n1") if norm else h
    h = pool(b, b.call("relu", h), "average_pool2d" if average else "max_pool2d")
    h = conv(b, h, 20, 9, "c2", stride=stride)
    h = b.call("flatten", b.call("relu", h))
    h = b.call("dropout", h, rate=rate) if rate else h
    return finish(b, dense(b, h, h.shape[1], 7, "d"), t, **options)


def make_batch(plan, size, seed=0):
    rng = np.random.default_rng(seed)
    shape = (size, *plan.inputs["x"][0][1:])
    return {"x": rng.normal(size=shape).astype("f"), "t": rng.integers(0, 7, size)}


@pytest.fixture
def mlp():
    return build_mlp


@pytest.fixture
def cnn():
    return build_cnn


@pytest.fixture
def batch_for():
    return make_batch


@pytest.fixture(scope="session", autouse=True)
def kernel_cache(tmp_path_factory):
    """Machine code of this test run, in a folder of its own."""
    patch = pytest.MonkeyPatch()
    patch.setenv("ENGINE_CACHE_DIR", str(tmp_path_factory.mktemp("kernels")))
    yield
    patch.undo()


@pytest.fixture(scope="session", autouse=True)
def ledger():
    """Of every kernel written in these tests: that its key says what its code depends on.

    Two kernels with one key share machine code, today or from the disk next year. Where one writes
    what another of its arrays holds, the compiler must not have been told that they lie apart.
    What each says it writes is kept, for ``audit``.
    """
    from engine.native import writer

    codes, checked, uses = {}, set(), {}
    plain = writer.Writer.kernel

    def kernel(self, key, arrays, write, touched):
        types = tuple(writer._type_name(a.dtype) for a in arrays)
        shared = writer.sharing(arrays, touched)
        seen = (key, types, shared, self.max_threads, *((a.shape, a.strides) for a in arrays))
        if seen not in checked:
            checked.add(seen)
            text = str(writer._module("code", types, shared, write))
            code = hashlib.sha256(text.encode()).digest()
            known = codes.setdefault((key, types, shared), code)
            assert known == code, f"one key, two kernels: {key}"
            pointers = text.split('@"body"(', 1)[1].split(")", 1)[0].split(", ")[2:]
            apart = [a for a, p in zip(arrays, pointers, strict=True) if "noalias" in p]
            for use in touched:
                met = [a for a in apart if use.writes and np.may_share_memory(a, use.array)]
                assert len(met) < 2, f"{key}: two names of one memory, said to lie apart"
        plain(self, key, arrays, write, touched)
        uses.setdefault(id(self.calls), (self.calls, []))[1].append(touched)

    def take(self, size):
        array = plain_take(self, size)
        array.fill(np.nan)  # no kernel may count on what it finds there
        return array

    plain_take = writer.Scratch.take
    patch = pytest.MonkeyPatch()
    patch.setattr(writer.Writer, "kernel", kernel)
    patch.setattr(writer.Scratch, "take", take)
    yield uses
    patch.undo()


@pytest.fixture
def audit(ledger):
    """``audit(program)``: run alone, each kernel changes only what it said it would."""
    from engine.native.jit import store
    from engine.native.runtime import END
    from engine.native.writer import Use, span

    def touched(program):
        for step in program._run:
            if not hasattr(step, "names"):
                step()
                continue
            for check in step.before:
                check()
            calls = [call for call in step._calls if call is not None]
            known = {Use(a, False, None).bytes: a for call in calls for a in call[2]}
            for (kernel, what, arrays), uses in zip(calls, ledger[id(step._calls)][1], strict=True):
                starts = [span(a)[0] for a in arrays]
                words = np.array([store().address(kernel.symbol), len(arrays), *starts, END])
                old = {place: a.tobytes() for place, a in known.items()}
                step._team.run(words.ctypes.data)
                written = [use.bytes for use in uses if use.writes]
                for (first, last), a in known.items():
                    if not any(first < end and start < last for start, end in written):
                        assert a.tobytes() == old[first, last], f"{what} wrote elsewhere"

    return touched


@pytest.fixture(scope="session")
def team():
    from engine.native.runtime import Team

    team = Team(2)
    yield team
    team.close()


@pytest.fixture(scope="session")
def alone():
    from engine.native.runtime import Team

    team = Team(1)
    yield team
    team.close()


class Eager:
    """Stands in for a plan's builder: carries calls out at once, in float64."""

    def __init__(self, size, values):
        self.size, self.values, self.parameters = size, values, {}

    def parameter(self, name, shape, **_):
        data = self.values[name].astype(np.float64)
        self.parameters[name] = engine.Tensor(data, requires_grad=True)
        return self.parameters[name]

    def state(self, name, shape, value=0.0):
        return engine.Tensor(np.full(shape, value))

    def constant(self, data):
        data = np.asarray(data)
        return engine.Tensor(data.astype(np.float64) if data.dtype.kind == "f" else data)

    def call(self, op, *args, **attrs):
        def sized(value):
            return tuple(self.size if n == "N" else n for n in value)

        attrs = {k: sized(v) if isinstance(v, tuple) else v for k, v in attrs.items()}
        if op == "one_hot":
            attrs["dtype"] = "float64"
        args = ["float64" if isinstance(a, str) and a == "float32" else a for a in args]
        return FUNCTIONS[op](*args, **attrs)


def loss_of(b, y):
    if y.shape == ():
        return y
    flat = b.call("reshape", b.call("multiply", y, y), shape=(-1,))
    return b.call("mean", flat, axis=0)


@pytest.fixture
def verify(team, alone, audit):
    """``verify(make, shape, others)``: an op natively, against float64 and the NumPy kernels.

    ``make(b, x, *others)`` describes it; ``x`` is an input of ``shape`` times a parameter, so that
    gradients reach it, and ``others`` are further arrays by name. One thread and two are tried,
    each twice: the bytes must be the same. ``python`` steps may be left to NumPy.
    """

    def run(make, shape, others=None, *, python=0, tolerance=2e-5, exact=True, spread=1.0):
        others = others or {}
        rng = np.random.default_rng(4)
        batch = {"x": (spread * rng.normal(size=shape)).astype(np.float32), **others}

        def build():
            b = PlanBuilder()
            x = b.input("x", ("N", *shape[1:]))
            size = shape[1:] or (1,)
            factor = b.parameter("factor", size, init="uniform", low=0.5, high=1.5)
            more = [b.input(k, ("N", *v.shape[1:]), v.dtype.name) for k, v in others.items()]
            y = make(b, b.call("multiply", x, factor), *more)
            b.output("y", y)
            b.loss("loss", loss_of(b, y))
            return b.build(seed=1)

        plan = build()
        references = [plan.gradients(batch)]
        if exact:
            references.append(in_float64(make, plan, batch))
        for threads in (team, alone):
            native = build()
            program = native._compiled("gradients", True, shape[0]).program
            program.make_native(threads)
            left = [s for s in program._run if not hasattr(s, "names")]
            assert len(left) == python, left
            (loss, found), (again, repeated) = (native.gradients(batch) for _ in range(2))
            assert loss == again
            for name, value in found.items():
                assert value.tobytes() == repeated[name].tobytes(), name
            for losses, gradients in references:
                expected = losses["loss"]
                assert loss["loss"] == pytest.approx(expected, rel=tolerance, abs=tolerance)
                for name, value in gradients.items():
                    scale = max(float(np.abs(value).max(initial=0.0)), 1e-2)
                    np.testing.assert_allclose(
                        found[name], value, rtol=0, atol=tolerance * scale, err_msg=name
                    )
            audit(program)

    return run


def in_float64(make, plan, batch):
    b = Eager(len(batch["x"]), plan.state_dict())
    inputs = [v.astype(np.float64) if v.dtype.kind == "f" else v for v in batch.values()]
    x, *others = (engine.Tensor(v) for v in inputs)
    factor = b.parameter("factor", x.shape[1:])
    loss = loss_of(b, make(b, b.call("multiply", x, factor), *others))
    loss.backward()
    gradients = {
        k: np.zeros(v.shape) if v.grad is None else v.grad.data for k, v in b.parameters.items()
    }
    return {"loss": loss.item()}, gradients


@pytest.fixture
def agree(team):
    """Check that native code gives what the NumPy kernels give: losses and all gradients."""

    def check(build, batch, tolerance=1e-5, training=True):
        reference, native = build(), build()
        size = len(next(iter(batch.values())))
        losses, gradients = reference.gradients(batch, training=training)
        program = native._compiled("gradients", training, size).program
        program.make_native(team)
        for _ in range(2):  # twice: scratch must not carry anything over
            own_losses, own_gradients = native.gradients(batch, training=training)
            for name, value in losses.items():
                assert own_losses[name] == pytest.approx(value, rel=tolerance, abs=tolerance)
            for name, expected in gradients.items():
                scale = max(float(np.abs(expected).max(initial=0.0)), 1e-2)
                np.testing.assert_allclose(
                    own_gradients[name], expected, rtol=0, atol=tolerance * scale, err_msg=name
                )
        return program._run

    return check
