"""PlanBuilder: describes a model once, for every batch size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.backend import Array, require_device
from engine.errors import DTypeError, EngineError, PlanError
from engine.function import FUNCTIONS, check_size
from engine.init import checked
from engine.ops.half import FORMATS
from engine.optim.base import Optimizer
from engine.optim.clipping import check_limits
from engine.plan.graph import StaticGraph, StaticValue
from engine.value import Spec, named_dtype, setting

if TYPE_CHECKING:
    from engine.plan.plan import Plan

BATCH = "N"
SymbolicShape = tuple[int | str, ...]


class Dim(int):
    """A stand-in for the batch size that shows as ``N`` in messages."""

    def __repr__(self) -> str:
        return BATCH

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return BATCH


TRIALS = (Dim(7919), Dim(7927))
"""Two primes no layer has as a size: an axis that differs between them depends on the batch."""


@dataclass(frozen=True, slots=True)
class PlanValue:
    """A value of the model: its type, with the batch size as ``"N"``."""

    builder: PlanBuilder
    number: int
    shape: SymbolicShape
    dtype: str

    def __repr__(self) -> str:
        return f"PlanValue({self.dtype}{self.shape})"


@dataclass(frozen=True, slots=True)
class Leaf:
    """An input, parameter, state or constant, as it was declared."""

    kind: str
    name: str
    shape: SymbolicShape
    dtype: np.dtype[Any]
    init: str = "zeros"
    options: Mapping[str, Any] | None = None
    data: Array | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A declaration or a call, and the numbers of the values that it made."""

    what: Leaf | str
    args: tuple[Any, ...]
    attrs: Mapping[str, Any]
    results: tuple[int, ...]
    scope: str


class PlanBuilder:
    """Records a model, checking every call as it is made.

    Examples
    --------
    >>> b = PlanBuilder()
    >>> x = b.input("x", ("N", 4))
    >>> y = b.call("matmul", x, b.parameter("w", (2, 4), init="glorot_uniform"), transpose_b=True)
    >>> y.shape
    ('N', 2)
    """

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.leaves: dict[str, Leaf] = {}
        self.outputs: dict[str, PlanValue] = {}
        self.losses: dict[str, tuple[PlanValue, float]] = {}
        self.metrics: dict[str, PlanValue] = {}
        self._scope = ""
        # The second tells only how sizes depend on the batch.
        self._trials = (
            Tracer(StaticGraph(training=True), TRIALS[0]),
            Tracer(StaticGraph(training=True, keeps_calls=False), TRIALS[1]),
        )
        self._num_values = 0

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Give the calls inside a ``with`` block a name, under which steps and errors show."""
        before, self._scope = self._scope, name
        try:
            yield
        finally:
            self._scope = before

    def input(self, name: str, shape: Sequence[int | str], dtype: str = "float32") -> PlanValue:
        """Array that each batch brings; ``"N"`` stands for the batch size."""
        return self._declare(
            Leaf("input", name, _shape(name, shape), named_dtype(f"'{name}'", dtype))
        )

    def parameter(
        self, name: str, shape: Sequence[int], init: str = "zeros", **options: Any
    ) -> PlanValue:
        """Trainable float32 array, drawn by the initialiser ``init`` when the plan is built."""
        checked(init, options)
        leaf = Leaf("parameter", name, _shape(name, shape), np.dtype(np.float32), init, options)
        return self._declare(leaf)

    def state(
        self, name: str, shape: Sequence[int], value: float = 0.0, dtype: str = "float32"
    ) -> PlanValue:
        """Array that is kept and saved but not trained, such as a running mean."""
        options = {"value": float(value)}
        return self._declare(
            Leaf(
                "state",
                name,
                _shape(name, shape),
                named_dtype(f"'{name}'", dtype),
                "constant",
                options,
            )
        )

    def constant(self, data: Any) -> PlanValue:
        """Fixed array of numbers."""
        array = np.array(data)
        if array.dtype.kind not in "biuf":
            raise DTypeError(f"constant found element type {array.dtype}; expected numbers.")
        name = f"constant {self._num_values}"
        return self._declare(Leaf("constant", name, array.shape, array.dtype, data=array))

    def _declare(self, leaf: Leaf) -> PlanValue:
        if not leaf.name or leaf.name in self.leaves:
            raise PlanError(f"The plan has '{leaf.name}' already; expected a new name.")
        for n in leaf.shape:
            ok = n == BATCH if leaf.kind == "input" else False
            if not ok and not (isinstance(n, int | np.integer) and n >= 0):
                expected = "whole numbers" + (f" or '{BATCH}'" if leaf.kind == "input" else "")
                raise PlanError(f"'{leaf.name}' found shape {leaf.shape}; expected {expected}.")
        sizes = tuple(int(TRIALS[0]) if n == BATCH else int(n) for n in leaf.shape)
        check_size(f"'{leaf.name}'", Spec(sizes, leaf.dtype))
        self.leaves[leaf.name] = leaf
        value = self._record(leaf, (), {})
        assert isinstance(value, PlanValue)
        return value

    def call(self, op: str, *args: Any, **attrs: Any) -> Any:
        """Apply function ``op`` of ``engine.ops``; the result is a value, or a tuple of them.

        Raises
        ------
        ShapeError
            If the operands do not fit.
        """
        if op not in FUNCTIONS:
            raise PlanError(f"There is no operation '{op}'.")
        return self._record(op, args, attrs)

    def _record(self, what: Leaf | str, args: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        for arg in args:
            for value in arg if isinstance(arg, list | tuple) else (arg,):
                if isinstance(value, PlanValue) and value.builder is not self:
                    raise PlanError("A value of another plan was used; build each plan by itself.")
        start = self._num_values
        probe = Record(what, args, attrs, (), self._scope)
        try:
            found = [trial.execute(probe) for trial in self._trials]
        except EngineError as error:
            if self._scope:
                error.add_note(f"in '{self._scope}'")
            raise
        except (TypeError, ValueError, OverflowError) as error:
            raise PlanError(f"'{what}' was called wrongly: {error}") from error
        several = isinstance(found[0], tuple)
        pairs = list(zip(*found, strict=True)) if several else [tuple(found)]
        made = []
        for first, second in pairs:
            shape = tuple(_symbol(a, b) for a, b in zip(first.shape, second.shape, strict=True))
            made.append(PlanValue(self, self._num_values, shape, first.dtype.name))
            for trial, value in zip(self._trials, (first, second), strict=True):
                trial.values[self._num_values] = value
            self._num_values += 1
        numbers = tuple(range(start, self._num_values))
        self.records.append(Record(what, args, attrs, numbers, self._scope))
        return tuple(made) if several else made[0]

    def output(self, name: str, value: PlanValue) -> None:
        """Make ``value`` part of what ``forward`` returns."""
        self._name(name, self.outputs)
        self._require_own(name, value)
        self.outputs[name] = value

    def loss(self, name: str, value: PlanValue, weight: float = 1.0) -> None:
        """Minimise the scalar ``value``; several losses are added, each times its weight."""
        self._name(name, self.losses, self.metrics)
        self._require_scalar(name, value)
        if name == "loss" and self.losses:
            raise PlanError(
                "'loss' names the total; expected another name for one loss of several."
            )
        self.losses[name] = (value, setting(f"loss '{name}'", "weight", weight))

    def metric(self, name: str, value: PlanValue) -> None:
        """Report the scalar ``value`` beside the losses."""
        self._name(name, self.losses, self.metrics)
        self._require_scalar(name, value)
        self.metrics[name] = value

    def _name(self, name: str, *tables: Mapping[str, Any]) -> None:
        if not name or any(name in table for table in tables):
            raise PlanError(f"'{name}' is taken already; expected a new name.")

    def _require_own(self, name: str, value: PlanValue) -> None:
        if not isinstance(value, PlanValue) or value.builder is not self:
            raise PlanError(f"'{name}' found {value!r}; expected a value of this plan.")

    def _require_scalar(self, name: str, value: PlanValue) -> None:
        self._require_own(name, value)
        if value.shape != ():
            raise PlanError(
                f"'{name}' has shape {value.shape}; expected a scalar. Reduce it (mean)."
            )

    def build(
        self,
        optimizer: Optimizer | None = None,
        seed: int | None = 0,
        frozen: str | Sequence[str] = (),
        num_threads: int = 0,
        max_threads: int = 0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        accumulate: int = 1,
        device: str = "cpu",
        kept_as: str = "float32",
    ) -> Plan:
        """Make the plan: draw the parameters, lay out the memory.

        Parameters
        ----------
        optimizer : Optimizer, optional
            Needed for ``train_step``. The plan takes a copy.
        seed : int, optional
            Of the parameters and of all random operations; None takes one from the system.
        frozen : names of parameters
            Not trained.
        num_threads : int
            Threads of native programs. 0 chooses for each program what its work is worth.
        max_threads : int
            Limit of that choice; 0 for the number of cores.
        clip_norm, clip_value : float, optional
            Greatest norm of all gradients together, and greatest size of each element.
        accumulate : int
            Batches whose mean gradient makes one step of the optimiser.
        device : str
            "cpu", or "gpu": all arrays of the plan lie in CuPy's memory there, batches and results
            stay NumPy's.
        kept_as : str
            How results wait for the backward pass: "float32", or in half the memory "bfloat16" (8
            binary digits, the range of float32) or "float16" (11 digits, infinite above 65504).
            Everything is computed in float32, so the loss is the same; gradients are those of the
            rounded results.

        Raises
        ------
        EngineError
            If a setting is out of range, or the device is not there: says what to install.
        """
        from engine.plan.plan import Plan

        require_device(device)
        check_limits(clip_norm, clip_value)
        if optimizer is not None and not isinstance(optimizer, Optimizer):
            raise PlanError(
                f"build found optimizer={optimizer!r}; expected an optimiser, such as "
                "engine.optim.Adam(1e-3)."
            )
        whole = [("accumulate", accumulate, 1), ("num_threads", num_threads, 0)]
        whole += [("max_threads", max_threads, 0)]
        whole += [] if seed is None else [("seed", seed, 0)]
        for what, number, low in whole:
            if not isinstance(number, int | np.integer) or number < low:
                raise PlanError(
                    f"build found {what}={number!r}; expected a whole number of {low} or more."
                )
        if kept_as not in ("float32", *FORMATS):
            known = ", ".join(("float32", *FORMATS))
            raise PlanError(f"build found kept_as={kept_as!r}; expected one of {known}.")
        limits = (clip_norm, clip_value)
        return Plan(
            self,
            optimizer,
            seed,
            listed("build", "frozen", frozen),
            num_threads,
            max_threads,
            limits,
            accumulate,
            device,
            kept_as,
        )

    @property
    def reached(self) -> set[str]:
        """Names of the parameters to which some loss sends a gradient."""
        trial = self._trials[0]
        seen: dict[int, StaticValue] = {}
        stack = [trial.values[v.number] for v, _ in self.losses.values()]
        while stack:
            value = stack.pop()
            if value.requires_grad and id(value) not in seen:
                seen[id(value)] = value
                if value.producer is not None:
                    stack.extend(value.producer.inputs)
        return {v.name for v in seen.values() if v.kind == "parameter"}

    @property
    def convolved(self) -> set[str]:
        """Names of the leaves that a convolution reads: better kept with the channels fastest."""
        return {
            v.name
            for call in self._trials[0].graph.calls
            if call.primitive.name in ("conv", "conv_input_gradient", "max_pool", "average_pool")
            for v in call.inputs
            if isinstance(v, StaticValue) and v.name
        }


def listed(what: str, name: str, given: Any) -> tuple[str, ...]:
    """Names as a tuple; one may be given by itself.

    Raises
    ------
    PlanError
        If they are something else.
    """
    single = isinstance(given, str) or not isinstance(given, Iterable)
    names = (given,) if single else tuple(given)
    if not all(isinstance(n, str) for n in names):
        raise PlanError(f"{what} found {name}={given!r}; expected a name, or a list of names.")
    return names


def _shape(name: str, shape: Any) -> SymbolicShape:
    if isinstance(shape, str) or not isinstance(shape, Iterable):
        raise PlanError(
            f"'{name}' found shape {shape!r}; expected a sequence, such as ({shape!r},)."
        )
    return tuple(shape)


class Tracer:
    """Plays records on a static graph for one batch size."""

    def __init__(self, graph: StaticGraph, batch: int, frozen: Iterable[str] = ()) -> None:
        self.graph, self.batch, self.frozen = graph, batch, frozenset(frozen)
        self.values: dict[int, Any] = {}
        self.named: dict[str, StaticValue] = {}

    def execute(self, record: Record) -> Any:
        """The value, or tuple of values, that the record makes."""
        if isinstance(record.what, Leaf):
            return self._leaf(record.what)
        self.graph.scope = record.scope
        attrs = {k: self._concrete(v) for k, v in record.attrs.items()}
        args = [self._argument(a) for a in record.args]
        result = self.graph.call_function(record.what, args, attrs)
        return result

    def play(self, records: Sequence[Record]) -> None:
        for record in records:
            made = self.execute(record)
            values = made if isinstance(made, tuple) else (made,)
            self.values.update(zip(record.results, values, strict=True))

    def _leaf(self, leaf: Leaf) -> StaticValue:
        if leaf.data is not None:
            return self.graph.constant(leaf.data)
        shape = tuple(self.batch if n == BATCH else int(n) for n in leaf.shape)
        trained = leaf.kind == "parameter" and leaf.name not in self.frozen
        value = self.graph.leaf(
            leaf.kind, leaf.name, Spec(shape, leaf.dtype), requires_grad=trained
        )
        self.named[leaf.name] = value
        return value

    def _argument(self, arg: Any) -> Any:
        if isinstance(arg, PlanValue):
            return self.values[arg.number]
        if isinstance(arg, list | tuple) and any(isinstance(a, PlanValue) for a in arg):
            return tuple(self._argument(a) for a in arg)
        return self._concrete(arg)

    def _concrete(self, attr: Any) -> Any:
        """An attribute with the batch size in the place of ``"N"``."""
        if isinstance(attr, PlanValue):
            return self.values[attr.number]
        if isinstance(attr, list | tuple):
            return tuple(
                self.batch if isinstance(a, str) and a == BATCH else self._concrete(a) for a in attr
            )
        return attr


def _symbol(first: int, second: int) -> int | str:
    """A size as a number, or as an expression of the batch size where the trials differ."""
    if first == second:
        return int(first)
    slope, rest = divmod(second - first, TRIALS[1] - TRIALS[0])
    offset = first - slope * TRIALS[0]
    if rest:
        return "?"
    text = BATCH if slope == 1 else f"{slope}*{BATCH}"
    return text if offset == 0 else f"{text}{offset:+d}"
