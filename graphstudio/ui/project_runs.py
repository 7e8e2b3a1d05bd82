"""The runs that belong to the open project, also while it has no file of its own."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path

from graphstudio.document import format as file_format
from graphstudio.document.format import FormatError
from graphstudio.document.model import Document
from graphstudio.services.runs import Run, list_runs
from graphstudio.training import files
from graphstudio.ui.project import Project

ALIKE = 0.5
"""Share of nodes in common from which a run counts as one of an unsaved project, edited since."""


@dataclass(frozen=True)
class _Outline:
    """What tells networks apart: nodes by id and type, and everything that gives the weights."""

    nodes: frozenset[tuple[str, str]] = frozenset()
    whole: str = ""
    source: str = ""
    """Kind of the data: a run on other samples is no run of this project."""


def runs_of(project: Project) -> list[Run]:
    """Runs of the project, the latest first.

    Projects that were never saved share one folder of runs; of those, only runs of a network much
    like this one count, trained on the same kind of data.
    """
    found = list_runs(project.path)
    if project.path is not None:
        return found
    ours = _outline(project.document)
    return [run for run in found if _alike(ours, _outline_of(run.path))]


def weighted_runs_of(project: Project) -> list[Run]:
    """Runs of the project that left weights; of an unsaved one, of this very network only."""
    found = [run for run in runs_of(project) if run.weights is not None]
    if project.path is not None:
        return found
    ours = _outline(project.document).whole
    return [run for run in found if _outline_of(run.path).whole == ours]


def weights_of(project: Project) -> Path | None:
    """Weights of the latest run of the project that left some, or None."""
    return next((run.weights for run in weighted_runs_of(project)), None)


def _alike(ours: _Outline, theirs: _Outline) -> bool:
    share = len(ours.nodes & theirs.nodes) / max(1, len(ours.nodes | theirs.nodes))
    return ours.source == theirs.source and share >= ALIKE


@functools.lru_cache(maxsize=1024)
def _outline_of(run_dir: Path) -> _Outline:
    """The network that a run trained; its copy of the project never changes."""
    try:
        return _outline(file_format.load(run_dir / files.PROJECT).document)
    except (OSError, FormatError):
        return _Outline()


def _outline(document: Document) -> _Outline:
    graph = document.main
    nodes = sorted((n.id, n.type, n.bypass, dict(n.params)) for n in graph.nodes.values())
    wires = sorted((w.source, w.source_port, *w.key) for w in graph.wires.values())
    return _Outline(
        frozenset((n.id, n.type) for n in graph.nodes.values()),
        json.dumps([nodes, wires], sort_keys=True, default=str),
        document.data.source,
    )
