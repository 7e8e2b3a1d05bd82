"""Writes LLVM IR: functions with counted loops, float32 vectors, and the register tile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from llvmlite import ir

from engine.native.jit import processor

F32 = ir.FloatType()
I1, I8, I16, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
F32_P = F32.as_pointer()
I8_P = I8.as_pointer()

Val = Any
"""An SSA value; llvmlite's types say no more."""
Fold = Callable[[Val, Val], Val]
"""Joins two values, or two registers of them."""
GRAIN = 16
"""Elements that one thread gets at least: a cache line of float32."""


def const(value: int) -> Val:
    """64-bit integer constant."""
    return ir.Constant(I64, value)


def f32(value: float) -> Val:
    """float32 constant."""
    return ir.Constant(F32, float(value))


def widened(b: ir.IRBuilder, value: Val, count: int) -> Val:
    """A scalar in every lane; a vector as it is."""
    if isinstance(value.type, ir.VectorType):
        return value
    vector = ir.VectorType(value.type, count)
    if isinstance(value, ir.Constant):
        return ir.Constant(vector, [value.constant] * count)
    undefined = ir.Constant(vector, ir.Undefined)
    single = b.insert_element(undefined, value, ir.Constant(I32, 0))
    return b.shuffle_vector(single, undefined, ir.Constant(ir.VectorType(I32, count), [0] * count))


class Builder(ir.IRBuilder):  # type: ignore[misc]  # llvmlite has no types
    """An IR builder in which a scalar beside a vector stands for that scalar in every lane.

    A rule written for one number thus serves for a whole register as well.
    """

    def alike(self, *values: Val) -> list[Val]:
        """All values as vectors, if any of them is one."""
        count = next((v.type.count for v in values if isinstance(v.type, ir.VectorType)), 0)
        return [widened(self, v, count) if count else v for v in values]

    def select(self, cond: Val, lhs: Val, rhs: Val, *args: Any, **options: Any) -> Val:
        if isinstance(cond.type, ir.VectorType):
            lhs, rhs = (widened(self, v, cond.type.count) for v in (lhs, rhs))
        else:
            lhs, rhs = self.alike(lhs, rhs)
        return super().select(cond, lhs, rhs, *args, **options)


def _binary(name: str, first: int) -> Callable[..., Val]:
    plain = getattr(ir.IRBuilder, name)

    def method(self: Builder, *args: Any, **options: Any) -> Val:
        pair = self.alike(*args[first : first + 2])
        return plain(self, *args[:first], *pair, *args[first + 2 :], **options)

    return method


def _conversion(name: str) -> Callable[..., Val]:
    plain = getattr(ir.IRBuilder, name)

    def method(self: Builder, value: Val, kind: Any, *args: Any, **options: Any) -> Val:
        if isinstance(value.type, ir.VectorType) and not isinstance(kind, ir.VectorType):
            kind = ir.VectorType(kind, value.type.count)
        return plain(self, value, kind, *args, **options)

    return method


for _name in [
    "fadd",
    "fsub",
    "fmul",
    "fdiv",
    "add",
    "sub",
    "mul",
    "and_",
    "or_",
    "xor",
    "shl",
    "ashr",
    "lshr",
]:
    setattr(Builder, _name, _binary(_name, 0))
for _name in ["fcmp_ordered", "fcmp_unordered", "icmp_signed", "icmp_unsigned"]:
    setattr(Builder, _name, _binary(_name, 1))
_CONVERSIONS = ("bitcast", "fptosi", "sitofp", "uitofp", "fptoui", "trunc", "zext", "sext")
for _name in (*_CONVERSIONS, "fpext", "fptrunc"):
    setattr(Builder, _name, _conversion(_name))


@dataclass
class Loop:
    """The inside of a counted loop: its index, the carried values, and what they become."""

    index: Val
    carried: list[Val]
    next: list[Val]
    result: list[Val] = field(default_factory=list)
    """Carried values after the loop; filled when the ``with`` block ends."""


class Function:
    """A function being written: ``void name(args)``.

    Pointers do not alias, but for those among the arguments numbered ``may_alias``.
    """

    def __init__(
        self,
        module: ir.Module,
        name: str,
        args: Sequence[Any],
        *,
        linkage: str = "",
        may_alias: Sequence[int] = (),
    ) -> None:
        self.module = module
        self.fn = ir.Function(module, ir.FunctionType(ir.VoidType(), list(args)), name)
        if linkage:
            self.fn.linkage = linkage
        self.fn.attributes.add("nounwind")
        self.args = list(self.fn.args)
        for number, arg in enumerate(self.args):
            if isinstance(arg.type, ir.PointerType) and number not in may_alias:
                arg.add_attribute("noalias")
        self.b = Builder(self.fn.append_basic_block("entry"))

    @contextmanager
    def loop(
        self,
        start: Val | int,
        stop: Val | int,
        step: int = 1,
        carry: Sequence[Val] = (),
        *,
        may_be_empty: bool = False,
    ) -> Iterator[Loop]:
        """``for index in range(start, stop, step)`` with loop-carried values.

        Without ``may_be_empty`` the range must hold at least one index: the test then stands at
        the end only. Set ``loop.next`` to the carried values of the next turn.
        """
        b = self.b
        first = const(start) if isinstance(start, int) else start
        last = const(stop) if isinstance(stop, int) else stop
        if isinstance(start, int) and isinstance(stop, int):
            may_be_empty = may_be_empty and start >= stop
        before = b.block
        body = self.fn.append_basic_block("body")
        end = self.fn.append_basic_block("end")
        if may_be_empty:
            b.cbranch(b.icmp_signed("<", first, last), body, end)
        else:
            b.branch(body)
        b.position_at_end(body)
        index = b.phi(I64)
        index.add_incoming(first, before)
        phis = []
        for value in carry:
            phi = b.phi(value.type)
            phi.add_incoming(value, before)
            phis.append(phi)
        loop = Loop(index, list(phis), list(phis))
        yield loop
        following = b.add(index, const(step))
        back = b.block
        index.add_incoming(following, back)
        for phi, value in zip(phis, loop.next, strict=True):
            phi.add_incoming(value, back)
        b.cbranch(b.icmp_signed("<", following, last), body, end)
        b.position_at_end(end)
        if may_be_empty:
            merged = []
            for value, initial in zip(loop.next, carry, strict=True):
                phi = b.phi(value.type)
                phi.add_incoming(initial, before)
                phi.add_incoming(value, back)
                merged.append(phi)
            loop.result = merged
        else:
            loop.result = list(loop.next)

    def share(self, total: int, thread: Val, num_threads: Val, grain: int = 1) -> tuple[Val, Val]:
        """This thread's part ``[first, last)`` of ``range(total)``, in multiples of ``grain``."""
        b = self.b
        units = -(-total // grain)
        bounds = []
        for t in (thread, b.add(thread, const(1))):
            unit = b.sdiv(b.mul(const(units), t), num_threads)
            bound = b.mul(unit, const(grain)) if grain != 1 else unit
            if units * grain != total:
                over = b.icmp_signed(">", bound, const(total))
                bound = b.select(over, const(total), bound)
            bounds.append(bound)
        return bounds[0], bounds[1]

    def walk(
        self,
        sizes: Sequence[int],
        thread: Val,
        count: Val,
        inner: Callable[[list[Val], int], None],
        *,
        lanes: int = 1,
        before: Callable[[list[Val]], None] | None = None,
        alone: bool = False,
        lines: bool = False,
    ) -> None:
        """Nested loops over ``sizes``, the slowest shared among the threads.

        Parameters
        ----------
        inner : callable
            ``inner(positions, width)`` works on ``width`` elements along the last axis, 1 or
            ``lanes``.
        before : callable, optional
            ``before(positions)`` runs ahead of each line, with the positions of all other axes.
        alone : bool
            One thread does it all.
        lines : bool
            What stands at each position is a line, which ``inner`` takes with ``along`` and
            ``each``: none of the sizes is cut into lanes, nor handed out in cache lines.
        """
        grain = GRAIN if len(sizes) == 1 and not lines else 1

        def nested(first: Val, last: Val) -> None:
            self._nested(sizes, first, last, inner, [], lanes, before)

        if alone:
            with self.b.if_then(self.b.icmp_signed("==", thread, const(0))):
                nested(const(0), const(sizes[0]))
            return
        nested(*self.share(sizes[0], thread, count, grain))

    def serial(
        self, sizes: Sequence[int], inner: Callable[[list[Val], int], None], *, lanes: int = 1
    ) -> None:
        """``walk`` by the thread that calls it, all of it."""
        self._nested(sizes, const(0), const(sizes[0]), inner, [], lanes, None)

    def _nested(
        self,
        sizes: Sequence[int],
        first: Val,
        last: Val,
        inner: Callable[[list[Val], int], None],
        positions: list[Val],
        lanes: int,
        before: Callable[[list[Val]], None] | None,
    ) -> None:
        level = len(positions) + 1
        if level < len(sizes):
            with self.loop(first, last, may_be_empty=level == 1) as loop:
                end = const(sizes[level])
                further = [*positions, loop.index]
                self._nested(sizes, const(0), end, inner, further, lanes, before)
            return
        if before is not None:
            before(positions)
        if level > 1:
            self.each(sizes[-1], lanes, lambda i, width: inner([*positions, _index(i)], width))
            return
        b = self.b
        whole = first
        if lanes > 1:
            length = b.sub(last, first)
            whole = b.add(first, b.sub(length, b.srem(length, const(lanes))))
            with self.loop(first, whole, lanes, may_be_empty=True) as loop:
                inner([loop.index], lanes)
        with self.loop(whole, last, may_be_empty=True) as loop:
            inner([loop.index], 1)

    def at(self, pointer: Val, *terms: tuple[Val | int, int]) -> Val:
        """``pointer`` moved by the sum of index * stride, in elements."""
        b, fixed, offset = self.b, 0, None
        for index, stride in terms:
            if isinstance(index, int):
                fixed += index * stride
                continue
            if stride == 0:
                continue
            term = b.mul(index, const(stride), flags=("nsw",)) if stride != 1 else index
            offset = term if offset is None else b.add(offset, term, flags=("nsw",))
        if offset is None:
            return b.gep(pointer, [const(fixed)], inbounds=True) if fixed else pointer
        moved = b.gep(pointer, [offset], inbounds=True)
        return b.gep(moved, [const(fixed)], inbounds=True) if fixed else moved

    # -- vectors --------------------------------------------------------------------------------

    def load_vector(self, pointer: Val, lanes: int) -> Val:
        """``lanes`` floats from ``pointer``, at any alignment."""
        return self.load(pointer, lanes)

    def store_vector(self, value: Val, pointer: Val) -> None:
        self.b.store(value, self.b.bitcast(pointer, value.type.as_pointer()), align=4)

    def splat(self, scalar: Val, lanes: int) -> Val:
        """A vector with ``scalar`` in every lane."""
        return widened(self.b, scalar, lanes)

    def intrinsic(self, name: str, *args: Val) -> Val:
        """Call an LLVM intrinsic that takes and gives values of one type."""
        args = tuple(self.b.alike(*args))
        kind = args[0].type
        number, lanes = kind, ""
        if isinstance(kind, ir.VectorType):
            number, lanes = kind.element, f"v{kind.count}"
        suffix = f"{lanes}f64" if isinstance(number, ir.DoubleType) else f"{lanes}f32"
        full = f"llvm.{name}.{suffix}"
        fn = self.module.globals.get(full)
        if fn is None:
            fn = ir.Function(self.module, ir.FunctionType(kind, [kind] * len(args)), full)
        return self.b.call(fn, args)

    def fma(self, a: Val, x: Val, y: Val) -> Val:
        """``a * x + y``, rounded once where the processor can."""
        if not processor().has_fma:  # otherwise each would be a call of the C library
            return self.b.fadd(self.b.fmul(a, x), y)
        return self.intrinsic("fma", a, x, y)

    # -- lines of memory ------------------------------------------------------------------------

    def each(self, size: int, lanes: int, body: Callable[[Val | int, int], None]) -> None:
        """``body(place, width)`` over ``size`` elements: whole vectors, then single elements."""
        whole = size // lanes * lanes
        if whole == lanes:
            body(0, lanes)
        elif whole:
            with self.loop(0, whole, lanes) as i:
                body(i.index, lanes)
        if size - whole == 1:
            body(whole, 1)
        elif whole < size:
            with self.loop(whole, size) as i:
                body(i.index, 1)

    def along(
        self,
        size: int,
        lanes: int,
        starts: Sequence[float],
        body: Callable[[Val | int, int], Sequence[Val]],
        folds: Sequence[Fold],
    ) -> list[Val]:
        """Fold over a line: ``body(place, width)`` gives one value, or register, for each result.

        A start must leave its fold unchanged.
        """
        full = size // lanes * lanes
        totals: list[Val] = [f32(s) for s in starts]
        if full:
            carry = [self.splat(f32(s), lanes) for s in starts]
            with self.loop(0, full, lanes, carry=carry) as i:
                terms = body(i.index, lanes)
                i.next = [fold(a, t) for fold, a, t in zip(folds, i.carried, terms, strict=True)]
            totals = [self.across(v, fold) for v, fold in zip(i.result, folds, strict=True)]
        if full < size:
            with self.loop(full, size, carry=totals) as i:
                terms = body(i.index, 1)
                i.next = [fold(a, t) for fold, a, t in zip(folds, i.carried, terms, strict=True)]
            totals = i.result
        return totals

    def across(self, value: Val, fold: Fold) -> Val:
        """One number from the lanes of a vector, halves joined with halves."""
        b = self.b
        while (lanes := value.type.count) > 1:
            half = lanes // 2
            low, high = (
                b.shuffle_vector(
                    value,
                    value,
                    ir.Constant(ir.VectorType(I32, half), list(range(start, start + half))),
                )
                for start in (0, half)
            )
            value = fold(low, high)
        return b.extract_element(value, ir.Constant(I32, 0))

    def load(self, pointer: Val, width: int) -> Val:
        """One element, or a vector of ``width``."""
        if width == 1:
            return self.b.load(pointer)
        element = pointer.type.pointee
        vector = ir.VectorType(element, width).as_pointer()
        return self.b.load(self.b.bitcast(pointer, vector), align=_size_of(element))

    def store(self, value: Val, pointer: Val, width: int) -> None:
        """One element, or a vector; a scalar for a vector is stored in every lane."""
        if width == 1:
            self.b.store(value, pointer)
            return
        element = pointer.type.pointee
        value = widened(self.b, value, width)
        place = self.b.bitcast(pointer, ir.VectorType(element, width).as_pointer())
        self.b.store(value, place, align=_size_of(element))

    def copy(self, target: Val, source: Val, size: int, lanes: int) -> None:
        """Copy a line of floats."""

        def body(i: Val | int, width: int) -> None:
            self.store(self.load(self.at(source, (i, 1)), width), self.at(target, (i, 1)), width)

        self.each(size, lanes, body)

    def fill(self, target: Val, size: int, lanes: int, value: float = 0.0) -> None:
        """Set a line of floats to one value."""
        self.each(
            size, lanes, lambda i, width: self.store(f32(value), self.at(target, (i, 1)), width)
        )


def _index(i: Val | int) -> Val:
    return const(i) if isinstance(i, int) else i


def _size_of(element: Any) -> int:
    if isinstance(element, ir.IntType):
        return max(1, int(element.width) // 8)
    return 8 if isinstance(element, ir.DoubleType) else 4


def zeros(lanes: int) -> Val:
    """Vector of zeros."""
    return ir.Constant(ir.VectorType(F32, lanes), [0.0] * lanes)


@dataclass(frozen=True)
class Axis:
    """One loop of a sum: its length and how far the two factors move, in elements."""

    size: int
    a: int
    b: int


def multiply_tile(
    f: Function,
    a: Val,
    b: Val,
    *,
    rows: int,
    vectors: int,
    lanes: int,
    row_stride: int,
    axes: Sequence[Axis],
    start: Sequence[Val] | None = None,
    load: Callable[[Val, int], Val] | None = None,
    row_offsets: Sequence[int] | None = None,
) -> list[Val]:
    """A tile of a product, held in registers while the sum runs.

    ``acc[r][v] = sum over axes of a[r * row_stride + ...] * b[... + v * lanes : + lanes]``: each
    turn loads ``vectors`` vectors of ``b`` and broadcasts one element of ``a`` for each row.

    Parameters
    ----------
    start : sequence, optional
        What the accumulators hold before the first turn; zeros if left out.
    load : callable, optional
        Loads vector number ``v`` of ``b`` from its place, for a width that is no whole number of
        vectors.
    row_offsets : sequence of int, optional
        Where each row of ``a`` begins, in place of ``row_stride``.

    Returns
    -------
    list
        ``rows * vectors`` accumulators, row by row.
    """
    acc = list(start) if start is not None else [zeros(lanes)] * (rows * vectors)
    axes = [x for x in axes if x.size > 1] or [Axis(1, 0, 0)]

    def sum_over(level: int, pa: Val, pb: Val, values: list[Val]) -> list[Val]:
        if level == len(axes):
            return step(pa, pb, values)
        axis = axes[level]
        if axis.size == 1:
            return sum_over(level + 1, pa, pb, values)
        with f.loop(0, axis.size, carry=values) as loop:
            loop.next = sum_over(
                level + 1,
                f.at(pa, (loop.index, axis.a)),
                f.at(pb, (loop.index, axis.b)),
                loop.carried,
            )
        return loop.result

    def step(pa: Val, pb: Val, values: list[Val]) -> list[Val]:
        places = [f.at(pb, (v * lanes, 1)) for v in range(vectors)]
        weights = [
            load(place, v) if load else f.load_vector(place, lanes)
            for v, place in enumerate(places)
        ]
        result = []
        for r in range(rows):
            offset = row_offsets[r] if row_offsets is not None else r * row_stride
            broadcast = f.splat(f.b.load(f.at(pa, (offset, 1))), lanes)
            result += [f.fma(broadcast, w, values[r * vectors + v]) for v, w in enumerate(weights)]
        return result

    return sum_over(0, a, b, acc)
