"""What a check gives: types on every port, sizes of every node, and all problems."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from graphstudio.document.model import Wire
from graphstudio.ir.diagnostics import Diagnostic
from graphstudio.nodes.spec import NodeType
from graphstudio.nodes.types import TensorType

ITEM_BYTES = {"float32": 4, "int64": 8, "bool": 1}


@dataclass(frozen=True)
class NodeReport:
    """What is known of one node of the main graph after a check.

    Sizes are worked out when they are first asked for: an edit may give a thousand new reports,
    of which a window shows a few.
    """

    output_types: Mapping[str, TensorType] = field(default_factory=dict)
    """Output port name to type; empty while the node could not be inferred."""
    input_types: tuple[TensorType | None, ...] = ()
    node: NodeType | None = None
    """The node with its parameters; None if it is wrong or bypassed."""

    @cached_property
    def num_parameters(self) -> int:
        """Trainable numbers."""
        if self.node is None:
            return 0
        return sum(math.prod(s) for s in self.node.parameters(*self.input_types).values())

    @cached_property
    def num_flops(self) -> int:
        """Floating-point operations of one forward pass of one sample."""
        if self.node is None:
            return 0
        inputs = [t for t in self.input_types if t is not None]
        return self.node.num_flops(inputs, list(self.output_types.values()))

    @cached_property
    def activation_bytes(self) -> int:
        """Bytes of the outputs for one sample."""
        if self.node is None:
            return 0
        return sum((t.sample_size or 0) * ITEM_BYTES[t.dtype] for t in self.output_types.values())


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
