"""Earlier versions of a project: what its file held before the last few times it was saved."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from graphstudio.document.storage import replace_file

NUM_KEPT = 5
_FORMAT = "%Y-%m-%d_%H-%M-%S"


@dataclass(frozen=True)
class Version:
    """A project file as it was."""

    path: Path
    saved: datetime
    """When it was saved, in local time."""


@dataclass(frozen=True)
class Content:
    """What a project file holds, and since when."""

    data: bytes
    saved: datetime

    @classmethod
    def of(cls, project: Path) -> Content | None:
        """The content now; None if there is no such file yet."""
        try:
            data = project.read_bytes()
            return cls(data, datetime.fromtimestamp(project.stat().st_mtime))
        except FileNotFoundError:
            return None


def versions_dir(project: Path) -> Path:
    """Folder of a project's earlier versions, beside its runs."""
    return project.with_suffix(".runs") / "versions"


def versions_of(project: Path) -> list[Version]:
    """Earlier versions of a project, the latest first."""
    found = []
    for path in versions_dir(project).glob(f"*{project.suffix}"):
        try:
            saved = datetime.strptime(path.stem[:19], _FORMAT)
        except ValueError:
            continue  # somebody else's file
        found.append(Version(path, saved))
    return sorted(found, key=lambda v: (v.saved, v.path.name), reverse=True)


def keep_version(project: Path, before: Content) -> None:
    """Keep what the file held before it was saved, if that changed it; the oldest one goes.

    Raises
    ------
    OSError
        If the disk is full, the folder not writable, and the like; the project is not touched.
    """
    if project.read_bytes() == before.data:
        return
    folder = versions_dir(project)
    folder.mkdir(parents=True, exist_ok=True)
    stamp = before.saved.strftime(_FORMAT)
    for suffix in itertools.chain([""], (f"_{n}" for n in itertools.count(2))):
        path = folder / f"{stamp}{suffix}{project.suffix}"
        if not path.exists():
            break
    replace_file(path, before.data)
    for old in versions_of(project)[NUM_KEPT:]:
        old.path.unlink(missing_ok=True)
