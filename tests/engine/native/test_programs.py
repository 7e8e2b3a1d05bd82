"""Whole programs in native code against the NumPy kernels."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest


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
