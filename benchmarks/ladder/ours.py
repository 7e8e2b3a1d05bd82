"""The rows in our engine: plans with native programs."""

from __future__ import annotations

from typing import Any

import engine
from benchmarks.ladder.spec import LEARNING_RATE, Row, resnet_blocks, weights
from engine.plan import Plan, PlanBuilder

NONE = ((0, 0), (0, 0))


class _Model:
    def __init__(self, row: Row) -> None:
        self.b = PlanBuilder()
        self.arrays = weights(row.name)
        self.x = self.b.input("x", ("N", *row.shape))
        self.t = self.b.input("t", ("N",), "int64")

    def p(self, name: str) -> Any:
        return self.b.parameter(name, self.arrays[name].shape)

    def dense(self, name: str, x: Any) -> Any:
        y = self.b.call("matmul", x, self.p(f"{name}.weight"), transpose_b=True)
        return self.b.call("add", y, self.p(f"{name}.bias"))

    def conv(self, name: str, x: Any, stride: int = 1, pad: int = 1, *, bias: bool = True) -> Any:
        return self.b.call(
            "conv2d",
            x,
            self.p(f"{name}.weight"),
            self.p(f"{name}.bias") if bias else None,
            stride=(stride, stride),
            padding=((pad, pad), (pad, pad)),
            dilation=(1, 1),
            groups=1,
        )

    def batch_norm(self, name: str, x: Any) -> Any:
        size = self.arrays[f"{name}.weight"].shape
        mean = self.b.state(f"{name}.running_mean", size)
        var = self.b.state(f"{name}.running_var", size, value=1.0)
        gamma, beta = self.p(f"{name}.weight"), self.p(f"{name}.bias")
        return self.b.call("batch_norm", x, gamma, beta, mean, var, momentum=0.1, epsilon=1e-5)

    def layer_norm(self, name: str, x: Any) -> Any:
        return self.b.call("layer_norm", x, self.p(f"{name}.weight"), self.p(f"{name}.bias"))


def _logits(m: _Model, row: str) -> Any:
    call, x = m.b.call, m.x
    if row == "mlp":
        return m.dense("d2", call("relu", m.dense("d1", x)))
    if row == "cnn":
        for name in ("c1", "c2"):
            x = call("relu", m.conv(name, x))
            x = call("max_pool2d", x, kernel_size=(2, 2), stride=(2, 2), padding=NONE)
        return m.dense("d2", call("relu", m.dense("d1", call("flatten", x))))
    if row == "lstm":
        _, last, _ = call("lstm", x, m.p("weight_ih"), m.p("weight_hh"), m.p("bias"))
        return m.dense("d", last)
    if row == "transformer":
        for i in range(2):
            names = (f"{i}.in.weight", f"{i}.in.bias", f"{i}.out.weight", f"{i}.out.bias")
            parameters = [m.p(name) for name in names]
            a = call("multi_head_attention", x, x, x, *parameters, num_heads=4)
            x = m.layer_norm(f"{i}.n1", call("add", x, a))
            h = m.dense(f"{i}.f2", call("relu", m.dense(f"{i}.f1", x)))
            x = m.layer_norm(f"{i}.n2", call("add", x, h))
        return m.dense("d", call("mean", x, axis=1))
    x = call("relu", m.batch_norm("n", m.conv("c", x, bias=False)))
    for name, _, _, stride in resnet_blocks():
        y = call("relu", m.batch_norm(f"{name}.n1", m.conv(f"{name}.c1", x, stride, bias=False)))
        y = m.batch_norm(f"{name}.n2", m.conv(f"{name}.c2", y, bias=False))
        if stride != 1:
            x = m.batch_norm(f"{name}.n3", m.conv(f"{name}.c3", x, stride, 0, bias=False))
        x = call("relu", call("add", y, x))
    return m.dense("d", call("mean", x, axis=(2, 3)))


def build(row: Row, native: bool = True) -> Plan:
    """The plan of a row, holding the shared weights."""
    m = _Model(row)
    logits = _logits(m, row.name)
    m.b.output("logits", logits)
    m.b.loss("loss", m.b.call("cross_entropy", logits, m.t))
    plan = m.b.build(optimizer=engine.optim.Adam(LEARNING_RATE), seed=0)
    for name, array in m.arrays.items():
        plan.parameters[name][...] = array
    if native:
        plan.prepare(row.batch)
    return plan


def stepper(row: Row) -> Any:
    """``step(x, labels) -> loss``."""
    plan = build(row)
    return lambda x, t: plan.train_step({"x": x, "t": t})["loss"]
