"""Normalisation in native code, in the layouts that the families' tests leave out."""

import pytest


def parameter(b, name, *shape):
    return b.parameter(name, shape, init="uniform", low=0.5, high=1.5)


def conv(b, x, inputs, filters, name="w"):
    w = b.parameter(name, (filters, inputs, 3, 3), init="uniform", low=-0.3, high=0.3)
    return b.call("conv2d", x, w, None, padding=1)


@pytest.mark.parametrize("shape", [(9, 6), (8, 6, 5), (3, 20, 5, 4), (2, 33, 3, 3)])
def test_batch_norm_of_an_input(verify, shape):
    channels = shape[1]

    def make(b, x):
        weights = parameter(b, "scale", channels), parameter(b, "offset", channels)
        states = b.state("mean", (channels,)), b.state("var", (channels,), value=1.0)
        y = b.call("batch_norm", b.call("exp", x), *weights, *states)
        return b.call("sigmoid", y)

    verify(make, shape, tolerance=1e-4)


@pytest.mark.parametrize("groups", [1, 2, 8])
@pytest.mark.parametrize("convolved", [False, True])
def test_group_and_instance_norm(verify, groups, convolved):
    def make(b, x):
        y = conv(b, x, 8, 8) if convolved else x
        y = b.call("group_norm", y, groups, parameter(b, "scale", 8), parameter(b, "offset", 8))
        return conv(b, b.call("sigmoid", y), 8, 3, "v") if convolved else b.call("sigmoid", y)

    verify(make, (3, 8, 5, 6), tolerance=5e-5)


def test_layer_norm_of_what_is_made_turned_in_memory(verify):
    """As what is turned before it is flattened is, which the norm reads as well."""

    def make(b, x):
        h = b.call("tanh", x)
        turned = b.call("transpose", h, axes=(0, 2, 1, 3))
        flat = [b.call("reshape", y, shape=(x.shape[0], -1)) for y in (turned, norm(b, h))]
        return b.call("add", *flat)

    def norm(b, h):
        return b.call("layer_norm", h, parameter(b, "scale", 4), parameter(b, "offset", 4))

    verify(make, (7, 3, 5, 4))


@pytest.mark.parametrize("shape", [(4, 1), (5, 7), (3, 4, 33)])
def test_rms_norm_and_lengths(verify, shape):
    def make(b, x):
        y = b.call("rms_norm", x, parameter(b, "scale", shape[-1]))
        return b.call("add", b.call("sigmoid", y), b.call("l2_normalize", x))

    verify(make, shape)


def test_layer_norm_over_two_axes(verify):
    def make(b, x):
        weights = parameter(b, "scale", 5, 6), parameter(b, "offset", 5, 6)
        return b.call("sigmoid", b.call("layer_norm", x, *weights, num_axes=2))

    verify(make, (4, 5, 6))


@pytest.mark.parametrize("name", ["relu6", "silu", "leaky_relu", "gelu"])
def test_batch_norm_and_what_follows_in_one_pass(verify, name):
    def make(b, x):
        weights = parameter(b, "scale", 20), parameter(b, "offset", 20)
        states = b.state("mean", (20,)), b.state("var", (20,), value=1.0)
        return b.call(name, b.call("batch_norm", conv(b, x, 3, 20), *weights, *states))

    verify(make, (3, 3, 5, 6), tolerance=1e-4)


@pytest.mark.parametrize("how", ["turned", "averaged"])
def test_layer_norm_whose_gradient_is_not_in_rows(verify, how):
    def make(b, x):
        y = b.call("layer_norm", x)
        if how == "turned":
            return b.call("matmul", b.call("transpose", y), b.call("sigmoid", x))
        return b.call("sigmoid", b.call("mean", y, axis=1))

    verify(make, (4, 6))
