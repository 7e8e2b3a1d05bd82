"""``graphstudio export``: the project as PyTorch, TensorFlow and Keras code."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from graphstudio.cli.check import check
from graphstudio.cli.output import OK, PROBLEMS, Output, in_words
from graphstudio.cli.project import Opened, open_for
from graphstudio.i18n import render, tr

TARGETS = ("pytorch", "tensorflow", "keras")


def run(args: argparse.Namespace, out: Output) -> int:
    """Export with the weights of the latest run, or those that are named."""
    opened = open_for(args.project, out)
    if not check(opened, out):
        return PROBLEMS
    weights = weights_for(opened, args, out)
    folder = args.out or opened.path.with_name(f"{opened.path.stem}.export")
    return OK if export(opened, folder, weights, args.target or TARGETS, out) else PROBLEMS


def weights_for(opened: Opened, args: argparse.Namespace, out: Output) -> Path | None:
    """The weights file that was named, or that of the latest run, or None."""
    from graphstudio.services import runs

    if args.weights is not None:
        named: Path = args.weights
        return named
    found = runs.latest_weights(opened.path)
    if found is None:
        out.note(tr("The project is not trained yet: freshly initialised weights are used."))
    else:
        out.note(tr("Using the weights of {run}", run=found.parent.name))
    return found


def export(
    opened: Opened, folder: Path, weights: Path | None, targets: Sequence[str], out: Output
) -> bool:
    """Export to a folder for each target; False if one failed."""
    from graphstudio.services.export import export_project

    ok = True
    told: set[str] = set()
    report = out.report.setdefault("export", {})
    for target in dict.fromkeys(targets):
        try:
            done = export_project(
                opened.document, target, folder / target, weights, name=opened.path.stem
            )
        except Exception as error:
            out.note(tr("{target} could not be exported.", target=target))
            out.failure(error)
            report[target] = {"error": in_words(error)}
            ok = False
            continue
        warnings = [render(w) for w in done.warnings]
        report[target] = {"folder": str(folder / target), "warnings": warnings}
        for warning in warnings:
            if warning not in told:  # most hold for every target
                out.note(tr("Note: {message}", message=warning), style="yellow")
            told.add(warning)
        out.result(tr("{target}: {folder}", target=target, folder=str(folder / target)))
    return ok
