"""The frozen, checked graph that the compiler and every exporter read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from graphstudio.document.model import DataSpec, Training
from graphstudio.nodes.spec import NodeType
from graphstudio.nodes.types import TensorType


@dataclass(frozen=True)
class Source:
    """Where an input comes from: output ``port`` (by index) of node ``node`` (by id)."""

    node: str
    port: int = 0


@dataclass(frozen=True)
class IRNode:
    """A node that has been checked.

    ``name`` is an ASCII identifier, unique in the graph, no keyword or builtin: the prefix of the
    node's weights (``conv1.weight``) and its name in exported code.
    """

    id: str
    name: str
    label: str
    spec: NodeType
    inputs: tuple[Source | None, ...]
    input_types: tuple[TensorType | None, ...]
    output_types: tuple[TensorType, ...]

    @property
    def role(self) -> str:
        return self.spec.role


@dataclass(frozen=True)
class DataField:
    """One named array of a data source, as the checker knows it without loading anything."""

    name: str
    type: TensorType


@dataclass(frozen=True)
class Graph:
    """Nodes in an order in which they can run, with the data and training specification."""

    name: str
    nodes: tuple[IRNode, ...]
    data: DataSpec
    training: Training

    @cached_property
    def by_id(self) -> dict[str, IRNode]:
        return {n.id: n for n in self.nodes}

    def with_role(self, *roles: str) -> Iterator[IRNode]:
        return (n for n in self.nodes if n.role in roles)

    @cached_property
    def consumers(self) -> dict[str, tuple[IRNode, ...]]:
        """Node id to the nodes that read any of its outputs."""
        out: dict[str, list[IRNode]] = {n.id: [] for n in self.nodes}
        for n in self.nodes:
            for source in {s.node for s in n.inputs if s is not None}:
                out[source].append(n)
        return {k: tuple(v) for k, v in out.items()}

    @cached_property
    def predictions(self) -> tuple[IRNode, ...]:
        """The model's outputs: layers whose result feeds a loss or metric, or nothing at all."""
        return tuple(
            n
            for n in self.nodes
            if n.role == "layer"
            and (
                not self.consumers[n.id]
                or any(c.role in ("loss", "metric") for c in self.consumers[n.id])
            )
        )
