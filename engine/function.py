"""Primitives, the table of functions, and the backward walk that eager tensors and plans share.

A *primitive* has a shape rule, a kernel and a gradient rule. Gradient rules are written in terms of
other functions, so one rule serves the eager walk, the plan that differentiates once while it is
built, and gradients of gradients. A *function* is what users call: it checks and completes its
arguments and combines primitives.
"""

from __future__ import annotations

import heapq
import inspect
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np

from engine.backend import Array, array_module
from engine.errors import DTypeError, EngineError, NotDifferentiableError, ShapeError
from engine.value import Spec, Value

Step = Callable[[], Any]
"""A kernel bound to its arrays: calling it computes the outputs."""

MAX_BYTES = 2**47
"""More than any processor can address. NumPy's own arithmetic on sizes overflows beyond 2^63."""

Axes = tuple[int, ...]
"""Memory order of an array: its axes from the slowest to the fastest."""

_sequence = itertools.count()


@dataclass(slots=True, eq=False)
class Call:
    """One use of a primitive: what it read, what it made, and which inputs want a gradient."""

    primitive: Primitive
    inputs: tuple[Value, ...]
    attrs: dict[str, Any]
    needs: tuple[bool, ...]
    results: Sequence[Any]
    order: int = field(default_factory=lambda: next(_sequence))
    scope: str = ""

    @property
    def outputs(self) -> tuple[Value, ...]:
        """The results as values, for gradient rules that use them."""
        return tuple(self.results)


def check_size(what: str, spec: Spec) -> None:
    """Raise ShapeError if no memory can hold an array of this type."""
    if spec.num_bytes > MAX_BYTES:
        raise ShapeError(
            f"{what} would make {spec}, which is {spec.num_bytes:.1e} bytes; expected at most "
            f"{MAX_BYTES:.1e}. Make the shape smaller."
        )


class Primitive(ABC):
    """An operation with its own kernel. One instance each, found by name in ``PRIMITIVES``."""

    name: ClassVar[str]
    inplace: ClassVar[tuple[int, ...]] = ()
    """Inputs whose memory an output may take over, where nobody reads them later."""
    inplace_output: ClassVar[int] = 0
    """Which output that is."""
    uses_outputs: ClassVar[bool] = False
    """True if the gradient rule reads the outputs."""
    passes_gradient: ClassVar[bool] = True
    """False if no gradient flows through, whatever the inputs: the walk back ends here."""
    elementwise: ClassVar[bool] = False
    """True if every output element depends on the input elements at its place (broadcast)."""
    indices: ClassVar[int | None] = None
    """The input of whole numbers that must lie in a range, if there is one.

    On the host the kernel checks them. On a GPU it must not wait for them: who runs it checks.
    """

    def check(self, ids: Array, *inputs: Spec, **attrs: Any) -> None:
        """Raise EngineError if a number among ``indices``, given on the host, is out of range."""
        raise NotImplementedError

    @abstractmethod
    def infer(self, *inputs: Spec, **attrs: Any) -> Spec | tuple[Spec, ...]:
        """Types of the outputs; raises ShapeError where the inputs do not fit."""

    @abstractmethod
    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        """The kernel, bound to its arrays. Everything that can be done once is done here."""

    def scratch(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        """Working memory that the kernel needs while it runs."""
        return ()

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        """Gradients with respect to the inputs, None where there is none.

        ``grads`` has one entry an output; entries of outputs that nothing reads are None.
        """
        raise NotDifferentiableError(f"'{self.name}' has no gradient.")

    def layout(self, orders: Sequence[Axes], specs: Sequence[Spec], **attrs: Any) -> list[Axes]:
        """Memory orders of the outputs in a plan, given those of the inputs (``orders``).

        Elementwise primitives keep the order of their first full-size input that is not
        row-major (a convolution's), else row-major; so do others unless they say otherwise.
        """
        outputs = self.infer_all(specs, attrs)
        result = []
        for output in outputs:
            order = tuple(range(len(output.shape)))
            if self.elementwise:
                for candidate, spec in zip(orders, specs, strict=True):
                    if spec.shape == output.shape and candidate != order:
                        order = candidate
                        break
            result.append(order)
        return result

    def infer_all(self, inputs: Sequence[Spec], attrs: Mapping[str, Any]) -> tuple[Spec, ...]:
        """``infer``, always as a tuple.

        Raises
        ------
        ShapeError
            If a result would be too large for any memory.
        """
        result = self.infer(*inputs, **attrs)
        types = (result,) if isinstance(result, Spec) else result
        for spec in types:
            check_size(self.name, spec)
        return types


def measuring(ids: Array, ends: Array, attrs: Mapping[str, Any]) -> Step:
    """A step that writes the least and the greatest of ``ids`` into ``ends`` (2,).

    Both are in range if and only if all are; the ids that ``attrs`` says to ignore count as 0. It
    neither waits for them nor allocates.
    """
    low, high = ends[0, ...], ends[1, ...]

    def extremes() -> None:
        np.min(seen, out=low)
        np.max(seen, out=high)

    if "ignore_index" not in attrs:
        seen = ids
        return extremes
    ignore: int = attrs["ignore_index"]
    seen, counts = np.empty_like(ids), np.empty_like(ids, dtype=bool)

    def counted() -> None:
        np.not_equal(ids, ignore, out=counts)
        np.multiply(ids, counts, out=seen)
        extremes()

    return counted


class ViewPrimitive(Primitive):
    """A primitive whose outputs are the input's memory seen differently, where strides allow."""

    @abstractmethod
    def views(self, array: Array, **attrs: Any) -> Sequence[Array]:
        """The outputs as views of ``array``; NumPy may copy where no view is possible."""

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        source = inputs[0]

        def step() -> None:
            for target, seen in zip(outputs, self.views(source, **attrs), strict=True):
                target[...] = seen

        return step


PRIMITIVES: dict[str, Primitive] = {}
FUNCTIONS: dict[str, Callable[..., Any]] = Value.functions

P = TypeVar("P", bound=type[Primitive])
F = TypeVar("F", bound=Callable[..., Any])


def primitive(cls: P) -> P:
    """Register a primitive. A second one of the same name is refused."""
    if cls.name in PRIMITIVES:
        other = type(PRIMITIVES[cls.name]).__module__
        raise EngineError(f"Primitive '{cls.name}' is in {other} and again in {cls.__module__}.")
    PRIMITIVES[cls.name] = cls()
    return cls


def function(name: str) -> Callable[[F], F]:
    """Register what ``engine.ops`` and ``PlanBuilder.call`` offer under ``name``.

    Parameters annotated as ``Any`` are operands: an array that is given for one, or in a sequence
    of them, becomes a constant like the values beside it.
    """

    def register(f: F) -> F:
        if name in FUNCTIONS:
            raise EngineError(f"Function '{name}' is defined in {FUNCTIONS[name].__module__} too.")
        FUNCTIONS[name] = taking_arrays(f)
        return FUNCTIONS[name]  # type: ignore[return-value]

    return register


def taking_arrays(f: Callable[..., Any]) -> Callable[..., Any]:
    """``f`` with arrays of the host among its operands made constants like the values beside them.

    Operands are the parameters annotated ``Any`` without a default, or with None for one.
    """
    parameters = inspect.signature(f).parameters
    operands = [
        p.annotation in (Any, "Any") and p.default in (inspect.Parameter.empty, None)
        for p in parameters.values()
    ]
    whole = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters.values())
    names = {name for name, is_one in zip(parameters, operands, strict=True) if is_one}

    def lifted(args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        places = [isinstance(a, np.ndarray) and (whole or operands[i]) for i, a in enumerate(args)]
        named = [k for k, v in options.items() if isinstance(v, np.ndarray) and k in names]
        make = _carrier(*args, *options.values()).constant_like
        args = tuple(make(a) if is_one else a for a, is_one in zip(args, places, strict=True))
        return f(*args, **{k: make(v) if k in named else v for k, v in options.items()})

    ndarray = np.ndarray  # found in an instant: this runs in front of every operation

    @wraps(f)
    def call(*args: Any, **options: Any) -> Any:
        for value in args:
            if type(value) is ndarray:
                return lifted(args, options)
        if options and any(type(value) is ndarray for value in options.values()):
            return lifted(args, options)
        try:
            return f(*args, **options)
        except TypeError as error:
            if options.keys() - parameters.keys():
                error.add_note(f"It takes {', '.join(parameters)}.")
            raise

    return call


def _carrier(*operands: Any) -> Value:
    """Of all values, one like which constants are to be made; a tensor if there is none."""
    found = max(
        (v for v in operands if isinstance(v, Value)), key=lambda v: v.priority, default=None
    )
    if found is None:
        from engine.tensor import tensor

        found = tensor(np.zeros((), np.float32))
    return found


def apply_all(name: str, *inputs: Value, **attrs: Any) -> tuple[Any, ...]:
    """Carry out primitive ``name``; all its outputs."""
    carrier = inputs[0]
    for value in inputs[1:]:
        if value.priority > carrier.priority:
            carrier = value
    return carrier.run_primitive(PRIMITIVES[name], inputs, attrs)


def apply(name: str, *inputs: Value, **attrs: Any) -> Any:
    """Carry out primitive ``name``; its first output."""
    return apply_all(name, *inputs, **attrs)[0]


def lift(*operands: Any) -> tuple[Any, ...]:
    """Operands as values: Python numbers and arrays become constants like the values among them.

    A number takes the element type of the value beside it, so that ``x * 2`` never changes type.

    Raises
    ------
    DTypeError
        If that type cannot hold the number: a fraction beside whole numbers.
    """
    carrier = _carrier(*operands)
    return tuple(
        value if isinstance(value, Value) else carrier.constant_like(_array(value, carrier.dtype))
        for value in operands
    )


def lift_ids(what: str, ids: Any, *beside: Any) -> Any:
    """Ids as a value: a list of whole numbers becomes a constant like the values beside it.

    Raises
    ------
    DTypeError
        If it is no regular list of whole numbers.
    """
    if isinstance(ids, Value):
        return ids
    try:
        found = np.asarray(ids)
        whole = found.dtype.kind in "iu" or not found.size
    except ValueError:  # rows of different lengths
        whole = False
    if not whole:
        raise DTypeError(f"{what} found {ids!r}; expected whole numbers, such as [2, 0, 1].")
    return _carrier(*beside).constant_like(found.astype(np.int64))


def _array(value: Any, dtype: np.dtype[Any]) -> Array:
    """An array as it is; a number, or a list of them, in the given element type."""
    if isinstance(value, np.ndarray) or array_module(value) is not np:
        return value  # type: ignore[no-any-return]
    found = np.asarray(value)
    try:
        fits = found.dtype.kind in "biu" and dtype.kind != "b" if dtype.kind != "f" else True
        if found.dtype.kind in "biuf" and (fits or found.dtype == dtype):
            return np.asarray(value, dtype)
    except OverflowError:
        pass
    raise DTypeError(
        f"found {value!r} beside an operand of type {dtype.name}, which cannot hold it; "
        "expected a number that fits. Convert the operand with cast first."
    )


class Execution(NamedTuple):
    """A primitive that was carried out on tensors."""

    name: str
    attrs: Mapping[str, Any]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]


Observer = Callable[[Execution], None]


class _Mode:
    """Whether eager calls are recorded, and who is told of each."""

    recording = True
    observers: tuple[Observer, ...] = ()


_mode = _Mode()


def is_recording() -> bool:
    """True while calls on tensors are recorded for a backward walk."""
    return _mode.recording


@contextmanager
def recording(enabled: bool) -> Iterator[None]:
    """Switch the recording of calls on or off inside a ``with`` block."""
    before, _mode.recording = _mode.recording, enabled
    try:
        yield
    finally:
        _mode.recording = before


def no_grad() -> Any:
    """Context in which calls are not recorded: no memory kept, no gradients."""
    return recording(False)


@contextmanager
def observe(observer: Observer) -> Iterator[None]:
    """Call ``observer`` after every primitive that runs on tensors inside a ``with`` block.

    A backward walk runs primitives too, so it is seen as well. What the observer itself computes
    is not. It may raise to stop the computation, at the first number that is none for instance.
    """
    before, _mode.observers = _mode.observers, (*_mode.observers, observer)
    try:
        yield
    finally:
        _mode.observers = before


def tell(execution: Execution) -> None:
    """Let the observers know; they are not told of their own computations."""
    observers, _mode.observers = _mode.observers, ()
    try:
        with recording(False):
            for observer in observers:
                observer(execution)
    finally:
        _mode.observers = observers


def is_observed() -> bool:
    """True inside a block of ``observe``."""
    return bool(_mode.observers)


def walk_back(
    seeds: Sequence[tuple[Value, Value]], visit: Callable[[Value, Any], Any] | None = None
) -> dict[int, tuple[Value, Any]]:
    """Gradients of all leaves reached from ``seeds``, by ``id(leaf)``.

    Parameters
    ----------
    seeds : sequence of (value, gradient)
        Where the walk starts.
    visit : callable, optional
        Called with each produced value and its complete gradient before it goes on; what it
        returns takes the gradient's place.

    Notes
    -----
    Calls are numbered in the order in which they were made, and a call's inputs are always
    older than its outputs: a heap on that number visits every call after all its readers,
    without recursion, however deep the graph.
    """
    leaves: dict[int, tuple[Value, Any]] = {}
    pending: dict[int, tuple[Call, list[Any]]] = {}
    heap: list[int] = []

    def give(value: Value, grad: Any) -> None:
        call = value.producer
        if call is None:
            known = leaves.get(id(value))
            leaves[id(value)] = (value, grad if known is None else known[1] + grad)
            return
        entry = pending.get(call.order)
        if entry is None:
            entry = pending[call.order] = (call, [None] * len(call.results))
            heapq.heappush(heap, -call.order)
        slots = entry[1]
        held = slots[value.index]
        slots[value.index] = grad if held is None else held + grad

    for value, grad in seeds:
        if value.requires_grad:
            give(value, grad)
    while heap:
        call, grads = pending.pop(-heapq.heappop(heap))
        if visit is not None:
            for value in call.outputs:
                if grads[value.index] is not None:
                    grads[value.index] = visit(value, grads[value.index])
        for value, need, grad in zip(
            call.inputs, call.needs, call.primitive.gradient(call, *grads), strict=True
        ):
            if need and grad is not None:
                give(value, grad)
    return leaves
