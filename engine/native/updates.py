"""The optimiser's step in native code: one pass over all weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir

from engine.native.emit import F32, GRAIN, Function, Val, const, f32
from engine.native.loops import elementwise
from engine.native.writer import Writer, touching, whole
from engine.optim.adadelta import Adadelta
from engine.optim.adagrad import Adagrad
from engine.optim.adam import Adam, AdamW
from engine.optim.adamax import Adamax
from engine.optim.base import Optimizer
from engine.optim.lion import Lion
from engine.optim.nadam import Nadam
from engine.optim.rmsprop import RMSprop
from engine.optim.sgd import SGD

Arrays = Mapping[str, "np.ndarray[Any, np.dtype[Any]]"]
Limits = tuple[float | None, float | None]
DOUBLE = ir.DoubleType()

Rule = Callable[[Function, Val, Val, "list[Val]", "list[Val]"], "list[Val]"]
"""``rule(f, weight, gradient, kept, numbers)``: the new weight, and what is kept of it."""


class Form(NamedTuple):
    """An optimiser's rule, and the numbers that it takes."""

    rule: Rule
    key: tuple[Any, ...]
    """What the rule depends on."""
    constants: tuple[float, ...]
    """What follows ``optimizer.numbers(step)`` among the numbers."""


def form_of(optimizer: Optimizer) -> Form | None:
    """The native form of an optimiser; None if it has none."""
    kind: Any = type(optimizer)
    return FORMS[kind](optimizer) if kind in FORMS else None


def lower_update(
    w: Writer,
    optimizer: Optimizer,
    weights: Any,
    gradients: Any,
    state: Arrays,
    limits: Limits = (None, None),
    norm: Any = None,
) -> bool:
    """Write the step; False if this optimiser has no native form.

    The numbers that change from step to step are written into a small array before each run,
    which counts the step as well.

    Parameters
    ----------
    limits : (float or None, float or None)
        Greatest norm of all gradients together, and greatest size of each.
    norm : float64 (1,), optional
        Where that norm, as it was before, is written if it is limited.
    """
    form = form_of(optimizer)
    if form is None:
        return False
    rule, key, constants = form
    kept = [state[name] for name in optimizer.state_names]
    max_norm, max_value = limits
    scalars = w.kept(len(optimizer.numbers(1)) + len(constants))
    scale = [] if max_norm is None else [_scale(w, gradients, max_norm, norm)]

    def before() -> None:
        optimizer.num_steps += 1
        scalars[:] = (*optimizer.numbers(optimizer.num_steps), *constants)

    def body(f: Function, p: Val, g: Val, *rest: Val) -> list[Val]:
        more = list(rest)
        g = limited(f, g, more.pop(0) if scale else None, max_value)
        return rule(f, p, g, more[: len(kept)], more[len(kept) :])

    w.before.append(before)
    each = [scalars[i : i + 1] for i in range(scalars.size)]
    outputs = [weights, *kept]
    key = (*key, max_norm is not None, max_value)
    elementwise(w, key, weights.shape, outputs, [weights, gradients, *scale, *kept, *each], body)
    return True


def limited(f: Function, g: Val, scale: Val | None, max_value: float | None) -> Val:
    """A gradient within the limits."""
    b = f.b
    if scale is not None:
        g = b.fmul(g, scale)
    if max_value is not None:
        low, high = f32(-max_value), f32(max_value)
        g = b.select(b.fcmp_ordered("<", g, low), low, g)
        g = b.select(b.fcmp_ordered(">", g, high), high, g)
    return g


def norm_scale(f: Function, norm: Val, max_norm: float) -> Val:
    """The factor by which a norm, float64, comes down to ``max_norm``: at most 1, in float32."""
    b = f.b
    wanted = b.fdiv(ir.Constant(DOUBLE, max_norm), b.fadd(norm, ir.Constant(DOUBLE, 1e-6)))
    one = ir.Constant(DOUBLE, 1.0)
    # Unordered: a gradient that is no number must not be hidden.
    return b.fptrunc(b.select(b.fcmp_unordered("<", wanted, one), wanted, one), F32)


def _scale(w: Writer, gradients: Any, max_norm: float, norm: Any) -> Any:
    """``norm_scale`` of the gradients' norm: (1,)."""
    parts = w.scratch(2 * w.max_threads).view(np.float64)
    scale = w.scratch(1)
    size, lanes = gradients.size, w.lanes
    none = ir.Constant(ir.VectorType(DOUBLE, lanes), [0.0] * lanes)

    def squares(f: Function, thread: Val, count: Val, pp: Val, pg: Val) -> None:
        b = f.b
        first, last = f.share(size, thread, count, GRAIN)
        length = b.sub(last, first)
        middle = b.add(first, b.sub(length, b.srem(length, const(lanes))))

        def square(place: Val, width: int) -> Val:
            value = b.fpext(f.load(f.at(pg, (place, 1)), width), DOUBLE)
            return b.fmul(value, value)

        with f.loop(first, middle, lanes, carry=[none], may_be_empty=True) as i:
            i.next = [b.fadd(i.carried[0], square(i.index, lanes))]
        total = ir.Constant(DOUBLE, 0.0)
        for lane in range(lanes):
            total = b.fadd(total, b.extract_element(i.result[0], ir.Constant(ir.IntType(32), lane)))
        with f.loop(middle, last, carry=[total], may_be_empty=True) as i:
            i.next = [b.fadd(i.carried[0], square(i.index, 1))]
        b.store(i.result[0], f.at(pp, (thread, 1)))

    w.kernel(("square-sums", size), [parts, gradients], squares, touching([parts], [gradients]))

    def limit(f: Function, thread: Val, count: Val, ps: Val, pn: Val, pp: Val) -> None:
        b = f.b
        with whole(thread, f):
            with f.loop(0, count, carry=[ir.Constant(DOUBLE, 0.0)]) as t:
                t.next = [b.fadd(t.carried[0], b.load(f.at(pp, (t.index, 1))))]
            root = b.call(f.module.declare_intrinsic("llvm.sqrt", [DOUBLE]), [t.result[0]])
            b.store(root, pn)
            b.store(norm_scale(f, root, max_norm), ps)

    w.kernel(
        ("norm-scale", max_norm), [scale, norm, parts], limit, touching([scale, norm], [parts])
    )
    return scale


def _adam(optimizer: Adam) -> Form:
    coupled = bool(optimizer.weight_decay) and not optimizer.decoupled
    decoupled = bool(optimizer.weight_decay) and optimizer.decoupled

    constants = (
        1.0 - optimizer.beta1,
        optimizer.beta2,
        1.0 - optimizer.beta2,
        optimizer.epsilon,
        optimizer.weight_decay,
    )

    def rule(f: Function, p: Val, g: Val, kept: list[Val], numbers: list[Val]) -> list[Val]:
        b, (m, v) = f.b, kept
        rate, root, shrink, less1, beta2, less2, epsilon, decay = numbers
        if decoupled:
            p = b.fmul(p, shrink)
        if coupled:
            g = b.fadd(b.fmul(p, decay), g)
        m = b.fadd(m, b.fmul(b.fsub(g, m), less1))
        v = b.fadd(b.fmul(v, beta2), b.fmul(b.fmul(g, g), less2))
        size = b.fadd(b.fdiv(f.intrinsic("sqrt", v), root), epsilon)
        return [b.fsub(p, b.fmul(b.fdiv(m, size), rate)), m, v]

    return Form(rule, ("adam", coupled, decoupled), constants)


def _sgd(optimizer: SGD) -> Form:
    decay, nesterov = bool(optimizer.weight_decay), optimizer.nesterov
    moving = bool(optimizer.state_names)

    def rule(f: Function, p: Val, g: Val, kept: list[Val], numbers: list[Val]) -> list[Val]:
        b = f.b
        rate, momentum, factor = numbers
        if decay:
            g = b.fadd(b.fmul(p, factor), g)
        if not kept:
            return [b.fsub(p, b.fmul(g, rate))]
        v = b.fadd(b.fmul(kept[0], momentum), g)
        step = b.fadd(b.fmul(v, momentum), g) if nesterov else v
        return [b.fsub(p, b.fmul(step, rate)), v]

    constants = optimizer.momentum, optimizer.weight_decay
    return Form(rule, ("sgd", decay, nesterov, moving), constants)


def _rmsprop(optimizer: RMSprop) -> Form:
    decay, centered = bool(optimizer.weight_decay), optimizer.centered
    moving = bool(optimizer.momentum)

    constants = (
        optimizer.rho,
        1.0 - optimizer.rho,
        optimizer.epsilon,
        optimizer.momentum,
        optimizer.weight_decay,
    )

    def rule(f: Function, p: Val, g: Val, kept: list[Val], numbers: list[Val]) -> list[Val]:
        b, more = f.b, list(kept)
        rate, rho, less, epsilon, momentum, factor = numbers
        if decay:
            g = b.fadd(b.fmul(p, factor), g)
        square = b.fadd(b.fmul(more.pop(0), rho), b.fmul(b.fmul(g, g), less))
        made, spread = [square], square
        if centered:
            average = more.pop(0)
            average = b.fadd(average, b.fmul(b.fsub(g, average), less))
            spread = b.fsub(square, b.fmul(average, average))
            made.append(average)
        step = b.fdiv(g, b.fadd(f.intrinsic("sqrt", spread), epsilon))
        if moving:
            step = b.fadd(b.fmul(more.pop(0), momentum), step)
            made.append(step)
        return [b.fsub(p, b.fmul(step, rate)), *made]

    return Form(rule, ("rmsprop", decay, centered, moving), constants)


def _adagrad(optimizer: Adagrad) -> Form:
    decay = bool(optimizer.weight_decay)

    def rule(f: Function, p: Val, g: Val, kept: list[Val], numbers: list[Val]) -> list[Val]:
        b = f.b
        rate, epsilon, factor = numbers
        if decay:
            g = b.fadd(b.fmul(p, factor), g)
        total = b.fadd(kept[0], b.fmul(g, g))
        size = b.fadd(f.intrinsic("sqrt", total), epsilon)
        return [b.fsub(p, b.fmul(b.fdiv(g, size), rate)), total]

    return Form(rule, ("adagrad", decay), (optimizer.epsilon, optimizer.weight_decay))


def _adadelta(optimizer: Adadelta) -> Form:
    decay = bool(optimizer.weight_decay)

    rho = optimizer.rho
    constants = rho, 1.0 - rho, optimizer.epsilon, optimizer.weight_decay

    def rule(f: Function, p: Val, g: Val, kept: list[Val], numbers: list[Val]) -> list[Val]:
        b, (square, delta) = f.b, kept
        rate, rho, less, epsilon, factor = numbers
        if decay:
            g = b.fadd(b.fmul(p, factor), g)
        square = b.fadd(b.fmul(square, rho), b.fmul(b.fmul(g, g), less))
        size, last = (f.intrinsic("sqrt", b.fadd(v, epsilon)) for v in (square, delta))
        step = b.fmul(b.fdiv(g, size), last)
        delta = b.fadd(b.fmul(delta, rho), b.fmul(b.fmul(step, step), less))
        return [b.fsub(p, b.fmul(step, rate)), square, delta]

    return Form(rule, ("adadelta", decay), constants)


def _adamax(optimizer: Adamax) -> Form:
    decay = bool(optimizer.weight_decay)

    constants = (
        1.0 - optimizer.beta1,
        optimizer.beta2,
        optimizer.epsilon,
        optimizer.weight_decay,
    )

    def rule(f: Function, p: Val, g: Val, kept: list[Val], numbers: list[Val]) -> list[Val]:
        b, (mean, greatest) = f.b, kept
        rate, less, beta2, epsilon, factor = numbers
        if decay:
            g = b.fadd(b.fmul(p, factor), g)
        mean = b.fadd(mean, b.fmul(b.fsub(g, mean), less))
        before, now = b.fmul(greatest, beta2), b.fadd(f.intrinsic("fabs", g), epsilon)
        greatest = b.select(b.fcmp_ordered(">", before, now), before, now)
        # A gradient that is no number must not be hidden.
        greatest = b.select(b.fcmp_unordered("uno", before, now), b.fadd(before, now), greatest)
        return [b.fsub(p, b.fmul(b.fdiv(mean, greatest), rate)), mean, greatest]

    return Form(rule, ("adamax", decay), constants)


def _nadam(optimizer: Nadam) -> Form:
    decay = bool(optimizer.weight_decay)

    constants = (
        1.0 - optimizer.beta1,
        optimizer.beta2,
        1.0 - optimizer.beta2,
        optimizer.epsilon,
        optimizer.weight_decay,
    )

    def rule(f: Function, p: Val, g: Val, kept: list[Val], numbers: list[Val]) -> list[Val]:
        b, (m, v) = f.b, kept
        of_gradient, of_mean, root, less1, beta2, less2, epsilon, factor = numbers
        if decay:
            g = b.fadd(b.fmul(p, factor), g)
        m = b.fadd(m, b.fmul(b.fsub(g, m), less1))
        v = b.fadd(b.fmul(v, beta2), b.fmul(b.fmul(g, g), less2))
        step = b.fadd(b.fmul(g, of_gradient), b.fmul(m, of_mean))
        size = b.fadd(b.fdiv(f.intrinsic("sqrt", v), root), epsilon)
        return [b.fsub(p, b.fdiv(step, size)), m, v]

    return Form(rule, ("nadam", decay), constants)


def _lion(optimizer: Lion) -> Form:
    decay = bool(optimizer.weight_decay)

    def rule(f: Function, p: Val, g: Val, kept: list[Val], numbers: list[Val]) -> list[Val]:
        b, mean = f.b, kept[0]
        rate, shrink, less1, less2 = numbers
        if decay:
            p = b.fmul(p, shrink)
        change = b.fsub(g, mean)
        way = b.fadd(b.fmul(change, less1), mean)
        down = b.select(b.fcmp_ordered("<", way, f32(0.0)), f32(-1.0), way)  # 0 and NaN stay
        sign = b.select(b.fcmp_ordered(">", way, f32(0.0)), f32(1.0), down)
        return [b.fsub(p, b.fmul(sign, rate)), b.fadd(mean, b.fmul(change, less2))]

    return Form(rule, ("lion", decay), (1.0 - optimizer.beta1, 1.0 - optimizer.beta2))


FORMS: dict[type, Callable[[Any], Form]] = {
    Adam: _adam,
    AdamW: _adam,
    SGD: _sgd,
    RMSprop: _rmsprop,
    Adagrad: _adagrad,
    Adadelta: _adadelta,
    Adamax: _adamax,
    Nadam: _nadam,
    Lion: _lion,
}
