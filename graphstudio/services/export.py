"""Exporting a project: the folder of one target with its weights, and the live preview."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from graphstudio.data import python_loader
from graphstudio.document.model import Document
from graphstudio.exporters import ExportedProject, ExportError, Problem, export
from graphstudio.exporters.values import stored_arrays
from graphstudio.ir.check import Checker, CheckFailed
from graphstudio.ir.graph import Graph
from graphstudio.nodes.types import Message
from graphstudio.services.check import describe_data
from graphstudio.services.origin import changed_since

if TYPE_CHECKING:
    import numpy as np

    Arrays = Mapping[str, "np.ndarray[tuple[int, ...], np.dtype[np.generic]]"]

WEIGHTS = "weights.safetensors"
MANIFEST = ".graphstudio.json"
"""File of an exported folder that says what graphstudio wrote there, by SHA-256."""


class ExportRefusedError(Exception):
    """Nothing was written; ``message`` says why, ``hint`` how to mend it."""

    def __init__(self, message: Message, hint: Message | None = None) -> None:
        self.message = message
        self.hint = hint
        super().__init__(f"{message} {hint}" if hint else str(message))


@dataclass(frozen=True)
class ExportReport:
    """What was exported."""

    target: str
    folder: Path
    files: tuple[str, ...]
    trained: bool
    """False if the weights are new ones, as no trained ones were given."""
    warnings: tuple[Message, ...] = ()


def freeze(document: Document, name: str = "model") -> Graph:
    """The checked graph of a project.

    Raises
    ------
    CheckFailed
        If the project has errors.
    """
    return Checker(document, describe_data).freeze(name)


def preview(source: Document | Graph, target: str) -> ExportedProject:
    """The files of an export but for the weights; touches no disk and loads no engine.

    Raises
    ------
    CheckFailed, ExportError, DataError
        If the project has errors, or the target cannot express it.
    """
    graph = source if isinstance(source, Graph) else freeze(source)
    return export(graph, target, data_loader=python_loader(graph.data))


def export_project(
    document: Document,
    target: str,
    out_dir: Path,
    weights: Path | None = None,
    *,
    name: str = "model",
) -> ExportReport:
    """Write the folder of one target; all of it, or nothing.

    A folder that an earlier export made is replaced, and what else lies in it (trained weights,
    say) is kept. It is refused where files were edited since, or where one of the user's own has a
    name that the export wants.

    Parameters
    ----------
    weights : Path, optional
        A run's weights; new ones are drawn if left out.
    name : str
        What the model's class is to be called, made into an identifier.

    Raises
    ------
    CheckFailed, ExportError, DataError
        If the project has errors, or the target cannot express it.
    ExportRefusedError
        If the folder is not ours, files of the user's would be lost, the weights belong to
        another model, the disk is full or the folder cannot be written.
    """
    graph = freeze(document, name)
    exported = preview(graph, target)
    arrays = read_weights(graph, weights) if weights is not None else new_weights(graph)
    try:
        write_folder(exported.files, arrays, out_dir)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ExportRefusedError(
            Message(
                "'{folder}' cannot be written: {reason}", {"folder": out_dir, "reason": reason}
            ),
            Message("Make room there, or export to another folder."),
        ) from error
    changed = changed_since(graph, weights) if weights is not None else None
    return ExportReport(
        target,
        out_dir,
        (*exported.files, WEIGHTS),
        weights is not None,
        (*exported.warnings, *([changed] if changed is not None else [])),
    )


def new_weights(graph: Graph) -> Arrays:
    """Freshly drawn weights, as a training with the project's seed would begin."""
    from graphstudio.compiler.lower import compile_graph  # late: the preview needs no engine

    return compile_graph(graph).state_dict()


def read_weights(graph: Graph, path: Path) -> Arrays:
    """Weights from a file, which must be exactly those of the graph.

    Raises
    ------
    ExportRefusedError
        If it is no weights file, or one of another model.
    """
    from engine import checkpoint
    from engine.errors import EngineError

    hint = Message("Train the project again, or choose the run that belongs to it.")
    try:
        arrays, _ = checkpoint.load(path)
    except (EngineError, OSError) as error:
        message = Message("the weights cannot be read: {reason}", {"reason": str(error)})
        raise ExportRefusedError(message, hint) from error
    expected = {
        f"{node.name}.{array.name}": array.shape
        for node in graph.nodes
        for array in stored_arrays(node).values()
    }
    for name in sorted(expected.keys() | arrays.keys()):
        if name not in arrays:
            problem = Message(
                "the weights in '{file}' do not fit this model: '{name}' is missing",
                {"file": path.name, "name": name},
            )
        elif name not in expected:
            problem = Message(
                "the weights in '{file}' do not fit this model: it has no '{name}'",
                {"file": path.name, "name": name},
            )
        elif arrays[name].shape != expected[name]:
            problem = Message(
                "the weights in '{file}' do not fit this model: '{name}' is {found}, "
                "not {expected}",
                {
                    "file": path.name,
                    "name": name,
                    "found": tuple(arrays[name].shape),
                    "expected": expected[name],
                },
            )
        else:
            continue
        raise ExportRefusedError(problem, hint)
    return arrays


def write_folder(files: Mapping[str, str], arrays: Arrays, out_dir: Path) -> None:
    """Make the folder beside its place and move it there in one step.

    Raises
    ------
    ExportRefusedError
        If ``out_dir`` holds something that an export would destroy.
    """
    from engine import checkpoint

    kept = _kept(out_dir, {*files, WEIGHTS, MANIFEST})
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=out_dir.parent, prefix=f".{out_dir.name}."))
    try:
        for name, text in files.items():
            (fresh / name).write_text(text, encoding="utf-8", newline="\n")
        checkpoint.save(fresh / WEIGHTS, arrays, {"format": "pt"})
        hashes = {p.name: _sha256(p) for p in sorted(fresh.iterdir())}
        manifest = json.dumps({"version": 1, "files": hashes}, indent=2, sort_keys=True)
        (fresh / MANIFEST).write_text(f"{manifest}\n", encoding="utf-8")
        umask = os.umask(0)
        os.umask(umask)
        fresh.chmod(0o777 & ~umask)
        _swap(fresh, out_dir, kept)
    finally:
        # What is ours, one by one: whatever went wrong, no file of the user's goes with it.
        for name in (*files, WEIGHTS, MANIFEST):
            with contextlib.suppress(OSError):
                (fresh / name).unlink()
        with contextlib.suppress(OSError):
            fresh.rmdir()


def _kept(out_dir: Path, wanted: Iterable[str]) -> list[str]:
    """Names in an existing folder that are not ours and stay; refuses what would be lost."""
    if not os.path.lexists(out_dir):
        return []
    where = {"folder": str(out_dir)}
    elsewhere = Message("Export to another folder.")
    if out_dir.is_symlink() or not out_dir.is_dir():
        raise ExportRefusedError(Message("'{folder}' is not a folder", where), elsewhere)
    present = sorted(p.name for p in out_dir.iterdir())
    if not present:
        return []
    ours = _manifest(out_dir)
    if ours is None:
        message = Message("'{folder}' holds other files and was not made by an export", where)
        raise ExportRefusedError(message, elsewhere)
    for name, digest in ours.items():
        path = out_dir / name
        if os.path.lexists(path) and not (path.is_file() and _sha256(path) == digest):
            message = Message(
                "'{file}' in '{folder}' was changed after the last export and would be lost",
                {**where, "file": name},
            )
            raise ExportRefusedError(message, elsewhere)
    kept = [n for n in present if n not in ours and n != MANIFEST and n != "__pycache__"]
    taken = {n.casefold() for n in wanted}  # some file systems take Losses.py for losses.py
    for name in kept:
        if name.casefold() in taken:
            message = Message(
                "'{file}' in '{folder}' is not from an export, and this one would take its name",
                {**where, "file": name},
            )
            raise ExportRefusedError(message, Message("Rename it, or export to another folder."))
    return kept


def _manifest(folder: Path) -> dict[str, str] | None:
    try:
        body = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files = body["files"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(files, dict):
        return None
    pairs = [(n, d) for n, d in files.items() if isinstance(d, str) and Path(n).name == n]
    return dict(pairs)


def _swap(fresh: Path, out_dir: Path, kept: list[str]) -> None:
    if not os.path.lexists(out_dir):
        fresh.rename(out_dir)
        return
    old = Path(tempfile.mkdtemp(dir=out_dir.parent, prefix=f".{out_dir.name}.old."))
    old.rmdir()
    out_dir.rename(old)
    moved: list[str] = []
    try:
        # Into the new folder while it has no name yet: if one cannot be moved, all go back.
        for name in kept:
            (old / name).rename(fresh / name)
            moved.append(name)
        fresh.rename(out_dir)
    except BaseException:
        for name in moved:
            (fresh / name).rename(old / name)
        old.rename(out_dir)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


__all__ = [
    "CheckFailed",
    "ExportError",
    "ExportRefusedError",
    "ExportReport",
    "Problem",
    "export_project",
    "freeze",
    "preview",
]
