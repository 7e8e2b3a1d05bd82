"""What tensors and the symbols of a plan have in common: a type, and operators."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from engine.errors import DTypeError, EngineError

if TYPE_CHECKING:
    from engine.backend import Array
    from engine.function import Call, Primitive

Shape = tuple[int, ...]
FLOATS = (np.dtype("float32"), np.dtype("float64"))


class Spec(NamedTuple):
    """Shape and element type of an array."""

    shape: Shape
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def num_bytes(self) -> int:
        return self.size * self.dtype.itemsize

    def with_shape(self, shape: Shape) -> Spec:
        return Spec(shape, self.dtype)

    def with_dtype(self, dtype: str | np.dtype[Any]) -> Spec:
        return Spec(self.shape, np.dtype(dtype))

    def __repr__(self) -> str:
        return f"{self.dtype.name}{self.shape}"


def same_dtype(what: str, *specs: Spec) -> np.dtype[Any]:
    """The one element type of all operands.

    Raises
    ------
    DTypeError
        If they differ.
    """
    for spec in specs[1:]:
        if spec.dtype is not specs[0].dtype and spec.dtype != specs[0].dtype:
            found = " and ".join(s.dtype.name for s in specs)
            raise DTypeError(
                f"{what} found element types {found}; expected the same for all. "
                "Convert one of them with cast."
            )
    return specs[0].dtype


def named_dtype(what: str, name: Any) -> np.dtype[Any]:
    """The element type of that name.

    Raises
    ------
    DTypeError
        If there is none, or it holds no numbers.
    """
    found: np.dtype[Any]
    try:
        found = np.dtype(name)
    except TypeError:
        found = np.dtype(object)
    if found.kind not in "biuf":
        raise DTypeError(
            f"{what} found element type {name!r}; expected one such as 'float32', 'int64', 'bool'."
        )
    return found


def setting(
    what: str, name: str, value: Any, low: float = -math.inf, high: float = math.inf
) -> float:
    """A setting as a float.

    Raises
    ------
    EngineError
        If it is no finite number, or lies outside ``low .. high``.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if math.isfinite(number) and low <= number <= high:
        return number
    limits = {
        (True, True): "",
        (False, True): f" of {low:g} or more",
        (True, False): f" of {high:g} or less",
        (False, False): f" from {low:g} to {high:g}",
    }[math.isinf(low), math.isinf(high)]
    raise EngineError(f"{what} found {name}={value!r}; expected a finite number{limits}.")


def require_float(what: str, spec: Spec) -> None:
    """Raise DTypeError unless the operand has a floating type."""
    if spec.dtype not in FLOATS:
        raise DTypeError(
            f"{what} found element type {spec.dtype.name}; expected float32 or float64. "
            "Convert it with cast."
        )


class Value:
    """A typed operand: an eager ``Tensor`` or a symbol inside a plan.

    Operators look their function up by name in the table of functions, so that this module
    knows no operation.
    """

    __slots__ = ()
    functions: ClassVar[dict[str, Callable[..., Any]]] = {}
    priority: ClassVar[int] = 0
    """Of several kinds of operands, the one with the highest priority carries out the call."""

    producer: Call | None
    index: int
    requires_grad: bool

    @property
    def spec(self) -> Spec:
        raise NotImplementedError

    @property
    def shape(self) -> Shape:
        return self.spec.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.spec.dtype

    @property
    def ndim(self) -> int:
        return len(self.spec.shape)

    @property
    def size(self) -> int:
        return self.spec.size

    def run_primitive(
        self, primitive: Primitive, inputs: tuple[Value, ...], attrs: dict[str, Any]
    ) -> tuple[Value, ...]:
        """Carry out a primitive on operands of this kind."""
        raise NotImplementedError

    def constant_like(self, array: Array) -> Value:
        """A constant of the same kind as this value."""
        raise NotImplementedError

    @property
    def is_training(self) -> bool:
        """Whether operations that differ between training and inference are to train."""
        return True

    def detach(self) -> Any:
        """The same data, through which no gradient flows."""
        raise NotImplementedError

    def assign(self, value: Any) -> None:
        """Overwrite this state with ``value``; in a plan, at the end of a training step."""
        raise NotImplementedError

    def random_key(self) -> Value:
        """A new key for a random operation: uint32 (2,), of the same kind as this value."""
        raise NotImplementedError

    def _call(self, name: str, *args: Any, **attrs: Any) -> Any:
        return Value.functions[name](*args, **attrs)

    def __add__(self, other: Any) -> Any:
        return self._call("add", self, other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self._call("subtract", self, other)

    def __rsub__(self, other: Any) -> Any:
        return self._call("subtract", other, self)

    def __mul__(self, other: Any) -> Any:
        return self._call("multiply", self, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        return self._call("divide", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._call("divide", other, self)

    def __pow__(self, other: Any) -> Any:
        return self._call("power", self, other)

    def __rpow__(self, other: Any) -> Any:
        return self._call("power", other, self)

    def __neg__(self) -> Any:
        return self._call("negative", self)

    def __abs__(self) -> Any:
        return self._call("abs", self)

    def __eq__(self, other: Any) -> Any:
        return self._compare("equal", other)

    def __ne__(self, other: Any) -> Any:
        return self._compare("not_equal", other)

    def __lt__(self, other: Any) -> Any:
        return self._compare("less", other)

    def __le__(self, other: Any) -> Any:
        return self._compare("less_equal", other)

    def __gt__(self, other: Any) -> Any:
        return self._compare("greater", other)

    def __ge__(self, other: Any) -> Any:
        return self._compare("greater_equal", other)

    # A value is one and the same whatever it is equal to: sets and dictionaries go by identity.
    __hash__ = object.__hash__

    def _compare(self, name: str, other: Any) -> Any:
        """Element by element; what holds no numbers, such as None, is simply another object."""
        if not _holds_numbers(other):
            return NotImplemented
        return self._call(name, self, other)

    def __matmul__(self, other: Any) -> Any:
        return self._call("matmul", self, other)

    def __and__(self, other: Any) -> Any:
        return self._call("logical_and", self, other)

    def __or__(self, other: Any) -> Any:
        return self._call("logical_or", self, other)

    def __invert__(self) -> Any:
        return self._call("logical_not", self)

    def __rmatmul__(self, other: Any) -> Any:
        return self._call("matmul", other, self)

    def __getitem__(self, key: Any) -> Any:
        return self._call("slice", self, key)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Any:
        return self._call("sum", self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Any:
        return self._call("mean", self, axis=axis, keepdims=keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Any:
        return self._call("max", self, axis=axis, keepdims=keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Any:
        return self._call("min", self, axis=axis, keepdims=keepdims)

    def var(self, axis: Any = None, keepdims: bool = False, correction: int = 0) -> Any:
        return self._call("var", self, axis=axis, keepdims=keepdims, correction=correction)

    def std(self, axis: Any = None, keepdims: bool = False, correction: int = 0) -> Any:
        return self._call("std", self, axis=axis, keepdims=keepdims, correction=correction)

    def argmax(self, axis: int = -1) -> Any:
        return self._call("argmax", self, axis=axis)

    def argmin(self, axis: int = -1) -> Any:
        return self._call("argmin", self, axis=axis)

    def any(self, axis: Any = None, keepdims: bool = False) -> Any:
        return self._call("any", self, axis=axis, keepdims=keepdims)

    def all(self, axis: Any = None, keepdims: bool = False) -> Any:
        return self._call("all", self, axis=axis, keepdims=keepdims)

    def exp(self) -> Any:
        return self._call("exp", self)

    def log(self) -> Any:
        return self._call("log", self)

    def sqrt(self) -> Any:
        return self._call("sqrt", self)

    def abs(self) -> Any:
        return self._call("abs", self)

    def clip(self, low: float | None = None, high: float | None = None) -> Any:
        return self._call("clip", self, low=low, high=high)

    def cast(self, dtype: str) -> Any:
        return self._call("cast", self, dtype)

    def reshape(self, *shape: Any) -> Any:
        return self._call("reshape", self, shape=_unpacked(shape))

    def flatten(self, start_axis: int = 1) -> Any:
        return self._call("flatten", self, start_axis)

    def squeeze(self, axis: Any = None) -> Any:
        return self._call("squeeze", self, axis)

    def unsqueeze(self, axis: Any) -> Any:
        return self._call("unsqueeze", self, axis)

    def swapaxes(self, a: int, b: int) -> Any:
        return self._call("swapaxes", self, a, b)

    def transpose(self, *axes: Any) -> Any:
        return self._call("transpose", self, axes=_unpacked(axes) or None)

    @property
    def T(self) -> Any:
        return self._call("transpose", self)

    if not TYPE_CHECKING:  # which would take any name for one that exists

        def __getattr__(self, name: str) -> Any:
            from engine.other_names import explained

            raise AttributeError(explained("Tensor", name), name=name, obj=self)


def _holds_numbers(value: Any) -> bool:
    """True for what may stand beside a value: numbers, arrays of any library, sequences."""
    return isinstance(value, Value | int | float | list | tuple) or hasattr(value, "dtype")


def _unpacked(given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Numbers given one by one, or as one sequence."""
    if len(given) == 1 and isinstance(given[0], list | tuple):
        return tuple(given[0])
    return given
