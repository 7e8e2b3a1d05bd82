"""One run from the project to its results: check, load, compile, train, save, evaluate."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from engine import checkpoint
from engine.plan import Plan
from graphstudio import __version__, data, i18n
from graphstudio.compiler.lower import compile_graph
from graphstudio.data import DataSet
from graphstudio.document import format as file_format
from graphstudio.document.model import Document, Training
from graphstudio.ir.check import Checker, CheckFailed
from graphstudio.ir.graph import Graph
from graphstudio.nodes.types import Message
from graphstudio.training import files, messages
from graphstudio.training.controls import Controls
from graphstudio.training.files import RunInfo
from graphstudio.training.history import HistoryWriter
from graphstudio.training.messages import Evaluated, Failed, Finished, Preparing, Start, Started
from graphstudio.training.runner import Outcome, Runner, evaluate_held_out

NICENESS = 10
_QUIET_S = 1.0
"""Longest silence while something takes long; the window takes more for a hang."""


class RunError(Exception):
    """A run that cannot begin; ``reason_code`` goes into the Failed message."""

    def __init__(
        self, reason_code: str, message: Message, hint: Message | None = None, node: str = ""
    ) -> None:
        self.reason_code, self.message, self.hint, self.node = reason_code, message, hint, node
        super().__init__(str(message))


class Session:
    """A run in its folder. Everything that it leaves lies there."""

    def __init__(
        self,
        start: Start,
        num_threads: int,
        controls: Controls,
        send: Callable[[messages.Message], None],
    ) -> None:
        self._start, self._num_threads = start, num_threads
        self._controls, self._send = controls, send
        self._dir = Path(start.run_dir)
        self._said = 0.0
        self._info = RunInfo(
            started=_now(), pid=os.getpid(), num_threads=num_threads, versions=_versions()
        )

    def run(self) -> None:
        """Carry the run out; raises what keeps it from its end, with the folder consistent."""
        document = self._read_document()
        files.write_run(self._dir, self._info)
        graph = _checked(document)
        self._say(Message("Loading the data"))
        samples = self._load_data(document)
        self._say(Message("Compiling the model"))
        plan = compile_graph(graph, max_threads=self._num_threads)
        self._prepare(plan, graph, samples)
        self._begin_from_weights(plan)
        if self._controls.abandoned:
            self._note_end(Outcome("stopped", 0, 0, 0.0))
            return
        outcome = self._train(plan, graph, samples)
        self._say(Message("Saving the weights"))
        self._save_weights(plan, outcome)
        if not self._controls.abandoned:
            self._evaluate(plan, graph, samples)
        self._finish(outcome)

    def note_failure(self, failure: Failed) -> None:
        """Write into ``run.json`` that the run failed, and why."""
        self._info = dataclasses.replace(
            self._info, status="failed", finished=_now(), error=failure.message
        )
        files.write_run(self._dir, self._info)

    def _read_document(self) -> Document:
        text = json.dumps(self._start.document)
        document = file_format.loads(text).document
        dumped = file_format.dumps(document)
        self._info = dataclasses.replace(
            self._info,
            seed=document.training.seed,
            document_sha256=hashlib.sha256(dumped.encode()).hexdigest(),
        )
        file_format.save(document, self._dir / files.PROJECT)
        return document

    def _load_data(self, document: Document) -> DataSet:
        folder = Path(self._start.project_dir) if self._start.project_dir else None

        def progress(what: Message, _share: float) -> None:
            self._say(what, throttled=True)

        return data.load(document.data, folder, progress)

    def _prepare(self, plan: Plan, graph: Graph, samples: DataSet) -> None:
        """Have machine code made for whole batches, before the first step: see ``Plan.prepare``."""

        def progress(_done: int, _total: int) -> None:
            self._say(Message("Compiling the model"), throttled=True)

        size = graph.training.batch_size
        if DataSet.size_of(samples.train) >= size:
            plan.prepare(size, ("train",), progress)
        if max(DataSet.size_of(samples.validation), DataSet.size_of(samples.test)) >= size:
            plan.prepare(size, ("evaluate", "forward"), progress)

    def _begin_from_weights(self, plan: Plan) -> None:
        if not self._start.resume_from:
            return
        path = Path(self._start.resume_from)
        try:
            plan.load_state_dict(checkpoint.load(path)[0])
        except (OSError, ValueError, KeyError) as error:
            raise RunError(
                "weights",
                Message(
                    "the weights in '{file}' do not fit this model: {reason}",
                    {"file": path.name, "reason": str(error)[:500]},
                ),
                Message("Train from the beginning, or undo the change of the model."),
            ) from error

    def _train(self, plan: Plan, graph: Graph, samples: DataSet) -> Outcome:
        history = HistoryWriter(self._dir / files.METRICS)
        try:
            runner = Runner(
                plan, graph, samples, send=self._send, history=history, controls=self._controls
            )
            self._announce(runner, plan, graph, samples)
            be_nice()
            outcome = runner.run()
        except BaseException:
            with contextlib.suppress(OSError):  # what went wrong first is what counts
                history.close()
            raise
        history.close()
        return outcome

    def _announce(self, runner: Runner, plan: Plan, graph: Graph, samples: DataSet) -> None:
        self._info = dataclasses.replace(self._info, num_parameters=plan.num_parameters)
        self._send(
            Started(
                epochs=runner.num_epochs,
                steps_per_epoch=len(runner.batches),
                batch_size=graph.training.batch_size,
                num_parameters=plan.num_parameters,
                num_train=DataSet.size_of(samples.train),
                num_validation=DataSet.size_of(samples.validation),
                num_test=DataSet.size_of(samples.test),
                metrics=tuple(n.name for n in graph.with_role("loss", "metric")),
                pid=os.getpid(),
            )
        )

    def _save_weights(self, plan: Plan, outcome: Outcome) -> None:
        about = {
            "document_sha256": self._info.document_sha256,
            "epochs": str(outcome.epochs),
            "steps": str(outcome.steps),
            "graphstudio": __version__,
        }
        checkpoint.save(self._dir / files.WEIGHTS, plan.state_dict(), about)

    def _evaluate(self, plan: Plan, graph: Graph, samples: DataSet) -> None:
        def between(_done: int) -> bool:
            self._say(Message("Evaluating on the held-out samples"), throttled=True)
            return not self._controls.abandoned

        self._say(Message("Evaluating on the held-out samples"))
        result = evaluate_held_out(plan, graph, samples, between=between)
        if result is None:
            return
        split, evaluation = result
        message = Evaluated(
            split=split,
            num_samples=evaluation.num_samples,
            values=evaluation.values,
            confusion=evaluation.confusion,
            class_names=list(samples.class_names),
        )
        body = json.loads(messages.encode(message))
        files.write_json(
            self._dir / files.EVALUATION,
            {name: value for name, value in body.items() if name not in ("v", "type")},
        )
        self._send(message)

    def _finish(self, outcome: Outcome) -> None:
        self._note_end(outcome)
        self._send(
            Finished(
                status=outcome.status,
                epochs=outcome.epochs,
                seconds=outcome.seconds,
                weights=str(self._dir / files.WEIGHTS),
            )
        )

    def _note_end(self, outcome: Outcome) -> None:
        self._info = dataclasses.replace(
            self._info,
            status=outcome.status,
            finished=_now(),
            seconds=outcome.seconds,
            epochs=outcome.epochs,
            steps=outcome.steps,
        )
        files.write_run(self._dir, self._info)

    def _say(self, what: Message, *, throttled: bool = False) -> None:
        now = time.monotonic()
        if not throttled or now - self._said >= _QUIET_S:
            self._said = now
            self._send(Preparing(what=i18n.render(what)))


def be_nice() -> None:
    """Let the window and everything else go first from here on."""
    if sys.platform == "win32":
        import ctypes

        below_normal = 0x4000
        kernel = ctypes.windll.kernel32
        kernel.SetPriorityClass(kernel.GetCurrentProcess(), below_normal)
    else:
        with contextlib.suppress(OSError):
            os.nice(NICENESS)


def _checked(document: Document) -> Graph:
    try:
        graph = Checker(document, data.describe).freeze()
    except CheckFailed as error:
        first = error.diagnostics[0]
        raise RunError("check", first.message, first.hint, first.node or "") from error
    _require_supported(document.training)
    return graph


def _require_supported(training: Training) -> None:
    """Refuse what a file can say but this version cannot do, rather than leave it out."""
    phase = training.phases[0]
    if len(training.phases) > 1 or phase.steps_per_batch != 1 or phase.schedule is not None:
        raise RunError(
            "unsupported",
            Message(
                "this version trains in one phase with one step a batch and no learning-rate "
                "schedule; the project asks for more"
            ),
            Message("Leave one phase in the project's training settings."),
        )


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _versions() -> dict[str, str]:
    found = {"graphstudio": __version__, "python": platform.python_version()}
    for name in ("numpy", "llvmlite", "scikit-learn", "safetensors"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
