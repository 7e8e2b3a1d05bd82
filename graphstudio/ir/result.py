"""What a check gives: types on every port, sizes of every node, and all problems."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from graphstudio.document.model import Wire
from graphstudio.ir.diagnostics import Diagnostic
from graphstudio.nodes.types import TensorType


@dataclass(frozen=True)
class NodeReport:
    """What is known of one node of the main graph after a check."""

    output_types: Mapping[str, TensorType] = field(default_factory=dict)
    """Output port name to type; empty while the node could not be inferred."""
    num_parameters: int = 0
    """Trainable numbers."""
    num_flops: int = 0
    """Floating-point operations of one forward pass of one sample."""
    activation_bytes: int = 0
    """Bytes of the outputs for one sample."""


@dataclass(frozen=True)
class CheckResult:
    """Immutable outcome of a check.

    ``diagnostics`` holds errors first, in the order in which the graph runs, so that the first
    entry names the first wrong node; then warnings, then blocked nodes.
    """

    diagnostics: tuple[Diagnostic, ...] = ()
    nodes: Mapping[str, NodeReport] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """True if the graph can be trained: there is no error."""
        return not any(d.severity == "error" for d in self.diagnostics)

    @property
    def first_error(self) -> Diagnostic | None:
        return next((d for d in self.diagnostics if d.severity == "error"), None)

    def wire_type(self, wire: Wire) -> TensorType | None:
        """Type of what flows along a wire, or None while it is unknown."""
        report = self.nodes.get(wire.source)
        return report.output_types.get(wire.source_port) if report else None

    def of_node(self, node_id: str) -> tuple[Diagnostic, ...]:
        """Everything about one node, errors first."""
        return self._by_node.get(node_id, ())

    @cached_property
    def _by_node(self) -> dict[str, tuple[Diagnostic, ...]]:
        found: dict[str, tuple[Diagnostic, ...]] = {}
        for d in self.diagnostics:
            if d.node is not None:
                found[d.node] = (*found.get(d.node, ()), d)
        return found
