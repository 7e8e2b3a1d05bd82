"""Pooling in native code: padding, ceil mode, lines, other layouts."""

import numpy as np
import pytest

KINDS = [("max", {}), ("average", {"count_include_pad": True})]
ALL_KINDS = [*KINDS, ("average", {"count_include_pad": False})]


@pytest.mark.parametrize(("kind", "options"), ALL_KINDS)
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [
        ((3, 3), (2, 2), ((1, 1), (1, 1))),
        ((2, 2), (2, 2), ((1, 0), (0, 1))),
        ((3, 2), (1, 3), ((2, 1), (0, 1))),
        ((5, 5), (1, 1), ((2, 2), (2, 2))),
    ],
)
@pytest.mark.parametrize("channels", [1, 5, 33])
def test_padded_windows(verify, kind, options, kernel, stride, padding, channels):
    def make(b, x):
        sizes = {"kernel_size": kernel, "stride": stride, "padding": padding}
        return b.call(f"{kind}_pool2d", x, **sizes, **options)

    verify(make, (3, channels, 7, 8))


@pytest.mark.parametrize(("kind", "options"), ALL_KINDS)
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [
        ((9, 8), (9, 8), 0),
        ((9, 8), (3, 2), 0),
        ((9, 10), (4, 3), ((3, 2), (0, 4))),
    ],
)
@pytest.mark.parametrize("channels", [1, 5, 33])
def test_windows_too_large_to_have_code_for_each_element(
    verify, kind, options, kernel, stride, padding, channels
):
    def make(b, x):
        sizes = {"kernel_size": kernel, "stride": stride, "padding": padding}
        return b.call(f"{kind}_pool2d", b.call("relu", x), **sizes, **options)

    verify(make, (2, channels, 19, 18))


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_large_windows_of_lines_and_volumes(verify, kind, options):
    verify(
        lambda b, x: b.call(f"{kind}_pool1d", x, kernel_size=70, stride=9, padding=4, **options),
        (3, 2, 150),
    )
    verify(
        lambda b, x: b.call(
            f"{kind}_pool3d", x, kernel_size=(5, 4, 4), stride=3, ceil_mode=True, **options
        ),
        (2, 3, 8, 9, 10),
    )


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_code_does_not_grow_with_the_window(kind, options):
    from engine.plan import PlanBuilder

    b = PlanBuilder()
    x, factor = b.input("x", ("N", 3, 64, 64)), b.parameter("factor", (1,), init="ones")
    y = b.call(f"{kind}_pool2d", b.call("multiply", x, factor), kernel_size=64, **options)
    b.loss("loss", b.call("mean", b.call("square", y)))
    plan = b.build()
    plan.prepare(1, ("gradients",))
    (program,) = plan._programs.values()
    kernels = [kernel for run in program.program._run for kernel in run.kernels]
    assert max(str(kernel.make()).count("\n") for kernel in kernels) < 2000


@pytest.mark.parametrize(("kind", "options"), ALL_KINDS)
@pytest.mark.parametrize(
    ("nd", "sizes"),
    [
        (1, {"kernel_size": 3, "stride": 2, "padding": 1}),
        (2, {"kernel_size": (3, 2), "stride": (2, 2), "padding": ((1, 1), (0, 0))}),
        (2, {"kernel_size": (4, 3), "stride": (3, 3), "padding": ((1, 1), (0, 0))}),
        (3, {"kernel_size": 3, "stride": 2, "padding": 1}),
    ],
)
def test_ceil_mode(verify, kind, options, nd, sizes):
    def make(b, x):
        return b.call(f"{kind}_pool{nd}d", x, **sizes, **options, ceil_mode=True)

    verify(make, (2, 5, 8, 7, 6)[: nd + 2])


@pytest.mark.parametrize(("kind", "options"), ALL_KINDS)
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (4, 1, (2, 1))])
@pytest.mark.parametrize("channels", [1, 6, 18])
def test_lines(verify, kind, options, kernel, stride, padding, channels):
    def make(b, x):
        pads = (padding,) if isinstance(padding, tuple) else padding
        sizes = {"kernel_size": kernel, "stride": stride, "padding": pads}
        return b.call(f"{kind}_pool1d", x, **sizes, **options)

    verify(make, (3, channels, 9))


def test_pooling_of_a_map_from_a_convolution(verify):
    """As at the start of a ResNet: the map lies with its channels fastest, the window overlaps."""

    def make(b, x):
        w = b.parameter("w", (20, 3, 3, 3), init="uniform", low=-0.3, high=0.3)
        y = b.call("relu", b.call("conv2d", x, w, None, stride=2, padding=1))
        y = b.call("max_pool2d", y, kernel_size=3, stride=2, padding=1)
        return b.call("average_pool2d", y, kernel_size=2, stride=1, padding=1)

    verify(make, (3, 3, 15, 13))


@pytest.mark.parametrize("size", [(1, 1), (2, 4), (3, 5)])
def test_adaptive_and_global_pools(verify, size):
    def make(b, x):
        y = b.call("adaptive_average_pool2d", x, size)
        return b.call("add", b.call("global_average_pool", x, keepdims=True), y)

    verify(make, (3, 5, 8, 8))


@pytest.mark.parametrize(("kernel", "size"), [(3, 7), (9, 15)])
def test_ties_and_padding_below_zero(verify, kernel, size):
    """Equal elements: the first one gets the gradient; padding never wins."""

    def make(b, x):
        low = b.call("subtract", b.call("multiply", x, 0.0), 2.0)
        y = b.call("add", b.call("minimum", x, -1.0), low)
        return b.call("max_pool2d", y, kernel_size=kernel, stride=2, padding=1)

    verify(make, (3, 4, size, size))


@pytest.mark.parametrize(("kernel", "stride", "size"), [(3, 2, 5), (9, 8, 17)])
def test_a_nan_in_the_window_wins(kernel, stride, size):
    from engine.plan import PlanBuilder

    b = PlanBuilder()
    x = b.input("x", ("N", 2, size, size))
    b.output("y", b.call("max_pool2d", x, kernel_size=kernel, stride=stride, padding=1))
    plan = b.build(seed=0)
    plan.prepare(1, ("forward",))
    array = np.zeros((1, 2, size, size), np.float32)
    array[0, 1, kernel - 2, kernel - 2] = np.nan
    found = np.isnan(plan.forward({"x": array})["y"])
    assert found[0, 1, :2, :2].all()
    assert found.sum() == 4


@pytest.mark.parametrize(("kind", "options"), ALL_KINDS)
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [(2, 2, 0), ((2, 3, 1), (1, 2, 2), 0), (3, 2, ((1, 1), (1, 0), (0, 1)))],
)
@pytest.mark.parametrize("channels", [1, 18])
def test_volumes(verify, kind, options, kernel, stride, padding, channels):
    def make(b, x):
        sizes = {"kernel_size": kernel, "stride": stride, "padding": padding}
        return b.call(f"{kind}_pool3d", x, **sizes, **options)

    verify(make, (2, channels, 4, 6, 5))
