"""``graphstudio verify``: do the exported models give the same numbers?"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graphstudio.cli.check import check
from graphstudio.cli.export import TARGETS, weights_for
from graphstudio.cli.output import OK, PROBLEMS, Output
from graphstudio.cli.project import Opened, open_for
from graphstudio.i18n import tr

LIMITS = {"outputs": 1e-5, "loss": 1e-5, "gradients": 1e-4}
"""Largest relative difference that passes."""


def run(args: argparse.Namespace, out: Output) -> int:
    """Compare each framework with the engine, on the same weights and batch."""
    opened = open_for(args.project, out)
    if not check(opened, out):
        return PROBLEMS
    weights = weights_for(opened, args, out)
    return OK if verify(opened, weights, args.target or TARGETS, out) else PROBLEMS


def verify(opened: Opened, weights: Path | None, targets: tuple[str, ...], out: Output) -> bool:
    """Verify and report; False if a framework differs or could not be run."""
    from graphstudio.services import verify as service

    with out.progress() as progress:
        task = progress.add_task(tr("Verifying"), total=None, detail="")

        def listen(what: object, *_more: object) -> None:
            progress.update(task, detail=str(what))

        try:
            found = service.verify(opened.document, weights, targets=targets, progress=listen)
        except Exception as error:
            progress.stop()
            out.problem(tr("the exports could not be verified: {error}", error=str(error)))
            return False
    out.report["verify"] = found
    held = [_report(target, found.get(target, {}), out) for target in targets]  # report all
    return all(held)


def _report(target: str, differences: Mapping[str, Any], out: Output) -> bool:
    error = differences.get("error")
    if error:
        out.result(tr("{target}: not verified: {error}", target=target, error=str(error)))
        return False
    parts, ok = [], True
    for name, limit in LIMITS.items():
        value = differences.get(name)
        held = isinstance(value, float) and value <= limit
        ok = ok and held
        parts.append(f"{name} {value:.1e}" if isinstance(value, float) else f"{name} -")
    verdict = tr("same numbers") if ok else tr("the numbers differ")
    out.result(f"{target}: {verdict} ({', '.join(parts)})")
    return ok
