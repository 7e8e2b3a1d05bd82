"""``graphstudio data``: what there is to learn from, and where its files lie."""

from __future__ import annotations

import argparse
from pathlib import Path

from graphstudio.cli.output import OK, PROBLEMS, USAGE, Output
from graphstudio.i18n import tr


def run_list(args: argparse.Namespace, out: Output) -> int:
    """List the sources and say which lack their files."""
    from graphstudio import data
    from graphstudio.document.model import DataSpec

    out.report["data"] = {}
    for kind, source in data.sources().items():
        missing = data.missing(DataSpec(source=kind))
        state = tr("ready") if missing is None else tr("files missing")
        out.report["data"][kind] = {"label": tr_label(source.label), "ready": missing is None}
        out.result(f"{kind:14} {state:14} {tr_label(source.label)}")
    return OK


def run_fetch(args: argparse.Namespace, out: Output) -> int:
    """Download a data set, checking the SHA-256 of every file, and remember where it is."""
    from graphstudio.data import DataError, folders
    from graphstudio.data.fetch import MANIFESTS, fetch

    folder: Path = args.to or folders.default_folder(args.name)
    manifest = MANIFESTS.get(args.name)
    if manifest is None:
        known = ", ".join(MANIFESTS)
        out.problem(
            tr(
                "there is nothing to fetch for '{kind}'; known: {known}",
                kind=args.name,
                known=known,
            )
        )
        return USAGE
    try:
        with out.progress() as progress:
            tasks = {
                file.name: progress.add_task(file.name, total=file.size, detail="")
                for file in manifest.files
            }
            fetch(
                args.name,
                folder,
                lambda name, done, _total: progress.update(tasks[name], completed=done),
            )
        if args.to is not None:
            folders.name_folder(args.name, folder)
    except DataError as error:
        out.problem(error.message, error.hint)
        return PROBLEMS
    except OSError as error:
        out.problem(tr("the folder could not be remembered: {error}", error=str(error)))
        return PROBLEMS
    out.report["data"] = {args.name: {"folder": str(folder)}}
    out.result(tr("{name} is complete in {folder}", name=args.name, folder=str(folder)))
    return OK


def run_use(args: argparse.Namespace, out: Output) -> int:
    """Remember where the files of a data set lie on this computer."""
    from graphstudio import data
    from graphstudio.data import folders

    if args.name not in data.sources():
        known = ", ".join(data.sources())
        out.problem(
            tr("there is no data set '{name}'; known: {known}", name=args.name, known=known)
        )
        return USAGE
    if not args.folder.is_dir():
        out.problem(tr("there is no folder '{path}'", path=str(args.folder)))
        return USAGE
    lacking = data.sources()[args.name].lacking(args.folder)
    if lacking:
        out.problem(
            tr(
                "{folder} lacks {files}",
                folder=str(args.folder),
                files=", ".join(lacking),
            )
        )
        return PROBLEMS
    try:
        folders.name_folder(args.name, args.folder)
    except OSError as error:
        out.problem(tr("the folder could not be remembered: {error}", error=str(error)))
        return PROBLEMS
    out.report["data"] = {args.name: {"folder": str(args.folder.resolve())}}
    out.result(
        tr("{name} is read from {folder}", name=args.name, folder=str(args.folder.resolve()))
    )
    return OK


def tr_label(label: str) -> str:
    """The name of a source in the active language."""
    from graphstudio.i18n import render
    from graphstudio.nodes.types import Message

    return render(Message(label))
