"""Unsaved work survives a crash: a copy in the state folder, offered at the next start.

Each open window owns one file there and a lock beside it. A file whose lock nobody holds was left
by a program that did not end as it should.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QLockFile, QObject, QTimer, Signal

from graphstudio.document import format as file_format
from graphstudio.document.format import FormatError
from graphstudio.document.model import Document
from graphstudio.ui.project import Project
from graphstudio.ui.project_files import Stamp
from graphstudio.ui.settings import state_dir, write_atomic

log = logging.getLogger(__name__)

DELAY_MS = 1000
"""At most this much of editing is lost, plus the time of one write."""
VERSION = 1


def recovery_dir() -> Path:
    """Folder of the copies."""
    return state_dir() / "recovery"


class Autosave(QObject):
    """Keeps a copy of the document while it differs from its file.

    Parameters
    ----------
    stamp : callable
        The stamp of the file that the document was read from or written to last.
    """

    failed = Signal(str)
    """The copy cannot be written; said once, with the reason."""

    def __init__(
        self, stamp: Callable[[], Stamp | None] = lambda: None, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._stamp = stamp
        self._project: Project | None = None
        self._file: Path | None = None
        self._lock: QLockFile | None = None
        self._told = False
        self._timer = QTimer(self, singleShot=True, interval=DELAY_MS)
        self._timer.timeout.connect(self.write)

    @property
    def file(self) -> Path | None:
        """The copy, if there is one on disk now."""
        return self._file if self._file is not None and self._file.exists() else None

    def watch(self, project: Project) -> None:
        """Follow another project; the copy of the last one goes.

        One that differs from its file already has its copy when this returns, if the disk takes it.
        """
        self.discard()
        if self._project is not None:
            self._project.changed.disconnect(self._on_change)
            self._project.clean_changed.disconnect(self._on_clean)
        self._project = project
        project.changed.connect(self._on_change)
        project.clean_changed.connect(self._on_clean)
        self.write()

    def write(self) -> None:
        """Write the copy now."""
        project = self._project
        if project is None or project.history.clean:
            return
        stamp = self._stamp()
        record = {
            "version": VERSION,
            "path": str(project.path) if project.path else None,
            "stamp": [stamp.mtime_ns, stamp.size] if stamp else None,
            "example": project.example,
            "time": time.time(),
            "document": file_format.dumps(project.document),
        }
        try:
            self._claim()
            write_atomic(self._file, json.dumps(record, ensure_ascii=False))
        except OSError as error:
            log.warning("the recovery copy cannot be written: %s", error)
            if not self._told:
                self._told = True
                self.failed.emit(error.strerror or str(error))

    def discard(self) -> None:
        """Remove the copy: its content is saved, or is not wanted."""
        self._timer.stop()
        if self._file is not None:
            self._file.unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.unlock()
        self._file = self._lock = None

    def _claim(self) -> None:
        if self._file is not None:
            return
        folder = recovery_dir()
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{secrets.token_hex(6)}.json"
        lock = _lock_of(file)
        if not lock.tryLock(0):
            raise OSError("the recovery folder cannot be locked")
        self._file, self._lock = file, lock

    def _on_change(self) -> None:
        if not self._timer.isActive():
            self._timer.start()

    def _on_clean(self, clean: bool) -> None:
        if clean:
            self.discard()


@dataclass(frozen=True)
class Recovered:
    """Work that a program left behind when it ended badly."""

    file: Path
    path: Path | None
    """File of the project; None if it was never saved."""
    time: float
    """When the copy was written, in seconds since 1970."""
    document: Document
    example: str = ""
    """Name of the example that it began as."""
    stamp: Stamp | None = None
    """Of the project's file as the work began; None if that is not known."""

    @property
    def name(self) -> str:
        return self.path.stem if self.path else self.example

    def forget(self) -> None:
        """Remove the copy."""
        self.file.unlink(missing_ok=True)
        _lock_path(self.file).unlink(missing_ok=True)


def left_behind(set_aside: Callable[[Path], object] = lambda _file: None) -> list[Recovered]:
    """Copies that nobody owns any more and that differ from their files, the newest first.

    A copy is deleted only if its file has it all. One that makes no sense to this version is
    renamed, and ``set_aside`` told where it is; one that the disk does not give waits where it is.
    """
    found = []
    for file in recovery_dir().glob("*.json"):
        lock = _lock_of(file)
        if not lock.tryLock(0):
            continue  # a window that is open now
        try:
            recovered = _read(file)
        except OSError as error:
            log.warning("the recovery copy %s cannot be read: %s", file, error)
            continue
        except (ValueError, KeyError, TypeError, FormatError) as error:
            log.warning("the recovery copy %s cannot be used: %s", file, error)
            _set_aside(file, set_aside)
            continue
        finally:
            lock.unlock()
        if _is_saved(recovered):
            file.unlink(missing_ok=True)
        else:
            found.append(recovered)
    return sorted(found, key=lambda r: -r.time)


def _read(file: Path) -> Recovered:
    record = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(record["document"], str):
        raise TypeError("the document is no text")
    document = file_format.loads(record["document"]).document
    path = Path(record["path"]) if record["path"] else None
    example = str(record.get("example", ""))
    stamp = Stamp(*map(int, record["stamp"])) if record.get("stamp") else None
    return Recovered(file, path, float(record["time"]), document, example, stamp)


def _set_aside(file: Path, tell: Callable[[Path], object]) -> None:
    kept = file.with_suffix(".broken")
    try:
        file.replace(kept)
    except OSError as error:
        log.warning("the recovery copy %s cannot be renamed: %s", file, error)
        kept = file
    tell(kept)


def _is_saved(recovered: Recovered) -> bool:
    if recovered.path is None:
        return False
    try:
        text = recovered.path.read_text(encoding="utf-8")
        return file_format.dumps(file_format.loads(text).document) == file_format.dumps(
            recovered.document
        )
    except (OSError, ValueError, FormatError):
        return False


def _lock_of(file: Path) -> QLockFile:
    lock = QLockFile(str(_lock_path(file)))
    lock.setStaleLockTime(0)  # a lock grows stale with its process, never with time
    return lock


def _lock_path(file: Path) -> Path:
    return file.with_suffix(".lock")
