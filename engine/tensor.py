"""Tensor: an array, its gradient, and the call that made it."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from engine.backend import Array, array_module, device_of, placed, to_numpy
from engine.errors import DTypeError, EngineError, ShapeError
from engine.function import (
    Call,
    Execution,
    Primitive,
    ViewPrimitive,
    is_observed,
    is_recording,
    lift,
    measuring,
    recording,
    tell,
    walk_back,
)
from engine.random import next_key
from engine.value import FLOATS, Spec, Value, named_dtype

_PLAIN = frozenset((bool, float, int, list, tuple))

Hook = Callable[["Tensor"], "Tensor | None"]


class EagerCall(Call):
    """A recorded call that holds its results as plain arrays, so that no reference cycle arises."""

    __slots__ = ("watched",)
    watched: dict[int, weakref.ref[Tensor]]

    @property
    def outputs(self) -> tuple[Value, ...]:
        if not self.inputs:
            raise EngineError(
                "The record was used up by an earlier backward(). "
                "Pass retain_graph=True to the first one to walk twice."
            )
        made = []
        for i, array in enumerate(self.results):
            alive = self.watched.get(i)
            value = alive() if alive is not None else None
            if value is None:
                value = Tensor(array, requires_grad=array.dtype in FLOATS)
                value.producer, value.index = self, i
            made.append(value)
        return tuple(made)


class Tensor(Value):
    """An array with automatic differentiation, define-by-run.

    Parameters
    ----------
    data : array
        Kept as it is, not copied.
    requires_grad : bool
        Collect ``d loss / d self`` in ``grad`` when ``backward`` runs.
    """

    __slots__ = (
        "__weakref__",
        "data",
        "grad",
        "hooks",
        "index",
        "producer",
        "requires_grad",
        "retains",
    )

    def __init__(self, data: Array, requires_grad: bool = False) -> None:
        if type(data) in _PLAIN:
            raise EngineError(
                f"Tensor found a {type(data).__name__}; expected an array. "
                "engine.tensor makes a tensor of lists and numbers."
            )
        if requires_grad and data.dtype not in FLOATS:
            raise DTypeError(
                f"requires_grad found element type {data.dtype.name}; expected float32 or float64."
            )
        self.data = data
        self.grad: Tensor | None = None
        self.requires_grad = requires_grad
        self.producer: Call | None = None
        self.index = 0
        self.hooks: list[Hook] = []
        self.retains = False

    @property
    def spec(self) -> Spec:
        return Spec(self.data.shape, self.data.dtype)

    def constant_like(self, array: Array) -> Tensor:
        return Tensor(array_module(self.data).asarray(array))

    def random_key(self) -> Tensor:
        return self.constant_like(next_key())

    def run_primitive(
        self, primitive: Primitive, inputs: tuple[Value, ...], attrs: dict[str, Any]
    ) -> tuple[Value, ...]:
        xp = array_module(*(v.data for v in inputs if isinstance(v, Tensor)))
        arrays = [_data(v) for v in inputs]
        specs = [Spec(a.shape, a.dtype) for a in arrays]
        types = primitive.infer_all(specs, attrs)
        if xp is not np and primitive.indices is not None:
            _check_on_device(primitive, arrays[primitive.indices], specs, attrs)
        with np.errstate(all="ignore"):
            if isinstance(primitive, ViewPrimitive):
                results = list(primitive.views(arrays[0], **attrs))
            else:
                results = [xp.empty(t.shape, t.dtype) for t in types]
                room = [xp.empty(t.shape, t.dtype) for t in primitive.scratch(*specs, **attrs)]
                primitive.prepare(arrays, results, room, **attrs)()
        outputs = tuple(Tensor(r) for r in results)
        needs = tuple(v.requires_grad for v in inputs)
        if is_recording() and primitive.passes_gradient and any(needs):
            call = EagerCall(primitive, inputs, attrs, needs, results)
            call.watched = {}
            for i, out in enumerate(outputs):
                if out.data.dtype in FLOATS:
                    out.producer, out.index, out.requires_grad = call, i, True
                    call.watched[i] = weakref.ref(out)
        if is_observed():
            tell(Execution(primitive.name, attrs, inputs, outputs))
        return outputs

    def backward(
        self,
        gradient: Tensor | Array | None = None,
        *,
        retain_graph: bool = False,
        create_graph: bool = False,
    ) -> None:
        """Add ``d self / d leaf`` to ``leaf.grad`` of every leaf that requires it.

        Parameters
        ----------
        gradient : Tensor or array, optional
            Gradient of the final result with respect to this tensor; only a scalar may omit it.
        retain_graph : bool
            Keep the record, so that ``backward`` can run again.
        create_graph : bool
            Record the backward walk itself, for gradients of gradients.

        Raises
        ------
        EngineError
            If nothing here was recorded, or the record was already used up.
        """
        for leaf, grad in self._walk(gradient, retain_graph, create_graph):
            grad = _hooked(leaf, grad)
            leaf.grad = grad if leaf.grad is None else leaf.grad + grad

    def _walk(
        self, gradient: Tensor | Array | None, retain_graph: bool, create_graph: bool
    ) -> list[tuple[Tensor, Tensor]]:
        if not self.requires_grad:
            raise EngineError(
                "backward() needs a result that depends on a tensor with requires_grad=True, "
                "computed outside no_grad()."
            )
        if gradient is None:
            if self.size != 1:
                raise ShapeError(
                    f"backward() found shape {self.shape}; expected a scalar. "
                    "Reduce it first (sum, mean), or pass gradient."
                )
            gradient = array_module(self.data).ones(self.shape, self.dtype)
        seed = lift(gradient, self)[0]
        if seed.spec != self.spec:
            raise ShapeError(f"gradient is {seed.spec}; expected {self.spec} like the tensor.")
        visited: list[Call] = []

        def visit(value: Value, grad: Any) -> Any:
            assert isinstance(value, Tensor)
            assert value.producer is not None
            visited.append(value.producer)
            grad = _hooked(value, grad)
            if value.retains:
                value.grad = grad if value.grad is None else value.grad + grad
            return grad

        with recording(create_graph):
            leaves = walk_back([(self, seed)], visit)
        if not (retain_graph or create_graph):
            for call in visited:
                call.inputs = ()
                call.results = [None] * len(call.results)
        return [(leaf, grad) for leaf, grad in leaves.values() if isinstance(leaf, Tensor)]

    def register_hook(self, hook: Hook) -> Callable[[], None]:
        """Call ``hook(gradient)`` when this tensor's gradient is complete; it may replace it.

        Returns a function that removes the hook.
        """
        self.hooks.append(hook)
        return lambda: self.hooks.remove(hook)

    def retain_grad(self) -> None:
        """Keep ``grad`` of this intermediate result too."""
        self.retains = True

    def zero_grad(self) -> None:
        self.grad = None

    def detach(self) -> Tensor:
        """The same array without its history."""
        return Tensor(self.data)

    def assign(self, value: Any) -> None:
        if value.spec != self.spec:
            raise ShapeError(f"assign found {value.spec}; expected {self.spec}.")
        self.data[...] = value.data

    def to(self, device: str) -> Tensor:
        """A tensor with this one's numbers on the "cpu" or the "gpu", without its history."""
        return Tensor(placed(self.data, device), self.requires_grad)

    def numpy(self) -> Array:
        """The array on the host."""
        return to_numpy(self.data)

    def item(self) -> float:
        """The only element as a Python number."""
        return self._only("item")  # type: ignore[no-any-return]

    def tolist(self) -> Any:
        """Nested lists of Python numbers; one number for a scalar."""
        return self.numpy().tolist()

    @property
    def device(self) -> str:
        """Where the array is: "cpu" or "gpu"."""
        return device_of(self.data)

    def __len__(self) -> int:
        if not self.shape:
            raise ShapeError("len found a scalar; expected a tensor of rank 1 or more.")
        return len(self.data)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self._only("bool"))

    def __float__(self) -> float:
        return float(self._only("float"))

    def __int__(self) -> int:
        return int(self._only("int"))

    def __format__(self, spec: str) -> str:
        return format(self._only("format"), spec) if spec else str(self)

    def _only(self, what: str) -> Any:
        if self.size != 1:
            raise ShapeError(f"{what} found shape {self.shape}; expected a single element.")
        return to_numpy(self.data).item()

    __array_ufunc__ = None  # an array beside a tensor leaves the sum to the tensor

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        array = np.asarray(self.numpy(), dtype)
        return array.copy() if copy else array

    def __repr__(self) -> str:
        suffix = ", requires_grad=True" if self.requires_grad else ""
        return f"tensor({np.array2string(self.numpy(), separator=', ')}{suffix})"


def _check_on_device(
    primitive: Primitive, ids: Array, specs: Sequence[Spec], attrs: dict[str, Any]
) -> None:
    """Refuse indices out of range, as the kernel itself does on the host."""
    if ids.size:
        ends = array_module(ids).empty(2, ids.dtype)
        measuring(ids, ends, attrs)()
        primitive.check(to_numpy(ends), *specs, **attrs)


def _data(value: Value) -> Array:
    if not isinstance(value, Tensor):
        raise EngineError(f"expected tensors, found {type(value).__name__}.")
    return value.data


def _hooked(value: Tensor, grad: Any) -> Any:
    for hook in value.hooks:
        replaced = hook(grad)
        grad = grad if replaced is None else replaced
    return grad


def tensor(data: Any, *, dtype: str | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor of ``data``, which is copied.

    Python floats become float32, integers int64; arrays keep their element type.

    Raises
    ------
    DTypeError, ShapeError
        If the data are no numbers, or rows of a list differ in length.
    """
    if isinstance(data, Tensor):
        data = data.data
    xp = array_module(data)
    target = None if dtype is None else named_dtype("tensor", dtype)
    try:
        array = xp.array(data, target)
    except (TypeError, ValueError) as error:
        raise ShapeError(f"tensor found data of no regular shape or type: {error}") from error
    if array.dtype.kind not in "biuf":
        raise DTypeError(f"tensor found element type {array.dtype.name}; expected numbers.")
    if dtype is None and not hasattr(data, "dtype") and array.dtype == np.float64:
        array = array.astype(np.float32)
    return Tensor(array, requires_grad)


def grad(
    output: Tensor,
    inputs: Tensor | Sequence[Tensor],
    gradient: Tensor | None = None,
    *,
    retain_graph: bool = False,
    create_graph: bool = False,
) -> list[Tensor]:
    """``d output / d input`` for leaf ``inputs``, as tensors; ``input.grad`` stays untouched.

    A single input may stand for a list of one. An input on which the output does not depend has a
    gradient of zeros.
    """
    if isinstance(inputs, Tensor):  # whose rows are tensors as well, but none that was used
        inputs = [inputs]
    found = {id(leaf): g for leaf, g in output._walk(gradient, retain_graph, create_graph)}
    return [
        found[id(x)] if id(x) in found else Tensor(array_module(x.data).zeros_like(x.data))
        for x in inputs
    ]
