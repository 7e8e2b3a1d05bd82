"""``graphstudio check``: is the project fit to be trained?"""

from __future__ import annotations

import argparse

from graphstudio.cli.output import OK, PROBLEMS, Output
from graphstudio.cli.project import Opened, open_for, report_check
from graphstudio.i18n import tr


def run(args: argparse.Namespace, out: Output) -> int:
    """Check, and print the problems or the size of the model."""
    opened = open_for(args.project, out)
    if not check(opened, out):
        return PROBLEMS
    return OK


def check(opened: Opened, out: Output) -> bool:
    """Check and report; True if the project can be trained."""
    from graphstudio.services.check import check as check_document

    result = check_document(opened.document)
    ok = report_check(opened.document, result, out)
    reports = result.nodes.values()
    if ok:
        out.report["check"]["parameters"] = sum(r.num_parameters for r in reports)
        out.result(
            tr(
                "{name} is ready: {nodes} nodes, {parameters} parameters.",
                name=opened.path.name,
                nodes=len(opened.document.main.nodes),
                parameters=f"{sum(r.num_parameters for r in reports):,}",
            )
        )
    return ok
