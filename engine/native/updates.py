"""The optimiser's step in native code: one pass over all weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from engine.native.emit import Function, Val
from engine.native.loops import elementwise
from engine.native.writer import Writer
from engine.optim.adam import Adam, AdamW
from engine.optim.base import Optimizer
from engine.optim.sgd import SGD

Arrays = Mapping[str, "np.ndarray[Any, np.dtype[Any]]"]


def lower_update(
    w: Writer, optimizer: Optimizer, weights: Any, gradients: Any, state: Arrays
) -> bool:
    """Write the step; False if this optimiser has no native form.

    The numbers that change from step to step are written into a small array before each run,
    which counts the step as well.
    """
    if type(optimizer) in (Adam, AdamW):
        assert isinstance(optimizer, Adam)
        _adam(w, optimizer, weights, gradients, state)
    elif type(optimizer) is SGD:
        _sgd(w, optimizer, weights, gradients, state)
    else:
        return False
    return True


def _adam(w: Writer, optimizer: Adam, weights: Any, gradients: Any, state: Arrays) -> None:
    m, v = state["mean"], state["square"]
    scalars = w.scratch(7)
    coupled = bool(optimizer.weight_decay) and not optimizer.decoupled
    decoupled = bool(optimizer.weight_decay) and optimizer.decoupled

    def before() -> None:
        optimizer.num_steps += 1
        rate, root = optimizer.corrections()
        decay = optimizer.weight_decay
        scalars[:] = (
            rate,
            root,
            1.0 - optimizer.beta1,
            optimizer.beta2,
            1.0 - optimizer.beta2,
            optimizer.epsilon,
            1.0 - optimizer.learning_rate * decay if decoupled else decay,
        )

    def body(f: Function, p: Val, m: Val, v: Val, g: Val, *numbers: Val) -> list[Val]:
        b = f.b
        rate, root, less1, beta2, less2, epsilon, decay = numbers
        if decoupled:
            p = b.fmul(p, decay)
        if coupled:
            g = b.fadd(b.fmul(p, decay), g)
        m = b.fadd(m, b.fmul(b.fsub(g, m), less1))
        v = b.fadd(b.fmul(v, beta2), b.fmul(b.fmul(g, g), less2))
        size = b.fadd(b.fdiv(f.intrinsic("sqrt", v), root), epsilon)
        return [b.fsub(p, b.fmul(b.fdiv(m, size), rate)), m, v]

    w.before.append(before)
    numbers = [scalars[i : i + 1] for i in range(scalars.size)]
    key = ("adam", coupled, decoupled)
    elementwise(w, key, weights.shape, [weights, m, v], [weights, m, v, gradients, *numbers], body)


def _sgd(w: Writer, optimizer: SGD, weights: Any, gradients: Any, state: Arrays) -> None:
    velocity = state.get("velocity")
    scalars = w.scratch(3)
    decay, nesterov = bool(optimizer.weight_decay), optimizer.nesterov

    def before() -> None:
        optimizer.num_steps += 1
        scalars[:] = optimizer.learning_rate, optimizer.momentum, optimizer.weight_decay

    def body(f: Function, p: Val, g: Val, *rest: Val) -> list[Val]:
        b = f.b
        rate, momentum, factor = rest[-3:]
        if decay:
            g = b.fadd(b.fmul(p, factor), g)
        if velocity is None:
            return [b.fsub(p, b.fmul(g, rate))]
        v = b.fadd(b.fmul(rest[0], momentum), g)
        step = b.fadd(b.fmul(v, momentum), g) if nesterov else v
        return [b.fsub(p, b.fmul(step, rate)), v]

    w.before.append(before)
    kept = [] if velocity is None else [velocity]
    numbers = [scalars[i : i + 1] for i in range(scalars.size)]
    key = ("sgd", decay, nesterov, velocity is None)
    elementwise(
        w, key, weights.shape, [weights, *kept], [weights, gradients, *kept, *numbers], body
    )
