"""``graphstudio run``: check, train, evaluate, export everything, verify."""

from __future__ import annotations

import argparse

from graphstudio.cli.check import check
from graphstudio.cli.export import TARGETS, export
from graphstudio.cli.output import OK, PROBLEMS, Output
from graphstudio.cli.project import open_for
from graphstudio.cli.train import train
from graphstudio.cli.verify import verify
from graphstudio.i18n import tr


def run(args: argparse.Namespace, out: Output) -> int:
    """The whole loop; OK only if every part held."""
    opened = open_for(args.project, out)
    if not check(opened, out):
        return PROBLEMS
    result = train(opened, args, out)
    if result is None or result.weights is None:
        return PROBLEMS
    if result.finished is not None and result.finished.status == "stopped":
        out.note(tr("Stopped: the weights are kept; nothing is exported."))
        out.result(tr("The results lie in {folder}", folder=str(result.run_dir)))
        return PROBLEMS
    exported = export(opened, result.run_dir / "exports", result.weights, TARGETS, out)
    verified = verify(opened, result.weights, TARGETS, out)
    out.result(tr("The results lie in {folder}", folder=str(result.run_dir)))
    return OK if exported and verified else PROBLEMS
