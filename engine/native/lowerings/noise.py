"""Dropout and random arrays: bits counted by the element's place, the same on every thread."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir

from engine.native import mathfn
from engine.native.emit import F32, I32, Function, Val, const, f32
from engine.native.loops import nest
from engine.native.lowerings import lowering
from engine.native.lowerings.elementwise import dropout_bits
from engine.native.writer import SMALL, Use, Writer

if TYPE_CHECKING:
    from engine.plan.program import NamedStep

UNIT = 2.0**-24
"""One 24-bit step: numbers of so many bits are exact in float32."""


def numbers(shape: Sequence[int], mask_shape: Sequence[int]) -> Any:
    """An array that is never read: its strides give each element's number in row-major order.

    Along axes that the mask lacks they stand still.
    """
    strides = []
    for axis, size in enumerate(mask_shape):
        step = math.prod(mask_shape[axis + 1 :])
        strides.append(4 * step if size == shape[axis] else 0)
    return np.lib.stride_tricks.as_strided(np.empty(1, np.float32), shape, strides)


def numbered(
    f: Function, start: Val, positions: Sequence[Val], strides: Sequence[int], width: int
) -> Val:
    """The number of an element, or of each lane, counted from ``start``."""
    b = f.b
    for position, stride in zip(positions, strides, strict=True):
        start = b.add(start, b.mul(position, const(stride)))
    number = b.trunc(start, I32)
    if width > 1 and strides[-1]:
        number = b.add(number, ir.Constant(ir.VectorType(I32, width), list(range(width))))
    return number


def _by_place(
    w: Writer,
    key: tuple[Any, ...],
    mask_shape: Sequence[int],
    out: Any,
    key_array: Any,
    sources: Sequence[Any],
    body: Callable[..., Val],
) -> None:
    """``out = body(f, number, (first, second), *loaded)`` for each element and its number."""
    plan = nest(out.shape, [out, *sources, numbers(out.shape, mask_shape)])
    shared = [s.__array_interface__["data"] == out.__array_interface__["data"] for s in sources]
    small = plan.size < SMALL
    places = plan.strides[-1]
    even = all(s[-1] == 1 for s in plan.strides[:-1]) and places[-1] in (0, 1)
    lanes = w.lanes if even and plan.sizes[-1] >= 4 else 1

    def write(f: Function, thread: Val, count: Val, po: Val, pk: Val, *given: Val) -> None:
        b = f.b
        names = b.load(pk), b.load(f.at(pk, (1, 1)))
        further = iter(given)
        pointers = [po if same else next(further) for same in shared]

        def inner(positions: list[Val], width: int) -> None:
            number = numbered(f, const(0), positions, places, width)
            loaded = [
                f.load(f.at(p, *zip(positions, s, strict=True)), width)
                for p, s in zip(pointers, plan.strides[1:-1], strict=True)
            ]
            value = body(f, number, names, *loaded)
            f.store(value, f.at(po, *zip(positions, plan.strides[0], strict=True)), width)

        f.walk(plan.sizes, thread, count, inner, lanes=lanes, alone=small)

    others = [s for s, same in zip(sources, shared, strict=True) if not same]
    uses = [Use(out, True, None), Use(key_array, False, None)]
    uses += [Use(s, False, None) for s in others]
    w.kernel((*key, plan, tuple(shared), lanes, small), [out, key_array, *others], write, uses)


def dropped(step: NamedStep) -> tuple[tuple[Any, ...], Callable[..., Val]]:
    """What dropout makes of an element, and what that depends on."""
    rate = step.attrs["rate"]
    threshold = min(round(rate * 2**32), 2**32 - 1)
    scale = float(np.float32(1.0 / (1.0 - rate)))

    def body(f: Function, number: Val, names: tuple[Val, Val], value: Val) -> Val:
        bits = dropout_bits(f, number, names)
        kept = f.b.icmp_unsigned(">=", bits, ir.Constant(I32, threshold))
        return f.b.fmul(value, f.b.select(kept, f32(scale), f32(0.0)))

    return ("dropout", threshold, scale), body


@lowering("dropout")
def lower_dropout(w: Writer, steps: Sequence[NamedStep]) -> int:
    """Scale or zero each element by the bits of its place in the mask."""
    step = steps[0]
    (x, key), out = step.inputs, step.outputs[0]
    if x.dtype != np.float32 or not x.size:
        return 0
    name, body = dropped(step)
    mask_shape = tuple(step.attrs["mask_shape"])
    _by_place(w, (*name, mask_shape), mask_shape, out, key, [x], body)
    return 1


def _unit(f: Function, bits: Val, more: int = 0) -> Val:
    """The upper 24 bits, and ``more`` steps, as a number from 0 to 1."""
    b = f.b
    whole = b.add(b.lshr(bits, ir.Constant(I32, 8)), ir.Constant(I32, more))
    return b.fmul(b.sitofp(whole, F32), f32(UNIT))


@lowering("random_uniform")
def lower_uniform(w: Writer, steps: Sequence[NamedStep]) -> int:
    """24 of the bits, as a number below 1."""
    step = steps[0]
    key, out = step.inputs[0], step.outputs[0]
    if out.dtype != np.float32 or not out.size:
        return 0

    def body(f: Function, number: Val, names: tuple[Val, Val]) -> Val:
        return _unit(f, dropout_bits(f, number, names))

    _by_place(w, ("random-uniform",), out.shape, out, key, [], body)
    return 1


@lowering("random_normal")
def lower_normal(w: Writer, steps: Sequence[NamedStep]) -> int:
    """By the method of Box and Muller, from two uniform draws an element."""
    step = steps[0]
    key, out = step.inputs[0], step.outputs[0]
    if out.dtype != np.float32 or not out.size:
        return 0
    other = ir.Constant(I32, 0x5BF03635)

    def body(f: Function, number: Val, names: tuple[Val, Val]) -> Val:
        b = f.b
        # In (0, 1]: its logarithm is finite.
        first = _unit(f, dropout_bits(f, number, names), 1)
        radius = f.intrinsic("sqrt", b.fmul(mathfn.log(f, first), f32(-2.0)))
        turned = b.xor(names[0], other), b.xor(names[1], other)
        angle = b.fmul(_unit(f, dropout_bits(f, number, turned)), f32(2.0 * math.pi))
        return b.fmul(mathfn.cos(f, angle, parts=2), radius)

    _by_place(w, ("random-normal",), out.shape, out, key, [], body)
    return 1
