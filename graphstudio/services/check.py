"""Checking a whole project: shapes, parameters, losses and the data they need."""

from __future__ import annotations

from graphstudio.data import describe
from graphstudio.document.model import DataSpec, Document
from graphstudio.ir.check import Checker
from graphstudio.ir.graph import DataField
from graphstudio.ir.result import CheckResult
from graphstudio.nodes.types import Message


def describe_data(spec: DataSpec) -> tuple[tuple[DataField, ...], Message | None]:
    """Fields of the data without loading them, or why there are none. The checker calls this."""
    return describe(spec)


def check(document: Document) -> CheckResult:
    """Everything that is wrong with the project, and the types on its wires."""
    return Checker(document, describe_data).check()
