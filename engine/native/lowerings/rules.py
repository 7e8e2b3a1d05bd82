"""More elementwise rules: comparison and choice, limits, activations made of pieces."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from engine.native import mathfn
from engine.native.emit import F32, I1, I8, I16, I32, I64, Function, Val, f32
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
MIXED["to_half"], MIXED["from_half"] = ("f-h",), ("h-f",)


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


@rule("to_half")
def _to_half(f: Function, attrs: Any, x: Val) -> Val:
    """With whole numbers alone: not every processor knows the format."""
    b = f.b
    bits = b.bitcast(x, I32)
    sign = b.and_(b.lshr(bits, _word(16)), _word(0x8000))
    size = b.and_(bits, _word(0x7FFFFFFF))
    nan = b.icmp_unsigned(">", size, _word(0x7F800000))
    if attrs["format"] == "bfloat16":
        odd = b.and_(b.lshr(size, _word(16)), _word(1))
        rounded = b.lshr(b.add(size, b.add(odd, _word(0x7FFF))), _word(16))
        value = b.select(nan, _word(0x7FC0), rounded)
        return b.trunc(b.or_(value, sign), I16)
    # 13 bits go, and 112 from the exponent.
    odd = b.and_(b.lshr(size, _word(13)), _word(1))
    normal = b.lshr(b.add(size, b.add(odd, _word(0xC8000FFF))), _word(13))
    # Below 2^-14 the steps are 2^-24, as those of float32 are beside 0.5: an addition rounds.
    small = b.sub(b.bitcast(b.fadd(b.bitcast(size, F32), f32(0.5)), I32), _word(0x3F000000))
    value = b.select(b.icmp_unsigned("<", size, _word(0x38800000)), small, normal)
    value = b.select(b.icmp_unsigned(">=", size, _word(0x47800000)), _word(0x7C00), value)
    value = b.select(nan, _word(0x7E00), value)
    return b.trunc(b.or_(value, sign), I16)


@rule("from_half")
def _from_half(f: Function, attrs: Any, x: Val) -> Val:
    b = f.b
    bits = b.zext(x, I32)
    if attrs["format"] == "bfloat16":
        return b.bitcast(b.shl(bits, _word(16)), F32)
    sign = b.shl(b.and_(bits, _word(0x8000)), _word(16))
    size = b.shl(b.and_(bits, _word(0x7FFF)), _word(13))
    # As the float32 with this exponent, times 2^112: exact for the smallest numbers as well.
    scaled = b.bitcast(b.fmul(b.bitcast(size, F32), f32(2.0**112)), I32)
    endless = b.icmp_unsigned(">=", size, _word(0x0F800000))
    value = b.select(endless, b.or_(size, _word(0x7F800000)), scaled)
    return b.bitcast(b.or_(value, sign), F32)


def _word(value: int) -> Val:
    return ir.Constant(I32, value)


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
