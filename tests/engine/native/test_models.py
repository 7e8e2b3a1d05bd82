"""Small models of every family: a whole training step is one native call, as NumPy has it."""

import numpy as np
import pytest

import engine
from engine.function import PRIMITIVES
from engine.plan import PlanBuilder


class Model(PlanBuilder):
    """A builder that names its parameters itself."""

    def weight(self, *shape, init="uniform", **options):
        options = {"low": -0.3, "high": 0.3} if init == "uniform" else options
        return self.parameter(f"p{len(self.leaves)}", shape, init=init, **options)

    def dense(self, x, inputs, units):
        y = self.call("matmul", x, self.weight(units, inputs), transpose_b=True)
        return self.call("add", y, self.weight(units))

    def conv(self, x, inputs, filters, kernel=3, groups=1, stride=1):
        w = self.weight(filters, inputs // groups, kernel, kernel)
        options = {"stride": stride, "padding": kernel // 2, "groups": groups}
        return self.call("conv2d", x, w, self.weight(filters), **options)

    def norm(self, x, channels):
        name = f"s{len(self.leaves)}"
        states = self.state(f"{name}m", (channels,)), self.state(f"{name}v", (channels,), value=1.0)
        scale, offset = self.weight(channels, init="ones"), self.weight(channels)
        return self.call("batch_norm", x, scale, offset, *states)

    def gru(self, x, inputs, hidden, **options):
        sizes = [(3 * hidden, inputs), (3 * hidden, hidden), (3 * hidden,), (3 * hidden,)]
        return self.call("gru", x, *(self.weight(*s) for s in sizes), **options)


def mobilenet(b):
    y = b.call("relu6", b.norm(b.conv(b.input("x", ("N", 3, 9, 9)), 3, 18), 18))
    deep = b.call("relu6", b.norm(b.conv(y, 18, 18, groups=18, stride=2), 18))
    wide = b.call("relu6", b.norm(b.conv(deep, 18, 20, kernel=1), 20))
    logits = b.dense(b.call("global_average_pool", wide), 20, 5)
    return b.call("cross_entropy", logits, b.input("t", ("N",), "int64"))


def unet(b):
    a = b.call("relu", b.conv(b.input("x", ("N", 2, 8, 8)), 2, 6))
    low = b.call("relu", b.conv(b.call("max_pool2d", a, 2), 6, 10))
    up = b.call("conv_transpose2d", low, b.weight(10, 6, 2, 2), b.weight(6), stride=2)
    joined = b.call("concatenate", up, a, axis=1)
    both = b.call("add", b.conv(joined, 12, 4), b.call("upsample", b.conv(low, 10, 4), 2))
    return b.call("cross_entropy", both, b.input("t", ("N", 8, 8), "int64"))


def generator(b):
    z = b.input("z", ("N", 7, 1, 1))
    y = b.call("conv_transpose2d", z, b.weight(7, 12, 4, 4), None)
    y = b.call("leaky_relu", b.norm(y, 12), negative_slope=0.2)
    y = b.call("conv_transpose2d", y, b.weight(12, 1, 4, 4), None, stride=2, padding=1)
    return b.call("mse", b.call("tanh", y), b.input("x", ("N", 1, 8, 8)))


def seq2seq(b):
    source, given, t = (b.input(k, ("N", 6), "int64") for k in ("s", "d", "t"))
    lengths = b.input("lengths", ("N",), "int64")
    known, wanted = (
        b.call("embedding", i, b.weight(11, 5), padding_idx=0) for i in (source, given)
    )
    encoded, state = b.gru(known, 5, 8, lengths=lengths)
    decoded, _ = b.gru(wanted, 5, 8, h0=state)
    places = b.constant(np.arange(6, dtype=np.float32)[None])
    counts = b.call("reshape", b.call("cast", lengths, "float32"), shape=("N", 1))
    seen = b.call("reshape", b.call("less", places, counts), shape=("N", 1, 6))
    context = b.call("scaled_dot_product_attention", decoded, encoded, encoded, seen)
    h = b.call("tanh", b.dense(b.call("concatenate", decoded, context, axis=2), 16, 8))
    logits = b.call("reshape", b.dense(h, 8, 11), shape=(-1, 11))
    flat = b.call("reshape", t, shape=(-1,))
    return b.call("cross_entropy", logits, flat, ignore_index=0)


def decoder(b):
    ids, t = b.input("s", ("N", 6), "int64"), b.input("t", ("N", 6), "int64")
    h = b.call("embedding", ids, b.weight(11, 8))
    h = b.call("add", h, b.call("sinusoidal_positions", h))
    n = b.call("layer_norm", h, b.weight(8, init="ones"), b.weight(8))
    weights = b.weight(24, 8), b.weight(24), b.weight(8, 8), b.weight(8)
    a = b.call("multi_head_attention", n, n, n, *weights, num_heads=2, is_causal=True)
    h = b.call("add", h, b.call("dropout", a, rate=0.2))
    h = b.call("add", h, b.dense(b.call("gelu", b.dense(h, 8, 16)), 16, 8))
    h = b.call("rms_norm", h, b.weight(8, init="ones"))
    logits = b.call("reshape", b.dense(h, 8, 11), shape=(-1, 11))
    return b.call("cross_entropy", logits, b.call("reshape", t, shape=(-1,)), label_smoothing=0.1)


def autoencoder(b):
    x = b.input("x", ("N", 12))
    h = b.call("elu", b.dense(x, 12, 9))
    mean, log_var = b.dense(h, 9, 3), b.dense(h, 9, 3)
    z = b.call("reparameterize", mean, log_var)
    logits = b.dense(b.call("silu", b.dense(z, 3, 9)), 9, 12)
    shares = b.call("sigmoid", x)
    kl = b.call("multiply", b.call("kl_normal", mean, log_var), 0.1)
    return b.call("add", b.call("binary_cross_entropy", logits, shares), kl)


def siamese(b):
    w, v = b.weight(6, 1, 3, 3), b.weight(4, 96)

    def net(x):
        y = b.call("relu", b.call("conv2d", x, w, None, padding=1))
        y = b.call("flatten", b.call("max_pool2d", y, 3, stride=2, padding=1))
        return b.call("matmul", y, v, transpose_b=True)

    x, other = b.input("x", ("N", 1, 8, 8)), b.input("y", ("N", 1, 8, 8))
    return b.call("contrastive", net(x), net(other), b.input("same", ("N",)))


MODELS = [mobilenet, unet, generator, seq2seq, decoder, autoencoder, siamese]


def batch_for(plan, size):
    rng = np.random.default_rng(2)
    found = {}
    for name, (shape, dtype) in plan.inputs.items():
        shape = (size, *shape[1:])
        whole = rng.integers(1, 4, shape)
        found[name] = whole if dtype == "int64" else rng.normal(size=shape).astype(np.float32)
    return found


@pytest.mark.parametrize("describe", MODELS, ids=lambda f: f.__name__)
def test_training_is_one_native_call(describe):
    def build():
        b = Model()
        b.loss("loss", describe(b))
        return b.build(optimizer=engine.optim.SGD(0.05, momentum=0.9), seed=3, clip_norm=5.0)

    reference, native = build(), build()
    batch = batch_for(native, 6)
    assert native.prepare(6)
    losses = [[p.train_step(batch)["loss"] for _ in range(4)] for p in (reference, native)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    program = native._compiled("train", True, 6).program
    assert program.num_calls == 1
    assert program.updates


def test_every_primitive_has_a_native_form():
    from engine.native.lowerings import table

    # Left to NumPy: the gradient of a max pool's gradient, which no plan takes, NumPy's own sort,
    # and the loss whose sums go through time in float64, a few calls a step over whole batches.
    assert set(PRIMITIVES) - set(table()) == {"max_pool_gather", "argsort", "ctc"}
