"""More elementwise rules: comparison and choice, limits, activations made of pieces."""

from __future__ import annotations

from typing import Any

from engine.native import mathfn
from engine.native.emit import F32, I1, I8, I64, Function, Val, f32
from engine.native.lowerings import lowering
from engine.native.lowerings.elementwise import MIXED, RULES, element_type, lower, rule

KNOWN = set(RULES)

RULES["sin"] = lambda f, attrs, x: mathfn.sin(f, x)
RULES["cos"] = lambda f, attrs, x: mathfn.cos(f, x)
RULES["power"] = lambda f, attrs, x, y: mathfn.power(f, x, y)
RULES["softplus"] = lambda f, attrs, x: mathfn.softplus(f, x)

for _name in ("reshape", "broadcast_to", "stop_gradient"):
    MIXED[_name] = ("f-f", "b-b", "i-i", "l-l")
for _name in ("less", "less_equal"):
    MIXED[_name] = ("ff-b",)
for _name in ("equal", "not_equal"):
    MIXED[_name] = ("ff-b", "ll-b")
MIXED["where"] = ("bff-f", "bbb-b", "bll-l")
MIXED["cast"] = ("b-f", "u-f", "i-f", "l-f", "f-b")


@rule("less")
def _less(f: Function, attrs: Any, a: Val, b: Val) -> Val:
    return f.b.fcmp_ordered("<", a, b)


@rule("less_equal")
def _less_equal(f: Function, attrs: Any, a: Val, b: Val) -> Val:
    return f.b.fcmp_ordered("<=", a, b)


@rule("equal")
def _equal(f: Function, attrs: Any, a: Val, b: Val) -> Val:
    if element_type(a) == I64:
        return f.b.icmp_signed("==", a, b)
    return f.b.fcmp_ordered("==", a, b)


@rule("not_equal")
def _not_equal(f: Function, attrs: Any, a: Val, b: Val) -> Val:
    if element_type(a) == I64:
        return f.b.icmp_signed("!=", a, b)
    return f.b.fcmp_unordered("!=", a, b)  # a NaN is equal to nothing


@rule("where")
def _where(f: Function, attrs: Any, condition: Val, a: Val, b: Val) -> Val:
    return f.b.select(condition, a, b)


@rule("cast")
def _cast(f: Function, attrs: Any, x: Val) -> Val:
    kind = element_type(x)
    if kind == F32:
        return f.b.fcmp_unordered("!=", x, f32(0.0))
    return f.b.uitofp(x, F32) if kind in (I1, I8) else f.b.sitofp(x, F32)


@rule("equal_share")
def _equal_share(f: Function, attrs: Any, a: Val, b: Val) -> Val:
    return f.b.select(f.b.fcmp_ordered("==", a, b), f32(1.0), f32(0.0))


@rule("share_of_greater")
def _share_of_greater(f: Function, attrs: Any, a: Val, b: Val) -> Val:
    tied = f.b.select(f.b.fcmp_ordered("==", a, b), f32(0.5), f32(0.0))
    return f.b.select(f.b.fcmp_ordered(">", a, b), f32(1.0), tied)


@rule("clip")
def _clip(f: Function, attrs: Any, x: Val) -> Val:
    low, high = attrs["low"], attrs["high"]
    if low is not None:
        x = f.b.select(f.b.fcmp_ordered("<", x, f32(low)), f32(low), x)
    if high is not None:
        x = f.b.select(f.b.fcmp_ordered(">", x, f32(high)), f32(high), x)
    return x


@rule("clip_gradient")
def _clip_gradient(f: Function, attrs: Any, g: Val, x: Val) -> Val:
    b, share = f.b, f32(1.0)
    if attrs["low"] is not None:
        share = b.select(b.fcmp_ordered(">=", x, f32(attrs["low"])), share, f32(0.0))
    if attrs["high"] is not None:
        share = b.select(b.fcmp_ordered("<=", x, f32(attrs["high"])), share, f32(0.0))
    return b.fmul(g, share)


RULES["hard_tanh"] = _clip


@rule("hard_tanh_gradient")
def _hard_tanh_gradient(f: Function, attrs: Any, g: Val, x: Val) -> Val:
    b = f.b
    share = b.select(b.fcmp_ordered(">", x, f32(attrs["low"])), f32(1.0), f32(0.0))
    share = b.select(b.fcmp_ordered("<", x, f32(attrs["high"])), share, f32(0.0))
    return b.fmul(g, share)


@rule("elu")
def _elu(f: Function, attrs: Any, x: Val) -> Val:
    b = f.b
    positive = b.fcmp_ordered(">", x, f32(0.0))
    low = mathfn.expm1_below(f, b.select(positive, f32(0.0), x))
    return b.select(positive, x, b.fmul(low, f32(attrs["alpha"])))


lowering(*sorted(RULES.keys() - KNOWN))(lower)
