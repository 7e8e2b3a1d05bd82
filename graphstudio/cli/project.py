"""The project that a command works on, opened or explained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from graphstudio.cli.output import Output
from graphstudio.document.model import Document
from graphstudio.i18n import render, tr
from graphstudio.ir.diagnostics import Diagnostic
from graphstudio.ir.result import CheckResult
from graphstudio.nodes.types import Message
from graphstudio.services.projects import ProjectError, open_project


@dataclass(frozen=True)
class Opened:
    """A project and its file."""

    document: Document
    path: Path


class CommandError(Exception):
    """A command cannot go on; it has been said why."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(code)


def open_for(path: Path, out: Output) -> Opened:
    """The project in the file; raises CommandError after saying what is wrong with it."""
    if not path.exists():
        out.problem(Message("there is no file '{path}'", {"path": str(path)}))
        raise CommandError(2)
    try:
        opened = open_project(path)
    except ProjectError as error:
        for problem in error.problems:
            out.problem(problem)
        raise CommandError(1) from error
    for warning in opened.warnings:
        out.note(tr("Note: {message}", message=render(warning)), style="yellow")
    return Opened(opened.document, opened.path)


def report_check(document: Document, result: CheckResult, out: Output) -> bool:
    """Say what a check found; True if the project can be trained."""
    found = [d for d in result.diagnostics if d.severity != "blocked"]
    out.report["check"] = {"problems": [_entry(document, d) for d in found]}
    for diagnostic in found:
        label = tr("Error") if diagnostic.severity == "error" else tr("Warning")
        out.result(f"{label}: {render(diagnostic.message)}")
        if diagnostic.hint is not None:
            out.result("  " + render(diagnostic.hint))
        for fix in diagnostic.fixes:
            out.result("  " + tr("Fix: {title}", title=render(fix.title)))
    return result.ok


def _entry(document: Document, diagnostic: Diagnostic) -> dict[str, object]:
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "node": diagnostic.node or "",
        "label": _place(document, diagnostic),
        "port": diagnostic.port or "",
        "param": diagnostic.param or "",
        "message": render(diagnostic.message),
        "hint": render(diagnostic.hint) if diagnostic.hint is not None else "",
        "fixes": [render(fix.title) for fix in diagnostic.fixes],
    }


def _place(document: Document, diagnostic: Diagnostic) -> str:
    graph = document.graphs.get(diagnostic.graph)
    node = graph.nodes.get(diagnostic.node or "") if graph else None
    return node.label if node else ""
