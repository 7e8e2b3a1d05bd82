"""Draws graphs for tests through the same commands as the editor."""

from __future__ import annotations

from typing import Any

from graphstudio.document import commands
from graphstudio.document.changes import AddNode
from graphstudio.document.history import History
from graphstudio.document.model import MAIN, DataSpec, Document
from graphstudio.ir.check import Checker
from graphstudio.ir.graph import DataField
from graphstudio.ir.result import CheckResult
from graphstudio.nodes.types import Message, TensorType

FIELDS = (
    DataField("image", TensorType(("N", 1, 8, 8))),
    DataField("label", TensorType(("N",), "int64", 10)),
)


def digits(spec: DataSpec) -> tuple[tuple[DataField, ...], Message | None]:
    """Fields of a data source like scikit-learn's digits."""
    if spec.source == "missing":
        return (), Message("the file is missing")
    return FIELDS, None


class Drawing:
    """A document with its history and checker; ``check`` compares both ways of checking."""

    def __init__(self, source: str = "digits") -> None:
        self.document = Document(data=DataSpec(source=source))
        self.history = History(self.document)
        self.checker = Checker(self.document, digits)
        self.result = self.checker.check()

    def push(self, command: commands.Command) -> CheckResult:
        """Carry out a command; the incremental check must equal one from the start."""
        return self.follow(self.history.push(*command))

    def follow(self, changes: Any) -> CheckResult:
        self.result = self.checker.update(changes)
        fresh = Checker(self.document, digits).check()
        assert self.result == fresh
        return self.result

    def add(self, type_id: str, label: str | None = None, *, after: str = "", **params: Any) -> str:
        """Add a node, fed by the node ``after``; its id."""
        command = commands.add_node(
            self.document,
            MAIN,
            type_id,
            (100.0 * len(self.document.main.nodes), 0.0),
            params=params,
            label=label,
            connect_from=(after, "y") if after else None,
        )
        self.push(command)
        return next(c.node.id for c in command[1] if isinstance(c, AddNode))

    def wire(self, source: str, target: str, port: str = "x") -> CheckResult:
        return self.push(commands.connect(self.document, MAIN, source, "y", target, port))

    def set(self, node: str, **params: Any) -> CheckResult:
        for name, value in params.items():
            self.push(commands.set_param(self.document, MAIN, [node], name, value))
        return self.result

    def codes(self, severity: str | None = None) -> list[str]:
        """Codes of the diagnostics in their order."""
        return [d.code for d in self.result.diagnostics if severity in (None, d.severity)]


def classifier() -> tuple[Drawing, dict[str, str]]:
    """A small convolutional classifier that is right, with the ids of its nodes by name."""
    d = Drawing()
    ids = {"input": d.add("io.input")}
    ids["conv"] = d.add("layer.conv2d", after=ids["input"], filters=4)
    ids["relu"] = d.add("act.relu", after=ids["conv"])
    ids["pool"] = d.add("layer.max_pool2d", after=ids["relu"])
    ids["flatten"] = d.add("shape.flatten", after=ids["pool"])
    ids["dense"] = d.add("layer.dense", after=ids["flatten"], units=10)
    ids["target"] = d.add("io.target")
    ids["loss"] = d.add("loss.cross_entropy", after=ids["dense"])
    d.wire(ids["target"], ids["loss"], "target")
    return d, ids
