"""Named arrays to and from .safetensors files. Reading one never runs code.

``save`` and ``load`` take arrays by name; ``save_states`` and ``load_states`` what a training run
is made of: anything with a ``state_dict``, and plain values.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engine.backend import Array, to_numpy
from engine.errors import EngineError
from engine.tensor import Tensor


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
    EngineError
        If something is no array.
    """
    from safetensors.numpy import save as encode

    host = {name: _on_host(name, array) for name, array in arrays.items()}
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
    """Arrays by name, and the text saved with them. bfloat16, which NumPy lacks, becomes float32.

    Raises
    ------
    EngineError
        If the file is no safetensors file, is cut off, or holds a type of which no array can be.
    OSError
        If it cannot be read.
    """
    from safetensors import SafetensorError, deserialize, safe_open

    with open(path, "rb"):  # a missing or unreadable file is an OSError with its own words
        pass
    try:
        with safe_open(path, framework="numpy") as file:
            kinds = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
            for name, kind in kinds.items():
                if kind not in KINDS:
                    raise EngineError(
                        f"'{os.fspath(path)}' holds '{name}' as {kind}; expected one of "
                        f"{', '.join(KINDS)}. Convert it where it was made."
                    )
            raw = {}
            if BFLOAT16 in kinds.values():
                raw = dict(deserialize(Path(path).read_bytes()))  # type: ignore[no-untyped-call]
            arrays = {
                name: _widened(raw[name]) if kind == BFLOAT16 else file.get_tensor(name)
                for name, kind in kinds.items()
            }
            return arrays, dict(file.metadata() or {})
    except SafetensorError as error:
        raise EngineError(
            f"'{os.fspath(path)}' is no whole safetensors file ({error}). Save it again."
        ) from error


BFLOAT16 = "BF16"
KINDS = (
    "F64",
    "F32",
    "F16",
    BFLOAT16,
    "I64",
    "I32",
    "I16",
    "I8",
    "U64",
    "U32",
    "U16",
    "U8",
    "BOOL",
)
"""What safetensors files may hold here, by their names for it."""


def _widened(tensor: Mapping[str, Any]) -> Array:
    """bfloat16 as the float32 whose upper half it is."""
    bits = np.frombuffer(tensor["data"], "<u2").astype(np.uint32) << 16
    return bits.view(np.float32).reshape(tensor["shape"])


def _on_host(name: str, value: Any) -> Array:
    """An array of its own row-major memory."""
    array = value.data if isinstance(value, Tensor) else value
    if not hasattr(array, "dtype") or array.dtype.kind not in "biuf":
        raise EngineError(
            f"checkpoint found a {type(value).__name__} under '{name}'; expected an array of "
            "numbers. save_states writes whole states."
        )
    return np.ascontiguousarray(to_numpy(array)).reshape(np.shape(array))


STATES = "states"
"""Name of the text that holds everything but the arrays, which it names."""
ARRAY = "array in this file"
"""Key under which that text names an array."""


def save_states(path: str | os.PathLike[str], **parts: Any) -> None:
    """Write everything that a run needs to go on, whole at every moment.

    Parameters
    ----------
    parts : objects
        Each a model, an optimiser, a loader or whatever else has a ``state_dict``, or a plain
        value: a number, a text, an array, or lists and dicts of them.

    Raises
    ------
    EngineError
        If a value is none of these.

    Examples
    --------
    >>> save_states("run.safetensors", model=model, optimizer=optimizer, epoch=3)  # doctest: +SKIP
    >>> load_states("run.safetensors", model=model, optimizer=optimizer)  # doctest: +SKIP
    {'epoch': 3}
    """
    arrays: dict[str, Array] = {}
    tree = {
        name: _plain(name, part.state_dict() if hasattr(part, "state_dict") else part, arrays)
        for name, part in parts.items()
    }
    save(path, arrays, {STATES: json.dumps(tree)})


def load_states(path: str | os.PathLike[str], **parts: Any) -> dict[str, Any]:
    """Give each of the objects the state saved under its name; what else was saved, by name.

    Raises
    ------
    EngineError
        If the file was not written by ``save_states``, lacks a state, or one does not fit.
    OSError
        If it cannot be read.
    """
    arrays, metadata = load(path)
    if STATES not in metadata:
        raise EngineError(
            f"'{os.fspath(path)}' holds arrays only; expected what save_states writes. Use load."
        )
    tree = _with_arrays(json.loads(metadata[STATES]), arrays)
    missing = sorted(parts.keys() - tree.keys())
    if missing:
        raise EngineError(
            f"'{os.fspath(path)}' lacks {', '.join(missing)}; it has {', '.join(tree)}."
        )
    for name, part in parts.items():
        part.load_state_dict(tree.pop(name))
    return dict(tree)


def _plain(name: str, value: Any, arrays: dict[str, Array]) -> Any:
    """``value`` as JSON has it; its arrays go into ``arrays`` under names that lead to them."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _plain(f"{name}.{key}", part, arrays) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(f"{name}.{i}", part, arrays) for i, part in enumerate(value)]
    if not hasattr(value, "dtype"):
        raise EngineError(
            f"save_states found a {type(value).__name__} as {name}; expected something with a "
            "state_dict, numbers, texts, arrays, or lists and dicts (with texts as keys) of them."
        )
    if name in arrays:
        raise EngineError(f"save_states found two arrays called '{name}'; rename one of them.")
    arrays[name] = value
    return {ARRAY: name}


def _with_arrays(value: Any, arrays: Mapping[str, Array]) -> Any:
    if isinstance(value, list):
        return [_with_arrays(part, arrays) for part in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {ARRAY}:
        return arrays[value[ARRAY]]
    return {key: _with_arrays(part, arrays) for key, part in value.items()}
