"""Arrays that no kernel takes: their steps run on NumPy between native ones, and nothing breaks."""

import numpy as np
import pytest

from engine.plan import PlanBuilder

OPS = {
    "exp": lambda b, x: b.call("exp", x),
    "sum": lambda b, x: b.call("sum", x, axis=1),
    "sum of all": lambda b, x: b.call("mean", x),
    "max": lambda b, x: b.call("max", x, axis=(2, 3)),
    "prod": lambda b, x: b.call("prod", x, axis=1),
    "argmax": lambda b, x: b.call("cast", b.call("argmax", x, axis=1), "float64"),
    "softmax": lambda b, x: b.call("softmax", x, axis=-1),
    "softmax of channels": lambda b, x: b.call("softmax", x, axis=1),
    "log-softmax": lambda b, x: b.call("log_softmax", x, axis=1),
    "layer norm": lambda b, x: b.call("layer_norm", x),
    "group norm": lambda b, x: b.call("group_norm", x, 2),
    "matmul": lambda b, x: b.call("matmul", x, x, transpose_b=True),
    "einsum": lambda b, x: b.call("einsum", "bcij,bcij->bi", x, x),
    "conv": lambda b, x: b.call("conv2d", x, b.call("slice", x, slice(0, 2)), padding=1),
    "max pool": lambda b, x: b.call("max_pool2d", x, 2),
    "average pool": lambda b, x: b.call("average_pool2d", x, 3, stride=1, padding=1),
    "dropout": lambda b, x: b.call("dropout", x, rate=0.5, training=True),
    "noise": lambda b, x: b.call("gaussian_noise", x, 0.5, training=True),
    "concatenate": lambda b, x: b.call("concatenate", x, b.call("relu", x)),
    "pad": lambda b, x: b.call("pad", x, ((0, 0), (0, 0), (1, 1), (0, 2))),
    "transpose": lambda b, x: b.call("exp", b.call("transpose", x, axes=(0, 2, 3, 1))),
    "reverse": lambda b, x: b.call("slice", x, (slice(None), slice(None, None, -1))),
    "where": lambda b, x: b.call("where", b.call("less", x, 0.0), x, 1.0),
    "clip": lambda b, x: b.call("clip", x, -0.5, 0.5),
    "power": lambda b, x: b.call("power", b.call("exp", x), 1.5),
}


@pytest.mark.parametrize("op", OPS)
def test_float64(op, team):
    def build():
        b = PlanBuilder()
        x = b.input("x", ("N", 4, 5, 6))
        before = b.call(
            "multiply", x, b.parameter("factor", (6,), init="uniform", low=0.5, high=1.5)
        )
        wide = OPS[op](b, b.call("cast", before, "float64"))
        y = b.call("cast", wide, "float32")
        b.output("y", b.call("sigmoid", y))
        b.loss("loss", b.call("mean", b.call("sigmoid", y)))
        return b.build(seed=1)

    x = np.random.default_rng(0).normal(size=(4, 4, 5, 6)).astype(np.float32)
    reference, native = build(), build()
    for what in ("gradients", "forward"):
        program = native._compiled(what, what == "gradients", 4).program
        program.make_native(team)
        assert any(hasattr(step, "names") for step in program._run)
    np.testing.assert_allclose(
        native.forward({"x": x})["y"], reference.forward({"x": x})["y"], rtol=2e-6, atol=1e-7
    )
    (loss, found), (expected_loss, expected) = (p.gradients({"x": x}) for p in (native, reference))
    assert loss["loss"] == pytest.approx(expected_loss["loss"], rel=1e-6)
    np.testing.assert_allclose(found["factor"], expected["factor"], rtol=1e-5, atol=1e-7)
