"""What worker and window say to each other: plain dataclasses, one JSON object a line."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Literal

PROTOCOL = 1


@dataclass(frozen=True, kw_only=True)
class Start:
    """To the worker: train this project.

    ``run_dir`` is created by the caller; everything that the run leaves lies in it.
    """

    document: dict[str, Any]
    project_dir: str
    run_dir: str
    num_threads: int = 0
    """0: one fewer than the machine has, at least one."""
    resume_from: str = ""
    """A ``.safetensors`` file to begin from instead of fresh weights; empty: begin anew."""


@dataclass(frozen=True, kw_only=True)
class Control:
    """To the worker: pause, resume or stop at the next batch boundary."""

    action: Literal["pause", "resume", "stop"]


@dataclass(frozen=True, kw_only=True)
class Preparing:
    """From the worker: what it does before the first step (loading data, compiling)."""

    what: str


@dataclass(frozen=True, kw_only=True)
class Started:
    """From the worker: the first step comes next."""

    epochs: int
    steps_per_epoch: int
    batch_size: int
    num_parameters: int
    num_train: int
    num_validation: int
    num_test: int
    metrics: tuple[str, ...]
    """Names of the metrics, besides ``loss``."""
    pid: int


@dataclass(frozen=True, kw_only=True)
class StepMetrics:
    """A batch of training steps, at most 20 such messages a second. Lists run in parallel."""

    steps: list[int]
    epochs: list[float]
    """Position in epochs, fractional."""
    values: dict[str, list[float]]
    """``loss`` and every metric, one entry a step."""
    learning_rate: list[float]
    samples_per_s: float
    time_left_s: float
    seconds: list[float] = field(default_factory=list)
    """Training time at each step, without pauses."""


@dataclass(frozen=True, kw_only=True)
class EpochEnd:
    """Sample-weighted means over the epoch; ``validation`` is empty without a validation split."""

    epoch: int
    step: int
    train: dict[str, float]
    validation: dict[str, float]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class StateChanged:
    """From the worker: it obeyed a control."""

    state: Literal["running", "paused", "stopping"]


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """Result on the held-out split, with the weights as they were at the end."""

    split: str
    num_samples: int
    values: dict[str, float]
    confusion: list[list[int]] = field(default_factory=list)
    """Rows are true classes, columns predictions; empty unless the task is classification."""
    class_names: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Finished:
    """From the worker, last: the run is over and its results are written."""

    status: Literal["completed", "stopped"]
    epochs: int
    seconds: float
    weights: str
    """Path of the ``.safetensors`` file."""


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The run cannot go on. ``node`` names the node at fault, if one is."""

    reason: str
    message: str
    hint: str = ""
    node: str = ""
    details: str = ""
    """Traceback or the end of the log, for the log pane."""


Message = (
    Start
    | Control
    | Preparing
    | Started
    | StepMetrics
    | EpochEnd
    | StateChanged
    | Evaluated
    | Finished
    | Failed
)
_TYPES = {t.__name__: t for t in Message.__args__}


def encode(message: Message) -> str:
    """One line of JSON, without the newline. NaN and infinity are written as strings."""
    body = {"v": PROTOCOL, "type": type(message).__name__, **dataclasses.asdict(message)}
    return json.dumps(_safe(body), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def decode(line: str) -> Message:
    """The message on a line.

    Raises
    ------
    ValueError
        If the line is no message of this protocol.
    """
    try:
        body = json.loads(line)
        version, name = body.pop("v"), body.pop("type")
        if version != PROTOCOL:
            raise ValueError(f"protocol {version}, expected {PROTOCOL}")
        message: Message = _TYPES[name](**_restore(body))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"not a message of the training protocol ({error}): {line[:200]!r}"
        ) from error
    return message


_SPECIAL = {"nan", "inf", "-inf"}


def _safe(value: Any) -> Any:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return {"$float": repr(value)}
    if isinstance(value, dict):
        return {k: _safe(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_safe(v) for v in value]
    return value


def _restore(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"$float"} and value["$float"] in _SPECIAL:
            return float(value["$float"])
        return {k: _restore(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_restore(v) for v in value]
    return value
