"""Runs of steps that go through their items one by one: attention's heads, rows of norms."""

from __future__ import annotations

import numpy as np
import pytest

from engine.native.jit import processor
from engine.plan import PlanBuilder


def names_of(run):
    """What the kernels of a native program are called, joined steps with a plus."""
    return [call[1] for step in run for call in step._calls if call is not None]


def heads(b, x, count, turned=True):
    n, length, width = x.shape
    split = b.call("reshape", x, shape=(n, length, count, width // count))
    return b.call("transpose", split, axes=(0, 2, 1, 3)) if turned else split


MASKS = {
    "none": {},
    "causal": {"is_causal": True},
    "sharp": {"scale": 3.0},
}


@pytest.mark.parametrize("options", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize(
    ("size", "length", "width", "count"), [(4, 5, 12, 2), (3, 17, 66, 2), (5, 16, 64, 4)]
)
def test_attention_of_many_heads(verify, size, length, width, count, options):
    def make(b, x):
        weights = [
            b.parameter(name, shape, init="uniform", low=-0.3, high=0.3)
            for name, shape in (
                ("iw", (3 * width, width)),
                ("ib", (3 * width,)),
                ("ow", (width, width)),
                ("ob", (width,)),
            )
        ]
        if "scale" in options:
            q, k, v = (heads(b, y, count) for y in (x, b.call("tanh", x), b.call("multiply", x, x)))
            y = b.call("scaled_dot_product_attention", q, k, v, **options)
            return b.call("reshape", y, shape=(y.shape[0], -1))
        return b.call("multi_head_attention", x, x, x, *weights, num_heads=count, **options)

    verify(make, (size, length, width), tolerance=5e-5)


def test_a_mask_hides_keys_and_whole_queries(verify):
    rng = np.random.default_rng(0)
    mask = rng.random((6, 1, 5, 7)) < 0.6
    mask[:, :, 2] = False
    memory = rng.normal(size=(6, 7, 8)).astype("f")

    def make(b, x, mask, memory):
        q, k = heads(b, x, 2), heads(b, memory, 2)
        return b.call("scaled_dot_product_attention", q, k, k, mask)

    verify(make, (6, 5, 8), {"mask": mask, "memory": memory}, tolerance=5e-5)


def test_a_masked_attention_is_one_run(agree):
    def build():
        b = PlanBuilder()
        x = b.input("x", ("N", 6, 8))
        mask = b.input("mask", ("N", 1, 1, 6), "bool")
        w = b.parameter("w", (8,), init="uniform", low=0.5, high=1.5)
        q = heads(b, b.call("multiply", x, w), 2)
        y = b.call("scaled_dot_product_attention", q, q, q, mask)
        b.loss("loss", b.call("mean", b.call("multiply", y, y)))
        return b.build(seed=0)

    rng = np.random.default_rng(0)
    batch = {"x": rng.normal(size=(9, 6, 8)).astype("f"), "mask": rng.random((9, 1, 1, 6)) < 0.7}
    found = names_of(agree(build, batch))
    assert any("matmul+where+softmax+where+matmul" in name for name in found), found


@pytest.mark.parametrize("length", [4, 33])
def test_dropout_among_the_heads_draws_what_numpy_draws(agree, length):
    def build():
        b = PlanBuilder()
        x = b.input("x", ("N", length, 8))
        w = b.parameter("w", (8,), init="uniform", low=0.5, high=1.5)
        q = heads(b, b.call("multiply", x, w), 2)
        y = b.call("scaled_dot_product_attention", q, q, q, dropout_rate=0.3)
        b.loss("loss", b.call("mean", b.call("multiply", y, y)))
        return b.build(seed=0)

    batch = {"x": np.random.default_rng(0).normal(size=(6, length, 8)).astype("f")}
    found = names_of(agree(build, batch))
    assert any("softmax+dropout+matmul" in name for name in found), found


@pytest.mark.parametrize("axes", [(0, 1, 3, 2), (0, 3, 1, 2), (0, 2, 3, 1), (0, 3, 2, 1)])
def test_heads_are_multiplied_natively_wherever_the_result_belongs(verify, axes):
    """Turned before it is flattened, with rows, columns or neither of them whole in memory."""

    def make(b, x):
        y = b.call("transpose", b.call("matmul", x, b.call("tanh", x), False, True), axes=axes)
        return b.call("reshape", y, shape=(y.shape[0], -1))

    verify(make, (7, 3, 5, 4))


@pytest.mark.parametrize(("size", "joined"), [(2, False), (16, True)])
def test_small_matrices_are_gone_on_with_many_at_a_time(agree, size, joined):
    """Element by element, what followed 8,192 products of 2 x 2 took five times as long."""

    def build():
        b = PlanBuilder()
        x = b.call("multiply", b.input("x", ("N", size, size)), b.parameter("w", (1,), "ones"))
        y = b.call("tanh", b.call("matmul", x, x, False, True))
        b.loss("loss", b.call("mean", b.call("multiply", y, y)))
        return b.build(seed=0)

    batch = {"x": np.random.default_rng(0).normal(size=(40, size, size)).astype("f")}
    found = names_of(agree(build, batch))
    assert any("matmul+tanh" in name for name in found) == joined, found


def test_few_items_are_not_joined(agree):
    """One head of one sample would keep all but one thread waiting."""

    def build():
        b = PlanBuilder()
        x = b.input("x", ("N", 6, 8))
        w = b.parameter("w", (8,), init="uniform", low=0.5, high=1.5)
        x = b.call("multiply", x, w)
        y = b.call("scaled_dot_product_attention", x, x, x)
        b.loss("loss", b.call("mean", b.call("multiply", y, y)))
        return b.build(seed=0)

    batch = {"x": np.random.default_rng(0).normal(size=(1, 6, 8)).astype("f")}
    found = names_of(agree(build, batch))
    assert "softmax" in found


def norm_of(b, x, name):
    width = x.shape[-1]
    weight = b.parameter(f"{name}.w", (width,), init="uniform", low=0.5, high=1.5)
    return b.call("layer_norm", x, weight, b.parameter(f"{name}.b", (width,), init="zeros"))


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 5), (70, 33), (33, 70, 48), (300, 16), (1, 9)])
def test_layer_norm_with_what_stands_around_it(verify, shape):
    def make(b, x):
        y = norm_of(b, b.call("add", x, b.call("tanh", x)), "n")
        return norm_of(b, b.call("add", x, y), "m")

    verify(make, shape)


def norm_kernels(agree, width):
    def build():
        b = PlanBuilder()
        x = b.input("x", ("N", width))
        h = b.call("add", x, b.parameter("w", (width,), init="uniform", low=0.5, high=1.5))
        y = norm_of(b, h, "n")
        b.loss("loss", b.call("mean", b.call("multiply", y, y)))
        return b.build(seed=0)

    batch = {"x": np.random.default_rng(0).normal(size=(200, width)).astype("f")}
    return names_of(agree(build, batch))


def test_a_norm_and_its_gradient_are_a_run_each(agree):
    found = norm_kernels(agree, 4 * processor().lanes)
    assert any("standardize+multiply+add" in name for name in found), found
    assert any("sum+standardize_gradient" in name for name in found), found


@pytest.mark.parametrize("missing", [1, -3])
def test_rows_that_leave_registers_half_empty_are_taken_many_at_a_time(agree, missing):
    """Element by element, 32,768 rows of 8 took four times as long as a run."""
    found = norm_kernels(agree, processor().lanes - missing)
    assert not any("+" in name for name in found), found


def test_neighbours_in_other_orders_of_the_axes_are_no_single_pass(verify):
    """Sizes alone do not tell that one place is the same element of both."""

    def make(b, x):
        bias = b.parameter("bias", (3, 1), init="uniform", low=-1.0, high=1.0)
        s = b.call("matmul", x, b.call("tanh", x), False, True)
        u = b.call("multiply", s, bias)
        return b.call("multiply", b.call("swapaxes", s, -1, -2), u)

    verify(make, (5, 3, 3, 4))


def test_sums_over_many_items_keep_their_digits(verify):
    """The gradient of a bias over 20,000 rows: added up in blocks, not one by one."""

    def make(b, x):
        y = norm_of(b, x, "n")
        shift = b.call("add", y, b.parameter("shift", (4,), init="uniform", low=10.0, high=11.0))
        return b.call("multiply", shift, 0.01)

    verify(make, (20_000, 4), tolerance=1e-5)


def test_softmax_rows_with_a_nan_or_infinities(agree):
    """As NumPy has it: such a row becomes "not a number", its neighbours stay."""

    def build():
        b = PlanBuilder()
        b.output("y", b.call("softmax", b.input("x", ("N", 20)), axis=-1))
        b.loss("loss", b.call("mean", b.parameter("w", (1,), init="ones")))
        return b.build(seed=0)

    x = np.random.default_rng(0).normal(size=(6, 20)).astype("f")
    x[1, 3], x[2, 19], x[3, 0], x[4] = np.nan, np.nan, np.inf, -np.inf
    plan = build()
    plan.prepare(6)
    found = plan.forward({"x": x})["y"]
    with np.errstate(all="ignore"):
        e = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
        expected = e / e.sum(1, keepdims=True)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert np.isnan(found).all(1).tolist() == [False, True, True, True, True, False]


@pytest.mark.parametrize(("size", "inputs", "units"), [(5, 3, 7), (64, 50, 33), (40, 400, 520)])
def test_the_gradient_of_a_relu_behind_a_product(verify, size, inputs, units):
    """It is taken while the product's tile is in registers; 520 terms are summed in two pieces."""

    def make(b, x):
        for name, (rows, columns) in {"a": (units, inputs), "b": (inputs, units)}.items():
            w = b.parameter(name, (rows, columns), init="glorot_uniform")
            x = b.call("relu", b.call("matmul", x, w, transpose_b=True))
        return x

    verify(make, (size, inputs))
