"""What the exporters share: running the nodes' ``emit_*`` methods and naming what they give."""

from __future__ import annotations

import dataclasses
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from graphstudio.exporters.values import (
    Binding,
    ExportError,
    Feed,
    Layer,
    Problem,
    Section,
    Statement,
    Stored,
    Value,
    stored_arrays,
)
from graphstudio.exporters.writer import Bracket, Ref, Tree, call, literal
from graphstudio.ir.graph import Graph, IRNode
from graphstudio.nodes.emit import (
    LOGICAL,
    RESERVED_NAMES,
    Call,
    Code,
    Emitted,
    Layout,
    Snippet,
    Unsupported,
    Weight,
    channels_last_layout,
)
from graphstudio.nodes.optimizers import Optimizer, optimizers
from graphstudio.nodes.spec import params_of
from graphstudio.nodes.types import Message, TensorType


class _OrderNeededError(Exception):
    """A flattened value must have the graph's order after all; emission starts again."""

    def __init__(self, node: str) -> None:
        self.node = node


class Emission(ABC):
    """One run over a graph for one target: the ``Emitter`` of the nodes.

    ``run`` fills ``model`` (statements of the model) and ``judges`` (statements of losses and
    metrics), ``layers``, ``imports`` and ``snippets``.
    """

    target: ClassVar[str]
    title: ClassVar[str]
    """The target's name as it is shown."""
    prefixes: ClassVar[Mapping[str, str]]
    """First part of a dotted name to the import statement that it needs."""
    physical_images: ClassVar[bool] = False
    """True where images have their channels last."""

    def __init__(self, graph: Graph, ordered: frozenset[str] = frozenset()) -> None:
        self.graph = graph
        self.model = Section()
        self.judges = Section()
        self.layers: list[Layer] = []
        self.snippets: dict[str, Snippet] = {}
        self.values: dict[str, Value] = {}
        """Node id to its result."""
        self.outputs: dict[str, Value] = {}
        """Node id of each prediction to what the model returns for it."""
        self.problems: list[Problem] = []
        self._ordered = ordered
        self._node: IRNode
        self._section = self.model
        self._imports: dict[int, set[str]] = {id(self.model): set(), id(self.judges): set()}
        self._stored: dict[str, Stored] = {}
        self._flattened_by: dict[int, str] = {}
        self._converted: dict[tuple[int, Layout], Value] = {}
        self._names = {n.name for n in graph.nodes} | RESERVED_NAMES
        self._count = 0

    @classmethod
    def of(cls, graph: Graph) -> Any:
        """The finished emission of a graph.

        Raises
        ------
        ExportError
            With every node that the target cannot express.
        """
        ordered: frozenset[str] = frozenset()
        while True:
            emission = cls(graph, ordered)
            try:
                emission.run()
            except _OrderNeededError as needed:
                ordered |= {needed.node}
                continue
            if emission.problems:
                raise ExportError(emission.problems)
            return emission

    # ------------------------------------------------------------------ the graph

    @property
    def model_inputs(self) -> tuple[IRNode, ...]:
        """Inputs that some layer reads."""
        return tuple(
            n
            for n in self.graph.with_role("input")
            if any(c.role == "layer" for c in self.graph.consumers[n.id])
        )

    @property
    def judging_nodes(self) -> tuple[IRNode, ...]:
        return tuple(self.graph.with_role("loss", "metric"))

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """Arrays of a batch: what the model reads, then what only losses and metrics read."""
        judged = {s.node for n in self.judging_nodes for s in n.inputs if s is not None}
        first = self.model_inputs
        nodes = [
            *first,
            *(
                n
                for n in self.graph.with_role("input", "target")
                if n.id in judged and n not in first
            ),
        ]
        return tuple(self._feed(n) for n in nodes)

    def _feed(self, node: IRNode) -> Feed:
        out = node.output_types[0]
        field_name = str(getattr(node.spec, "field", node.name))
        return Feed(node, field_name, node.name, out, self._feed_layout(out))

    def _feed_layout(self, x: TensorType) -> Layout:
        image = x.rank == 4 and x.dtype == "float32"
        return channels_last_layout(4) if self.physical_images and image else LOGICAL

    def run(self) -> None:
        for feed in self.feeds:
            value = self._new(feed.type, feed.layout)
            self.values[feed.node.id] = value
        for node in self.graph.nodes:
            if node.role == "layer":
                self._emit(node)
        if self.problems:
            return
        for node in self.graph.predictions:
            self._node = node
            self.outputs[node.id] = self._as_output(node, self.values[node.id])
        self._section = self.judges
        for node in self.judging_nodes:
            self._emit(node)

    def _emit(self, node: IRNode) -> None:
        self._node = node
        self._stored = stored_arrays(node)
        if any(s is not None and s.node not in self.values for s in node.inputs):
            return  # a node before this one could not be expressed; that is said already
        args = [self._argument(s.node) if s is not None else None for s in node.inputs]
        start = len(self._section.statements)
        method = getattr(node.spec, f"emit_{self.target}", None)
        result = (
            method(self, *args)
            if method is not None
            else Unsupported(
                Message("'{label}' has no counterpart in {target}"), Message("Use another node.")
            )
        )
        if isinstance(result, Unsupported):
            names = {"label": node.label, "target": self.title}
            self.problems.append(
                Problem(
                    Message(result.reason.template, {**names, **result.reason.args}),
                    Message(result.suggestion.template, {**names, **result.suggestion.args}),
                    node.id,
                )
            )
            return
        value = dataclasses.replace(result, type=node.output_types[0])
        self.values[node.id] = value
        for statement in self._section.statements[start:]:
            if statement.value.key == value.key:
                statement.value = value
                statement.name = node.name

    def _argument(self, node_id: str) -> Value:
        if self._section is self.judges and node_id in self.outputs:
            return self.outputs[node_id]
        return self.values[node_id]

    def _as_output(self, node: IRNode, value: Value) -> Value:
        """The value as the model returns it: class scores and images with the channels last."""
        if not self.physical_images or value.type.rank < 3:
            return self.logical(value)
        classes = any(
            t is not None and t.dtype == "int64"
            for c in self.graph.consumers[node.id]
            if c.role in ("loss", "metric")
            for t in c.input_types
        )
        return self.channels_last(value) if classes or value.type.rank == 4 else self.logical(value)

    # ------------------------------------------------------------------ what the nodes call

    def call(self, function: str | Snippet, *args: Any, **kwargs: Any) -> Value:
        named = {k: self._tree(v) for k, v in kwargs.items()}
        tree = call(self._function(function), [self._tree(a) for a in args], named)
        return self._state(tree, [*args, *kwargs.values()])

    def expression(self, template: str, *args: Any) -> Value:
        self._need(template)
        parts: list[Tree] = []
        for i, piece in enumerate(re.split(r"\{(\d+)\}", template)):
            parts.append(piece if i % 2 == 0 else self._tree(args[int(piece)]))
        return self._state(tuple(parts), args)

    def layer(
        self,
        cls: str | Snippet,
        *args: Any,
        weights: Mapping[str, str | Weight] | None = None,
        suffix: str = "",
        **kwargs: Any,
    ) -> Callable[..., Value]:
        name = self.unique(f"{self._node.name}_{suffix}") if suffix else self._node.name
        bindings: list[Binding] = []
        inits: list[tuple[str, Stored]] = []
        for variable, weight in (weights or {}).items():
            given = Weight(weight) if isinstance(weight, str) else weight
            stored = self._stored[given.name]
            split = tuple(stored.shape[0] if n == -1 else n for n in given.split)
            bindings.append(
                Binding(
                    f"{self._node.name}.{given.name}",
                    name,
                    variable,
                    stored.shape,
                    given.axes,
                    split,
                    stored.trainable,
                )
            )
            inits.append((variable, stored))
        function = self._function(cls)
        options = {**kwargs, **self.layer_options(name, inits)}
        constructor = call(
            function,
            [self._tree(a) for a in args],
            {k: self._tree(v) for k, v in options.items()},
        )
        layer = Layer(name, self._node, constructor, tuple(bindings), tuple(inits))
        self.layers.append(layer)

        def apply(*xs: Emitted, **named: Any) -> Value:
            value = self._state(self.apply_tree(layer, xs, named), xs)
            self._section.statements[-1].layer = layer
            return value

        return apply

    def axis(self, x: Emitted, logical: int) -> int:
        position = x.layout.axis(logical % x.type.rank)
        return -1 if position == x.type.rank - 1 else position

    def logical(self, x: Emitted) -> Value:
        return self._laid_out(x, LOGICAL)

    def channels_last(self, x: Emitted) -> Value:
        return self._laid_out(x, channels_last_layout(x.type.rank))

    def aligned(self, *xs: Emitted) -> tuple[Value, ...]:
        if all(x.layout == xs[0].layout and not x.layout.flattened for x in xs):
            return tuple(_value(x) for x in xs)
        if self.physical_images and xs[0].type.rank == 4:
            return tuple(self.channels_last(x) for x in xs)
        return tuple(self.logical(x) for x in xs)

    def flattenable(self, x: Emitted) -> Value:
        return self.logical(x) if self._node.id in self._ordered else _value(x)

    def laid(self, y: Emitted, layout: Layout) -> Value:
        value = dataclasses.replace(_value(y), layout=layout)
        if layout.flattened:
            self._flattened_by[value.key] = self._node.id
        return value

    # ------------------------------------------------------------------ what the targets say

    @abstractmethod
    def apply_tree(self, layer: Layer, xs: Sequence[Emitted], named: Mapping[str, Any]) -> Tree:
        """The code that applies a layer."""

    @abstractmethod
    def transposed(self, x: Value, axes: tuple[int, ...]) -> Value:
        """``x`` with its axes in another order."""

    def layer_options(self, name: str, inits: Sequence[tuple[str, Stored]]) -> Mapping[str, Any]:
        """Arguments that every layer gets, such as its name and initialisers."""
        return {}

    # ------------------------------------------------------------------ names and imports

    def imports(self, section: Section) -> set[str]:
        """Import statements that the section's code needs."""
        return self._imports[id(section)]

    def unique(self, wanted: str) -> str:
        """A name that nothing else has."""
        name, n = wanted, 2
        while name in self._names:
            name, n = f"{wanted}_{n}", n + 1
        self._names.add(name)
        return name

    def _need(self, text: str) -> None:
        for prefix in re.findall(r"(?<![\w.])([A-Za-z_]+)(?=\.)", text):
            if prefix in self.prefixes:
                self._imports[id(self._section)].add(self.prefixes[prefix])

    def _function(self, function: str | Snippet) -> str:
        if isinstance(function, str):
            self._need(function)
            return function
        self._bring(function)
        self._imports[id(self._section)].add(f"from {self.snippet_module} import {function.name}")
        return function.name

    snippet_module: ClassVar[str] = "layers"

    def _bring(self, snippet: Snippet) -> None:
        for used in snippet.uses:
            self._bring(used)
        self.snippets[snippet.name] = snippet

    def _tree(self, value: Any) -> Tree:
        match value:
            case Value():
                return Ref(value.key)
            case Code(text):
                self._need(text)
                return text
            case Call(function, arguments):
                named = {k: self._tree(v) for k, v in arguments.items()}
                return call(self._function(function), (), named)
            case tuple() | list() if any(_holds_code(v) for v in value):
                left, right = "()" if isinstance(value, tuple) else "[]"
                items = tuple(self._tree(v) for v in value)
                return Bracket(left, items, right, single=left == "(" and len(items) == 1)
        return literal(value)

    def _state(self, tree: Tree, args: Iterable[Any]) -> Value:
        """A new statement with this right-hand side."""
        xs = list(_values(args))
        out = self._node.output_types[0] if self._node.output_types else TensorType(())
        layout = LOGICAL
        if xs and xs[0].type.rank == out.rank:
            layout = xs[0].layout
        value = self._new(xs[0].type if xs else out, layout)
        if xs and layout.flattened:
            self._flattened_by[value.key] = self._flattened_by[xs[0].key]
        reads = tuple(dict.fromkeys(x.key for x in xs))
        self._section.statements.append(Statement(value, self._node, tree, reads, ""))
        return value

    def _new(self, of_type: TensorType, layout: Layout) -> Value:
        self._count += 1
        return Value(self._count, of_type, layout)

    def _laid_out(self, x: Emitted, layout: Layout) -> Value:
        value = _value(x)
        if value.layout == layout:
            return value
        if value.layout.flattened:
            raise _OrderNeededError(self._flattened_by[value.key])
        key = (value.key, layout)
        if key not in self._converted:
            rank = value.type.rank
            wanted = layout.order or tuple(range(rank))
            moved = self.transposed(value, tuple(value.layout.axis(a) for a in wanted))
            self._converted[key] = dataclasses.replace(moved, type=value.type, layout=layout)
        return self._converted[key]


def optimizer_of(graph: Graph) -> Optimizer:
    """The optimiser of the first training phase.

    Raises
    ------
    ExportError
        If it is not known or its parameters are not valid.
    """
    phase = graph.training.phases[0]
    cls = optimizers().get(phase.optimizer.kind)
    if cls is None:
        message = Message(
            "there is no optimiser '{kind}' in this version", {"kind": phase.optimizer.kind}
        )
        raise ExportError([Problem(message)])
    given = phase.optimizer.params
    specs = [s for s in params_of(cls) if s.name in given]
    problems = [p for s in specs if (p := s.problem(given[s.name])) is not None]
    if problems:
        raise ExportError([Problem(p) for p in problems])
    return cls(**{s.name: s.coerce(given[s.name]) for s in specs})


def _value(x: Emitted) -> Value:
    assert isinstance(x, Value)  # the only implementation; the protocol keeps nodes apart from it
    return x


def _values(args: Iterable[Any]) -> Iterable[Value]:
    for a in args:
        if isinstance(a, Value):
            yield a
        elif isinstance(a, tuple | list):
            yield from _values(a)


def _holds_code(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return any(_holds_code(v) for v in value)
    return isinstance(value, Value | Code | Call)
