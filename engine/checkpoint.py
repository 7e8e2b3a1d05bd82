"""Named arrays to and from .safetensors files. Reading one never runs code."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from engine.backend import Array, to_numpy
from engine.errors import EngineError


def save(
    path: str | os.PathLike[str],
    arrays: Mapping[str, Array],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write arrays and text under their names; the file is whole at every moment.

    Raises
    ------
    OSError
        If the file cannot be written; an existing one is untouched then.
    """
    from safetensors.numpy import save as encode

    host = {k: np.ascontiguousarray(to_numpy(v)).reshape(np.shape(v)) for k, v in arrays.items()}
    data = encode(host, dict(metadata) if metadata else None)
    target = Path(os.path.realpath(path))
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~umask
        os.chmod(temporary, mode)
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load(path: str | os.PathLike[str]) -> tuple[dict[str, Array], dict[str, str]]:
    """Arrays by name, and the text saved with them.

    Raises
    ------
    EngineError
        If the file is no safetensors file, or is cut off.
    OSError
        If it cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    with open(path, "rb"):  # a missing or unreadable file is an OSError with its own words
        pass
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return arrays, dict(file.metadata() or {})
    except SafetensorError as error:
        raise EngineError(
            f"'{os.fspath(path)}' is no whole safetensors file ({error}). Save it again."
        ) from error
