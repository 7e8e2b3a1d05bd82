"""Whether trained weights belong to the model as it is now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from graphstudio.document import format as file_format
from graphstudio.document.format import FormatError
from graphstudio.exporters.values import stored_arrays
from graphstudio.ir.check import Checker, CheckFailed
from graphstudio.ir.graph import Graph
from graphstudio.nodes.types import Message
from graphstudio.services.check import describe_data
from graphstudio.training import files


def changed_since(graph: Graph, weights: Path) -> Message | None:
    """A warning if a run has trained its weights in another model than ``graph``.

    The weights may fit all the same, as where an activation was exchanged. None for weights that
    lie in no run's folder, or if its copy of the project cannot be read: nothing is known then.
    """
    run = weights.parent
    if weights.name != files.WEIGHTS or files.read_run(run) is None:
        return None
    try:
        document = file_format.load(run / files.PROJECT).document
        known: dict[Any, int] = {}
        if _layers(Checker(document, describe_data).freeze(), known) == _layers(graph, known):
            return None
    except (OSError, FormatError):
        return None
    except CheckFailed:
        pass  # what is exported has passed the check, so it is another model
    return Message(
        "the model was changed after the run '{run}' that trained these weights; train it again "
        "for weights that belong to it",
        {"run": run.name},
    )


def _layers(graph: Graph, known: dict[Any, int]) -> frozenset[int]:
    """A number for each layer and all that leads to it, whatever it is called and where it stands.

    Parameters
    ----------
    known : dict
        The numbers that were given so far; graphs that share it can be compared.
    """
    numbers: dict[str, int] = {}
    for node in graph.nodes:
        if node.role in ("input", "layer"):
            inputs = tuple(s and (numbers[s.node], s.port) for s in node.inputs)
            # Weights are stored by name, so two layers of one kind are not the same.
            name = node.name if stored_arrays(node) else ""
            key = (node.spec.type_id, repr(node.spec), name, inputs)
            numbers[node.id] = known.setdefault(key, len(known))
    return frozenset(numbers[n.id] for n in graph.with_role("layer"))
