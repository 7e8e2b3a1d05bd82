"""Replaces a file as a whole or not at all, whatever fails on the way."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path


class Files:
    """The system calls of saving, in one place so that each can be made to fail in a test."""

    def open_new(self, path: str, mode: int) -> int:
        """Descriptor of a new file that must not exist yet."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        return os.open(path, flags, mode)

    def write(self, descriptor: int, data: memoryview) -> int:
        """Bytes written, which may be fewer than given."""
        return os.write(descriptor, data)

    def set_mode(self, path: str, mode: int) -> None:
        os.chmod(path, mode)

    def sync(self, descriptor: int) -> None:
        """Bring what was written to the disk."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def read(self, path: str) -> bytes:
        """The whole content."""
        with open(path, "rb") as file:
            return file.read()

    def replace(self, source: str, target: str) -> None:
        """Put one file in the place of another, in one step."""
        os.replace(source, target)

    def remove(self, path: str) -> None:
        os.unlink(path)

    def sync_folder(self, folder: str) -> None:
        """Bring the folder's entries to the disk, where folders can be opened at all."""
        if os.name != "posix":
            return
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


OS_FILES = Files()


def replace_file(
    path: Path, data: bytes, *, mode: int | None = None, files: Files = OS_FILES
) -> None:
    """Write ``data`` to ``path`` so that the old or the new content is there at any moment.

    The new content goes to a file beside it, is brought to the disk, read back and compared, and
    only then takes the old one's place. Permissions are kept; a link stays a link and the file it
    names is replaced.

    Parameters
    ----------
    mode : int, optional
        Permissions if there is no file yet; by default those of any new file.

    Raises
    ------
    OSError
        If any step fails; the old file is then as it was (except when only the last step, making
        the folder durable, has failed: then the new one is).
    """
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    with contextlib.suppress(FileNotFoundError):
        mode = stat.S_IMODE(os.stat(target).st_mode)
    temporary = os.path.join(folder, f".saving-{secrets.token_hex(6)}.tmp")
    # Never more open than it will be, but to its owner, who reads back what was written.
    descriptor = files.open_new(temporary, 0o666 if mode is None else mode & 0o666 | 0o600)
    try:
        try:
            _write_all(descriptor, data, files)
            files.sync(descriptor)
        finally:
            files.close(descriptor)
        if files.read(temporary) != data:
            raise OSError(f"what was written to {os.path.basename(temporary)} reads back otherwise")
        if mode is not None:
            files.set_mode(temporary, mode)
        files.replace(temporary, target)
    except BaseException:
        _remove_quietly(temporary, files)
        raise
    files.sync_folder(folder)


def _write_all(descriptor: int, data: bytes, files: Files) -> None:
    view = memoryview(data)
    while view:
        written = files.write(descriptor, view)
        if written <= 0:
            raise OSError("the disk takes no more data")
        view = view[written:]


def _remove_quietly(path: str, files: Files) -> None:
    try:
        files.remove(path)
    except OSError:
        return  # the first failure is the one to report
