"""Turns a checked graph into a folder of PyTorch, TensorFlow or Keras code."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from graphstudio.exporters import keras, pytorch, tensorflow
from graphstudio.exporters.project import ExportedProject
from graphstudio.exporters.values import ExportError, Problem
from graphstudio.ir.graph import Graph
from graphstudio.nodes.types import Message

__all__ = ["TARGETS", "ExportError", "ExportedProject", "Problem", "export"]

_EXPORTERS: Mapping[str, Callable[[Graph, str], ExportedProject]] = {
    "pytorch": pytorch.export,
    "tensorflow": tensorflow.export,
    "keras": keras.export,
}
TARGETS = tuple(_EXPORTERS)


def export(graph: Graph, target: str, *, data_loader: str) -> ExportedProject:
    """The files of an exported folder, but for the weights.

    Parameters
    ----------
    target : str
        One of ``TARGETS``.
    data_loader : str
        Text of a module that defines ``load_data``, as a data source gives it.

    Raises
    ------
    ExportError
        If the target cannot express the graph; it names every node at fault.
    """
    exporter = _EXPORTERS.get(target)
    if exporter is None:
        known = ", ".join(_EXPORTERS)
        message = Message(
            "there is no target '{name}'; known: {known}", {"name": target, "known": known}
        )
        raise ExportError([Problem(message)])
    return exporter(graph, data_loader)
