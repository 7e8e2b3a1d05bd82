"""Earlier versions of a project: what its file held before the last few times it was saved."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from graphstudio.document.storage import replace_file

NUM_KEPT = 5
_REPLACED = "%Y-%m-%dT%H-%M-%S.%fZ"
_SAVED = "%Y-%m-%dT%H-%M-%SZ"
_BETWEEN = "_saved-"


@dataclass(frozen=True)
class Version:
    """A project file as it was."""

    path: Path
    replaced: datetime
    """When the next one took its place: what orders versions, as no two have the same."""
    saved: datetime
    """When it was saved, in local time, as far as its file knew: to be shown, not to be trusted."""


@dataclass(frozen=True)
class Content:
    """What a project file holds, and what else is known of it."""

    data: bytes
    mtime: float
    """When it was changed, in seconds since 1970."""
    mode: int
    """Its permissions."""

    @classmethod
    def of(cls, project: Path) -> Content | None:
        """The content now; None if there is no such file yet.

        Raises
        ------
        OSError
            If the file cannot be read.
        """
        try:
            with project.open("rb") as file:
                status = os.fstat(file.fileno())
                return cls(file.read(), status.st_mtime, stat.S_IMODE(status.st_mode))
        except FileNotFoundError:
            return None


def versions_dir(project: Path) -> Path:
    """Folder of a project's earlier versions, beside its runs."""
    return project.with_suffix(".runs") / "versions"


def versions_of(project: Path) -> list[Version]:
    """Earlier versions of a project, the latest first."""
    found = []
    for path in versions_dir(project).glob(f"*{project.suffix}"):
        replaced, _, saved = path.stem.partition(_BETWEEN)
        try:
            version = Version(path, _moment(replaced, _REPLACED), _moment(saved, _SAVED))
        except ValueError:
            continue  # somebody else's file
        found.append(version)
    return sorted(found, key=lambda v: v.replaced, reverse=True)


def keep_version(project: Path, before: Content, after: bytes) -> None:
    """Keep what the file held before ``after`` was saved, if that changed it; the oldest one goes.

    Raises
    ------
    OSError
        If the disk is full, the folder not writable, and the like; the project is not touched.
    """
    if after == before.data:
        return
    folder = versions_dir(project)
    folder.mkdir(parents=True, exist_ok=True)
    replaced = datetime.now(UTC)
    last = next(iter(versions_of(project)), None)
    if last is not None:  # the clock may stand still for a moment, or have been put back
        replaced = max(replaced, last.replaced + timedelta(microseconds=1))
    saved = _calendar(before.mtime) or replaced
    name = f"{replaced.strftime(_REPLACED)}{_BETWEEN}{saved.strftime(_SAVED)}{project.suffix}"
    replace_file(folder / name, before.data, mode=before.mode)
    for old in versions_of(project)[NUM_KEPT:]:
        old.path.unlink(missing_ok=True)


def _moment(text: str, form: str) -> datetime:
    return datetime.strptime(text, form).replace(tzinfo=UTC).astimezone()


def _calendar(mtime: float) -> datetime | None:
    """The moment of a file's time stamp; None if it has no year of four digits in every zone."""
    try:
        moment = datetime.fromtimestamp(mtime, UTC)
    except (OverflowError, ValueError, OSError):
        return None
    return moment if 1000 < moment.year < 9999 else None
