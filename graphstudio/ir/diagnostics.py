"""Problems found in a graph: plain data, translated only where they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from graphstudio.nodes.types import Fix, Message

Severity = Literal["error", "warning", "blocked"]


@dataclass(frozen=True)
class Diagnostic:
    """One problem, on the node where it starts.

    ``blocked`` marks a node that cannot be checked only because one before it is wrong; the
    editor does not paint it red.
    """

    code: str
    severity: Severity
    message: Message
    graph: str = "main"
    node: str | None = None
    """Node id; None for a problem of the project as a whole (no loss, no data source)."""
    port: str | None = None
    param: str | None = None
    hint: Message | None = None
    fixes: tuple[Fix, ...] = ()
    chain: tuple[str, ...] = ()
    """Ids of the nodes that made the offending dimension, from its origin to the faulty node."""

    @property
    def key(self) -> tuple[str, str | None, str | None, str]:
        return (self.graph, self.node, self.port or self.param, self.code)
