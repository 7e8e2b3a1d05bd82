"""Elementwise primitives: a scalar rule each; runs of them become one pass over memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir

from engine.backend import address, reshaped
from engine.native import mathfn
from engine.native.emit import I1, I8, I32, Function, Val, f32
from engine.native.loops import copied, elementwise
from engine.native.lowerings import lowering
from engine.native.products import gated
from engine.native.writer import Writer, clash, element_strides

if TYPE_CHECKING:
    from engine.plan.program import NamedStep

Rule = Callable[..., Val]
"""``rule(f, attrs, *inputs) -> value`` on float32 scalars."""

RULES: dict[str, Rule] = {}


def rule(name: str) -> Callable[[Rule], Rule]:
    """Register the scalar rule of a primitive."""

    def register(r: Rule) -> Rule:
        RULES[name] = r
        return r

    return register


def _bool(f: Function, condition: Val) -> Val:
    return f.b.select(condition, f32(1.0), f32(0.0))


RULES["add"] = lambda f, attrs, a, b: f.b.fadd(a, b)
RULES["subtract"] = lambda f, attrs, a, b: f.b.fsub(a, b)
RULES["multiply"] = lambda f, attrs, a, b: f.b.fmul(a, b)
RULES["divide"] = lambda f, attrs, a, b: f.b.fdiv(a, b)
RULES["negative"] = lambda f, attrs, x: f.b.fneg(x)
RULES["exp"] = lambda f, attrs, x: mathfn.exp(f, x)
RULES["log"] = lambda f, attrs, x: mathfn.log(f, x)
RULES["sqrt"] = lambda f, attrs, x: f.intrinsic("sqrt", x)
RULES["abs"] = lambda f, attrs, x: f.intrinsic("fabs", x)
RULES["sigmoid"] = lambda f, attrs, x: mathfn.sigmoid(f, x)
RULES["tanh"] = lambda f, attrs, x: mathfn.tanh(f, x)
RULES["erf"] = lambda f, attrs, x: mathfn.erf(f, x)
RULES["stop_gradient"] = lambda f, attrs, x: x
RULES["reshape"] = lambda f, attrs, x: x
RULES["broadcast_to"] = lambda f, attrs, x: x


@rule("sigmoid_gradient")
def _sigmoid_gradient(f: Function, attrs: Any, g: Val, y: Val) -> Val:
    return f.b.fmul(g, f.b.fsub(y, f.b.fmul(y, y)))


@rule("tanh_gradient")
def _tanh_gradient(f: Function, attrs: Any, g: Val, y: Val) -> Val:
    return f.b.fmul(g, f.b.fsub(f32(1.0), f.b.fmul(y, y)))


@rule("silu")
def _silu(f: Function, attrs: Any, x: Val) -> Val:
    return f.b.fmul(x, mathfn.sigmoid(f, x))


@rule("gelu")
def _gelu(f: Function, attrs: Any, x: Val) -> Val:
    b = f.b
    if attrs["approximate"] == "tanh":
        slope = math.sqrt(2.0 / math.pi)
        inside = f.fma(b.fmul(x, x), f32(slope * 0.044715), f32(slope))
        gate = mathfn.tanh(f, b.fmul(inside, x))
    else:
        gate = mathfn.erf(f, b.fmul(x, f32(math.sqrt(0.5))))
    return b.fmul(x, b.fmul(b.fadd(gate, f32(1.0)), f32(0.5)))


@rule("relu")
def _relu(f: Function, attrs: Any, x: Val) -> Val:
    # A NaN stays a NaN, as NumPy's maximum has it.
    return f.b.select(f.b.fcmp_ordered("<", x, f32(0.0)), f32(0.0), x)


@rule("relu_gradient")
def _relu_gradient(f: Function, attrs: Any, g: Val, y: Val) -> Val:
    return gated(f, g, y)


@rule("leaky_relu")
def _leaky_relu(f: Function, attrs: Any, x: Val) -> Val:
    scaled = f.b.fmul(x, f32(attrs["negative_slope"]))
    return f.b.select(f.b.fcmp_ordered("<", x, f32(0.0)), scaled, x)


@rule("leaky_relu_gradient")
def _leaky_relu_gradient(f: Function, attrs: Any, g: Val, x: Val) -> Val:
    positive = f.b.fcmp_ordered(">", x, f32(0.0))
    return f.b.fmul(g, f.b.select(positive, f32(1.0), f32(attrs["negative_slope"])))


def _extreme(comparison: str) -> Rule:
    def choose(f: Function, attrs: Any, a: Val, b: Val) -> Val:
        # NaN wins, from either side.
        first = f.b.fcmp_unordered(comparison, a, b)
        second_is_nan = f.b.fcmp_unordered("uno", b, b)
        return f.b.select(second_is_nan, b, f.b.select(first, a, b))

    return choose


@rule("sign")
def _sign(f: Function, attrs: Any, x: Val) -> Val:
    b = f.b
    one = b.select(b.fcmp_ordered(">", x, f32(0.0)), f32(1.0), f32(0.0))
    signed = b.select(b.fcmp_ordered("<", x, f32(0.0)), f32(-1.0), one)
    return b.select(b.fcmp_unordered("uno", x, x), x, signed)


RULES["maximum"] = _extreme(">")
RULES["minimum"] = _extreme("<")


def dropout_bits(f: Function, place: Val, key: tuple[Val, Val]) -> Val:
    """32 random bits for an element, as ``engine.random.fill_bits`` makes them."""
    b = f.b

    def mix(bits: Val) -> Val:
        for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, None)):
            bits = b.xor(bits, b.lshr(bits, ir.Constant(I32, shift)))
            if factor is not None:
                bits = b.mul(bits, ir.Constant(I32, factor))
        return bits

    bits = b.add(b.mul(place, ir.Constant(I32, 0x9E3779B9)), key[0])
    return mix(b.xor(mix(bits), key[1]))


MIXED: dict[str, tuple[str, ...]] = {}
"""Element types of rules that do not work on float32 alone, as ``"inputs-output"`` initials:
``f`` float32, ``b`` bool, ``u`` uint8, ``i`` int32, ``l`` int64, ``h`` 16
bits. A rule sees a bool as one bit."""

INITIALS = {
    "float32": "f",
    "bool": "b",
    "uint8": "u",
    "int32": "i",
    "int64": "l",
    "uint16": "h",
}


def can_lower(step: NamedStep) -> bool:
    """True if a rule exists, and takes arrays of these element types."""
    if step.name not in RULES or len(step.outputs) != 1 or not step.outputs[0].size:
        return False
    if step.name not in MIXED:
        return all(a.dtype == np.float32 for a in (*step.inputs, *step.outputs))
    types = "".join(INITIALS.get(a.dtype.name, "?") for a in (*step.inputs, *step.outputs))
    return f"{types[:-1]}-{types[-1]}" in MIXED[step.name]


def rule_key(step: NamedStep) -> tuple[Any, ...]:
    """What a rule's code depends on."""
    attrs = ((k, v) for k, v in step.attrs.items() if isinstance(v, str | int | float))
    return step.name, tuple(sorted(attrs))


@lowering(*RULES)
def lower(w: Writer, steps: Sequence[NamedStep]) -> int:
    """One pass for the first step and for those after it that work on the same elements."""
    if not can_lower(steps[0]):
        return 0
    if steps[0].name in ("reshape", "broadcast_to", "stop_gradient"):
        return _copy(w, steps[0])
    group = _group(steps)
    shape = group[0].outputs[0].shape
    outputs, inputs, program = _dataflow(group)
    key = tuple(rule_key(s) for s in group)

    def body(f: Function, *loaded: Val) -> list[Val]:
        pairs = zip(loaded, inputs, strict=True)
        given = [as_bit(f, v) if array.dtype == np.bool_ else v for v, array in pairs]
        values: list[Val] = []
        for step, sources in zip(group, program, strict=True):
            operands = [given[i] if kind == "in" else values[i] for kind, i in sources]
            values.append(RULES[step.name](f, step.attrs, *operands))
        return [as_byte(f, v) for v in values]

    sources_key = tuple(tuple(s) for s in program)
    elementwise(w, (key, sources_key), shape, outputs, inputs, body)
    return len(group)


def as_bit(f: Function, value: Val) -> Val:
    """A bool as it lies in memory, one byte, as the bit that rules work on."""
    return f.b.icmp_unsigned("!=", value, ir.Constant(I8, 0))


def as_byte(f: Function, value: Val) -> Val:
    """The reverse of ``as_bit``."""
    return f.b.zext(value, I8) if element_type(value) == I1 else value


def element_type(value: Val) -> Any:
    """The type of a number, or of a vector's elements."""
    return value.type.element if isinstance(value.type, ir.VectorType) else value.type


def _copy(w: Writer, step: NamedStep) -> int:
    x, y = step.inputs[0], step.outputs[0]
    if step.name == "reshape":
        if x.shape != y.shape:
            seen = reshaped(x, y.shape)
            if seen is None:
                return _reordered(w, x, y)
            x = seen
    elif step.name == "broadcast_to":
        x = np.broadcast_to(x, y.shape)
    copied(w, y, x)
    return 1


def _reordered(w: Writer, x: Any, y: Any) -> int:
    """Reshape between memory orders: ``y`` seen in the shape of ``x``, where that is possible."""
    seen = reshaped(y, x.shape)
    if seen is None:
        return 0
    copied(w, seen, x)
    return 1


def _group(steps: Sequence[NamedStep]) -> list[NamedStep]:
    """The first step and those right after it that one pass can do."""
    first = steps[0]
    group = [first]
    out = first.outputs[0]
    written = [out]
    read = list(first.inputs)
    for step in steps[1:]:
        if len(group) >= 12 or not can_lower(step) or step.name in ("reshape", "broadcast_to"):
            break
        y = step.outputs[0]
        if y.shape != out.shape or element_strides(y) != element_strides(out):
            break
        # What the pass has written may be read only at the same place, and what it has read may
        # be overwritten only at the same place.
        if any(clash(a, b) for a in step.inputs for b in written):
            break
        if any(clash(y, b) for b in (*written, *read)):
            break
        group.append(step)
        written.append(y)
        read += step.inputs
    return group


def _dataflow(
    group: Sequence[NamedStep],
) -> tuple[list[Any], list[Any], list[list[tuple[str, int]]]]:
    """Outputs of the pass, what it must load, and where each step's operands come from."""
    outputs: list[Any] = []
    inputs: list[Any] = []
    program: list[list[tuple[str, int]]] = []
    starts: list[int] = []
    newest: dict[int, int] = {}
    for number, step in enumerate(group):
        sources: list[tuple[str, int]] = []
        for array in step.inputs:
            start = address(array)
            if start in newest and array.shape == step.outputs[0].shape:
                sources.append(("made", newest[start]))
                continue
            for i, known in enumerate(inputs):
                if (
                    starts[i] == start
                    and known.shape == array.shape
                    and known.strides == array.strides
                ):
                    sources.append(("in", i))
                    break
            else:
                inputs.append(array)
                starts.append(start)
                sources.append(("in", len(inputs) - 1))
        program.append(sources)
        outputs.append(step.outputs[0])
        newest[address(step.outputs[0])] = number
    return outputs, inputs, program
