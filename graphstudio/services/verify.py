"""Do the exported scripts give the engine's numbers? All targets are run for real to find out."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine import checkpoint
from graphstudio import data as data_sources
from graphstudio.compiler.lower import compile_graph
from graphstudio.data import python_loader
from graphstudio.document.model import Document
from graphstudio.exporters import TARGETS, ExportedProject, ExportError, export
from graphstudio.i18n import render, tr
from graphstudio.ir.graph import Graph
from graphstudio.nodes.judging import JudgeNode
from graphstudio.nodes.types import Message
from graphstudio.services.export import freeze, new_weights, read_weights, write_folder

Array = np.ndarray[Any, Any]
Progress = Callable[[Message, float], None]

LIMITS: Mapping[str, float] = {"outputs": 1e-5, "loss": 1e-5, "gradients": 1e-4}
"""Largest relative difference with which a target counts as equal."""
STEPS = 20
TIMEOUT_S = 600.0
ROUNDING = 1e-5
"""A gradient below this share of the model's largest one is rounding noise.

The bias before a batch norm has a gradient of exactly 0 in real numbers; what float32 leaves of it
differs in every framework, and is compared with the model's largest gradient instead of its own.
"""

_NAMES = {"pytorch": "PyTorch", "tensorflow": "TensorFlow", "keras": "Keras"}
_MODULES = {
    "pytorch": ("torch", "safetensors"),
    "tensorflow": ("tensorflow", "safetensors"),
    "keras": ("keras", "tensorflow", "safetensors"),
}
# What a script may see of our environment. Everything else (tokens, proxies, import paths) stays.
_PASSED_ON = (
    "HOME",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "PATH",
    "SYSTEMROOT",
    "TEMP",
    "TF_ENABLE_ONEDNN_OPTS",
    "TMP",
    "TMPDIR",
    "USERPROFILE",
    "VIRTUAL_ENV",
)
_DRIVER = Path(__file__).resolve().parent.parent / "exporters" / "drivers" / "run.py"


class VerifyError(Exception):
    """A target could not be compared; the message says why."""

    def __init__(self, message: Message, missing: str = "") -> None:
        self.message = message
        self.missing = missing
        """Name of the package without which the target cannot run."""
        super().__init__(str(message))


@dataclass(frozen=True)
class Measured:
    """What came out of the engine, or of a target."""

    outputs: Mapping[str, Array]
    loss: float
    gradients: Mapping[str, Array]
    state: Mapping[str, Array]
    """Running statistics after one training step."""
    curve: Sequence[float]
    """Loss before each step of a short training."""
    resolution: float = 0.0
    """How far float32 may be off the loss, whoever computes it."""


def verify(
    document: Document,
    weights: Path | None = None,
    *,
    targets: Sequence[str] = TARGETS,
    progress: Progress | None = None,
    project_dir: Path | None = None,
    steps: int = STEPS,
    timeout_s: float = TIMEOUT_S,
) -> dict[str, dict[str, Any]]:
    """Compare every target with the engine, on the same weights and samples.

    Parameters
    ----------
    weights : Path, optional
        A run's weights; new ones are drawn if left out.
    targets : sequence of str
        Names from ``exporters.TARGETS``.
    progress : callable, optional
        Told what is done, and the share of the work that lies behind.
    project_dir : Path, optional
        Folder from which the data's relative paths start.
    steps : int
        Length of the short training, in optimiser steps.

    Returns
    -------
    dict
        By target: ``ok``; ``outputs``, ``loss``, ``gradients``, ``state``, the largest relative
        differences; ``tensors``, the same by name; ``curves``, the losses of engine and target;
        ``curve``, their largest relative difference; ``resolution``, how far apart two losses may
        be by rounding alone; for PyTorch also ``oracle``, the engine's own error against float64.
        ``error`` instead of them where a target could not be compared,
        and ``missing``, the package, if that is why.

    Notes
    -----
    Outputs and gradients: the largest difference, divided by the largest value of the same array
    (but see ``ROUNDING``). Loss: divided by its value or, where that is larger, by the smallest
    loss of which float32 resolves 1e-5: the loss of a well-trained classifier is a difference of
    two numbers as large as the logits, so rounding alone can be more than 1e-5 of it.

    Raises
    ------
    CheckFailed, DataError, ExportRefusedError
        If the project has errors, its data is missing, or the weights belong to another model.
    """
    told = progress or (lambda _what, _share: None)
    told(Message("Loading the data"), 0.0)
    graph = without_noise(freeze(document))
    samples = chosen_samples(graph, project_dir, steps)
    return compare(
        graph,
        samples,
        read_weights(graph, weights) if weights is not None else new_weights(graph),
        python_loader(graph.data),
        targets=targets,
        progress=told,
        steps=steps,
        timeout_s=timeout_s,
    )


def without_noise(graph: Graph) -> Graph:
    """The graph with dropout and the like switched off, so that its numbers can be compared."""
    nodes = tuple(dataclasses.replace(n, spec=n.spec.without_noise()) for n in graph.nodes)
    return Graph(graph.name, nodes, graph.data, graph.training)


def chosen_samples(graph: Graph, project_dir: Path | None, steps: int) -> dict[str, Array]:
    """A batch that was not trained on, then ``steps`` batches of the training split, unshuffled.

    What a model was trained on it may know so well that loss and gradients are rounding noise, so
    the first batch comes from the test split, or from validation or training where that is empty.
    Splits with too few samples are gone through again.
    """
    fields = {str(getattr(n.spec, "field", "")) for n in graph.with_role("input", "target")}
    split = data_sources.load(graph.data, project_dir)
    held_out = next(s for s in (split.test, split.validation, split.train) if _size(s))
    size = min(graph.training.batch_size, _size(split.train))
    return {
        name: np.concatenate(
            [
                held_out[name][np.arange(size) % _size(held_out)],
                array[np.arange(steps * size) % _size(split.train)],
            ]
        )
        for name, array in split.train.items()
        if name in fields
    }


def _size(arrays: Mapping[str, Array]) -> int:
    return data_sources.DataSet.size_of(arrays)


def compare(
    graph: Graph,
    samples: Mapping[str, Array],
    weights: Mapping[str, Array],
    data_loader: str,
    *,
    targets: Sequence[str] = TARGETS,
    progress: Progress | None = None,
    steps: int = STEPS,
    timeout_s: float = TIMEOUT_S,
) -> dict[str, dict[str, Any]]:
    """``verify`` for a graph without noise, given weights and samples.

    The samples are ``1 + steps`` batches: the first is measured, the others are trained on.
    """
    told = progress or (lambda _what, _share: None)
    told(Message("Running the engine"), 0.05)
    engine = measure_engine(graph, samples, weights, steps)
    results: dict[str, dict[str, Any]] = {t: {} for t in targets}

    def one(target: str) -> dict[str, Any]:
        found = measure_target(graph, target, samples, weights, data_loader, steps, timeout_s)
        return differences(graph, engine, *found)

    # Two at a time: they spend seconds importing, and each uses the cores that there are.
    with ThreadPoolExecutor(max_workers=2) as pool:
        told(Message("Running the exported scripts"), 0.1)
        waiting = {pool.submit(one, target): target for target in targets}
        for done, future in enumerate(as_completed(waiting), start=1):
            target = waiting[future]
            try:
                results[target] = future.result()
            except ExportError as error:
                results[target] = _failed("; ".join(render(p.message) for p in error.problems))
            except VerifyError as error:
                results[target] = _failed(render(error.message), error.missing)
            what = Message("Compared {target}", {"target": _NAMES.get(target, target)})
            told(what, 0.1 + 0.9 * done / len(waiting))
    return results


def _failed(error: str, missing: str = "") -> dict[str, Any]:
    return {"ok": False, "error": error, **({"missing": missing} if missing else {})}


def measure_engine(
    graph: Graph, samples: Mapping[str, Array], weights: Mapping[str, Array], steps: int
) -> Measured:
    """What the engine computes, with the project's optimiser."""
    plan = compile_graph(graph)
    plan.load_state_dict(weights)
    size = len(next(iter(samples.values()))) // (steps + 1)
    first, *batches = (
        {name: a[i * size : (i + 1) * size] for name, a in samples.items()}
        for i in range(steps + 1)
    )
    outputs = plan.forward(first, training=False)
    losses, gradients = plan.gradients(first, training=True)
    curve = []
    state: dict[str, Array] = {}
    for i, batch in enumerate(batches):
        curve.append(plan.train_step(batch)["loss"])
        if i == 0:
            state = {name: np.array(a) for name, a in plan.state.items()}
    return Measured(
        outputs, losses["loss"], gradients, state, curve, _resolution(graph, outputs, losses)
    )


def _resolution(graph: Graph, outputs: Mapping[str, Array], losses: Mapping[str, float]) -> float:
    """How far float32 may be off the weighted total of the losses, by what each of them says."""
    chosen = graph.training.phases[0].losses
    total = 0.0
    for node in graph.with_role("loss"):
        weight = chosen.get(node.id, 0.0) if chosen else 1.0
        source = node.inputs[0]
        name = graph.by_id[source.node].name if source is not None else ""
        if isinstance(node.spec, JudgeNode) and name in outputs:
            total += abs(weight) * node.spec.rounding(losses[node.name], _peak(outputs[name]))
    return total


def measure_target(
    graph: Graph,
    target: str,
    samples: Mapping[str, Array],
    weights: Mapping[str, Array],
    data_loader: str,
    steps: int,
    timeout_s: float,
) -> tuple[str, Measured, Mapping[str, Array]]:
    """The target's name, what its script computes, and the same in float64 where it can do that.

    Raises
    ------
    VerifyError
        If a framework is missing, or the script fails or takes too long.
    """
    require(target)
    exported = export(graph, target, data_loader=data_loader)
    with tempfile.TemporaryDirectory(prefix="graphstudio-verify-") as name:
        place = Path(name).resolve()
        folder = place / "export"
        write_folder(exported.files, weights, folder)
        checkpoint.save(
            place / "samples.safetensors", samples, {"options": _options(exported, samples, steps)}
        )
        (place / "empty").mkdir()
        _run(target, place, timeout_s)
        found, _ = checkpoint.load(place / "result.safetensors")
    return target, *sorted_out(found)


def sorted_out(found: Mapping[str, Array]) -> tuple[Measured, dict[str, Array]]:
    """What a driver has written, and the part of it that was computed in float64."""
    return (
        Measured(
            _part(found, "output/"),
            float(found["loss"]),
            _part(found, "gradient/"),
            _part(found, "state/"),
            [float(v) for v in found["curve"]],
        ),
        _part(found, "oracle/"),
    )


def require(target: str) -> None:
    """Raise VerifyError if a package is missing that the target's script needs."""
    for module in _MODULES.get(target, ()):
        if importlib.util.find_spec(module) is None:
            raise VerifyError(
                Message(
                    "{target} is not installed ('{module}' is missing), so its script was not run; "
                    'install it with: pip install "graphstudio[exports]"',
                    {"target": _NAMES[target], "module": module},
                ),
                missing=module,
            )


def _options(exported: ExportedProject, samples: Mapping[str, Array], steps: int) -> str:
    return json.dumps(
        {
            "batch_size": len(next(iter(samples.values()))) // (steps + 1),
            "steps": steps,
            "num_inputs": len(exported.inputs),
            "channels_last": dict(exported.outputs),
        }
    )


def _run(target: str, place: Path, timeout_s: float) -> None:
    environment = {k: v for k in _PASSED_ON if (v := os.environ.get(k)) is not None}
    environment |= {
        "CUDA_VISIBLE_DEVICES": "-1",  # float32 there is not float32: TF32 is on by default
        "KERAS_BACKEND": "tensorflow",
        "KERAS_HOME": str(place / "empty"),  # a user's keras.json could turn the axes
        "PYTHONUTF8": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    # -P, and a working folder with nothing in it: a torch.py that lies about must not be imported.
    command = [sys.executable, "-P", str(_DRIVER), target]
    command += [str(place / n) for n in ("export", "samples.safetensors", "result.safetensors")]
    try:
        done = subprocess.run(
            command,
            cwd=place / "empty",
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise VerifyError(
            Message(
                "the {target} script took longer than {seconds} s and was ended",
                {"target": _NAMES[target], "seconds": f"{timeout_s:g}"},
            )
        ) from error
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise VerifyError(
            Message(
                "the {target} script failed: {reason}",
                {"target": _NAMES[target], "reason": "\n".join(lines[-12:]) or done.returncode},
            )
        )


def differences(
    graph: Graph, engine: Measured, target: str, found: Measured, oracle: Mapping[str, Array]
) -> dict[str, Any]:
    """The entry of one target.

    Raises
    ------
    VerifyError
        If names or shapes differ, or a number is not finite.
    """
    frozen = {
        n.name for n in graph.nodes if n.id in graph.training.phases[0].frozen
    }  # the engine computes no gradient for them
    gradients = {k: g for k, g in found.gradients.items() if k.rsplit(".", 1)[0] not in frozen}
    outputs = _compare(target, engine.outputs, found.outputs)
    by_gradient = _compare(target, engine.gradients, gradients, ROUNDING)
    by_state = _compare(target, engine.state, found.state)
    # Of a loss next to 0, float32 leaves only rounding: it counts as equal within its resolution.
    floor = engine.resolution / LIMITS["loss"]
    loss = _scalars(target, [engine.loss], [found.loss], floor)
    entry: dict[str, Any] = {
        "outputs": _largest(outputs),
        "loss": loss,
        "gradients": _largest(by_gradient),
        "state": _largest(by_state),
        "curve": _scalars(target, engine.curve, found.curve, floor),
        "resolution": engine.resolution,
        "curves": {"engine": list(engine.curve), "target": list(found.curve)},
        "tensors": {"outputs": outputs, "gradients": by_gradient, "state": by_state},
    }
    if oracle:
        exact = _part(oracle, "gradient/")
        kept = {k: g for k, g in exact.items() if k in engine.gradients}
        exact_outputs = _part(oracle, "output/")
        entry["oracle"] = {
            "outputs": _largest(_compare(target, exact_outputs, engine.outputs)),
            "loss": _scalars(target, [float(oracle["loss"])], [engine.loss], floor),
            "gradients": _largest(_compare(target, kept, engine.gradients, ROUNDING)),
        }
    entry["ok"] = all(entry[name] <= limit for name, limit in LIMITS.items())
    return entry


def _part(arrays: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    return {k.removeprefix(prefix): a for k, a in arrays.items() if k.startswith(prefix)}


def _compare(
    target: str, wanted: Mapping[str, Array], found: Mapping[str, Array], rounding: float = 0.0
) -> dict[str, float]:
    """Largest difference of each array, relative to its largest value."""
    if wanted.keys() != found.keys():
        raise VerifyError(
            Message(
                "the {target} script lacks {missing} and has {extra} besides",
                {
                    "target": _NAMES[target],
                    "missing": _listed(wanted.keys() - found.keys()),
                    "extra": _listed(found.keys() - wanted.keys()),
                },
            )
        )
    largest = max((_peak(a) for a in wanted.values()), default=0.0)
    result: dict[str, float] = {}
    for name, expected in wanted.items():
        given = found[name]
        if expected.shape != given.shape:
            raise VerifyError(
                Message(
                    "'{name}' of the {target} script is {found}, not {expected}",
                    {
                        "name": name,
                        "target": _NAMES[target],
                        "found": tuple(given.shape),
                        "expected": tuple(expected.shape),
                    },
                )
            )
        peak = _peak(expected)
        scale = peak if peak > rounding * largest else largest
        gap = _peak(expected.astype(np.float64) - given)
        result[name] = _relative(target, gap, scale)
    return result


def _scalars(
    target: str, wanted: Iterable[float], found: Iterable[float], floor: float = 0.0
) -> float:
    """Largest difference, each relative to its own value, or to ``floor`` where that is larger."""
    gaps = (
        _relative(target, abs(w - f), max(abs(w), floor))
        for w, f in zip(wanted, found, strict=True)
    )
    return max(gaps, default=0.0)


def _relative(target: str, gap: float, scale: float) -> float:
    if not (math.isfinite(gap) and math.isfinite(scale)):
        raise VerifyError(
            Message(
                "the engine or the {target} script gives NaN or infinity with these weights",
                {"target": _NAMES[target]},
            )
        )
    return float(gap / scale) if scale else (0.0 if gap == 0.0 else 1.0)


def _peak(array: Array) -> float:
    return float(np.abs(array).max(initial=0.0)) if not np.isnan(array).any() else math.nan


def _largest(values: Mapping[str, float]) -> float:
    return max(values.values(), default=0.0)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or tr("nothing")
