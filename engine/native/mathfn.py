"""Scalar float32 functions as straight-line IR, which LLVM then turns into vector code.

No call and no branch is emitted, so that a loop over them vectorises on every processor.
Each is right to about 2 units in the last place; extreme inputs give what NumPy gives.
"""

from __future__ import annotations

import math

from llvmlite import ir

from engine.native.emit import F32, I32, I64, Function, Val, const, f32, widened
from engine.native.jit import processor

DOUBLE = ir.DoubleType()
LOG2E = 1.4426950408889634
LN2 = math.log(2.0)
LN2_HIGH = 0.693359375
LN2_LOW = -2.12194440e-4
_TWO_OVER_PI = 0xA2F9836E4E441529FC2757D1F534DDC0DB6295993C439041FE
"""Its first 200 bits behind the point."""
TURNS = tuple(
    math.ldexp(_TWO_OVER_PI >> (200 - 28 * k) & (2**28 - 1), -28 * k - 2) for k in range(1, 8)
)
"""1 / (2 pi) in parts of 28 bits: the greatest float32 asks for 190 of them."""


def _i32(value: int) -> Val:
    return ir.Constant(I32, value)


def _polynomial(f: Function, x: Val, coefficients: tuple[float, ...]) -> Val:
    """Horner's scheme, highest power first."""
    result = f32(coefficients[0])
    for c in coefficients[1:]:
        result = f.fma(result, x, f32(c))
    return result


def select(f: Function, condition: Val, yes: Val, no: Val) -> Val:
    """``yes`` where the condition holds."""
    return f.b.select(condition, yes, no)


def exp(f: Function, x: Val) -> Val:
    """e to the x: x = n ln 2 + r, then a polynomial in r (Cephes ``expf``)."""
    b = f.b
    n, less = _reduced(f, _clipped(f, x))
    y = b.fadd(less, f32(1.0))
    if _scales(y):
        return _scaled(f, y, n)
    # 2**n in two factors, so that n = 128 and results below the normal range come out right.
    whole = b.fptosi(select(f, b.fcmp_unordered("uno", n, n), f32(0.0), n), I32)
    half = b.ashr(whole, _i32(1))
    other = b.sub(whole, half)
    y = b.fmul(b.fmul(y, _power_of_two(f, half)), _power_of_two(f, other))
    return select(f, b.fcmp_unordered("uno", x, x), x, y)


def _scales(y: Val) -> bool:
    """True if the processor multiplies such a register by a power of two at once."""
    return isinstance(y.type, ir.VectorType) and y.type.count == processor().lanes == 16


def _scaled(f: Function, y: Val, n: Val) -> Val:
    """``y * 2**n`` in AVX-512's one instruction: right for any n, and NaN where y is."""
    vector, mask = y.type, ir.IntType(16)
    name = "llvm.x86.avx512.mask.scalef.ps.512"
    fn = f.module.globals.get(name)
    if fn is None:
        kinds = [vector, vector, vector, mask, I32]
        fn = ir.Function(f.module, ir.FunctionType(vector, kinds), name)
    rounding = _i32(4)  # as the processor is set
    return f.b.call(fn, [y, n, y, ir.Constant(mask, -1), rounding])


def expm1_below(f: Function, x: Val) -> Val:
    """e to the x, less 1, for x <= 0: exact near 0, where the plain difference has no digits."""
    b = f.b
    n, less = _reduced(f, _clipped(f, x))
    whole = b.fptosi(select(f, b.fcmp_unordered("uno", n, n), f32(0.0), n), I32)
    tiny = b.icmp_signed("<", whole, _i32(-126))
    scale = _power_of_two(f, b.select(tiny, _i32(-126), whole))
    # 2**n (e**r - 1) + (2**n - 1): the second term is exact.
    y = f.fma(scale, less, b.fsub(scale, f32(1.0)))
    return select(f, b.fcmp_unordered("uno", x, x), x, y)


def _clipped(f: Function, x: Val) -> Val:
    """Beyond these its exponential is infinity or 0 in float32; its exponent stays in range."""
    low, high = f32(-104.0), f32(89.0)
    clipped = select(f, f.b.fcmp_ordered("<", x, low), low, x)
    return select(f, f.b.fcmp_ordered(">", clipped, high), high, clipped)


def _reduced(f: Function, clipped: Val) -> tuple[Val, Val]:
    """n and e**r - 1, where the number is n ln 2 + r."""
    b = f.b
    n = f.intrinsic("rint", b.fmul(clipped, f32(LOG2E)))
    r = f.fma(n, f32(-LN2_HIGH), clipped)
    r = f.fma(n, f32(-LN2_LOW), r)
    p = _polynomial(
        f,
        r,
        (
            1.9875691500e-4,
            1.3981999507e-3,
            8.3334519073e-3,
            4.1665795894e-2,
            1.6666665459e-1,
            5.0000001201e-1,
        ),
    )
    return n, f.fma(p, b.fmul(r, r), r)


def _power_of_two(f: Function, n: Val) -> Val:
    return f.b.bitcast(f.b.shl(f.b.add(n, _i32(127)), _i32(23)), F32)


def log(f: Function, x: Val) -> Val:
    """Natural logarithm (Cephes ``logf``); 0 gives -inf, negative numbers NaN."""
    b = f.b
    tiny = b.fcmp_ordered("<", x, f32(1.17549435e-38))
    scaled = select(f, tiny, b.fmul(x, f32(8388608.0)), x)  # 2**23 lifts subnormal numbers
    bits = b.bitcast(scaled, I32)
    exponent = b.sub(b.and_(b.lshr(bits, _i32(23)), _i32(255)), _i32(126))
    exponent = b.select(tiny, b.sub(exponent, _i32(23)), exponent)
    m = b.bitcast(b.or_(b.and_(bits, _i32(0x007FFFFF)), _i32(0x3F000000)), F32)
    small = b.fcmp_ordered("<", m, f32(0.70710678))
    e = b.sitofp(b.select(small, b.sub(exponent, _i32(1)), exponent), F32)
    m = b.fsub(select(f, small, b.fadd(m, m), m), f32(1.0))
    z = b.fmul(m, m)
    p = _polynomial(
        f,
        m,
        (
            7.0376836292e-2,
            -1.1514610310e-1,
            1.1676998740e-1,
            -1.2420140846e-1,
            1.4249322787e-1,
            -1.6668057665e-1,
            2.0000714765e-1,
            -2.4999993993e-1,
            3.3333331174e-1,
        ),
    )
    y = b.fmul(b.fmul(p, m), z)
    y = f.fma(e, f32(LN2_LOW), y)
    y = f.fma(z, f32(-0.5), y)
    y = b.fadd(m, y)
    y = f.fma(e, f32(LN2_HIGH), y)
    infinity = f32(float("inf"))
    y = select(f, b.fcmp_ordered("==", x, infinity), x, y)
    y = select(f, b.fcmp_ordered("==", x, f32(0.0)), f32(float("-inf")), y)
    bad = b.fcmp_unordered("<", x, f32(0.0))
    return select(f, bad, f32(float("nan")), y)


def softplus(f: Function, x: Val) -> Val:
    """log(1 + e**x) as max(x, 0) + log(1 + u) with u = e**-|x|, which stays finite."""
    b = f.b
    u = exp(f, b.fneg(f.intrinsic("fabs", x)))
    whole = b.fadd(u, f32(1.0))
    # What the sum rounded away comes back in first order (Kahan).
    lost = b.fdiv(b.fsub(u, b.fsub(whole, f32(1.0))), whole)
    tail = b.fadd(log(f, whole), lost)
    return b.fadd(select(f, b.fcmp_ordered("<", x, f32(0.0)), f32(0.0), x), tail)


def sin(f: Function, x: Val) -> Val:
    """Sine of radians."""
    y = _turned(f, f.intrinsic("fabs", x), 0, len(TURNS))
    below = f.b.icmp_signed("<", f.b.bitcast(x, I32), _i32(0))  # -0 too
    return select(f, below, f.b.fneg(y), y)


def cos(f: Function, x: Val, parts: int = len(TURNS)) -> Val:
    """Cosine of radians; two ``parts`` of 1 / (2 pi) do for numbers up to a turn."""
    return _turned(f, x, 1, parts)


def _turned(f: Function, x: Val, quarter: int, parts: int) -> Val:
    """Sine of x + quarter * pi / 2: a polynomial in what is over a quarter turn (Cephes ``sinf``).

    Each product with a part of 1 / (2 pi) is exact in float64, so that whole turns fall away
    without rounding: right for every float32 (Payne and Hanek's reduction, without a table).
    """
    b = f.b
    finite = b.fcmp_ordered("==", b.fsub(x, x), f32(0.0))
    exact = b.fpext(select(f, finite, x, f32(0.0)), DOUBLE)
    products = [b.fmul(exact, _wide(part)) for part in TURNS[:parts]]
    over = [b.fsub(p, f.intrinsic("rint", p)) for p in products]
    turn = over[0]
    for part in over[1:]:
        turn = b.fadd(turn, part)
    n = f.intrinsic("rint", b.fmul(turn, _wide(4.0)))
    # Again from the front, now without the quarter turns: what is left keeps all its digits.
    rest = b.fmul(n, _wide(-0.25))
    for part in over:
        rest = b.fadd(rest, part)
    r = b.fptrunc(b.fmul(rest, _wide(2.0 * math.pi)), F32)
    z = b.fmul(r, r)
    odd = _polynomial(f, z, (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1))
    sine = f.fma(b.fmul(odd, z), r, r)
    even = _polynomial(f, z, (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2))
    cosine = f.fma(b.fmul(even, z), z, f.fma(z, f32(-0.5), f32(1.0)))
    place = b.add(b.fptosi(n, I32), _i32(quarter))
    swapped = b.icmp_signed("!=", b.and_(place, _i32(1)), _i32(0))
    y = select(f, swapped, cosine, sine)
    negative = b.icmp_signed("!=", b.and_(place, _i32(2)), _i32(0))
    y = select(f, negative, b.fneg(y), y)
    return select(f, finite, y, f32(float("nan")))


def power(f: Function, x: Val, y: Val) -> Val:
    """x to the y, as the C library has it: by way of float64, since y times an error counts."""
    b = f.b
    log = _log64(f, f.intrinsic("fabs", x))
    exact = b.fpext(y, DOUBLE)
    # Infinity times 0 is no number, but 1 to any power is 1.
    still = b.and_(b.fcmp_ordered("==", log, _wide(0.0)), b.fcmp_ordered("==", y, y))
    size = _exp64(f, b.select(still, _wide(0.0), b.fmul(exact, log)))
    whole = b.fcmp_ordered("==", f.intrinsic("rint", y), y)
    small = b.fcmp_ordered("<", f.intrinsic("fabs", y), f32(2.0**24))  # beyond, all are even
    parity = b.and_(b.fptosi(b.select(small, y, f32(0.0)), I32), _i32(1))
    odd = b.and_(whole, b.icmp_signed("!=", parity, _i32(0)))
    below = b.icmp_signed("<", b.bitcast(x, I32), _i32(0))
    value = b.select(b.and_(below, odd), b.fneg(size), size)
    negative = b.and_(b.fcmp_ordered("<", x, f32(0.0)), b.fcmp_ordered(">", x, f32(float("-inf"))))
    broken = b.and_(negative, b.not_(whole))
    value = b.select(broken, f32(float("nan")), value)
    one = b.or_(b.fcmp_ordered("==", x, f32(1.0)), b.fcmp_ordered("==", y, f32(0.0)))
    return b.select(one, f32(1.0), value)


def _wide(value: float) -> Val:
    return ir.Constant(DOUBLE, value)


def _log64(f: Function, x: Val) -> Val:
    """Natural logarithm of a float32 of 0 or more, in float64."""
    b = f.b
    tiny = b.fcmp_ordered("<", x, f32(1.17549435e-38))
    bits = b.bitcast(b.select(tiny, b.fmul(x, f32(8388608.0)), x), I32)
    exponent = b.sub(b.and_(b.lshr(bits, _i32(23)), _i32(255)), _i32(126))
    m = b.bitcast(b.or_(b.and_(bits, _i32(0x007FFFFF)), _i32(0x3F000000)), F32)
    low = b.fcmp_ordered("<", m, f32(0.70710678))
    exponent = b.sub(b.select(tiny, b.sub(exponent, _i32(23)), exponent), b.zext(low, I32))
    m = b.fpext(b.select(low, b.fadd(m, m), m), DOUBLE)
    # log m = 2 artanh s with s = (m - 1) / (m + 1), below 0.18.
    s = b.fdiv(b.fsub(m, _wide(1.0)), b.fadd(m, _wide(1.0)))
    z = b.fmul(s, s)
    series = _wide(1.0 / 15.0)
    for n in (13, 11, 9, 7, 5, 3, 1):
        series = b.fadd(b.fmul(series, z), _wide(1.0 / n))
    y = b.fadd(b.fmul(b.sitofp(exponent, DOUBLE), _wide(LN2)), b.fmul(b.fadd(s, s), series))
    infinity = f32(float("inf"))
    y = b.select(b.fcmp_unordered("==", x, infinity), b.fpext(x, DOUBLE), y)  # and a NaN
    return b.select(b.fcmp_ordered("==", x, f32(0.0)), _wide(float("-inf")), y)


def _exp64(f: Function, x: Val) -> Val:
    """e to the x of a float64, as float32."""
    b = f.b
    # Beyond these the result is infinity or 0 in float32.
    t = b.select(b.fcmp_ordered(">", x, _wide(200.0)), _wide(200.0), x)
    t = b.select(b.fcmp_ordered("<", t, _wide(-200.0)), _wide(-200.0), t)
    t = b.select(b.fcmp_unordered("uno", t, t), _wide(0.0), t)
    # Adding so much leaves no digits behind the point.
    much = _wide(1.5 * 2.0**52)
    n = b.fsub(b.fadd(b.fmul(t, _wide(LOG2E)), much), much)
    r = b.fsub(t, b.fmul(n, _wide(LN2)))
    y = _wide(1.0 / math.factorial(11))
    for k in range(10, -1, -1):
        y = b.fadd(b.fmul(y, r), _wide(1.0 / math.factorial(k)))
    bits = b.shl(b.add(b.fptosi(n, I64), const(1023)), const(52))
    y = b.fptrunc(b.fmul(y, b.bitcast(bits, DOUBLE)), F32)
    return b.select(b.fcmp_unordered("uno", x, x), f32(float("nan")), y)


def sigmoid(f: Function, x: Val) -> Val:
    """1 / (1 + e**-x)."""
    b = f.b
    return b.fdiv(f32(1.0), b.fadd(f32(1.0), exp(f, b.fneg(x))))


def tanh(f: Function, x: Val) -> Val:
    """Hyperbolic tangent: -t / (2 + t) with t = e**(-2 |x|) - 1, which is exact near 0."""
    b = f.b
    double = b.fmul(f.intrinsic("fabs", x), f32(-2.0))
    low = f32(-40.0)  # where the result has long been 1
    n, less = _reduced(f, select(f, b.fcmp_ordered("<", double, low), low, double))
    one = f32(1.0)
    if _scales(less):
        scale = _scaled(f, widened(b, one, less.type.count), n)
    else:
        scale = _power_of_two(f, b.fptosi(n, I32))
    t = f.fma(scale, less, b.fsub(scale, one))
    y = f.intrinsic("copysign", b.fdiv(t, b.fadd(t, f32(2.0))), x)
    return select(f, b.fcmp_unordered("uno", x, x), x, y)


def erf(f: Function, x: Val) -> Val:
    """Error function: a rational minimax approximation on [-4, 4], beyond which it is +-1."""
    b = f.b
    limit = f32(4.0)
    clipped = select(f, b.fcmp_ordered(">", x, limit), limit, x)
    clipped = select(f, b.fcmp_ordered("<", clipped, f32(-4.0)), f32(-4.0), clipped)
    z = b.fmul(clipped, clipped)
    top = _polynomial(
        f,
        z,
        (
            -2.72614225801306e-10,
            2.77068142495902e-08,
            -2.10102402082508e-06,
            -5.69250639462346e-05,
            -7.34990630326855e-04,
            -2.95459980854025e-03,
            -1.60960333262415e-02,
        ),
    )
    bottom = _polynomial(
        f,
        z,
        (
            -1.45660718464996e-05,
            -2.13374055278905e-04,
            -1.68282697438203e-03,
            -7.37332916720468e-03,
            -1.42647390514189e-02,
        ),
    )
    return b.fdiv(b.fmul(clipped, top), bottom)
