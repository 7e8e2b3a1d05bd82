"""``graphstudio train``: train, watch, evaluate."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from graphstudio.cli.check import check
from graphstudio.cli.output import OK, PROBLEMS, USAGE, Output, figures
from graphstudio.cli.project import CommandError, Opened, open_for
from graphstudio.i18n import tr
from graphstudio.services.projects import ProjectError

if TYPE_CHECKING:
    from graphstudio.services.train import TrainResult
    from graphstudio.training.client import TrainingClient
    from graphstudio.training.messages import Message


def run(args: argparse.Namespace, out: Output) -> int:
    """Check, then train into a new run folder."""
    opened = open_for(args.project, out)
    if not check(opened, out):
        return PROBLEMS
    result = train(opened, args, out)
    if result is None:
        return PROBLEMS
    out.result(tr("The results lie in {folder}", folder=str(result.run_dir)))
    return OK


def train(opened: Opened, args: argparse.Namespace, out: Output) -> TrainResult | None:
    """Train and report; None if it failed, after saying why."""
    from graphstudio.services import runs
    from graphstudio.services import train as service

    weights: Path | None = getattr(args, "weights", None)
    if weights is not None and not weights.is_file():
        out.problem(tr("there is no file '{path}'", path=str(weights)))
        raise CommandError(USAGE)
    try:
        run_dir = runs.new_run(opened.path, out=args.out, keep=weights)
    except ProjectError as error:
        for problem in error.problems:
            out.problem(problem)
        raise CommandError(PROBLEMS) from error
    start = service.start_message(
        opened.document,
        opened.path,
        run_dir,
        num_threads=args.threads or 0,
        resume_from=weights,
    )
    with out.progress() as progress:
        bar = _Bar(out, progress)
        result = service.train(start, bar.listen)
    failed = result.failed
    if failed is not None:
        if failed.details:
            out.note(failed.details.rstrip())
        out.problem(failed.message, failed.hint)
        return None
    assert result.finished is not None
    out.report["train"] = {
        "epochs": result.finished.epochs,
        "seconds": result.finished.seconds,
        "status": result.finished.status,
        "run": str(run_dir),
    }
    out.result(
        tr(
            "Trained {epochs} epochs in {seconds} s ({status}).",
            epochs=result.finished.epochs,
            seconds=f"{result.finished.seconds:.1f}",
            status=tr("completed") if result.finished.status == "completed" else tr("stopped"),
        )
    )
    if result.evaluated is not None:
        values = result.evaluated.values
        out.report["evaluate"] = {
            **values,
            "split": result.evaluated.split,
            "samples": result.evaluated.num_samples,
        }
        named = [(name, values[name]) for name in ("loss", "accuracy") if name in values]
        out.result(
            tr(
                "On {count} held-out samples: {figures}",
                count=result.evaluated.num_samples,
                figures=figures(named),
            )
        )
    return result


class _Bar:
    """The progress bar of a run, and a line for each epoch."""

    def __init__(self, out: Output, progress: object) -> None:
        from rich.progress import Progress

        assert isinstance(progress, Progress)
        self._out, self._progress = out, progress
        self._task = progress.add_task(tr("Preparing"), total=None, detail="")
        self._epochs = 0

    def listen(self, message: Message, _client: TrainingClient) -> None:
        from graphstudio.training import messages

        match message:
            case messages.Preparing():
                self._update(detail=message.what)
            case messages.Started():
                self._epochs = message.epochs
                self._update(
                    description=tr("Training"),
                    total=message.epochs * message.steps_per_epoch,
                    detail="",
                )
            case messages.StepMetrics():
                rate = f"{message.samples_per_s:,.0f}"
                self._update(completed=message.steps[-1], detail=tr("{rate} samples/s", rate=rate))
            case messages.EpochEnd():
                self._epoch(message)
            case _:
                pass

    def _epoch(self, message: object) -> None:
        from graphstudio.training.messages import EpochEnd

        assert isinstance(message, EpochEnd)
        shown = _loss_first(message.train)
        for name, value in _loss_first(message.validation):
            shown.append((tr("validation {name}", name=name), value))
        self._progress.console.print(
            tr(
                "Epoch {epoch} of {epochs}: {figures}",
                epoch=message.epoch,
                epochs=self._epochs,
                figures=figures(shown),
            ),
            markup=False,
        )

    def _update(self, **what: object) -> None:
        self._progress.update(self._task, **what)  # type: ignore[arg-type]


def _loss_first(values: Mapping[str, float]) -> list[tuple[str, float]]:
    """The numbers in reading order, without a single loss node's twin of the total loss."""
    total = [("loss", values["loss"])] if "loss" in values else []
    return total + [(name, v) for name, v in values.items() if v != values.get("loss")]
