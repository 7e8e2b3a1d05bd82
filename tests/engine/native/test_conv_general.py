"""Convolutions in native code besides the plain ones: groups, depthwise, lines, transposed."""

import pytest

SIZES = [(6, 4, 2), (6, 6, 6), (20, 20, 20), (33, 33, 33), (3, 6, 3), (36, 40, 2), (4, 4, 1)]


def parameter(b, name, *shape):
    return b.parameter(name, shape, init="uniform", low=-0.5, high=0.5)


def conv(b, x, channels, filters, kernel, *, groups=1, relu=False, bias=True, **options):
    nd = len(kernel)
    w = parameter(b, "w", filters, channels // groups, *kernel)
    offset = parameter(b, "bias", filters) if bias else None
    y = b.call(f"conv{nd}d", x, w, offset, groups=groups, **options)
    return b.call("relu", y) if relu else y


@pytest.mark.parametrize(("channels", "filters", "groups"), SIZES)
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"),
    [
        ((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
        ((3, 2), (2, 1), ((0, 1), (2, 0)), (1, 2)),
        ((5, 5), (2, 3), ((2, 2), (2, 2)), (1, 1)),
        ((1, 1), (2, 2), ((0, 0), (0, 0)), (1, 1)),
    ],
)
def test_groups(verify, channels, filters, groups, kernel, stride, padding, dilation):
    def make(b, x):
        options = {"stride": stride, "padding": padding, "dilation": dilation}
        return conv(b, x, channels, filters, kernel, groups=groups, **options)

    verify(make, (3, channels, 8, 11))


@pytest.mark.parametrize(("channels", "filters", "groups"), SIZES)
def test_bias_and_relu_in_the_same_pass(verify, channels, filters, groups):
    def make(b, x):
        return conv(b, x, channels, filters, (3, 3), groups=groups, relu=True, padding=1)

    verify(make, (2, channels, 6, 9))


@pytest.mark.parametrize("dilation", [(2, 2), (3, 1), (2, 4)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (2, 3), (4, 1)])
def test_spread_windows(verify, dilation, stride):
    def make(b, x):
        options = {"stride": stride, "padding": 2, "dilation": dilation, "bias": False}
        return conv(b, x, 4, 5, (3, 3), **options)

    verify(make, (2, 4, 12, 13))


@pytest.mark.parametrize(("channels", "filters", "groups"), SIZES)
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"), [(3, 1, 1, 1), (4, 2, 0, 1), (3, 2, 2, 2)]
)
def test_lines(verify, channels, filters, groups, kernel, stride, padding, dilation):
    def make(b, x):
        options = {"stride": stride, "padding": padding, "dilation": dilation}
        return conv(b, x, channels, filters, (kernel,), groups=groups, relu=True, **options)

    verify(make, (3, channels, 12))


@pytest.mark.parametrize(("channels", "filters", "groups"), [(6, 4, 1), (6, 4, 2), (18, 18, 18)])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "extra", "dilation"),
    [(3, 2, 1, 1, 1), (4, 2, 1, 0, 1), (2, 2, 0, 0, 1), (3, 1, 1, 0, 1), (3, 2, 0, 1, 2)],
)
@pytest.mark.parametrize("axes", [1, 2])
def test_transposed(
    verify, channels, filters, groups, kernel, stride, padding, extra, dilation, axes
):
    def make(b, x):
        w = parameter(b, "w", channels, filters // groups, *(kernel,) * axes)
        return b.call(
            f"conv_transpose{axes}d",
            x,
            w,
            parameter(b, "bias", filters),
            stride=stride,
            padding=padding,
            output_padding=extra,
            dilation=dilation,
            groups=groups,
        )

    verify(make, (3, channels, 5, 4)[: axes + 2])


def test_a_separable_convolution(verify):
    def make(b, x):
        y = b.call("conv2d", x, parameter(b, "deep", 6, 1, 3, 3), None, padding=1, groups=6)
        return b.call("conv2d", y, parameter(b, "wide", 20, 6, 1, 1), parameter(b, "bias", 20))

    verify(make, (3, 6, 7, 7))


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize("size", [(8, 12), (7, 9), (3, 4)])
def test_resizing_between_convolutions(verify, mode, size):
    def make(b, x):
        y = b.call("conv2d", x, parameter(b, "first", 5, 3, 3, 3), None, padding=1)
        y = b.call("resize", y, size, mode=mode)
        return b.call("conv2d", y, parameter(b, "second", 3, 5, 3, 3), None, padding=1)

    verify(make, (2, 3, 4, 6))


@pytest.mark.parametrize(("channels", "filters", "groups"), [(3, 5, 1), (18, 20, 2), (6, 6, 6)])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"),
    [
        ((3, 3, 3), (1, 1, 1), 1, (1, 1, 1)),
        ((2, 3, 1), (2, 1, 3), ((1, 0), (0, 2), (0, 0)), (1, 2, 1)),
    ],
)
def test_volumes(verify, channels, filters, groups, kernel, stride, padding, dilation):
    def make(b, x):
        options = {"stride": stride, "padding": padding, "dilation": dilation}
        return conv(b, x, channels, filters, kernel, groups=groups, **options)

    verify(make, (2, channels, 5, 6, 7))


def test_transposed_volumes(verify):
    def make(b, x):
        w = parameter(b, "w", 5, 3, 2, 3, 3)
        return b.call("conv_transpose3d", x, w, parameter(b, "bias", 3), stride=2, padding=1)

    verify(make, (2, 5, 3, 4, 3))
