"""Files of a run folder: their names, and writing them so that the former ones stay whole."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RUN = "run.json"
METRICS = "metrics.jsonl"
WEIGHTS = "weights.safetensors"
EVALUATION = "evaluation.json"
PROJECT = "project.gsproj"
ALL = (RUN, METRICS, WEIGHTS, EVALUATION, PROJECT)


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """What ``run.json`` says of a run."""

    status: str = "running"
    """``running``, ``completed``, ``stopped``, ``failed`` or ``died``."""
    started: str = ""
    """Date and time with zone, ISO 8601."""
    finished: str = ""
    seconds: float = 0.0
    """Training time without pauses."""
    epochs: int = 0
    steps: int = 0
    seed: int = 0
    document_sha256: str = ""
    num_threads: int = 0
    num_parameters: int = 0
    pid: int = 0
    error: str = ""
    versions: dict[str, str] = field(default_factory=dict)


def read_run(run_dir: Path) -> RunInfo | None:
    """What is known of a run, or None if the folder holds none or its file is damaged."""
    try:
        body = json.loads((run_dir / RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(body, dict):
        return None
    defaults = dataclasses.asdict(RunInfo())
    known = {
        name: value
        for name, value in body.items()
        if name in defaults and _alike(value, defaults[name])
    }
    return RunInfo(**known) if "status" in known else None


def write_run(run_dir: Path, info: RunInfo) -> None:
    """Replace ``run.json``; raises OSError with the former one intact."""
    write_json(run_dir / RUN, dataclasses.asdict(info))


def write_json(path: Path, content: Any) -> None:
    """Replace a JSON file in one step; raises OSError with the former file intact."""
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp's 0o600 would hide the results from others
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _alike(value: Any, default: Any) -> bool:
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is type(default)
