"""Opening, saving and starting projects, and the examples that come along."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from graphstudio.document import format as file_format
from graphstudio.document.format import FormatError
from graphstudio.document.model import Document
from graphstudio.document.versions import Content, keep_version
from graphstudio.nodes.types import Message
from graphstudio.resources import data_dir, is_installed

log = logging.getLogger(__name__)

SUFFIX = ".gsproj"


class ProjectError(Exception):
    """A project cannot be opened or saved; ``problems`` says why, one message a place."""

    def __init__(self, problems: list[Message]) -> None:
        self.problems = problems
        super().__init__("; ".join(map(str, problems)))


@dataclass(frozen=True)
class OpenedProject:
    """A document, the file it came from, and what was odd but could be read."""

    document: Document
    path: Path
    warnings: list[Message]


@dataclass(frozen=True)
class Example:
    """A project that comes with graphstudio."""

    name: str
    path: Path


def open_project(path: Path) -> OpenedProject:
    """The project in a file.

    Raises
    ------
    ProjectError
        If the file cannot be read or is no project; every problem is listed with its place.
    """
    if path.is_dir():
        path = project_in(path)
    try:
        loaded = file_format.load(path)
    except FormatError as error:
        raise ProjectError(list(error.problems)) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise ProjectError(
            [Message("'{path}' cannot be opened: {reason}", {"path": str(path), "reason": reason})]
        ) from error
    return OpenedProject(loaded.document, path, list(loaded.warnings))


def save_project(document: Document, path: Path) -> Path:
    """Write the project and return where; the old file stays whole if that fails.

    What the file held before is kept as an earlier version. If that cannot be read, or there is no
    room for it, the project is saved all the same.

    Raises
    ------
    ProjectError
        If the disk is full, the folder is not writable, and the like.
    """
    if not path.suffix:
        path = path.with_suffix(SUFFIX)
    before = _content_before(path)
    try:
        after = file_format.save(document, path)
    except FormatError as error:
        raise ProjectError(list(error.problems)) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise ProjectError(
            [Message("'{path}' cannot be saved: {reason}", {"path": str(path), "reason": reason})]
        ) from error
    if before is not None:
        try:
            keep_version(path, before, after)
        except OSError as error:
            log.warning("the earlier version of %s cannot be kept: %s", path, error)
    return path


def _content_before(path: Path) -> Content | None:
    """What is about to be replaced; None if there is nothing, or nothing that can be read."""
    try:
        return Content.of(path)
    except OSError as error:
        log.warning("the earlier version of %s cannot be kept: %s", path, error)
        return None


def may_be_replaced(path: Path) -> bool:
    """Whether a project's file is its user's to write: not an installed example, not read-only."""
    if is_installed(path):
        return False
    return os.access(path if path.exists() else path.parent, os.W_OK)


def new_project() -> Document:
    """An empty project."""
    return Document()


def from_example(name: str) -> Document:
    """A copy of an example, not tied to its file; raises ProjectError if there is none."""
    for example in examples():
        if example.name == name:
            return open_project(example.path).document
    known = ", ".join(example.name for example in examples())
    raise ProjectError(
        [Message("there is no example '{name}'; there are {known}", {"name": name, "known": known})]
    )


def examples() -> list[Example]:
    """The projects that come along, by name."""
    try:
        folder = data_dir("projects")
    except FileNotFoundError:
        return []
    return [Example(path.stem, path) for path in sorted(folder.glob(f"*/*{SUFFIX}"))]


def project_in(folder: Path) -> Path:
    """The one project file in a folder; raises ProjectError if there is none or more than one."""
    found = sorted(folder.glob(f"*{SUFFIX}"))
    if len(found) != 1:
        raise ProjectError(
            [
                Message(
                    "'{path}' is a folder with {count} project files; name one file",
                    {"path": str(folder), "count": len(found)},
                )
            ]
        )
    return found[0]
