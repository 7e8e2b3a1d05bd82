"""What a node type is: declared parameters, ports, shape rule, lowering and emission.

A node file in ``catalog/`` holds everything about one node. It talks to two small protocols,
``EngineBuilder`` (below) and ``Emitter`` (``emit.py``), and imports neither engine nor framework.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, TypeVar, dataclass_transform

from graphstudio.nodes.types import Message, ShapeError, TensorType

Role = Literal["layer", "input", "target", "loss", "metric"]


@dataclass(frozen=True)
class ParamSpec:
    """One declared parameter: the only place where its limits and its help are written."""

    name: str
    kind: Literal["int", "float", "bool", "str", "choice", "ints"]
    default: Any
    doc: str
    label: str
    low: float | None = None
    high: float | None = None
    low_open: bool = False
    """True when ``low`` itself is not allowed."""
    choices: tuple[str, ...] = ()
    length: tuple[int, int] | None = None
    """Fewest and most entries of an ``ints`` parameter."""
    unit: str = ""

    def problem(self, value: Any) -> Message | None:
        """Why ``value`` is not acceptable, or None. Never raises, whatever the value is."""
        args = {"name": Message(self.label), "value": _shown(value)}
        match self.kind:
            case "bool":
                if not isinstance(value, bool):
                    return Message("'{name}' must be true or false, not {value}", args)
            case "str":
                if not isinstance(value, str):
                    return Message("'{name}' must be text, not {value}", args)
            case "choice":
                if value not in self.choices:
                    options = ", ".join(self.choices)
                    return Message(
                        "'{name}' must be one of {options}, not {value}",
                        args | {"options": options},
                    )
            case "int":
                if not isinstance(value, int) or isinstance(value, bool):
                    return Message("'{name}' must be a whole number, not {value}", args)
                return self._range_problem(value, args)
            case "float":
                if not isinstance(value, int | float) or isinstance(value, bool) or value != value:
                    return Message("'{name}' must be a number, not {value}", args)
                return self._range_problem(value, args)
            case "ints":
                if not isinstance(value, tuple | list) or not all(
                    isinstance(v, int) and not isinstance(v, bool) for v in value
                ):
                    return Message("'{name}' must be a list of whole numbers, not {value}", args)
                if self.length and not self.length[0] <= len(value) <= self.length[1]:
                    low, high = self.length
                    return Message(
                        "'{name}' needs {low} to {high} numbers, not {value}",
                        args | {"low": low, "high": high},
                    )
                for v in value:
                    if (p := self._range_problem(v, args)) is not None:
                        return p
        return None

    def _range_problem(self, value: float, args: dict[str, Any]) -> Message | None:
        if self.low is not None and (value < self.low or (self.low_open and value == self.low)):
            template = (
                "'{name}' must be above {low}, not {value}"
                if self.low_open
                else "'{name}' must be at least {low}, not {value}"
            )
            return Message(template, args | {"low": _limit(self.low)})
        if self.high is not None and value > self.high:
            return Message(
                "'{name}' must be at most {high}, not {value}", args | {"high": _limit(self.high)}
            )
        return None

    def coerce(self, value: Any) -> Any:
        """The value in its canonical Python type (lists from JSON become tuples, ints floats)."""
        if self.kind == "ints" and isinstance(value, list):
            return tuple(value)
        if self.kind == "float" and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        return value


def _limit(value: float) -> str:
    """A limit as a person writes it: ``65536`` and ``1e-07``, not ``1e+06``."""
    return str(int(value)) if value == int(value) else f"{value:g}"


def _shown(value: Any) -> str:
    """The value as a reader of a message meets it: as in the file, and never long."""
    if isinstance(value, tuple):
        value = list(value)
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**30 else "a huge number"
    return text if len(text) <= 80 else f"{text[:77]}..."


def param(
    default: Any,
    *,
    doc: str,
    label: str | None = None,
    low: float | None = None,
    high: float | None = None,
    low_open: bool = False,
    choices: Sequence[str] = (),
    length: tuple[int, int] | None = None,
    unit: str = "",
) -> Any:
    """Dataclass field that the inspector, the checker and the file format all read.

    Parameters
    ----------
    default
        Value of a new node.
    doc : str
        One sentence of help, shown as the tool tip.
    low, high : float, optional
        Inclusive limits (``low`` exclusive with ``low_open``).
    choices : sequence of str
        The allowed words of a choice.
    length : (int, int), optional
        Fewest and most entries of a tuple of integers.
    unit : str
        Unit of a number with one, such as ``"px"``.
    """
    meta = {
        "doc": doc,
        "label": label,
        "low": low,
        "high": high,
        "low_open": low_open,
        "choices": tuple(choices),
        "length": length,
        "unit": unit,
    }
    return field(default=default, metadata={"param": meta})


def params_of(cls: type) -> tuple[ParamSpec, ...]:
    """Declared parameters of a dataclass, in order of declaration."""
    cached: tuple[ParamSpec, ...] | None = cls.__dict__.get("_param_specs")
    if cached is not None:
        return cached
    hints = typing.get_type_hints(cls)
    specs = tuple(
        _spec_of(f, hints[f.name]) for f in dataclasses.fields(cls) if "param" in f.metadata
    )
    cls._param_specs = specs  # type: ignore[attr-defined]  # cache on the class it describes
    return specs


def _spec_of(f: dataclasses.Field[Any], hint: Any) -> ParamSpec:
    meta = dict(f.metadata["param"])
    origin = typing.get_origin(hint)
    if meta["choices"]:
        kind = "choice"
    elif origin is tuple:
        kind = "ints"
    elif hint in (bool, int, float, str):
        kind = hint.__name__
    else:
        raise TypeError(f"parameter {f.name!r} has unsupported type {hint!r}")
    label = meta.pop("label") or f.name.replace("_", " ").capitalize()
    return ParamSpec(name=f.name, kind=kind, default=f.default, label=label, **meta)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Port:
    """A named place where a wire ends or begins. Names, never indices, are stored in files."""

    name: str
    label: str
    optional: bool = False


@dataclass(frozen=True)
class Case:
    """Input shapes (and parameters) with which every contract test tries the node."""

    inputs: tuple[tuple[int, ...], ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    dtypes: tuple[str, ...] = ()
    """One dtype an input; all float32 when empty."""
    classes: int | None = None
    """Exclusive upper bound of integer inputs."""


class Value(Protocol):
    """A tensor inside a plan being built; ``type`` has the same symbols as the graph's."""

    @property
    def type(self) -> TensorType: ...


class EngineBuilder(Protocol):
    """What ``lower`` may ask of the compiler. Names are local to the node."""

    def parameter(
        self, name: str, shape: tuple[int, ...], *, init: str = "zeros", **options: Any
    ) -> Value:
        """Trainable array. ``init`` names an engine initialiser, ``options`` are its arguments."""
        ...

    def state(self, name: str, shape: tuple[int, ...], *, value: float = 0.0) -> Value:
        """Array that is kept and saved but not trained, such as a running mean."""
        ...

    def call(self, op: str, *args: Value, **attrs: Any) -> Any:
        """Apply an engine op; the result is a Value, or a tuple of them."""
        ...


class NodeType(ABC):
    """Base of all node types: frozen dataclasses whose fields are the parameters.

    ``infer``, ``lower`` and the ``emit_*`` methods take one positional argument an input port, in
    port order, and None for an optional port without a wire. They return one result, or a
    tuple in the order of the output ports.
    """

    type_id: ClassVar[str]
    label: ClassVar[str]
    category: ClassVar[str]
    role: ClassVar[Role] = "layer"
    keywords: ClassVar[tuple[str, ...]] = ()
    """Short codes and other names under which the search finds the node, such as ``c2``."""
    replaces: ClassVar[tuple[str, ...]] = ()
    """Type ids of older files that this type succeeds."""
    cases: ClassVar[tuple[Case, ...]] = ()
    size_param: ClassVar[str | None] = None
    """Parameter that sets the size of the output's feature axis (``units``, ``filters``)."""
    keeps_shape: ClassVar[bool] = False
    """True for nodes whose single output always has the type of their single input."""

    def input_ports(self) -> tuple[Port, ...]:
        return (Port("x", "Input"),)

    def output_ports(self) -> tuple[Port, ...]:
        return (Port("y", "Output"),)

    def check_params(self) -> Message | None:
        """A rule that ties several parameters together; single limits are declared."""
        return None

    @abstractmethod
    def infer(self, *inputs: Any, **_: Any) -> Any:
        """Output TensorType (or tuple of them); raises ShapeError when the inputs do not fit."""

    def parameters(self, *inputs: Any) -> Mapping[str, tuple[int, ...]]:
        """Names and shapes of what ``lower`` will ask for as trainable, given the input types."""
        return {}

    @abstractmethod
    def lower(self, b: EngineBuilder, *inputs: Any, **_: Any) -> Any:
        """Express the node in engine ops."""

    def without_noise(self) -> NodeType:
        """The node with nothing random in it, so that numbers can be compared; itself as a rule."""
        return self

    def summary(self) -> str:
        """The few words shown under the node's title, such as ``32 · 3x3``. No translation."""
        return ""

    def num_flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> int:
        """Floating-point operations of one forward pass of one sample."""
        size = outputs[0].sample_size if outputs else None
        return size or 0


class UnaryNode(NodeType):
    """One input ``x``, one output ``y``."""


class ElementwiseNode(UnaryNode):
    """Unary node that keeps shape and dtype."""

    keeps_shape = True

    def infer(self, x: TensorType) -> TensorType:
        if x.dtype != "float32":
            raise ShapeError(
                message=Message("expected float32 numbers, got {dtype}", {"dtype": x.dtype}),
                code="dtype",
            )
        return x


N = TypeVar("N", bound=type[NodeType])
_CATALOG: dict[str, type[NodeType]] = {}
_SUCCESSORS: dict[str, str] = {}


@dataclass_transform(kw_only_default=True, frozen_default=True)
def register(cls: N) -> N:
    """Class decorator that enters a node type; refuses a second owner of an id."""
    if not dataclasses.is_dataclass(cls):
        cls = dataclass(frozen=True, kw_only=True)(cls)  # type: ignore[assignment]
    for type_id in (cls.type_id, *cls.replaces):
        owner = _CATALOG.get(type_id) or _CATALOG.get(_SUCCESSORS.get(type_id, ""))
        if owner is not None:
            raise ValueError(
                f"node type {type_id!r} is defined in both {owner.__module__} and {cls.__module__}"
            )
    _CATALOG[cls.type_id] = cls
    _SUCCESSORS.update(dict.fromkeys(cls.replaces, cls.type_id))
    params_of(cls)
    return cls


def catalog() -> Mapping[str, type[NodeType]]:
    """All node types by id, in the order of discovery. Read-only."""
    import graphstudio.nodes.catalog as package  # late: node files import this module

    package.discover()
    return types.MappingProxyType(_CATALOG)


def find_type(type_id: str) -> type[NodeType] | None:
    """The node type with this id (or the successor of an older id), or None if unknown."""
    known = catalog()
    return known.get(type_id) or known.get(_SUCCESSORS.get(type_id, ""))


def build(
    cls: type[NodeType], params: Mapping[str, Any]
) -> tuple[NodeType | None, list[tuple[str, Message]]]:
    """Node with these parameters, or None and every (parameter name, problem) found."""
    problems: list[tuple[str, Message]] = []
    values: dict[str, Any] = {}
    for spec in params_of(cls):
        if spec.name not in params:
            continue
        problem = spec.problem(params[spec.name])
        if problem is not None:
            problems.append((spec.name, problem))
        else:
            values[spec.name] = spec.coerce(params[spec.name])
    if problems:
        return None, problems
    node = cls(**values)
    if (message := node.check_params()) is not None:
        return None, [("", message)]
    return node, []
