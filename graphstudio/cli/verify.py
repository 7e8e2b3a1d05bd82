"""``graphstudio verify``: do the exported models give the same numbers?"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graphstudio.cli.check import check
from graphstudio.cli.export import TARGETS, weights_for
from graphstudio.cli.output import OK, PROBLEMS, Output
from graphstudio.cli.project import Opened, open_for
from graphstudio.i18n import render, tr
from graphstudio.nodes.types import Message

_REPORTED = (
    "ok",
    "outputs",
    "loss",
    "gradients",
    "state",
    "curve",
    "resolution",
    "curves",
    "error",
)


def run(args: argparse.Namespace, out: Output) -> int:
    """Compare each framework with the engine, on the same weights and batch."""
    opened = open_for(args.project, out)
    if not check(opened, out):
        return PROBLEMS
    weights = weights_for(opened, args, out)
    targets = args.target or TARGETS
    held = verify(opened, weights, targets, out, project_dir=args.project_dir)
    return OK if held else PROBLEMS


def verify(
    opened: Opened,
    weights: Path | None,
    targets: Sequence[str],
    out: Output,
    *,
    project_dir: Path | None = None,
) -> bool:
    """Verify and report; False if a framework differs or could not be run.

    Parameters
    ----------
    project_dir : Path, optional
        Folder from which the data's relative paths start, if not that of the project's file.
    """
    from graphstudio.services import verify as service
    from graphstudio.services.export import freeze
    from graphstudio.services.origin import changed_since

    targets = tuple(dict.fromkeys(targets))
    with out.progress() as progress:
        task = progress.add_task(tr("Verifying"), total=1.0, detail="")

        def listen(what: Message, share: float) -> None:
            progress.update(task, completed=share, detail=render(what))

        try:
            found = service.verify(
                opened.document,
                weights,
                targets=targets,
                progress=listen,
                project_dir=(project_dir or opened.path.parent).resolve(),
            )
        except Exception as error:
            progress.stop()
            out.failure(error)
            return False
    if weights is not None:
        changed = changed_since(freeze(opened.document), weights)
        if changed is not None:
            out.report["warnings"] = [render(changed)]
            out.note(tr("Note: {message}", message=render(changed)), style="yellow")
    out.report["verify"] = {
        target: {name: entry[name] for name in _REPORTED if name in entry}
        for target, entry in found.items()
    }
    for target in targets:
        _report(target, found[target], service.LIMITS, out)
    _report_curves(found, out)
    return all(found[target].get("ok") is True for target in targets)


def _report(
    target: str, entry: Mapping[str, Any], limits: Mapping[str, float], out: Output
) -> None:
    if "error" in entry:
        out.result(tr("{target}: not verified: {error}", target=target, error=str(entry["error"])))
        return
    verdict = tr("same numbers") if entry["ok"] else tr("the numbers differ")
    parts = ", ".join(f"{name} {entry[name]:.1e} (<= {limits[name]:.0e})" for name in limits)
    out.result(f"{target:10}  {verdict}:  {parts}")


def _report_curves(found: Mapping[str, Mapping[str, Any]], out: Output) -> None:
    """The losses of the short training side by side, one line a step."""
    curves: dict[str, Sequence[float]] = {}
    for target, entry in found.items():
        if "curves" in entry:
            curves.setdefault("engine", entry["curves"]["engine"])
            curves[target] = entry["curves"]["target"]
    if not curves:
        return
    out.result(tr("Loss of each step, without shuffling or dropout:"))
    out.result("      " + "".join(f"{name:>14}" for name in curves))
    for step, row in enumerate(zip(*curves.values(), strict=False), start=1):
        out.result(f"{step:6}" + "".join(f"{value:14.6f}" for value in row))
