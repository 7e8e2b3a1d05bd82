"""Whole programs in native code against the NumPy kernels."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.plan import PlanBuilder


@pytest.mark.parametrize("size", [1, 5, 64])
def test_dense_network_agrees_in_one_native_call(agree, mlp, batch_for, size):
    calls = agree(mlp, batch_for(mlp(), size))
    assert len(calls) == 1


@pytest.mark.parametrize(
    "options",
    [{}, {"norm": True, "rate": 0.3}, {"stride": 2}, {"average": True}],
    ids=["plain", "batch norm and dropout", "stride 2", "average pool"],
)
def test_convolutional_network_agrees_in_one_native_call(agree, cnn, batch_for, options):
    # Under batch norm the gradient of a bias before it is rounding noise around 0.
    tolerance = 3e-5
    calls = agree(lambda: cnn(**options), batch_for(cnn(**options), 9), tolerance)
    assert len(calls) == 1


FAMILIES = (
    "test_mathfn.py",
    "test_conv_general.py::test_a_separable_convolution",
    "test_conv_general.py::test_bias_and_relu_in_the_same_pass",
    "test_gather.py::test_embedding_and_its_gradient",
    "test_lines.py::test_global_max_of_a_map_with_channels_last",
    "test_lines.py::test_softmax_of_a_map_with_channels_last",
    "test_lines.py::test_sums_of_a_part_of_a_map",
    "test_loss.py::test_cross_entropy",
    "test_loss.py::test_accuracy_with_ties_and_nan",
    "test_noise.py::test_noise_and_samples",
    "test_norm.py::test_group_and_instance_norm",
    "test_pool.py::test_pooling_of_a_map_from_a_convolution",
    "test_prepare.py::test_limits_on_gradients_hold_in_native_programs",
    "test_recurrence.py::test_gradients_that_nothing_gives",
    "test_rules.py::test_masks_that_are_computed_and_joined",
    "test_rules.py::test_powers_of_extreme_numbers_are_those_of_numpy",
)
"""What is tried for older processors too: from each family what covers most of its code."""


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="x86 processors")
@pytest.mark.skipif("ENGINE_CPU" in os.environ, reason="runs for one processor already")
@pytest.mark.parametrize("cpu", ["haswell", "x86-64"])
def test_code_for_older_processors_agrees_too(cpu, tmp_path):
    environment = {**os.environ, "ENGINE_CPU": cpu, "ENGINE_CACHE_DIR": str(tmp_path)}
    if cpu == "haswell" and not _has_avx2():
        pytest.skip("this machine is older still")
    tests = [str(Path(__file__)), *(str(Path(__file__).with_name(name)) for name in FAMILIES)]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]


def _has_avx2():
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    return bool(features.get("avx2") and features.get("fma"))


def conv_of_pixels(b, x, filters=8):
    weight = b.parameter("w", (filters, x.shape[1], 1, 1), init="he_normal")
    return b.call("conv2d", x, weight, None)


def normalised(b, x):
    size = (x.shape[1],)
    return b.call(
        "batch_norm",
        x,
        b.parameter("g", size, init="uniform", low=0.5, high=1.5),
        b.parameter("b", size, init="uniform", low=-0.1, high=0.1),
        b.state("m", size),
        b.state("v", size, value=1.0),
    )


TWICE = {
    "product": ((5,), lambda b, x: b.call("matmul", x, b.parameter("w", (5, 7), init="he_normal"))),
    "convolution": ((5, 1, 1), conv_of_pixels),
    "norm": ((8, 4, 4), lambda b, x: normalised(b, conv_of_pixels(b, x))),
}
TAILS = {
    "itself": lambda b, y: b.call("add", y, y),
    "relu first": lambda b, y: b.call("add", b.call("relu", y), y),
    "sigmoid last": lambda b, y: b.call("add", y, b.call("sigmoid", y)),
    "sum first": lambda b, y: b.call("add", b.call("add", y, 1.0), y),
}


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("head", TWICE)
@pytest.mark.parametrize("tail", TAILS)
def test_a_result_that_is_read_twice(head, tail, size):
    """What follows may join the pass that makes a result only if it reads nothing of it again."""
    shape, make = TWICE[head]

    def build():
        b = PlanBuilder()
        b.output("z", TAILS[tail](b, make(b, b.input("x", ("N", *shape)))))
        return b.build(num_threads=2)

    plan, native = build(), build()
    native.prepare(size, ("forward",))
    rng = np.random.default_rng(0)
    for _ in range(3):  # each time other numbers: what is left of the last must not show
        batch = {"x": rng.normal(size=(size, *shape)).astype(np.float32)}
        expected = plan.forward(batch)["z"]
        np.testing.assert_allclose(native.forward(batch)["z"], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [3, 64])
def test_what_follows_a_norm_leaves_its_mean_alone(size, team):
    """The output of a ReLU lies where the mean lay, which is still read in the same pass."""

    def build():
        b = PlanBuilder()
        x = b.call("tanh", b.call("multiply", b.input("x", ("N", 12, 4, 4)), 0.5))
        y = normalised(b, conv_of_pixels(b, x))
        b.output("y", y)
        b.output("r", b.call("relu", y))
        return b.build()

    plan, native = build(), build()
    native._compiled("forward", True, size).program.make_native(team)
    batch = {"x": np.random.default_rng(0).normal(size=(size, 12, 4, 4)).astype(np.float32)}
    expected = plan.forward(batch, training=True)
    found = native.forward(batch, training=True)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5)
