"""Each family of native kernels against the NumPy kernels, over shapes that hit their edges."""

import itertools

import numpy as np
import pytest

from engine.plan import PlanBuilder


@pytest.fixture
def check(agree):
    """``check(make, shape)``: the op inside a plan, its input a parameter too, agrees natively."""

    def run(make, shape, *, python=0, tolerance=2e-5):
        def build():
            b = PlanBuilder()
            x = b.input("x", ("N", *shape[1:]))
            factor = b.parameter("factor", shape[1:] or (1,), init="uniform", low=0.5, high=1.5)
            y = make(b, b.call("multiply", x, factor))
            b.output("y", y)
            flat = b.call("reshape", b.call("multiply", y, y), shape=(-1,))
            b.loss("loss", b.call("mean", flat, axis=0))
            return b.build(seed=1)

        rng = np.random.default_rng(4)
        batch = {"x": rng.normal(size=shape).astype(np.float32)}
        calls = agree(build, batch, tolerance)
        steps = [c for c in calls if not hasattr(c, "names")]
        assert len(steps) == python, steps

    return run


def parameter(b, name, *shape):
    return b.parameter(name, shape, init="uniform", low=-0.5, high=0.5)


@pytest.mark.parametrize(
    ("size", "inputs", "units"), [(1, 1, 1), (3, 7, 5), (33, 65, 17), (64, 300, 128), (2, 16, 200)]
)
def test_matrix_products(check, size, inputs, units):
    def make(b, x):
        return b.call("matmul", x, parameter(b, "w", units, inputs), transpose_b=True)

    check(make, (size, inputs))


@pytest.mark.parametrize(("inputs", "units"), [(70, 521), (521, 70), (64, 512), (513, 515)])
def test_sums_over_a_long_batch(verify, inputs, units):
    """The weight's gradient: 530 terms, in pieces that do not divide them, lines far apart."""

    def make(b, x):
        return b.call("matmul", x, parameter(b, "w", units, inputs), transpose_b=True)

    verify(make, (530, inputs))


@pytest.mark.parametrize("case", list(itertools.product((False, True), (False, True))))
def test_batched_products(check, case):
    ta, tb = case

    def make(b, x):
        w = parameter(b, "w", *((5, 9) if tb else (9, 5)))
        left = b.call("transpose", x, axes=(0, 1, 3, 2)) if ta else x
        y = b.call("matmul", left, w, transpose_a=ta, transpose_b=tb)
        return b.call("matmul", y, x, transpose_a=True)

    check(make, (3, 2, 7, 9))


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (4, 16), (3, 2, 33), (64, 100)])
def test_softmax_and_layer_norm_of_rows(check, shape):
    def make(b, x):
        y = b.call("softmax", x, axis=-1)
        weight, bias = parameter(b, "w", shape[-1]), parameter(b, "b", shape[-1])
        return b.call("layer_norm", b.call("add", x, y), weight, bias)

    check(make, shape)


@pytest.mark.parametrize("causal", [False, True])
def test_attention(check, causal):
    def make(b, x):
        weights = (
            parameter(b, "iw", 24, 8),
            parameter(b, "ib", 24),
            parameter(b, "ow", 8, 8),
            parameter(b, "ob", 8),
        )
        return b.call("multi_head_attention", x, x, x, *weights, num_heads=2, is_causal=causal)

    check(make, (3, 5, 8))


@pytest.mark.parametrize(
    ("size", "length", "inputs", "hidden"), [(1, 1, 1, 1), (5, 4, 3, 6), (9, 3, 8, 20)]
)
@pytest.mark.parametrize("reverse", [False, True])
def test_lstm(check, size, length, inputs, hidden, reverse):
    def make(b, x):
        weights = (
            parameter(b, "ih", 4 * hidden, inputs),
            parameter(b, "hh", 4 * hidden, hidden),
            parameter(b, "bias", 4 * hidden),
        )
        y, h, c = b.call("lstm", x, *weights, reverse=reverse)
        flat = b.call("flatten", y)
        return b.call("concatenate", flat, b.call("multiply", h, c), axis=1)

    check(make, (size, length, inputs))


@pytest.mark.parametrize("axis", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2)])
def test_sums_over_any_axes(check, axis):
    check(lambda b, x: b.call("sum", x, axis=axis, keepdims=True), (5, 6, 19))


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "gelu", "silu", "exp", "abs", "leaky_relu"])
@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (64, 100)])
def test_elementwise_functions(check, name, shape):
    extra = {"negative_slope": 0.1} if name == "leaky_relu" else {}
    extra = {"approximate": "none"} if name == "gelu" else extra
    check(lambda b, x: b.call(name, x, **extra), shape)


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize(("channels", "filters"), [(1, 3), (3, 17), (16, 32)])
def test_convolutions(check, kernel, stride, channels, filters):
    def make(b, x):
        w = parameter(b, "w", filters, channels, kernel, kernel)
        return b.call(
            "conv2d",
            x,
            w,
            parameter(b, "bias", filters),
            stride=(stride, stride),
            padding=((kernel // 2, kernel // 2), (0, kernel - 1)),
            dilation=(1, 1),
            groups=1,
        )

    check(make, (3, channels, 7, 9))


@pytest.mark.parametrize("side", [1, 3, 17])
@pytest.mark.parametrize(("channels", "filters"), [(1, 3), (20, 16), (33, 70)])
def test_convolution_of_single_pixels(verify, side, channels, filters):
    options = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1}

    def make(b, x):
        w, bias = parameter(b, "w", filters, channels, 1, 1), parameter(b, "bias", filters)
        return b.call("relu", b.call("conv2d", x, w, bias, **options))

    verify(make, (3, channels, side, side))


def test_dilated_convolution(check):
    def make(b, x):
        w = parameter(b, "w", 5, 4, 3, 3)
        return b.call(
            "conv2d", x, w, None, stride=(1, 1), padding=((2, 2), (2, 2)), dilation=(2, 2), groups=1
        )

    check(make, (2, 4, 8, 8))


@pytest.mark.parametrize("kind", ["max_pool2d", "average_pool2d"])
@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (3, 2), (2, 3), (3, 1)])
@pytest.mark.parametrize("channels", [1, 5, 32])
def test_pooling(check, kind, kernel, stride, channels):
    extra = {"count_include_pad": True} if kind == "average_pool2d" else {}

    def make(b, x):
        none = ((0, 0), (0, 0))
        sizes = {"kernel_size": (kernel, kernel), "stride": (stride, stride), "padding": none}
        return b.call(kind, x, **sizes, **extra)

    check(make, (3, channels, 7, 8))


@pytest.mark.parametrize(("rows", "columns"), [(64, 4096), (4096, 64)])
def test_the_longer_side_of_a_long_product_is_copied_once_by_all_threads(rows, columns):
    from engine.native.lowerings.long_product import PIECE, long_product, suits
    from engine.native.writer import Writer

    a, b = np.zeros((1024, rows), np.float32).T, np.zeros((1024, columns), np.float32)
    assert suits(a, b)
    w = Writer(max_threads=8)
    long_product(w, a, b, np.zeros((rows, columns), np.float32))
    copied = PIECE * (4096 + 8 * 64)
    assert copied <= w.memory[0].size < 1.25 * copied
