"""The text that the driver gets: what it asks of a device, and that the parts the host's builds
lack, places of threads and exchange within warps, do what those have."""

import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from engine.cuda import ptx
from engine.cuda.emit import LANES
from engine.cuda.program import lower
from engine.cuda.sums import DOUBLE, FEWEST_ROWS
from engine.native.emit import f32
from engine.native.lowerings.lines import greater
from engine.optim import SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, Lion, Nadam, RMSprop
from engine.plan import PlanBuilder
from tests.engine import cupy_double
from tests.engine.cuda import host, lockstep
from tests.engine.cuda.conftest import make_step
from tests.engine.cuda.test_rules import NUMBERS, ONE, TWO

DEVICES = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]
"""From Turing to Blackwell. The assembler of CUDA 13 takes no older ones."""
OPTIMIZERS = [
    SGD(0.1, weight_decay=0.01),
    SGD(0.1, 0.9, nesterov=True),
    Adam(0.1, weight_decay=0.1),
    AdamW(0.1),
    RMSprop(0.1, momentum=0.5, centered=True),
    Adagrad(0.1),
    Adadelta(0.1),
    Adamax(0.1),
    Nadam(0.1),
    Lion(0.1, weight_decay=0.1),
]


@pytest.fixture(scope="module")
def text():
    """A module with every rule, every line and every optimiser."""
    x = np.ones((5, 40), np.float32)
    labels, key = np.zeros(5, np.int64), np.zeros(2, np.uint32)
    loss = {"label_smoothing": 0.1, "ignore_index": -100}
    steps = [make_step(name, x, **NUMBERS.get(name, {})) for name in ONE]
    steps += [make_step(name, x, x, **NUMBERS.get(name, {})) for name in TWO]
    for axis in (0, 1):
        steps += [make_step(name, x, axis=axis) for name in ("softmax", "log_softmax")]
        steps.append(make_step("softmax_gradient", x, x, axis=axis))
    steps += [
        make_step("standardize", x, epsilon=1e-5),
        make_step("standardize_gradient", x, x, x[:, :1]),
        make_step("cross_entropy", x, labels, **loss),
        make_step("cross_entropy_gradient", x, labels, np.float32(1), **loss),
        make_step("accuracy", x, labels),
        make_step("sum", np.ones((2000, 40), np.float32), axes=(0,), keepdims=False),
        make_step("sum", np.ones(2000, np.float32), axes=(0,), keepdims=False),
        make_step("batch_norm_training", x, x[0], x[0], epsilon=1e-5),
        make_step("batch_norm_gradient", x, x[0], x[0], x[0], x, epsilon=1e-5),
        make_step("dropout", x, key, rate=0.5, mask_shape=x.shape),
        make_step("random_uniform", key, shape=x.shape, dtype="float32"),
        make_step("random_normal", key, shape=x.shape, dtype="float32"),
    ]
    with pytest.MonkeyPatch.context() as patch:
        driver = host.install(patch, cupy_double.install(patch))
        for step in steps:
            lower([step])
        for optimizer in OPTIMIZERS:
            b = PlanBuilder()
            b.loss("l", b.call("sum", b.parameter("w", (3,))))
            plan = b.build(optimizer, device="gpu", clip_norm=1.0, clip_value=1.0)
            assert plan.prepare(1)
    kernels = [replace(k, name=f"{k.name}_{i}") for i, k in enumerate(driver.kernels)]
    made = ptx.assemble(kernels).text
    assert made.count(".entry") == len(kernels) > 60
    return made


def test_every_kernel_stands_on_its_own(text):
    """No function of a C library, which the device has not, is left for a linker to find."""
    assert ".extern" not in text
    assert ".func" not in text
    assert "call" not in text


def test_any_device_takes_the_text(text):
    assert re.search(r"^\.version 6\.0$", text, re.MULTILINE)
    assert re.search(r"^\.target sm_50$", text, re.MULTILINE)


def test_arithmetic_is_rounded_as_on_the_cpu(text):
    """Each operation says how it rounds: the driver may then join none of them into another."""
    assert "fma.rn.f32" in text
    assert "sqrt.rn.f32" in text
    operations, loose = "add|sub|mul|fma|div|sqrt", r"approx|full|ftz|f32|f64|rn\.ftz"
    assert not re.search(rf"\b(?:{operations})\.(?:{loose})", text)


@pytest.mark.parametrize("device", DEVICES)
def test_the_assembler_takes_it(text, tmp_path, device):
    assembler = shutil.which("ptxas")
    if assembler is None:
        pytest.skip("NVIDIA's ptxas is not installed")
    known = subprocess.run([assembler, "--help"], capture_output=True, text=True, check=True)
    if f"'{device}'" not in known.stdout:
        pytest.skip(f"this ptxas knows no {device}")
    source, out = tmp_path / "kernels.ptx", tmp_path / "kernels.cubin"
    source.write_text(text, encoding="ascii")
    command = [assembler, f"-arch={device}", "-v", str(source), "-o", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    spilled = re.findall(r"(\d+) bytes spill stores", done.stderr)
    assert len(spilled) == text.count(".entry")
    assert set(spilled) == {"0"}


def _launched(write, arrays, blocks, block):
    types = tuple(str(a.dtype) for a in arrays)
    lockstep.run(ptx.Kernel("kernel", types, (), write), arrays, blocks, block)


@pytest.mark.parametrize(("blocks", "block"), [(1, 32), (3, 32), (2, 64)])
@pytest.mark.parametrize("sizes", [(1,), (50,), (3, 1, 67), (2, 5, 29)], ids=str)
def test_every_place_is_visited_once(blocks, block, sizes):
    """More places than threads are taken in turns, and the others find nothing to do."""
    seen = np.zeros(sizes, np.float32)
    steps = [s // 4 for s in seen.strides]

    def write(f, thread, count, p):
        def visit(positions, _width):
            spot = f.at(p, *zip(positions, steps, strict=True))
            f.b.store(f.b.fadd(f.b.load(spot), f32(1.0)), spot)

        f.walk(sizes, thread, count, visit)

    _launched(write, [seen], blocks, block)
    assert (seen == 1).all()


@pytest.mark.parametrize("size", [1, LANES - 1, LANES, 2 * LANES + 5])
def test_the_lanes_of_a_warp_share_a_line(size):
    """All of them have the sum and the greatest of it, in both precisions."""
    rng = np.random.default_rng(size)
    x = rng.integers(-99, 99, (5, size)).astype(np.float32)
    sums, ends = np.zeros((5, LANES), np.float32), np.zeros((5, LANES), np.float64)

    def write(f, thread, count, ps, pe, px):
        b = f.b

        def line(positions, _width):
            (r,) = positions
            found = f.along(
                size, LANES, [0.0, float("-inf")],
                lambda k, _: [b.load(f.at(px, (r, size), (k, 1)))] * 2, [b.fadd, greater(f)],
            )  # fmt: skip
            fine = f.by_lane(lambda lane: [b.fpext(found[1], DOUBLE)], [b.fadd])

            def keep(lane):
                b.store(found[0], f.at(ps, (r, LANES), (lane, 1)))
                b.store(fine[0], f.at(pe, (r, LANES), (lane, 1)))
                return []

            f.by_lane(keep, [])

        f.walk([5], thread, count, line, lines=True)

    _launched(write, [sums, ends, x], 2, 64)
    assert (sums == x.sum(axis=1, keepdims=True)).all()
    assert (ends == 32.0 * x.max(axis=1, keepdims=True)).all()


def _bytes(kernel, arrays, form):
    """What a kernel makes of copies of arrays."""
    mine = [a.copy() for a in arrays]
    if form == "host":
        host.Compiled([kernel])[kernel.name](64, *(a.ctypes.data for a in mine))
    else:
        lockstep.run(kernel, mine, 1, 64)
    return [a.tobytes() for a in mine]


STEPS = {
    "softmax": {"axis": 1},
    "standardize": {"epsilon": 1e-5},
    "cross_entropy": {"label_smoothing": 0.1, "ignore_index": -100},
    "accuracy": {},
    "sum": {"axes": (0,), "keepdims": False},
}
"""What exchanges within warps, or has lanes without work; the sum is of parts of rows."""


@pytest.mark.parametrize("name", STEPS)
def test_what_becomes_ptx_gives_the_bytes_of_the_hosts_build(driver, rng, name):
    """What the other tests see of that holds for this: only places and lanes are told apart."""
    inputs = [rng.normal(size=(3 * FEWEST_ROWS if name == "sum" else 5, 40)).astype(np.float32)]
    if name in ("cross_entropy", "accuracy"):
        inputs.append(np.array([3, 0, 39, -100, 7]))
    lower([make_step(name, *inputs, **STEPS[name])])
    assert driver.kernels
    for kernel in driver.kernels:
        arrays = [rng.integers(0, 40, inputs[0].size).astype(t) for t in kernel.types]
        assert _bytes(kernel, arrays, "lockstep") == _bytes(kernel, arrays, "host")
