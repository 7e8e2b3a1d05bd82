"""Fetching a data set on request: resumable, and kept only if its SHA-256 is the pinned one."""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from graphstudio.data.source import DataError
from graphstudio.nodes.types import Message

FetchProgress = Callable[[str, int, int], None]
"""File name, bytes had so far, bytes in all."""

_CHUNK = 1 << 16
_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class RemoteFile:
    """A file, its exact size in bytes and the SHA-256 of those bytes."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The files of a data set and the places, tried in order, that have them."""

    mirrors: tuple[str, ...]
    files: tuple[RemoteFile, ...]


# Sizes and hashes of the gzip files as TensorFlow Datasets pins them (url_checksums/mnist.txt);
# the MD5 sums in torchvision/datasets/mnist.py are of the same files, as are its mirrors.
MANIFESTS: Mapping[str, Manifest] = {
    "mnist": Manifest(
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        files=(
            RemoteFile(
                "train-images-idx3-ubyte.gz",
                9_912_422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            ),
            RemoteFile(
                "train-labels-idx1-ubyte.gz",
                28_881,
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            ),
            RemoteFile(
                "t10k-images-idx3-ubyte.gz",
                1_648_877,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            ),
            RemoteFile(
                "t10k-labels-idx1-ubyte.gz",
                4_542,
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
        ),
    )
}


def fetch(
    kind: str,
    folder: Path,
    progress: FetchProgress | None = None,
    *,
    manifest: Manifest | None = None,
    timeout_s: float = _TIMEOUT_S,
) -> list[Path]:
    """Bring the files of a data set into ``folder`` and return their paths.

    Files that are there and whole are kept. A transfer that broke off leaves ``NAME.part``, and
    the next call goes on from there. A file gets its name only after its hash was found right.

    Raises
    ------
    DataError
        If the data set is not known, no mirror answers, the disk is full, or a hash is wrong.
    """
    plan = manifest or MANIFESTS.get(kind)
    if plan is None:
        raise DataError(
            Message(
                "there is nothing to fetch for '{kind}'; known: {known}",
                {"kind": kind, "known": ", ".join(MANIFESTS)},
            )
        )
    report = progress or (lambda _name, _done, _total: None)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [_bring(file, plan.mirrors, folder, report, timeout_s) for file in plan.files]
    except OSError as error:
        raise DataError(
            Message(
                "the files cannot be written to {folder}: {reason}",
                {"folder": str(folder), "reason": error.strerror or str(error)},
            ),
            Message("Make room or name another folder."),
        ) from error


def _bring(
    file: RemoteFile,
    mirrors: Sequence[str],
    folder: Path,
    report: FetchProgress,
    timeout_s: float,
) -> Path:
    target = folder / file.name
    if target.is_file() and target.stat().st_size == file.size and _sha256(target) == file.sha256:
        report(file.name, file.size, file.size)
        return target
    part = folder / f"{file.name}.part"
    failures = []
    for mirror in mirrors:
        try:
            _transfer(mirror + file.name, part, file, report, timeout_s)
        except _NETWORK_ERRORS as error:
            failures.append(f"{mirror}: {getattr(error, 'reason', None) or error}")
            continue
        if part.stat().st_size == file.size and _sha256(part) == file.sha256:
            os.replace(part, target)
            return target
        part.unlink()  # wrong bytes are of no use to the next attempt
        failures.append(f"{mirror}: SHA-256")
    if any(f.endswith(": SHA-256") for f in failures):
        raise DataError(
            Message(
                "'{file}' was refused: it is not the file that was published (its SHA-256 differs)",
                {"file": file.name},
            ),
            Message("Something between here and the server changes files; try another network."),
        )
    raise DataError(
        Message(
            "'{file}' could not be fetched ({reasons})",
            {"file": file.name, "reasons": "; ".join(failures)},
        ),
        Message("Check the network connection and try again; what has arrived is kept."),
    )


class _BrokenError(Exception):
    """The connection ended early or spoke nonsense."""


_NETWORK_ERRORS = (
    urllib.error.URLError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
    _BrokenError,
)


def _transfer(
    url: str, part: Path, file: RemoteFile, report: FetchProgress, timeout_s: float
) -> None:
    had = part.stat().st_size if part.is_file() else 0
    if had > file.size:
        part.unlink()
        had = 0
    if had == file.size:
        return
    request = urllib.request.Request(url, headers={"User-Agent": "graphstudio"})
    if had:
        request.add_header("Range", f"bytes={had}-")
    with urllib.request.urlopen(request, timeout=timeout_s) as response:
        if had and response.status != http.HTTPStatus.PARTIAL_CONTENT:
            had = 0  # this server starts over
        with part.open("ab" if had else "wb") as out:
            report(file.name, had, file.size)
            while had < file.size:
                try:
                    piece = response.read(min(_CHUNK, file.size - had))
                except OSError as error:  # the network's error, not the disk's
                    raise _BrokenError(str(error)) from error
                if not piece:
                    raise _BrokenError("the connection ended early")
                out.write(piece)
                had += len(piece)
                report(file.name, had, file.size)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
