"""Whole programs in native code against the NumPy kernels."""

import numpy as np
import pytest

from engine.plan import PlanBuilder


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


def mlp(**options):
    b = PlanBuilder()
    x, t = b.input("x", ("N", 50)), b.input("t", ("N",), "int64")
    h = b.call("relu", dense(b, x, 50, 33, "d1"))
    return finish(b, dense(b, h, 33, 7, "d2"), t, **options)


def cnn(norm=False, rate=0.0, stride=1, average=False, **options):
    b = PlanBuilder()
    x, t = b.input("x", ("N", 2, 10, 10)), b.input("t", ("N",), "int64")
    h = conv(b, x, 2, 20, "c1")
    h = batch_norm(b, h, 20, "n1") if norm else h
    h = pool(b, b.call("relu", h), "average_pool2d" if average else "max_pool2d")
    h = conv(b, h, 20, 9, "c2", stride=stride)
    h = b.call("flatten", b.call("relu", h))
    h = b.call("dropout", h, rate=rate) if rate else h
    return finish(b, dense(b, h, h.shape[1], 7, "d"), t, **options)


def batch_for(plan, size, seed=0):
    rng = np.random.default_rng(seed)
    shape = (size, *plan.inputs["x"][0][1:])
    return {"x": rng.normal(size=shape).astype("f"), "t": rng.integers(0, 7, size)}


@pytest.mark.parametrize("size", [1, 5, 64])
def test_dense_network_agrees_in_one_native_call(agree, size):
    calls = agree(mlp, batch_for(mlp(), size))
    assert len(calls) == 1


@pytest.mark.parametrize(
    "options",
    [{}, {"norm": True, "rate": 0.3}, {"stride": 2}, {"average": True}],
    ids=["plain", "batch norm and dropout", "stride 2", "average pool"],
)
def test_convolutional_network_agrees_in_one_native_call(agree, options):
    # Under batch norm the gradient of a bias before it is rounding noise around 0.
    tolerance = 3e-5
    calls = agree(lambda: cnn(**options), batch_for(cnn(**options), 9), tolerance)
    assert len(calls) == 1
