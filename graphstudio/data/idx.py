"""Reading IDX files, the format of MNIST, plain or gzipped, without trusting their headers."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from graphstudio.data.source import DataError
from graphstudio.nodes.types import Message

MAX_BYTES = 1 << 30
"""More than any data set of this format holds; a header that claims more is refused."""

_UINT8 = 0x08


def read_idx(path: Path, *, ndim: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Array of bytes in an IDX file, shape as its header says.

    The header is checked, and the file's length against it, before memory is taken; of a gzip
    stream no more is unpacked than the header announces and one byte to see that it ends there.

    Parameters
    ----------
    path : Path
        File with or without gzip compression; told apart by its first bytes, not by its name.
    ndim : int
        Number of axes that the caller needs: 3 for images, 1 for labels.

    Raises
    ------
    DataError
        If the file cannot be read or is not what its header says.
    """
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream = cast("IO[bytes]", gzip.GzipFile(fileobj=raw, mode="rb")) if zipped else raw
            shape = _read_header(stream, path, ndim)
            size = math.prod(shape)
            if not zipped and path.stat().st_size != 4 + 4 * ndim + size:
                raise _damaged(path, Message("its length does not match its header"))
            data = _read_exactly(stream, size)
            if len(data) != size or stream.read(1):
                raise _damaged(path, Message("its length does not match its header"))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise _damaged(
            path, Message("it cannot be unpacked ({error})", {"error": error})
        ) from error
    except OSError as error:
        raise DataError(
            Message(
                "'{file}' cannot be read: {reason}",
                {"file": path.name, "reason": error.strerror or error},
            ),
            Message("Check the permissions of {path}.", {"path": str(path)}),
        ) from error
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


def _read_header(stream: IO[bytes], path: Path, ndim: int) -> tuple[int, ...]:
    head = stream.read(4 + 4 * ndim)
    if len(head) < 4 + 4 * ndim:
        raise _damaged(path, Message("it is too short for a header"))
    zeros, kind, axes = struct.unpack(">HBB", head[:4])
    if zeros != 0 or kind != _UINT8 or axes != ndim:
        raise DataError(
            Message(
                "'{file}' is not an IDX file of bytes with {ndim} axes (it begins with {found})",
                {"file": path.name, "ndim": ndim, "found": head[:4].hex(" ")},
            ),
            Message(
                "Check that {path} is the original file, or fetch it again.", {"path": str(path)}
            ),
        )
    shape = struct.unpack(f">{ndim}I", head[4:])
    if math.prod(shape) > MAX_BYTES:
        raise _damaged(path, Message("its header claims more than a gigabyte"))
    return shape


def _read_exactly(stream: IO[bytes], size: int) -> bytes:
    """Up to ``size`` bytes, in pieces: memory grows with what is there, not with a claim."""
    pieces = []
    while size:
        piece = stream.read(min(size, 1 << 20))
        if not piece:
            break
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _damaged(path: Path, reason: Message) -> DataError:
    return DataError(
        Message("'{file}' is damaged: {reason}", {"file": path.name, "reason": reason}),
        Message("Delete {path} and fetch it again.", {"path": str(path)}),
    )
